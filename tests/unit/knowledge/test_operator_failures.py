# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What virt-operator says on the KubeVirt object when it cannot go on, and what is made of it."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import operator_failures
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import Finding
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.tolerance import NO_OTHER_OPERATOR, PATIENCE

Object = dict[str, t.Any]

STATUSES = Path(__file__).parents[1] / "fixtures" / "kubevirt_status"
SAID = "An error occurred during deployment: "
FORBIDDEN = (
    'unable to create prometheusrule &PrometheusRule{}: prometheusrules.monitoring.coreos.com is forbidden: User "system:'
    'serviceaccount:kubevirt:kubevirt-operator" cannot create resource "prometheusrules" in API group "monitoring.coreos.com" '
    'in the namespace "kubevirt"'
)
STORED = (
    'unable to patch crd: CustomResourceDefinition.apiextensions.k8s.io "virtualmachineexports.export.kubevirt.io" is invalid: '
    'status.storedVersions[0]: Invalid value: "v1alpha1": must appear in spec.versions'
)
WEBHOOK = (
    'Internal error occurred: failed calling webhook "policy.example.com": failed to call webhook: Post '
    '"https://policy.example.svc:443/validate?timeout=10s": '
)


def recorded(name: str) -> Object:
    kubevirt: Object = yaml.safe_load((STATUSES / f"{name}.yaml").read_text())["kubevirt"]
    return kubevirt


def saying(message: str) -> Object:
    kubevirt = recorded("1.7-failed-transient")
    for condition in kubevirt["status"]["conditions"]:
        condition["message"] = SAID + message
    return kubevirt


def failure(kubevirt: Object) -> Finding:
    found = operator_failures.deployment_failure(kubevirt)
    assert found is not None
    return found.finding


@pytest.mark.parametrize(
    ("message", "id", "fix"),
    [
        (FORBIDDEN, "upgrade.operator-lacks-rights", "can-i create prometheusrules.monitoring.coreos.com --as=system:"),
        (STORED, "upgrade.stored-version-dropped", "kubectl get virtualmachineexports.export.kubevirt.io -A -o json"),
        ("daemonSet virt-handler rollout failed", "upgrade.virt-handler-failed", "kubevirt.io=virt-handler --previous"),
        (WEBHOOK + "dial tcp 10.96.7.1:443: connect: connection refused", "upgrade.webhook-unreachable", "policy.ex"),
        (WEBHOOK + 'no endpoints available for service "policy"', "upgrade.webhook-unreachable", "delete that config"),
        (WEBHOOK + 'service "policy" not found', "upgrade.webhook-unreachable", "grep -B9 policy.example.com"),
        (
            WEBHOOK + "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "upgrade.certificate-untrusted",
            "kubevirt-ca",
        ),
        ("x509: certificate has expired or is not yet valid", "upgrade.certificate-untrusted", "the clocks"),
        (
            'unable to create service &Service{}: services "x" is forbidden: exceeded quota: few, requested: count/services=1',
            "upgrade.quota-exceeded",
            "kubectl get resourcequota",
        ),
        (
            'admission webhook "policy.example.com" denied the request: no privileged service accounts',
            "upgrade.admission-refused",
            "Exempt KubeVirt's namespace",
        ),
        ("unable to patch crd: etcdserver: request is too large", "upgrade.deployment-failed", "kubectl logs"),
    ],
)
def test_words_and_their_finding(message: str, id: str, fix: str) -> None:
    found = failure(saying(message))
    assert found.id == id
    assert fix in found.fix
    assert message[:150] in found.evidence
    bound = operator_failures.deployment_failure(saying(message))
    assert bound is not None and bound.patience == PATIENCE[id]


def test_the_crd_whose_version_is_dropped_is_named() -> None:
    found = failure(recorded("1.9-failed-stored-versions"))
    assert found.object == "CustomResourceDefinition virtualmachineexports.export.kubevirt.io"
    assert "stored as v1alpha1" in found.cause


@pytest.mark.parametrize("name", ["1.6-existing-deployment", "0.34-second-object"])
def test_a_second_object(name: str) -> None:
    found = failure(recorded(name))
    assert (found.id, found.evidence) == (
        "kubevirt.multiple",
        "ExistingDeployment: There is an active KubeVirt deployment",
    )


@pytest.mark.parametrize(
    ("name", "target"),
    [("0.18-failed-rbac", "v0.19.0"), ("0.55-failed-rbac", "v0.56.1"), ("1.7-failed-rbac", "v1.8.4")],
)
def test_permissions_that_the_operator_cannot_grant(name: str, target: str) -> None:
    found = failure(recorded(name))
    assert (found.id, found.object) == ("upgrade.rbac-escalation", "KubeVirt kubevirt/kubevirt")
    assert found.evidence.startswith("DeploymentFailed: virt-operator is attempting to grant")
    assert f"method: operator and version: {target}" in found.fix


def test_of_hundreds_of_missing_rules_the_first_ones_are_shown() -> None:
    kubevirt = recorded("1.7-failed-rbac")
    for condition in kubevirt["status"]["conditions"]:
        condition["message"] += "\n{APIGroups:...}" * 500
    found = failure(kubevirt)
    assert len(found.evidence) < 700 and found.evidence.endswith(" …")
    assert "\n" not in found.evidence


@pytest.mark.parametrize("kubevirt", [recorded("1.7-failed-rbac"), saying(FORBIDDEN)], ids=["escalation", "own rights"])
def test_what_a_new_operator_may_bring_is_waited_for_only_while_one_is_to_come(kubevirt: Object) -> None:
    patience = [
        found.patience
        for to_come in (True, False)
        if (found := operator_failures.deployment_failure(kubevirt, operator_is_to_come=to_come))
    ]
    assert patience == [120.0, NO_OTHER_OPERATOR]


def test_what_the_old_operator_says_of_the_new_manifests_may_last_longer() -> None:
    found = operator_failures.deployment_failure(recorded("1.7-failed-transient"))
    assert found is not None and found.patience == 300.0


@pytest.mark.parametrize("name", ["1.8-healthy", "1.8-updating", "0.17-updating", "1.8-degraded-node"])
def test_no_failure_while_all_is_well(name: str) -> None:
    assert operator_failures.deployment_failure(recorded(name)) is None
    assert operator_failures.deletion(recorded(name)) is None


def test_an_object_that_is_being_deleted() -> None:
    found = operator_failures.deletion(recorded("1.8-deleting"))
    assert found is not None and (found.finding.id, found.patience) == ("kubevirt.deleting", 0.0)


def test_an_object_that_is_gone() -> None:
    found = operator_failures.gone("KubeVirt kubevirt/kubevirt").finding
    assert (found.id, found.object) == ("kubevirt.absent", "KubeVirt kubevirt/kubevirt")
