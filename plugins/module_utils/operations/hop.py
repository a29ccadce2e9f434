# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Following one hop of the control plane: what to watch, and what it means."""

from __future__ import annotations

import typing as t
from collections.abc import Hashable, Mapping
from dataclasses import replace

from ..cluster.watch import Picture, Source
from ..knowledge.failures import deployment_failure, image_pull_failure
from ..knowledge.findings import Finding
from ..knowledge.launchers import unfinished_migrations
from ..knowledge.manifest import declared_version
from ..knowledge.rollout import Stage, stage_of
from ..knowledge.settling import operator_unsettled, unsettled
from ..knowledge.versions import try_parse
from .observe import Facts
from .waiting import Verdict

Object = Mapping[str, t.Any]

# A registry that answers late, or the operator's own retries, end within a minute.
IMAGE_PULL_PATIENCE = 60.0
# While virt-operator itself rolls, the old one works under new rules (kubevirt/kubevirt#18497).
DEPLOYMENT_FAILED_PATIENCE = 120.0
# Where no other operator is to come, nothing will bring it what it lacks.
ESCALATION_PATIENCE = 10.0


def sources(facts: Facts) -> list[Source]:
    """The collections in which a hop shows: the KubeVirt object, its Deployments, DaemonSets and pods."""
    namespace = facts.kubevirt_namespace
    return [
        Source("kubevirt", f"{facts.api}/namespaces/{namespace}/kubevirts"),
        Source("deployments", f"/apis/apps/v1/namespaces/{namespace}/deployments"),
        Source("daemonsets", f"/apis/apps/v1/namespaces/{namespace}/daemonsets"),
        Source("pods", f"/api/v1/namespaces/{namespace}/pods", label_selector="kubevirt.io,kubevirt.io!=virt-launcher"),
    ]


def migrations_source(facts: Facts) -> Source:
    """All live migrations."""
    return Source("migrations", f"{facts.api}/virtualmachineinstancemigrations")


def migrations_finished(picture: Picture) -> Verdict:
    """Says of a picture of ``migrations_source()`` whether no live migration runs; never while the picture is old."""
    unfinished = unfinished_migrations(picture.objects("migrations"))
    trouble = [picture.trouble] if picture.trouble else []
    missing = [f"live migration {name} runs" for name in unfinished] or trouble
    more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
    stage = (
        Stage("", (0, ""), f"{missing[0]}{more}", "runs", rest=(("migration", len(unfinished)),)) if missing else None
    )
    return Verdict(missing, movement=tuple(unfinished), stage=stage)


class HopJudge:
    """Says of a picture of ``sources()`` whether KubeVirt has arrived at a version.

    Args:
        name: The name of the KubeVirt object.
        version: The wanted version, ``v1.8.4``.
        only_operator: It is enough that the operator of that version works.
    """

    def __init__(self, name: str, version: str, *, only_operator: bool = False) -> None:
        self._name = name
        self._version = version
        self._only_operator = only_operator

    def __call__(self, picture: Picture) -> Verdict:
        """What is missing, what fails, and what moved."""
        kubevirt = next((one for one in picture.objects("kubevirt") if one["metadata"]["name"] == self._name), None)
        if kubevirt is None:
            gone = f"KubeVirt {self._name} is gone"
            return Verdict([gone], stage=Stage("KubeVirt", (0, ""), gone, "gone"))
        deployments, pods = picture.objects("deployments"), picture.objects("pods")
        operator = next((one for one in deployments if one["metadata"]["name"] == "virt-operator"), None)
        operands = [one for one in [*deployments, *picture.objects("daemonsets")] if one is not operator]
        missing = (
            operator_unsettled(kubevirt, operator)
            if self._only_operator
            else unsettled(kubevirt, operator=operator, operands=operands, pods=pods, wanted=self._version)
        )
        if picture.trouble:
            missing = missing or [picture.trouble]
        stage = None
        if missing:
            stage = stage_of(
                kubevirt, operator=operator, operands=operands, pods=pods, wanted=self._version, missing=missing
            )
            stage = replace(stage, reason=picture.trouble, sort="trouble") if picture.trouble else stage
        image = image_pull_failure(pods, kubevirt.get("status", {}).get("targetDeploymentID"))
        deployment = deployment_failure(kubevirt)
        return Verdict(
            missing,
            failure=image or deployment,
            patience=IMAGE_PULL_PATIENCE if image else self._patience(deployment, operator),
            movement=_movement(kubevirt, deployments, picture.objects("daemonsets"), pods),
            stage=stage,
        )

    def _patience(self, failure: Finding | None, operator: Object | None) -> float:
        """While the operator of the wanted version comes up, the old one cannot grant new permissions for a moment."""
        if failure is None or failure.id != "upgrade.rbac-escalation" or operator is None:
            return DEPLOYMENT_FAILED_PATIENCE
        is_to_come = try_parse(declared_version(operator)) == try_parse(self._version)
        return DEPLOYMENT_FAILED_PATIENCE if is_to_come else ESCALATION_PATIENCE


def _movement(kubevirt: Object, *collections: list[dict[str, t.Any]]) -> Hashable:
    """Changes when a condition changes, or when more or other pods are there, updated or ready."""
    status = kubevirt.get("status", {})
    conditions = tuple((c["type"], c["status"], c.get("reason")) for c in status.get("conditions", []))
    versions = tuple(
        status.get(key) for key in ("targetKubeVirtVersion", "observedKubeVirtVersion", "observedGeneration")
    )
    deployments, daemonsets, pods = collections
    counts = tuple(
        (one["metadata"]["name"], *(one.get("status", {}).get(key) for key in keys))
        for group, keys in (
            (deployments, ("observedGeneration", "updatedReplicas", "readyReplicas")),
            (daemonsets, ("observedGeneration", "updatedNumberScheduled", "numberReady")),
        )
        for one in group
    )
    containers = tuple(
        (pod["metadata"]["name"], container["name"], container.get("imageID"), container.get("ready"))
        for pod in pods
        for container in pod.get("status", {}).get("containerStatuses", [])
    )
    return (conditions, versions, counts, containers)
