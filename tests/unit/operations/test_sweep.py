# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is left is found, removed in order and by uid only, and what cannot be removed is said with its reason."""

from __future__ import annotations

import json
import typing as t
from urllib.parse import parse_qsl, urlsplit

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.api import Api
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.served import Resource, served_resources
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.sweep import (
    NEW_INSTALLATION,
    NotSearched,
    Proof,
    Sweep,
    foreign_objects,
    leftovers_of,
    sweep_findings,
)

from tests.support.quick_clock import QuickClock
from tests.unit.operations.conftest import Answer

Object = dict[str, t.Any]

ALL = ["list", "get", "delete"]
WITHOUT_VERBS = "expand-vm-spec"
"""virt-api tells of it with ``"verbs": null``."""
KINDS = {
    "v1": {
        **{"pods": ("Pod", True), "services": ("Service", True), "secrets": ("Secret", True)},
        **{"configmaps": ("ConfigMap", True), "serviceaccounts": ("ServiceAccount", True), "events": ("Event", True)},
        **{"persistentvolumeclaims": ("PersistentVolumeClaim", True)},
        **{"namespaces": ("Namespace", False), "nodes": ("Node", False), "pods/log": ("Pod", True)},
    },
    "apps/v1": {"deployments": ("Deployment", True), "replicasets": ("ReplicaSet", True)},
    "coordination.k8s.io/v1": {"leases": ("Lease", True)},
    "discovery.k8s.io/v1": {"endpointslices": ("EndpointSlice", True)},
    "rbac.authorization.k8s.io/v1": {"clusterroles": ("ClusterRole", False)},
    "admissionregistration.k8s.io/v1": {
        "validatingwebhookconfigurations": ("ValidatingWebhookConfiguration", False),
    },
    "apiregistration.k8s.io/v1": {"apiservices": ("APIService", False)},
    "apiextensions.k8s.io/v1": {"customresourcedefinitions": ("CustomResourceDefinition", False)},
    "pool.kubevirt.io/v1": {"virtualmachinepools": ("VirtualMachinePool", True)},
    "kubevirt.io/v1": {"virtualmachines": ("VirtualMachine", True), "kubevirts": ("KubeVirt", True)},
}
MANAGED = {"app.kubernetes.io/managed-by": "virt-operator"}


