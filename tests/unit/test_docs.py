# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the pages name is there: pages, headings, findings, variables, playbooks with what they ask for, targets of make, output."""

from __future__ import annotations

import functools
import itertools
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import CATALOGUE

from tests.support.lab import ROOT
from tests.support.pages import PAGES, Block, blocks, commands, prose, spans
from tests.unit.test_variables import REQUIRED, ROWS

COMMANDS = sorted({*commands("ansible-playbook")})
OURS = [one for one in COMMANDS if " kubevirt.lifecycle." in one[1]]
GOLDEN = [path.read_text() for path in (ROOT / "tests/unit/golden").glob("*.txt")]
OUTPUT_OF_GOLDEN_TEXTS = ("README.md", "docs/guide/troubleshooting.md")

AREAS = "|".join(sorted({id.partition(".")[0] for id in CATALOGUE}))
LIKE_AN_ID = re.compile(rf"(?:{AREAS})\.(?!(?:io|core|lifecycle|md|py|yml)$)[a-z0-9]+(?:-[a-z0-9]+)*")
FACTS = "docs/risks.md"
"""It names facts, such as ``kubevirt.namespace``, that look like ids; test_risks_documented.py compares these."""

each_page = pytest.mark.parametrize("page", sorted(PAGES))


def links(page: str) -> list[tuple[str, str]]:
    """The path and the anchor of every link to a file of ours."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(PAGES[page]))
    return [(link.partition("#")[0], link.partition("#")[2]) for link in found if "://" not in link]


def anchors(page: str) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(PAGES[page]), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_every_link_leads_somewhere(page: str) -> None:
    broken = []
    for path, anchor in links(page):
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target.relative_to(ROOT).as_posix())):
            broken.append(f"{path}#{anchor}")
    assert broken == []


def test_the_list_of_rooms_has_every_page_and_the_readme_leads_to_the_list() -> None:
    told = {f"docs/{path}" for path, _anchor in links("docs/README.md")}
    pages = {page for page in PAGES if str(Path(page).parent) in ("docs", "docs/guide")}
    assert pages - told == {"docs/README.md"}
    assert ("docs/README.md", "") in links("README.md")


@each_page
def test_every_finding_that_a_page_names_is_there(page: str) -> None:
    named = {*spans(PAGES[page]), *re.findall(r"\[([^\]\s]+)\]", PAGES[page])}
    ids = {one for one in named if LIKE_AN_ID.fullmatch(one) and (page != FACTS or "-" in one)}
    assert ids - CATALOGUE.keys() == set()


@functools.cache
def words_of_the_code() -> set[str]:
    """Every name that begins with kubevirt_ in the collection: variables, modules, roles, results."""
    places = ("playbooks", "roles", "plugins", "docs/awx")
    files = [path for place in places for path in (ROOT / place).rglob("*") if path.suffix in (".yml", ".py")]
    return {word for path in files for word in re.findall(r"\bkubevirt_\w+", path.read_text())}


@each_page
def test_every_variable_that_a_page_names_is_one_of_the_code(page: str) -> None:
    assert set(re.findall(r"\bkubevirt_\w+", PAGES[page])) - words_of_the_code() == set()


def given(command: str) -> dict[str, Any]:
    """The variables that a command gives by -e."""
    words = shlex.split(command, comments=True)
    variables: dict[str, Any] = {}
    for extra in (after for word, after in itertools.pairwise(words) if word == "-e"):
        name, _equals, value = extra.partition("=")
        variables |= yaml.safe_load(extra) if extra.startswith("{") else {name: value}
    return variables


def playbook_of(command: str) -> str:
    return shlex.split(command, comments=True)[1].removeprefix("kubevirt.lifecycle.")


@functools.cache
def role_options() -> dict[str, Any]:
    """What the roles' argument specs say of the options of all roles."""
    options: dict[str, Any] = {}
    for file in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        for spec in yaml.safe_load(file.read_text())["argument_specs"].values():
            options |= spec["options"]
    return options


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_can_be_typed(page: str, command: str) -> None:
    assert '"' not in command


@pytest.mark.parametrize(("page", "command"), OURS)
def test_a_command_names_a_playbook_and_variables_that_it_takes(page: str, command: str) -> None:
    playbook = playbook_of(command)
    assert (ROOT / f"playbooks/{playbook}.yml").is_file()
    rows = {row.playbook_variable: row for row in ROWS if playbook in row.playbooks}
    variables = given(command)
    assert variables.keys() - rows.keys() == set()

    options = role_options()
    taken = {role: variables[name] for name, row in rows.items() if name in variables for role in row.role_variables}
    told = {name: {**options[name], "required": False} for name in taken}
    assert ArgumentSpecValidator(told).validate(taken).error_messages == []
    assert set(variables.get("kubevirt_accept", ())) - CATALOGUE.keys() == set()


@pytest.mark.parametrize(("page", "command"), [one for one in OURS if " -e " in one[1]])
def test_a_command_gives_what_the_playbook_needs(page: str, command: str) -> None:
    needed = {
        row.playbook_variable for row in ROWS if playbook_of(command) in row.playbooks and row.default == REQUIRED
    }
    if given(command).get("kubevirt_workloads", "never") == "never" and playbook_of(command) == "upgrade":
        needed -= {"kubevirt_workload_methods"}
    assert needed - given(command).keys() == set()


def test_the_readme_has_a_command_for_each_playbook() -> None:
    told = {playbook_of(command) for page, command in OURS if page == "README.md"}
    assert told == {path.stem for path in (ROOT / "playbooks").glob("*.yml")}


@each_page
def test_every_target_of_make_is_there(page: str) -> None:
    lines = [
        *spans(PAGES[page]),
        *(line for block in blocks("sh", {page: PAGES[page]}) for line in block.text.splitlines()),
    ]
    targets = {match[1] for line in lines if (match := re.match(r"make ([a-z-]+)", line))}
    assert targets <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize(
    "block", [one for one in blocks("") if one.page in OUTPUT_OF_GOLDEN_TEXTS], ids=lambda one: one.page
)
def test_output_is_what_the_collection_says(block: Block) -> None:
    assert any(block.text in text for text in GOLDEN)
