# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""virt-operator as it is seen from outside, played against a real API server that has no controllers.

It writes what a real hop from 1.7.0 to 1.8.4 wrote (tests/unit/fixtures/rollouts/1.7.0-to-1.8.4.json), in seconds
instead of minutes and with fewer pods:

* the Deployment virt-operator is rolled out (the status that the Deployment controller writes);
* the new operator leads: operatorVersion, target*, and UpdateInProgress; or DeploymentInProgress where only the
  KubeVirt object was edited;
* virt-api, virt-controller and virt-handler with the annotations of the new deployment, then their pods;
* observed*, observedGeneration, AllComponentsReady.

spec.imageTag decides the target as it does with 1.7.0 and later. It never fails.

When the KubeVirt object is deleted it does as a real one (pkg/virt-operator/resource/apply/delete.go): first the CRDs; when these are
gone with all their objects, the rest of what it made, but for the Lease by which one of its pods leads; last its finalizer.
"""

from __future__ import annotations

import hashlib
import typing as t

import yaml

from tests.contract.conftest import MIGRATIONS_CRD
from tests.contract.test_strategy import KINDS, crd
from tests.faults.server import MERGE, Server
from tests.support.lab import Json

NAMESPACE = "kubevirt"
KUBEVIRT = f"/apis/kubevirt.io/v1/namespaces/{NAMESPACE}/kubevirts/kubevirt"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"
OPERATOR = f"{APPS}/deployments/virt-operator"
OPERANDS = {"virt-api": "deployments", "virt-controller": "deployments", "virt-handler": "daemonsets"}
REGISTRY = "quay.io/kubevirt"
LAUNCHER = f"{REGISTRY}/virt-launcher"
LABELS = {"app.kubernetes.io/managed-by": "virt-operator"}
FINALIZER = "foregroundDeleteKubeVirt"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
# Besides its operands, by their collections: what of it counts for those who upgrade and remove it.
MADE: tuple[tuple[str, Json], ...] = (
    *((CRDS, yaml.safe_load(one)) for one in (MIGRATIONS_CRD, *(crd(kind, plural) for kind, plural in KINDS.items()))),
    (
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
        {"metadata": {"name": "virt-api-mutator"}, "webhooks": []},
    ),
    (f"/api/v1/namespaces/{NAMESPACE}/configmaps", {"metadata": {"name": "kubevirt-ca"}}),
)
LEADS = "virt-operator"
# What it deletes, as lists: its CRDs first, and when they are gone the rest.
ITS_CRDS, *ITS_REST = (
    f"{path}?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dvirt-operator"
    for path in dict.fromkeys(
        (CRDS, *(f"{APPS}/{plural}" for plural in OPERANDS.values()), PODS, *(path for path, _one in MADE))
    )
)
ROLLED_OUT = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
ON_NODES = {
    "currentNumberScheduled": 1,
    "numberMisscheduled": 0,
    "desiredNumberScheduled": 1,
    "numberReady": 1,
    "updatedNumberScheduled": 1,
    "numberAvailable": 1,
}


class Operator:
    """What virt-operator does next."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def step(self) -> bool:
        """The next thing that the cluster's state asks for; False when nothing is left."""
        operator, kubevirt = self._server.get(OPERATOR), self._server.get(KUBEVIRT)
        if operator is None or kubevirt is None:
            return False
        if "deletionTimestamp" in kubevirt["metadata"]:
            return self._delete()
        return self._roll_out_the_operator(operator) or self._reconcile(operator, kubevirt)

    def _roll_out_the_operator(self, operator: Json) -> bool:
        status, generation = operator.get("status", {}), operator["metadata"]["generation"]
        if status.get("observedGeneration") != generation:
            first = {**ROLLED_OUT, "updatedReplicas": 1, "observedGeneration": generation}
            self._status(OPERATOR, {**first, "replicas": 3})
            return True
        if status.get("replicas") != 2:
            self._status(OPERATOR, {**ROLLED_OUT, "observedGeneration": generation})
            return True
        return False

    def _reconcile(self, operator: Json, kubevirt: Json) -> bool:
        container = operator["spec"]["template"]["spec"]["containers"][0]
        version = next(one["value"] for one in container["env"] if one["name"] == "KUBEVIRT_VERSION")
        target = kubevirt["spec"].get("imageTag") or version
        identifier = hashlib.sha1(f"{version} {target}".encode()).hexdigest()
        status = kubevirt.get("status", {})
        generation = kubevirt["metadata"]["generation"]
        begun = {
            "operatorVersion": version,
            "targetKubeVirtVersion": target,
            "targetKubeVirtRegistry": REGISTRY,
            "targetDeploymentID": identifier,
        }
        arrived = {**begun, "observedDeploymentID": identifier, "observedGeneration": generation}
        if arrived.items() <= status.items() and not _in_progress(status):
            return False
        moves = status.get("observedDeploymentID") != identifier
        if not begun.items() <= status.items() or not _in_progress(status):
            self._status(
                KUBEVIRT, {**begun, "phase": status.get("phase", "Deploying"), "conditions": _under_way(moves)}
            )
        elif not self._operands_are_of(identifier, generation):
            self._make()
            for name, plural in OPERANDS.items():
                self._write_operand(name, plural, identifier, target, generation)
        else:
            ready = {
                "phase": "Deployed",
                "observedKubeVirtVersion": target,
                "observedKubeVirtRegistry": REGISTRY,
                "observedDeploymentID": identifier,
                "observedGeneration": generation,
                "conditions": _all_ready(),
            }
            self._status(KUBEVIRT, ready)
        return True

    def _make(self) -> None:
        """What is not there."""
        for collection, one in MADE:
            if self._server.get(f"{collection}/{one['metadata']['name']}") is None:
                self._server.send("POST", collection, {**one, "metadata": {**one["metadata"], "labels": LABELS}})
        if self._server.get(f"{LEASES}/{LEADS}") is None:
            self._server.send("POST", LEASES, {"metadata": {"name": LEADS}})

    def _delete(self) -> bool:
        crds = self._server.items(ITS_CRDS)
        for one in crds:
            if "deletionTimestamp" not in one["metadata"]:
                self._server.send("DELETE", f"{CRDS}/{one['metadata']['name']}")
        if crds:
            return True
        rest = [path for path in ITS_REST if self._server.items(path)]
        for path in rest:
            self._server.send("DELETE", f"{path}&gracePeriodSeconds=0")
        if not rest:
            self._server.send("PATCH", KUBEVIRT, {"metadata": {"finalizers": None}}, MERGE)
        return True

    def _operands_are_of(self, identifier: str, generation: int) -> bool:
        operands = [self._server.get(f"{APPS}/{plural}/{name}") for name, plural in OPERANDS.items()]
        return all(
            one and one["metadata"]["annotations"] == _annotations(one, identifier, generation) for one in operands
        )

    def _write_operand(self, name: str, plural: str, identifier: str, version: str, generation: int) -> None:
        path = f"{APPS}/{plural}/{name}"
        marks = {
            "kubevirt.io/install-strategy-identifier": identifier,
            "kubevirt.io/install-strategy-version": version,
        }
        operand = _operand(name, plural, version)
        live = self._server.get(path) or self._server.send("POST", f"{APPS}/{plural}", operand)
        assert live
        annotations = {**marks, "kubevirt.io/generation": str(generation)}
        change = {"metadata": {"annotations": annotations}, "spec": {"template": operand["spec"]["template"]}}
        written = self._server.send("PATCH", path, change, MERGE)
        assert written
        counts = ROLLED_OUT if plural == "deployments" else ON_NODES
        self._status(path, {**counts, "observedGeneration": written["metadata"]["generation"]})
        self._replace_pod(name, identifier, {"annotations": marks, "labels": {**LABELS, "kubevirt.io": name}})

    def _replace_pod(self, name: str, identifier: str, metadata: Json) -> None:
        wanted = f"{name}-{identifier[:8]}"
        of_it = [pod["metadata"]["name"] for pod in self._server.items(f"{PODS}?labelSelector=kubevirt.io%3D{name}")]
        if wanted not in of_it:
            pod = {
                "metadata": {**metadata, "name": wanted},
                "spec": {"nodeName": "node", "containers": [{"name": name, "image": name}]},
            }
            self._server.send("POST", PODS, pod)
            ready = {"name": name, "image": name, "imageID": identifier, "ready": True, "restartCount": 0}
            running = {**ready, "started": True, "state": {"running": {}}}
            self._status(f"{PODS}/{wanted}", {"phase": "Running", "containerStatuses": [running]})
        for other in of_it:
            if other != wanted:
                self._server.send("DELETE", f"{PODS}/{other}?gracePeriodSeconds=0")

    def _status(self, path: str, status: t.Mapping[str, t.Any]) -> None:
        self._server.send("PATCH", f"{path}/status", {"status": status}, MERGE)


