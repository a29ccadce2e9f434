# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Objects of KubeVirt's kinds that do not go: whose finalizer holds each, and why that one does not act."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from .blockage_scene import (
    FOREIGN_AFTER,
    KUBEVIRTS,
    UNABLE_AFTER,
    Cure,
    Held,
    Object,
    Scene,
    condition_of,
    deleted_since,
    minutes,
    some_of,
)
from .finalizers import HANDLER, OPERATOR, foreign, owner_of, removers_of
from .findings import Finding, finding
from .symptoms import shortened, so_do


@dataclass(frozen=True)
class _Grip:
    """Finalizers of KubeVirt that hold one object, and the part that does not take them away."""

    held: Held
    finalizers: tuple[str, ...]
    part: str
    id: str
    cause: str
    evidence: str
    fix: str
    is_proven: bool


def finalizer_cures(scene: Scene) -> Iterator[Cure]:
    for grip in _grips(scene):
        if grip.is_proven:
            yield Cure(
                "strip-finalizers",
                grip.held.name,
                grip.held.path,
                "finalizers",
                f"{grip.part} cannot do it any more: {grip.cause}",
                uid=grip.held.object["metadata"]["uid"],
                finalizers=grip.finalizers,
            )


def about_held_objects(scene: Scene) -> Iterator[Finding]:
    """One finding for each cause: thousands of VMs may be held for the same one."""
    yield from _about_own_finalizers(scene)
    yield from _about_foreign_finalizers(scene)


def _about_own_finalizers(scene: Scene) -> Iterator[Finding]:
    alike: dict[tuple[str, str], list[_Grip]] = {}
    for grip in _grips(scene):
        alike.setdefault((grip.id, grip.cause), []).append(grip)
    for first, *others in alike.values():
        if first.id:
            yield finding(
                first.id,
                object=first.held.name,
                cause=first.cause + so_do([one.held.name for one in others]),
                evidence=first.evidence,
                fix=first.fix,
            )


def _about_foreign_finalizers(scene: Scene) -> Iterator[Finding]:
    alike: dict[tuple[str, ...], list[Held]] = {}
    for held in _all_held(scene):
        if scene.age(held.object) > FOREIGN_AFTER:
            alike.setdefault(tuple(foreign(held.finalizers)), []).append(held)
    alike.pop((), None)
    for strangers, (first, *others) in alike.items():
        yield finding(
            "remove.stuck-foreign-finalizer",
            object=first.name,
            cause=f"It is held by {', '.join(strangers)}, which is not KubeVirt's. Probably it belongs to "
            f"{', '.join(dict.fromkeys(map(owner_of, strangers)))}.{so_do([one.name for one in others])}",
            evidence=_evidence(first, scene),
            fix="See that its owner runs and takes it away. This collection never does. If its owner is gone for good and you know "
            f"what it guarded: kubectl edit {_argument(first)}, and take that line out of metadata.finalizers.",
        )


def _all_held(scene: Scene) -> list[Held]:
    """Objects of users first, then CRDs, the KubeVirt object last: that is the order in which they can go."""
    own = [one for one in scene.held if one.object.get("kind") == "KubeVirt"]
    of_users = [one for one in scene.held if one not in own]
    crds = [
        Held(_crd_path(one), {**one, "kind": "CustomResourceDefinition"}) for one in scene.crds if deleted_since(one)
    ]
    return [*of_users, *crds, *own]


def _grips(scene: Scene) -> Iterator[_Grip]:
    for held in _all_held(scene):
        for part, finalizers in removers_of(held.finalizers).items():
            grip = _grip(scene, held, part, tuple(finalizers))
            if grip:
                yield grip


def _grip(scene: Scene, held: Held, part: str, finalizers: tuple[str, ...]) -> _Grip | None:
    """What is known of why a part does not take its finalizers from an object; None where it is only at work."""
    made = _Grip(held, finalizers, part, "", "", _evidence(held, scene), "", True)
    if part == OPERATOR:
        return _grip_of_the_operator(scene, made)
    if scene.is_lost(part):
        return replace(
            made,
            id="remove.stuck-controller-gone",
            cause=f"{part} does not run, and nobody brings it back"
            + (" while KubeVirt is being deleted." if scene.is_deleting else "."),
            fix=f"kubectl get deployment,pods -n {scene.home or 'NAMESPACE'} -l kubevirt.io={part} says why. If it cannot be brought "
            "back, run with repair: finalizers.",
        )
    node = _node_of(held)
    if node and node in scene.nodes and (words := _lost(scene.nodes[node])):
        return _grip_of_a_lost_node(scene, made, node, words)
    if node and _handler_is_lost(scene):
        return replace(
            made,
            part=HANDLER,
            id="remove.stuck-handler-gone",
            cause=f"No virt-handler runs on node {node}, nobody brings it back, and only it can say that the VM has ended.",
            fix=f"kubectl get daemonset,pods -n {scene.home} -o wide -l kubevirt.io=virt-handler says why. If it cannot be brought "
            "back, run with repair: finalizers; Kubernetes then ends the VM's pod.",
        )
    if scene.health(part) == "ready" and scene.age(held.object) > UNABLE_AFTER:
        return replace(
            made,
            id="remove.stuck-finalizer",
            cause=f"{part} runs and has not taken its finalizer away for more than {minutes(UNABLE_AFTER)} minutes.",
            fix=f"Look at the VM's pods in namespace {held.object['metadata'].get('namespace', '')}, and at what {part} says: "
            f"kubectl logs -n {scene.home} -l kubevirt.io={part} --tail=200 | grep {held.object['metadata']['name']}.",
            is_proven=False,
        )
    return None


