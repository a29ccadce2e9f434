# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection's layout: who may import whom, what no plugin does, and which files must agree with each other."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
UTILS = PLUGINS / "module_utils"
OURS = "ansible_collections.kubevirt.lifecycle."
ROLES = sorted(path.parents[1] for path in ROOT.glob("roles/*/tasks/main.yml"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def python_files(*folders: str) -> list[Any]:
    return [pytest.param(p, id=relative(p)) for folder in folders for p in sorted((PLUGINS / folder).rglob("*.py"))]


def imports(path: Path) -> Iterator[str]:
    """Every imported name of a file as an absolute dotted name; of ours without the collection's name in front."""
    package = relative(path.parent).split("/")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            base += [node.module] if node.module else []
            names = [".".join([*base, alias.name]) for alias in node.names]
        else:
            continue
        for name in names:
            yield name.removeprefix(OURS)


def strangers(path: Path, *allowed: str) -> list[str]:
    """The imports of a file that are neither of the standard library nor under one of the allowed names."""
    return [
        name
        for name in imports(path)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not any(name == prefix or name.startswith(f"{prefix}.") for prefix in allowed)
    ]


def room(name: str) -> str:
    return f"plugins.module_utils.{name}"


@pytest.mark.parametrize("path", python_files("module_utils/knowledge"))
def test_knowledge_imports_only_the_standard_library_and_its_siblings(path: Path) -> None:
    yaml = {name: ["yaml"] for name in ("manifest.py", "releases_file.py", "user_file.py")}
    libraries = {"expressions.py": ["jmespath"], **yaml}
    assert strangers(path, room("knowledge"), *libraries.get(path.name, [])) == []


@pytest.mark.parametrize("path", python_files("module_utils/operations"))
def test_operations_import_neither_kubernetes_nor_ansible(path: Path) -> None:
    assert strangers(path, room("knowledge"), room("cluster"), room("operations"), "jmespath", "yaml") == []


@pytest.mark.parametrize("path", python_files("module_utils/cluster"))
def test_cluster_does_not_import_operations(path: Path) -> None:
    allowed = (room("knowledge"), room("cluster"), "kubernetes", "ansible", "ansible_collections.kubernetes.core")
    assert strangers(path, *allowed, "urllib3", "yaml") == []


@pytest.mark.parametrize("path", python_files(""))
def test_only_cluster_imports_kubernetes(path: Path) -> None:
    if UTILS / "cluster" in path.parents:
        return
    found = [
        n for n in imports(path) if n.split(".")[0] == "kubernetes" or n.startswith("ansible_collections.kubernetes")
    ]
    assert found == []


@pytest.mark.parametrize("path", python_files("modules", "action", "plugin_utils"))
def test_modules_and_actions_import_only_operations_and_what_runs_them(path: Path) -> None:
    cluster = (room("cluster.connection"), room("cluster.interruption"), room("cluster.manifest_source"))
    allowed = (room("operations"), room("module_run"), *cluster, "plugins.plugin_utils", "ansible", "yaml")
    assert strangers(path, *allowed) == []


@pytest.mark.parametrize("path", python_files("filter"))
def test_filters_import_only_knowledge(path: Path) -> None:
    assert strangers(path, room("knowledge")) == []


@pytest.mark.parametrize("path", python_files(""))
def test_plugins_wait_on_watches_and_clocks_only(path: Path) -> None:
    """No ``time.sleep`` and no ``while True``: every wait has a deadline, and a test can hand in its clock."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr == "sleep" and ast.unparse(node.value) == "time":
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
        if isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and node.test.value:
            found.append(f"line {node.lineno}: while {ast.unparse(node.test)}")
    assert [*found, *(n for n in imports(path) if n == "time.sleep")] == []


def entry_points() -> list[Any]:
    """Every entry point of every role: its options, and the role's defaults."""
    found = []
    for role in ROLES:
        defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
        for name, entry in yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"].items():
            found.append(pytest.param(entry["options"], defaults, id=f"{role.name}-{name}"))
    return found


each_entry_point = pytest.mark.parametrize(("options", "defaults"), entry_points())
Options = dict[str, dict[str, Any]]


@each_entry_point
def test_a_roles_defaults_are_those_of_its_argument_spec(options: Options, defaults: dict[str, Any]) -> None:
    """All options but the required ones have a default, the same in both files; 1 is neither true nor "1"."""
    optional = {name: option for name, option in options.items() if not option.get("required")}
    assert {name for name, option in options.items() if "default" in option} == set(optional)
    assert {name: repr(one) for name, one in defaults.items()} == {
        name: repr(option["default"]) for name, option in optional.items()
    }


@each_entry_point
def test_a_roles_defaults_are_what_its_argument_spec_takes(options: Options, defaults: dict[str, Any]) -> None:
    """As Ansible checks them when the role begins; and they are of their option's type already."""
    optional = {name: option for name, option in options.items() if not option.get("required")}
    checked = ArgumentSpecValidator(optional).validate(defaults)
    assert checked.error_messages == []
    assert repr(checked.validated_parameters) == repr(defaults)


def test_the_action_group_holds_every_module_that_asks_a_cluster() -> None:
    group = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]["all"]
    modules = {path.stem for path in (PLUGINS / "modules").glob("*.py")} - {"fleet_report"}
    assert modules == {entry for entry in group if isinstance(entry, str)}


def test_the_python_requirements_agree() -> None:
    assert (ROOT / "meta/ee-requirements.txt").read_text() == (ROOT / "requirements.txt").read_text()


RESERVED = {
    "failed",
    "msg",
    "skipped",
    "unreachable",
    "exception",
    "invocation",
    "warnings",
    "deprecations",
    "results",
    "rc",
}


@pytest.mark.parametrize("path", python_files("modules"))
def test_no_key_of_a_result_is_one_that_ansible_reads_by_itself(path: Path) -> None:
    """A list of VMs as ``failed`` would make the task fail."""
    returned = next(node.value for node in ast.parse(path.read_text()).body if _is_assignment_of("RETURN", node))
    assert not RESERVED & {*yaml.safe_load(ast.literal_eval(returned))}


def _is_assignment_of(name: str, node: Any) -> bool:
    return isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == [name]
