# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of one running VM, from its VirtualMachineInstance and VirtualMachine."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import guests
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.guests import Guest, Keeper
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.versions import Version

Object = dict[str, t.Any]

LAUNCHER = "quay.io/kubevirt/virt-launcher:v1.7.0"


def condition(type: str, status: str = "True", **more: str) -> Object:
    return {"type": type, "status": status, **more}


def vmi(*conditions: Object, metadata: Object | None = None, spec: Object | None = None, **status: t.Any) -> Object:
    return {
        "metadata": {"namespace": "shop", "name": "web", "uid": "1-2-3", **(metadata or {})},
        "spec": spec or {},
        "status": {
            "phase": "Running",
            "nodeName": "node-1",
            "launcherContainerImageVersion": LAUNCHER,
            "conditions": [condition("LiveMigratable"), *conditions],
            **status,
        },
    }


def guest(
    *args: t.Any, run_strategies: dict[str, str] | None = None, default: str | None = None, **more: t.Any
) -> Guest:
    return guests.guest_of(vmi(*args, **more), run_strategies or {}, default)


def test_a_vm_that_can_be_migrated() -> None:
    owner = {"kind": "VirtualMachine", "name": "web", "controller": True}
    assert guest(metadata={"ownerReferences": [owner]}, run_strategies={"shop/web": "Always"}) == Guest(
        namespace="shop",
        name="web",
        uid="1-2-3",
        node="node-1",
        running=True,
        launcher_image=LAUNCHER,
        outdated=False,
        migrating=False,
        migratable=True,
        not_migratable="",
        eviction_strategy="None",
        keeper=Keeper.VM,
        keeper_name="web",
        run_strategy="Always",
        pending=(),
        migration_failure="",
    )


def test_an_instance_of_which_nothing_is_known_yet() -> None:
    seen = guests.guest_of({"metadata": {"namespace": "shop", "name": "web"}}, {})
    assert (seen.full_name, seen.running, seen.migratable, seen.launcher_version) == ("shop/web", False, False, None)
    assert seen.not_migratable == "it does not say whether it can be migrated"
    assert not seen.is_to_be_moved


@pytest.mark.parametrize(
    ("image", "tag", "version"),
    [
        (LAUNCHER, "v1.7.0", Version(1, 7, 0)),
        ("registry:5000/virt-launcher:v1.7.0@sha256:ab", "v1.7.0", Version(1, 7, 0)),
        ("registry:5000/virt-launcher@sha256:ab", "", None),
        ("registry:5000/virt-launcher", "", None),
        ("quay.io/kubevirt/virt-launcher:latest", "latest", None),
        ("", "", None),
    ],
)
def test_the_version_of_its_launcher(image: str, tag: str, version: Version | None) -> None:
    seen = guest(launcherContainerImageVersion=image)
    assert (seen.launcher_tag, seen.launcher_version) == (tag, version)


