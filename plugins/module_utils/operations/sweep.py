# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What is left of KubeVirt: it is searched for in every kind, removed, and searched for again.

Nothing is deleted but the very object that was seen (its uid is a precondition). What comes back under a name that we deleted is a new
installation's, and then the sweep leaves everything alone.
"""

from __future__ import annotations

import itertools
import typing as t
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from ..cluster.api import Api, Json
from ..cluster.clock import Clock
from ..cluster.errors import ApiError, ClusterError, Conflict, NotFound
from ..knowledge import leases
from ..knowledge.findings import Finding, finding
from ..knowledge.marks import GROUPS, HOLDS_DATA, NodeMarks, is_of_the_operator, mark_of, node_marks, why_it_stays
from ..knowledge.objects import object_name
from .deleting import delete_that_one
from .outcome import Report, listed
from .served import Resource, attempted, metadata_of, served_resources

SETTLE = 120.0
"""Seconds for what was deleted to be gone, and for the last virt-handler to stop writing to its node."""
POLL = 3.0
NODE_ATTEMPTS = 5
"""A kubelet writes to its node all the time."""

NODES = "/api/v1/nodes"
NAMESPACES = "/api/v1/namespaces"
LABELS_COME_BACK = "KubeVirt's labels come back: a virt-handler still runs there"
NEW_INSTALLATION = "KubeVirt was made anew meanwhile, so somebody installs it, and nothing more is deleted"

# First what stops others as long as it leads nowhere, then what runs, and last what the rest is made of.
_ORDER = (
    *("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "APIService"),
    *("ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy", "Deployment", "DaemonSet", "Job", "Pod"),
)
_LATE = ("ClusterRoleBinding", "RoleBinding", "ClusterRole", "Role", "ServiceAccount", "PriorityClass")
_LAST = "CustomResourceDefinition"

_NOT_SEARCHED = frozenset({"events", "events.events.k8s.io", "namespaces", "nodes"})
_OF_KUBEVIRTS = "kubevirts.kubevirt.io"
_OF_VMS = frozenset({"virtualmachines.kubevirt.io", "virtualmachineinstances.kubevirt.io"})

# What Kubernetes or OpenShift put into every namespace.
_OF_EVERY_NAMESPACE = {
    "ConfigMap": frozenset({"kube-root-ca.crt", "openshift-service-ca.crt"}),
    "ServiceAccount": frozenset({"default", "builder", "deployer"}),
    "RoleBinding": frozenset({"system:image-pullers", "system:image-builders", "system:deployers"}),
}
_ACCOUNT_OF = "kubernetes.io/service-account.name"
_SERVICE_OF = "kubernetes.io/service-name"


@dataclass(frozen=True)
class Left:
    """One object that is left of KubeVirt.

    Attributes:
        reason: By what it is known as KubeVirt's; in a proof, why it is still there.
        action: ``delete-leftover`` or ``delete-operator``; empty where it is not for us to delete it.
        finalizers: What holds it, once it is deleted.
    """

    path: str
    uid: str
    object: str
    reason: str
    action: str = ""
    finalizers: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, str]:
        """As modules return it."""
        return {"object": self.object, "reason": self.reason}


@dataclass(frozen=True)
class MarkedNode:
    """A node with KubeVirt's marks."""

    name: str
    marks: NodeMarks
    version: str

    @property
    def is_dirty(self) -> bool:
        """Whether there is something to take away."""
        return bool(self.marks.labels or self.marks.annotations)


@dataclass(frozen=True)
class Leftovers:
    """What is left of KubeVirt now.

    Attributes:
        removable: What we delete, in the order in which we do.
        passing: What goes by itself, with its owner or a VM.
        users: Objects of users in KubeVirt's API groups, and what may hold their data.
        nodes: Those with marks.
        unreadable: A line for each kind that could not be searched.
        kinds: How many were searched.
        requests: How many requests that took.
    """

    removable: tuple[Left, ...] = ()
    passing: tuple[Left, ...] = ()
    users: tuple[Left, ...] = ()
    nodes: tuple[MarkedNode, ...] = ()
    unreadable: tuple[str, ...] = ()
    kinds: int = 0
    requests: int = 0


