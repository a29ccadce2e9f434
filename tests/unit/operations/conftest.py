# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster in dictionaries: KubeVirt v1.7.0 from its manifest, healthy. Each test changes what it is about."""

from __future__ import annotations

import copy
import functools
import json
import threading
import typing as t
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.api import Api
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import field_ownership, manifest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import Finding
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.objects import path_of as api_path_of
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.releases import KNOWN
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.versions import Version
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.workload_updates import HELD_ANNOTATION
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import upgrade_plan
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.observe import Cluster, Facts, Workloads
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.route import legs_of, path_of
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.upgrade_method import Method
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.upgrade_plan import Plan
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.upgrade_wish import Wish

Object = dict[str, t.Any]

FIXTURES = Path(__file__).parents[1] / "fixtures"
RELEASE = (FIXTURES / "kubevirt-operator-v1.7.0-trimmed.yaml").read_text()
DEPLOYMENT = "/apis/apps/v1/namespaces/kubevirt/deployments/virt-operator"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/kubevirts.kubevirt.io"


class Answer:
    """An HTTP answer as urllib3 gives it; as a stream it has nothing to say until it is shut down."""

    headers: t.Mapping[str, str] = {}

    def __init__(self, status: int, body: t.Any) -> None:
        self.status = status
        self.data = json.dumps(body).encode()
        self._closed = threading.Event()

    def stream(self, *_args: t.Any, **_options: t.Any) -> Iterator[bytes]:
        self._closed.wait(10)
        yield from ()

    def shutdown(self) -> None:
        self._closed.set()


class Leases:
    """The Leases of a server: created, replaced and deleted as the real one does it, with its preconditions."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.asked: list[str] = []
        self.before: t.Callable[[str], None] = lambda method: None
        """Called with each request's method; raises what breaks the request before it arrives."""
        self.after: t.Callable[[str], None] = lambda method: None
        """The same after it was carried out: the answer is lost."""
        self.refuses: dict[str, int] = {}
        self._versions = 0

    def request(self, method: str, path: str, body: Object) -> Answer:
        self.asked.append(method)
        self.before(method)
        answer = self._answer(method, path, body)
        self.after(method)
        return answer

    def put(self, path: str, lease: Object, **metadata: t.Any) -> None:
        """What somebody else writes."""
        self._versions += 1
        stored = copy.deepcopy(lease)
        stored["metadata"] = {**lease["metadata"], **metadata, "resourceVersion": str(self._versions)}
        self.objects[path] = stored

    def _answer(self, method: str, path: str, body: Object) -> Answer:
        if method in self.refuses:
            return self._status(self.refuses[method], "user jo cannot do that to leases")
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                return self._status(409, "leases already exists")
            self.put(path, body, uid=f"uid-{self._versions}")
            return Answer(201, self.objects[path])
        live = self.objects.get(path)
        if method == "GET":
            return Answer(200, live) if live else self._status(404, "not found")
        wanted = body["preconditions"] if method == "DELETE" else body["metadata"]
        if live is None:  # the uid is a precondition
            return self._status(404 if method == "DELETE" else 409, "not found")
        for part in ("uid", "resourceVersion"):
            if wanted[part] != live["metadata"][part]:
                return self._status(409, f"{part} is {live['metadata'][part]}")
        if method == "DELETE":
            del self.objects[path]
            return Answer(200, {"kind": "Status", "status": "Success"})
        self.put(path, body)
        return Answer(200, self.objects[path])

    @staticmethod
    def _status(status: int, message: str) -> Answer:
        return Answer(status, {"reason": "Status", "message": message})


