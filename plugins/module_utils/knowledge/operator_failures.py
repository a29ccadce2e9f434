# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What virt-operator writes on the KubeVirt object when it cannot go on: words to cause and fix."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Mapping

from .conditions import Condition, deployment_failed, target_version
from .failing_pods import refusal, unreachable_webhook
from .findings import Finding, finding
from .objects import object_name
from .symptoms import shortened
from .tolerance import NO_OTHER_OPERATOR, Failing, failing

Object = Mapping[str, t.Any]

# While the old operator still leads, it reads the new manifests and cannot make sense of them; about 20 s were seen.
_PASSING = re.compile("no certificate population strategy found")
_PASSING_PATIENCE = 300.0

# The API server's words, and those before Kubernetes 1.16 (kubevirt/kubevirt#2533, #8595). All that is missing follows, up to
# hundreds of rules.
_ESCALATION = re.compile("attempting to grant RBAC permissions not currently held|attempting to grant extra privileges")
_FORBIDDEN = re.compile(
    r'is forbidden: User "(system:serviceaccount:[^"]+)" cannot (\S+) resource "([^"]+)"(?: in API group "([^"]*)")?'
)
_STORED_VERSION = re.compile(r"must appear in spec\.versions")
_INVALID_CRD = re.compile(r'"([^"]+)" is invalid: status\.storedVersions\[\d+\]: Invalid value: "([^"]+)"')
_HANDLER = re.compile("daemonSet virt-handler rollout failed")
_CERTIFICATE = re.compile("x509: ")
_WEBHOOK = re.compile(r'failed calling webhook "([^"]+)"')
_REFUSED = re.compile("exceeded quota|denied the request|violates PodSecurity|denied request")


def deployment_failure(kubevirt: Object, *, operator_is_to_come: bool = True) -> Failing | None:
    """virt-operator's own word that it cannot deploy.

    Args:
        kubevirt: The KubeVirt object.
        operator_is_to_come: Whether the Deployment is of the wanted version, so that what the running operator lacks may come.
    """
    condition = deployment_failed(kubevirt)
    if condition is None:
        return None
    if condition.reason == "ExistingDeployment":
        return failing(_another(kubevirt, condition))
    if _PASSING.search(condition.message):
        return failing(_unclear(kubevirt, condition), _PASSING_PATIENCE)
    for words, made in _CAUSES:
        match = words.search(condition.message)
        found = made(kubevirt, condition, match) if match else None
        if found:
            bound = found.id in ("upgrade.rbac-escalation", "upgrade.operator-lacks-rights") and not operator_is_to_come
            return failing(found, NO_OTHER_OPERATOR if bound else None)
    return failing(_unclear(kubevirt, condition))


def deletion(kubevirt: Object) -> Failing | None:
    """That the KubeVirt object goes away while it is waited for."""
    since = kubevirt["metadata"].get("deletionTimestamp")
    if not since:
        return None
    return failing(
        finding(
            "kubevirt.deleting",
            object=_name(kubevirt),
            cause=f"It is being deleted since {since}.",
            fix="Let the deletion finish. An upgrade cannot bring it back. Find out who deleted it; VMs go with it.",
        )
    )


def gone(name: str) -> Failing:
    """That the KubeVirt object is not there any more.

    Args:
        name: ``KubeVirt namespace/name``.
    """
    return failing(
        finding(
            "kubevirt.absent",
            object=name,
            cause="It was deleted while it was waited for.",
            fix="Find out who deleted it (the audit log of the API server says). Without it there is nothing to upgrade.",
        )
    )


def _another(kubevirt: Object, condition: Condition) -> Finding:
    return finding(
        "kubevirt.multiple",
        object=_name(kubevirt),
        cause="virt-operator works on another KubeVirt object, or is in another namespace than this one.",
        evidence=shortened(f"{condition.reason}: {condition.message}"),
        fix="Find all of them: kubectl get kubevirt -A. Delete the one that never deployed anything (its status has no "
        "observedKubeVirtVersion).",
    )


def _unclear(kubevirt: Object, condition: Condition) -> Finding:
    return finding(
        "upgrade.deployment-failed",
        object=_name(kubevirt),
        cause="virt-operator cannot deploy this version.",
        evidence=shortened(f"{condition.reason}: {condition.message}"),
        fix=f"Read the message; kubectl logs -n {kubevirt['metadata']['namespace']} -l kubevirt.io=virt-operator says more. "
        "Mend the cause and run again.",
    )


