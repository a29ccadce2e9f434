# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. A directory with all that users gave to KubeVirt, from which it can be brought back after a removal.

An object is a file of JSON, which every tool reads the same way; in YAML a serial number such as 12e4 becomes a number for some. Objects
are read page by page and written one by one, so that there may be very many. The directory gets its name when it is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..cluster.api import Api, Json
from ..knowledge.backup_form import (
    APPLIED,
    KUBEVIRT,
    REFERENCE,
    claims_of,
    file_name,
    folder_of,
    needed_objects,
    restorable,
    revisions_of,
)
from ..knowledge.findings import Finding, finding
from ..knowledge.user_kinds import CDI
from .observe import Facts
from .options import check_directory
from .outcome import InvalidOption, listed
from .served import Resource
from .stopping import Stopped

DATA_VOLUMES = f"/apis/{CDI}/v1beta1/datavolumes"
CLAIMS = "/api/v1/persistentvolumeclaims"
REVISIONS = "/apis/apps/v1/controllerrevisions"

UNFINISHED = ".unfinished"
"""How the name of a directory ends into which is still written, or was when its run was killed."""
README = "README.txt"
NEEDED = "needed-objects.txt"

Name = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True)
class BackUp:
    """A complete backup.

    Attributes:
        path: Its directory.
        counts: How many objects of each kind, by the plural, are in it.
        findings: What is to be known of earlier ones.
    """

    path: str
    counts: Mapping[str, int]
    findings: tuple[Finding, ...] = ()


def check_backup_dir(path: str | None) -> None:
    """Refuse a directory into which no backup could be written. Nothing is written for that.

    Raises:
        InvalidOption: There is none, or it can neither be written into nor made.
    """
    otherwise = "set backup: false to remove KubeVirt without a backup"
    if not path:
        raise InvalidOption(
            "backup_dir: it is not set, and a backup is written before anything is removed. Nothing was done. Name a directory of this "
            f"host (in an execution environment one that is mounted), or {otherwise}."
        )
    if not os.path.isabs(path):
        raise InvalidOption(
            f"backup_dir: {path} is not an absolute path, and it must be certain where a backup is. Nothing was done. Write all of it, "
            f"or {otherwise}."
        )
    check_directory("backup_dir", path, otherwise=otherwise)


def back_up(api: Api, facts: Facts, resources: Iterable[Resource], directory: str, now: datetime) -> BackUp:
    """Write down all that users gave to KubeVirt, and read it back.

    Args:
        api: The cluster.
        facts: From ``observe``.
        resources: All kinds of KubeVirt's API groups.
        directory: From the option backup_dir.
        now: The time that is in the name of the backup.

    Raises:
        Stopped: It could not be written.
        ClusterError: It could not be read.
    """
    path = Path(directory) / f"{facts.cluster.uid}-{now:%Y%m%dT%H%M%SZ}"
    files = _Files(path.with_name(f"{path.name}{UNFINISHED}"))
    try:
        files.make()
        _keep_everything(api, facts, resources, files)
        files.write(README, _readme(facts, now, files.counts))
        files.finish(path)
        findings = tuple(_earlier(path, facts.cluster.uid))
    except OSError as error:
        raise Stopped(_failed(str(files.path), error)) from error
    return BackUp(str(path), dict(files.counts), findings)


class _Files:
    """The files of a backup, which only this user may read, and how many objects of which kind are in them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self._written: dict[Path, bytes] = {}

    def make(self) -> None:
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        self.path.mkdir(mode=0o700)

    def keep(self, folder: str, resource: str, live: Json) -> None:
        self.write(f"{folder}/{file_name(live)}", json.dumps(restorable(live), indent=1, ensure_ascii=False) + "\n")
        self.counts[resource] += 1

    def write(self, name: str, content: str) -> None:
        """Write a file. It is on the disk only after ``finish``: waiting for each would let the list that is being read expire."""
        place, data = self.path / name, content.encode("utf-8", "surrogatepass")
        for folder in reversed(place.parents[: len(Path(name).parents) - 1]):
            folder.mkdir(mode=0o700, exist_ok=True)
        with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        self._written[place] = _digest(data)

    def finish(self, path: Path) -> None:
        """See that all is on the disk as it was written, and give the directory its name."""
        for place, digest in self._written.items():
            _sync(place)
            if _digest(place.read_bytes()) != digest:
                raise OSError(f"{place} does not hold what was written into it")
        for folder in {
            folder for place in self._written for folder in place.parents if folder.is_relative_to(self.path)
        }:
            _sync(folder)
        self.path.rename(path)
        _sync(path.parent)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _sync(place: Path) -> None:
    """Wait until a file, or which files a folder has, is on the disk."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _keep_everything(api: Api, facts: Facts, resources: Iterable[Resource], files: _Files) -> None:
    claims: set[Name] = set()
    revisions: set[Name] = set()
    needed: set[str] = set()
    for resource in resources:
        if "list" not in resource.verbs:
            continue
        for one in api.objects_if_served(resource.path()):
            live = {**one, "apiVersion": f"{resource.group}/{resource.version}", "kind": resource.kind}
            if live["kind"] in ("VirtualMachine", "VirtualMachineInstance"):
                namespace = live["metadata"]["namespace"]
                claims |= {(namespace, name) for name in claims_of(live)}
                needed |= needed_objects(live)
            if live["kind"] == "VirtualMachine":
                revisions |= {(namespace, name) for name in revisions_of(live)}
            folder = folder_of(resource.group, resource.name, live)
            if folder:
                files.keep(folder, resource.name, live)
    for live in _revisions(api, revisions):
        files.keep(folder_of("apps", "controllerrevisions", live), "controllerrevisions", live)
    for resource_name, live in _disks(api, facts, claims):
        files.keep(f"{REFERENCE}/{resource_name}", resource_name, live)
    files.write(NEEDED, "".join(f"{line}\n" for line in sorted(needed)))


