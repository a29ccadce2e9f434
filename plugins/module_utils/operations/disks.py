# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Taking VMs away so that their disks stay.

Taking the owner out of a disk of a VM that is there does not last: virt-controller adopts what nobody controls. So each VM is stopped and
then deleted with propagation Orphan; the garbage collector takes it out of all that it owns before it is gone, and virt-controller
adopts nothing for a VM that is being deleted. It must be stopped first, because the VirtualMachineInstance would be left behind running.

Its ControllerRevisions are deleted as soon as it is being deleted. The garbage collector cannot take a VM out of one that holds an
instance type: its data counts as changed by any patch, for virt-controller wrote it with its keys in another order than the API server
does ("data: field is immutable"), and the VM would never go. The backup has those that a VM needs to come back.

What makes VMs is deleted before them, with Orphan as well: a pool would make a new VM for each that goes, with new disks, and a
replica set a new VirtualMachineInstance. Theirs are then like any other.

Where virt-controller is gone for good nobody stops a VM. It is then deleted as it runs, if the user allows that, and after it its
VirtualMachineInstance: Kubernetes ends the pod. Both are held by finalizers of virt-controller's, which the caller takes away.

Nothing is remembered between runs. What is decided follows from what is there, so that a run goes on where a killed one ended.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ..cluster.api import Api, Json
from ..cluster.clock import Clock
from ..cluster.errors import ApiError, Conflict, NotFound
from ..cluster.watch import Picture, Source
from ..knowledge.backup_form import claims_of, halting, is_halted
from ..knowledge.findings import Finding, finding
from ..knowledge.guests import run_strategy
from ..knowledge.migrations import key_of
from ..knowledge.user_kinds import MAKERS
from .disk_survey import Claim, Survey, disks_that_would_not_stay, what_became_of, without_owner
from .observe import Facts
from .outcome import Report, listed
from .stopping import Stopped

AT_ONCE = 50
"""VMs that are being stopped or deleted at a time."""
LOOK_AGAIN = 1.0
"""Seconds after which the clocks are read again although nothing changed."""
GAP = 10.0
"""Seconds between two lines about the progress."""

UNBLOCK_EVERY = 10.0
"""Seconds between two looks at what holds the VMs that nobody stops."""


@dataclass(frozen=True)
class Kept:
    """A disk that stayed.

    Attributes:
        vm: Whose it was, namespace/name.
        claim: The PersistentVolumeClaim, in the same namespace.
        uid: That of the claim.
        volume: Its PersistentVolume.
    """

    vm: str
    claim: str
    uid: str
    volume: str


@dataclass
class _Leaving:
    """A VM or a standalone VMI on its way out.

    Attributes:
        uid: That of the object that was there when it began.
        claims: What it had then.
        since: When it last got further, in seconds of the clock.
        was_asked: We have asked it to stop.
        is_deleted: We have asked for its deletion, or somebody else has.
        is_freed: What would keep it, or go with it, was taken away.
    """

    uid: str
    claims: list[Claim]
    since: float
    was_asked: bool = False
    is_deleted: bool = False
    is_freed: bool = False


_Step = Callable[[_Leaving, Json, "Json | None"], None]
"""Takes what is on its way, itself and its VMI as they were last seen, and does what comes next."""


def findings_about_disks(api: Api, facts: Facts) -> list[Finding]:
    """The disks of all VMs that would not stay if only the VMs were taken away."""
    machines = itertools.chain(
        api.objects(f"{facts.api}/virtualmachines"), api.objects(f"{facts.api}/virtualmachineinstances")
    )
    return disks_that_would_not_stay(Survey(api, facts), machines)


