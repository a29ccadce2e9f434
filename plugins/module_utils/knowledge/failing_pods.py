# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Why pods of KubeVirt do not come up: symptom to cause and fix, one finding for each kind."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable, Mapping, Sequence

from .findings import Finding, finding
from .objects import object_name
from .symptoms import Trouble, app_of, is_of_strategy_job, refused_pods, shortened, so_do, unschedulable

Object = Mapping[str, t.Any]

_UNREACHABLE_WEBHOOK = re.compile(r'failed calling webhook "([^"]+)"')


def image_pull_failure(found: Iterable[Trouble]) -> Finding | None:
    """An image that cannot be pulled. It is a failure only when it lasts: a registry may be slow, or answer again."""
    pulls = [one for one in found if one.sort == "pull"]
    if not pulls:
        return None
    first = pulls[0]
    return finding(
        "upgrade.image-pull",
        object=_name(first.pod),
        cause=f"The image {first.image} cannot be pulled.{_others(pulls)}",
        evidence=shortened(f"{first.reason}: {first.message}".strip(": ")),
        fix="Check that this version exists in this registry and that the nodes may pull it (image_registry, pull "
        f"secret, proxy), then run again; or go back as said below.{_and_the_job(first.pod)}",
    )


def not_created(found: Iterable[Trouble]) -> Finding | None:
    """A container that the kubelet cannot create or start: a Secret, a ConfigMap or a program is missing."""
    those = [one for one in found if one.sort == "create"]
    if not those:
        return None
    first = those[0]
    return finding(
        "upgrade.container-not-created",
        object=_name(first.pod),
        cause=f"The container {first.container} cannot be created or started.{_others(those)}",
        evidence=shortened(f"{first.reason}: {first.message}".strip(": ")),
        fix="Create the Secret or ConfigMap that is named, or take the reference or command out of the manifest or of "
        f"spec.customizeComponents.{_and_the_job(first.pod)}",
    )


def crashes(found: Iterable[Trouble]) -> list[Trouble]:
    """The containers that end again and again; a Job's pods are not started again, so two of them must have failed."""
    those = [one for one in found if one.sort == "crash"]
    of_the_job = [one for one in those if is_of_strategy_job(one.pod)]
    return [one for one in those if one not in of_the_job or len(of_the_job) > 1]


def crash_loop(those: Sequence[Trouble], last_line: str = "") -> Finding | None:
    """Containers that end again and again.

    Args:
        those: ``crashes()``.
        last_line: The last line of the first one's log, if it was asked for.
    """
    if not those:
        return None
    first = those[0]
    namespace, pod = first.pod["metadata"].get("namespace", ""), first.pod["metadata"]["name"]
    ended = f"{first.reason}, exit code {first.exit_code}, restarts: {first.restarts}"
    said = f"; last line of its log: {last_line}" if last_line else f"; {first.message}" if first.message else ""
    memory = first.reason == "OOMKilled"
    previous = " --previous" if first.previous else ""
    return finding(
        "upgrade.crash-loop",
        object=_name(first.pod),
        cause=f"The container {first.container} {'runs out of memory' if memory else 'ends with an error'} again and again."
        f"{_others(those)}",
        evidence=shortened(f"{ended}{said}"),
        fix=(
            "Give it more memory (its limit is in the manifest or in spec.customizeComponents); old install strategies fill "
            "virt-operator's: see risk.install-strategies-pile-up."
            if memory
            else f"Read why: kubectl logs -n {namespace} {pod} -c {first.container}{previous}. Mend that."
        )
        + _and_the_job(first.pod),
    )


def no_node(pods: Iterable[Object]) -> Finding | None:
    """A pod that the scheduler finds no node for."""
    waiting = [(pod, words) for pod in pods if (words := unschedulable(pod))]
    if not waiting:
        return None
    pod, words = waiting[0]
    others = so_do([f"Pod {_short(other)}" for other, _words in waiting[1:]])
    return finding(
        "upgrade.unschedulable",
        object=_name(pod),
        cause=f"The scheduler finds no node for it.{others}",
        evidence=shortened(words),
        fix=_where_it_may_run(pod, words),
    )


