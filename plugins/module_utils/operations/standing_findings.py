# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What the facts say by themselves, whatever is wanted."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ..knowledge import workload_updates
from ..knowledge.findings import Finding, Level, finding
from ..knowledge.objects import object_name
from ..knowledge.ownership import owners
from .observe import Facts
from .outcome import listed

Object = Mapping[str, t.Any]


def findings_about_the_object(facts: Facts) -> list[Finding]:
    """What is wrong with the KubeVirt object itself: none, several, being deleted, or without its operator."""
    if len(facts.kubevirts) > 1:
        names = [object_name(one) for one in facts.kubevirts]
        return [
            finding(
                "kubevirt.multiple",
                object=listed(names),
                cause="virt-operator works on one KubeVirt object only and reports ExistingDeployment on the other.",
                fix="Find the one whose status has an observedKubeVirtVersion; delete the other (kubectl delete kubevirt) after "
                "making sure that it never deployed anything.",
            )
        ]
    if facts.kubevirt is None:
        return [
            finding(
                "kubevirt.absent",
                object=f"Cluster {facts.cluster.endpoint}",
                cause="There is no KubeVirt object in any namespace, so there is nothing to upgrade.",
                fix="Check that this is the cluster you mean. To install KubeVirt, apply kubevirt-operator.yaml and kubevirt-cr.yaml.",
            )
        ]
    if facts.kubevirt["metadata"].get("deletionTimestamp"):
        return [
            finding(
                "kubevirt.deleting",
                object=facts.kubevirt_name,
                cause=f"It is being deleted since {facts.kubevirt['metadata']['deletionTimestamp']}.",
                fix="Let the deletion finish. An upgrade cannot bring it back.",
            )
        ]
    if facts.operator is None:
        return [
            finding(
                "kubevirt.operator-absent",
                object=f"Deployment {facts.kubevirt_namespace}/virt-operator",
                cause="The KubeVirt object is there, its operator is not, so nobody would carry out the upgrade.",
                fix="Look where it is: kubectl get deployment -A -l kubevirt.io=virt-operator. If it is in another namespace, this "
                "KubeVirt object is in the wrong one: virt-operator ignores it, and it belongs beside the operator. If it is "
                "nowhere, apply the kubevirt-operator.yaml of the version that is installed now, wait until the KubeVirt object is "
                "Available, and run again.",
            )
        ]
    return []


def findings_about_pins(kubevirt: Object, level: Level | None = None) -> list[Finding]:
    """A version or registry that spec pins."""
    pins = {
        field: kubevirt["spec"][field] for field in ("imageTag", "imageRegistry") if kubevirt.get("spec", {}).get(field)
    }
    if not pins:
        return []
    # kubectl takes YAML too. Quotes would come out of Ansible with backslashes, and the command could not be copied.
    patch = ", ".join(f"{{op: remove, path: /spec/{field}}}" for field in pins)
    return [
        finding(
            "upgrade.pinned",
            level=level,
            object=object_name(kubevirt),
            cause=f"spec has {listed(f'{field}={value}' for field, value in pins.items())}; the operator keeps its operands "
            "there, whatever its own version is.",
            fix="If that is also what the operator itself says, remove the pin: kubectl patch kubevirt {name} -n {namespace} "
            "--type=json -p".format(**kubevirt["metadata"])
            + f" '[{patch}]'",
        )
    ]


def findings_about_owners(facts: Facts, level: Level | None = None) -> list[Finding]:
    """The tools that manage KubeVirt here."""
    return [
        finding(
            owner.id,
            level=level,
            object=owner.object,
            cause=f"{owner.name} manages it and would undo, or fight, what is changed here.",
            evidence=owner.mark,
            fix=owner.change_there,
        )
        for owner in owners(facts.marked_objects())
    ]


def findings_about_workloads(facts: Facts) -> list[Finding]:
    """VMs on old launchers, and updates that an unfinished upgrade holds back."""
    found: list[Finding] = []
    kubevirt = facts.kubevirt
    if kubevirt is None:
        return found
    if workload_updates.held_methods(kubevirt) is not None:
        found.append(
            finding(
                "workloads.methods-held",
                object=facts.kubevirt_name,
                cause="An upgrade emptied the workload update methods and has not finished, so no VM is moved meanwhile.",
                evidence=f"{workload_updates.HELD_ANNOTATION}: {kubevirt['metadata']['annotations'][workload_updates.HELD_ANNOTATION]}",
                fix="Run the upgrade again; when it finishes it puts the methods back.",
            )
        )
    workloads = facts.workloads
    if workloads.outdated:
        found.append(
            finding(
                "workloads.on-old-launchers",
                object=f"{workloads.outdated} of {workloads.vmis} running VMs",
                cause="They keep running on the virt-launcher of the version that started them until they are moved or restarted.",
                fix=_how_to_move(kubevirt),
            )
        )
    return found


def _how_to_move(kubevirt: Object) -> str:
    methods = workload_updates.methods(kubevirt)
    if methods:
        return f"virt-controller moves them by itself now ({', '.join(methods)} is set); look again in a while."
    name, namespace = kubevirt["metadata"]["name"], kubevirt["metadata"]["namespace"]
    # YAML, without quotes and without a brace in front, which kubectl takes for JSON.
    patch = "spec: {workloadUpdateStrategy: {workloadUpdateMethods: [LiveMigrate]}}"
    return f"Let virt-controller migrate them: kubectl patch kubevirt {name} -n {namespace} --type=merge -p '{patch}'"
