# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. At which stage a hop of the control plane is, and what that stage waits for.

The order is virt-operator's own (pkg/virt-operator/resource/apply/reconcile.go and update.go): first its own roll-out and a
Job that works out what to install; then, on the way to a later version, virt-handler, virt-controller, what else there is,
and virt-api last; on the way to another deployment of the same version or to an earlier one, virt-api first and virt-handler
last. What is missing is said by settling.py.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from .conditions import observed_version, target_version
from .settling import (
    failure_reported,
    is_of_target,
    kind,
    managed,
    operand_pods,
    operand_unsettled,
    operator_unsettled,
    pod_unsettled,
    same_version,
    unfinished,
    waiting_reason,
    wanted_pods,
)
from .symptoms import is_of_strategy_job
from .versions import try_parse

Object = Mapping[str, t.Any]
Position = tuple[int, str]

_LATER = {"virt-handler": 2, "virt-controller": 3, "virt-api": 5}
_OTHERWISE = {"virt-api": 2, "virt-controller": 3, "virt-handler": 5}
_OTHERS = 4


@dataclass(frozen=True)
class Stage:
    """Where a wait is.

    Attributes:
        component: The part that is worked on; empty where there are no parts.
        position: Grows from stage to stage.
        reason: What it waits for, without a full stop; empty where the number of pods is all there is to say.
        sort: What sort of reason it is: the same for another pod, another node, another time in a message.
        pods: How many pods the component is to have; 0 where no pods are counted.
        rest: What is left from here on, this stage's first: a kind of thing, and how many of it.
    """

    component: str
    position: Position
    reason: str
    sort: str
    pods: int = 0
    rest: tuple[tuple[str, int], ...] = ()

    @property
    def left(self) -> int:
        """How many are left in this stage."""
        return self.rest[0][1] if self.rest else 0


def stage_of(
    kubevirt: Object,
    *,
    operator: Object | None,
    operands: Sequence[Object],
    pods: Sequence[Object],
    wanted: str,
    missing: Sequence[str],
) -> Stage:
    """The stage of a hop that is not done.

    The arguments are those of ``unsettled()``, and in ``missing`` at least one sentence, as it says them.
    """
    parts = sorted(managed(operands), key=lambda one: _position(kubevirt, one))
    if operator_unsettled(kubevirt, operator) or not same_version(target_version(kubevirt), wanted):
        stage = _of_the_operator(kubevirt, operator, parts, pods, missing)
    elif not any(is_of_target(kubevirt, part, wanted) for part in parts):
        stage = _of_the_strategy(parts, pods)
    else:
        at_the_end = Stage("KubeVirt", (9, ""), missing[0], _sort(missing[0]))
        stage = _of_an_operand(kubevirt, parts, operand_pods(pods), wanted) or at_the_end
    failures = failure_reported(kubevirt)
    return replace(stage, reason=failures[0], sort=_sort(failures[0])) if failures else stage


def _of_the_operator(
    kubevirt: Object, operator: Object | None, parts: Iterable[Object], pods: Iterable[Object], missing: Sequence[str]
) -> Stage:
    if operator is None:
        return Stage("virt-operator", (0, ""), missing[0], "missing")
    left = _left_of_the_operator(operator)
    staying = [pod for pod in _pods_of(operator, pods) if not pod["metadata"].get("deletionTimestamp")]
    reason, sort = _about_pods(kubevirt, staying, "") or (missing[0], _sort(missing[0]))
    rest = ((kind(operator), left), *((kind(part), wanted_pods(part)) for part in parts))
    return Stage("virt-operator", (0, ""), reason, sort, wanted_pods(operator), rest)


def _left_of_the_operator(operator: Object) -> int:
    """How many of its pods are not new and ready, as far as its Deployment tells; old pods that are not ready count too."""
    status = operator.get("status") or {}
    if status.get("observedGeneration", 0) < operator["metadata"].get("generation", 0):
        return wanted_pods(operator)
    not_ready = status.get("replicas", 0) - status.get("readyReplicas", 0)
    return max(0, wanted_pods(operator) - max(0, int(status.get("updatedReplicas", 0) - not_ready)))


