# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What becomes of a running VM under given workload update methods.

After getUpdateData in pkg/virt-controller/watch/workload-updater, the webhook for evictions
(pkg/virt-api/webhooks/validating-webhook/admitters/pod-eviction-admitter.go) and the VM controller (watch/vm).
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum

from .guests import Guest, Keeper
from .workload_strategy import EVICT, LIVE_MIGRATE


class Fate(str, Enum):
    """What happens to a VM, the worst first."""

    DESTROYED = "destroyed"
    LEFT_DOWN = "left-down"
    RESTARTED = "restarted"
    EVICTION_REFUSED = "eviction-refused"
    LEFT_TO_OTHERS = "left-to-others"
    CANNOT_MIGRATE = "cannot-migrate"
    STAYS_OLD = "stays-old"
    MIGRATED_BY_EVICTION = "migrated-by-eviction"
    MIGRATED = "migrated"
    MIGRATING = "migrating"
    UP_TO_DATE = "up-to-date"
    NOT_RUNNING = "not-running"


IN_WORDS = {
    Fate.DESTROYED: "evicted and gone, because nobody starts them again",
    Fate.LEFT_DOWN: "evicted and left down",
    Fate.RESTARTED: "evicted and started again",
    Fate.EVICTION_REFUSED: "asked to go again and again, and never let go",
    Fate.LEFT_TO_OTHERS: "left to the controller that their eviction strategy External is for",
    Fate.CANNOT_MIGRATE: "to be migrated, which cannot work here",
    Fate.STAYS_OLD: "left as they are",
    Fate.MIGRATED_BY_EVICTION: "migrated, because their eviction strategy turns an eviction into that",
    Fate.MIGRATED: "migrated",
    Fate.MIGRATING: "migrating now",
    Fate.UP_TO_DATE: "up to date",
    Fate.NOT_RUNNING: "not running",
}
"""Of several VMs, as the page says it."""


def fate_of(guest: Guest, methods: Collection[str], *, can_migrate: bool = True) -> Fate:
    """What happens to a VM.

    Args:
        guest: The VM.
        methods: The workload update methods.
        can_migrate: Whether live migrations can work in this cluster at all. virt-controller does not ask; it tries again and
            again, and evicts nothing instead.
    """
    if not guest.running:
        return Fate.NOT_RUNNING
    if guest.migrating:
        return Fate.MIGRATING
    if not guest.is_to_be_moved:
        return Fate.UP_TO_DATE
    if LIVE_MIGRATE in methods and (guest.migratable or "VolumesChange" in guest.pending):
        return Fate.MIGRATED if can_migrate else Fate.CANNOT_MIGRATE
    if EVICT in methods:
        return _fate_by_eviction(guest, can_migrate)
    return Fate.STAYS_OLD


def why(guest: Guest, fate: Fate) -> str:
    """Why that happens to it; empty where the fate says it all."""
    if fate is Fate.DESTROYED:
        return "it belongs to no VirtualMachine"
    if fate is Fate.LEFT_DOWN:
        strategy = guest.run_strategy
        return f"its run strategy is {strategy}" if strategy else f"its VirtualMachine {guest.keeper_name} is not there"
    if fate in (Fate.EVICTION_REFUSED, Fate.LEFT_TO_OTHERS, Fate.MIGRATED_BY_EVICTION):
        reason = f"its eviction strategy is {guest.eviction_strategy}"
        return f"{reason}, and it cannot be migrated ({guest.not_migratable})" if guest.not_migratable else reason
    if fate in (Fate.RESTARTED, Fate.STAYS_OLD) and guest.not_migratable:
        return f"it cannot be migrated ({guest.not_migratable})"
    return ""


def how_to_restart(guest: Guest) -> str:
    """What takes a VM to the new launcher, for whom restarting it is right; a command where one will do.

    KubeVirt refuses to restart or start a VM with the run strategy Once (pkg/virt-api/rest/lifecycle.go).
    """
    name = f"{guest.name} -n {guest.namespace}"
    if guest.keeper is Keeper.REPLICA_SET:
        return f"kubectl delete vmi {name} (its replica set replaces it)"
    if guest.keeper is Keeper.NOBODY:
        return f"kubectl delete vmi {name}, and create it again (it belongs to no VirtualMachine that would)"
    if guest.run_strategy == "Once":
        return f"virtctl stop {name}, then virtctl start {name} (its run strategy Once knows no restart; it is Always afterwards)"
    return f"virtctl restart {name}"


def _fate_by_eviction(guest: Guest, can_migrate: bool) -> Fate:
    if guest.eviction_strategy == "External":
        return Fate.LEFT_TO_OTHERS
    if guest.eviction_strategy in ("LiveMigrate", "LiveMigrateIfPossible") and guest.migratable:
        return Fate.MIGRATED_BY_EVICTION if can_migrate else Fate.CANNOT_MIGRATE
    if guest.eviction_strategy == "LiveMigrate":
        return Fate.EVICTION_REFUSED
    if guest.keeper is Keeper.NOBODY:
        return Fate.DESTROYED
    if guest.keeper is Keeper.REPLICA_SET or guest.run_strategy == "Always":
        return Fate.RESTARTED
    # RerunOnFailure too: a guest that is shut down in an orderly way has not failed.
    return Fate.LEFT_DOWN
