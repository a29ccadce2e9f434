# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What people have made with KubeVirt: all that goes when it goes, and the disks that may stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..cluster.api import Api, Json
from ..cluster.errors import ClusterError
from ..knowledge.confirmation import Counted
from ..knowledge.marks import GROUPS, is_made_by_virt_operator
from ..knowledge.user_kinds import CDI, MIGRATIONS, USER_KINDS, VMIS, VMS, UserKind, kind_of
from .observe import Facts
from .outcome import listed
from .served import Resource, served_resources

CLAIMS = "/api/v1/persistentvolumeclaims"


@dataclass(frozen=True)
class Held:
    """The objects of one kind."""

    kind: UserKind
    names: tuple[str, ...]
    """namespace/name, or the name alone where the kind has no namespaces."""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.names)


@dataclass(frozen=True)
class Disk:
    """A disk that belongs to a VM, so that Kubernetes deletes it with the VM.

    Attributes:
        claim: The PersistentVolumeClaim; empty where CDI has not made it yet.
        data_volume: The DataVolume that it is of; empty where there is none.
        owner: What owns it in the end, such as ``VirtualMachine db``.
        uid: That of the PersistentVolumeClaim.
        volume: The PersistentVolume that holds the data; empty where it is not bound yet.
    """

    namespace: str
    claim: str
    data_volume: str
    owner: str
    uid: str
    volume: str

    @property
    def name(self) -> str:
        """namespace/name."""
        return f"{self.namespace}/{self.claim or self.data_volume}"

    def as_dict(self) -> dict[str, str]:
        """As modules return it."""
        return {
            "claim": self.name,
            "data_volume": self.data_volume,
            "owner": self.owner,
            "uid": self.uid,
            "volume": self.volume,
        }


@dataclass(frozen=True)
class Belongings:
    """All that belongs to people.

    Attributes:
        kinds: The kinds of which there are objects, in the order of a backup.
        standalone_vmis: The instances without a VirtualMachine, as namespace/name; those of replica sets too.
        disks: The disks that go with VMs, unless these are deleted without them.
    """

    kinds: tuple[Held, ...] = ()
    standalone_vmis: tuple[str, ...] = ()
    disks: tuple[Disk, ...] = ()

    @property
    def vms(self) -> tuple[str, ...]:
        """The VMs, as namespace/name."""
        return self.names_of(VMS)

    @property
    def counted(self) -> Counted:
        """What is at stake."""
        return Counted(len(self.vms) + len(self.standalone_vmis), len(self.disks))

    @property
    def at_stake(self) -> bool:
        """Whether people would miss anything. A live migration that is recorded is no loss."""
        return bool(self.counted) or any(one.kind != MIGRATIONS for one in self.kinds)

    def names_of(self, kind: UserKind) -> tuple[str, ...]:
        """The objects of a kind."""
        return next((one.names for one in self.kinds if one.kind == kind), ())


def belongings_of(api: Api, facts: Facts) -> Belongings:
    """All of it, read in pages, and only the metadata where that is enough.

    Raises:
        ClusterError: Some of it cannot be read. Nothing may be deleted then, for nobody knows what goes with it.
    """
    held: list[Held] = []
    standalone: tuple[str, ...] = ()
    for resource in kubevirt_resources(api):
        found = [] if resource.kind == "KubeVirt" else [*_of_people(api, resource)]
        kind = _kind(resource)
        if found:
            held.append(Held(kind, tuple(sorted(map(_name, found)))))
        if kind == VMIS:
            standalone = tuple(sorted(_name(one) for one in found if not _owner(one, VMS.kind)))
    return Belongings(tuple(held), standalone, tuple(_disks(api, facts)) if held else ())


def kubevirt_resources(api: Api) -> list[Resource]:
    """The kinds of KubeVirt's own groups that this server has, in the order of a backup.

    Raises:
        ClusterError: A group cannot be asked for its kinds.
    """
    resources, unreadable = served_resources(api, GROUPS)
    if unreadable:
        raise ClusterError(
            f"Not all kinds of KubeVirt can be read, so nobody knows what would go with it: {listed(unreadable)}. Nothing was done."
        )
    return sorted((one for one in resources if "list" in one.verbs), key=lambda one: _rank(_kind(one)))


def _of_people(api: Api, resource: Resource) -> Iterator[Json]:
    """The metadata of the objects that are not virt-operator's own, as the instance types are that come with KubeVirt."""
    for one in api.objects_if_served(resource.path(), metadata_only=True):  # its CRD may just have gone
        if not is_made_by_virt_operator(one):
            yield one


def _kind(resource: Resource) -> UserKind:
    return kind_of(resource.group, resource.name) or UserKind(resource.group, resource.name, resource.kind)


def _rank(kind: UserKind) -> int:
    """Its place in a backup; behind all others what this collection does not know."""
    return USER_KINDS.index(kind) if kind in USER_KINDS else len(USER_KINDS)


def _disks(api: Api, facts: Facts) -> Iterator[Disk]:
    """PersistentVolumeClaims that a VM, or its DataVolume, owns; and DataVolumes of VMs without a claim so far."""
    data_volumes = dict(_data_volumes_of_vms(api, facts))
    with_claim = set()
    for claim in api.objects(CLAIMS):
        metadata = claim["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        data_volume = _owner(claim, "DataVolume")
        owner = data_volumes.get((namespace, data_volume), "") or _owner_of_kubevirt(claim)
        if owner:
            with_claim.add((namespace, data_volume))
            volume = (claim.get("spec") or {}).get("volumeName") or ""
            yield Disk(namespace, name, data_volume, owner, metadata["uid"], volume)
    for (namespace, data_volume), owner in data_volumes.items():
        if (namespace, data_volume) not in with_claim:
            yield Disk(namespace, "", data_volume, owner, "", "")


def _data_volumes_of_vms(api: Api, facts: Facts) -> Iterator[tuple[tuple[str, str], str]]:
    """The namespace and name of the DataVolumes that VMs own, each with its owner."""
    versions = facts.groups.get(CDI)
    if not versions:
        return
    for one in api.list_or_empty(f"/apis/{CDI}/{versions[0]}/datavolumes"):
        owner = _owner_of_kubevirt(one)
        if owner:
            yield (one["metadata"]["namespace"], one["metadata"]["name"]), owner


def _owner_of_kubevirt(one: Json) -> str:
    """The object of one of KubeVirt's groups that owns it, such as ``VirtualMachine db``; empty where none does."""
    for reference in one["metadata"].get("ownerReferences") or ():
        if reference["apiVersion"].partition("/")[0] in GROUPS:
            return f"{reference['kind']} {reference['name']}"
    return ""


def _owner(one: Json, kind: str) -> str:
    """The name of the owner of this kind; empty where there is none."""
    references = one["metadata"].get("ownerReferences") or ()
    return next((reference["name"] for reference in references if reference["kind"] == kind), "")


def _name(one: Json) -> str:
    metadata = one["metadata"]
    return "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
