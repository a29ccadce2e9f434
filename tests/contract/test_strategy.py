# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The workload update strategy against a real API server: what it stores of ours, and what is read of VMs there."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

import pytest

from tests.contract.conftest import HEALTHY, MIGRATIONS_CRD, World
from tests.contract.test_refusals import untouched
from tests.support.kubevirt import KUBEVIRT
from tests.support.lab import Json, Result, mutating

PLAN = ("changed", "diff", "actions", "strategy", "strategy_before", "from_version", "to_version")
# virt-operator makes these CRDs too, and of their schemas nothing counts here.
KINDS = {"VirtualMachine": "virtualmachines", "VirtualMachineInstance": "virtualmachineinstances"}


def crd(kind: str, plural: str) -> str:
    plain = MIGRATIONS_CRD.replace("virtualmachineinstancemigrations", plural)
    return plain.replace("VirtualMachineInstanceMigration", kind)


def node(name: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubevirt.io/schedulable": "true"}},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Test", "message": "A test says so."}]},
    }


def vm(name: str, run_strategy: str) -> Json:
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"runStrategy": run_strategy},
    }


def vmi(name: str, *, migratable: bool, owned: bool = True) -> Json:
    owner = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "name": name, "uid": name, "controller": True}
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {"kubevirt.io/outdatedLauncherImage": ""},
            "ownerReferences": [owner] if owned else [],
        },
        "status": {
            "phase": "Running",
            "launcherContainerImageVersion": "quay.io/kubevirt/virt-launcher:v1.6.0",
            "conditions": [
                {
                    "type": "LiveMigratable",
                    "status": str(migratable),
                    "reason": "" if migratable else "DisksNotLiveMigratable",
                }
            ],
        },
    }


VMS = [
    *(vm("web", "Always"), vmi("web", migratable=True)),
    *(vm("gpu", "Always"), vmi("gpu", migratable=False)),
    *(vm("manual", "Manual"), vmi("manual", migratable=False)),
    vmi("lone", migratable=True, owned=False),
]


@pytest.fixture(scope="module")
def peopled(world: World) -> Iterator[World]:
    """KubeVirt with two nodes and four VMs on old launchers."""
    for kind, plural in KINDS.items():
        world.lab.kubectl("create", "-f", "-", stdin=crd(kind, plural))
        world.lab.wait_for("Established", f"crd/{plural}.kubevirt.io")
    world.lab.apply(node("one"), node("two"), *VMS)
    yield world
    for plural in KINDS.values():
        world.lab.kubectl("delete", "crd", f"{plural}.kubevirt.io")
    world.lab.kubectl("delete", "node", "one", "two")


@pytest.fixture
def clean(peopled: World) -> Iterator[World]:
    """Without a strategy, before and after."""
    yield peopled
    peopled.patch(KUBEVIRT, {"spec": {"workloadUpdateStrategy": None}})
    peopled.status(HEALTHY)


def strategy(world: World, *methods: str, check: bool = False, **params: t.Any) -> Result:
    asked = {"methods": list(methods), "wait": False, **params}
    return world.lab.module("kubevirt_workload_strategy", asked, check=check)


def stored(world: World) -> t.Any:
    return world.lab.get(*KUBEVIRT)["spec"].get("workloadUpdateStrategy")


def test_check_mode_predicts_the_run_and_a_second_run_changes_nothing(clean: World) -> None:
    with untouched(clean):
        predicted = strategy(clean, "LiveMigrate", check=True)
    position = clean.lab.audit_position()
    done = strategy(clean, "LiveMigrate")
    assert done.code == 0, done.message
    assert done.data["changed"] is True
    assert {key: done.data[key] for key in PLAN} == {key: predicted.data[key] for key in PLAN}
    assert stored(clean) == done.data["strategy"] == {"workloadUpdateMethods": ["LiveMigrate"]}
    assert len(mutating(clean.lab.audited(position))) == 2, "a dry run and the write"
    with untouched(clean):
        again = strategy(clean, "LiveMigrate")
    assert (again.data["changed"], again.data["diff"], again.data["actions"]) == (False, [], [])


