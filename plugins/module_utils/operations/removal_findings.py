# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What speaks against removing KubeVirt, or is to be known before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..knowledge import confirmation
from ..knowledge.findings import Finding, finding
from ..knowledge.ownership import owners
from ..knowledge.user_kinds import FOREIGN_GROUPS, REPLICA_SETS, VMIS, VMS
from ..knowledge.versions import Version
from .belongings import Belongings
from .observe import Facts
from .outcome import listed
from .standing_findings import findings_about_the_object
from .upgrade_wish import running_version

BLOCKS = "BlockUninstallIfWorkloadsExist"
LAST_THAT_RACES = Version(0, 49, 0)

_ORDER = "The KubeVirt object must be gone before its operator goes"
_REMOVE_THERE: Mapping[str, str] = {
    "owner.hco": "Delete the HyperConverged object (kubectl delete hyperconverged -A --all), which deletes KubeVirt and CDI too; then its "
    "Subscription, and its ClusterServiceVersion last. Whether VMs stop that is said by its own uninstallStrategy.",
    "owner.olm": "Delete the KubeVirt object first and wait until it is gone (kubectl delete kubevirt -n {namespace} --all), then the "
    "Subscription, and the ClusterServiceVersion last: without the operator the KubeVirt object stays for ever.",
    "owner.argo-cd": f"Take KubeVirt out of the Application's source, without pruning it. {_ORDER}: then let this run remove it.",
    "owner.flux": f"Take KubeVirt out of its source, with prune: disabled. {_ORDER}: then let this run remove it.",
    "owner.fleet": f"Take KubeVirt out of the Bundle, GitRepo or ManagedChart. {_ORDER}. It cannot be taken out of Harvester.",
    "owner.helm": f"Do not run helm uninstall now. {_ORDER}: accept this, let this run remove KubeVirt, and run helm uninstall afterwards.",
    "owner.kapp": f"Take KubeVirt out of the application's configuration. {_ORDER}: then let this run remove it.",
    "owner.ocm": f"Take KubeVirt out of the ManifestWork on the hub. {_ORDER}: then let this run remove it.",
}


def findings_about_the_removal(facts: Facts, name: str, namespace: str) -> list[Finding]:
    """What no phrase helps against: which object is meant, and whose it is.

    Args:
        facts: What is there.
        name: The name that the KubeVirt object must have; empty for any.
        namespace: The namespace that it must be in; empty for any.
    """
    if len(facts.kubevirts) > 1:
        return findings_about_the_object(facts)
    return [*_another_one(facts, name, namespace), *_owners(facts)]


def against_the_loss(facts: Facts, belongings: Belongings, confirm: str) -> list[Finding]:
    """What people have here, unless the phrase says that it may go."""
    if not confirm:
        return [workloads_exist(facts, belongings)] if belongings.at_stake else []
    difference = confirmation.difference(confirm, facts.cluster.uid, belongings.counted)
    return [confirmation_differs(facts, belongings, difference)] if difference else []


def workloads_exist(facts: Facts, belongings: Belongings) -> Finding:
    """That people have something here, and nobody has said that it may go."""
    phrase = confirmation.phrase(facts.cluster.uid, belongings.counted)
    return finding(
        "remove.workloads-exist",
        object=f"Cluster {facts.cluster.endpoint}",
        cause=f"People have {in_words(belongings)} here. All of that goes with KubeVirt; with disks: keep the disks stay.",
        evidence=listed([*belongings.vms, *belongings.standalone_vmis], most=10),
        fix=f"Look at the inventory. If all of it may go, run the same again with confirm: '{phrase}' (the playbook with "
        f"-e '{{kubevirt_confirm: {phrase}}}').",
    )


def confirmation_differs(facts: Facts, belongings: Belongings, difference: str) -> Finding:
    """That the phrase is not for what is here now.

    Args:
        facts: What is there.
        belongings: What is at stake.
        difference: From ``confirmation.difference``.
    """
    phrase = confirmation.phrase(facts.cluster.uid, belongings.counted)
    return finding(
        "remove.confirmation-differs",
        object=f"Cluster {facts.cluster.endpoint}",
        cause=f"The phrase in confirm does not cover what is here: {difference}.",
        evidence=listed([*belongings.vms, *belongings.standalone_vmis], most=10),
        fix=f"See that this is the cluster you mean, and what has come to it. Then, if all of it may go: confirm: '{phrase}'",
    )


def new_workloads(facts: Facts, belongings: Belongings) -> Finding:
    """That VMs came while the others were taken away with their disks kept; KubeVirt would take these with their disks."""
    return finding(
        "remove.confirmation-differs",
        object=f"Cluster {facts.cluster.endpoint}",
        cause=f"{in_words(belongings)} are there although all VMs were taken away just before, and deleting KubeVirt would delete their "
        "disks too.",
        evidence=listed([*belongings.vms, *belongings.standalone_vmis], most=10),
        fix="Find out who creates them and stop that. Then run the same again: it goes on with these.",
    )


