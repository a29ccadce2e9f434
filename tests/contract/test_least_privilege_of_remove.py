# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removing KubeVirt under exactly docs/rbac/remove.yml: with VMs, with all that can be left, and where nothing goes by itself.

Nobody works on this API server. What virt-operator, the garbage collector, the kubelet and the controller of namespaces would do is
played.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.contract.conftest import FROM, MIGRATIONS_CRD, World
from tests.contract.test_least_privilege import GRANTED, LATER, played
from tests.contract.test_remove import claim
from tests.contract.test_strategy import KINDS, node
from tests.contract.test_strategy import crd as kind_of_vms
from tests.contract.test_sweep import MANAGED, OLD_MANAGED, api_service, crd, made
from tests.contract.test_workload_update import operand
from tests.faults.played_operator import KUBEVIRT as KUBEVIRT_PATH
from tests.faults.played_operator import Operator
from tests.faults.server import MERGE, Server
from tests.rbac.page import ACCOUNT
from tests.support.accounts import Account, account
from tests.support.kubevirt import KUBEVIRT
from tests.support.lab import Json, Result

VMS = "/apis/kubevirt.io/v1/namespaces/default/virtualmachines"
VMIS = "/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances"
MAKERS = (
    "/apis/pool.kubevirt.io/v1/namespaces/default/virtualmachinepools",
    "/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstancereplicasets",
)
NAMESPACE = "/api/v1/namespaces/kubevirt"
PODS = f"{NAMESPACE}/pods"
JOBS = "/apis/batch/v1/namespaces/kubevirt/jobs"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ALL_OF_KUBEVIRT = "?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dvirt-operator"
FINALIZER, ORPHAN = "foregroundDeleteKubeVirt", "orphan"
OWN = "kubevirt.io/virtualMachineControllerFinalize"
DISK = "/api/v1/namespaces/default/persistentvolumeclaims/disk"

OF_THE_VMS = [
    yaml.safe_load(MIGRATIONS_CRD),
    *(yaml.safe_load(kind_of_vms(kind, plural)) for kind, plural in KINDS.items()),
    crd("VirtualMachineInstanceReplicaSet", "kubevirt.io"),
    crd("VirtualMachinePool", "pool.kubevirt.io"),
    *(crd(f"VirtualMachine{what}", "snapshot.kubevirt.io") for what in ("Snapshot", "SnapshotContent", "Restore")),
    crd("VirtualMachineBackup", "backup.kubevirt.io"),
    *(
        crd(f"VirtualMachineCluster{what}", "instancetype.kubevirt.io", scope="Cluster")
        for what in ("Instancetype", "Preference")
    ),
]
OF_OTHERS = [
    crd("DataVolume", "cdi.kubevirt.io"),
    crd("PrometheusRule", "monitoring.coreos.com"),
    crd("ServiceMonitor", "monitoring.coreos.com"),
    crd("Route", "route.openshift.io"),
    crd("SecurityContextConstraint", "security.openshift.io", scope="Cluster"),
]
OF_OTHERS[0]["spec"]["versions"][0]["name"] = "v1beta1"
NOTHING = {"apiGroups": ["example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nothings"]}
POLICY = {"validations": [{"expression": "true"}], "matchConstraints": {"resourceRules": [NOTHING]}}


def labelled(api_version: str, kind: str, name: str, namespace: str = "", **rest: t.Any) -> Json:
    """An object of any kind that a virt-operator before 0.49 has made; the one that is played here does not delete it."""
    return {**made(kind, name, namespace, OLD_MANAGED, **rest), "apiVersion": api_version}


