# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a cell is played: an API server with KubeVirt 1.7.0, a played operator, the proxy, and a quick way back."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.objects import path_of

from tests.contract.test_strategy import node
from tests.faults.client import Run
from tests.faults.played import Played
from tests.faults.played_garbage_collector import GarbageCollector
from tests.faults.played_operator import (
    FINALIZER,
    ITS_CRDS,
    ITS_REST,
    KUBEVIRT,
    LAUNCHER,
    LEASES,
    NAMESPACE,
    Operator,
)
from tests.faults.played_vms import NODES, Vms
from tests.faults.proxy import Proxy
from tests.faults.scenarios import Scenario
from tests.faults.server import JSON_PATCH, MERGE, Server
from tests.support.install import install_operator
from tests.support.kubevirt import FROM, LIVE_MIGRATE, TO
from tests.support.lab import ROOT, Json, Lab, lab
from tests.support.virt_controller import VirtController

LOCK = f"{LEASES}/kubevirt-lifecycle"
OF_VMS = "prod"
FOLDER = ROOT / "build" / "faults"
# What virt-handler writes onto a node.
NODE_MARKS = {
    "labels": {"kubevirt.io/schedulable": "true", "cpu-model.node.kubevirt.io/Penryn": "true"},
    "annotations": {"kubevirt.io/heartbeat": "2026-03-01T12:00:00Z"},
}
# Of an object's metadata, what differs from run to run.
PASSING = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink")


