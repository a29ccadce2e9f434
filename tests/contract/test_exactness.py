# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check mode predicts exactly what a run does, however KubeVirt was installed, and a second run has nothing to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.contract.conftest import FROM, TO, World
from tests.support.install import OLD_ENTRY, WAYS, with_old_entry
from tests.support.lab import Json, mutating

PLAN = ("changed", "diff", "actions", "path", "from_version", "to_version")


@pytest.fixture(params=WAYS)
def installed(request: pytest.FixtureRequest, bare_world: World, tmp_path: Path) -> Iterator[World]:
    """KubeVirt 1.7.0, installed in one of the ways that people use, with an entry that 1.8.4's manifest does not have."""
    bare_world.install(request.param, with_old_entry(bare_world.manifests[FROM], tmp_path / "old.yaml"))
    yield bare_world
    bare_world.remove()


def test_check_mode_predicts_the_run_and_sends_nothing_that_writes(installed: World) -> None:
    position = installed.lab.audit_position()
    predicted = installed.upgrade(check=True, wait=False)
    requests = installed.lab.audited(position)
    assert requests, "the audit log has nothing of us"
    assert mutating(requests) == []

    done = installed.upgrade(wait=False)
    assert done.code == 0, done.message
    assert {key: done.data[key] for key in PLAN} == {key: predicted.data[key] for key in PLAN}
    assert done.data["changed"] is True

    operator = installed.lab.get("deployment", "virt-operator", "-n", "kubevirt")
    assert OLD_ENTRY["name"] in str(predicted.data["diff"])
    assert OLD_ENTRY["name"] not in _environment(operator)
    _assert_as_in_the_manifest(installed)

    again = installed.upgrade(check=True)
    assert (again.data["changed"], again.data["diff"]) == (False, [])
    assert [action["action"] for action in again.data["actions"]] == ["wait"]  # nobody is here to carry the hop out


def _assert_as_in_the_manifest(world: World) -> None:
    """Every object is what the API server makes of a new one from the manifest: nothing more, nothing else."""
    for desired in yaml.safe_load_all(world.manifests[TO].read_text()):
        if not desired or desired["kind"] == "Namespace":  # labels of a namespace are people's; nothing there is new
            continue
        name = (desired["kind"], desired["metadata"]["name"])
        where = ("-n", desired["metadata"]["namespace"]) if "namespace" in desired["metadata"] else ()
        live = world.lab.get(*name, *where)
        owned = [entry["manager"] for entry in live["metadata"]["managedFields"] if entry["operation"] == "Apply"]
        assert owned == ["kubevirt.lifecycle"], (name, owned)
        if desired["kind"] in ("ClusterRole", "Role"):
            assert live["rules"] == desired["rules"], name
        if desired["kind"] == "CustomResourceDefinition":
            assert live["spec"]["versions"] == desired["spec"]["versions"], name
        if desired["kind"] == "Deployment":
            assert _environment(live) == _environment(desired), name
        assert live["metadata"].get("labels") == desired["metadata"].get("labels"), name
        assert "kubectl.kubernetes.io/last-applied-configuration" not in live["metadata"].get("annotations", {}), name


def _environment(deployment: Json) -> dict[str, str | None]:
    """The operator's variables; those that refer to a field, without what the API server fills in there."""
    variables = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    return {variable["name"]: variable.get("value") for variable in variables}
