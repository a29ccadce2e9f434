# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Whether KubeVirt has settled at a version, and if not, what is still missing.

It asks what KubeVirt's own tests ask after an update (tests/testsuite/fixture.go, allKvInfraPodsAreReady in
tests/operator/operator.go) and what virt-operator calls ready (pkg/virt-operator/util/readycheck.go). It also asks for
virt-operator's own roll-out and for the wanted version, because the status stays that of the previous version, with
reason AllComponentsReady, until the new virt-operator leads.

``unsettled()`` is the whole answer. ``…_unsettled()`` are its parts, for who asks about one of them.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence

from .conditions import (
    conditions,
    deployment_failed,
    observed_version,
    operator_version,
    reconciled_generation,
    target_version,
)
from .manifest import declared_version
from .marks import is_made_by_virt_operator
from .versions import try_parse

Object = Mapping[str, t.Any]

_REQUIRED = (("Deployment", "virt-api"), ("Deployment", "virt-controller"), ("DaemonSet", "virt-handler"))
_OPERATOR = "virt-operator"

_DONE = {"Available": "True", "Progressing": "False", "Degraded": "False", "Created": "True"}
_DONE_BEFORE_0_20 = {"Ready": "True", "Created": "True"}

_APP = "kubevirt.io"
_NOT_OPERANDS = (None, "virt-operator", "virt-operator-strategy-dumper", "virt-launcher")

IDENTIFIER_ANNOTATION = "kubevirt.io/install-strategy-identifier"
"""On all that virt-operator makes: the ID of the deployment that it is of."""
_VERSION = "kubevirt.io/install-strategy-version"
_GENERATION = "kubevirt.io/generation"


def unsettled(
    kubevirt: Object,
    *,
    operator: Object | None,
    operands: Sequence[Object],
    pods: Sequence[Object],
    wanted: str,
) -> list[str]:
    """What is still missing until KubeVirt runs entirely at ``wanted``; empty when it is done.

    Args:
        kubevirt: The KubeVirt object.
        operator: The Deployment virt-operator.
        operands: The Deployments and DaemonSets in its namespace; what virt-operator does not manage is left out.
        pods: The pods in its namespace; what virt-operator does not manage is left out.
        wanted: The version, as virt-operator reports it: v1.8.4.

    Returns:
        Sentences without a full stop, the most telling first.
    """
    operands = managed(operands)
    return [
        *failure_reported(kubevirt),
        *operator_unsettled(kubevirt, operator),
        *_versions_missing(kubevirt, wanted),
        *_conditions_missing(kubevirt),
        *_generation_missing(kubevirt, operands),
        *_operands_absent(kubevirt, operands),
        *(sentence for operand in operands for sentence in operand_unsettled(kubevirt, operand, wanted)),
        *(sentence for pod in operand_pods(pods) for sentence in pod_unsettled(kubevirt, pod, wanted)),
    ]


def failure_reported(kubevirt: Object) -> list[str]:
    """That virt-operator cannot go on, in its own words, or that all of it is going away."""
    failure = deployment_failed(kubevirt)
    sentences = [f"{failure.reason}: {failure.message}"] if failure else []
    if kubevirt["metadata"].get("deletionTimestamp"):
        sentences.append(f"KubeVirt {_name(kubevirt)} is being deleted")
    return sentences


def operator_unsettled(kubevirt: Object, operator: Object | None) -> list[str]:
    """What is still missing until only the operator of Deployment virt-operator works; empty when it does."""
    if operator is None:
        return [f"Deployment {kubevirt['metadata']['namespace']}/{_OPERATOR} is missing"]
    return [*_rollout_missing(operator), *old_leader(kubevirt, operator)]


def old_leader(kubevirt: Object, operator: Object) -> list[str]:
    """That the KubeVirt object's status is still the word of another version's operator; empty when it is not.

    The version that a binary reports and the one of its Deployment may differ in what follows the three numbers.
    """
    reported, declared = try_parse(operator_version(kubevirt)), try_parse(declared_version(operator))
    if reported is None or declared is None or reported.release == declared.release:
        return []
    return [f"the status is that of virt-operator {reported}, not yet of {declared}"]


