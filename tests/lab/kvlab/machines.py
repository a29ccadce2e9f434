# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What VMs there can be in the lab: their kinds, and the objects that make one. How a kind behaves is in KWOK's Stages."""

from __future__ import annotations

import copy
import typing as t
from dataclasses import dataclass

Object = dict[str, t.Any]

KINDS: dict[str, dict[str, str]] = {
    "migratable": {},
    "slow": {"lab/migration": "slow"},
    "failing": {"lab/migration": "fails"},
    "failing-once": {"lab/migration": "fails-once"},
    "stuck": {"lab/migration": "hangs"},
    "agent-lost": {"lab/guest-agent": "lost"},
    "not-migratable": {},
    "pinned": {},
}
"""The kinds of VMs, and the labels by which the Stages know them."""
RUN_STRATEGIES = ("Always", "RerunOnFailure", "Manual", "Once", "Halted")
EVICTION_STRATEGIES = ("LiveMigrate", "LiveMigrateIfPossible", "External", "None")
CPU_MODELS = ("Haswell", "Skylake-Server")
MACHINE_TYPES = ("q35", "pc-q35-rhel9.4.0")
ACCESS_MODES = {"local": "ReadWriteOnce", "shared": "ReadWriteMany"}
DATA_VOLUME = "data-volume"
DISKS = ("container", *ACCESS_MODES, DATA_VOLUME)
NETWORKS = ("masquerade", "bridge")


@dataclass(frozen=True)
class Wish:
    """What a VM shall be; by default one that can be migrated."""

    kind: str = "migratable"
    run_strategy: str = "Always"
    eviction_strategy: str = "LiveMigrate"
    standalone: bool = False
    """A VMI without a VM."""
    cpu_model: str = ""
    machine_type: str = ""
    vcpus: int = 1
    disk: str = "container"
    network: str = "masquerade"
    guest_agent: bool = False
    migration_seconds: int | None = None
    """How long its migrations take, if not as long as is usual for the kind."""

    @property
    def access_mode(self) -> str:
        """That of its PVC; empty if it has none, or one of a DataVolume."""
        return ACCESS_MODES.get("local" if self.kind == "not-migratable" else self.disk, "")

    @property
    def labels(self) -> dict[str, str]:
        """What is said of it on its VMI and pods; the Stages go by them."""
        labels = {"lab/kind": self.kind}
        if self.guest_agent:
            labels["lab/guest-agent"] = "connected"
        if self.migration_seconds is not None:
            labels["lab/migration-seconds"] = str(self.migration_seconds)
        return labels | KINDS[self.kind]


MIXED = {
    "plain": Wish(),
    "agent": Wish(guest_agent=True),
    "agent-lost": Wish(kind="agent-lost"),
    "vcpus": Wish(vcpus=2, cpu_model="Haswell"),
    "machine": Wish(machine_type="pc-q35-rhel9.4.0", cpu_model="Skylake-Server"),
    "shared": Wish(disk="shared", eviction_strategy="LiveMigrateIfPossible"),
    "slow": Wish(kind="slow"),
    "failing": Wish(kind="failing"),
    "failing-once": Wish(kind="failing-once"),
    "stuck": Wish(kind="stuck"),
    "pinned": Wish(kind="pinned"),
    "external": Wish(eviction_strategy="External"),
    "blocked": Wish(kind="not-migratable"),
    "if-possible": Wish(kind="not-migratable", eviction_strategy="LiveMigrateIfPossible"),
    "local": Wish(kind="not-migratable", eviction_strategy="None"),
    "bridge": Wish(network="bridge", eviction_strategy="None"),
    "rerun": Wish(kind="not-migratable", eviction_strategy="None", run_strategy="RerunOnFailure"),
    "manual": Wish(kind="not-migratable", eviction_strategy="None", run_strategy="Manual"),
    "once": Wish(kind="not-migratable", eviction_strategy="None", run_strategy="Once"),
    "standalone": Wish(kind="not-migratable", eviction_strategy="None", standalone=True),
}
"""The mixed set: one VM for each way in which an update of the workloads can go."""


def machine(template: Object, name: str, namespace: str, wish: Wish) -> Object:
    """The VM or standalone VMI *name*, made from the lab's template."""
    made = copy.deepcopy(template)
    guest = made["spec"]["template"]
    guest["metadata"]["labels"] |= wish.labels
    spec, domain = guest["spec"], guest["spec"]["domain"]
    spec["evictionStrategy"] = wish.eviction_strategy
    if wish.vcpus > 1:
        domain.setdefault("cpu", {})["cores"] = wish.vcpus
    if wish.cpu_model:
        domain.setdefault("cpu", {})["model"] = wish.cpu_model
    if wish.machine_type:
        domain["machine"] = {"type": wish.machine_type}
    if wish.access_mode:
        spec["volumes"][0] = {"name": "root", "persistentVolumeClaim": {"claimName": name}}
    if wish.disk == DATA_VOLUME:
        made["spec"]["dataVolumeTemplates"] = [_data_volume(name)]
        spec["volumes"][0] = {"name": "root", "dataVolume": {"name": name}}
    if wish.network == "bridge":
        domain["devices"]["interfaces"] = [{"name": "default", "bridge": {}}]
    if wish.kind == "pinned":
        spec["nodeSelector"]["kubernetes.io/hostname"] = "worker-1"
    if wish.standalone:
        made |= {"kind": "VirtualMachineInstance", "metadata": guest["metadata"], "spec": spec}
    else:
        made["spec"]["runStrategy"] = wish.run_strategy
    made["metadata"] |= {"name": name, "namespace": namespace}
    return made


def _data_volume(name: str) -> Object:
    storage = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}}}
    return {"metadata": {"name": name}, "spec": {"source": {"blank": {}}, "pvc": storage}}


def disk(name: str, namespace: str, access_mode: str) -> list[Object]:
    """A PVC for the VM *name*, and its PV: the lab has nobody who would make one."""
    claim = {"accessModes": [access_mode], "storageClassName": "", "volumeName": f"{namespace}-{name}"}
    volume = {
        "accessModes": [access_mode],
        "storageClassName": "",
        "persistentVolumeReclaimPolicy": "Retain",
        "capacity": {"storage": "1Gi"},
        "claimRef": {"name": name, "namespace": namespace},
        "hostPath": {"path": "/lab/no-such-folder"},
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{namespace}-{name}"},
            "spec": volume,
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": namespace},
            "spec": claim | {"resources": {"requests": {"storage": "1Gi"}}},
        },
    ]