class World:
    """An API server with the kinds of ``KINDS``, in place of urllib3's pool."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.refuses: dict[tuple[str, str], tuple[int, str]] = {}
        """By method and the end of a path."""
        self.holds: set[str] = set()
        """Names of objects that do not go when they are deleted."""
        self.deleted: list[str] = []
        self.asked: list[str] = []
        self.before_patch: t.Callable[[], None] = lambda: None
        self.clock = QuickClock()
        self._versions = 0

    def api(self, *, check_mode: bool = False) -> Api:
        return Api(self, "https://api.example:6443", list, check_mode=check_mode, clock=self.clock)

    def put(self, kind: str, name: str, labels: t.Mapping[str, str] | None = None, **metadata: t.Any) -> Object:
        """An object in its collection; its name may have a namespace in front."""
        where, _slash, name = name.rpartition("/")
        prefix, plural = next(
            (version, plural) for version, kinds in KINDS.items() for plural in kinds if kinds[plural][0] == kind
        )
        self._versions += 1
        one: Object = {
            "kind": kind,
            "metadata": {
                "name": name,
                "uid": f"uid-{self._versions}",
                "resourceVersion": str(self._versions),
                "labels": dict(labels or {}),
                **({"namespace": where} if where else {}),
                **metadata,
            },
        }
        root = "/api" if prefix == "v1" else "/apis"
        self.objects[f"{root}/{prefix}{f'/namespaces/{where}' if where else ''}/{plural}/{name}"] = one
        return one

    def request(self, method: str, url: str, *, body: bytes | None = None, **_options: t.Any) -> Answer:
        parts = urlsplit(url)
        path = parts.path
        self.asked.append(f"{method} {path}")
        for (refused, end), (status, message) in self.refuses.items():
            if method == refused and path.endswith(end):
                return Answer(status, {"reason": "Refused", "message": message})
        if method == "DELETE":
            return self._delete(path, json.loads(body or b""))
        if method == "PATCH":
            return self._patch(path, json.loads(body or b""))
        fixed = discovery(path)
        if fixed is not None:
            return Answer(200, fixed)
        if path in self.objects:
            return Answer(200, self.objects[path])
        if path.rpartition("/")[2] not in {plural for kinds in KINDS.values() for plural in kinds}:
            return Answer(404, {"reason": "NotFound", "message": path})
        return Answer(200, self._page(path, dict(parse_qsl(parts.query))))

    def _page(self, path: str, query: dict[str, str]) -> Object:
        version, _slash, plural = path.rpartition("/")
        version, _namespaces, where = version.partition("/namespaces/")
        items = [
            one
            for at, one in self.objects.items()
            if at.startswith(f"{version}/") and at.split("/")[-2] == plural
            if where in ("", one["metadata"].get("namespace"))
        ]
        start = int(query.get("continue", 0))
        after = start + (2 if "limit" in query else len(items))
        following = {"continue": str(after)} if after < len(items) else {}
        return {"metadata": {"resourceVersion": "1", **following}, "items": items[start:after]}

    def _delete(self, path: str, body: Object) -> Answer:
        live = self.objects.get(path)
        if live is None:
            return Answer(404, {"reason": "NotFound", "message": path})
        if live["metadata"]["uid"] != body["preconditions"]["uid"]:
            return Answer(409, {"reason": "Conflict", "message": "uid"})
        self.deleted.append(live["metadata"]["name"])
        if live["metadata"]["name"] not in self.holds:
            del self.objects[path]
        return Answer(200, {"kind": "Status", "status": "Success"})

    def _patch(self, path: str, operations: list[Object]) -> Answer:
        self.before_patch()
        live = self.objects[path]
        test, *removals = operations
        assert test["op"] == "test" and test["path"] == "/metadata/resourceVersion"
        if live["metadata"]["resourceVersion"] != test["value"]:
            return Answer(422, {"reason": "Invalid", "message": "the server rejected our request due to an error"})
        for one in removals:
            _empty, _metadata, where, key = one["path"].split("/")
            place = live["metadata"][where]
            del place[int(key) if isinstance(place, list) else key.replace("~1", "/").replace("~0", "~")]
        self.touch(path)
        return Answer(200, live)

    def touch(self, path: str) -> None:
        """Somebody writes it."""
        self._versions += 1
        self.objects[path]["metadata"]["resourceVersion"] = str(self._versions)


def discovery(path: str) -> Object | None:
    groups = [version.split("/") for version in KINDS if "/" in version]
    match path:
        case "/version":
            return {"gitVersion": "v1.30.0"}
        case "/api":
            return {"versions": ["v1"]}
        case "/apis":
            return {
                "groups": [
                    {"name": name, "preferredVersion": {"version": version}, "versions": [{"version": version}]}
                    for name, version in groups
                ]
            }
    _slash, _root, version = path.partition("/apis/" if path.startswith("/apis/") else "/api/")
    if version not in KINDS:
        return None
    return {
        "resources": [
            {"name": plural, "kind": kind, "namespaced": namespaced, "verbs": None if plural == WITHOUT_VERBS else ALL}
            for plural, (kind, namespaced) in KINDS[version].items()
        ]
    }


@pytest.fixture
def world() -> World:
    return World()


def swept(world: World, **options: t.Any) -> Proof:
    sweep = Sweep(world.api(), world.clock, "kubevirt", lambda line: None, **options)
    return sweep.run(leftovers_of(world.api(), "kubevirt"))


def reasons(proof: Proof) -> dict[str, str]:
    return {one.object: one.reason for one in proof.left}


def crd(world: World, name: str) -> Object:
    one = world.put("CustomResourceDefinition", name)
    plural, _dot, group = name.partition(".")
    one["spec"] = {"group": group, "names": {"plural": plural}, "versions": [{"name": "v1", "served": True}]}
    return one


def test_all_kinds_of_the_preferred_versions_without_subresources(world: World) -> None:
    resources, unreadable = served_resources(world.api())
    assert not unreadable
    assert {one.full_name for one in resources} >= {"pods", "deployments.apps", "kubevirts.kubevirt.io"}
    assert not [one for one in resources if "/" in one.name]
    assert [one.name for one in served_resources(world.api(), ["apps"])[0]] == ["deployments", "replicasets"]


def test_virt_api_gives_no_verbs_to_one_of_its_kinds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "subresources.kubevirt.io/v1", {WITHOUT_VERBS: ("", True)})
    [one], unreadable = served_resources(world.api(), ["subresources.kubevirt.io"])
    assert (one.name, one.verbs, unreadable) == (WITHOUT_VERBS, frozenset(), [])


def test_a_group_that_does_not_answer_is_asked_twice_and_said(world: World) -> None:
    world.refuses[("GET", "/apis/coordination.k8s.io/v1")] = (503, "service unavailable")
    resources, [line] = served_resources(world.api())
    assert line.startswith("group coordination.k8s.io: ") and "503" in line
    assert "leases" not in {one.name for one in resources}
    assert len([one for one in world.asked if one.endswith("coordination.k8s.io/v1")]) == 2


@pytest.mark.parametrize(
    ("group", "namespace", "name", "path"),
    [
        ("", "", "", "/api/v1/pods"),
        ("apps", "kubevirt", "", "/apis/apps/v1/namespaces/kubevirt/pods"),
        ("apps", "kubevirt", "one", "/apis/apps/v1/namespaces/kubevirt/pods/one"),
    ],
)
def test_paths(group: str, namespace: str, name: str, path: str) -> None:
    assert Resource(group, "v1", "pods", "Pod", True, frozenset()).path(namespace, name) == path


def test_everything_goes_in_its_order_and_nothing_else(world: World) -> None:
    crd(world, "kubevirts.kubevirt.io")
    crd(world, "virtualmachines.kubevirt.io")
    crd(world, "datavolumes.cdi.kubevirt.io")
    world.put("ClusterRole", "kubevirt-controller", MANAGED)
    world.put("Secret", "kubevirt/kubevirt-ca", MANAGED)
    world.put("Secret", "kubevirt/pull-secret")
    world.put("Deployment", "kubevirt/virt-api", MANAGED)
    world.put("Deployment", "kubevirt/virt-operator", {"kubevirt.io": "virt-operator"})
    world.put("ValidatingWebhookConfiguration", "virt-api-validator")
    world.put("Service", "default/web")
    proof = swept(world)
    assert world.deleted == [
        *("virt-api-validator", "virt-api", "kubevirt-ca", "kubevirt-controller", "virtualmachines.kubevirt.io"),
        *("virt-operator", "kubevirts.kubevirt.io"),
    ]
    assert (proof.left, proof.unreadable) == ([], [])
    assert len(proof.removed) == 7
    assert proof.kinds == sum(len(kinds) for kinds in KINDS.values()) - len(
        ("events", "namespaces", "nodes", "pods/log")
    )
    assert proof.as_dict()["searched"]["requests"] == proof.requests > proof.kinds


def test_check_mode_only_looks(world: World) -> None:
    world.put("Secret", "kubevirt/kubevirt-ca", MANAGED)
    [found] = leftovers_of(world.api(check_mode=True), "kubevirt").removable
    assert (found.object, found.action) == ("Secret kubevirt/kubevirt-ca", "delete-leftover")
    assert {one.partition(" ")[0] for one in world.asked} == {"GET"}


def test_one_line_for_each_kind(world: World) -> None:
    for number in range(5):
        world.put("Secret", f"kubevirt/kubevirt-{number}-certs", MANAGED)
    world.put("Deployment", "kubevirt/virt-api", MANAGED)
    node(world)
    lines: list[str] = []
    Sweep(world.api(), world.clock, "kubevirt", lines.append).run(leftovers_of(world.api(), "kubevirt"))
    secrets = ", ".join(f"kubevirt/kubevirt-{number}-certs" for number in range(3))
    assert lines == [
        "deletes Deployment kubevirt/virt-api",
        f"deletes Secret {secrets} and 2 more",
        "cleans Node worker",
    ]


def test_what_was_made_anew_ends_all_deletions(world: World) -> None:
    world.put("ClusterRole", "kubevirt-controller", MANAGED)

    def reinstalled() -> None:
        world.clock.on_pause = lambda: None
        world.put("ClusterRole", "kubevirt-controller", MANAGED)
        world.put("Deployment", "kubevirt/virt-operator", {"kubevirt.io": "virt-operator"})

    world.clock.on_pause = reinstalled
    proof = swept(world)
    assert world.deleted == ["kubevirt-controller"]
    assert reasons(proof)["ClusterRole kubevirt-controller"] == NEW_INSTALLATION
    assert "Deployment kubevirt/virt-operator" in reasons(proof)


def test_a_lease_that_an_ending_pod_writes_again_is_no_installation(world: World) -> None:
    world.put("Lease", "kubevirt/virt-controller")

    def renewed() -> None:
        world.clock.on_pause = lambda: None
        world.put("Lease", "kubevirt/virt-controller")

    world.clock.on_pause = renewed
    assert swept(world).left == []
    assert world.deleted == ["virt-controller", "virt-controller"]


def test_another_object_of_the_name_is_not_deleted(world: World) -> None:
    world.put("ClusterRole", "kubevirt-controller", MANAGED)
    found = leftovers_of(world.api(), "kubevirt")
    world.put("ClusterRole", "kubevirt-controller", MANAGED)
    proof = Sweep(world.api(), world.clock, "kubevirt", lambda line: None).run(found)
    assert (world.deleted, proof.removed) == ([], [])
    assert reasons(proof) == {"ClusterRole kubevirt-controller": NEW_INSTALLATION}


def test_an_operator_that_was_not_there_at_first_is_not_touched(world: World) -> None:
    node(world)

    def installed() -> None:
        world.clock.on_pause = lambda: None
        world.put("Deployment", "kubevirt/virt-operator", {"kubevirt.io": "virt-operator"})

    world.clock.on_pause = installed
    assert reasons(swept(world)) == {"Deployment kubevirt/virt-operator": NEW_INSTALLATION}
    assert world.deleted == []


def test_nothing_is_taken_from_a_kubevirt_that_is_still_there(world: World) -> None:
    crd(world, "kubevirts.kubevirt.io")
    world.put("KubeVirt", "kubevirt/kubevirt")
    world.put("Deployment", "kubevirt/virt-operator", {"kubevirt.io": "virt-operator"})
    node(world)
    proof = swept(world)
    assert not [asked for asked in world.asked if not asked.startswith("GET")]
    for one in ("Deployment kubevirt/virt-operator", "Node worker", "CustomResourceDefinition kubevirts.kubevirt.io"):
        assert reasons(proof)[one] == "KubeVirt kubevirt/kubevirt is still there, and needs it"


@pytest.mark.parametrize(
    ("with_user_objects", "kind", "name", "goes"),
    [
        (False, "VirtualMachine", "virtualmachines.kubevirt.io", False),
        (True, "VirtualMachine", "virtualmachines.kubevirt.io", False),
        (False, "VirtualMachinePool", "virtualmachinepools.pool.kubevirt.io", False),
        (True, "VirtualMachinePool", "virtualmachinepools.pool.kubevirt.io", True),
    ],
)
def test_a_crd_with_objects(world: World, with_user_objects: bool, kind: str, name: str, goes: bool) -> None:
    crd(world, name)
    world.put(kind, "default/one")
    proof = swept(world, with_user_objects=with_user_objects)
    assert (name in world.deleted) == goes
    assert "KubeVirt's API group" in reasons(proof)[f"{kind} default/one"]
    if not goes:
        assert "still 1 objects of it" in reasons(proof)[f"CustomResourceDefinition {name}"]


def test_what_may_not_be_deleted_and_what_is_held_are_said(world: World) -> None:
    world.put("ClusterRole", "kubevirt-controller", MANAGED)
    world.put("Secret", "kubevirt/kubevirt-ca", MANAGED, finalizers=["example.com/mine"])
    world.put("PersistentVolumeClaim", "kubevirt/disk", MANAGED)
    world.refuses[("DELETE", "/clusterroles/kubevirt-controller")] = (403, "may not")
    world.holds.add("kubevirt-ca")
    proof = swept(world)
    assert "403" in reasons(proof)["ClusterRole kubevirt-controller"]
    assert proof.removed == []
    assert "example.com/mine" in reasons(proof)["Secret kubevirt/kubevirt-ca"]
    assert "may hold data" in reasons(proof)["PersistentVolumeClaim kubevirt/disk"]
    assert {one.id for one in sweep_findings(proof, "kubevirt")} == {"remove.left"}


def test_what_goes_with_its_owner_is_waited_for(world: World) -> None:
    owner = {"kind": "Deployment", "name": "virt-api", "uid": "u"}
    world.put("Deployment", "kubevirt/virt-api", MANAGED)
    world.put("Pod", "kubevirt/virt-api-x7k2p", {"kubevirt.io": "virt-api"}, ownerReferences=[owner])

    def collected() -> None:
        if world.clock.seconds > 10:
            world.objects.pop("/api/v1/namespaces/kubevirt/pods/virt-api-x7k2p", None)

    world.clock.on_pause = collected
    assert swept(world).left == []
    assert world.deleted == ["virt-api"]


def test_a_kind_that_cannot_be_listed_is_said_and_the_rest_is_done(world: World) -> None:
    world.put("Secret", "kubevirt/kubevirt-ca", MANAGED)
    world.refuses[("GET", "/configmaps")] = (403, "may not")
    proof = swept(world)
    assert world.deleted == ["kubevirt-ca"]
    [line] = proof.unreadable
    assert line.startswith("configmaps: ")
    assert [one.id for one in sweep_findings(proof, "kubevirt")] == ["remove.not-searched"]


@pytest.mark.parametrize("where", ["/configmaps", "/apis/coordination.k8s.io/v1"], ids=["kind", "group"])
def test_what_answers_with_something_else_than_json_is_said_too(world: World, where: str) -> None:
    """An API server of somebody else's that stands behind a proxy, say."""
    world.put("Secret", "kubevirt/kubevirt-ca", MANAGED)
    answered, page = world.request, Answer(200, None)
    page.data = b"<html>Log in</html>"

    def request(method: str, url: str, **options: t.Any) -> Answer:
        return page if urlsplit(url).path.endswith(where) else answered(method, url, **options)

    world.request = request  # type: ignore[method-assign]
    proof = swept(world)
    assert world.deleted == ["kubevirt-ca"]
    [line] = proof.unreadable
    assert "not JSON" in line


