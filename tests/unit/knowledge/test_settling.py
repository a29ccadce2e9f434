# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When KubeVirt has settled at a version, and what is said as long as it has not."""

from __future__ import annotations

import typing as t
from copy import deepcopy

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.settling import unsettled

Object = dict[str, t.Any]

ID = "0a1b2c"
OLD_ID = "9f8e7d"


def condition(type: str, status: str, reason: str = "AllComponentsReady", message: str = "…") -> Object:
    return {"type": type, "status": status, "reason": reason, "message": message}


READY = [
    condition("Available", "True"),
    condition("Progressing", "False"),
    condition("Degraded", "False"),
    condition("Created", "True", "AllResourcesCreated"),
]
UPDATING = [condition(type, "True", "UpdateInProgress") for type in ("Available", "Progressing", "Degraded")]
DEPLOYING = [
    condition("Available", "False", "DeploymentInProgress"),
    condition("Progressing", "True", "DeploymentInProgress"),
    condition("Degraded", "False", "DeploymentInProgress"),
    condition("Created", "True", "AllResourcesCreated"),
]
FAILED = [
    condition("Available", "False", "DeploymentFailed", "no rights"),
    condition("Progressing", "False", "DeploymentFailed", "no rights"),
    condition("Degraded", "True", "DeploymentFailed", "no rights"),
    condition("Created", "True", "AllResourcesCreated"),
    condition("Synchronized", "False", "DeploymentFailed", "no rights"),
]


def kubevirt_at(version: str, identifier: str = ID) -> Object:
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "KubeVirt",
        "metadata": {"namespace": "kubevirt", "name": "kubevirt", "generation": 4},
        "status": {
            "phase": "Deployed",
            "conditions": READY,
            "operatorVersion": version,
            "targetKubeVirtVersion": version,
            "observedKubeVirtVersion": version,
            "targetKubeVirtRegistry": "quay.io/kubevirt",
            "observedKubeVirtRegistry": "quay.io/kubevirt",
            "targetDeploymentID": identifier,
            "observedDeploymentID": identifier,
            "observedGeneration": 4,
        },
    }


def metadata(name: str, identifier: str = ID, **labels: str) -> Object:
    return {
        "namespace": "kubevirt",
        "name": name,
        "generation": 7,
        "labels": {"kubevirt.io": name, "app.kubernetes.io/managed-by": "virt-operator", **labels},
        "annotations": {
            "kubevirt.io/install-strategy-identifier": identifier,
            "kubevirt.io/install-strategy-version": "v1.8.4",
            "kubevirt.io/generation": "4",
        },
    }


def deployment(name: str) -> Object:
    return {
        "metadata": metadata(name),
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 7, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2},
    }


def handler() -> Object:
    return {
        "metadata": metadata("virt-handler"),
        "spec": {"selector": {}},
        "status": {
            "observedGeneration": 7,
            "desiredNumberScheduled": 3,
            "updatedNumberScheduled": 3,
            "numberReady": 3,
        },
    }


def operator_deployment(version: str = "v1.8.4") -> Object:
    operator = deployment("virt-operator")
    operator["metadata"]["labels"] = {"kubevirt.io": "virt-operator"}
    del operator["metadata"]["annotations"]
    container = {"name": "virt-operator", "image": f"quay.io/kubevirt/virt-operator:{version}"}
    operator["spec"]["template"] = {"spec": {"containers": [container]}}
    return operator


def pod(name: str, app: str, phase: str = "Running", ready: bool = True, identifier: str = ID) -> Object:
    return {
        "metadata": {**metadata(name, identifier), "labels": metadata(app)["labels"]},
        "spec": {"containers": [{"name": app}]},
        "status": {"phase": phase, "containerStatuses": [{"name": app, "ready": ready}]},
    }


class Cluster:
    """What is read of a cluster that has settled at v1.8.4; each test breaks one thing."""

    def __init__(self) -> None:
        self.kubevirt = kubevirt_at("v1.8.4")
        self.operator: Object | None = operator_deployment()
        self.api, self.controller, self.handler = deployment("virt-api"), deployment("virt-controller"), handler()
        self.operands = [self.api, self.controller, self.handler]
        self.pods = [pod("virt-api-1", "virt-api"), pod("virt-handler-1", "virt-handler")]

    def unsettled(self, wanted: str = "v1.8.4") -> list[str]:
        seen = deepcopy((self.kubevirt, self.operator, self.operands, self.pods))
        kubevirt, operator, operands, pods = seen
        said = unsettled(kubevirt, operator=operator, operands=operands, pods=pods, wanted=wanted)
        assert seen == (self.kubevirt, self.operator, self.operands, self.pods), "it changed what it was given"
        return said

    def set_status(self, **fields: t.Any) -> None:
        self.kubevirt["status"].update(fields)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.mark.parametrize("wanted", ["v1.8.4", "1.8.4"])