class Server:
    """The little of an API server that an operation needs, in place of urllib3's pool: objects by their path.

    An applied object is stored as it is; what server-side apply really makes of it is tested on a real API server.
    """

    def __init__(self, objects: dict[str, Object]) -> None:
        self.objects = objects
        self.written: list[str] = []
        self.rehearsed: list[str] = []
        self.refuses: dict[str, tuple[int, str]] = {}
        self.after_write: t.Callable[[str], None] = lambda path: None
        self.leases = Leases()
        self.lock = threading.Lock()

    def api(self, *, check_mode: bool = False, clock: Clock | None = None) -> Api:
        return Api(self, "https://api.example:6443", list, check_mode=check_mode, clock=clock or Clock())

    def request(self, method: str, url: str, *, body: bytes | None = None, **_options: t.Any) -> Answer:
        parts = urlsplit(url)
        path, query = parts.path, dict(parse_qsl(parts.query))
        with self.lock:
            if "/leases" in path:
                return self.leases.request(method, path, json.loads(body or b"{}"))
            if method == "PATCH":
                return self._patched(path, json.loads(body or b""), "dryRun" in query)
            if path in self.refuses and "GET" in self.refuses[path][1]:
                return self._refused(path)
            found = self.objects.get(path) or FIXED.get(path)
            if found:
                return Answer(200, found)
            if path.rpartition("/")[2] not in COLLECTIONS:
                return Answer(404, {"reason": "NotFound", "message": f"{path} not found"})
            return Answer(200, {"items": list(self._in(path)), "metadata": {"resourceVersion": "1"}})

    def _in(self, collection: str) -> Iterator[Object]:
        """The objects of a collection, that of one namespace or that of all."""
        head, _slash, plural = collection.rpartition("/")
        for path, o in self.objects.items():
            if path.startswith(head) and path.split("/")[-2] == plural:
                yield o

    def _refused(self, path: str) -> Answer:
        status, message = self.refuses[path]
        return Answer(status, {"reason": "Refused", "message": message})

    def _patched(self, path: str, body: t.Any, rehearsal: bool) -> Answer:
        if path in self.refuses and not (rehearsal and "real" in self.refuses[path][1]):
            return self._refused(path)
        if rehearsal:
            self.rehearsed.append(path)
            return Answer(200, self.objects.get(path, {}))
        self.written.append(path)
        if isinstance(body, list):
            for operation in body:
                *parents, last = (part.replace("~1", "/") for part in operation["path"].split("/")[1:])
                place = functools.reduce(lambda o, part: o[part], parents, self.objects[path])
                if operation["op"] == "remove":
                    del place[last]
                elif operation["op"] != "test":
                    place[last] = operation["value"]
        else:
            status = self.objects.get(path, {}).get("status")
            self.objects[path] = World.stored(body) | ({"status": status} if status else {})
        self.after_write(path)
        return Answer(200, self.objects[path])


KUBEVIRTS = "/apis/kubevirt.io/v1/namespaces"
COLLECTIONS = frozenset(
    ("kubevirts", "virtualmachines", "virtualmachineinstances", "virtualmachineinstancemigrations", "deployments", "daemonsets", "pods",
     "nodes", "customresourcedefinitions", "configmaps", "clusterrolebindings", "rolebindings",
     "validatingwebhookconfigurations", "mutatingwebhookconfigurations", "apiservices", "secrets", "jobs", "events", "endpointslices")
)  # fmt: skip
FIXED: dict[str, Object] = {
    "/api/v1/namespaces/kube-system": {"metadata": {"uid": "0000-1111"}},
    "/apis": {"groups": [{"name": "kubevirt.io", "versions": [{"version": "v1"}, {"version": "v1alpha3"}]}]},
    "/version": {"gitVersion": "v1.34.4"},
}


