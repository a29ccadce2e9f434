# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What the facts say by themselves, whatever is wanted."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ..knowledge import workload_updates
from ..knowledge.findings import Finding, Level, finding
from ..knowledge.image_tag import image_registry
from ..knowledge.objects import object_name
from ..knowledge.ownership import owners
from ..knowledge.versions import try_parse
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
                object=facts.operator_name,
                cause="The KubeVirt object is there, its operator is not, so nobody would carry out the upgrade.",
                fix="Look where it is: kubectl get deployment -A -l kubevirt.io=virt-operator. If it is in another namespace, this "
                "KubeVirt object is in the wrong one: virt-operator ignores it, and it belongs beside the operator. If it is "
                "nowhere, apply the kubevirt-operator.yaml of the version that is installed now, wait until the KubeVirt object is "
                "Available, and run again.",
            )
        ]
    return []


def findings_about_pins(facts: Facts) -> list[Finding]:
    """A version or registry that spec pins, and what has become of it."""
    kubevirt = facts.kubevirt
    pins = {"imageTag": facts.image_tag, "imageRegistry": image_registry(kubevirt) if kubevirt else None}
    if not any(pins.values()):
        return []
    if facts.is_hybrid:
        return [hybrid_finding(facts, "warning")]
    return [
        finding(
            "upgrade.pinned",
            object=facts.kubevirt_name,
            cause=f"spec has {listed(f'{field}={value}' for field, value in pins.items() if value)}; KubeVirt stays there, whatever "
            "its operator is.",
            fix="Nothing, if that is meant. kubevirt_upgrade moves imageTag along (pin: keep) or takes it away (pin: remove), and "
            "leaves imageRegistry as it is.",
        )
    ]


def hybrid_finding(facts: Facts, level: Level) -> Finding:
    """That images of one version run with the manifests of another."""
    operator, pinned = facts.operator_version, try_parse(facts.image_tag)
    if operator and pinned and pinned < operator:
        fix = f"Bring the images to where their operator is: kubevirt_upgrade with method: image_tag and version: {operator}."
    else:
        fix = f"Bring the operator to where the images are: kubevirt_upgrade with method: operator and version: {facts.image_tag}."
    return finding(
        "kubevirt.hybrid",
        level=level,
        object=facts.kubevirt_name,
        cause=f"Its images are pinned to {facts.image_tag}, and virt-operator {operator} runs them with the manifests, permissions "
        f"and CRDs of {operator}.",
        evidence=f"spec.imageTag: {facts.image_tag}",
        fix=fix,
    )


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
    found += findings_about_a_hold(facts)
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


def findings_about_a_hold(facts: Facts, level: Level | None = None) -> list[Finding]:
    """That an upgrade, or a run that moves VMs, holds the workload update methods empty."""
    kubevirt = facts.kubevirt
    if kubevirt is None or workload_updates.held_methods(kubevirt) is None:
        return []
    who, again, then = (
        ("A run that moves VMs", "kubevirt_workload_update", "it sets the methods that were asked for")
        if workload_updates.is_held_by_a_move(kubevirt)
        else ("An upgrade", "the upgrade", "it puts the methods back")
    )
    return [
        finding(
            "workloads.methods-held",
            level=level,
            object=facts.kubevirt_name,
            cause=f"{who} emptied the workload update methods and has not finished, so no VM is moved meanwhile.",
            evidence=f"{workload_updates.HELD_ANNOTATION}: {kubevirt['metadata']['annotations'][workload_updates.HELD_ANNOTATION]}",
            fix=f"Run {again} again; when it finishes {then}.",
        )
    ]


def _how_to_move(kubevirt: Object) -> str:
    methods = workload_updates.methods(kubevirt)
    if methods:
        return f"virt-controller moves them by itself now ({', '.join(methods)} is set); look again in a while."
    return (
        "Move them, one of each kind first: ansible-playbook kubevirt.lifecycle.workloads "
        "-e '{kubevirt_workload_methods: [LiveMigrate]}'"
    )