class KeepDisks:
    """Takes VMs away, and sees that their disks stay.

    Args:
        api: The cluster.
        facts: From ``observe``.
        clock: Time.
        report: Takes progress lines.
        stop_timeout: Seconds for a VM to stop, and then again to be gone.

    Attributes:
        gone: The VMs that were deleted and are gone, namespace/name, also when the run stopped on its way. One that another one of its
            name has taken the place of is not among them.
        kept: The disks of the VMs that are gone, also when the run stopped on its way.
        wrote: Whether anything was changed.
    """

    def __init__(self, api: Api, facts: Facts, clock: Clock, report: Report, stop_timeout: float) -> None:
        self.gone: list[str] = []
        self.kept: list[Kept] = []
        self.wrote = False
        self._api = api
        self._facts = facts
        self._clock = clock
        self._report = report
        self._stop_timeout = stop_timeout
        self._findings: list[Finding] = []
        self._unblock: Callable[[], object] | None = None

    def run(
        self, vms: Collection[str], vmis: Collection[str] = (), unblock: Callable[[], object] | None = None
    ) -> list[Kept]:
        """Take away these VMs, and these VMIs that have none, namespace/name.

        Args:
            vms: The VMs.
            vmis: The VMIs.
            unblock: Takes away what holds them, where nobody stops them any more; None where virt-controller is at work.

        Raises:
            Stopped: One of them does not go, or a disk does not stay. No further one was begun then.
            ClusterError: The server does not answer, or does not let us.
        """
        if not vms and not vmis:
            return []
        self._survey = Survey(self._api, self._facts)
        self._unblock = unblock
        with Picture(self._api, self._sources()) as picture:
            there = [one for one in picture.objects("vms") if key_of(one) in vms]
            there += [one for one in picture.objects("vmis") if key_of(one) in vmis]
            against = disks_that_would_not_stay(self._survey, there)
            if against:
                raise Stopped(*against)
            self._end_makers()
            self._empty(picture, "vms", "VMs", vms, self._step_of_a_vm)
            if unblock:
                vmis = {*vmis, *(key_of(one) for one in picture.objects("vmis") if key_of(one) in vms)}
            self._empty(picture, "vmis", "VMs without a VirtualMachine", vmis, self._step_of_a_vmi)
        return self.kept

    def _sources(self) -> list[Source]:
        return [
            Source("vms", f"{self._facts.api}/virtualmachines", keep=_kept_of_a_machine),
            Source("vmis", f"{self._facts.api}/virtualmachineinstances", keep=_kept_of_a_machine),
        ]

    # What makes VMs

    def _end_makers(self) -> None:
        ends = self._clock.now() + self._stop_timeout
        makers = {
            f"{collection}/namespaces/{one['metadata']['namespace']}/{kind.resource}/{one['metadata']['name']}": one
            for kind in MAKERS
            if (collection := self._collection(kind.group))
            for one in self._api.list_or_empty(f"{collection}/{kind.resource}")
        }
        for path, one in makers.items():
            self._report(f"{key_of(one)} makes VMs, and goes before them")
            with contextlib.suppress(NotFound):
                self._delete(path, one["metadata"]["uid"], propagation="Orphan")
        unblocked = self._clock.now()
        for path in makers:
            while self._api.get_or_none(path) is not None:
                if self._clock.now() > ends:
                    raise Stopped(_stays(path, self._stop_timeout))
                unblocked = self._unblocked(unblocked)
                self._clock.pause(LOOK_AGAIN)

    def _collection(self, group: str) -> str:
        if group == "kubevirt.io":
            return self._facts.api
        versions = self._facts.groups.get(group)
        return f"/apis/{group}/{versions[0]}" if versions else ""

    # One after the other, some at a time

    def _empty(self, picture: Picture, source: str, words: str, names: Collection[str], step: _Step) -> None:
        """Take ``names`` through their steps until they are gone."""
        waiting, total = deque(sorted(names)), len(names)
        leaving: dict[str, _Leaving] = {}
        told, line, unblocked = self._clock.now(), "", self._clock.now()
        while leaving or (waiting and not self._findings):
            there = {key_of(one): one for one in picture.objects(source)}
            vmis = {key_of(one): one for one in picture.objects("vmis")}
            while waiting and len(leaving) < AT_ONCE and not self._findings:
                name = waiting.popleft()
                if name in there:
                    leaving[name] = self._begun(there[name])
            for name, one in list(leaving.items()):
                if self._is_done(name, one, there.get(name), vmis.get(name), step):
                    del leaving[name]
            if self._clock.now() - told >= GAP:
                told, before, gone = self._clock.now(), line, total - len(waiting) - len(leaving)
                line = picture.trouble or f"{gone} of {total} {words} gone, on their way: {listed(leaving, 3)}"
                if line != before:
                    self._report(line)
            if leaving:
                unblocked = self._unblocked(unblocked)
                picture.changed(LOOK_AGAIN)
        if self._findings:
            raise Stopped(*self._findings)
        if total:
            self._report(f"{total} of {total} {words} gone, all their disks there")

    def _unblocked(self, last: float) -> float:
        """Take away what holds those that nobody stops, if it is time for that; when that was done last."""
        if self._unblock is None or self._clock.now() - last < UNBLOCK_EVERY:
            return last
        self._unblock()
        return self._clock.now()

    def _begun(self, machine: Json) -> _Leaving:
        metadata = machine["metadata"]
        claims = self._survey.of(metadata["namespace"], metadata["uid"], claims_of(machine))
        return _Leaving(metadata["uid"], claims, self._clock.now())

    def _is_done(self, name: str, leaving: _Leaving, seen: Json | None, vmi: Json | None, step: _Step) -> bool:
        """Whether it is gone, or will not go; else it is taken a step further."""
        if seen is None or seen["metadata"]["uid"] != leaving.uid:
            self._account_for(name, leaving)
            return True
        reason = ""
        try:
            step(leaving, seen, vmi)
        except (Conflict, NotFound):  # somebody else changed it; the next look shows how
            pass
        except ApiError as error:
            if "denied the request" not in error.message:  # an admission webhook's word
                raise
            reason = f"KubeVirt does not take the change: {error.message}"
        if not reason and self._clock.now() - leaving.since > self._stop_timeout:
            reason = f"{_why(leaving, seen, vmi)} (waited for {self._stop_timeout:.0f} s)"
        if reason:
            self._findings.append(_does_not_stop(name, reason))
        return bool(reason)

    def _step_of_a_vm(self, leaving: _Leaving, seen: Json, vmi: Json | None) -> None:
        if seen["metadata"].get("deletionTimestamp"):
            self._note_deletion(leaving)
            if not leaving.is_freed:
                if "orphan" not in seen["metadata"].get("finalizers", ()):
                    self._free_claims(leaving)
                self._delete_revisions(leaving)
        elif self._unblock:
            self._delete(self._path("virtualmachines", seen), leaving.uid, propagation="Orphan")
            self._note_deletion(leaving)
        elif vmi is not None or not is_halted(seen):
            self._ask_to_stop(leaving, seen)
        elif not leaving.is_deleted:
            self._delete_stopped(leaving, seen)

    def _step_of_a_vmi(self, leaving: _Leaving, seen: Json, _vmi: Json | None) -> None:
        """Not with Orphan: its pod must go with it."""
        if not leaving.is_deleted and not seen["metadata"].get("deletionTimestamp"):
            self._delete(self._path("virtualmachineinstances", seen), leaving.uid)
        self._note_deletion(leaving)

    def _free_claims(self, leaving: _Leaving) -> None:
        """Somebody else has deleted the VM with all that it owns, and how it is deleted cannot be changed any more.

        Now that it is being deleted, virt-controller does not adopt for it again.
        """
        for claim in leaving.claims:
            is_owned = any(owner.uid == leaving.uid for owner in claim.owners)
            live = self._api.get_or_none(claim.path) if is_owned else None
            if live is not None:
                self._api.json_patch(claim.path, without_owner(live, leaving.uid))
                self.wrote = True

    def _delete_revisions(self, leaving: _Leaving) -> None:
        for revision in self._survey.revisions_of(leaving.uid):
            with contextlib.suppress(NotFound):
                self._delete(revision.path, revision.uid)
        leaving.is_freed = True

    def _note_deletion(self, leaving: _Leaving) -> None:
        if not leaving.is_deleted:
            leaving.is_deleted, leaving.since = True, self._clock.now()

    def _ask_to_stop(self, leaving: _Leaving, seen: Json) -> None:
        """Once: who sets it to run again meanwhile wants it to run."""
        if leaving.was_asked:
            return
        path = self._path("virtualmachines", seen)
        vm = self._api.get(path)
        if vm["metadata"]["uid"] == leaving.uid and not is_halted(vm):
            self._api.json_patch(path, halting(vm))
            self.wrote = True
        leaving.was_asked, leaving.since = True, self._clock.now()

    def _delete_stopped(self, leaving: _Leaving, seen: Json) -> None:
        """Only as it was when nothing of it ran; else it is a conflict, and looked at again."""
        path = self._path("virtualmachines", seen)
        vm = self._api.get(path)
        runs = self._api.get_or_none(self._path("virtualmachineinstances", seen)) is not None
        if vm["metadata"]["uid"] == leaving.uid and is_halted(vm) and not runs:
            version = vm["metadata"]["resourceVersion"]
            self._delete(path, leaving.uid, propagation="Orphan", resource_version=version)
            self._note_deletion(leaving)
            self._delete_revisions(leaving)

    def _delete(self, path: str, uid: str, *, propagation: str = "", resource_version: str = "") -> None:
        self._api.delete(path, uid=uid, propagation=propagation, resource_version=resource_version)
        self.wrote = True

    def _path(self, plural: str, live: Json) -> str:
        metadata = live["metadata"]
        return f"{self._facts.api}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}"

    def _account_for(self, name: str, leaving: _Leaving) -> None:
        if leaving.is_deleted and name not in self.gone:  # it is there for the VMI of a VM that nobody stopped
            self.gone.append(name)
        for claim in leaving.claims:
            wrong = what_became_of(self._api, claim, leaving.uid)
            if wrong:
                self._findings.append(_lost(name, claim, wrong))
            elif claim.kind == "PersistentVolumeClaim":
                kept = Kept(name, claim.name, claim.uid, claim.volume)
                self.kept += [kept] if kept not in self.kept else []


