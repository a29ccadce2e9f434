# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Which VMs are alike for a live migration, and which of them go first.

What breaks migrations after an upgrade breaks them for a class of VMs: those of one machine type, one CPU model, one old
launcher, one sort of disk or network (kubevirt/kubevirt#16386). So one VM of each class is tried before the others.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from .launchers import tag_of

Object = Mapping[str, t.Any]

# What KubeVirt makes a disk of that holds no data of its own; such volumes move with the VM's definition.
_NOT_STORAGE = frozenset(
    ("cloudInitNoCloud", "cloudInitConfigDrive", "configMap", "secret", "serviceAccount", "downwardAPI", "downwardMetrics", "sysprep")
)  # fmt: skip
_BINDINGS = ("masquerade", "bridge", "sriov", "macvtap", "passt", "passtBinding", "slirp")


@dataclass(frozen=True, order=True)
class GuestClass:
    """What VMs that are alike have in common; all as KubeVirt writes it.

    Attributes:
        cpu: The CPU model that is asked for.
        machine: The machine type.
        launcher: The tag or digest of the launcher that runs them.
        storage: Sorts of volumes, with access and volume mode where they are known.
        network: Sorts of interfaces.
        several_cpus: More than one vCPU.
    """

    cpu: str
    machine: str
    launcher: str
    storage: tuple[str, ...]
    network: tuple[str, ...]
    several_cpus: bool

    def __str__(self) -> str:
        cpus = "several vCPUs" if self.several_cpus else "one vCPU"
        parts = (f"CPU {self.cpu}", self.machine, f"launcher {self.launcher or 'unknown'}", cpus)
        return ", ".join((*parts, " + ".join(self.storage) or "no disk", " + ".join(self.network) or "no network"))


@dataclass(frozen=True)
class Candidate:
    """A VM that could be moved.

    Attributes:
        name: ``namespace/name``.
        shows: Whether it is Ready, and whether its guest agent is connected: the more of it, the more can be verified.
    """

    name: str
    guest_class: GuestClass
    shows: tuple[bool, bool] = (True, False)


def class_of(vmi: Object, launcher: str) -> GuestClass:
    """The class of a VM on the launcher of this image."""
    spec, status = vmi.get("spec") or {}, vmi.get("status") or {}
    domain = spec.get("domain") or {}
    machine = (status.get("machine") or {}).get("type") or (domain.get("machine") or {}).get("type")
    return GuestClass(
        cpu=(domain.get("cpu") or {}).get("model") or "default",
        machine=machine or "default machine",
        launcher=tag_of(launcher) or launcher.rpartition("@")[2],
        storage=tuple(sorted({*_storage(spec, status)})),
        network=tuple(sorted({*_network(spec, domain)})),
        several_cpus=_vcpus(domain, status) > 1,
    )


def canaries_of(candidates: Iterable[Candidate], proven: Collection[GuestClass], most: int) -> list[Candidate]:
    """One VM of each class that is not proven yet, the largest classes first.

    Args:
        candidates: The VMs that may be moved now.
        proven: Classes of which a VM arrived well on the new launcher; one without a launcher stands for every launcher.
        most: How many canaries there may be.
    """
    open_ones = [one for one in candidates if not _is_proven(one.guest_class, proven)]
    sizes = Counter(one.guest_class for one in open_ones)
    best: dict[GuestClass, Candidate] = {}
    for one in sorted(open_ones, key=lambda one: (*(not shown for shown in one.shows), one.name)):
        best.setdefault(one.guest_class, one)
    return sorted(best.values(), key=lambda one: (-sizes[one.guest_class], one.guest_class))[:most]


def _is_proven(guest_class: GuestClass, proven: Collection[GuestClass]) -> bool:
    return guest_class in proven or replace(guest_class, launcher="") in proven


def _storage(spec: Object, status: Object) -> Iterable[str]:
    claims = {one["name"]: one.get("persistentVolumeClaimInfo") or {} for one in status.get("volumeStatus") or ()}
    for volume in spec.get("volumes") or ():
        kind = next((key for key in volume if key != "name"), "")
        if kind in _NOT_STORAGE or not kind:
            continue
        claim = claims.get(volume["name"]) or {}
        if kind in ("persistentVolumeClaim", "dataVolume"):
            kind = "claim"
        yield " ".join(filter(None, (kind, claim.get("volumeMode"), *sorted(claim.get("accessModes") or ()))))


def _network(spec: Object, domain: Object) -> Iterable[str]:
    networks = {one["name"]: "multus" if "multus" in one else "pod" for one in spec.get("networks") or ()}
    for interface in (domain.get("devices") or {}).get("interfaces") or ():
        plugin = (interface.get("binding") or {}).get("name")
        binding = plugin or next((one for one in _BINDINGS if one in interface), "default")
        yield f"{binding} on {networks.get(interface['name'], 'pod')}"


def _vcpus(domain: Object, status: Object) -> int:
    topology = status.get("currentCPUTopology") or domain.get("cpu") or {}
    count = 1
    for part in ("cores", "sockets", "threads"):
        count *= int(topology.get(part) or 1)
    return count
