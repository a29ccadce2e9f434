# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What failing parts look like: symptom to cause and fix.

Sources: the kubelet's waiting reasons, and what virt-operator writes into the KubeVirt object's conditions.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable, Mapping

from .conditions import deployment_failed, target_version
from .findings import Finding, finding
from .objects import object_name
from .settling import IDENTIFIER_ANNOTATION

Object = Mapping[str, t.Any]

_IMAGE_PULL_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})

# While the old operator still leads, it reads the new manifests and cannot make sense of them.
_TRANSIENT = ("no certificate population strategy found",)

# The API server's words, and those before Kubernetes 1.16 (kubevirt/kubevirt#2533, #8595). All that is missing follows, up to
# hundreds of rules.
_ESCALATION = ("attempting to grant RBAC permissions not currently held", "attempting to grant extra privileges")
LONGEST_EVIDENCE = 600

# The Job that reads an install strategy has the deployment in its name only (pkg/virt-operator/strategy_job.go).
_STRATEGY_JOB = re.compile(r"kubevirt-([0-9a-f]{40})-job")


def image_pull_failure(pods: Iterable[Object], deployment: str | None = None) -> Finding | None:
    """The first image that cannot be pulled, if any.

    It is a failure only when it lasts: a registry may be slow, or answer again.

    Args:
        pods: The pods to look at.
        deployment: status.targetDeploymentID. Pods of other deployments are left out: they are being replaced, or belong to
            the Job of an earlier attempt, which virt-operator deletes only when it completed.
    """
    for pod in pods:
        if deployment and _deployment_of(pod) not in (None, deployment):
            continue
        status = pod.get("status", {})
        for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
            waiting = container.get("state", {}).get("waiting", {})
            if waiting.get("reason") in _IMAGE_PULL_REASONS:
                image = container.get("image", "")
                return finding(
                    "upgrade.image-pull",
                    object=object_name({**pod, "kind": "Pod"}),
                    cause=f"The image {image} cannot be pulled.",
                    evidence=f"{waiting['reason']}: {waiting.get('message', '')}".strip(": "),
                    fix="Check that this version exists in this registry and that the nodes may pull it (image_registry, pull "
                    "secret, proxy), then run again; or go back as said below.",
                )
    return None


def deployment_failure(kubevirt: Object) -> Finding | None:
    """virt-operator's own word that it cannot deploy, unless it is known to pass by itself."""
    condition = deployment_failed(kubevirt)
    if condition is None or any(words in condition.message for words in _TRANSIENT):
        return None
    message = " ".join(condition.message.split())
    for words in _ESCALATION:
        if words in message:  # in front of it stands the role as Go prints it
            return _escalation(kubevirt, f"{condition.reason}: virt-operator is {message[message.index(words) :]}")
    return finding(
        "upgrade.deployment-failed",
        object=object_name({**kubevirt, "kind": "KubeVirt"}),
        cause="virt-operator cannot deploy this version.",
        evidence=f"{condition.reason}: {condition.message}",
        fix=f"Read the message; kubectl logs -n {kubevirt['metadata']['namespace']} -l kubevirt.io=virt-operator says more. "
        "Mend the cause and run again.",
    )


def _escalation(kubevirt: Object, message: str) -> Finding:
    target = target_version(kubevirt)
    shown = message if len(message) <= LONGEST_EVIDENCE else f"{message[:LONGEST_EVIDENCE]} …"
    return finding(
        "upgrade.rbac-escalation",
        object=object_name({**kubevirt, "kind": "KubeVirt"}),
        cause=f"The running virt-operator lacks permissions that {target} needs, and Kubernetes lets nobody grant what he does not "
        "have.",
        evidence=shown,
        fix=f"Run with method: operator and version: {target}. Its manifest brings the permissions, and KubeVirt goes on by itself.",
    )


def _deployment_of(pod: Object) -> str | None:
    """The ID of the deployment that virt-operator made the pod for; None where it did not, or does not say."""
    identifier: str | None = (pod["metadata"].get("annotations") or {}).get(IDENTIFIER_ANNOTATION)
    job = _STRATEGY_JOB.match(pod["metadata"]["name"])
    return identifier or (job[1] if job else None)
