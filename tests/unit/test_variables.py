# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/variables.md is true: its names and defaults are those of the playbooks, the roles and the modules."""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from jinja2 import nodes

ROOT = Path(__file__).resolve().parents[2]
JINJA = jinja2.Environment(autoescape=False)  # only parses
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
ROLES = sorted(path.parents[1].name for path in ROOT.glob("roles/*/tasks/main.yml"))
VARIABLES = "kubevirt_variables"
"""The role that says what the variables of the playbooks mean to the other roles."""
PLAYBOOKS = ("upgrade", "plan", "workloads", "status", "remove")
NOTHING = (None, "")
REQUIRED = "required"
READ_BY_THE_WAVES = "kubevirt_window"


@dataclass(frozen=True)
class Row:
    """One line of the table. ``default`` is a value, or REQUIRED."""

    playbook_variable: str
    playbooks: tuple[str, ...]
    role_variables: tuple[str, ...]
    option: str
    default: Any


def quoted(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]*)`", cell))


def table() -> list[Row]:
    rows = []
    for line in (ROOT / "docs/variables.md").read_text().splitlines():
        if line.startswith("| `"):
            playbook, playbooks, roles, option, default, _meaning = (
                cell.strip() for cell in line.strip("|").split(" |")
            )
            rows.append(
                Row(
                    playbook_variable=quoted(playbook)[0],
                    playbooks=tuple(name.strip() for name in playbooks.split(",")),
                    role_variables=quoted(roles),
                    option=next(iter(quoted(option)), ""),
                    default=REQUIRED if default == REQUIRED else json.loads(quoted(default)[0]),
                )
            )
    return rows


ROWS = table()
each_row = pytest.mark.parametrize("row", [pytest.param(row, id=row.playbook_variable) for row in ROWS])
each_role = pytest.mark.parametrize("role", ROLES)