def test_settled(cluster: Cluster, wanted: str) -> None:
    assert cluster.unsettled(wanted) == []


def test_previous_version_is_still_reported_as_ready(cluster: Cluster) -> None:
    """The window after a manifest is applied: everything is ready, at the previous version."""
    cluster.kubevirt = kubevirt_at("v1.7.0")
    assert cluster.unsettled() == [
        "the status is that of virt-operator v1.7.0, not yet of v1.8.4",
        "virt-operator reports target v1.7.0, not yet v1.8.4",
        "virt-operator reports v1.7.0 as deployed, not yet v1.8.4",
    ]


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ("v1.7.0", ["the status is that of virt-operator v1.7.0, not yet of v1.8.4"]),
        ("v1.8.4", []),
        ("v1.8.4-rc.1", []),
        ("v1.8.4-12-gabcdef0", []),
        ("{gitVersion}", []),
        (None, []),
    ],
)
def test_status_of_the_operator_before_says_nothing_about_this_one(
    cluster: Cluster, reported: str | None, expected: list[str]
) -> None:
    """As when images of the wanted version ran already under an older operator. Builds of one's own may say more than the version."""
    cluster.set_status(operatorVersion=reported)
    assert cluster.unsettled() == expected


def test_nothing_is_reported_yet(cluster: Cluster) -> None:
    del cluster.kubevirt["status"]
    assert cluster.unsettled()[:3] == [
        "virt-operator reports target none, not yet v1.8.4",
        "virt-operator reports nothing as deployed, not yet v1.8.4",
        "virt-operator has set no condition on KubeVirt kubevirt/kubevirt yet",
    ]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (
            {"conditions": UPDATING, "observedKubeVirtVersion": "v1.7.0", "observedDeploymentID": OLD_ID},
            [
                "virt-operator reports v1.7.0 as deployed, not yet v1.8.4",
                f"observedDeploymentID is {OLD_ID}, not yet {ID}",
                "reason is UpdateInProgress: …",
                "condition Progressing is True, not yet False",
                "condition Degraded is True, not yet False",
                "condition Created is not set, not yet True",
            ],
        ),
        (
            {"conditions": DEPLOYING},
            [
                "reason is DeploymentInProgress: …",
                "condition Available is False, not yet True",
                "condition Progressing is True, not yet False",
            ],
        ),
        (
            {"conditions": FAILED},
            [
                "DeploymentFailed: no rights",
                "condition Available is False, not yet True",
                "condition Degraded is True, not yet False",
            ],
        ),
        (
            {"observedKubeVirtRegistry": "docker.io/kubevirt"},
            ["observedKubeVirtRegistry is docker.io/kubevirt, not yet quay.io/kubevirt"],
        ),
        (
            {"observedKubeVirtRegistry": None},
            ["observedKubeVirtRegistry is not set, not yet quay.io/kubevirt"],
        ),
        (
            {"observedGeneration": 3},
            ["virt-operator has not yet finished generation 4 of KubeVirt kubevirt/kubevirt"],
        ),
        (
            {"observedGeneration": None},
            ["virt-operator has not yet finished generation 4 of KubeVirt kubevirt/kubevirt"],
        ),
    ],
    ids=["updating", "deploying", "failed", "registry", "no registry", "generation", "no generation"],
)
def test_status_that_is_not_done(cluster: Cluster, status: Object, expected: list[str]) -> None:
    cluster.set_status(**status)
    assert cluster.unsettled() == expected


def test_being_deleted(cluster: Cluster) -> None:
    cluster.kubevirt["metadata"]["deletionTimestamp"] = "2026-11-20T10:00:00Z"
    assert cluster.unsettled() == ["KubeVirt kubevirt/kubevirt is being deleted"]


def test_no_operator(cluster: Cluster) -> None:
    cluster.operator = None
    assert cluster.unsettled() == ["Deployment kubevirt/virt-operator is missing"]