def test_the_spelling_of_the_user_guide_becomes_the_fields_that_there_are(clean: World) -> None:
    asked = {"workloadUpdateMethods": ["LiveMigrate"], "batchEvictSize": 5, "batchEvictInterval": "90s"}
    done = strategy(clean, **asked, methods=None)
    assert done.code == 0, done.message
    assert stored(clean) == {
        "workloadUpdateMethods": ["LiveMigrate"],
        "batchEvictionSize": 5,
        "batchEvictionInterval": "1m30s",
    }
    with untouched(clean):
        again = strategy(clean, "LiveMigrate", batch_evict_size=5, batchEvictionInterval="1m30s")
    assert not again.data["changed"]


def test_the_fields_that_are_not_asked_for_stay_and_absent_removes_all(clean: World) -> None:
    strategy(clean, "LiveMigrate", batch_eviction_size=5)
    assert strategy(clean).data["changed"]
    assert stored(clean) == {"workloadUpdateMethods": [], "batchEvictionSize": 5}
    assert strategy(clean, methods=None, state="absent").data["changed"]
    assert stored(clean) is None
    assert not strategy(clean, methods=None, state="absent").data["changed"]


def test_what_becomes_of_each_vm(clean: World) -> None:
    seen = strategy(clean, "LiveMigrate", check=True).data["vms"]
    assert (seen["total"], seen["to_be_moved"], seen["by_launcher"]) == (4, 4, {"v1.6.0": 4})
    fates = {one["name"]: one["fate"] for one in seen["listed"]}
    assert fates == {"web": "migrated", "gpu": "stays-old", "manual": "stays-old", "lone": "migrated"}
    both = strategy(clean, "LiveMigrate", "Evict", check=True).data["vms"]
    fates = {one["name"]: one["fate"] for one in both["listed"]}
    assert fates == {"web": "migrated", "gpu": "restarted", "manual": "left-down", "lone": "migrated"}


def test_evictions_from_which_vms_do_not_come_back_are_accepted_one_by_one(clean: World) -> None:
    down, gone = "workloads.evict-leaves-vm-down", "workloads.evict-destroys-vmi"
    with untouched(clean):
        refused = strategy(clean, "Evict")
        half = strategy(clean, "Evict", accept=[down])
    assert refused.code != 0 and f"[{down}]" in refused.message and f"[{gone}]" in refused.message
    assert half.code != 0 and f"[{down}]" not in half.message and f"[{gone}]" in half.message
    assert "default/manual" in refused.finding(down)["object"] and "default/lone" in refused.finding(gone)["object"]
    accepted = strategy(clean, "Evict", accept=[down, gone])
    assert accepted.code == 0, accepted.message
    assert stored(clean) == {"workloadUpdateMethods": ["Evict"]}


def test_an_upgrade_that_holds_the_methods(clean: World) -> None:
    annotation = {"lifecycle.kubevirt.io/held-workload-update-methods": '["LiveMigrate"]'}
    clean.patch(KUBEVIRT, {"metadata": {"annotations": annotation}})
    try:
        with untouched(clean):
            refused = strategy(clean, "LiveMigrate", accept=["workloads.methods-held"])
        assert refused.code != 0 and refused.finding_ids[0] == "workloads.methods-held"
    finally:
        clean.patch(KUBEVIRT, {"metadata": {"annotations": dict.fromkeys(annotation)}})


def test_one_node(clean: World) -> None:
    clean.lab.kubectl("cordon", "two")
    try:
        with untouched(clean):
            refused = strategy(clean, "LiveMigrate")
        assert refused.code != 0 and "[workloads.needs-two-nodes]" in refused.message
    finally:
        clean.lab.kubectl("uncordon", "two")