@pytest.mark.parametrize("path", ["/secrets", "/apis/coordination.k8s.io/v1"], ids=["kind", "group"])
def test_what_has_just_gone_is_no_trouble(world: World, path: str) -> None:
    world.put("ClusterRole", "kubevirt-controller", MANAGED)
    world.refuses[("GET", path)] = (404, "the server could not find the requested resource")
    proof = swept(world)
    assert (world.deleted, proof.unreadable, proof.left) == (["kubevirt-controller"], [], [])


def test_nodes_that_cannot_be_listed_are_said(world: World) -> None:
    world.refuses[("GET", "/nodes")] = (403, "may not")
    [line] = swept(world).unreadable
    assert line.startswith("nodes: ") and "403" in line


def test_a_crd_whose_objects_nobody_can_count_stays(world: World) -> None:
    crd(world, "virtualmachinepools.pool.kubevirt.io")
    world.refuses[("GET", "/virtualmachinepools")] = (403, "may not")
    proof = swept(world, with_user_objects=False)
    reason = reasons(proof)["CustomResourceDefinition virtualmachinepools.pool.kubevirt.io"]
    assert reason.startswith("nobody knows whether there are objects of it: ") and "403" in reason
    assert world.deleted == []


NODE = "/api/v1/nodes/worker"


