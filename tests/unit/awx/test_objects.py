# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/awx: what it seeds is what awx.awx takes, names only what is there, and asks only what our playbooks know."""

from __future__ import annotations

import importlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from tests.support.awx import FOLDER, PROGRAMS, named, objects
from tests.support.lab import ROOT, Json, playbook_environment
from tests.unit.test_variables import REQUIRED, ROWS

OBJECTS = objects()
PROJECT = FOLDER / "project"
TEMPLATES = OBJECTS["controller_templates"]
WORKFLOWS = OBJECTS["controller_workflows"]
NODES = [node for workflow in WORKFLOWS for node in workflow["workflow_nodes"]]

# AWX offers the files of a project that have a line like this (awx/main/utils/ansible.py).
LISTED = re.compile(r"^\s*?-?\s*?(?:hosts|(ansible\.builtin\.)?include|(ansible\.builtin\.)?import_playbook):\s*?.*?$")
# awx/main/constants.py
QUESTION_TYPES = {"text", "textarea", "password", "multiplechoice", "multiselect", "integer", "float"}


class _Captured(Exception):
    def __init__(self, argument_spec: Json, **checks: Any) -> None:
        super().__init__()
        self.validator = ArgumentSpecValidator(
            argument_spec, **{key: value for key, value in checks.items() if key.startswith(("mutually_", "required_"))}
        )


def seeding() -> Iterator[tuple[str, Json]]:
    """The modules that seed.yml calls, and each entry that it hands them."""
    for task in yaml.safe_load((FOLDER / "seed.yml").read_text())[0]["tasks"]:
        (module,) = (key for key in task if key.startswith("awx.awx."))
        assert task[module] == "{{ item }}"
        for entry in OBJECTS[task["loop"].strip("{} ")]:
            yield module, entry


SEEDED = list(seeding())


def module_of(name: str) -> Any:
    return importlib.import_module(f"ansible_collections.awx.awx.plugins.modules.{name.rpartition('.')[2]}")


def errors(validator: ArgumentSpecValidator, given: Json) -> list[str]:
    return list(validator.validate(given).error_messages)


def documented_spec(options: Mapping[str, Json]) -> Json:
    """The argument spec of suboptions that awx.awx only documents."""
    return {
        name: {
            **{key: option[key] for key in ("type", "elements", "choices", "required") if key in option},
            **({"options": documented_spec(option["suboptions"])} if "suboptions" in option else {}),
        }
        for name, option in options.items()
    }


