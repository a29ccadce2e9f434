# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recipes of CONTRIBUTING.md are true: the example of a risk works, and the files that they name are there."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import known_risks
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import CATALOGUE, Kind
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.risks import Risk, findings_of_the_hop
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.versions import Version

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
HEALTHY = yaml.safe_load((ROOT / "tests/unit/fixtures/healthy-cluster-facts.yml").read_text())


def example(language: str, words: str) -> str:
    """The code block with these words."""
    blocks = re.findall(rf"^ *```{language}\n(.*?)^ *```$", TEXT, re.DOTALL | re.MULTILINE)
    (found,) = [block for block in blocks if words in block]
    return textwrap.dedent(found)


def the_risk(monkeypatch: pytest.MonkeyPatch) -> Risk:
    entry = eval(f"{{{example('python', 'Kind(')}}}", {"Kind": Kind})
    for id, kind in entry.items():
        monkeypatch.setitem(CATALOGUE, id, kind)
    risk: Risk = eval(example("python", "_risk("), {"_risk": known_risks._risk})
    return risk


def test_the_example_of_a_risk(monkeypatch: pytest.MonkeyPatch) -> None:
    risk, case = the_risk(monkeypatch), yaml.safe_load(example("yaml", "raised:"))
    seen = {
        (*hop, name): [
            (one.id, one.object)
            for one in findings_of_the_hop([risk], *map(Version.parse, hop), {**HEALTHY, **case[name]})
        ]
        for hop in (case["hop"], *case["other_hops"])
        for name in ("raised", "not_raised")
    }
    assert {where: what for where, what in seen.items() if what} == {
        (*case["hop"], "raised"): [(risk.rule.id, case["object"])]
    }


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:plugins|tests|docs|changelogs)/[^`<> ]*[^`<> /])`", TEXT)))
)
def test_what_it_names_is_there(path: str) -> None:
    assert (ROOT / path).exists() or "clocks-lost" in path


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:[a-z]+/)?[a-z_]+\.py)`", TEXT))))
def test_a_file_that_it_names_in_short_is_there(name: str) -> None:
    assert [*(ROOT / "plugins/module_utils").rglob(name.rpartition("/")[2])]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", TEXT, re.MULTILINE))))
def test_make_knows_what_it_says(target: tuple[str, str]) -> None:
    assert re.search(rf"^{''.join(target)}: ## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http)([^)]+)\)", TEXT))))
def test_its_links_lead_somewhere(link: str) -> None:
    path, _hash, heading = link.partition("#")
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^## (.+)$", TEXT, re.M)
    }
    assert (ROOT / path).exists() if path else heading in headings
