# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A few VMs on a real API server, which tests/support/virt_controller.py moves and stops, and their disks."""

from __future__ import annotations

from tests.faults.played_operator import KUBEVIRT, LAUNCHER
from tests.faults.server import MERGE, Server
from tests.support.lab import Json
from tests.support.virt_controller import (
    MIGRATIONS,
    ON_VMS,
    PODS,
    TARGET_NODE,
    VMIS,
    VMS,
    is_of,
    is_outdated,
    launcher_pod,
    running_vmi,
)

NODES = ("n1", "n2", TARGET_NODE)
OLD = f"{LAUNCHER}:v1.6.0"

_LAUNCHERS = "?labelSelector=kubevirt.io%3Dvirt-launcher"


class Vms:
    """The ``Store`` of a server.

    Args:
        server: The server, without a proxy.
        namespace: The namespace of the VMs.
    """

    def __init__(self, server: Server, namespace: str) -> None:
        self._server = server
        self._namespace = namespace
        self._claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
        self._uids: dict[str, str] = {}

    def put(self, count: int, disks: int = 0) -> None:
        """So many VMs, on two nodes and old launchers, the first of them with a disk, and nothing of those that were there."""
        for vm in self.objects_of(VMS):
            if vm["metadata"].pop("finalizers", None):
                self.save(VMS, vm)
        for kind in (MIGRATIONS, PODS, VMIS, VMS):
            self._server.send("DELETE", f"{self._collection(kind)}?gracePeriodSeconds=0")
        for name in self.disks_as_they_are():
            # Nobody plays the controller that takes a claim's protection away.
            self._server.send("PATCH", f"{self._claims}/{name}", {"metadata": {"finalizers": None}}, MERGE)
            self._server.send("DELETE", f"{self._claims}/{name}")
        for number in range(count):
            name, node = f"vm-{number}", NODES[number % 2]
            disk = f"disk-{number}" if number < disks else ""
            vm = self.add(VMS, _machine(name, disk))
            if disk:
                self._uids[disk] = self._add_disk(disk, vm)
            vmi = self.add(VMIS, running_vmi(self._namespace, name, node, OLD, outdated=True))
            self.add(PODS, launcher_pod(f"virt-launcher-{name}", vmi, OLD, node))

    def as_they_are(self) -> dict[str, Json]:
        """Of each VM what must be the same after every run."""
        pods, migrations = self.objects_of(PODS), self.objects_of(MIGRATIONS)
        return {
            vmi["metadata"]["name"]: {
                "launcher": vmi["status"]["launcherContainerImageVersion"],
                "outdated": is_outdated(vmi),
                "running": sum(is_of(pod, vmi) and pod["status"]["phase"] == "Running" for pod in pods),
                "migrations": [
                    one["status"]["phase"] for one in migrations if one["spec"]["vmiName"] == vmi["metadata"]["name"]
                ],
            }
            for vmi in self.objects_of(VMIS)
        }

    def disks_as_they_are(self) -> dict[str, Json]:
        """Of each disk whether it is still the one that was put, whose it is, and whether it goes."""
        return {
            name: {
                "same": claim["metadata"]["uid"] == self._uids.get(name),
                "owners": [one["kind"] for one in claim["metadata"].get("ownerReferences") or ()],
                "goes": "deletionTimestamp" in claim["metadata"],
            }
            for claim in self._server.items(self._claims)
            if (name := claim["metadata"]["name"])
        }

    def _add_disk(self, disk: str, vm: Json) -> str:
        """The UID of a new disk of this VM."""
        owner = {key: vm[key] for key in ("apiVersion", "kind")} | {key: vm["metadata"][key] for key in ("name", "uid")}
        metadata = {"name": disk, "ownerReferences": [{**owner, "controller": True}]}
        size = {"resources": {"requests": {"storage": "1Gi"}}}
        claim = {"metadata": metadata, "spec": {"accessModes": ["ReadWriteOnce"], **size}}
        stored = self._server.send("POST", self._claims, claim)
        assert stored
        return str(stored["metadata"]["uid"])

    # The store

    def objects_of(self, kind: str) -> list[Json]:
        return self._server.items(self._collection(kind) + (_LAUNCHERS if kind == PODS else ""))

    def update_methods(self) -> list[str]:
        spec = (self._server.get(KUBEVIRT) or {}).get("spec", {})
        return list((spec.get("workloadUpdateStrategy") or {}).get("workloadUpdateMethods") or [])

    def add(self, kind: str, one: Json) -> Json:
        stored = self._server.send("POST", self._collection(kind), one)
        assert stored, f"there is no kind {kind}"
        if "status" in one:
            stored["status"] = one["status"]
            self.save(kind, stored)
        return stored

    def save(self, kind: str, one: Json) -> None:
        path = f"{self._collection(kind)}/{one['metadata']['name']}"
        if kind == PODS:
            self._server.send("PATCH", f"{path}/status", {"status": one["status"]}, MERGE)
            return
        stored = self._server.send("PUT", path, one)
        if stored:  # somebody may have deleted it
            one["metadata"] = stored["metadata"]

    def remove(self, kind: str, one: Json) -> None:
        self._server.send("DELETE", f"{self._collection(kind)}/{one['metadata']['name']}?gracePeriodSeconds=0")

    def _collection(self, kind: str) -> str:
        api = "/api/v1" if kind == PODS else "/apis/kubevirt.io/v1"
        return f"{api}/namespaces/{self._namespace}/{kind}"


def _machine(name: str, disk: str) -> Json:
    spec: Json = {"runStrategy": "Always"}
    if disk:
        volumes = [{"name": "disk", "persistentVolumeClaim": {"claimName": disk}}]
        spec["template"] = {"spec": {"domain": {}, "volumes": volumes}}
    metadata = {"name": name, "finalizers": [ON_VMS]}
    return {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": metadata, "spec": spec}