def _of_the_strategy(parts: Iterable[Object], pods: Iterable[Object]) -> Stage:
    jobs = [pod for pod in unfinished(pods) if is_of_strategy_job(pod)]
    phases = [(pod.get("status") or {}).get("phase") for pod in jobs]
    reason = f"the pod of its Job is {phases[0]}" if phases else "virt-operator prepares the new objects"
    rest = (("Job", 1), *((kind(part), wanted_pods(part)) for part in parts))
    return Stage("install-strategy", (1, ""), reason, reason, rest=rest)


def _of_an_operand(kubevirt: Object, parts: Sequence[Object], pods: Sequence[Object], wanted: str) -> Stage | None:
    """The stage of the first operand that is not done; None when all are."""
    stages = [_stage_of_operand(kubevirt, part, _pods_of(part, pods), wanted) for part in parts]
    for number, stage in enumerate(stages):
        if stage:
            rest = tuple(one.rest[0] for one in stages[number:] if one)
            return replace(stage, rest=rest)
    return None


def _stage_of_operand(kubevirt: Object, workload: Object, pods: Sequence[Object], wanted: str) -> Stage | None:
    """The stage of a Deployment or DaemonSet with its pods; None when it is done."""
    missing = operand_unsettled(kubevirt, workload, wanted)
    late = [pod for pod in pods if pod_unsettled(kubevirt, pod, wanted)]
    if not missing and not late:
        return None
    left = max(0, wanted_pods(workload) - (len(pods) - len(late)))
    if not is_of_target(kubevirt, workload, wanted):
        reason, sort = "virt-operator has not begun with it", "not begun"
    else:
        new = [pod for pod in late if is_of_target(kubevirt, pod, wanted)]
        going = [pod for pod in late if pod["metadata"].get("deletionTimestamp")]
        about = _about_pods(kubevirt, new or going or (() if missing else late), wanted)
        reason, sort = about or (missing[0], _sort(missing[0]))
    rest = ((kind(workload), left),)
    return Stage(workload["metadata"]["name"], _position(kubevirt, workload), reason, sort, wanted_pods(workload), rest)


def _about_pods(kubevirt: Object, pods: Iterable[Object], wanted: str) -> tuple[str, str] | None:
    """What the first pod that is not ready lacks, and the sort of that; None when all are ready."""
    for pod in pods:
        for sentence in pod_unsettled(kubevirt, pod, wanted):
            status = pod.get("status") or {}
            reasons = map(waiting_reason, status.get("containerStatuses") or ())
            return sentence, f"{status.get('phase')}{next(filter(None, reasons), '')}"
    return None


def _position(kubevirt: Object, operand: Object) -> Position:
    name = operand["metadata"]["name"]
    order = _LATER if _goes_to_a_later_version(kubevirt) else _OTHERWISE
    return order.get(name, _OTHERS), name


def _goes_to_a_later_version(kubevirt: Object) -> bool:
    """As virt-operator has it: also when one of the two is no version. When all is applied, that was the way here."""
    status = kubevirt.get("status") or {}
    observed, target = try_parse(observed_version(kubevirt)), try_parse(target_version(kubevirt))
    is_applied = status.get("observedDeploymentID") == status.get("targetDeploymentID")
    return is_applied or observed is None or target is None or target > observed


def _pods_of(workload: Object, pods: Iterable[Object]) -> list[Object]:
    selected = ((workload["spec"].get("selector") or {}).get("matchLabels") or {}).items()
    return [pod for pod in unfinished(pods) if selected and selected <= (pod["metadata"].get("labels") or {}).items()]


def _sort(sentence: str) -> str:
    """What comes before the message of a condition, which may hold names and times."""
    return sentence.partition(":")[0]
