# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a cell is played: an API server with KubeVirt 1.7.0, a played operator, the proxy, and a quick way back."""

from __future__ import annotations

import contextlib
import json
import typing as t
from collections.abc import Iterator
from pathlib import Path

import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.objects import path_of

from tests.contract.conftest import MIGRATIONS_CRD
from tests.contract.test_strategy import KINDS, crd, node
from tests.faults.client import Run
from tests.faults.played import Played
from tests.faults.played_operator import KUBEVIRT, LAUNCHER, NAMESPACE, Operator
from tests.faults.played_vms import NODES, Vms
from tests.faults.proxy import Proxy
from tests.faults.scenarios import Scenario
from tests.faults.server import JSON_PATCH, Server
from tests.support.install import install_operator
from tests.support.kubevirt import FROM, LIVE_MIGRATE, TO
from tests.support.lab import ROOT, Json, Lab, lab
from tests.support.virt_controller import VirtController

LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
OF_VMS = "prod"
FOLDER = ROOT / "build" / "faults"
# Of an object's metadata, what differs from run to run.
PASSING = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink")


class Stage:
    """A lab of its own with all that a cell needs."""

    def __init__(self, name: str) -> None:
        self.name = name
        lab("up", "--name", name, "--api-only")
        self.lab = Lab.of(name)
        self.manifests = {version: Path(lab("manifest", version)) for version in (FROM, TO)}
        self.server = Server(self.lab)
        self._install()
        self._vms = Vms(self.server, OF_VMS)
        self._played = [
            Played(Operator(self.server).step),
            Played(VirtController(self._vms, f"{LAUNCHER}:{FROM}").step),
        ]
        with self._paused():
            self._settle()
            self._at_first = {path: self.server.get(path) for path in self._paths()}
        for one in self._played:
            one.start()
        self.proxy = Proxy(FOLDER / name, self.server.address, self.server.token)

    def close(self) -> None:
        self.proxy.stop()
        for one in self._played:
            one.stop()
        self.server.close()
        lab("down", "--name", self.name)

    def run(self, scenario: Scenario) -> Run:
        """The scenario's command, through the proxy."""
        hop = {"version": TO, "manifest": str(self.manifests[TO])} if scenario.module == "kubevirt_upgrade" else {}
        return Run(scenario.module, {**hop, **scenario.params}, self.proxy.kubeconfig)

    def reset(self, scenario: Scenario) -> None:
        """KubeVirt 1.7.0 as it was installed, with what the scenario begins with."""
        with self._paused():
            for path, then in self._at_first.items():
                self._put_back(path, _with_spec(then, scenario.spec) if path == KUBEVIRT else then)
            for lease in self.server.items(LEASES):
                self.server.send("DELETE", f"{LEASES}/{lease['metadata']['name']}")
            self._vms.put(scenario.vms)
            self._settle()

    def fingerprint(self) -> Json:
        """All that a run leaves, without what differs from run to run."""
        with self._paused():
            self._settle()
            found: Json = {path: _lasting(self.server.get(path)) for path in self._at_first}
            found["vms"] = self._vms.as_they_are()
        found["leases"] = [one["metadata"]["name"] for one in self.server.items(LEASES)]
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
        for one in self._played:
            one.settle()

    def _install(self) -> None:
        install_operator(self.lab, "kubectl create", self.manifests[FROM])
        kinds = [MIGRATIONS_CRD, *(crd(kind, plural) for kind, plural in KINDS.items())]
        self.lab.kubectl("create", "-f", "-", stdin="---".join(kinds))
        for plural in ("kubevirts", "virtualmachineinstancemigrations", *KINDS.values()):
            self.lab.wait_for("Established", f"crd/{plural}.kubevirt.io")
        self.lab.apply(*map(node, NODES), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OF_VMS}})
        # No controller makes it, and no pod is taken in without it.
        for namespace in (NAMESPACE, OF_VMS):
            self.lab.kubectl("create", "serviceaccount", "default", "-n", namespace)
        kubevirt = yaml.safe_load(lab("cr"))
        kubevirt["spec"]["workloadUpdateStrategy"] = LIVE_MIGRATE
        self.lab.kubectl("create", "-f", "-", stdin=yaml.safe_dump(kubevirt))

    def _paths(self) -> list[str]:
        manifests = [one for path in self.manifests.values() for one in yaml.safe_load_all(path.read_text()) if one]
        return [*dict.fromkeys(path_of(one) for one in manifests), KUBEVIRT]

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


def _short(value: t.Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) < 1500 else f"{text[:1500]}…"


def _with_spec(kubevirt: Json | None, spec: Json) -> Json:
    assert kubevirt
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