def node(world: World) -> Object:
    labels = {"kubevirt.io/schedulable": "true", "cpumanager": "true", "a": "b"}
    one = world.put("Node", "worker", labels, annotations={"kubevirt.io/heartbeat": "now"})
    one["status"] = {"capacity": {"devices.kubevirt.io/kvm": "0"}}
    return one


def test_a_node_is_cleaned_although_its_kubelet_writes(world: World) -> None:
    one = node(world)
    writes = [NODE, NODE]

    def kubelet() -> None:
        if writes:
            world.touch(writes.pop())

    world.before_patch = kubelet
    proof = swept(world)
    assert one["metadata"]["labels"] == {"cpumanager": "true", "a": "b"}
    assert one["metadata"]["annotations"] == {}
    assert proof.removed == ["Node worker: KubeVirt's labels and annotations"]
    assert proof.left == []
    assert {one.object: one.reason for one in proof.kept} == {"Node worker": "a person set cpumanager"}
    [found] = sweep_findings(proof, "kubevirt")
    assert (found.id, found.evidence) == ("remove.devices-left", "devices.kubevirt.io/kvm")
    assert proof.as_dict()["left"][0]["object"] == "Node worker"


def test_a_node_that_is_written_all_the_time_is_left_and_said(world: World) -> None:
    one = node(world)
    world.before_patch = lambda: world.touch(NODE)
    proof = swept(world)
    assert "kubevirt.io/schedulable" in one["metadata"]["labels"]
    assert ([left.object for left in proof.left], proof.removed) == (["Node worker"], [])


