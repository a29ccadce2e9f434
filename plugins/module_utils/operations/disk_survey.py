# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Which disks VMs have, and whether these would stay when only the VMs go.

A disk is a PersistentVolumeClaim that a VM names, or that is the VM's by its owners (the state of a TPM, say). A DataVolume may stand
between the two.
"""

from __future__ import annotations

import typing as t
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from ..cluster.api import Api, Json
from ..knowledge.backup_form import claims_of
from ..knowledge.findings import Finding, finding
from ..knowledge.marks import GROUPS
from ..knowledge.user_kinds import CDI
from .observe import Facts

DATA_VOLUMES = f"/apis/{CDI}/v1beta1/namespaces/{{}}/datavolumes"
CLAIMS = "/api/v1/namespaces/{}/persistentvolumeclaims"
APPS = "/apis/apps/v1"


@dataclass(frozen=True)
class Owner:
    """Whose an object is."""

    group: str
    kind: str
    name: str
    uid: str

    @property
    def goes_with_kubevirt(self) -> bool:
        """Whether it is of one of the groups that are gone after the removal."""
        return self.group in GROUPS


@dataclass(frozen=True)
class Claim:
    """A PersistentVolumeClaim or a DataVolume as it was before.

    Attributes:
        volume: The PersistentVolume; empty for a DataVolume.
        ends_since: Since when it is being deleted; empty if it is not.
    """

    kind: str
    namespace: str
    name: str
    uid: str
    volume: str
    ends_since: str
    owners: tuple[Owner, ...]

    @property
    def full_name(self) -> str:
        """``Kind namespace/name``."""
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def path(self) -> str:
        """Where the API has it."""
        collection = CLAIMS if self.kind == "PersistentVolumeClaim" else DATA_VOLUMES
        return f"{collection.format(self.namespace)}/{self.name}"


@dataclass(frozen=True)
class Revision:
    """A ControllerRevision that a VM owns: what it was when it started, or what its instance type or preference was."""

    path: str
    uid: str


def owners_of(live: Json) -> Iterator[Owner]:
    """Whose an object is."""
    for one in live["metadata"].get("ownerReferences") or ():
        yield Owner(one["apiVersion"].rpartition("/")[0], one["kind"], one["name"], one["uid"])


def without_owner(live: Json, uid: str) -> list[Json]:
    """The JSON patch that takes an object out of one of its owners."""
    owners = [one for one in live["metadata"].get("ownerReferences") or () if one["uid"] != uid]
    return [
        {"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
        {"op": "add", "path": "/metadata/ownerReferences", "value": owners},
    ]


class Survey:
    """The PersistentVolumeClaims, DataVolumes and ControllerRevisions of a cluster, and what VMs have of them."""

    def __init__(self, api: Api, facts: Facts) -> None:
        collections = [("PersistentVolumeClaim", "/api/v1/persistentvolumeclaims", False)]
        if CDI in facts.groups:
            collections.append(("DataVolume", f"/apis/{CDI}/v1beta1/datavolumes", True))
        self._of: dict[tuple[str, str, str], Claim] = {}
        self._owned: dict[str, list[Claim]] = {}
        self._revisions: dict[str, list[Revision]] = {}
        for kind, path, metadata_only in collections:
            for live in api.objects_if_served(path, metadata_only=metadata_only):
                self._take_in(_claim(kind, live))
        for live in api.objects_if_served(f"{APPS}/controllerrevisions", metadata_only=True):
            for owner in owners_of(live):
                if owner.kind == "VirtualMachine":
                    self._revisions.setdefault(owner.uid, []).append(_revision(live))

    def _take_in(self, claim: Claim) -> None:
        self._of[claim.kind, claim.namespace, claim.name] = claim
        for owner in claim.owners:
            self._owned.setdefault(owner.uid, []).append(claim)

    def revisions_of(self, uid: str) -> list[Revision]:
        """The ControllerRevisions that a VM owns."""
        return self._revisions.get(uid, [])

    def of(self, namespace: str, uid: str, named: Collection[str]) -> list[Claim]:
        """What a VM has: what it names, what it owns, and what its DataVolumes own.

        Args:
            namespace: The VM's.
            uid: The VM's.
            named: The claims that it names.
        """
        names = {*named, *(one.name for one in self._owned.get(uid, ()))}
        found = [
            claim
            for name in sorted(names)
            for kind in ("DataVolume", "PersistentVolumeClaim")
            if (claim := self._of.get((kind, namespace, name)))
        ]
        more = [one for claim in found for one in self._owned.get(claim.uid, ()) if one not in found]
        return [*found, *more]


def disks_that_would_not_stay(survey: Survey, machines: Iterable[Json]) -> list[Finding]:
    """The disks of VMs and VMIs that go although only the VMs are taken away.

    Args:
        survey: Of the cluster.
        machines: The VMs and VMIs.
    """
    found: dict[str, Finding] = {}
    for live in machines:
        metadata = live["metadata"]
        for claim in survey.of(metadata["namespace"], metadata["uid"], claims_of(live)):
            why = _why_it_would_not_stay(claim)
            if why:
                found[claim.full_name] = _would_not_stay(claim, f"{metadata['namespace']}/{metadata['name']}", why)
    return [found[name] for name in sorted(found)]


def _why_it_would_not_stay(claim: Claim) -> str:
    if claim.ends_since:
        return f"is being deleted since {claim.ends_since}, and is gone as soon as the VM stops"
    others = [one for one in claim.owners if one.goes_with_kubevirt and one.kind != "VirtualMachine"]
    if others:
        return f"belongs to {others[0].kind} {others[0].name}, and is deleted with it when KubeVirt goes"
    return ""


def _would_not_stay(claim: Claim, vm: str, why: str) -> Finding:
    return finding(
        "remove.disk-would-not-stay",
        object=claim.full_name,
        cause=f"This disk of VM {vm} {why}.",
        fix=(
            "Copy what is needed of it, and wait until it is gone; or let the VM run on, and do not remove KubeVirt."
            if claim.ends_since
            else "Take it out of that owner, or delete the owner first if the disk is no longer needed: "
            f"kubectl edit {claim.kind.lower()} -n {claim.namespace} {claim.name} (metadata.ownerReferences)."
        ),
    )


def _revision(live: Json) -> Revision:
    metadata = live["metadata"]
    path = f"{APPS}/namespaces/{metadata['namespace']}/controllerrevisions/{metadata['name']}"
    return Revision(path, metadata["uid"])


def _claim(kind: str, live: Json) -> Claim:
    metadata = live["metadata"]
    return Claim(
        kind=kind,
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        volume=(live.get("spec") or {}).get("volumeName") or "",
        ends_since=metadata.get("deletionTimestamp") or "",
        owners=tuple(owners_of(live)),
    )


def what_became_of(api: Api, claim: Claim, vm_uid: str) -> str:
    """What is wrong with a disk after its VM has gone, as the rest of a sentence; empty when it is as it was."""
    live: t.Any = api.get_or_none(claim.path)
    if live is None:
        # CDI may clean up a DataVolume that has done its work; the disk then stands for itself.
        return "" if claim.kind == "DataVolume" else "is gone"
    now = _claim(claim.kind, live)
    if now.uid != claim.uid:
        return f"is another one now: its UID was {claim.uid} and is {now.uid}"
    if now.volume != claim.volume and claim.volume and claim.kind == "PersistentVolumeClaim":
        return f"is on another PersistentVolume: it was {claim.volume} and is {now.volume or 'none'}"
    if now.ends_since:
        return f"is being deleted since {now.ends_since}"
    if any(one.uid == vm_uid for one in now.owners):
        return "still belongs to the VM that is gone, and will be deleted for that"
    return ""
