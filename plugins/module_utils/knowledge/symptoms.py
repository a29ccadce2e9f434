# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What pods, workloads and events show when something fails, in the words of who wrote it.

Sources: the kubelet's reasons (pkg/kubelet/images, pkg/kubelet/kuberuntime), the scheduler's and the controllers' conditions
and events.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .settling import IDENTIFIER_ANNOTATION, managed

Object = Mapping[str, t.Any]

LONGEST_EVIDENCE = 600
_NAMED = 3

_APP = "kubevirt.io"
_OPERATOR = "virt-operator"
_STRATEGY_POD = "virt-operator-strategy-dumper"
_TEMPLATE = "pod-template-hash"
# Up to 1.8 the Job that reads an install strategy has the deployment in its name only (pkg/virt-operator/strategy_job.go).
_STRATEGY_JOB = re.compile(r"kubevirt-([0-9a-f]{40})-job")

_IMAGE_PULL_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_NOT_CREATED_REASONS = frozenset(
    {
        *("CreateContainerConfigError", "CreateContainerError", "RunContainerError"),
        *("PreCreateHookError", "PreStartHookError", "PostStartHookError"),
    }
)
# How a container ended that was created and never ran; the kubelet then calls it CrashLoopBackOff.
_NEVER_RAN = frozenset({"StartError", "ContainerCannotRun"})


@dataclass(frozen=True)
class Trouble:
    """A container that does not come up.

    Attributes:
        sort: ``pull``, ``create`` or ``crash``.
        reason: The kubelet's word.
        message: What it says besides.
        exit_code: How a crashed container ended.
        restarts: How often it was started again.
        previous: Whether its log is that of its previous run.
    """

    sort: t.Literal["pull", "create", "crash"]
    pod: Object
    container: str
    image: str
    reason: str
    message: str
    exit_code: int = 0
    restarts: int = 0
    previous: bool = False


def troubles(pods: Iterable[Object]) -> Iterator[Trouble]:
    """The containers of these pods that do not come up."""
    for pod in pods:
        status = pod.get("status") or {}
        for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
            trouble = _trouble(pod, container)
            if trouble:
                yield trouble


def _trouble(pod: Object, container: Object) -> Trouble | None:
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    reason, message = waiting.get("reason") or "", waiting.get("message") or ""
    name, image = container.get("name", ""), container.get("image", "")
    if reason in _IMAGE_PULL_REASONS:
        return Trouble("pull", pod, name, image, reason, message)
    if reason in _NOT_CREATED_REASONS:
        return Trouble("create", pod, name, image, reason, message)
    now, before = state.get("terminated") or {}, (container.get("lastState") or {}).get("terminated") or {}
    ended = now or before
    is_up = container.get("ready") or not ended or ended.get("exitCode") == 0
    if is_up or (_is_restarted(pod) and not container.get("restartCount")):  # once is not yet again and again
        return None
    if ended.get("reason") in _NEVER_RAN:
        return Trouble("create", pod, name, image, ended["reason"], ended.get("message") or "")
    return Trouble(
        "crash",
        pod,
        name,
        image,
        ended.get("reason") or "Error",
        ended.get("message") or "",
        exit_code=int(ended.get("exitCode") or 0),
        restarts=int(container.get("restartCount") or 0),
        previous=not now,
    )


def _is_restarted(pod: Object) -> bool:
    return bool((pod.get("spec") or {}).get("restartPolicy") != "Never")


def unschedulable(pod: Object) -> str:
    """The scheduler's words about a pod that it finds no node for; empty where it has one, or has not looked."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return str(condition.get("message") or "no node was found") if condition.get("status") == "False" else ""
    return ""


def refused_pods(deployment: Object) -> str:
    """Why the API server refuses the pods of a Deployment, as its condition says; empty where it does not."""
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return str(condition.get("message") or condition.get("reason") or "")
    return ""


def pods_that_count(pods: Iterable[Object], target: str | None, *, strategy_loaded: bool = False) -> list[Object]:
    """The pods whose failure stops the way to the target.

    Left out are pods of others, such as a VM's, and those that go away, of another deployment than the target (they are being
    replaced, or belong to the Job of an earlier attempt, which virt-operator deletes only when it completed), of an earlier
    template of virt-operator's Deployment, and those of the Job once its work is done.

    Args:
        pods: Pods of KubeVirt's namespace.
        target: status.targetDeploymentID.
        strategy_loaded: Whether virt-operator has read the target's install strategy.
    """
    staying = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    template = _latest_template(staying)
    return [
        pod
        for pod in staying
        if app_of(pod) in (_OPERATOR, _STRATEGY_POD) or managed([pod])
        if not (target and deployment_of(pod) not in (None, target))
        if not (app_of(pod) == _OPERATOR and _label(pod, _TEMPLATE) != template)
        if not (strategy_loaded and is_of_strategy_job(pod))
        if is_of_strategy_job(pod) or (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    ]


def _latest_template(pods: Iterable[Object]) -> str:
    """That of virt-operator's youngest pod."""
    operators = [pod for pod in pods if app_of(pod) == _OPERATOR]
    youngest = max(operators, key=lambda pod: str(pod["metadata"].get("creationTimestamp") or ""), default=None)
    return _label(youngest, _TEMPLATE) if youngest else ""


def is_of_strategy_job(pod: Object) -> bool:
    """Whether it is a pod of a Job that works out what to install."""
    return app_of(pod) == _STRATEGY_POD


def app_of(pod: Object) -> str:
    """Which part of KubeVirt it is a pod of."""
    return _label(pod, _APP)


def _label(pod: Object, name: str) -> str:
    return str((pod["metadata"].get("labels") or {}).get(name) or "")


def deployment_of(pod: Object) -> str | None:
    """The ID of the deployment that virt-operator made the pod for; None where it did not, or does not say."""
    identifier: str | None = (pod["metadata"].get("annotations") or {}).get(IDENTIFIER_ANNOTATION)
    job = _STRATEGY_JOB.match(pod["metadata"]["name"])
    return identifier or (job[1] if job else None)


def time_of(event: Object) -> str:
    """When it happened last: RFC 3339, so that texts compare as times do. Which field is set depends on who wrote the event."""
    series, metadata = event.get("series") or {}, event.get("metadata") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return next((str(one) for one in (*times, metadata.get("creationTimestamp")) if one), "")


def shortened(text: str) -> str:
    """In one line, and not longer than evidence may be."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_EVIDENCE else f"{text[:LONGEST_EVIDENCE]} …"


def so_do(names: Sequence[str]) -> str:
    """A sentence that names the first of other objects with the same trouble; empty where there is none."""
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f" The same is seen on {', '.join(names[:_NAMED])}{more}."