def _revisions(api: Api, wanted: set[Name]) -> Iterator[Json]:
    for one in api.objects_if_served(REVISIONS) if wanted else ():
        if _name(one) in wanted:
            yield {**one, "apiVersion": "apps/v1", "kind": "ControllerRevision"}


def _disks(api: Api, facts: Facts, claims: set[Name]) -> Iterator[tuple[str, Json]]:
    """The DataVolumes and PersistentVolumeClaims that VMs name or own."""
    if CDI in facts.groups:
        for one in api.objects_if_served(DATA_VOLUMES):
            if _name(one) in claims or _is_owned_by_a_vm(one):
                yield "datavolumes", {**one, "apiVersion": f"{CDI}/v1beta1", "kind": "DataVolume"}
    for one in api.objects_if_served(CLAIMS):
        if _name(one) in claims or _is_owned_by_a_vm(one):
            yield "persistentvolumeclaims", {**one, "apiVersion": "v1", "kind": "PersistentVolumeClaim"}


def _is_owned_by_a_vm(live: Json) -> bool:
    return any(one["kind"].startswith("VirtualMachine") for one in live["metadata"].get("ownerReferences") or ())


def _name(live: Json) -> Name:
    return live["metadata"]["namespace"], live["metadata"]["name"]


def _failed(path: str, error: OSError) -> Finding:
    return finding(
        "remove.backup-failed",
        object=f"Directory {path}",
        cause="The backup could not be written to its end, so nothing was removed.",
        evidence=str(error),
        fix="Make room or set right what the message says, or name another backup_dir; then run the same again. What is there of "
        "this backup can be deleted.",
    )


def _earlier(path: Path, uid: str) -> Iterator[Finding]:
    """What the backups of earlier runs have and this one has not: a run that was killed has deleted it already."""
    seen = _objects_in(path)
    earlier = sorted(one for one in path.parent.glob(f"{uid}-*") if one != path and one.suffix != UNFINISHED)
    for one in reversed(earlier):
        missing = _objects_in(one) - seen
        seen |= missing
        if missing:
            yield finding(
                "remove.earlier-backup",
                object=f"Directory {one}",
                cause=f"This earlier backup has {len(missing)} objects that are not in the cluster any more, so not in {path} either.",
                evidence=listed(sorted(missing)),
                fix=f"Keep it. If it was an earlier run that deleted these objects, bring them back with their files in {one}/{APPLIED}, "
                f"after what is in {path}.",
            )


def _objects_in(path: Path) -> set[str]:
    """As ``virtualmachines namespace/name``."""
    files = path.glob(f"{APPLIED}/*/*.json")
    return {f"{file.parent.name.partition('-')[2]} {file.stem.replace('_', '/')}" for file in files}


def _readme(facts: Facts, now: datetime, counts: Mapping[str, int]) -> str:
    version = facts.operator_declared or "(unknown version)"
    numbers = "".join(f"  {count:6} {resource}\n" for resource, count in sorted(counts.items()))
    return f"""\
KubeVirt {version} of the cluster {facts.cluster.uid} ({facts.cluster.endpoint}),
as it was on {now:%Y-%m-%d at %H:%M:%S} UTC, before it was removed.

Keep this as you keep secrets: what VMs were given, passwords in cloud-init data too, is in it as it was.

{numbers}
HOW TO BRING IT BACK

1. Install KubeVirt again, best the same version: apply its kubevirt-operator.yaml, and then, in this directory:

   kubectl apply --server-side -f {KUBEVIRT}/
   kubectl wait kubevirt --all --all-namespaces --for=condition=Available --timeout=15m

2. See that what VMs need and this backup does not have is there: {NEEDED} names the Secrets, ConfigMaps and ServiceAccounts;
   networks, storage classes and the namespaces themselves must be there too.

3. Apply the objects, all at once; the numbers of the folders are their order:

   kubectl apply --server-side --force-conflicts --recursive -f {APPLIED}/

   VMs start as their run strategy says; with Manual they wait to be started by hand. One that has its disks still (they were kept)
   takes them as they are: a DataVolume or a PersistentVolumeClaim of the name that the VM asks for is used, not made again. Where the
   disks are gone, the VM gets new ones if it says how they are made, without the data.

4. Compare: kubectl get vm --all-namespaces

DO NOT APPLY {REFERENCE}/ AS A WHOLE

It is there to look things up: snapshots, restores, exports and clones would begin their work again, and DataVolumes would import
again. The VMs of pools are there too, because their pool makes them again, numbered from 0: where that does not give the
same names, apply these instead of the pool. PersistentVolumeClaims show which PersistentVolume held the data of which disk.
"""