def _kept_of_a_machine(live: Json) -> Json:
    """The little of a VM or VMI that is needed, for there may be very many."""
    metadata, spec = live["metadata"], live["spec"]
    inner = (spec.get("template") or {}).get("spec") or spec
    few = ("name", "namespace", "uid", "deletionTimestamp", "finalizers")
    return {
        "metadata": {key: metadata[key] for key in few if key in metadata},
        "spec": {
            "runStrategy": spec.get("runStrategy"),
            "running": spec.get("running"),
            "volumes": [{"persistentVolumeClaim": {"claimName": name}} for name in sorted(claims_of(live))],
            "terminationGracePeriodSeconds": inner.get("terminationGracePeriodSeconds"),
        },
        "status": {"nodeName": (live.get("status") or {}).get("nodeName")},
    }


def _why(leaving: _Leaving, seen: Json, vmi: Json | None) -> str:
    """What keeps it, as far as can be seen: the beginning of a sentence."""
    if leaving.is_deleted:
        held = listed(seen["metadata"].get("finalizers") or ())
        if held == "orphan":
            return (
                "it is being deleted, and the garbage collector has not taken it out of all that it owns; it tries again "
                "within 17 minutes, and the log of kube-controller-manager says what it could not do"
            )
        return f"it is being deleted and not gone, held by {held or 'nothing that can be seen'}"
    if not is_halted(seen):
        return f"its run strategy is {run_strategy(seen)} again, so somebody else wants it to run"
    if vmi is None:
        return "it is stopped and changes faster than it can be deleted"
    if not vmi["metadata"].get("deletionTimestamp"):
        return "virt-controller has not begun to stop it"
    where = f" on node {vmi['status']['nodeName']}" if vmi["status"]["nodeName"] else ""
    grace = vmi["spec"]["terminationGracePeriodSeconds"]
    allowed = f"; it is allowed {grace} s" if grace else ""
    return f"its guest has not shut down{where}{allowed}"


