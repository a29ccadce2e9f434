# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of a VM: the table of KubeVirt's workload updater, its webhook for evictions, and its VM controller."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.fates import (
    IN_WORDS,
    Fate,
    fate_of,
    how_to_restart,
    why,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.guests import Guest, Keeper

LIVE, EVICT, BOTH = ["LiveMigrate"], ["Evict"], ["LiveMigrate", "Evict"]
METHODS = ([], LIVE, EVICT, BOTH)


def guest(**changes: t.Any) -> Guest:
    """An outdated VM that can be migrated and is kept up by its VirtualMachine."""
    migratable = changes.get("migratable", True)
    usual: dict[str, t.Any] = {
        "namespace": "shop",
        "name": "web",
        "uid": "1",
        "node": "node-1",
        "running": True,
        "launcher_image": "quay.io/kubevirt/virt-launcher:v1.7.0",
        "outdated": True,
        "migrating": False,
        "migratable": True,
        "not_migratable": "" if migratable else "DisksNotLiveMigratable",
        "eviction_strategy": "None",
        "keeper": Keeper.VM,
        "keeper_name": "web",
        "run_strategy": "Always",
        "pending": (),
        "migration_failure": "",
    }
    return Guest(**{**usual, **changes})


@pytest.mark.parametrize(
    ("changes", "fates"),
    [
        ({}, "stays-old migrated restarted migrated"),
        ({"migratable": False}, "stays-old stays-old restarted restarted"),
        ({"migration_failure": "no target"}, "stays-old migrated restarted migrated"),
        # the eviction strategy decides what an eviction is
        ({"eviction_strategy": "LiveMigrate"}, "stays-old migrated migrated-by-eviction migrated"),
        (
            {"eviction_strategy": "LiveMigrate", "migratable": False},
            "stays-old stays-old eviction-refused eviction-refused",
        ),
        ({"eviction_strategy": "LiveMigrateIfPossible"}, "stays-old migrated migrated-by-eviction migrated"),
        (
            {"eviction_strategy": "LiveMigrateIfPossible", "migratable": False},
            "stays-old stays-old restarted restarted",
        ),
        ({"eviction_strategy": "External"}, "stays-old migrated left-to-others migrated"),
        ({"eviction_strategy": "External", "migratable": False}, "stays-old stays-old left-to-others left-to-others"),
        # who starts it again
        ({"run_strategy": "RerunOnFailure"}, "stays-old migrated left-down migrated"),
        ({"run_strategy": "Manual", "migratable": False}, "stays-old stays-old left-down left-down"),
        ({"run_strategy": "Once"}, "stays-old migrated left-down migrated"),
        ({"run_strategy": "Halted"}, "stays-old migrated left-down migrated"),
        ({"run_strategy": "WaitAsReceiver"}, "stays-old migrated left-down migrated"),
        ({"run_strategy": ""}, "stays-old migrated left-down migrated"),
        ({"keeper": Keeper.REPLICA_SET, "run_strategy": ""}, "stays-old migrated restarted migrated"),
        ({"keeper": Keeper.NOBODY, "run_strategy": ""}, "stays-old migrated destroyed migrated"),
        (
            {"keeper": Keeper.NOBODY, "run_strategy": "", "migratable": False},
            "stays-old stays-old destroyed destroyed",
        ),
        # whom virt-controller counts
        ({"outdated": False}, "up-to-date up-to-date up-to-date up-to-date"),
        ({"outdated": False, "pending": ("HotMemoryChange",)}, "stays-old migrated restarted migrated"),
        (
            {"outdated": False, "pending": ("HotVCPUChange",), "migratable": False},
            "stays-old stays-old restarted restarted",
        ),
        ({"pending": ("VolumesChange",), "migratable": False}, "stays-old migrated restarted migrated"),
        ({"migrating": True}, "migrating migrating migrating migrating"),
        ({"running": False}, "not-running not-running not-running not-running"),
    ],
)
def test_fates_under_no_method_live_migrate_evict_and_both(changes: dict[str, t.Any], fates: str) -> None:
    seen = " ".join(fate_of(guest(**changes), methods).value for methods in METHODS)
    assert seen == fates


@pytest.mark.parametrize(
    ("changes", "fates"),
    [
        ({}, "stays-old cannot-migrate restarted cannot-migrate"),
        ({"migratable": False}, "stays-old stays-old restarted restarted"),
        ({"eviction_strategy": "LiveMigrate"}, "stays-old cannot-migrate cannot-migrate cannot-migrate"),
        ({"outdated": False}, "up-to-date up-to-date up-to-date up-to-date"),
    ],
)
def test_fates_where_live_migrations_cannot_work(changes: dict[str, t.Any], fates: str) -> None:
    """With both methods a VM that says that it can be migrated is not evicted, although no migration ever succeeds."""
    seen = " ".join(fate_of(guest(**changes), methods, can_migrate=False).value for methods in METHODS)
    assert seen == fates


@pytest.mark.parametrize(
    ("changes", "methods", "expected"),
    [
        ({}, LIVE, ""),
        ({}, [], ""),
        ({"migratable": False}, LIVE, "it cannot be migrated (DisksNotLiveMigratable)"),
        ({"migratable": False}, BOTH, "it cannot be migrated (DisksNotLiveMigratable)"),
        ({"run_strategy": "Manual"}, EVICT, "its run strategy is Manual"),
        ({"run_strategy": ""}, EVICT, "its VirtualMachine web is not there"),
        ({"keeper": Keeper.NOBODY}, EVICT, "it belongs to no VirtualMachine"),
        ({"eviction_strategy": "LiveMigrate"}, EVICT, "its eviction strategy is LiveMigrate"),
        (
            {"eviction_strategy": "LiveMigrate", "migratable": False},
            BOTH,
            "its eviction strategy is LiveMigrate, and it cannot be migrated (DisksNotLiveMigratable)",
        ),
    ],
)
def test_why(changes: dict[str, t.Any], methods: list[str], expected: str) -> None:
    seen = guest(**changes)
    assert why(seen, fate_of(seen, methods)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "virtctl restart web -n shop"),
        ({"run_strategy": "Manual"}, "virtctl restart web -n shop"),
        (
            {"run_strategy": "Once"},
            "virtctl stop web -n shop, then virtctl start web -n shop (its run strategy Once knows no restart",
        ),
        ({"keeper": Keeper.REPLICA_SET}, "kubectl delete vmi web -n shop (its replica set replaces it)"),
        ({"keeper": Keeper.NOBODY}, "kubectl delete vmi web -n shop, and create it again"),
    ],
)
def test_how_to_restart(changes: dict[str, t.Any], expected: str) -> None:
    assert how_to_restart(guest(**changes)).startswith(expected)


def test_every_fate_has_words() -> None:
    assert set(IN_WORDS) == set(Fate)