@pytest.mark.parametrize("is_written_before", [True, False])
def test_a_node_that_has_just_gone_is_nothing_to_do(world: World, is_written_before: bool) -> None:
    node(world)
    found = leftovers_of(world.api(), "kubevirt")

    def gone() -> None:
        world.touch(NODE)
        world.refuses[("GET", NODE)] = (404, "gone")
        world.refuses[("GET", "/nodes")] = (404, "none")

    if is_written_before:
        world.before_patch = gone
    else:
        world.refuses[("PATCH", NODE)] = (404, "gone")
        del world.objects[NODE]
    proof = Sweep(world.api(), world.clock, "kubevirt", lambda line: None).run(found)
    assert (proof.left, proof.removed) == ([], [])


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_node_that_is_clean_at_the_second_look_counts_if_it_may_be_ours(world: World, is_ours: bool) -> None:
    """Ours: the server has carried out the write, and its answer was lost."""
    one = node(world)

    def cleaned() -> None:
        for part in ("labels", "annotations"):
            mine = {key: value for key, value in one["metadata"][part].items() if not key.startswith("kubevirt.io/")}
            one["metadata"][part] = mine
        world.touch(NODE)
        world.before_patch = lambda: None

    answered = world.request

    def loses_an_answer(method: str, url: str, **options: t.Any) -> Answer:
        if method == "PATCH" and is_ours and "kubevirt.io/schedulable" in one["metadata"]["labels"]:
            answered(method, url, **options)
            return Answer(504, {"reason": "Timeout", "message": "the request did not complete"})
        return answered(method, url, **options)

    world.request = loses_an_answer  # type: ignore[method-assign]
    world.before_patch = (lambda: None) if is_ours else cleaned
    proof = swept(world)
    assert proof.removed == (["Node worker: KubeVirt's labels and annotations"] if is_ours else [])
    assert proof.left == []