def _versions_missing(kubevirt: Object, wanted: str) -> Iterator[str]:
    target, observed = target_version(kubevirt), observed_version(kubevirt)
    if not same_version(target, wanted):
        yield f"virt-operator reports target {target or 'none'}, not yet {wanted}"
    if not same_version(observed, wanted):
        yield f"virt-operator reports {observed or 'nothing'} as deployed, not yet {wanted}"
    status = kubevirt.get("status") or {}
    for field in ("KubeVirtRegistry", "DeploymentID"):
        wanted_value, value = status.get(f"target{field}"), status.get(f"observed{field}")
        if wanted_value and value != wanted_value:
            yield f"observed{field} is {value or 'not set'}, not yet {wanted_value}"


def _conditions_missing(kubevirt: Object) -> Iterator[str]:
    by_type = conditions(kubevirt)
    if not by_type:
        yield f"virt-operator has set no condition on KubeVirt {_name(kubevirt)} yet"
        return
    # virt-operator 0.17 to 0.19 removes Updating when the update is done; a later one leaves it as it found it.
    deciding = by_type.get("Available") or by_type.get("Updating")
    if deciding and deciding.reason != "AllComponentsReady" and not deployment_failed(kubevirt):
        yield f"reason is {deciding.reason}: {deciding.message}"
    for type, status in (_DONE if "Available" in by_type else _DONE_BEFORE_0_20).items():
        condition = by_type.get(type)
        if condition is None:
            yield f"condition {type} is not set, not yet {status}"
        elif condition.status != status:
            yield f"condition {type} is {condition.status}, not yet {status}"


def _generation_missing(kubevirt: Object, operands: Iterable[Object]) -> Iterator[str]:
    reconciled = reconciled_generation(kubevirt)
    generation = kubevirt["metadata"].get("generation")
    if reconciled is False:
        yield f"virt-operator has not yet finished generation {generation} of KubeVirt {_name(kubevirt)}"
    elif reconciled is None:
        # Before 0.52 only the operands tell for which generation they were written, and before 0.34 nothing does.
        for operand in operands:
            applied = _annotations(operand).get(_GENERATION)
            if applied is not None and applied != str(generation):
                yield f"{_label(operand)} is of KubeVirt's generation {applied}, not yet {generation}"


def _operands_absent(kubevirt: Object, operands: Sequence[Object]) -> Iterator[str]:
    present = {(kind(operand), operand["metadata"]["name"]) for operand in operands}
    for required in _REQUIRED:
        if required not in present:
            yield f"{required[0]} {kubevirt['metadata']['namespace']}/{required[1]} is missing"


def operand_unsettled(kubevirt: Object, operand: Object, wanted: str) -> list[str]:
    """What is still missing until a Deployment or DaemonSet of virt-operator's is rolled out; its pods may say more."""
    return [*_strategy_missing(kubevirt, operand, wanted), *_rollout_missing(operand)]


def managed(objects: Iterable[Object]) -> list[Object]:
    """Those that virt-operator manages."""
    return [one for one in objects if is_made_by_virt_operator(one)]


def unfinished(pods: Iterable[Object]) -> list[Object]:
    """The pods that run or are to run.

    An evicted pod of a Deployment stays as Failed beside its replacement, which the Deployment counts.
    """
    return [pod for pod in pods if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]


def operand_pods(pods: Iterable[Object]) -> list[Object]:
    """The unfinished pods of virt-operator's operands."""
    return [pod for pod in managed(unfinished(pods)) if pod["metadata"]["labels"].get(_APP) not in _NOT_OPERANDS]