@dataclass
class Proof:
    """What the search at the end found.

    Attributes:
        removed: What we removed.
        kept: What stays because the options say so, or a person set it.
        left: What should be gone and is not, with the reason.
        foreign: What is not KubeVirt's and keeps its namespace.
        devices: The nodes whose kubelet still shows KubeVirt's devices.
        unreadable: A line for each kind that could not be searched.
        kinds: How many were searched.
        requests: How many requests the last search took.
    """

    removed: list[str] = field(default_factory=list)
    kept: list[Left] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    devices: list[MarkedNode] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    kinds: int = 0
    requests: int = 0

    def as_dict(self) -> Json:
        """As modules return it."""
        devices = [
            {
                "object": f"Node {one.name}",
                "reason": f"its kubelet shows {', '.join(one.marks.devices)} until it restarts",
            }
            for one in self.devices
        ]
        return {
            "removed": self.removed,
            "kept": [one.as_dict() for one in self.kept],
            "left": [*(one.as_dict() for one in self.left), *devices],
            "unreadable": self.unreadable,
            "searched": {"kinds": self.kinds, "requests": self.requests},
        }


def leftovers_of(api: Api, namespace: str) -> Leftovers:
    """Everything that is KubeVirt's, in every kind that can be listed; events are not searched.

    Args:
        api: The cluster.
        namespace: Where KubeVirt is, or was.
    """
    sent = api.requests
    resources, unreadable = served_resources(api)
    found: dict[str, tuple[Resource, Json, str]] = {}  # some kinds are served by two groups
    users: list[Left] = []
    searched = [one for one in resources if _is_searched(one)]
    for resource in searched:
        try:
            objects = _objects(api, resource)
        except ClusterError as error:
            unreadable.append(f"{resource.full_name}: {error}")
            continue
        for one in objects:
            if mark := mark_of(resource.kind, one, namespace):
                found.setdefault(_uid(one), (resource, one, mark))
            elif resource.group in GROUPS:
                users.append(_left(resource, one, f"it is an object of KubeVirt's API group {resource.group}"))
    try:
        nodes = [*marked_nodes(api)]
    except ApiError as error:
        nodes = []
        unreadable.append(f"nodes: {error}")
    removable: list[tuple[Resource, Json, str]] = []
    passing: list[Left] = []
    for resource, one, mark in found.values():
        stays = why_it_stays(resource.kind, one)
        if not stays:
            removable.append((resource, one, mark))
        elif resource.kind in HOLDS_DATA:
            users.append(_left(resource, one, stays))
        else:
            passing.append(_left(resource, one, stays))
    return Leftovers(
        removable=tuple(_left(*one, action=_action(one[0].kind, one[1])) for one in sorted(removable, key=_turn)),
        passing=tuple(passing),
        users=tuple(users),
        nodes=tuple(nodes),
        unreadable=tuple(unreadable),
        kinds=len(searched),
        requests=api.requests - sent,
    )


def marked_nodes(api: Api) -> Iterator[MarkedNode]:
    """The nodes on which KubeVirt wrote something."""
    for node in api.objects(NODES):
        marks = node_marks(node)
        if any(marks):
            yield _marked(node, marks)


def foreign_objects(api: Api, namespace: str, *, disks_go: bool = False) -> list[str]:
    """What lives in KubeVirt's namespace and is neither KubeVirt's nor what Kubernetes puts into every namespace.

    Args:
        api: The cluster.
        namespace: KubeVirt's.
        disks_go: What may hold data goes with its owner, as the disks of VMs do unless they are kept.

    Raises:
        ClusterError: A kind could not be listed; so nobody knows what would be lost with the namespace.
    """
    resources, unreadable = served_resources(api)
    if unreadable:
        raise NotSearched(unreadable)
    living = [
        (resource, one)
        for resource in resources
        if resource.namespaced and _is_searched(resource)
        for one in metadata_of(api, resource.path(namespace))
    ]
    own = {
        _uid(one)
        for resource, one in living
        if resource.group in GROUPS  # it goes with KubeVirt
        or mark_of(resource.kind, one, namespace)
        or _is_of_every_namespace(resource.kind, one)
    }
    services = {
        one["metadata"]["name"] for resource, one in living if resource.kind == "Service" if _uid(one) not in own
    }
    own |= {_uid(one) for resource, one in living if resource.kind == "EndpointSlice" if not _serves(one, services)}
    data = {_uid(one) for resource, one in living if resource.kind in HOLDS_DATA}
    own -= data
    for _generation in range(len(living)):
        adopted = {_uid(one) for _resource, one in living if _owners(one) & own} - own - (set() if disks_go else data)
        if not adopted:
            break
        own |= adopted
    return sorted({object_name({**one, "kind": resource.kind}) for resource, one in living if _uid(one) not in own})


