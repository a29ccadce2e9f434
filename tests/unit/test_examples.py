# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every example in YAML, of the pages and of the documentation of modules and filters, is what Ansible and the collection take.

Files of releases, risks and gates are examples too: test_releases_file.py and test_risks_documented.py read those.
"""

from __future__ import annotations

import ast
import importlib
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.module_run import checked_spec

from tests.support.awx import PROGRAMS
from tests.support.lab import ROOT, Json, playbook_environment
from tests.support.pages import blocks
from tests.unit.test_variables import ROLES, ROWS

OURS = "kubevirt.lifecycle."
READ_ELSEWHERE = ("docs/releases.md", "docs/risks.md")
INVENTORY = "kubevirt_clusters"
OF_ANSIBLE = {"ansible_connection", "ansible_python_interpreter"}


def examples() -> dict[str, Any]:
    """What each example says, by where it stands."""
    found = {f"{one.page}, line {one.line}": one.text for one in blocks("yaml") if one.page not in READ_ELSEWHERE}
    for file in sorted((ROOT / "plugins/modules").glob("*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.Assign) and [getattr(one, "id", "") for one in node.targets] == ["EXAMPLES"]:
                found[file.stem] = ast.literal_eval(node.value)
    for file in sorted((ROOT / "plugins/filter").glob("*.yml")):
        found[file.stem] = yaml.safe_load(file.read_text())["EXAMPLES"]
    return {place: yaml.safe_load(text) for place, text in found.items()}


EXAMPLES = examples()
PLAYBOOKS = {
    place: said if "hosts" in said[0] else [{"hosts": "localhost", "gather_facts": False, "tasks": said}]
    for place, said in EXAMPLES.items()
    if isinstance(said, list)
}
"""Plays as they are, and tasks as those of a play."""


def tasks() -> Iterator[tuple[str, str, Json]]:
    """Each use of a module of ours: where, which module, its options."""
    for place, plays in PLAYBOOKS.items():
        for task in (task for play in plays for task in play.get("tasks", ())):
            for key in (key for key in task if key.startswith(OURS)):
                yield place, key.removeprefix(OURS), task[key] or {}


def role_calls() -> Iterator[tuple[str, str, Json]]:
    """Each use of a role of ours: where, which role, its variables."""
    for place, plays in PLAYBOOKS.items():
        for role in (role for play in plays for role in play.get("roles", ())):
            yield place, role["role"].removeprefix(OURS), {**role.get("vars", {})}


def errors(spec: Mapping[str, Any], given: Json) -> list[str]:
    """What is wrong with options; those that a template fills in are taken as they are."""
    filled_in = {name for name, value in given.items() if isinstance(value, str) and "{{" in value}
    known = {name: option for name, option in spec.items() if name not in filled_in}
    assert filled_in <= spec.keys()
    return list(
        ArgumentSpecValidator(known)
        .validate({name: value for name, value in given.items() if name not in filled_in})
        .error_messages
    )


def test_every_example_is_looked_at_here() -> None:
    assert {place for place, said in EXAMPLES.items() if place not in PLAYBOOKS and [*said] != [INVENTORY]} == set()
    assert {name for _place, name, _options in tasks()} == {
        path.stem for path in (ROOT / "plugins/modules").glob("*.py")
    }
    assert {name for _place, name, _vars in role_calls()} == {*ROLES}


@pytest.mark.parametrize(("place", "module", "options"), [*tasks()])
def test_a_module_takes_the_options(place: str, module: str, options: Json) -> None:
    operation = importlib.import_module(
        f"ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.{module.removeprefix('kubevirt_')}"
    )
    asks_a_cluster = module.startswith("kubevirt_")
    spec = checked_spec(operation.ARGUMENT_SPEC, options) if asks_a_cluster else operation.ARGUMENT_SPEC
    assert errors(spec, options) == []


@pytest.mark.parametrize(("place", "role", "variables"), [*role_calls()])
def test_a_role_takes_the_variables(place: str, role: str, variables: Json) -> None:
    specs = yaml.safe_load((ROOT / f"roles/{role}/meta/argument_specs.yml").read_text())["argument_specs"]
    assert errors(specs["main"]["options"], variables) == []


def test_ansible_takes_them_all(tmp_path: Path) -> None:
    for number, (place, plays) in enumerate(PLAYBOOKS.items()):
        (tmp_path / f"{number}.yml").write_text(f"# {place}\n{yaml.safe_dump(plays)}")
    done = subprocess.run(
        [str(PROGRAMS / "ansible-playbook"), "--syntax-check", *sorted(map(str, tmp_path.glob("*.yml")))],
        env=playbook_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("place", [place for place, said in EXAMPLES.items() if isinstance(said, dict)])
def test_an_inventory_has_only_variables_that_are_read(place: str, tmp_path: Path) -> None:
    (tmp_path / "clusters.yml").write_text(yaml.safe_dump(EXAMPLES[place]))
    listed = subprocess.run(
        [str(PROGRAMS / "ansible-inventory"), "-i", str(tmp_path / "clusters.yml"), "--list"],
        env=playbook_environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    inventory = yaml.safe_load(listed.stdout)
    hosts = inventory["_meta"]["hostvars"]
    assert inventory[INVENTORY]["hosts"] == [*EXAMPLES[place][INVENTORY]["hosts"]]
    known = {row.playbook_variable for row in ROWS} | OF_ANSIBLE
    assert {name for variables in hosts.values() for name in variables} - known == set()