@pytest.mark.parametrize(("name", "entry"), [pytest.param(*one, id=f"{one[0]} {one[1]['name']}") for one in SEEDED])
def test_each_entry_is_what_its_module_takes(name: str, entry: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of(name)
    monkeypatch.setattr(module, "ControllerAPIModule", _raise)
    with pytest.raises(_Captured) as captured:
        module.main()
    assert errors(captured.value.validator, entry) == []
    assert errors(captured.value.validator, {**entry, "no_such_option": 1}) != []


def _raise(argument_spec: Json, **checks: Any) -> None:
    raise _Captured(argument_spec, **checks)


@pytest.mark.parametrize("node", [pytest.param(node, id=node["identifier"]) for node in NODES])
def test_each_node_is_what_the_module_documents(node: Json) -> None:
    options = yaml.safe_load(module_of("workflow_job_template").DOCUMENTATION)["options"]["workflow_nodes"][
        "suboptions"
    ]
    validator = ArgumentSpecValidator(documented_spec(options))
    assert errors(validator, node) == []
    assert errors(validator, {**node, "no_such_option": 1}) != []


def test_all_that_is_listed_is_seeded() -> None:
    lists = [entries for name, entries in OBJECTS.items() if name.startswith("controller_")]
    assert [entry for _module, entry in SEEDED] == [entry for entries in lists for entry in entries]


def names(kind: str) -> set[str]:
    return {entry["name"] for entry in OBJECTS[f"controller_{kind}"]}


def test_what_an_entry_names_is_there() -> None:
    named_by = {
        "credential_types": [one["credential_type"] for one in OBJECTS["controller_credentials"]],
        "credentials": [name for one in TEMPLATES for name in one["credentials"]],
        "execution_environments": [one["execution_environment"] for one in TEMPLATES]
        + [one["default_environment"] for one in OBJECTS["controller_projects"]],
        "inventories": [one["inventory"] for one in [*TEMPLATES, *OBJECTS["controller_inventory_sources"]]],
        "projects": [one["project"] for one in TEMPLATES]
        + [one["source_project"] for one in OBJECTS["controller_inventory_sources"]],
    }
    assert {kind: set(given) - names(kind) for kind, given in named_by.items()} == {kind: set() for kind in named_by}
    assert all((PROJECT / one["source_path"]).is_file() for one in OBJECTS["controller_inventory_sources"])


def test_the_workflow_goes_from_each_node_to_the_next_and_from_none_after_a_failure() -> None:
    kinds = {"job_template": "templates", "project": "projects", "inventory_source": "inventory_sources"}
    for node, following in zip(NODES, [*NODES[1:], None], strict=True):
        start = node["unified_job_template"]
        if start["type"] != "workflow_approval":
            assert start["name"] in names(kinds[start["type"]])
        related = {"success_nodes": [{"identifier": following["identifier"]}]} if following else {}
        assert node.get("related", {}) == related


def test_before_each_wave_somebody_is_asked_and_each_wave_is_a_group() -> None:
    groups = re.findall(r"^\[(\w+)\]$", (PROJECT / "clusters.ini").read_text(), re.MULTILINE)
    waves = [number for number, node in enumerate(NODES) if node["unified_job_template"]["name"] == "KubeVirt upgrade"]
    assert [NODES[number]["limit"] for number in waves] == groups
    for number in waves:
        assert NODES[number - 1]["unified_job_template"]["type"] == "workflow_approval"
        assert NODES[number - 1]["unified_job_template"]["timeout"] > 0
    assert named(TEMPLATES, "KubeVirt upgrade")["ask_limit_on_launch"], "or AWX would not take the limit of a node"
    assert not any(workflow.get("ask_limit_on_launch") for workflow in WORKFLOWS), "it would replace those of the nodes"


def surveys() -> Iterator[Any]:
    """Each survey, and the playbooks that get the answers."""
    for template in TEMPLATES:
        yield pytest.param(template, Path(template["playbook"]).stem, id=template["name"])
    for workflow in WORKFLOWS:
        yield pytest.param(workflow, "upgrade", id=workflow["name"])


@pytest.mark.parametrize(("asking", "playbook"), [*surveys()])
def test_a_survey_asks_for_what_the_playbook_knows_and_for_what_it_needs(asking: Json, playbook: str) -> None:
    rows = {row.playbook_variable: row for row in ROWS if playbook in row.playbooks}
    assert rows, f"docs/variables.md does not know the playbook {playbook}"
    questions = {one["variable"]: one for one in asking.get("survey_spec", {}).get("spec", [])}
    assert asking.get("survey_enabled", False) is bool(questions)
    assert questions.keys() <= rows.keys()
    needed = {name for name, row in rows.items() if row.default == REQUIRED}
    assert needed <= questions.keys()
    for name, question in questions.items():
        allowed = choices(rows[name].role_variables)
        assert allowed is None or set(question["choices"]) == set(allowed), name


def choices(role_variables: tuple[str, ...]) -> list[str] | None:
    for variable in role_variables:
        for specs in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
            option = yaml.safe_load(specs.read_text())["argument_specs"]["main"]["options"].get(variable)
            if option is not None:
                found: list[str] | None = option.get("choices")
                return found
    return None


@pytest.mark.parametrize(("asking", "playbook"), [*surveys()])
def test_awx_takes_the_survey(asking: Json, playbook: str) -> None:
    """What its API wants of each question (awx/api/views, _validate_spec_data)."""
    survey = asking.get("survey_spec", {"name": "", "description": "", "spec": [{}]})
    assert isinstance(survey["name"], str) and isinstance(survey["description"], str) and survey["spec"]
    for question in filter(None, survey["spec"]):
        texts = (question["variable"], question["question_name"], question["type"])
        assert all(isinstance(text, str) for text in texts) and isinstance(question["required"], bool)
        assert question["type"] in QUESTION_TYPES
        assert ("choices" in question) is question["type"].startswith("multi")
        if "default" in question:
            assert question["type"] != "multiselect", "AWX wants text here, and then does not take it for a list"
            assert question["default"] in question.get("choices", [question["default"]])


def test_awx_lists_the_playbooks_of_the_templates_and_nothing_else() -> None:
    files = [path for path in PROJECT.rglob("*") if path.suffix in (".yml", ".yaml")]
    listed = {path.name for path in files if any(LISTED.match(line) for line in path.read_text().splitlines())}
    assert listed == {template["playbook"] for template in TEMPLATES}


@pytest.mark.parametrize("name", [template["playbook"] for template in TEMPLATES])
def test_a_playbook_of_the_project_is_ours_in_three_lines(name: str) -> None:
    lines = (PROJECT / name).read_text().splitlines()
    assert len(lines) == 3
    assert lines[2].strip() == f"ansible.builtin.import_playbook: kubevirt.lifecycle.{Path(name).stem}"
    assert (ROOT / "playbooks" / name).is_file()


def test_the_seed_playbook_is_one() -> None:
    subprocess.run(
        [str(PROGRAMS / "ansible-playbook"), "--syntax-check", "seed.yml"],
        cwd=FOLDER,
        check=True,
        env=playbook_environment(),
        timeout=300,
    )


def load(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def test_the_execution_environment_has_what_the_collection_needs(tmp_path: Path) -> None:
    subprocess.run(
        [
            str(PROGRAMS / "ansible-builder"),
            "create",
            "-f",
            str(FOLDER / "execution-environment.yml"),
            "-c",
            str(tmp_path),
        ],
        check=True,
        timeout=300,
    )
    galaxy = load("galaxy.yml")
    required = yaml.safe_load((tmp_path / "_build/requirements.yml").read_text())["collections"]
    assert {one["name"]: one["version"] for one in required} == {
        f"{galaxy['namespace']}.{galaxy['name']}": f">={galaxy['version']}",
        **galaxy["dependencies"],
    }
    containerfile = next(
        path for path in tmp_path.iterdir() if path.name in ("Containerfile", "Dockerfile")
    ).read_text()
    assert f"ansible-core{load('meta/runtime.yml')['requires_ansible']}" in containerfile


def test_building_it_finds_the_packages_that_the_collection_needs(tmp_path: Path) -> None:
    """The build asks the installed collections; this is the command that it runs for that."""
    packages = (ROOT / "requirements.txt").read_text().split()
    tree = tmp_path / "ansible_collections" / "kubevirt"
    tree.mkdir(parents=True)
    (tree / "lifecycle").symlink_to(ROOT)
    done = subprocess.run(
        [str(PROGRAMS / "ansible-builder"), "introspect", str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    for package in packages:
        assert f"{package}  # from collection kubevirt.lifecycle" in done.stdout, done.stdout
