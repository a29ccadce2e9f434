# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an earlier installation left, and what looks like it and is KubeVirt's own or another's."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.leftovers import (
    api_service_findings,
    temporary_webhook_findings,
    webhook_findings,
)

Object = dict[str, t.Any]

VALIDATING, MUTATING = "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"


def configuration(name: str, *services: str, kind: str = VALIDATING) -> Object:
    """With one webhook for each service; an empty one is asked by its address."""
    webhooks: list[Object] = []
    for where in services:
        namespace, _slash, service = where.partition("/")
        client = {"service": {"namespace": namespace, "name": service}} if where else {"url": "https://r.example"}
        webhooks.append({"clientConfig": client})
    return {"kind": kind, "metadata": {"name": name}, "webhooks": webhooks}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (configuration("virt-operator-validator", "old/kubevirt-operator-webhook"), "blocker"),
        (configuration("virt-api-validator", "old/virt-api"), "warning"),
        (configuration("virt-api-mutator", "kubevirt/virt-api", "old/virt-api", kind=MUTATING), "warning"),
        (configuration("virt-launcher-pod-mutator", "old/virt-api", kind=MUTATING), "warning"),
        (configuration("virt-operator-validator", "kubevirt/kubevirt-operator-webhook"), None),
        (configuration("virt-operator-validator", ""), None),
        (configuration("virt-operator-validator"), None),
        (configuration("cdi-api-validate", "cdi/cdi-api"), None),
    ],
)
def test_a_webhook_of_another_installation(made: Object, expected: str | None) -> None:
    found = webhook_findings([made], "kubevirt")
    assert [one.level for one in found] == ([expected] if expected else [])
    for one in found:
        assert (one.id, one.acceptable) == ("leftover.webhook", True)
        assert one.fix.startswith(f"kubectl delete {made['kind'].lower()} {made['metadata']['name']} ")
        assert one.object == f"{made['kind']} {made['metadata']['name']}"
        assert "old/" in one.evidence and "kubevirt/virt-api" not in one.evidence


def test_a_webhook_without_any_service_is_none() -> None:
    assert webhook_findings([{"kind": VALIDATING, "metadata": {"name": "virt-api-validator"}}], "kubevirt") == []


def test_a_temporary_webhook_says_what_it_stops() -> None:
    temporary = configuration("virt-operator-tmp-webhookx7k2p", "kubevirt/fake-validation-service")
    temporary["webhooks"][0]["rules"] = [{"apiGroups": ["backup.kubevirt.io"], "resources": ["virtualmachinebackups"]}]
    [found] = temporary_webhook_findings([configuration("virt-operator-validator"), temporary])
    assert (found.id, found.level) == ("leftover.temporary-webhook", "warning")
    assert found.evidence == "virtualmachinebackups.backup.kubevirt.io"
    assert found.fix == "kubectl delete validatingwebhookconfiguration virt-operator-tmp-webhookx7k2p"


def api_service(namespace: str | None, *, group: str = "subresources.kubevirt.io", reason: str = "") -> Object:
    service = {"namespace": namespace, "name": "virt-api"} if namespace else None
    status = "False" if reason else "True"
    return {
        "metadata": {"name": f"v1.{group}"},
        "spec": {"group": group, "service": service},
        "status": {"conditions": [{"type": "Available", "status": status, "reason": reason or "Passed"}]},
    }


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (api_service("old"), "leads to service old/virt-api, which is not this KubeVirt's, in kubevirt"),
        (api_service("old", reason="ServiceNotFound"), "which is not this KubeVirt's"),
        (api_service("kubevirt", reason="ServiceNotFound"), "leads to service kubevirt/virt-api, which does not exist"),
        (api_service("kubevirt", reason="FailedDiscoveryCheck"), None),
        (api_service("kubevirt"), None),
        (api_service("old", group="upload.cdi.kubevirt.io", reason="ServiceNotFound"), None),
        (api_service(None, group="kubevirt.io"), None),
        (api_service(None), None),
    ],
)
def test_an_api_service_that_leads_nowhere(made: Object, words: str | None) -> None:
    found = api_service_findings([made], "kubevirt")
    assert len(found) == (1 if words else 0)
    for one in found:
        assert words is not None and words in one.cause
        assert (one.id, one.level, one.object) == (
            "leftover.api-service",
            "warning",
            "APIService v1.subresources.kubevirt.io",
        )
        assert one.fix.startswith("kubectl delete apiservice v1.subresources.kubevirt.io ")


def test_one_without_a_status_is_judged_by_its_service() -> None:
    made = api_service("old")
    del made["status"]
    [found] = api_service_findings([made], "kubevirt")
    assert found.evidence == ""