def _grip_of_the_operator(scene: Scene, made: _Grip) -> _Grip | None:
    """The finding about virt-operator itself says it for the KubeVirt object; without that object nobody else says it."""
    if scene.is_lost(OPERATOR) or not scene.kubevirts:
        is_said = made.held.object.get("kind") == "KubeVirt"
        return replace(
            made,
            id="" if is_said else "remove.stuck-controller-gone",
            cause="virt-operator does not run, and nobody brings it back."
            if scene.is_lost(OPERATOR)
            else "virt-operator takes it away while it deletes a KubeVirt object, and there is none.",
            fix="Run with repair: finalizers.",
        )
    return None


def _grip_of_a_lost_node(scene: Scene, made: _Grip, node: str, words: str) -> _Grip:
    is_gone = scene.nodes[node] is None
    return replace(
        made,
        part=HANDLER,
        id="remove.stuck-node-lost",
        cause=f"It is on node {node}, which is {'gone' if is_gone else 'not ready'}; nobody there can say that the VM has ended.",
        evidence=shortened(f"{made.evidence}; {words}"),
        fix="Run with repair: finalizers."
        if is_gone
        else f"Bring the node back. If it does not come back, first make sure that it is off, so that the VM does not run on there; then: "
        f"kubectl delete node {node}.",
        is_proven=is_gone,
    )


def _handler_is_lost(scene: Scene) -> bool:
    """Proven by the DaemonSet that is not there: a pod alone may be restarting."""
    return scene.health(HANDLER) == "gone" and not scene.is_made_anew(HANDLER)


def about_crds(scene: Scene) -> Iterator[Finding]:
    ending = [one for one in scene.crds if deleted_since(one)]
    if ending and not scene.is_deleting and scene.kubevirts:
        names = [one["metadata"]["name"] for one in ending]
        yield finding(
            "remove.crd-deleted-by-hand",
            object=f"CustomResourceDefinition {names[0]}",
            cause="It is being deleted although the KubeVirt object is not: somebody deleted it by hand. All objects of its kind go with "
            "it, and no uninstallStrategy is asked.",
            evidence=some_of("in deletion", names),
            fix="This cannot be taken back. Find out who did it. The removal goes on and takes the rest away.",
        )
    if not scene.kubevirts and scene.crds and scene.parts.get(OPERATOR):
        names = [one["metadata"]["name"] for one in scene.crds]
        if KUBEVIRTS not in names:
            yield finding(
                "remove.crd-deleted-by-hand",
                object=f"CustomResourceDefinition {KUBEVIRTS}",
                cause="It is gone, and the KubeVirt object with it, while virt-operator and other CRDs are there: "
                "virt-operator has nothing to work on and removes nothing.",
                evidence=some_of("there", names),
                fix="Let the run go on: it removes what is left by itself.",
            )
    for crd in ending:
        yield from _about_an_ending_crd(scene, crd)


def _about_an_ending_crd(scene: Scene, crd: Object) -> Iterator[Finding]:
    """Kubernetes says in the CRD's condition Terminating that objects are left; these are the ones that do not go."""
    name, words = crd["metadata"]["name"], condition_of(crd, "Terminating")
    count = scene.remaining.get(name, 0)
    if not count or not words or scene.age(crd) <= FOREIGN_AFTER:
        return
    blocking = [one for one in scene.held if _crd_of(one) == name]
    oldest = min(blocking, key=lambda one: deleted_since(one.object), default=None)
    yield finding(
        "remove.stuck-crd",
        object=f"CustomResourceDefinition {name}",
        cause=f"It cannot go, because {count} of its objects are still there, "
        + (
            f"first of all {oldest.name}, held by {', '.join(oldest.finalizers) or 'no finalizer'}."
            if oldest
            else "and none of them is being deleted."
        ),
        evidence=shortened(words),
        fix=f"Do what is said here about {oldest.name}."
        if oldest
        else f"See whether they are made anew: kubectl get {name} -A.",
    )


def _crd_path(crd: Object) -> str:
    return f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd['metadata']['name']}"


def _crd_of(held: Held) -> str:
    """The name of its CRD: ``plural.group``, both of which its path has."""
    group = held.path.split("/")[2]
    return f"{held.path.split('/')[-2]}.{group}"


def _argument(held: Held) -> str:
    """What kubectl takes it by."""
    metadata = held.object["metadata"]
    within = f" -n {metadata['namespace']}" if metadata.get("namespace") else ""
    kind = "customresourcedefinition" if held.object.get("kind") == "CustomResourceDefinition" else _crd_of(held)
    return f"{kind} {metadata['name']}{within}"


def _node_of(held: Held) -> str:
    return str((held.object["metadata"].get("labels") or {}).get("kubevirt.io/nodeName") or "")


def nodes_of(held: Iterable[Held]) -> list[str]:
    """The nodes that these objects are on; virt-controller writes that on a VMI's label."""
    return sorted({node for one in held if (node := _node_of(one))})


def _lost(node: Object | None) -> str:
    if node is None:
        return "there is no such node"
    words = condition_of(node, "Ready", "False") or condition_of(node, "Ready", "Unknown")
    return f"node: {words}" if words else ""


def _evidence(held: Held, scene: Scene) -> str:
    since = deleted_since(held.object)
    return (
        f"in deletion since {since} ({minutes(scene.age(held.object))} min); finalizers: {', '.join(held.finalizers)}"
    )