def _escalation(kubevirt: Object, condition: Condition, words: re.Match[str]) -> Finding:
    target = target_version(kubevirt)
    # In front of the words stands the role as Go prints it.
    message = f"{condition.reason}: virt-operator is {condition.message[words.start() :]}"
    return finding(
        "upgrade.rbac-escalation",
        object=_name(kubevirt),
        cause=f"The running virt-operator lacks permissions that {target} needs, and Kubernetes lets nobody grant what he does not "
        "have.",
        evidence=shortened(message),
        fix=f"Run with method: operator and version: {target}. Its manifest brings the permissions, and KubeVirt goes on by itself.",
    )


def _lacks_rights(kubevirt: Object, condition: Condition, words: re.Match[str]) -> Finding:
    user, verb, resource, group = words.groups()
    full = f"{resource}.{group}" if group else resource
    return finding(
        "upgrade.operator-lacks-rights",
        object=_name(kubevirt),
        cause=f"virt-operator may not {verb} {full}: its ClusterRole is not of its version, or something took it away.",
        evidence=shortened(f"{condition.reason}: {condition.message}"),
        fix=f"Compare: kubectl auth can-i {verb} {full} --as={user}. Apply the whole kubevirt-operator.yaml of the operator's "
        "version, with its ClusterRole, ClusterRoleBinding, Role and RoleBinding.",
    )


def _stored_version(kubevirt: Object, condition: Condition, _words: re.Match[str]) -> Finding:
    named = _INVALID_CRD.search(condition.message)
    crd, version = named.groups() if named else ("NAME", "the old version")
    return finding(
        "upgrade.stored-version-dropped",
        object=f"CustomResourceDefinition {crd}" if named else _name(kubevirt),
        cause=f"Objects may be stored as {version}, which the new KubeVirt does not have, and virt-operator moves none.",
        evidence=shortened(f"{condition.reason}: {condition.message}"),
        fix=f"Write all its objects again (kubectl get {crd} -A -o json | kubectl replace -f -), then take {version} out of the list: "
        f"kubectl get crd {crd} -o jsonpath='{{.status.storedVersions}}' shows it, kubectl patch crd {crd} --subresource=status "
        "--type=json changes it.",
    )


def _handler(kubevirt: Object, condition: Condition, _words: re.Match[str]) -> Finding:
    namespace = kubevirt["metadata"]["namespace"]
    return finding(
        "upgrade.virt-handler-failed",
        object=f"DaemonSet {namespace}/virt-handler",
        cause="The first new virt-handler does not come up, and virt-operator goes on to no other node.",
        evidence=shortened(f"{condition.reason}: {condition.message}"),
        fix=f"kubectl logs -n {namespace} -l kubevirt.io=virt-handler --previous --tail=50 says why; mend that node or its "
        "configuration. Do not restart the DaemonSet by hand.",
    )


def _certificate(kubevirt: Object, condition: Condition, _words: re.Match[str]) -> Finding:
    namespace = kubevirt["metadata"]["namespace"]
    return finding(
        "upgrade.certificate-untrusted",
        object=_name(kubevirt),
        cause="A certificate is expired or of an unknown authority. After a rotation that passes within minutes.",
        evidence=shortened(f"{condition.reason}: {condition.message}"),
        fix="Compare the clocks of the nodes; then look whether the CA bundles of the webhooks and APIServices are that of "
        f"ConfigMap kubevirt-ca (kubectl get configmap -n {namespace} kubevirt-ca -o yaml). Deleting the Secret of the "
        f"certificate that is named (kubectl get secret -n {namespace}) makes virt-operator issue it anew.",
    )


def _unreachable(kubevirt: Object, condition: Condition, words: re.Match[str]) -> Finding:
    return unreachable_webhook(_name(kubevirt), words[1], f"{condition.reason}: {condition.message}")


def _refusal(kubevirt: Object, condition: Condition, _words: re.Match[str]) -> Finding | None:
    return refusal(_name(kubevirt), f"{condition.reason}: {condition.message}")


_CAUSES: tuple[tuple[re.Pattern[str], Callable[[Object, Condition, re.Match[str]], Finding | None]], ...] = (
    (_ESCALATION, _escalation),
    (_FORBIDDEN, _lacks_rights),
    (_STORED_VERSION, _stored_version),
    (_HANDLER, _handler),
    (_CERTIFICATE, _certificate),  # a webhook whose certificate is the trouble is one of these
    (_WEBHOOK, _unreachable),
    (_REFUSED, _refusal),
)


def _name(kubevirt: Object) -> str:
    return object_name({**kubevirt, "kind": "KubeVirt"})
