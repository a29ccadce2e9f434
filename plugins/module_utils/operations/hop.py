# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Following one hop of the control plane: what to watch, and what it means."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace

from ..cluster.watch import Picture, Source
from ..knowledge.failures import failures
from ..knowledge.manifest import declared_version
from ..knowledge.migrations import unfinished_migrations
from ..knowledge.operator_failures import gone
from ..knowledge.rollout import Stage, stage_of
from ..knowledge.settling import IDENTIFIER_ANNOTATION, managed, operator_unsettled, unsettled
from ..knowledge.symptoms import Trouble, deployment_of, is_of_strategy_job
from ..knowledge.tolerance import Failing
from ..knowledge.versions import try_parse
from .observe import Facts
from .waiting import Verdict

Object = Mapping[str, t.Any]


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
        self.version = version
        self._only_operator = only_operator
        self._completed: set[tuple[str, str]] = set()
        self._edition: int | None = None
        self._verdict = Verdict([])

    def __call__(self, picture: Picture) -> Verdict:
        """What is missing, what fails, and what moved. The same picture is judged once: most looks see nothing new."""
        if picture.edition != self._edition:
            self._edition, self._verdict = picture.edition, self._judged(picture)
        return self._verdict

    def _judged(self, picture: Picture) -> Verdict:
        kubevirt = self.kubevirt(picture)
        if kubevirt is None:
            words = f"KubeVirt {self._name} is gone"
            return Verdict([words], self.failures(picture), stage=Stage("KubeVirt", (0, ""), words, "gone"))
        deployments, pods = picture.objects("deployments"), picture.objects("pods")
        operator = operator_of(deployments)
        operands = [one for one in [*deployments, *picture.objects("daemonsets")] if one is not operator]
        missing = (
            operator_unsettled(kubevirt, operator)
            if self._only_operator
            else unsettled(kubevirt, operator=operator, operands=operands, pods=pods, wanted=self.version)
        )
        if picture.trouble:
            missing = missing or [picture.trouble]
        stage = None
        if missing:
            stage = stage_of(
                kubevirt, operator=operator, operands=operands, pods=pods, wanted=self.version, missing=missing
            )
            stage = replace(stage, reason=picture.trouble, sort="trouble") if picture.trouble else stage
        return Verdict(
            missing,
            failures=self.failures(picture),
            movement=_movement(kubevirt, deployments, picture.objects("daemonsets"), pods),
            stage=stage,
        )

    def kubevirt(self, picture: Picture) -> Object | None:
        """The KubeVirt object, if it is there."""
        return next((one for one in picture.objects("kubevirt") if one["metadata"]["name"] == self._name), None)

    def failures(self, picture: Picture, last_line_of: Callable[[Trouble], str] = lambda _crash: "") -> list[Failing]:
        """What fails, the likely cause first; ``last_line_of`` gives the last line that a container which crashes has logged."""
        kubevirt = self.kubevirt(picture)
        if kubevirt is None:
            return [gone(f"KubeVirt {self._name}")]
        deployments, pods = picture.objects("deployments"), picture.objects("pods")
        operator = operator_of(deployments)
        target = (kubevirt.get("status") or {}).get("targetDeploymentID") or ""
        self._completed |= {(target, name) for name in completed_jobs(target, pods)}
        return failures(
            kubevirt,
            deployments=[*filter(None, [operator]), *managed(deployments)],
            pods=pods,
            strategy_loaded=strategy_is_loaded(kubevirt, [*deployments, *picture.objects("daemonsets")]),
            completed_jobs=sum(of == target for of, _name in self._completed),
            operator_is_to_come=operator is None or try_parse(declared_version(operator)) == try_parse(self.version),
            last_line_of=last_line_of,
        )


def strategy_is_loaded(kubevirt: Object, operands: list[dict[str, t.Any]]) -> bool:
    """Whether virt-operator knows what to install, because it has begun to."""
    status = kubevirt.get("status") or {}
    target = status.get("targetDeploymentID")
    applied = [(one["metadata"].get("annotations") or {}).get(IDENTIFIER_ANNOTATION) for one in managed(operands)]
    return bool(target) and target in (*applied, status.get("observedDeploymentID"))


def completed_jobs(target: str, pods: list[dict[str, t.Any]]) -> set[str]:
    """The pods of install-strategy Jobs for the target that succeeded; virt-operator deletes them with their Job."""
    return {
        pod["metadata"]["name"]
        for pod in pods
        if is_of_strategy_job(pod) and deployment_of(pod) in (None, target)
        if (pod.get("status") or {}).get("phase") == "Succeeded"
    }


def operator_of(deployments: list[dict[str, t.Any]]) -> dict[str, t.Any] | None:
    """Deployment virt-operator, if it is there."""
    return next((one for one in deployments if one["metadata"]["name"] == "virt-operator"), None)


def _movement(
    kubevirt: Object, deployments: Iterable[Object], daemonsets: Iterable[Object], pods: Iterable[Object]
) -> Hashable:
    """Changes when a condition changes, or when more or other pods are there, updated or ready."""
    status = kubevirt.get("status", {})
    conditions = tuple((c["type"], c["status"], c.get("reason")) for c in status.get("conditions", []))
    versions = tuple(
        status.get(key) for key in ("targetKubeVirtVersion", "observedKubeVirtVersion", "observedGeneration")
    )
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