class World:
    """One cluster, what is asked for, and what is decided."""

    def __init__(self) -> None:
        self.version = "v1.8.4"
        self.kubernetes = ""
        self.manifest = self.release("v1.8.4")
        self.kubevirt = self.status("1.8-healthy", {"v1.8.4": "v1.7.0"})
        self.live: dict[str, Object | None] = {api_path_of(o): self.stored(o) for o in self.release("v1.7.0").objects}
        self.workloads = Workloads(vms=9, vmis=8)
        self.migrations: list[str] = []
        self.others: tuple[Object, ...] = ()
        self.hyperconvergeds: tuple[Object, ...] = ()
        self.more: dict[str, Object] = {}
        self.options: Object = {}
        self.operator_is_there = True
        self.rolled_out()

    @staticmethod
    def status(name: str, versions: t.Mapping[str, str] | None = None) -> Object:
        """A KubeVirt object with one of the recorded statuses, if wanted as that of other versions."""
        text = (FIXTURES / "kubevirt_status" / f"{name}.yaml").read_text()
        for of_the_record, wanted in (versions or {}).items():
            text = text.replace(of_the_record, wanted)
        kubevirt: Object = yaml.safe_load(text)["kubevirt"]
        return kubevirt

    @staticmethod
    @functools.cache
    def release(version: str, registry: str = "quay.io/kubevirt") -> manifest.Manifest:
        """The manifest of a version. It differs from that of another one in the operator's Deployment only."""
        return manifest.parse(RELEASE.replace("v1.7.0", version).replace("quay.io/kubevirt", registry))

    @staticmethod
    def stored(o: t.Mapping[str, t.Any]) -> Object:
        """The object as the server keeps it after we applied it."""
        entry = {"manager": field_ownership.FIELD_MANAGER, "operation": "Apply", "apiVersion": o["apiVersion"]}
        result = copy.deepcopy(dict(o))
        result["metadata"] |= {"managedFields": [{**entry, "fieldsV1": {}}], "resourceVersion": "1", "generation": 1}
        return result

    def manifests(self, folder: Path, *versions: str) -> str:
        """A folder with the manifests of these versions, and of the wanted one."""
        for version in (*versions, self.version):
            (folder / version).mkdir(exist_ok=True)
            (folder / version / "kubevirt-operator.yaml").write_text(self.text(version))
        return str(folder)

    @staticmethod
    def text(version: str) -> str:
        """The manifest of a version as a file has it."""
        return RELEASE.replace("v1.7.0", version)

    @property
    def operator(self) -> Object:
        """The live Deployment virt-operator."""
        operator = self.live[DEPLOYMENT]
        assert operator is not None
        return operator

    def apply_operator(self, version: str, registry: str = "quay.io/kubevirt") -> None:
        """The operator's Deployment of another manifest, and none of its pods yet."""
        self.live[DEPLOYMENT] = self.stored(self.release(version, registry).operator)
        self.operator["status"] = {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 2}

    def rolled_out(self) -> None:
        """All pods of the operator are of its Deployment's latest template."""
        self.operator["status"] = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}

    def set_methods(self, *methods: str, held: str | None = None) -> None:
        """The workload update methods, and the annotation that a run left."""
        self.kubevirt["spec"]["workloadUpdateStrategy"] = {"workloadUpdateMethods": list(methods)}
        if held is not None:
            self.kubevirt["metadata"].setdefault("annotations", {})[HELD_ANNOTATION] = held

    def add_vm(
        self,
        name: str,
        *,
        tag: str = "v1.6.0",
        outdated: bool = True,
        not_migratable: str = "",
        run_strategy: str | None = "Always",
        pending: str = "",
        failure: str = "",
        **spec: t.Any,
    ) -> None:
        """A running VM of an older launcher. It has a VirtualMachine, if ``run_strategy`` is not None."""
        path, metadata = f"{KUBEVIRTS}/shop/virtualmachines/{name}", {"namespace": "shop", "name": name}
        owners = []
        if run_strategy is not None:
            self.more[path] = {"metadata": metadata, "spec": {"runStrategy": run_strategy}}
            owners = [{"kind": "VirtualMachine", "name": name, "controller": True}]
        migratable = {
            "type": "LiveMigratable",
            "status": "False" if not_migratable else "True",
            "reason": not_migratable,
        }
        changes = [{"type": pending, "status": "True"}] if pending else []
        labels = {"kubevirt.io/outdatedLauncherImage": ""} if outdated else {}
        self.more[path.replace("virtualmachines", "virtualmachineinstances")] = {
            "metadata": {**metadata, "labels": labels, "ownerReferences": owners},
            "spec": spec,
            "status": {
                "phase": "Running",
                "launcherContainerImageVersion": f"quay.io/kubevirt/virt-launcher:{tag}",
                "conditions": [migratable, *changes],
                "migrationState": {"failed": True, "failureReason": failure} if failure else None,
            },
        }

    def server(self) -> Server:
        """An API server that has all of it."""
        objects = {path: o for path, o in self.live.items() if o and (path != DEPLOYMENT or self.operator_is_there)}
        for kubevirt in (self.kubevirt, *self.others) if self.kubevirt else ():
            metadata = kubevirt["metadata"]
            objects[f"{KUBEVIRTS}/{metadata['namespace']}/kubevirts/{metadata['name']}"] = kubevirt
        for name in ("worker-1", "worker-2"):
            ready = {"conditions": [{"type": "Ready", "status": "True"}]}
            labels = {"node-role.kubernetes.io/control-plane": ""}
            objects[f"/api/v1/nodes/{name}"] = {"metadata": {"name": name, "labels": labels}, "status": ready}
        for i in range(self.workloads.vmis):
            labels = {"kubevirt.io/outdatedLauncherImage": ""} if i < self.workloads.outdated else {}
            metadata = {"namespace": "prod", "name": str(i), "labels": labels}
            objects[f"{KUBEVIRTS}/prod/virtualmachineinstances/{i}"] = {"metadata": metadata}
        for i in range(self.workloads.vms):
            objects[f"{KUBEVIRTS}/prod/virtualmachines/{i}"] = {"metadata": {"namespace": "prod", "name": str(i)}}
        for migration in self.migrations:
            namespace, name = migration.split("/")
            metadata = {"namespace": namespace, "name": name}
            objects[f"{KUBEVIRTS}/{namespace}/virtualmachineinstancemigrations/{name}"] = {"metadata": metadata}
        return Server(copy.deepcopy(objects | self.more))

    def facts(self) -> Facts:
        """What is read of it."""
        kubevirts = (self.kubevirt, *self.others) if self.kubevirt else ()
        return Facts(
            cluster=Cluster("https://api.example:6443", "0000-1111"),
            api="/apis/kubevirt.io/v1",
            kubevirts=kubevirts,
            kubevirt=kubevirts[0] if len(kubevirts) == 1 else None,
            operator=self.operator if self.operator_is_there else None,
            crd=self.live[CRD],
            hyperconvergeds=self.hyperconvergeds,
            workloads=self.workloads,
            kubernetes=self.kubernetes,
        )

    def wish(self, **changes: t.Any) -> Wish:
        """What is asked for: options at their defaults."""
        defaults: Object = {
            **{
                "path": (),
                "releases": KNOWN,
                "risks": (),
                "gates": (),
                "method": "auto",
                "keep_pin": True,
                "strict_patches": False,
                "image_registry": None,
            },
            **{"restore_methods": True, "wait": True},
        }
        return Wish(version=Version.parse(self.version), **{**defaults, **changes})

    def findings(self, **wish: t.Any) -> list[Finding]:
        """What speaks against the upgrade."""
        facts = self.facts()
        leg = legs_of(facts, self.wish(**wish))[0]
        if leg.method is Method.IMAGE_TAG:
            return [*leg.findings, *upgrade_plan.findings_of_its_version(leg.wish, self.manifest)]
        return [*leg.findings, *upgrade_plan.findings_of_the_manifest(facts, leg.wish, self.manifest)]

    def path(self, **wish: t.Any) -> list[Object]:
        """The path as modules return it."""
        facts = self.facts()
        return path_of(facts, legs_of(facts, self.wish(**wish)))

    def plan(self, **wish: t.Any) -> Plan:
        """The steps; nothing that is handed in may change by it."""
        before = copy.deepcopy((self.kubevirt, self.live, self.manifest))
        facts = self.facts()
        leg = legs_of(facts, self.wish(**wish))[0]
        applies = upgrade_plan.applies_of(self.manifest, self.live) if leg.method is Method.OPERATOR else []
        plan = upgrade_plan.plan_of(facts, leg.wish, leg.method, applies, self.migrations)
        assert before == (self.kubevirt, self.live, self.manifest)
        return plan


@pytest.fixture
def server() -> Server:
    """A server that has nothing but its Leases."""
    return Server({})


@pytest.fixture
def world() -> World:
    return World()