@pytest.mark.parametrize("missing", ["virt-api", "virt-controller", "virt-handler"])
def test_missing_operand(cluster: Cluster, missing: str) -> None:
    cluster.operands = [operand for operand in cluster.operands if operand["metadata"]["name"] != missing]
    kind = "DaemonSet" if missing == "virt-handler" else "Deployment"
    assert cluster.unsettled() == [f"{kind} kubevirt/{missing} is missing"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"readyReplicas": 1}, ": 1 of 2 pods ready"),
        ({"readyReplicas": None}, ": 0 of 2 pods ready"),
        ({"updatedReplicas": 1}, ": 1 of 2 pods updated"),
        ({"updatedReplicas": None}, ": 0 of 2 pods updated"),
        ({"observedGeneration": None}, ": its latest change is not rolled out yet"),
        ({"replicas": 3}, ": old pods still run (1)"),
        ({"observedGeneration": 6}, ": its latest change is not rolled out yet"),
    ],
    ids=str,
)
@pytest.mark.parametrize("which", ["api", "controller", "operator"])
def test_deployment_that_is_not_rolled_out(cluster: Cluster, which: str, status: Object, expected: str) -> None:
    workload = getattr(cluster, which)
    set_or_drop(workload["status"], status)
    assert cluster.unsettled() == [f"Deployment kubevirt/virt-{which}{expected}"]


def test_scaled_to_nothing(cluster: Cluster) -> None:
    cluster.api["spec"]["replicas"] = 0
    cluster.api["status"] = {"observedGeneration": 7}
    assert cluster.unsettled() == ["Deployment kubevirt/virt-api wants no pods"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"numberReady": 2}, ": 2 of 3 pods ready"),
        ({"numberReady": None}, ": 0 of 3 pods ready"),
        ({"updatedNumberScheduled": None}, ": 0 of 3 pods updated"),
        ({"observedGeneration": 6}, ": its latest change is not rolled out yet"),
        ({"desiredNumberScheduled": 0}, " wants no pods"),
        ({"desiredNumberScheduled": None}, " wants no pods"),
    ],
    ids=str,
)
def test_handler_that_is_not_rolled_out(cluster: Cluster, status: Object, expected: str) -> None:
    set_or_drop(cluster.handler["status"], status)
    assert cluster.unsettled() == [f"DaemonSet kubevirt/virt-handler{expected}"]


def test_operand_of_the_previous_deployment(cluster: Cluster) -> None:
    cluster.handler["metadata"]["annotations"]["kubevirt.io/install-strategy-identifier"] = OLD_ID
    assert cluster.unsettled() == [f"DaemonSet kubevirt/virt-handler is of deployment {OLD_ID}, not yet {ID}"]


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (
            pod("virt-api-2", "virt-api", identifier=OLD_ID),
            [f"Pod kubevirt/virt-api-2 is of deployment {OLD_ID}, not yet {ID}"],
        ),
        (
            pod("virt-api-2", "virt-api", phase="Pending", ready=False),
            [
                "Pod kubevirt/virt-api-2 is Pending, not yet Running",
                "Pod kubevirt/virt-api-2: container virt-api is not ready",
            ],
        ),
        (pod("virt-api-2", "virt-api", ready=False), ["Pod kubevirt/virt-api-2: container virt-api is not ready"]),
        (pod("virt-api-2", "virt-api", phase="Failed", ready=False), []),
        (pod("virt-api-2", "virt-api", phase="Succeeded", ready=False), []),
        (pod("job-1", "virt-operator-strategy-dumper", phase="Running", ready=False), []),
        (pod("virt-operator-1", "virt-operator", ready=False), []),
        (pod("virt-launcher-1", "virt-launcher", ready=False, identifier=OLD_ID), []),
    ],
    ids=["old", "pending", "not ready", "evicted", "ended", "job", "operator", "launcher"],
)
def test_pod(cluster: Cluster, pod: Object, expected: list[str]) -> None:
    cluster.pods.append(pod)
    assert cluster.unsettled() == expected


def test_pod_that_nothing_is_known_of(cluster: Cluster) -> None:
    cluster.pods[0]["metadata"].pop("annotations")
    cluster.pods[0]["status"] = {}
    assert cluster.unsettled() == ["Pod kubevirt/virt-api-1 is not scheduled, not yet Running"]