def test_labels_that_come_back_are_taken_again(world: World) -> None:
    one = node(world)

    def ending() -> None:
        if world.clock.seconds < 10:
            one["metadata"]["labels"]["kubevirt.io/schedulable"] = "false"
            world.touch(NODE)

    world.clock.on_pause = ending
    assert swept(world).left == []
    assert "kubevirt.io/schedulable" not in one["metadata"]["labels"]


def test_labels_that_always_come_back_are_said(world: World) -> None:
    one = node(world)
    world.clock.on_pause = lambda: one["metadata"]["labels"].update({"kubevirt.io/schedulable": "false"})
    assert "virt-handler still runs" in reasons(swept(world))["Node worker"]


def test_nodes_stay_as_they_are_by_choice(world: World) -> None:
    one = node(world)
    proof = swept(world, clean_nodes=False)
    assert "kubevirt.io/schedulable" in one["metadata"]["labels"]
    assert not [asked for asked in world.asked if asked.startswith("PATCH")]
    assert "clean_nodes is false" in [kept.reason for kept in proof.kept][-1]


def test_a_node_that_nobody_lets_us_write(world: World) -> None:
    node(world)
    world.refuses[("PATCH", NODE)] = (403, "may not")
    assert "403" in reasons(swept(world))["Node worker"]


def test_a_node_without_a_choice_of_people_is_not_told(world: World) -> None:
    world.put("Node", "worker", {"kubevirt.io/schedulable": "true"})
    [kept] = swept(world, clean_nodes=False).kept
    assert "clean_nodes is false" in kept.reason