@pytest.mark.parametrize(
    ("changes", "running"),
    [
        ({}, True),
        ({"phase": "Scheduled"}, False),
        ({"phase": "Succeeded"}, False),
        ({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, False),
    ],
)
def test_only_a_running_one_is_moved(changes: Object, running: bool) -> None:
    label = {"labels": {"kubevirt.io/outdatedLauncherImage": ""}}
    seen = guest(**{**changes, "metadata": label | changes.get("metadata", {})})
    assert seen.outdated
    assert seen.running is seen.is_to_be_moved is running


@pytest.mark.parametrize(
    ("migratable", "why"),
    [
        (condition("LiveMigratable"), ""),
        (
            condition("LiveMigratable", "False", reason="DisksNotLiveMigratable", message="disk0 is not shared"),
            "DisksNotLiveMigratable: disk0 is not shared",
        ),
        (condition("LiveMigratable", "False", reason="HostDeviceNotLiveMigratable"), "HostDeviceNotLiveMigratable"),
        (condition("LiveMigratable", "False"), "it does not say why"),
    ],
)
def test_why_it_cannot_be_migrated(migratable: Object, why: str) -> None:
    seen = guest(conditions=[migratable])
    assert (seen.migratable, seen.not_migratable) == (not why, why)


@pytest.mark.parametrize(
    ("own", "default", "expected"),
    [
        (None, None, "None"),
        (None, "LiveMigrate", "LiveMigrate"),
        ("None", "LiveMigrate", "None"),
        ("External", "LiveMigrate", "External"),
    ],
)
def test_its_own_eviction_strategy_comes_before_that_of_the_configuration(
    own: str | None, default: str | None, expected: str
) -> None:
    assert guest(spec={"evictionStrategy": own}, default=default).eviction_strategy == expected


@pytest.mark.parametrize(
    ("kubevirt", "expected"),
    [
        ({}, None),
        ({"spec": {"configuration": None}}, None),
        ({"spec": {"configuration": {"evictionStrategy": "LiveMigrate"}}}, "LiveMigrate"),
    ],
)
def test_the_eviction_strategy_of_the_configuration(kubevirt: Object, expected: str | None) -> None:
    assert guests.default_eviction_strategy(kubevirt) == expected


@pytest.mark.parametrize(
    ("references", "keeper", "name", "run_strategy"),
    [
        ([], Keeper.NOBODY, "", ""),
        ([{"kind": "VirtualMachine", "name": "db", "controller": True}], Keeper.VM, "db", "Manual"),
        ([{"kind": "VirtualMachine", "name": "gone", "controller": True}], Keeper.VM, "gone", ""),
        (
            [{"kind": "VirtualMachineInstanceReplicaSet", "name": "db", "controller": True}],
            Keeper.REPLICA_SET,
            "db",
            "",
        ),
        ([{"kind": "Machine", "name": "db", "controller": True}], Keeper.NOBODY, "", ""),
        ([{"kind": "VirtualMachine", "name": "db"}], Keeper.NOBODY, "", ""),
    ],
)
def test_who_starts_it_again(references: list[Object], keeper: Keeper, name: str, run_strategy: str) -> None:
    seen = guest(metadata={"ownerReferences": references}, run_strategies={"shop/db": "Manual", "else/db": "Always"})
    assert (seen.keeper, seen.keeper_name, seen.run_strategy) == (keeper, name, run_strategy)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"running": True}, "Always"),
        ({"running": False}, "Halted"),
        ({"runStrategy": "RerunOnFailure"}, "RerunOnFailure"),
        ({}, "Halted"),
        (None, "Halted"),
    ],
)
def test_run_strategies(spec: Object | None, expected: str) -> None:
    vm = {"metadata": {"namespace": "shop", "name": "web"}, "spec": spec}
    assert guests.run_strategies_of([vm]) == {"shop/web": expected}


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], ()),
        ([condition("HotVCPUChange", "False")], ("HotVCPUChange",)),
        ([condition("HotMemoryChange")], ("HotMemoryChange",)),
        ([condition("HotMemoryChange", "False"), condition("MigrationRequired", "False")], ()),
        ([condition("VolumesChange"), condition("MigrationRequired")], ("MigrationRequired", "VolumesChange")),
        ([condition("Ready"), condition("VolumesChange", "False")], ()),
    ],
)
def test_changes_for_which_it_would_be_moved(conditions: list[Object], expected: tuple[str, ...]) -> None:
    seen = guest(*conditions)
    assert (seen.pending, seen.is_to_be_moved) == (expected, bool(expected))


def test_a_change_that_was_called_off() -> None:
    seen = guest(condition("HotMemoryChange"), metadata={"annotations": {guests.ABORTED_ANNOTATION: ""}})
    assert seen.pending == ()


@pytest.mark.parametrize(
    ("state", "migrating", "failure"),
    [
        (None, False, ""),
        ({}, False, ""),
        ({"startTimestamp": "1"}, True, ""),
        ({"startTimestamp": "1", "endTimestamp": "2", "completed": True}, False, ""),
        (
            {"startTimestamp": "1", "endTimestamp": "2", "failed": True, "failureReason": "no target"},
            False,
            "no target",
        ),
        ({"endTimestamp": "2", "failed": True}, False, "it failed; KubeVirt before 1.2 does not say why"),
    ],
)
def test_its_last_migration(state: Object | None, migrating: bool, failure: str) -> None:
    seen = guest(migrationState=state)
    assert (seen.migrating, seen.migration_failure) == (migrating, failure)