@pytest.mark.parametrize(
    ("manager", "counts"),
    [("virt-operator", True), ("kubevirt-operator", True), ("somebody", False), (None, False)],
)
def test_only_what_virt_operator_manages_counts(cluster: Cluster, manager: str | None, counts: bool) -> None:
    other_pod, other = pod("extra-1", "extra", ready=False), deployment("extra")
    other["status"]["readyReplicas"] = 0
    for object in (other_pod, other):
        object["metadata"]["labels"] = {"kubevirt.io": "extra"}
        if manager:
            object["metadata"]["labels"]["app.kubernetes.io/managed-by"] = manager
    cluster.operands.append(other)
    cluster.pods.append(other_pod)
    said = ["Deployment kubevirt/extra: 0 of 2 pods ready", "Pod kubevirt/extra-1: container extra is not ready"]
    assert cluster.unsettled() == (said if counts else [])


def test_operators_own_deployment_among_the_operands_is_said_once(cluster: Cluster) -> None:
    assert cluster.operator is not None
    cluster.operator["status"]["readyReplicas"] = 0
    cluster.operands.append(cluster.operator)
    assert cluster.unsettled() == ["Deployment kubevirt/virt-operator: 0 of 2 pods ready"]


class TestErasWithoutAField:
    """What stands in for a field that the running version does not write."""

    def test_before_0_52_the_operands_carry_the_generation(self, cluster: Cluster) -> None:
        self.set_version(cluster, "v0.51.0")
        del cluster.kubevirt["status"]["observedGeneration"]
        assert cluster.unsettled("v0.51.0") == []
        cluster.handler["metadata"]["annotations"]["kubevirt.io/generation"] = "3"
        assert cluster.unsettled("v0.51.0") == [
            "DaemonSet kubevirt/virt-handler is of KubeVirt's generation 3, not yet 4"
        ]

    def test_since_0_52_it_is_the_status_that_counts(self, cluster: Cluster) -> None:
        cluster.handler["metadata"]["annotations"]["kubevirt.io/generation"] = "3"
        assert cluster.unsettled() == []

    def test_before_0_34_nothing_carries_the_generation(self, cluster: Cluster) -> None:
        self.set_version(cluster, "v0.33.0")
        del cluster.kubevirt["status"]["observedGeneration"]
        for operand in cluster.operands:
            del operand["metadata"]["annotations"]["kubevirt.io/generation"]
        assert cluster.unsettled("v0.33.0") == []

    @pytest.mark.parametrize(
        ("conditions", "expected"),
        [
            ([condition("Created", "True", "AllResourcesCreated"), condition("Ready", "True")], []),
            ([condition("Created", "True", "AllResourcesCreated")], ["condition Ready is not set, not yet True"]),
            (
                [condition("Updating", "True", "UpdateInProgress")],
                [
                    "reason is UpdateInProgress: …",
                    "condition Ready is not set, not yet True",
                    "condition Created is not set, not yet True",
                ],
            ),
        ],
        ids=["done", "node not ready", "updating"],
    )
    def test_before_0_20(self, cluster: Cluster, conditions: list[Object], expected: list[str]) -> None:
        self.without_identifiers(cluster, "v0.19.0")
        cluster.set_status(conditions=conditions)
        assert cluster.unsettled("v0.19.0") == expected

    def test_before_0_20_the_version_stands_in_for_the_deployment_id(self, cluster: Cluster) -> None:
        self.without_identifiers(cluster, "v0.19.0")
        cluster.set_status(conditions=[condition("Created", "True", "AllResourcesCreated"), condition("Ready", "True")])
        cluster.pods[0]["metadata"]["annotations"]["kubevirt.io/install-strategy-version"] = "v0.18.1"
        assert cluster.unsettled("v0.19.0") == ["Pod kubevirt/virt-api-1 is of v0.18.1, not yet v0.19.0"]

    def test_0_20_ignores_what_0_19_left(self, cluster: Cluster) -> None:
        cluster.set_status(conditions=[condition("Updating", "True", "UpdateInProgress"), *READY])
        assert cluster.unsettled() == []

    @staticmethod
    def set_version(cluster: Cluster, version: str) -> None:
        cluster.operator = operator_deployment(version)
        cluster.set_status(operatorVersion=version, targetKubeVirtVersion=version, observedKubeVirtVersion=version)

    def without_identifiers(self, cluster: Cluster, version: str) -> None:
        self.set_version(cluster, version)
        for field in ("targetDeploymentID", "observedDeploymentID", "observedGeneration"):
            del cluster.kubevirt["status"][field]
        for object in (*cluster.operands, *cluster.pods):
            object["metadata"]["annotations"] = {"kubevirt.io/install-strategy-version": version}


def set_or_drop(status: Object, fields: Object) -> None:
    """Zeroes are not in the status that the API returns: None drops the field."""
    status.update(fields)
    for field in [field for field, value in status.items() if value is None]:
        del status[field]