def living(world: World) -> None:
    """A namespace with what is KubeVirt's and what Kubernetes makes."""
    world.put("Namespace", "kubevirt", {"kubevirt.io": ""})
    world.put("ConfigMap", "kubevirt/kube-root-ca.crt")
    world.put("ServiceAccount", "kubevirt/default")
    world.put("Secret", "kubevirt/default-token-x", annotations={"kubernetes.io/service-account.name": "default"})
    world.put("Event", "kubevirt/virt-api.17a")
    world.put("Lease", "kubevirt/kubevirt-lifecycle")
    world.put("Service", "kubevirt/virt-api", MANAGED)
    world.put("EndpointSlice", "kubevirt/virt-api-x7", {"kubernetes.io/service-name": "virt-api"})
    deployment = world.put("Deployment", "kubevirt/virt-api", MANAGED)["metadata"]["uid"]
    replica_set = world.put("ReplicaSet", "kubevirt/virt-api-6f", ownerReferences=[{"uid": deployment}])
    world.put("Pod", "kubevirt/virt-api-6f-1", ownerReferences=[{"uid": replica_set["metadata"]["uid"]}])


def test_what_else_lives_in_the_namespace(world: World) -> None:
    living(world)
    vm = world.put("VirtualMachine", "kubevirt/web")["metadata"]["uid"]
    assert foreign_objects(world.api(), "kubevirt") == []
    world.put("PersistentVolumeClaim", "kubevirt/disk", ownerReferences=[{"uid": vm}])
    world.put("PersistentVolumeClaim", "kubevirt/marked", MANAGED)
    world.put("Secret", "kubevirt/pull-secret")
    world.put("Deployment", "kubevirt/web")
    world.put("Secret", "default/other")
    assert foreign_objects(world.api(), "kubevirt") == [
        "Deployment kubevirt/web",
        "PersistentVolumeClaim kubevirt/disk",
        "PersistentVolumeClaim kubevirt/marked",
        "Secret kubevirt/pull-secret",
    ]
    world.refuses[("GET", "/apis/coordination.k8s.io/v1")] = (503, "service unavailable")
    with pytest.raises(NotSearched, match=r"coordination\.k8s\.io"):
        foreign_objects(world.api(), "kubevirt")


@pytest.mark.parametrize("wanted", [True, False])
def test_the_namespace_goes_last_and_only_if_wanted(world: World, wanted: bool) -> None:
    world.put("Namespace", "kubevirt", {"kubevirt.io": ""})
    world.put("Secret", "kubevirt/kubevirt-ca", MANAGED)
    proof = swept(world, remove_namespace=wanted)
    assert world.deleted == ["kubevirt-ca", *(["kubevirt"] if wanted else [])]
    assert [one.reason for one in proof.kept] == ([] if wanted else ["remove_namespace is false"])
    assert ("Namespace kubevirt" in proof.removed) == wanted


def test_the_namespace_is_kept_for_others(world: World) -> None:
    living(world)
    world.objects.pop("/apis/apps/v1/namespaces/kubevirt/replicasets/virt-api-6f")
    world.objects.pop("/api/v1/namespaces/kubevirt/pods/virt-api-6f-1")
    world.put("Secret", "kubevirt/pull-secret")
    proof = swept(world, remove_namespace=True)
    assert "kubevirt" not in world.deleted
    [found] = sweep_findings(proof, "kubevirt")
    assert (found.id, found.evidence) == ("remove.foreign-objects", "Secret kubevirt/pull-secret")


def test_a_namespace_that_does_not_go_is_said(world: World) -> None:
    world.put("Namespace", "kubevirt", {"kubevirt.io": ""})
    world.holds.add("kubevirt")
    assert "not gone after" in reasons(swept(world, remove_namespace=True))["Namespace kubevirt"]


@pytest.mark.parametrize(
    ("method", "end", "reason"),
    [
        ("DELETE", "/namespaces/kubevirt", "403"),
        ("GET", "/namespaces/kubevirt/secrets", "nobody knows what else is in it"),
        ("DELETE", "/secrets/kubevirt-ca", "something of KubeVirt is left"),
    ],
)
def test_a_namespace_that_must_not_go_is_said_with_the_reason(world: World, method: str, end: str, reason: str) -> None:
    world.put("Namespace", "kubevirt", {"kubevirt.io": ""})
    world.put("Secret", "kubevirt/kubevirt-ca", MANAGED)
    world.refuses[(method, end)] = (403, "may not")
    proof = swept(world, remove_namespace=True)
    assert "kubevirt" not in world.deleted and "Namespace kubevirt" not in proof.removed
    assert reason in reasons(proof)["Namespace kubevirt"]