class NotSearched(ClusterError):
    """Kinds that nobody could look into."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(f"Not every kind could be searched: {listed(lines)}")


@dataclass
class Sweep:
    """Removes what is left of KubeVirt, until nothing is, or nothing more can be done.

    Args:
        api: The cluster.
        clock: Measures ``SETTLE``.
        namespace: Where KubeVirt is, or was.
        report: Takes a line for each kind of objects that is deleted.
        clean_nodes: Whether nodes lose KubeVirt's labels and annotations.
        remove_namespace: Whether the namespace goes, if nothing foreign is in it.
        with_user_objects: Whether CRDs go although users have objects of them, which are backed up and given up.
        with_vms: Whether those of VMs go too although there are VMs. Never that of KubeVirt objects.
        removed: What was removed so far.
    """

    api: Api
    clock: Clock
    namespace: str
    report: Report
    clean_nodes: bool = True
    remove_namespace: bool = False
    with_user_objects: bool = False
    with_vms: bool = False
    removed: list[str] = field(default_factory=list)
    _refused: dict[str, str] = field(default_factory=dict)
    _deleted: dict[str, str] = field(default_factory=dict)
    _seen: frozenset[str] = frozenset()
    _found: Leftovers = Leftovers()

    def run(self, found: Leftovers) -> Proof:
        """Remove what was found, then search again and remove what that finds, for at most ``SETTLE`` seconds more.

        Args:
            found: From ``leftovers_of``, after the KubeVirt object has gone.
        """
        self._found, self._seen = found, frozenset(one.uid for one in found.removable)
        self._remove()
        ends = self.clock.now() + SETTLE
        while not self._is_settled():
            self.clock.pause(POLL)
            self._found = leftovers_of(self.api, self.namespace)
            if self.clock.now() >= ends:
                break
            self._remove()
        proof = self._proof()
        self._delete_namespace(proof)
        return proof

    def _remove(self) -> None:
        if self._why_not_at_all():
            return
        for kind, of_the_kind in itertools.groupby(self._waiting(), lambda one: one.object.partition(" ")[0]):
            those = [*of_the_kind]
            self.report(f"deletes {kind} {listed((one.object.partition(' ')[2] for one in those), most=3)}")
            for one in those:
                self._delete(one)
        nodes = self._dirty()
        if nodes:
            self.report(f"cleans Node {listed((node.name for node in nodes), most=3)}")
        for node in nodes:
            self._clean(node)

    def _why_not_at_all(self) -> str:
        """Why nothing is removed: there is a KubeVirt that somebody uses."""
        if self._made_anew():
            return NEW_INSTALLATION
        kubevirt = next((one.object for one in self._found.users if one.object.startswith("KubeVirt ")), "")
        return f"{kubevirt} is still there, and needs it" if kubevirt else ""

    def _made_anew(self) -> list[Left]:
        """What is there under a path that we have deleted, and another operator than the one that we first saw.

        The pods that are just ending still write by which of them leads.
        """
        return [
            one
            for one in self._found.removable
            if self._deleted.get(one.path, one.uid) != one.uid
            or (one.action == "delete-operator" and one.uid not in self._seen)
            if not one.object.startswith(("Lease ", "Endpoints "))
        ]

    def _waiting(self) -> list[Left]:
        """What is still to be deleted."""
        return [
            one
            for one in self._found.removable
            if one.uid not in self._refused and self._deleted.get(one.path) != one.uid
        ]

    def _dirty(self) -> list[MarkedNode]:
        """The nodes that are still to be cleaned."""
        return [one for one in self._found.nodes if self.clean_nodes and one.is_dirty and one.name not in self._refused]

    def _delete(self, one: Left) -> None:
        why = self._why_not_yet(one)
        if why:
            self._refused[one.uid] = why
            return
        try:
            if delete_that_one(self.api, one.path, one.uid):
                self.removed.append(one.object)
        except ApiError as error:
            self._refused[one.uid] = str(error)
            return
        self._deleted[one.path] = one.uid

    def _why_not_yet(self, one: Left) -> str:
        """A CRD takes all its objects with it, so it goes only when there are none."""
        if "/customresourcedefinitions/" not in one.path:
            return ""
        crd = self.api.get_or_none(one.path)
        if crd is None or self._may_take_objects_with_it(crd["metadata"]["name"]):
            return ""
        spec = crd["spec"]
        version = next((v["name"] for v in spec.get("versions") or () if v.get("served")), spec.get("version", ""))
        try:
            count = self.api.count(f"/apis/{spec['group']}/{version}/{spec['names']['plural']}")
        except ApiError as error:
            return f"nobody knows whether there are objects of it: {error}"
        return f"there are still {count} objects of it, which would go with it" if count else ""

    def _may_take_objects_with_it(self, crd: str) -> bool:
        if crd == _OF_KUBEVIRTS:
            return False
        return self.with_vms if crd in _OF_VMS else self.with_user_objects

    def _clean(self, node: MarkedNode) -> None:
        path = f"{NODES}/{node.name}"
        unsure = False
        for _attempt in range(NODE_ATTEMPTS):
            try:
                self.api.json_patch(path, _without_marks(node))
            except Conflict as error:
                unsure = unsure or error.in_doubt
                live = self.api.get_or_none(path)
                if live is None:
                    return
                node = _marked(live, node_marks(live))
                if node.is_dirty:
                    continue
                if not unsure:  # somebody else has cleaned it
                    return
            except NotFound:
                return
            except ApiError as error:
                self._refused[node.name] = str(error)
                return
            self.removed.append(f"Node {node.name}: KubeVirt's labels and annotations")
            return

    def _is_settled(self) -> bool:
        if self._why_not_at_all():
            return True
        going = [one for one in self._found.removable if one.uid not in self._refused]
        return not going and not self._dirty() and not self._found.passing

    def _proof(self) -> Proof:
        found = self._found
        kept = [*_set_by_people(found.nodes)]
        left = [*(_because(one, self._why_left(one)) for one in found.removable), *found.passing, *found.users]
        for node in found.nodes:
            if node.is_dirty and not self.clean_nodes:
                kept.append(_left_node(node, "its labels and annotations stay, because clean_nodes is false"))
            elif node.is_dirty:
                why = self._refused.get(node.name) or self._why_not_at_all() or LABELS_COME_BACK
                left.append(_left_node(node, why))
        still = {one.object for one in left}
        self.removed = [one for one in dict.fromkeys(self.removed) if one not in still]
        return Proof(
            removed=self.removed,
            kept=kept,
            left=left,
            devices=[one for one in found.nodes if one.marks.devices],
            unreadable=[*found.unreadable],
            kinds=found.kinds,
            requests=found.requests,
        )

    def _why_left(self, one: Left) -> str:
        if one.uid in self._refused:
            return self._refused[one.uid]
        if one.uid != self._deleted.get(one.path):
            return self._why_not_at_all() or f"it was found only when the {SETTLE:.0f} s of the search were over"
        holding = f"held by its finalizers {', '.join(one.finalizers)}" if one.finalizers else "not gone yet"
        return f"it was deleted, and is {holding}"

    def _delete_namespace(self, proof: Proof) -> None:
        """The namespace goes last, and only when nobody else would lose something with it."""
        live = self.api.get_or_none(f"{NAMESPACES}/{self.namespace}") if self.namespace else None
        if live is None:
            return
        one = Left(f"{NAMESPACES}/{self.namespace}", _uid(live), f"Namespace {self.namespace}", "")
        if not self.remove_namespace:
            proof.kept.append(_because(one, "remove_namespace is false"))
            return
        if proof.left:
            proof.left.append(_because(one, "something of KubeVirt is left"))
            return
        try:
            proof.foreign = foreign_objects(self.api, self.namespace)
        except ClusterError as error:
            proof.left.append(_because(one, f"nobody knows what else is in it. {error}"))
            return
        if proof.foreign:
            proof.kept.append(_because(one, f"others live in it: {listed(proof.foreign)}"))
            return
        self.report(f"deletes {one.object}")
        self._delete(one)
        if one.uid in self._refused:
            proof.left.append(_because(one, self._refused[one.uid]))
        elif not self._has_gone(one):
            self.removed.remove(one.object)
            proof.left.append(_because(one, f"it is not gone after {SETTLE:.0f} s: see its conditions"))

    def _has_gone(self, one: Left) -> bool:
        ends = self.clock.now() + SETTLE
        while self.clock.now() < ends:
            live = self.api.get_or_none(one.path)
            if live is None or _uid(live) != one.uid:
                return True
            self.clock.pause(POLL)
        return False


def sweep_findings(proof: Proof, namespace: str) -> list[Finding]:
    """What a person has to know about the proof of a sweep of KubeVirt in this namespace."""
    found = [
        finding(
            "remove.left",
            object=one.object,
            cause=f"It is KubeVirt's, and still there: {one.reason}.",
            fix="Do what the reason asks for, then run again: only what is left is done.",
        )
        for one in proof.left
    ]
    if proof.foreign:
        found.append(
            finding(
                "remove.foreign-objects",
                object=f"Namespace {namespace}",
                cause="It is kept, because objects live in it that are not KubeVirt's and would go with it.",
                evidence=listed(proof.foreign, 10),
                fix="Move or delete them, then run again with remove_namespace, or keep the namespace.",
            )
        )
    if proof.unreadable:
        found.append(
            finding(
                "remove.not-searched",
                object="Cluster",
                cause="Some kinds could not be listed, so nobody knows whether something of KubeVirt is among their objects.",
                evidence=listed(proof.unreadable, 10),
                fix="Let the user list them, or repair what serves them, then run again.",
            )
        )
    if proof.devices:
        devices = sorted({name for one in proof.devices for name in one.marks.devices})
        found.append(
            finding(
                "remove.devices-left",
                object=f"Node {listed(one.name for one in proof.devices)}",
                cause="The kubelet shows the devices of a device plugin that has gone until it restarts.",
                evidence=", ".join(devices),
                fix="Nothing has to be done. To be rid of them, restart the kubelet of these nodes: systemctl restart kubelet",
            )
        )
    return found


def _is_searched(resource: Resource) -> bool:
    """What cannot be deleted is only another view of something; nodes are looked at on their own, as is the namespace."""
    return {"list", "delete"} <= resource.verbs and resource.full_name not in _NOT_SEARCHED


def _objects(api: Api, resource: Resource) -> list[Json]:
    if resource.kind == "APIService":  # to whom it leads is in its spec
        return t.cast("list[Json]", attempted(api, lambda: [*api.objects(resource.path())]))
    return metadata_of(api, resource.path())


def _turn(found: tuple[Resource, Json, str]) -> tuple[int, int, str]:
    kind, one = found[0].kind, found[1]
    if kind in _ORDER:
        turn = _ORDER.index(kind)
    elif kind in _LATE:
        turn = 100 + _LATE.index(kind)
    else:
        turn = 200 if kind == _LAST else 50
    return int(_action(kind, one) == "delete-operator"), turn, object_name({**one, "kind": kind})


def _action(kind: str, one: Json) -> str:
    return "delete-operator" if is_of_the_operator(kind, one["metadata"]["name"]) else "delete-leftover"


def _left(resource: Resource, one: Json, reason: str, *, action: str = "") -> Left:
    finalizers = tuple(one["metadata"].get("finalizers") or ())
    return Left(
        resource.path_of(one), _uid(one), object_name({**one, "kind": resource.kind}), reason, action, finalizers
    )


def _left_node(node: MarkedNode, why: str) -> Left:
    return Left(f"{NODES}/{node.name}", "", f"Node {node.name}", why)


def _because(one: Left, why: str) -> Left:
    return replace(one, reason=why)


def _set_by_people(nodes: Iterable[MarkedNode]) -> Iterator[Left]:
    for node in nodes:
        if node.marks.by_people:
            yield _left_node(node, f"a person set {', '.join(node.marks.by_people)}")


def _marked(node: Json, marks: NodeMarks) -> MarkedNode:
    return MarkedNode(node["metadata"]["name"], marks, node["metadata"]["resourceVersion"])


def _without_marks(node: MarkedNode) -> list[Json]:
    """The patch that holds for this version of the node only."""
    return [
        {"op": "test", "path": "/metadata/resourceVersion", "value": node.version},
        *(
            {"op": "remove", "path": f"/metadata/{where}/{key.replace('~', '~0').replace('/', '~1')}"}
            for where, keys in (("labels", node.marks.labels), ("annotations", node.marks.annotations))
            for key in keys
        ),
    ]


def _is_of_every_namespace(kind: str, one: Json) -> bool:
    """Made by Kubernetes itself, or by this collection for the time of a run."""
    name = one["metadata"]["name"]
    return (
        name in _OF_EVERY_NAMESPACE.get(kind, ())
        or (kind == "Secret" and _ACCOUNT_OF in (one["metadata"].get("annotations") or {}))
        or (kind == "Lease" and name == leases.NAME)
    )


def _serves(one: Json, services: Collection[str]) -> bool:
    """Whether an EndpointSlice is of one of these services."""
    return (one["metadata"].get("labels") or {}).get(_SERVICE_OF) in services


def _owners(one: Json) -> set[str]:
    return {owner["uid"] for owner in one["metadata"].get("ownerReferences") or ()}


def _uid(one: Json) -> str:
    return str(one["metadata"]["uid"])