LEFT = [
    labelled("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "virt-api-mutator"),
    labelled("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "virt-api-validator"),
    labelled("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "kubevirt-node-restriction", spec=POLICY),
    labelled(
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicyBinding",
        "kubevirt-node-restriction-binding",
        spec={"policyName": "kubevirt-node-restriction", "validationActions": ["Deny"]},
    ),
    labelled("v1", "Service", "virt-api", "kubevirt", spec={"ports": [{"port": 443}]}),
    labelled("v1", "Endpoints", "virt-controller", "kubevirt"),
    labelled("v1", "ConfigMap", "kubevirt-ca", "kubevirt"),
    labelled("v1", "Secret", "kubevirt-virt-api-certs", "kubevirt"),
    labelled(
        "policy/v1", "PodDisruptionBudget", "virt-api-pdb", "kubevirt", spec={"maxUnavailable": 1, "selector": {}}
    ),
    labelled("networking.k8s.io/v1", "NetworkPolicy", "kubevirt-np", "kubevirt", spec={"podSelector": {}}),
    labelled("monitoring.coreos.com/v1", "PrometheusRule", "prometheus-kubevirt-rules", "kubevirt"),
    labelled("monitoring.coreos.com/v1", "ServiceMonitor", "prometheus-kubevirt", "kubevirt"),
    labelled("route.openshift.io/v1", "Route", "virt-exportproxy", "kubevirt"),
    labelled("security.openshift.io/v1", "SecurityContextConstraint", "kubevirt-handler"),
    labelled("instancetype.kubevirt.io/v1", "VirtualMachineClusterInstancetype", "u1.small"),
    labelled("instancetype.kubevirt.io/v1", "VirtualMachineClusterPreference", "fedora"),
    made("Lease", "virt-operator", "kubevirt", spec={}),
    labelled("apps/v1", "DaemonSet", "virt-handler", "kubevirt", spec=operand("DaemonSet", "virt-handler")["spec"]),
    labelled("v1", "Pod", "virt-api", "kubevirt", spec={"containers": [{"name": "virt-api", "image": "none"}]}),
]


HELD: dict[tuple[str, str], str] = {
    ("kubevirt.io", "VirtualMachine"): OWN,
    ("kubevirt.io", "VirtualMachineInstance"): OWN,
    ("kubevirt.io", "VirtualMachineInstanceMigration"): "kubevirt.io/migrationJobFinalize",
    ("pool.kubevirt.io", "VirtualMachinePool"): "pool.kubevirt.io/finalizer",
    ("snapshot.kubevirt.io", "VirtualMachineSnapshot"): "snapshot.kubevirt.io/vmsnapshot-protection",
    ("snapshot.kubevirt.io", "VirtualMachineSnapshotContent"): "snapshot.kubevirt.io/vmsnapshotcontent-protection",
    ("snapshot.kubevirt.io", "VirtualMachineRestore"): "snapshot.kubevirt.io/vmrestore-protection",
    ("backup.kubevirt.io", "VirtualMachineBackup"): "backup.kubevirt.io/vmbackup-protection",
}
"""An object of each kind is held by the finalizer, which virt-controller would take away."""


@pytest.fixture
def world(bare_world: World) -> Iterator[World]:
    yield bare_world
    if bare_world.lab.succeeds("get", *KUBEVIRT):  # the test has failed
        bare_world.patch(KUBEVIRT, {"metadata": {"finalizers": None}})
        bare_world.remove()
    bare_world.end_namespace(ACCOUNT)
    bare_world.lab.kubectl("delete", "crd", "--ignore-not-found", *(one["metadata"]["name"] for one in OF_OTHERS))
    bare_world.lab.kubectl("delete", "node", "one", "--ignore-not-found")
    bare_world.lab.kubectl("delete", "pvc", "disk", "-n", "default", "--ignore-not-found", "--wait=false")
    Server(bare_world.lab).send("PATCH", DISK, {"metadata": {"finalizers": None}}, MERGE)


class Others:
    """Whoever ends what is being deleted. ``is_operator``: virt-operator among them."""

    def __init__(self, world: World, *, is_operator: bool) -> None:
        self._server = Server(world.lab)
        self._is_operator = is_operator

    def step(self) -> bool:
        kubevirt = self._server.get(KUBEVIRT_PATH)
        for collection in (VMS, *MAKERS, JOBS):
            for one in self._ending(collection):
                if ORPHAN in one["metadata"].get("finalizers", ()) or (self._is_operator and self._disk_is_free()):
                    self._let_go(f"{collection}/{one['metadata']['name']}")
        for one in self._server.items(VMS):
            if one["spec"].get("runStrategy") == "Halted":
                self._server.send("DELETE", f"{VMIS}/{one['metadata']['name']}")
        for pod in self._ending(PODS):
            self._server.send("DELETE", f"{PODS}/{pod['metadata']['name']}?gracePeriodSeconds=0")
        if kubevirt and "deletionTimestamp" in kubevirt["metadata"] and self._is_operator:
            for one in self._server.items(f"{CRDS}{ALL_OF_KUBEVIRT}"):
                self._server.send("DELETE", f"{CRDS}/{one['metadata']['name']}")
            self._let_go(KUBEVIRT_PATH)
        namespace = self._server.get(NAMESPACE)
        if namespace and "deletionTimestamp" in namespace["metadata"] and not kubevirt:
            self._server.send("PUT", f"{NAMESPACE}/finalize", {**namespace, "spec": {"finalizers": []}})
        return False

    def _ending(self, collection: str) -> list[Json]:
        return [one for one in self._server.items(collection) if "deletionTimestamp" in one["metadata"]]

    def _disk_is_free(self) -> bool:
        disk = self._server.get(DISK)
        return disk is not None and not disk["metadata"].get("ownerReferences")

    def _let_go(self, path: str) -> None:
        self._server.send("PATCH", path, {"metadata": {"finalizers": None}}, MERGE)


def install(world: World) -> None:
    """KubeVirt 1.7.0 with its finalizer, and all kinds."""
    world.install()
    kinds = [*OF_THE_VMS, *OF_OTHERS]
    world.lab.apply(*kinds)
    world.lab.wait_for("Established", *(f"crd/{one['metadata']['name']}" for one in kinds))
    world.lab.apply(made("ServiceAccount", "default", "kubevirt"), node("one"))
    world.patch(KUBEVIRT, {"metadata": {"finalizers": [FINALIZER]}})


def machine(name: str, run_strategy: str, **metadata: t.Any) -> Json:
    one = made("VirtualMachine", name, "default", spec={"runStrategy": run_strategy})
    return {**one, "metadata": {**one["metadata"], **metadata}}


def instance(name: str) -> Json:
    return {**made("VirtualMachineInstance", name, "default", spec={}), "apiVersion": "kubevirt.io/v1"}


def people(world: World) -> None:
    """A VM that runs, one that somebody deletes with its disk, one without a VirtualMachine, and what makes VMs."""
    lab = world.lab
    lab.apply(machine("running", "Always"), instance("running"), instance("alone"))
    lab.apply(machine("going", "Halted", finalizers=[OWN]))
    going = lab.get("virtualmachines", "going", "-n", "default")
    disk = claim("disk", going)
    volume = {**disk, "apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume", "spec": {}}
    revision = {key: value for key, value in disk.items() if key != "spec"} | {"revision": 1, "data": {"spec": {}}}
    lab.apply(disk, volume, {**revision, "apiVersion": "apps/v1", "kind": "ControllerRevision"})
    lab.kubectl("delete", "virtualmachines", "going", "-n", "default", "--wait=false")
    for kind, group in (
        ("VirtualMachinePool", "pool.kubevirt.io"),
        ("VirtualMachineInstanceReplicaSet", "kubevirt.io"),
    ):
        lab.apply({**made(kind, "maker", "default", spec={}), "apiVersion": f"{group}/v1"})


def armed(it: Account, **options: t.Any) -> Result:
    """A removal with the phrase that it asks for, if it does."""
    phrase = it.module("kubevirt_remove", options, check=True).data.get("confirm")
    return it.module("kubevirt_remove", {**options, **({"confirm": phrase} if phrase else {})})


def test_remove(world: World, tmp_path: Path) -> None:
    options = {"backup_dir": str(tmp_path), "manifest": str(world.manifests[FROM]), "remove_namespace": True}
    with account(world.lab, tmp_path, "remove") as it:
        remove_with_vms(it, world, options)
        remove_what_is_stuck(it, world, options)
        again = it.module("kubevirt_remove", options)
        assert again.data["changed"] is False, again.message
        assert it.refused() == []
        assert it.unused() == GRANTED


def remove_with_vms(it: Account, world: World, options: Json) -> None:
    """virt-operator was taken away before, with its rights, and comes back."""
    install(world)
    people(world)
    world.lab.apply(*LEFT, job())
    world.lab.kubectl("delete", *LATER, "deployment/virt-operator", "-n", "kubevirt")
    world.lab.kubectl("label", "namespace", "kubevirt", "kubevirt.io-")
    with played(Operator(Server(world.lab)).step, Others(world, is_operator=True).step):
        done = armed(it, **options)
    assert done.code == 0, done.message


def remove_what_is_stuck(it: Account, world: World, options: Json) -> None:
    """Nobody is left who could take finalizers away, nobody answers what asks virt-api, and the namespace is going already."""
    lab = world.lab
    install(world)
    held = [
        {**made(kind, "held", "default", {"kubevirt.io/nodeName": "one"}, spec={}), "apiVersion": f"{group}/v1"}
        for group, kind in HELD
    ]
    for one, finalizer in zip(held, HELD.values(), strict=True):
        one["metadata"]["finalizers"] = [finalizer]
    lab.apply(*held, api_service("v1", "subresources.kubevirt.io", "kubevirt", "virt-api"))
    for one in held:
        lab.kubectl("delete", one["kind"], "held", "-n", "default", "--wait=false")
    lab.kubectl("delete", *KUBEVIRT, "--wait=false")
    lab.kubectl("delete", "deployment", "virt-operator", "-n", "kubevirt")
    lab.kubectl("delete", "namespace", "kubevirt", "--wait=false")
    with played(Others(world, is_operator=False).step):
        done = armed(it, **options, repair="finalizers")
    assert done.code == 0, done.message


def job() -> Json:
    """An install-strategy Job."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}
    one = labelled("batch/v1", "Job", "kubevirt-install-strategy", "kubevirt", spec={"template": {"spec": pod}})
    one["metadata"]["labels"] = {**MANAGED, "kubevirt.io/install-strategy": ""}
    return one
