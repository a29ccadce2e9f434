# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. One running VM (a VirtualMachineInstance) as far as moving it to a new launcher goes.

Small, because a cluster may have ten thousand of them: what the API returned is not kept.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from .launchers import OUTDATED_LABEL, tag_of
from .versions import Version, try_parse

Object = Mapping[str, t.Any]

ABORTED_ANNOTATION = "kubevirt.io/testWorkloadUpdateMigrationAbortion"
"""With it a pending change is no reason for virt-controller to move a VM."""
# isHotplugInProgress and isVolumesUpdateInProgress of pkg/virt-controller/watch/workload-updater: the first one counts by being
# there, the others when they are True.
_PENDING = {
    "HotVCPUChange": ("True", "False", "Unknown"),
    "HotMemoryChange": ("True",),
    "MigrationRequired": ("True",),
    "VolumesChange": ("True",),
}


class Keeper(str, Enum):
    """What starts a VM again when its launcher has ended."""

    VM = "VirtualMachine"
    REPLICA_SET = "VirtualMachineInstanceReplicaSet"
    NOBODY = ""


@dataclass(frozen=True, slots=True)
class Guest:
    """One VirtualMachineInstance.

    Attributes:
        uid: Its UID; its pods have it in the label kubevirt.io/created-by.
        node: Where it runs; empty until it does.
        running: Its phase is Running, and it is not being deleted; only then does virt-controller move it.
        launcher_image: That of its virt-launcher, as virt-controller wrote it down; empty during a migration.
        outdated: virt-controller says that the launcher is not the one that it would use now.
        migrating: A live migration of it has begun and not ended.
        migratable: The condition LiveMigratable is True.
        not_migratable: Why not: the condition's reason and message; empty when it is.
        eviction_strategy: Its own, or else that of KubeVirt's configuration; ``None`` where neither says anything.
        keeper: What starts it again.
        keeper_name: The name of that object, which is in the same namespace.
        run_strategy: That of its VirtualMachine; empty where there is none, or where it was not read.
        pending: Conditions for which virt-controller would move it even if its launcher is not outdated.
        migration_failure: What the last live migration failed with; empty when it did not fail.
    """

    namespace: str
    name: str
    uid: str
    node: str
    running: bool
    launcher_image: str
    outdated: bool
    migrating: bool
    migratable: bool
    not_migratable: str
    eviction_strategy: str
    keeper: Keeper
    keeper_name: str
    run_strategy: str
    pending: tuple[str, ...]
    migration_failure: str

    @property
    def full_name(self) -> str:
        """namespace/name."""
        return f"{self.namespace}/{self.name}"

    @property
    def launcher_tag(self) -> str:
        """The tag of its launcher's image; empty where that is named by a digest, or not known."""
        return tag_of(self.launcher_image)

    @property
    def launcher_version(self) -> Version | None:
        """The version that the tag names, if any."""
        return try_parse(self.launcher_tag)

    @property
    def is_to_be_moved(self) -> bool:
        """Whether virt-controller counts it among those that want to be moved."""
        return self.running and (self.outdated or bool(self.pending))


def guest_of(vmi: Object, run_strategies: Mapping[str, str], default_eviction: str | None = None) -> Guest:
    """From a VirtualMachineInstance.

    Args:
        vmi: As the API returns it.
        run_strategies: From ``run_strategies_of``.
        default_eviction: From ``default_eviction_strategy``.
    """
    metadata, spec, status = vmi["metadata"], vmi.get("spec") or {}, vmi.get("status") or {}
    by_type = {one["type"]: one for one in status.get("conditions") or ()}
    migratable = by_type.get("LiveMigratable") or {}
    is_migratable = migratable.get("status") == "True"
    migration = status.get("migrationState") or {}
    keeper, keeper_name = _keeper(metadata)
    return Guest(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata.get("uid") or "",
        node=status.get("nodeName") or "",
        running=status.get("phase") == "Running" and not metadata.get("deletionTimestamp"),
        launcher_image=status.get("launcherContainerImageVersion") or "",
        outdated=OUTDATED_LABEL in (metadata.get("labels") or {}),
        migrating=bool(migration.get("startTimestamp")) and not migration.get("endTimestamp"),
        migratable=is_migratable,
        not_migratable="" if is_migratable else _why_not(migratable),
        eviction_strategy=spec.get("evictionStrategy") or default_eviction or "None",
        keeper=keeper,
        keeper_name=keeper_name,
        run_strategy=run_strategies.get(f"{metadata['namespace']}/{keeper_name}", "") if keeper is Keeper.VM else "",
        pending=_pending(metadata, by_type),
        migration_failure=_failure(migration),
    )


def run_strategies_of(vms: Iterable[Object]) -> dict[str, str]:
    """The run strategy of each VirtualMachine, by namespace/name."""
    return {f"{vm['metadata']['namespace']}/{vm['metadata']['name']}": run_strategy(vm) for vm in vms}


def run_strategy(vm: Object) -> str:
    """The run strategy that is asked for. spec.running is the older word: true is Always, false is Halted."""
    spec = vm.get("spec") or {}
    return spec.get("runStrategy") or ("Always" if spec.get("running") else "Halted")


def default_eviction_strategy(kubevirt: Object) -> str | None:
    """What KubeVirt's configuration says for VMs that have no eviction strategy of their own."""
    return ((kubevirt.get("spec") or {}).get("configuration") or {}).get("evictionStrategy") or None


def _keeper(metadata: Object) -> tuple[Keeper, str]:
    """The owner that controls it; a VirtualMachinePool owns VirtualMachines, no instances."""
    for reference in metadata.get("ownerReferences") or ():
        if reference.get("controller") and reference["kind"] in (Keeper.VM, Keeper.REPLICA_SET):
            return Keeper(reference["kind"]), reference["name"]
    return Keeper.NOBODY, ""


def _why_not(condition: Object) -> str:
    if not condition:
        return "it does not say whether it can be migrated"
    return ": ".join(filter(None, (condition.get("reason"), condition.get("message")))) or "it does not say why"


def _pending(metadata: Object, by_type: Mapping[str, Object]) -> tuple[str, ...]:
    if ABORTED_ANNOTATION in (metadata.get("annotations") or {}):
        return ()
    return tuple(type for type, counts in _PENDING.items() if type in by_type and by_type[type]["status"] in counts)


def _failure(migration: Object) -> str:
    """The reason is there from 1.2 on."""
    if not migration.get("failed"):
        return ""
    return migration.get("failureReason") or "it failed; KubeVirt before 1.2 does not say why"
