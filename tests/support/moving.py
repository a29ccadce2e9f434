# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster of VMs in dictionaries that answers like an API server, with what virt-controller and virt-handler do in between.

Nothing happens but when a picture waits for a change: then a second passes on its clock, and everybody does one thing.
"""

from __future__ import annotations

import copy
import json
import typing as t
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, urlsplit

from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.api import Api
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.watch import Picture

from tests.support.virt_controller import OUTDATED, Object, VirtController, is_migratable, launcher_pod, running_vmi

KUBEVIRT = "/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts/kubevirt"
MIGRATIONS = "/apis/kubevirt.io/v1/namespaces/prod/virtualmachineinstancemigrations"
VMIS = "/apis/kubevirt.io/v1/namespaces/prod/virtualmachineinstances"
VMS = "/apis/kubevirt.io/v1/namespaces/prod/virtualmachines"
PODS = "/api/v1/namespaces/prod/pods"
OLD, NEW = "quay.io/kubevirt/virt-launcher:v1.7.0", "quay.io/kubevirt/virt-launcher:v1.8.4"
BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


class Killed(BaseException):
    """The run ends here, as by a signal that nobody can handle."""


class Answer:
    """An HTTP answer as urllib3 gives it."""

    headers: t.Mapping[str, str] = {}

    def __init__(self, status: int, body: t.Any) -> None:
        self.status = status
        self.data = json.dumps(body).encode()


class Cluster(Clock):
    """The server, its clock and its VMs.

    Attributes:
        writes: Every request that writes, as its method and what it is about.
        most_at_once: The most migrations that ran at once.
        killed_after: The number of writes after which the run is killed.
    """

    def __init__(self, objects: t.Mapping[str, Object]) -> None:
        self.objects: dict[str, Object] = copy.deepcopy(dict(objects))
        self._controller = VirtController(self, NEW)
        self.writes: list[str] = []
        self.most_at_once = 0
        self.killed_after = 10**9
        self.each_second: Callable[[], None] = lambda: None
        self.seconds = 0.0
        self._version = 100
        self._serial = 0
        self._evicted_at = 0.0
        for one in self.objects.values():
            self._touch(one)

    # Time

    def now(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.seconds += seconds

    def utc(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds)

    # What the collection sees

    def api(self, *, check_mode: bool = False) -> Api:
        return Api(self, "https://api.example:6443", list, check_mode=check_mode, clock=self)

    def request(self, method: str, url: str, *, body: bytes | None = None, **_options: t.Any) -> Answer:
        parts = urlsplit(url)
        path, query = parts.path, dict(parse_qsl(parts.query))
        content = json.loads(body) if body else None
        if method == "GET":
            return self._got(path, query.get("labelSelector", ""))
        if "dryRun" in query:
            return Answer(200, self.objects[path])
        if len(self.writes) >= self.killed_after:
            raise Killed
        writes = {"PATCH": self._patched, "POST": self._posted, "PUT": self._put, "DELETE": self._deleted}
        return writes[method](path, content)

    def _got(self, path: str, selector: str) -> Answer:
        if path in self.objects:
            return Answer(200, self.objects[path])
        items = [one for one in self._in(path) if selector in ("", "kubevirt.io=virt-launcher") or _fits(one, selector)]
        if not items and path.rpartition("/")[2] not in COLLECTIONS:
            return Answer(404, {"reason": "NotFound", "message": f"{path} not found"})
        return Answer(200, {"items": items, "metadata": {"resourceVersion": str(self._version)}})

    def _in(self, collection: str) -> Iterator[Object]:
        head, _slash, plural = collection.rpartition("/")
        for path, one in self.objects.items():
            if path.startswith(head) and path.split("/")[-2] == plural:
                yield one

    def _patched(self, path: str, operations: t.Any) -> Answer:
        changed = copy.deepcopy(self.objects[path])
        for operation in operations:
            *parents, last = (part.replace("~1", "/") for part in operation["path"].split("/")[1:])
            place = changed
            for part in parents:
                place = place[part]
            if operation["op"] == "test" and place.get(last) != operation["value"]:
                return Answer(422, {"reason": "Invalid", "message": "the server rejected our request"})
            if operation["op"] == "remove":
                del place[last]
            elif operation["op"] != "test":
                place[last] = operation["value"]
        self.objects[path] = changed
        methods = (changed["spec"].get("workloadUpdateStrategy") or {}).get("workloadUpdateMethods") or []
        self.writes.append(f"methods {'+'.join(methods) or 'none'}")
        return Answer(200, self._touch(changed))

    def _posted(self, collection: str, body: Object) -> Answer:
        path = f"{collection}/{body['metadata']['name']}"
        if path in self.objects:
            return Answer(409, {"reason": "AlreadyExists", "message": "it is there"})
        if collection == MIGRATIONS:
            if body["spec"]["vmiName"] in {one["spec"]["vmiName"] for one in self.unfinished()}:
                message = 'admission webhook "x" denied the request: in-flight migration detected'
                return Answer(400, {"reason": "BadRequest", "message": message})
            self.writes.append(f"migrate {body['spec']['vmiName']}")
        return Answer(201, self._store(path, body))

    def _put(self, path: str, body: Object) -> Answer:
        return Answer(200, self._store(path, body))

    def _deleted(self, path: str, _body: t.Any) -> Answer:
        gone = self.objects.pop(path, None)
        if gone is None:
            return Answer(404, {"reason": "NotFound", "message": "gone"})
        if gone.get("kind") == "VirtualMachineInstanceMigration":
            self.writes.append(f"call off {gone['spec']['vmiName']}")
            self._controller.end_target(gone)
        return Answer(200, gone)

    def _store(self, path: str, body: Object) -> Object:
        self._serial += 1
        one = copy.deepcopy(body)
        one["metadata"].setdefault("uid", f"uid-{self._serial}")
        self.objects[path] = one
        return self._touch(one)

    def _touch(self, one: Object) -> Object:
        self._version += 1
        one["metadata"]["resourceVersion"] = str(self._version)
        return one

    # VMs

    def add_vm(self, name: str, node: str = "n1", *, image: str = OLD, agent: bool = True, **spec: t.Any) -> Object:
        """A VM with run strategy Always that can be migrated. ``spec`` may hold anything of the VMI; ``migratable``, ``labels``."""
        migratable, labels = spec.pop("migratable", True), spec.pop("labels", {})
        body = running_vmi("prod", name, node, image, outdated=image != NEW, migratable=migratable, agent=agent)
        body["metadata"]["labels"] |= labels
        body["spec"] |= spec
        vmi = self.add("virtualmachineinstances", body)
        self._store(
            f"{VMS}/{name}", {"metadata": {"namespace": "prod", "name": name}, "spec": {"runStrategy": "Always"}}
        )
        self.add_pod(f"{name}-1", vmi)
        return vmi

    def add_pod(self, name: str, vmi: Object) -> Object:
        """A launcher pod of a VMI."""
        return self.add("pods", launcher_pod(name, vmi, OLD, vmi["status"]["nodeName"]))

    def vmi(self, name: str) -> Object:
        return self.objects[f"{VMIS}/{name}"]

    @property
    def courses(self) -> t.Mapping[str, str]:
        """How the migration of a VM goes, as for ``VirtController``."""
        return self._controller.courses

    @courses.setter
    def courses(self, courses: t.Mapping[str, str]) -> None:
        self._controller.courses = courses

    @property
    def outdated(self) -> list[str]:
        """The VMs on old launchers."""
        return sorted(one["metadata"]["name"] for one in self._in(VMIS) if OUTDATED in one["metadata"]["labels"])

    @property
    def migrated(self) -> list[str]:
        """The VMs for which a migration was asked, in that order."""
        return [one.removeprefix("migrate ") for one in self.writes if one.startswith("migrate ")]

    @property
    def methods(self) -> list[str]:
        strategy = self.objects[KUBEVIRT]["spec"].get("workloadUpdateStrategy") or {}
        return list(strategy.get("workloadUpdateMethods") or [])

    @property
    def leases(self) -> list[str]:
        """The paths of all Leases."""
        return [path for path in self.objects if "/leases/" in path]

    def unfinished(self) -> list[Object]:
        return self._controller.unfinished()

    # What others do

    def second(self) -> None:
        """A second passes."""
        self.seconds += 1
        self.each_second()
        self.most_at_once = max(self.most_at_once, len(self.unfinished()))
        self._controller.step()
        self._evict()

    def objects_of(self, kind: str) -> list[Object]:
        return [*self._in(self._collection(kind))]

    def update_methods(self) -> list[str]:
        return self.methods

    def add(self, kind: str, one: Object) -> Object:
        metadata = one["metadata"]
        metadata.setdefault("name", f"{metadata.pop('generateName', '')}{self._serial}")
        return self._store(f"{self._collection(kind)}/{metadata['name']}", one)

    def save(self, kind: str, one: Object) -> None:
        self._touch(one)

    def remove(self, kind: str, one: Object) -> None:
        del self.objects[f"{self._collection(kind)}/{one['metadata']['name']}"]

    @staticmethod
    def _collection(kind: str) -> str:
        return PODS if kind == "pods" else f"{VMIS.rpartition('/')[0]}/{kind}"

    def _evict(self) -> None:
        """KubeVirt's own updater, as far as it evicts: all at once, once a minute."""
        if "Evict" not in self.methods or self.seconds - self._evicted_at < 60:
            return
        busy = {one["spec"]["vmiName"] for one in self.unfinished()}
        for vmi in [one for one in self._in(VMIS) if OUTDATED in one["metadata"]["labels"]]:
            name = vmi["metadata"]["name"]
            if name in busy or ("LiveMigrate" in self.methods and is_migratable(vmi)):
                continue
            self._evicted_at = self.seconds
            del self.objects[f"{VMIS}/{name}"]
            self.add_vm(name, "n9", image=NEW)


COLLECTIONS = frozenset(
    ("kubevirts", "virtualmachines", "virtualmachineinstances", "virtualmachineinstancemigrations", "deployments", "daemonsets", "pods",
     "nodes", "leases")
)  # fmt: skip


def _fits(one: Object, selector: str) -> bool:
    labels = one["metadata"].get("labels") or {}
    return all(
        labels.get(key) != value.lstrip("!") if key.endswith("!") else key in labels and value in ("", labels[key])
        for key, _equals, value in (part.partition("=") for part in selector.split(","))
    )


class Seconds(Picture):
    """A picture without threads: a second of the cluster passes at each wait, and then everything is listed."""

    cluster: Cluster

    def __enter__(self) -> Picture:
        self.look_again()
        return self

    def __exit__(self, *_exc: object) -> None:
        pass

    def changed(self, timeout: float) -> bool:
        self.cluster.second()
        self.look_again()
        return True
