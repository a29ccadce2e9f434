# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What virt-controller, virt-handler and the launchers do when VMs are moved or stopped, played step by step.

Where the objects are is the caller's: dictionaries (``moving.py``) or a real API server (``tests/faults/played_vms.py``).
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

Object = dict[str, t.Any]

VMS, VMIS, PODS = "virtualmachines", "virtualmachineinstances", "pods"
MIGRATIONS = "virtualmachineinstancemigrations"
ON_VMS = "kubevirt.io/virtualMachineControllerFinalize"
"""Its finalizer."""
OUTDATED = "kubevirt.io/outdatedLauncherImage"
UPDATERS = "kubevirt.io/workloadUpdateMigration"
JOB = "kubevirt.io/migrationJobUID"
TARGET_NODE = "n9"
AT_ONCE = 5
KEPT = 5
"""Finished migrations of one VM: defaultFinalizedMigrationGarbageCollectionBuffer."""


class Store(t.Protocol):
    """Where VMs, their instances, launcher pods and migrations are. ``kind`` is the plural; objects are changed in place and then saved."""

    def objects_of(self, kind: str) -> Sequence[Object]:
        """All of a kind, in all namespaces; of pods the launchers."""

    def update_methods(self) -> Sequence[str]:
        """The workload update methods of the KubeVirt object."""

    def add(self, kind: str, one: Object) -> Object:
        """A new object, with its status; as it was stored."""

    def save(self, kind: str, one: Object) -> None:
        """An object with its status."""

    def remove(self, kind: str, one: Object) -> None:
        """An object is not there any more."""


class VirtController:
    """Each step is about a second of a cluster.

    Args:
        store: The objects.
        launcher: The image of the launchers that it starts.

    Attributes:
        courses: How the migration of a VM goes: ``fails``, ``hangs``, ``no-agent``, ``old-pod-stays``; well, if it is not here.
    """

    def __init__(self, store: Store, launcher: str) -> None:
        self.courses: Mapping[str, str] = {}
        self._store = store
        self._launcher = launcher

    def step(self) -> bool:
        """What comes next; False when nothing is left to do."""
        moved = [self._migrate(one) for one in self.unfinished()]
        return any([*moved, self._note_launchers(), self._update(), self._forget(), self._stop(), self._let_go()])

    def unfinished(self) -> list[Object]:
        """The migrations that have not ended."""
        return [one for one in self._store.objects_of(MIGRATIONS) if not _has_ended(one)]

    def end_target(self, migration: Object) -> None:
        """The migration does not go on, so its target pod ends."""
        for pod in self._store.objects_of(PODS):
            if pod["metadata"]["labels"].get(JOB) == migration["metadata"]["uid"]:
                pod["status"]["phase"] = "Failed"
                self._store.save(PODS, pod)

    def _migrate(self, migration: Object) -> bool:
        name, uid = migration["spec"]["vmiName"], migration["metadata"]["uid"]
        vmi, course = self._vmi_of(migration), self.courses.get(name, "")
        if "phase" not in migration.setdefault("status", {}):
            self._store.add(PODS, launcher_pod(f"{name}-{uid}", vmi, self._launcher, TARGET_NODE, job=uid))
            migration["status"]["phase"] = "Running"
        elif course == "fails":
            state = {"failureReason": "no such CPU feature", "migrationUid": uid}
            migration["status"] = {"phase": "Failed", "migrationState": state}
            self.end_target(migration)
        elif course != "hangs":
            self._arrive(vmi, uid, course)
            migration["status"]["phase"] = "Succeeded"
        self._store.save(MIGRATIONS, migration)
        return course != "hangs"

    def _arrive(self, vmi: Object, uid: str, course: str) -> None:
        name, status = vmi["metadata"]["name"], vmi["status"]
        for pod in self._store.objects_of(PODS):
            if is_of(pod, vmi) and pod["metadata"]["labels"].get(JOB) != uid:
                source = pod["metadata"]["name"]
                status["migrationState"] = {"sourcePod": source, "targetPod": f"{name}-{uid}", "completed": True}
                if course != "old-pod-stays":
                    pod["status"]["phase"] = "Succeeded"
                    self._store.save(PODS, pod)
        if course == "no-agent":
            status["conditions"] = [one for one in status["conditions"] if one["type"] != "AgentConnected"]
        status |= {"nodeName": TARGET_NODE, "launcherContainerImageVersion": ""}
        vmi["metadata"].get("labels", {}).pop(OUTDATED, None)
        self._store.save(VMIS, vmi)

    def _note_launchers(self) -> bool:
        """It forgets the launcher when a VM arrives, and reads it again from the pod."""
        unknown = [one for one in self._store.objects_of(VMIS) if not one["status"]["launcherContainerImageVersion"]]
        for vmi in unknown:
            vmi["status"]["launcherContainerImageVersion"] = self._launcher
            self._store.save(VMIS, vmi)
        return bool(unknown)

    def _update(self) -> bool:
        """KubeVirt's own updater, as far as it migrates."""
        if "LiveMigrate" not in self._store.update_methods():
            return False
        busy = {_vmi_key(one) for one in self.unfinished()}
        waiting = [one for one in self._store.objects_of(VMIS) if is_migratable(one) and _key(one) not in busy]
        chosen = [one for one in waiting if is_outdated(one)][: max(0, AT_ONCE - len(busy))]
        for vmi in chosen:
            self._store.add(MIGRATIONS, _updaters_migration(vmi))
        return bool(chosen)

    def _forget(self) -> bool:
        """Of the finished migrations of a VM only the last few are kept."""
        by_vmi: dict[str, list[Object]] = {}
        for one in self._store.objects_of(MIGRATIONS):
            if _has_ended(one):
                by_vmi.setdefault(_vmi_key(one), []).append(one)
        too_many = [one for ended in by_vmi.values() for one in ended[:-KEPT]]
        for one in too_many:
            self._store.remove(MIGRATIONS, one)
        return bool(too_many)

    def _stop(self) -> bool:
        """A VM that is not to run ends, and its pod with it."""
        ending = {_key(vm) for vm in self._store.objects_of(VMS) if _is_to_stop(vm)}
        vmis = [vmi for vmi in self._store.objects_of(VMIS) if _key(vmi) in ending]
        for vmi in vmis:
            for pod in self._store.objects_of(PODS):
                if is_of(pod, vmi):
                    self._store.remove(PODS, pod)
            self._store.remove(VMIS, vmi)
        return bool(vmis)

    def _let_go(self) -> bool:
        """A VM that is being deleted and does not run."""
        running = {_key(vmi) for vmi in self._store.objects_of(VMIS)}
        held = [
            vm
            for vm in self._store.objects_of(VMS)
            if "deletionTimestamp" in vm["metadata"] and ON_VMS in vm["metadata"].get("finalizers", ())
            if _key(vm) not in running
        ]
        for vm in held:
            vm["metadata"]["finalizers"].remove(ON_VMS)
            self._store.save(VMS, vm)
        return bool(held)

    def _vmi_of(self, migration: Object) -> Object:
        return next(one for one in self._store.objects_of(VMIS) if _key(one) == _vmi_key(migration))