def load(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def plays(name: str) -> list[dict[str, Any]]:
    return list(load(f"playbooks/{name}.yml"))


def play(name: str) -> dict[str, Any]:
    """The first play of a playbook, which says for all of them which hosts and which modules are meant."""
    return plays(name)[0]


def files_of(name: str) -> list[str]:
    """The files of tasks that a playbook reads."""
    return sorted({name for name in strings(plays(name)) if name.startswith("tasks/")})


def contents(name: str) -> list[Any]:
    """What a playbook holds: its plays and tasks, and what it hands to the roles that it calls."""
    own = [plays(name), *(load(f"playbooks/{file}") for file in files_of(name))]
    roles = {one.rpartition(".")[2] for one in strings(own) if one.startswith("kubevirt.lifecycle.kubevirt_")}
    roles |= {"kubevirt_workloads"} if name == "upgrade" else set()  # the role kubevirt_upgrade calls it
    hooks = [hooks_of_the_playbooks()] if "tasks/know_hooks.yml" in files_of(name) else []
    return [*own, *(role_calls()[role] for role in roles & {*ROLES}), *hooks]


def hooks_of_the_playbooks() -> dict[str, str]:
    return dict(load(f"roles/{VARIABLES}/vars/main/hooks.yml"))


def handed_on() -> dict[str, str]:
    """What the playbooks hand to the roles."""
    files = sorted((ROOT / f"roles/{VARIABLES}/vars/main").glob("*.yml"))
    return {name: value for file in files for name, value in load(str(file)).items()}


def made_in(value: Any) -> Iterator[str]:
    """The variables that plays and tasks make themselves."""
    if isinstance(value, list):
        yield from (name for item in value for name in made_in(item))
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "register":
                yield item
            if key in ("vars", "ansible.builtin.set_fact"):
                yield from item
            yield from made_in(item)


def defaults_of(variable: str, value: Any) -> Iterator[Any]:
    """Every default that a template gives to a variable."""
    for text in strings(value):
        for one in JINJA.parse(text).find_all(nodes.Filter):
            if one.name == "default" and isinstance(one.node, nodes.Name) and one.node.name == variable:
                yield None if isinstance(one.args[0], nodes.Name) else one.args[0].as_const()


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def variable_and_default(expression: str) -> tuple[str, Any]:
    """The one variable of a Jinja expression, and its default: a constant, None for omit, or REQUIRED."""
    tree = JINJA.parse(expression)
    variables = [name.name for name in tree.find_all(nodes.Name) if name.name not in ("omit", "undef")]
    assert len(variables) == 1, f"{expression} is not of one variable"
    fallback = next((f.args[0] for f in tree.find_all(nodes.Filter) if f.name == "default"), None)
    if fallback is None:
        either = next(iter(tree.find_all(nodes.Or)), None)
        return variables[0], REQUIRED if either is None else None
    return variables[0], None if isinstance(fallback, nodes.Name) else fallback.as_const()


def variables_of(value: Any) -> set[str]:
    return {name.name for text in strings(value) for name in JINJA.parse(text).find_all(nodes.Name)}


def role_calls() -> dict[str, dict[str, str]]:
    """What the playbooks hand to each role."""
    return {role: {name: value for name, value in handed_on().items() if name.startswith(f"{role}_")} for role in ROLES}


def module_task(role: str) -> tuple[str, dict[str, str]]:
    """The one module that a role calls, and its options; where it only takes part in the work for a wave, it has none of its own."""
    ((module, options),) = [
        (key.rpartition(".")[2], options)
        for tasks in (ROOT / f"roles/{role}/tasks").iterdir()
        if tasks.name not in ("side_by_side.yml", "forecasts.yml")
        for task in (inner for outer in load(str(tasks)) for inner in outer.get("block", [outer]))
        for key, options in task.items()
        if key.startswith("kubevirt.lifecycle.")
    ]
    return module, options


def constant(path: str, name: str) -> str:
    """The value of a string constant in a Python file, without importing it."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            return str(ast.literal_eval(node.value))
    raise AssertionError(f"{path} has no {name}")


def documented_options(module: str) -> dict[str, dict[str, Any]]:
    """The module's options as DOCUMENTATION and our own fragment describe them, without those of kubernetes.core."""
    own = yaml.safe_load(constant(f"plugins/modules/{module}.py", "DOCUMENTATION"))
    fragment = yaml.safe_load(constant("plugins/doc_fragments/attributes.py", "DOCUMENTATION"))
    is_used = "kubevirt.lifecycle.attributes" in own.get("extends_documentation_fragment", ())
    return {**(fragment["options"] if is_used else {}), **own["options"]}


def argument_spec(operation: str) -> dict[str, dict[str, Any]]:
    name = f"ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.{operation}"
    spec: dict[str, dict[str, Any]] = importlib.import_module(name).ARGUMENT_SPEC
    return spec


def same(left: Any, right: Any) -> bool:
    """Whether two defaults mean the same; empty text, or the number 0, is how roles and playbooks say that an option is left out."""
    left, right = (None if one == 0 and not isinstance(one, bool) else one for one in (left, right))
    return (left in NOTHING and right in NOTHING) or (
        isinstance(left, bool) is isinstance(right, bool) and left == right
    )


def rows_of_role(role: str) -> dict[str, Row]:
    return {variable: row for row in ROWS for variable in row.role_variables if variable.startswith(f"{role}_")}


def test_no_row_is_there_twice() -> None:
    names = [row.playbook_variable for row in ROWS]
    assert sorted(names) == sorted(set(names))
    assert names, "the table was not found"


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_the_table_has_exactly_the_variables_that_a_playbook_reads(name: str) -> None:
    made_here = {*made_in(contents(name)), *hooks_of_the_playbooks()}
    made_here |= {
        f"kubevirt_{one}" for one in ("upgrade_plan", "upgrade_result", "upgrade_forecasts", "preflight_result")
    }  # by the roles
    read = {one for one in variables_of(contents(name)) if one.startswith("kubevirt_")} - made_here
    read |= {READ_BY_THE_WAVES} if "tasks/begin_wave.yml" in files_of(name) else set()
    assert read == {row.playbook_variable for row in ROWS if name in row.playbooks}


def test_a_filter_reads_of_each_host_what_no_template_names() -> None:
    for file in ("plugins/filter/fleet.py", "plugins/module_utils/knowledge/fleet_waves.py"):
        assert f'"{READ_BY_THE_WAVES}"' in (ROOT / file).read_text()


def test_the_table_names_no_other_playbook() -> None:
    assert {name for row in ROWS for name in row.playbooks} == set(PLAYBOOKS)


@each_role
def test_the_playbook_hands_each_role_the_variables_of_the_table(role: str) -> None:
    handed = {variable: variable_and_default(expression)[0] for variable, expression in role_calls()[role].items()}
    assert handed == {variable: row.playbook_variable for variable, row in rows_of_role(role).items()}


@each_role
def test_a_roles_options_are_those_of_the_table(role: str) -> None:
    options = load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert set(options) == set(rows_of_role(role))


@each_role
def test_a_role_hands_its_variables_to_the_options_of_the_table(role: str) -> None:
    module, options = module_task(role)
    handed = {option: variable_and_default(expression)[0] for option, expression in options.items()}
    known = documented_options(module)
    assert handed == {row.option: variable for variable, row in rows_of_role(role).items() if row.option in known}


@each_row
def test_the_default_is_the_same_in_every_place(row: Row) -> None:
    found: dict[str, Any] = {}
    upgrade = [*role_calls().values(), *play("upgrade")["module_defaults"].values()]
    status = [*(task.get("kubevirt.lifecycle.kubevirt_info", {}) for task in play("status")["tasks"])]
    status += play("status")["module_defaults"].values()
    for playbook, calls in (("upgrade.yml", upgrade), ("status.yml", status)):
        for target, expression in ((t, e) for call in calls for t, e in call.items()):
            if variable_and_default(expression)[0] == row.playbook_variable:
                found[f"{playbook}, {target}"] = variable_and_default(expression)[1]
    for role in ROLES:
        for variable in set(row.role_variables) & set(rows_of_role(role)):
            defaults = load(f"roles/{role}/defaults/main.yml")
            option = load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"]["options"][variable]
            found[f"{variable}, defaults"] = defaults.get(variable, REQUIRED)
            found[f"{variable}, argument spec"] = REQUIRED if option.get("required") else option.get("default")
            module = module_task(role)[0]
            documented = documented_options(module).get(row.option)
            if documented is not None:
                needed = documented.get("required", False)
                found[f"{module}, documentation"] = REQUIRED if needed else documented.get("default")
    if row.playbook_variable == "kubevirt_hosts":
        assert f"default('{row.default}' if" in play("upgrade")["vars"]["kubevirt_pattern"]
        assert play("upgrade")["vars"] == play("status")["vars"]
        return
    if row.playbook_variable == READ_BY_THE_WAVES:
        return
    if row.default != REQUIRED:  # of those a playbook asks whether they are there
        for name in row.playbooks:
            for number, default in enumerate(defaults_of(row.playbook_variable, contents(name))):
                found[f"{name}, {number}"] = default
    assert found
    assert {place: value for place, value in found.items() if not same(value, row.default)} == {}


@each_role
def test_a_role_checks_the_types_that_the_module_documents(role: str) -> None:
    documented = documented_options(module_task(role)[0])
    options = load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    for variable, row in rows_of_role(role).items():
        if row.option in documented:
            wanted = {key: documented[row.option].get(key) for key in ("type", "elements", "choices")}
            # An empty path would become the working directory, so a role takes a path as text.
            wanted["type"] = "str" if wanted["type"] == "path" else wanted["type"]
            assert {key: options[variable].get(key) for key in wanted} == wanted, variable


@pytest.mark.parametrize("module", ["kubevirt_upgrade", "kubevirt_workload_update", "kubevirt_remove"])
def test_the_table_has_every_option(module: str) -> None:
    assert set(documented_options(module)) <= {row.option for row in ROWS}


@pytest.mark.parametrize("module", MODULES)
def test_the_documentation_describes_the_argument_spec(module: str) -> None:
    spec = argument_spec(module.removeprefix("kubevirt_"))
    documented = documented_options(module)
    keys = ("type", "elements", "choices", "default", "required", "aliases")
    assert {name: {key: option.get(key) for key in keys} for name, option in spec.items()} == {
        name: {key: option.get(key) for key in keys} for name, option in documented.items()
    }
