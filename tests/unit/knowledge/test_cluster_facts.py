# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts of a cluster, made of what the API returns."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import cluster_facts as facts
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.launchers import OUTDATED_LABEL

HEALTHY = Path(__file__).resolve().parents[1] / "fixtures/healthy-cluster-facts.yml"


def kubevirt(placement: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
    spec = {"workloads": {"nodePlacement": placement}} if placement else {}
    return {"metadata": {"namespace": "kubevirt", "name": "kv"}, "spec": spec}


def node(
    labels: dict[str, str] | None = None, taints: list[dict[str, str]] | None = None, ready: str = "True", **spec: t.Any
) -> dict[str, t.Any]:
    return {
        "metadata": {"name": "n", "labels": labels or {}},
        "spec": {**({"taints": taints} if taints else {}), **spec},
        "status": {"conditions": [{"type": "DiskPressure", "status": "False"}, {"type": "Ready", "status": ready}]},
    }


def test_kubernetes() -> None:
    assert facts.kubernetes_facts("v1.34.4+k3s1") == {"version": "v1.34.4+k3s1", "minor": 34}
    assert facts.kubernetes_facts("")["minor"] == 0


def test_kubevirt() -> None:
    gates = {"configuration": {"developerConfiguration": {"featureGates": ["Sidecar"]}}}
    found = facts.kubevirt_facts({**kubevirt(), "spec": gates}, "v1.8.4")
    assert (found["namespace"], found["name"], found["version"]) == ("kubevirt", "kv", "v1.8.4")
    assert (found["feature_gates"], found["spec"], found["status"]) == (["Sidecar"], gates, {})
    assert facts.kubevirt_facts({"metadata": kubevirt()["metadata"]}, "v1.8.4")["feature_gates"] == []


@pytest.mark.parametrize("ready", ["True", "False", "Unknown"])
def test_a_node_is_ready_when_it_says_so(ready: str) -> None:
    assert facts.node_facts(node(ready=ready), kubevirt())["ready"] is (ready == "True")


def test_a_cordoned_node() -> None:
    assert facts.node_facts(node(unschedulable=True), kubevirt())["schedulable"] is False
    assert facts.node_facts({"metadata": {"name": "new"}}, kubevirt())["ready"] is False


CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
GPU = {"key": "gpu", "value": "yes", "effect": "NoExecute"}


@pytest.mark.parametrize(
    ("labels", "taints", "placement", "expected"),
    [
        ({}, [], {}, True),
        ({"kubernetes.io/os": "windows"}, [], {}, False),
        ({}, [], {"nodeSelector": {"vms": "yes"}}, False),
        ({"vms": "yes", "a": "b"}, [], {"nodeSelector": {"vms": "yes"}}, True),
        ({}, [CONTROL_PLANE], {}, False),
        ({}, [CONTROL_PLANE], {"tolerations": [{"operator": "Exists"}]}, True),
        ({}, [CONTROL_PLANE], {"tolerations": [{"key": CONTROL_PLANE["key"], "operator": "Exists"}]}, True),
        ({}, [GPU], {"tolerations": [{"key": "gpu", "value": "yes"}]}, True),
        ({}, [GPU], {"tolerations": [{"key": "gpu", "value": "no"}]}, False),
        ({}, [GPU], {"tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]}, False),
        ({}, [{"key": "CriticalAddonsOnly", "effect": "NoExecute"}], {}, True),
        ({}, [{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}], {}, True),
        ({}, [{"key": "slow", "effect": "PreferNoSchedule"}], {}, True),
    ],
)
def test_which_nodes_virt_handler_is_for(
    labels: dict[str, str], taints: list[dict[str, str]], placement: dict[str, t.Any], expected: bool
) -> None:
    assert facts.node_facts(node(labels, taints), kubevirt(placement))["virt_handler"] is expected


def test_crd() -> None:
    crd = {
        "metadata": {"name": "virtualmachineexports.export.kubevirt.io"},
        "spec": {"versions": [{"name": "v1alpha1", "served": False}, {"name": "v1beta1", "served": True}]},
        "status": {"storedVersions": ["v1alpha1", "v1beta1"]},
    }
    assert facts.crd_facts(crd) == {
        "name": "virtualmachineexports.export.kubevirt.io",
        "stored_versions": ["v1alpha1", "v1beta1"],
        "served_versions": ["v1beta1"],
    }


def vmi(image: str) -> dict[str, t.Any]:
    return {"metadata": {"labels": {OUTDATED_LABEL: ""}}, "status": {"launcherContainerImageVersion": image}}


@pytest.mark.parametrize(
    ("vmis", "images", "expected"),
    [
        (0, [], {}),
        (3, [], {"v1.7.4": 3}),
        (4, ["quay.io/kubevirt/virt-launcher:v1.6.2"] * 3, {"v1.6.2": 3, "v1.7.4": 1}),
        (2, ["host:5000/virt-launcher:v1.6.2@sha256:12", "host:5000/virt-launcher@sha256:12"], {"": 1, "v1.6.2": 1}),
        (2, ["host:5000/virt-launcher", ""], {"": 2}),
        (3, ["other.io/virt-launcher:v1.7.4"], {"v1.7.4": 3}),
        (1, ["x/virt-launcher:v1.6.2"] * 2, {"v1.6.2": 2}),
    ],
)
def test_launchers_by_version(vmis: int, images: list[str], expected: dict[str, int]) -> None:
    found = facts.launcher_facts("v1.7.4", vmis, map(vmi, images))
    assert {one["version"]: one["vmis"] for one in found} == expected


def test_null_fields_of_preferences() -> None:
    spec = {"devices": {"preferredTPM": None, "preferredRng": {}}, "firmware": None, "cpu": {"topologies": []}}
    one = {"kind": "VirtualMachinePreference", "metadata": {"namespace": "a", "name": "b"}, "spec": spec}
    assert facts.preference_facts(one) == {
        "name": "VirtualMachinePreference a/b",
        "null_fields": ["spec.devices.preferredTPM", "spec.firmware"],
    }
    cluster_wide = {"kind": "VirtualMachineClusterPreference", "metadata": {"name": "b"}}
    assert facts.preference_facts(cluster_wide) == {"name": "VirtualMachineClusterPreference b", "null_fields": []}


def test_the_facts_of_the_fixtures_have_the_keys_that_are_described() -> None:
    """Otherwise the risks would be tested against facts that nobody makes."""
    healthy = yaml.safe_load(HEALTHY.read_text())
    assert healthy.keys() == facts.ClusterFacts.__required_keys__
    for key, described in {
        "kubernetes": facts.KubernetesFacts,
        "kubevirt": facts.KubeVirtFacts,
        "operator": facts.OperatorFacts,
        "counts": facts.Counts,
    }.items():
        assert healthy[key].keys() == described.__required_keys__, key
    assert {frozenset(one) for one in healthy["nodes"]} == {facts.NodeFacts.__required_keys__}
    assert {frozenset(one) for one in healthy["crds"]} == {facts.CrdFacts.__required_keys__}
