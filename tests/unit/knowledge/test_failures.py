# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Symptoms of a failing hop: which are told, how, and which are known to pass."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import failures

STATUSES = Path(__file__).parents[1] / "fixtures" / "kubevirt_status"
IMAGE = "quay.io/kubevirt/virt-api:v9"


def pod(name: str = "virt-api-1", **status: t.Any) -> dict[str, t.Any]:
    return {"metadata": {"name": name, "namespace": "kubevirt"}, "status": status}


def waiting(reason: str, message: str = "") -> dict[str, t.Any]:
    return {"name": "main", "image": IMAGE, "state": {"waiting": {"reason": reason, "message": message}}}


RUNNING = {"name": "main", "image": IMAGE, "state": {"running": {"startedAt": "2026-11-20T10:00:00Z"}}}


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"])
@pytest.mark.parametrize("where", ["containerStatuses", "initContainerStatuses"])
def test_an_image_that_cannot_be_pulled(where: str, reason: str) -> None:
    found = failures.image_pull_failure([pod("fine", containerStatuses=[RUNNING]), pod(**{where: [waiting(reason)]})])
    assert found is not None
    assert (found.id, found.object) == ("upgrade.image-pull", "Pod kubevirt/virt-api-1")
    assert IMAGE in found.cause
    assert found.evidence == reason


def test_the_message_of_the_kubelet_is_evidence() -> None:
    found = failures.image_pull_failure([pod(containerStatuses=[waiting("ErrImagePull", "401 Unauthorized")])])
    assert found is not None and found.evidence == "ErrImagePull: 401 Unauthorized"


@pytest.mark.parametrize(
    "pods",
    [
        [],
        [pod()],
        [{"metadata": {"name": "new", "namespace": "kubevirt"}}],
        [pod(containerStatuses=[RUNNING])],
        [pod(containerStatuses=[waiting("ContainerCreating"), waiting("PodInitializing")])],
        [pod(containerStatuses=[waiting("CrashLoopBackOff", "Back-off pulling image is not what this is")])],
    ],
    ids=["no pods", "no containers", "no status", "running", "starting", "crashing"],
)
def test_pods_without_trouble_pulling(pods: list[dict[str, t.Any]]) -> None:
    assert failures.image_pull_failure(pods) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("1.9-failed-stored-versions", "storedVersions"),
        ("1.6-existing-deployment", "ExistingDeployment: "),
    ],
)
def test_what_virt_operator_says_when_it_cannot_deploy(name: str, words: str) -> None:
    found = failures.deployment_failure(recorded(name))
    assert found is not None
    assert (found.id, found.object) == ("upgrade.deployment-failed", "KubeVirt kubevirt/kubevirt")
    assert words in found.evidence
    assert "kubectl logs -n kubevirt" in found.fix


@pytest.mark.parametrize(
    ("name", "target"),
    [("0.18-failed-rbac", "v0.19.0"), ("0.55-failed-rbac", "v0.56.1"), ("1.7-failed-rbac", "v1.8.4")],
)
def test_permissions_that_the_operator_cannot_grant(name: str, target: str) -> None:
    found = failures.deployment_failure(recorded(name))
    assert found is not None
    assert (found.id, found.object) == ("upgrade.rbac-escalation", "KubeVirt kubevirt/kubevirt")
    assert found.evidence.startswith("DeploymentFailed: virt-operator is attempting to grant")
    assert f"method: operator and version: {target}" in found.fix


def test_of_hundreds_of_missing_rules_the_first_ones_are_shown() -> None:
    kubevirt = recorded("1.7-failed-rbac")
    for condition in kubevirt["status"]["conditions"]:
        condition["message"] += "\n{APIGroups:...}" * 500
    found = failures.deployment_failure(kubevirt)
    assert found is not None and len(found.evidence) < 700 and found.evidence.endswith(" …")
    assert "\n" not in found.evidence


@pytest.mark.parametrize("name", ["1.8-healthy", "1.8-updating", "0.17-updating", "1.7-failed-transient"])
def test_no_failure_while_all_is_well_or_what_is_known_to_pass(name: str) -> None:
    assert failures.deployment_failure(recorded(name)) is None


def recorded(name: str) -> dict[str, t.Any]:
    kubevirt: dict[str, t.Any] = yaml.safe_load((STATUSES / f"{name}.yaml").read_text())["kubevirt"]
    return kubevirt