def _where_it_may_run(pod: Object, words: str) -> str:
    if "affinity" not in words and "selector" not in words:
        return f"Make room for it, or remove what keeps it off the nodes (taints, ports).{_and_the_job(pod)}"
    if app_of(pod) == "virt-operator":
        return (
            "virt-operator 1.7 and later runs on nodes with the label node-role.kubernetes.io/control-plane only, and every "
            "nodeSelector or affinity of its manifest counts. Label a node, or change the manifest, and give it as manifest."
        )
    if app_of(pod) == "virt-handler":
        return "Change spec.workloads.nodePlacement of the KubeVirt object so that it fits the nodes."
    return (
        "Since 1.3 it runs on nodes with the label node-role.kubernetes.io/control-plane only, unless spec.infra.nodePlacement "
        "of the KubeVirt object says something else; {} lets it run anywhere: kubectl patch kubevirt -n "
        f'{pod["metadata"].get("namespace", "")} NAME --type=merge -p \'{{"spec":{{"infra":{{"nodePlacement":{{}}}}}}}}\'.'
        f"{_and_the_job(pod)}"
    )


def pods_refused(deployments: Iterable[Object]) -> Finding | None:
    """The API server refuses the pods of a Deployment: quota, admission, Pod Security."""
    for deployment in deployments:
        refused = refusal(object_name({**deployment, "kind": "Deployment"}), refused_pods(deployment))
        if refused:
            return refused
    return None


def refusal(object: str, message: str) -> Finding | None:
    """Why an object, or the pods that it wants, are refused; None where the message says nothing of the kind.

    Args:
        object: Who wants them, as ``Kind namespace/name``.
        message: The API server's words, in a condition or an event.
    """
    webhook = _UNREACHABLE_WEBHOOK.search(message)
    if webhook:
        return unreachable_webhook(object, webhook[1], message)
    if "exceeded quota" in message:
        return finding(
            "upgrade.quota-exceeded",
            object=object,
            cause="A ResourceQuota leaves no room for its pods. While pods are replaced there is one more for a moment.",
            evidence=shortened(message),
            fix="Raise the quota that is named, or remove it from KubeVirt's namespace: kubectl get resourcequota -A.",
        )
    if "is forbidden" in message or "denied" in message:
        return finding(
            "upgrade.admission-refused",
            object=object,
            cause="The admission of the cluster refuses what KubeVirt needs.",
            evidence=shortened(message),
            fix=_admission(message),
        )
    return None


def _admission(message: str) -> str:
    if "PodSecurity" in message:
        return (
            "KubeVirt's pods need privileges: set the label pod-security.kubernetes.io/enforce=privileged on its namespace "
            "(kubectl label namespace NAMESPACE pod-security.kubernetes.io/enforce=privileged --overwrite)."
        )
    return "Exempt KubeVirt's namespace from the policy, webhook or limit that is named."


def unreachable_webhook(object: str, webhook: str, message: str) -> Finding:
    """A webhook that cannot be asked, so that nothing it is for can be changed."""
    return finding(
        "upgrade.webhook-unreachable",
        object=object,
        cause=f"The webhook {webhook} cannot be asked, and nothing that it is for can be changed meanwhile.",
        evidence=shortened(message),
        fix=f"Find whose it is (kubectl get validatingwebhookconfiguration,mutatingwebhookconfiguration -o yaml | grep -B9 {webhook}) "
        "and bring the pods behind it up; if its owner is gone for good, delete that configuration.",
    )


def _and_the_job(pod: Object) -> str:
    """virt-operator never starts a failed Job again (pkg/virt-operator/kubevirt.go, loadInstallStrategy)."""
    if not is_of_strategy_job(pod):
        return ""
    labels = pod["metadata"].get("labels") or {}
    job = labels.get("batch.kubernetes.io/job-name") or labels.get("job-name") or "NAME"
    return f" Then delete its Job, which is not made anew otherwise: kubectl delete job -n {pod['metadata'].get('namespace', '')} {job}."


def _others(those: Sequence[Trouble]) -> str:
    names = dict.fromkeys(_short(one.pod) for one in those)
    return so_do([f"Pod {name}" for name in [*names][1:]])


def _short(pod: Object) -> str:
    metadata = pod["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}"


def _name(pod: Object) -> str:
    return object_name({**pod, "kind": "Pod"})