def _annotations(operand: Json, identifier: str, generation: int) -> Json:
    """Its annotations as they are when virt-operator has written it for this generation."""
    ours = {"kubevirt.io/install-strategy-identifier": identifier, "kubevirt.io/generation": str(generation)}
    return {**operand["metadata"].get("annotations", {}), **ours}


def _operand(name: str, plural: str, version: str) -> Json:
    container = {"name": name, "image": name, "command": [name, "--launcher-image", f"{LAUNCHER}:{version}"]}
    template = {"metadata": {"labels": {"kubevirt.io": name}}, "spec": {"containers": [container]}}
    spec: Json = {"selector": {"matchLabels": {"kubevirt.io": name}}, "template": template}
    if plural == "deployments":
        spec["replicas"] = 2
    return {"metadata": {"name": name, "labels": {**LABELS, "kubevirt.io": name}}, "spec": spec}


def _in_progress(status: Json) -> bool:
    return any(one["reason"] in ("UpdateInProgress", "DeploymentInProgress") for one in status.get("conditions", []))


def _under_way(moves: bool) -> list[Json]:
    if moves:
        statuses, reason = ("True", "True", "True"), "UpdateInProgress"
        return _conditions(statuses, reason, "Transitioning from previous version to target version")
    created = _condition("Created", "True", "AllResourcesCreated", "All resources were created.")
    return [*_conditions(("False", "True", "False"), "DeploymentInProgress", "Deploying version"), created]


def _all_ready() -> list[Json]:
    created = _condition("Created", "True", "AllResourcesCreated", "All resources were created.")
    return [*_conditions(("True", "False", "False"), "AllComponentsReady", "All components are ready."), created]


def _conditions(statuses: tuple[str, str, str], reason: str, message: str) -> list[Json]:
    types = ("Available", "Progressing", "Degraded")
    return [_condition(type, status, reason, message) for type, status in zip(types, statuses, strict=True)]


def _condition(type: str, status: str, reason: str, message: str) -> Json:
    return {"type": type, "status": status, "reason": reason, "message": message}
