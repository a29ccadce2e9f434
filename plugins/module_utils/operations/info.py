# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What KubeVirt in this cluster is and how it is doing, without a write."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ..cluster.api import Api
from ..cluster.clock import Clock
from ..knowledge import workload_updates
from ..knowledge.conditions import (
    conditions,
    observed_registry,
    observed_version,
    operator_version,
    target_registry,
    target_version,
)
from ..knowledge.findings import Finding
from ..knowledge.objects import object_name
from ..knowledge.ownership import Owner, owners
from .observe import Facts, cluster_of, observe, wrong_cluster
from .options import check_options
from .outcome import Outcome, Report, refusal
from .pages import status_page
from .standing_findings import (
    findings_about_owners,
    findings_about_pins,
    findings_about_the_object,
    findings_about_workloads,
)

ARGUMENT_SPEC: dict[str, t.Any] = {
    "name": {"type": "str"},
    "namespace": {"type": "str"},
    "expected_cluster_uid": {"type": "str"},
}


def run(api: Api, params: Mapping[str, t.Any], *, check_mode: bool, clock: Clock, report: Report) -> Outcome:
    """Read the cluster once and say what was seen.

    Args:
        api: The cluster.
        params: Options as ``ARGUMENT_SPEC`` describes them.
        check_mode: Makes no difference; nothing is written.
        clock: Time.
        report: Not used; one read has no progress.

    Raises:
        InvalidOption: An option's value cannot be used.
        ClusterError: The cluster cannot be read.
    """
    started = clock.now()
    check_options(params)
    cluster = cluster_of(api)
    wrong = wrong_cluster(cluster, params["expected_cluster_uid"])
    if wrong:
        return Outcome(cluster.as_dict(), "unknown", findings=wrong, failure=refusal(wrong, ()))
    facts = observe(api, cluster, name=params["name"] or None, namespace=params["namespace"])
    return Outcome(
        cluster.as_dict(),
        facts.state,
        from_version=observed_version(facts.kubevirt) if facts.kubevirt else None,
        to_version=target_version(facts.kubevirt) if facts.kubevirt else None,
        findings=_findings(facts),
        elapsed=clock.now() - started,
        page=status_page,
        extra={
            "kubernetes_version": facts.kubernetes,
            "explanation": facts.explanation,
            "kubevirts": [object_name(one) for one in facts.kubevirts],
            "kubevirt": _kubevirt(facts),
            "workloads": {
                "vms": facts.workloads.vms,
                "vmis": facts.workloads.vmis,
                "outdated": facts.workloads.outdated,
            },
            "owners": [_owner(one) for one in owners(facts.marked_objects())],
        },
    )


def _findings(facts: Facts) -> list[Finding]:
    """What a person should know; what would only stop an upgrade is a warning here."""
    found = findings_about_the_object(facts)
    if facts.kubevirt is not None:
        found += findings_about_pins(facts)
    return [*found, *findings_about_owners(facts, "warning"), *findings_about_workloads(facts)]


def _kubevirt(facts: Facts) -> dict[str, t.Any] | None:
    kubevirt = facts.kubevirt
    if kubevirt is None:
        return None
    spec = kubevirt.get("spec", {})
    return {
        "name": kubevirt["metadata"]["name"],
        "namespace": kubevirt["metadata"]["namespace"],
        "phase": kubevirt.get("status", {}).get("phase"),
        "operator_version": operator_version(kubevirt),
        "operator_declared_version": facts.operator_declared,
        "observed_version": observed_version(kubevirt),
        "target_version": target_version(kubevirt),
        "observed_registry": observed_registry(kubevirt),
        "target_registry": target_registry(kubevirt),
        "operator_registry": facts.registry,
        "image_tag": spec.get("imageTag") or None,
        "image_registry": spec.get("imageRegistry") or None,
        "uninstall_strategy": spec.get("uninstallStrategy") or "RemoveWorkloads",
        "workload_update_strategy": spec.get("workloadUpdateStrategy") or {},
        "held_workload_update_methods": workload_updates.held_methods(kubevirt),
        "conditions": [
            {"type": one.type, "status": one.status, "reason": one.reason, "message": one.message}
            for one in conditions(kubevirt).values()
        ],
    }


def _owner(owner: Owner) -> dict[str, str]:
    return {
        "id": owner.id,
        "name": owner.name,
        "object": owner.object,
        "mark": owner.mark,
        "change_there": owner.change_there,
    }