def _does_not_stop(name: str, reason: str) -> Finding:
    namespace, _slash, short = name.partition("/")
    return finding(
        "remove.vm-does-not-stop",
        object=f"VM {name}",
        cause=f"It does not go: {reason}. No further VM was begun, and KubeVirt is as it was.",
        fix=f"Look at it: kubectl get vm,vmi,pod -n {namespace} | grep {short}. Shut its guest down from inside, or, if it may be cut "
        f"off: virtctl stop {short} -n {namespace} --force --grace-period 0. A longer vm_stop_timeout gives slow guests their time. "
        "Then run the same again: it goes on with the VMs that are left.",
    )


def _stays(path: str, seconds: float) -> Finding:
    *_head, namespace, plural, name = path.split("/")
    return finding(
        "remove.vm-does-not-stop",
        object=f"{plural} {namespace}/{name}",
        cause=f"It is not gone {seconds:.0f} s after its deletion, and would make its VMs again. No VM was stopped.",
        fix=f"See that virt-controller runs, and what finalizers hold it: kubectl get {plural} -n {namespace} {name} -o yaml. Then run "
        "the same again.",
    )


def _lost(name: str, claim: Claim, wrong: str) -> Finding:
    return finding(
        "remove.disk-lost",
        object=claim.full_name,
        cause=f"This disk of VM {name}, which is gone, {wrong}. No further VM was begun, and KubeVirt is as it was.",
        evidence=f"before: UID {claim.uid}" + (f", PersistentVolume {claim.volume}" if claim.volume else ""),
        fix=(
            f"Keep the data before anything else: kubectl patch pv {claim.volume} -p "
            '\'{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}\'. Then find out who deletes it; the audit log of the API server '
            "says."
            if claim.volume
            else "Find out who deletes it; the audit log of the API server says."
        ),
    )