def pod_unsettled(kubevirt: Object, pod: Object, wanted: str) -> list[str]:
    """What is still missing until a pod of an operand is new and ready."""
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or ()
    sentences = [*_strategy_missing(kubevirt, pod, wanted)]
    if sentences and pod["metadata"].get("deletionTimestamp"):
        sentences = [f"{_label(pod)} is old and not gone yet"]
    if status.get("phase") != "Running":
        waiting = next(filter(None, map(waiting_reason, containers)), "")
        sentences.append(f"{_label(pod)} is {status.get('phase') or 'not scheduled'}{waiting}, not yet Running")
    for container in containers:
        if not container.get("ready"):
            sentences.append(f"{_label(pod)}: container {container['name']} is not ready{waiting_reason(container)}")
    return sentences


def waiting_reason(container: Object) -> str:
    """Why the kubelet does not run the container, as `` (ImagePullBackOff)``; empty when it does."""
    reason = ((container.get("state") or {}).get("waiting") or {}).get("reason")
    return f" ({reason})" if reason else ""


def is_of_target(kubevirt: Object, applied: Object, wanted: str) -> bool:
    """Whether virt-operator wrote the operand or pod for its target, as PodIsUpToDate has it."""
    return not [*_strategy_missing(kubevirt, applied, wanted)]


def wanted_pods(workload: Object) -> int:
    """How many pods the Deployment or DaemonSet is to have."""
    if kind(workload) == "DaemonSet":
        return int((workload.get("status") or {}).get("desiredNumberScheduled", 0))
    return int(workload["spec"]["replicas"])


def _strategy_missing(kubevirt: Object, applied: Object, wanted: str) -> Iterator[str]:
    annotations = _annotations(applied)
    identifier, target = (
        annotations.get(IDENTIFIER_ANNOTATION),
        (kubevirt.get("status") or {}).get("targetDeploymentID"),
    )
    if identifier and target:
        if identifier != target:
            yield f"{_label(applied)} is of deployment {identifier[:7]}, not yet {target[:7]}"
    elif not same_version(annotations.get(_VERSION, wanted), wanted):  # before 0.20 there was no deployment ID
        yield f"{_label(applied)} is of {annotations[_VERSION]}, not yet {wanted}"


def _rollout_missing(workload: Object) -> Iterator[str]:
    """Why the Deployment or DaemonSet is not rolled out; the first reason is enough."""
    status = workload.get("status") or {}
    if status.get("observedGeneration", 0) < workload["metadata"].get("generation", 0):
        yield f"{_label(workload)}: its latest change is not rolled out yet"
        return
    wanted = running = wanted_pods(workload)
    if kind(workload) == "DaemonSet":
        updated, ready = status.get("updatedNumberScheduled", 0), status.get("numberReady", 0)
    else:
        running = status.get("replicas", 0)
        updated, ready = status.get("updatedReplicas", 0), status.get("readyReplicas", 0)
    if wanted == 0:
        yield f"{_label(workload)} wants no pods"
    elif updated < wanted:
        yield f"{_label(workload)}: {updated} of {wanted} pods updated"
    elif running > wanted:
        yield f"{_label(workload)}: old pods still run ({running - wanted})"
    elif ready < wanted:
        yield f"{_label(workload)}: {ready} of {wanted} pods ready"


def same_version(reported: str | None, wanted: str) -> bool:
    """Whether what virt-operator reports is the wanted version."""
    version = try_parse(reported)
    return reported == wanted or (version is not None and version == try_parse(wanted))


def kind(object: Object) -> str:
    """Deployment, DaemonSet or Pod; the items of a list come without their kind from the API."""
    spec = object.get("spec") or {}
    if "containers" in spec:
        return "Pod"
    return "Deployment" if "replicas" in spec else "DaemonSet"


def _annotations(object: Object) -> Mapping[str, str]:
    return object["metadata"].get("annotations") or {}


def _name(object: Object) -> str:
    return f"{object['metadata']['namespace']}/{object['metadata']['name']}"


def _label(object: Object) -> str:
    node = (object.get("spec") or {}).get("nodeName")
    return f"{kind(object)} {_name(object)}{f' on {node}' if node else ''}"