def running_vmi(
    namespace: str, name: str, node: str, image: str, *, outdated: bool, migratable: bool = True, agent: bool = True
) -> Object:
    """The VirtualMachineInstance of a VirtualMachine of the same name, on a launcher of this image."""
    conditions = [{"type": "Ready", "status": "True"}, {"type": "LiveMigratable", "status": str(migratable)}]
    if not migratable:
        conditions[-1] |= {"reason": "DisksNotLiveMigratable", "message": "cannot migrate VMI: PVC disk is not shared"}
    if agent:
        conditions.append({"type": "AgentConnected", "status": "True"})
    owner = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "name": name, "uid": name, "controller": True}
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "ownerReferences": [owner],
            "labels": {OUTDATED: ""} if outdated else {},
        },
        "spec": {"domain": {"devices": {}}},
        "status": {
            "phase": "Running",
            "nodeName": node,
            "launcherContainerImageVersion": image,
            "conditions": conditions,
        },
    }


def launcher_pod(name: str, vmi: Object, image: str, node: str, *, job: str = "", phase: str = "Running") -> Object:
    """A launcher pod of a VMI; ``job`` is the UID of the migration that it is the target of."""
    labels = {"kubevirt.io": "virt-launcher", "kubevirt.io/created-by": vmi["metadata"]["uid"]}
    labels |= {JOB: job} if job else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": vmi["metadata"]["namespace"], "name": name, "labels": labels},
        "spec": {
            "nodeName": node,
            "automountServiceAccountToken": False,
            "containers": [{"name": "compute", "image": image}],
        },
        "status": {"phase": phase},
    }


def is_of(pod: Object, vmi: Object) -> bool:
    """Whether it is a launcher pod of this VMI."""
    return bool(pod["metadata"]["labels"].get("kubevirt.io/created-by") == vmi["metadata"]["uid"])


def is_outdated(vmi: Object) -> bool:
    """Whether virt-controller has marked it."""
    return OUTDATED in vmi["metadata"].get("labels", {})


def is_migratable(vmi: Object) -> bool:
    """Whether it says so."""
    return any(one["type"] == "LiveMigratable" and one["status"] == "True" for one in vmi["status"]["conditions"])


def _updaters_migration(vmi: Object) -> Object:
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstanceMigration",
        "metadata": {
            "generateName": "kubevirt-workload-update-",
            "namespace": vmi["metadata"]["namespace"],
            "annotations": {UPDATERS: ""},
        },
        "spec": {"vmiName": vmi["metadata"]["name"]},
    }


def _has_ended(migration: Object) -> bool:
    return (migration.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _is_to_stop(vm: Object) -> bool:
    return vm["spec"].get("runStrategy") == "Halted" or "deletionTimestamp" in vm["metadata"]


def _key(one: Object) -> str:
    return f"{one['metadata']['namespace']}/{one['metadata']['name']}"


def _vmi_key(migration: Object) -> str:
    return f"{migration['metadata']['namespace']}/{migration['spec']['vmiName']}"