def blocked_by_strategy(facts: Facts, belongings: Belongings, *, keep_disks: bool) -> list[Finding]:
    """That spec.uninstallStrategy forbids to delete KubeVirt while what is left then exists.

    virt-operator asks for it only in phase Deployed; whoever set it meant it in any phase.
    """
    spec = (facts.kubevirt or {}).get("spec") or {}
    is_deleting = (facts.kubevirt or {"metadata": {}})["metadata"].get("deletionTimestamp")
    left = [*belongings.vms, *belongings.names_of(VMIS)]
    if keep_disks and left:  # they are taken away before, and replica sets first
        return []
    left += belongings.names_of(REPLICA_SETS)
    if spec.get("uninstallStrategy") != BLOCKS or is_deleting or not left:
        return []
    return [
        finding(
            "remove.blocked-by-uninstall-strategy",
            object=facts.kubevirt_name,
            cause=f"spec.uninstallStrategy is {BLOCKS}, and VMs or replica sets of VMs would still be there when it is deleted.",
            evidence=listed(left),
            fix="Run with disks: keep, which takes VMs away before, or delete them. Whoever may decide that the strategy need not hold "
            f"changes it: kubectl patch kubevirt {facts.kubevirt_metadata_name} -n {facts.kubevirt_namespace} --type=merge -p "
            "'spec: {uninstallStrategy: RemoveWorkloads}' (all of KubeVirt's control plane is rolled out again then).",
        )
    ]


def vms_first(facts: Facts, belongings: Belongings, *, keep_disks: bool) -> list[Finding]:
    """That an old virt-operator may hang when it deletes the CRDs of VMs that there are (kubevirt/kubevirt#7064)."""
    running = running_version(facts)
    vms = [*belongings.vms, *belongings.standalone_vmis]
    if keep_disks or not vms or facts.kubevirt is None or running is None or running > LAST_THAT_RACES:
        return []
    return [
        finding(
            "remove.vms-first",
            object=facts.kubevirt_name,
            cause=f"virt-operator {running} may hang for ever when it deletes CRDs of which there are objects.",
            evidence=listed(vms),
            fix="Run with disks: keep, which takes the VMs away before, or delete the VMs before (kubectl delete vm,vmi -A --all deletes "
            "their disks too).",
        )
    ]


def nobody_stops_vms(facts: Facts, belongings: Belongings) -> Finding:
    """That virt-controller is gone for good while there are VMs."""
    by_force = "repair: finalizers takes the VMs away as they run, with their disks kept; Kubernetes ends their pods."
    is_deleting = facts.state == "deleting"
    return finding(
        "remove.stuck-controller-gone",
        object=f"Deployment {facts.kubevirt_namespace}/virt-controller",
        cause="It does not run, and nobody brings it back, so nobody stops a VM and lets go of it.",
        evidence=listed([*belongings.vms, *belongings.standalone_vmis]),
        fix=f"Do not bring virt-operator back: it would go on with the deletion, and delete the VMs with their disks. {by_force}"
        if is_deleting
        else f"Install KubeVirt of the same version again, with its KubeVirt object, and then run this again. If that cannot be: "
        f"{by_force}",
    )


def stalled(facts: Facts, cause: str, waiting: Sequence[str]) -> Finding:
    """That the deletion does not come to its end."""
    return finding(
        "remove.stalled",
        object=facts.kubevirt_name,
        cause=f"{cause} Waiting for: {listed(waiting, most=3) or 'its finalizer'}.",
        evidence=listed(waiting, most=10),
        fix="See the other findings for what holds it. Mend that, or allow more with repair, and run the same again: it goes on from here.",
    )


def in_words(belongings: Belongings) -> str:
    """How many of what, such as ``2 VMs, 3 disks, 1 snapshot``."""
    words = [_number(len(belongings.vms), "VM")] if belongings.vms else []
    if belongings.standalone_vmis:
        words.append(_number(len(belongings.standalone_vmis), "VM") + " without a VirtualMachine")
    if belongings.disks:
        words.append(_number(len(belongings.disks), "disk"))
    words += [f"{one.count} {one.kind.kind}" for one in belongings.kinds if one.kind not in (VMS, VMIS)]
    return listed(words, most=10)


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'s' if count != 1 else ''}"


def _another_one(facts: Facts, name: str, namespace: str) -> list[Finding]:
    if facts.kubevirt is None:
        return []
    asked = (namespace or facts.kubevirt_namespace, name or facts.kubevirt_metadata_name)
    if asked == (facts.kubevirt_namespace, facts.kubevirt_metadata_name):
        return []
    return [
        finding(
            "remove.other-kubevirt",
            object=facts.kubevirt_name,
            cause=f"It is the cluster's KubeVirt object, and {'/'.join(asked)} was asked for.",
            fix="Check that this is the cluster you mean. Then correct name and namespace, or leave them out.",
        )
    ]


def _owners(facts: Facts) -> list[Finding]:
    return [
        finding(
            owner.id,
            object=owner.object,
            cause=f"{owner.name} manages it and would bring back what is removed here, or fight over it.",
            evidence=owner.mark,
            fix=_REMOVE_THERE[owner.id].format(namespace=facts.kubevirt_namespace),
        )
        for owner in owners(facts.marked_objects())
    ]


def add_ons(facts: Facts) -> list[Finding]:
    """The neighbours of KubeVirt, which stay."""
    there = [words for group, words in FOREIGN_GROUPS.items() if group in facts.groups]
    if not there:
        return []
    return [
        finding(
            "remove.add-ons-stay",
            object=f"Cluster {facts.cluster.endpoint}",
            cause=f"Beside KubeVirt there is {listed(there)}. It is not touched; what it does for VMs fails without KubeVirt's kinds.",
            evidence=listed(group for group in FOREIGN_GROUPS if group in facts.groups),
            fix="Nothing, where they are to stay. What only served VMs is removed by its own operator, best before KubeVirt.",
        )
    ]