class Stage:
    """All that a cell needs, in a lab of its own."""

    def __init__(self, running: Lab) -> None:
        self.lab = running
        self.manifests = {version: Path(lab("manifest", version)) for version in (FROM, TO)}
        self.server = Server(self.lab)
        self._install()
        self._vms = Vms(self.server, OF_VMS)
        self._played = [
            Played(Operator(self.server).step),
            Played(VirtController(self._vms, f"{LAUNCHER}:{FROM}").step),
            Played(GarbageCollector(self.server).step),
        ]
        self._backups = FOLDER / running.name / "backups"
        with self._paused():
            self._settle()
            self._until_served()
            self._at_first = {path: self.server.get(path) for path in self._paths_of_the_operator()}
            self._kubevirt_at_first = self.kubevirt()
        for one in self._played:
            one.start()
        self.proxy = Proxy(FOLDER / running.name, self.server.address, self.server.token)

    def close(self) -> None:
        self.proxy.stop()
        for one in self._played:
            one.stop()
        self.server.close()

    def run(self, scenario: Scenario) -> Run:
        """The scenario's command, through the proxy."""
        return Run(scenario.module, {**self._options(scenario), **scenario.params}, self.proxy.kubeconfig)

    def _options(self, scenario: Scenario) -> Json:
        """Those that only the stage knows."""
        if scenario.module == "kubevirt_upgrade":
            return {"version": TO, "manifest": str(self.manifests[TO])}
        if scenario.module == "kubevirt_remove":
            cluster = self.server.get("/api/v1/namespaces/kube-system")
            assert cluster
            phrase = f"{cluster['metadata']['uid']}:{scenario.vms} VMs:{scenario.disks} disks"
            return {"confirm": phrase, "backup_dir": str(self._backups)}
        return {}

    def reset(self, scenario: Scenario) -> None:
        """KubeVirt 1.7.0 as it was installed, with what the scenario begins with."""
        shutil.rmtree(self._backups, ignore_errors=True)
        with self._paused():
            self._settle()  # a deletion that has begun
            for path, then in self._at_first.items():
                self._put_back(path, then)
            self._until_served("kubevirts")
            self._put_back(KUBEVIRT, _with_spec(self._kubevirt_at_first, scenario.spec))
            self.server.send("DELETE", LOCK)
            for name in NODES:
                self.server.send("PATCH", f"/api/v1/nodes/{name}", {"metadata": NODE_MARKS}, MERGE)
            self._settle()
            self._until_served()
            self._vms.put(scenario.vms, scenario.disks)
            self._settle()

    def fingerprint(self) -> Json:
        """All that a run leaves, without what differs from run to run."""
        with self._paused():
            self._settle()
            found: Json = {path: _lasting(self.server.get(path)) for path in (*self._at_first, KUBEVIRT)}
            found["vms"] = self._vms.as_they_are()
        found["disks"] = self._vms.disks_as_they_are()
        for path in (ITS_CRDS, *ITS_REST, LEASES):
            found[path.partition("?")[0]] = [one["metadata"]["name"] for one in self.server.items(path)]
        found["nodes"] = [_marks(self.server.get(f"/api/v1/nodes/{name}")) for name in NODES]
        kept = self._backups.glob("*Z/2-objects/*-virtualmachines/*.json")
        found["backed up"] = sorted({file.name for file in kept})
        return found

    def kubevirt(self) -> Json:
        kubevirt = self.server.get(KUBEVIRT)
        assert kubevirt
        return kubevirt

    @contextlib.contextmanager
    def _paused(self) -> Iterator[None]:
        """Nobody plays."""
        with contextlib.ExitStack() as all_of_them:
            for one in self._played:
                all_of_them.enter_context(one.paused())
            yield

    def _settle(self) -> None:
        """All that is left for them to do, at once."""
        while sum(one.step() for one in self._played):  # each of them has its turn
            pass

    def _until_served(self, *plurals: str) -> None:
        """These of KubeVirt's kinds, or all that virt-operator makes; the server needs a moment after their CRDs are there."""
        wanted = {*(plurals or (crd["spec"]["names"]["plural"] for crd in self.server.items(ITS_CRDS)))}
        deadline = time.monotonic() + 60
        while not wanted <= self._served():
            assert time.monotonic() < deadline, f"not served: {wanted}"
            time.sleep(0.2)

    def _served(self) -> set[str]:
        groups = (self.server.get("/apis") or {}).get("groups") or []
        if not any(group["name"] == "kubevirt.io" for group in groups):
            return set()
        kinds = (self.server.get("/apis/kubevirt.io/v1") or {}).get("resources") or []
        return {kind["name"] for kind in kinds}

    def _install(self) -> None:
        install_operator(self.lab, "kubectl create", self.manifests[FROM])
        self._until_served("kubevirts")
        self.lab.apply(*map(node, NODES), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OF_VMS}})
        # No controller makes it, and no pod is taken in without it.
        for namespace in (NAMESPACE, OF_VMS):
            self.lab.kubectl("create", "serviceaccount", "default", "-n", namespace)
        kubevirt = yaml.safe_load(lab("cr"))
        kubevirt["metadata"]["finalizers"] = [FINALIZER]
        kubevirt["spec"]["workloadUpdateStrategy"] = LIVE_MIGRATE
        self.lab.kubectl("create", "-f", "-", stdin=yaml.safe_dump(kubevirt))

    def _paths_of_the_operator(self) -> list[str]:
        """Of all that one of the manifests has."""
        manifests = [one for path in self.manifests.values() for one in yaml.safe_load_all(path.read_text()) if one]
        return [*dict.fromkeys(path_of(one) for one in manifests)]

    def _put_back(self, path: str, then: Json | None) -> None:
        live = self.server.get(path)
        if then is None:
            if live is not None:
                self.server.send("DELETE", path)
            return
        if live is not None and _lasting(live) == _lasting(then):
            return
        metadata = {key: value for key, value in then["metadata"].items() if key not in ("uid", "resourceVersion")}
        body = {**then, "metadata": metadata}
        if live is None:
            self.server.send("POST", path.rpartition("/")[0], body)
        else:
            metadata["resourceVersion"] = live["metadata"]["resourceVersion"]
            self.server.send("PUT", path, body)
        managers = [{"op": "replace", "path": "/metadata/managedFields", "value": then["metadata"]["managedFields"]}]
        self.server.send("PATCH", path, managers, JSON_PATCH)


def differences(one: Json, other: Json) -> list[str]:
    """Where two fingerprints differ."""
    return [f"{path}: {_short(other[path])} instead of {_short(one[path])}" for path in one if one[path] != other[path]]


def _marks(node: Json | None) -> list[str]:
    assert node
    return sorted([*node["metadata"].get("labels", {}), *node["metadata"].get("annotations", {})])


def _short(value: t.Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) < 1500 else f"{text[:1500]}…"


def _with_spec(kubevirt: Json, spec: Json) -> Json:
    return {**kubevirt, "spec": {**kubevirt["spec"], **spec}}


def _lasting(one: Json | None) -> Json | None:
    if one is None:
        return None
    metadata = {key: value for key, value in one["metadata"].items() if key not in PASSING}
    managers = sorted(
        {
            f"{entry['manager']} {entry['operation']} {entry.get('subresource', '')}"
            for entry in one["metadata"].get("managedFields", [])
        }
    )
    status = one.get("status", {})
    conditions = {c["type"]: f"{c['status']} {c.get('reason')}" for c in status.get("conditions", [])}
    versions = {key: value for key, value in status.items() if "Version" in key and isinstance(value, str)}
    rest = {key: value for key, value in one.items() if key not in ("metadata", "status")}
    return {**rest, "metadata": metadata, "managers": managers, "status": {"conditions": conditions, **versions}}
