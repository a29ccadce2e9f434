# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What an earlier installation or update left in the cluster that hinders the next one."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping

from .findings import Finding, finding
from .marks import TEMPORARY_WEBHOOK
from .objects import object_name

Object = Mapping[str, t.Any]

OF_THE_OPERATOR = "virt-operator-validator"
OF_VIRT_API = ("virt-api-validator", "virt-api-mutator", "virt-launcher-pod-mutator")
SUBRESOURCES = "subresources.kubevirt.io"


def webhook_findings(configurations: Iterable[Object], namespace: str) -> list[Finding]:
    """KubeVirt's webhooks that ask a service of another installation.

    Args:
        configurations: ValidatingWebhookConfigurations and MutatingWebhookConfigurations, with their kinds.
        namespace: Where KubeVirt is.
    """
    return [
        _misdirected(one, strangers)
        for one in configurations
        if one["metadata"]["name"] in (OF_THE_OPERATOR, *OF_VIRT_API)
        if (strangers := sorted({service for service in _services(one) if not service.startswith(f"{namespace}/")}))
    ]


def temporary_webhook_findings(configurations: Iterable[Object]) -> list[Finding]:
    """The webhooks that virt-operator makes for an update of its own CRDs, and that are still there without one.

    They name a service that does not exist, so that nothing of a new kind is made before virt-api knows it
    (createDummyWebhookValidator in pkg/virt-operator/resource/apply/reconcile.go).
    """
    return [
        finding(
            "leftover.temporary-webhook",
            object=object_name(one),
            cause="virt-operator made it for an update and did not take it away. Until it is gone, no object of the kinds that it "
            "names can be created.",
            evidence=", ".join(sorted(_resources(one))),
            fix=_deletion(one),
        )
        for one in configurations
        if one["metadata"]["name"].startswith(TEMPORARY_WEBHOOK)
    ]


def api_service_findings(api_services: Iterable[Object], namespace: str) -> list[Finding]:
    """APIServices for KubeVirt's subresources that lead nowhere, or to another installation (#1491, #9725)."""
    found = []
    for one in api_services:
        service = one["spec"].get("service")
        if one["spec"].get("group") != SUBRESOURCES or not service:
            continue
        where = f"{service.get('namespace')}/{service.get('name')}"
        if service.get("namespace") != namespace:
            why = f"It leads to service {where}, which is not this KubeVirt's, in {namespace}."
        elif _reason(one) == "ServiceNotFound":
            why = f"It leads to service {where}, which does not exist."
        else:
            continue
        found.append(
            finding(
                "leftover.api-service",
                object=object_name({**one, "kind": "APIService"}),
                cause=f"{why} As long as nothing answers there, Kubernetes cannot delete any namespace of the cluster.",
                evidence=f"Available: {_reason(one)}" if _reason(one) else "",
                fix=f"kubectl delete apiservice {one['metadata']['name']} (virt-operator makes what it needs anew)",
            )
        )
    return found


def _misdirected(configuration: Object, services: list[str]) -> Finding:
    of_the_operator = configuration["metadata"]["name"] == OF_THE_OPERATOR
    what = "the KubeVirt object, neither this upgrade nor virt-operator" if of_the_operator else "VMs or their pods"
    return finding(
        "leftover.webhook",
        # Without an answer the KubeVirt object cannot be changed (#8131, #9735, #14837); the others do not stop the upgrade.
        level="blocker" if of_the_operator else "warning",
        object=object_name(configuration),
        cause=f"It asks a service of another installation of KubeVirt. If that does not answer, nobody can change {what}.",
        evidence=f"service {', '.join(services)}",
        fix=f"{_deletion(configuration)} (virt-operator makes its own anew)",
    )


def _deletion(configuration: Object) -> str:
    return f"kubectl delete {configuration['kind'].lower()} {configuration['metadata']['name']}"


def _services(configuration: Object) -> Iterator[str]:
    for webhook in configuration.get("webhooks") or ():
        service = (webhook.get("clientConfig") or {}).get("service")
        if service:
            yield f"{service['namespace']}/{service['name']}"


def _resources(configuration: Object) -> set[str]:
    return {
        f"{resource}.{group}"
        for webhook in configuration.get("webhooks") or ()
        for rule in webhook.get("rules") or ()
        for group in rule.get("apiGroups") or ()
        for resource in rule.get("resources") or ()
    }


def _reason(api_service: Object) -> str:
    """Why it is not available; empty where it is, or where nobody said so."""
    conditions = (api_service.get("status") or {}).get("conditions") or ()
    reasons = (str(one["reason"]) for one in conditions if one["type"] == "Available" and one["status"] == "False")
    return next(reasons, "")
