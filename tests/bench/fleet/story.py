# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happens in a simulated cluster: what is there before the upgrade, what its writes make, and what follows them and when.

Recorded are answers.json, and the roll-out in tests/unit/fixtures/rollouts. From the release's manifests come the objects of the operator,
and from how large they were the CRDs that virt-operator makes.
"""

from __future__ import annotations

import itertools
import json
import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from tests.support.lab import Json
from tests.support.recording import ROLLOUTS

ANSWERS = Path(__file__).with_name("answers.json")
ROLLOUT = ROLLOUTS / "1.7.0-to-1.8.4.json"
WORKERS = 12
"""As many as the recorded roll-out had."""
APPS = "/apis/apps/v1/namespaces/kubevirt"
OPERATOR = f"{APPS}/deployments/virt-operator"
FOLDERS = {
    "kubevirt": "/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts",
    "deployments": f"{APPS}/deployments",
    "daemonsets": f"{APPS}/daemonsets",
    "pods": "/api/v1/namespaces/kubevirt/pods",
}
"""Where the objects of the recorded roll-out are."""
IRREGULAR = {"NetworkPolicy": "networkpolicies", "PriorityClass": "priorityclasses"}
MADE_BY_VIRT_OPERATOR = {"app.kubernetes.io/managed-by": "virt-operator"}
IMAGE = "quay.io/kubevirt/virt-operator:v1.8.4"
NO_IMAGE = {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{IMAGE}": ErrImagePull: not found'}


@dataclass(frozen=True)
class Change:
    """What becomes of an object: ``at`` seconds after virt-operator was written, it is so; or None, it is gone."""

    at: float
    path: str
    object: Json | None


@dataclass(frozen=True)
class Story:
    """All that a cluster answers.

    Attributes:
        version: The API server's.
        groups: The API groups with their versions.
        before: The objects before the upgrade, by path.
        applied: What the API server makes of the objects of the new manifest.
        rollout: What follows when virt-operator was applied.
        failure: What follows instead where its image cannot be pulled.
    """

    version: Json
    groups: Mapping[str, list[str]]
    before: Mapping[str, Json]
    applied: Mapping[str, Json]
    rollout: Sequence[Change]
    failure: Sequence[Change]


def story_of(old_manifest: str, new_manifest: str) -> Story:
    """From the texts of both releases' kubevirt-operator.yaml."""
    answers = json.loads(ANSWERS.read_text())
    pods = {pod["metadata"]["labels"]["kubevirt.io"]: pod for pod in answers["pods"]}
    applied = by_path(as_applied(new_manifest))
    old = by_path([*answers["objects"], *as_applied(old_manifest)])
    first, following = halves([*map(change_of, json.loads(ROLLOUT.read_text())["events"])])
    rollout = [*filled_up(following, old | applied, pods)]
    crds = made_crds(answers["crds"], like_crd=find(applied, "CustomResourceDefinition"))
    others = by_path([*crds, *workers(find(old, "Node", "worker-1")), cluster_namespace()])
    before = {change.path: change.object for change in filled_up(first, old, pods) if change.object}
    return Story(
        answers["version"], answers["groups"], {**old, **others, **before}, applied, rollout, [*stuck(rollout)]
    )


def as_applied(manifest: str) -> list[Json]:
    """The objects of a manifest as they are when this collection has applied them."""
    return [with_owner(one) for one in yaml.load_all(manifest, Loader=yaml.CSafeLoader) if one]


def with_owner(applied: Json) -> Json:
    """The object with an entry in managedFields, and the generation of a new one."""
    fields = {key: value for key, value in fields_of(applied).items() if key not in ("f:apiVersion", "f:kind")}
    entry = {
        "manager": "kubevirt.lifecycle",
        "operation": "Apply",
        "apiVersion": applied["apiVersion"],
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    return {**applied, "metadata": {**applied["metadata"], "generation": 1, "managedFields": [entry]}}


def fields_of(value: t.Any) -> Json:
    """The fields of a value as managedFields name them; items of lists by their name, where they have one."""
    if isinstance(value, dict):
        return {f"f:{key}": fields_of(child) for key, child in value.items()}
    if isinstance(value, list) and all(isinstance(item, dict) and "name" in item for item in value):
        return {f'k:{{"name":"{item["name"]}"}}': {".": {}, **fields_of(item)} for item in value}
    return {}


def change_of(event: Json) -> Change:
    """A recorded event."""
    name = event["gone"] if "gone" in event else event["object"]["metadata"]["name"]
    return Change(event["at"], f"{FOLDERS[event['source']]}/{name}", event.get("object"))


def halves(changes: Sequence[Change]) -> tuple[Sequence[Change], Sequence[Change]]:
    """What was there when it began, which the recording has first; and what came then."""
    paths = [change.path for change in changes]
    begin = next(number for number, path in enumerate(paths) if path in paths[:number])
    return changes[:begin], changes[begin:]


def filled_up(changes: Iterable[Change], wholes: Mapping[str, Json], pods: Mapping[str, Json]) -> Iterator[Change]:
    """The changes, with what the recording lacks from whole objects; those of pods by their component."""
    for change in changes:
        if change.object is not None:
            component = change.object["metadata"].get("labels", {}).get("kubevirt.io")
            whole = wholes.get(change.path) or pods.get(component) or {"apiVersion": "v1", "kind": "Pod"}
            yield replace(change, object=filled_up_from(whole, change.object))
        else:
            yield change


def filled_up_from(whole: Json, recorded: Json) -> Json:
    """The recorded object, with what it lacks from the whole one. The spec is the whole one's, but for the pod's node."""
    spec = {**recorded.get("spec", {}), **whole.get("spec", {})}
    if "nodeName" in recorded.get("spec", {}):
        spec["nodeName"] = recorded["spec"]["nodeName"]
    return {
        **whole,
        "metadata": {**whole.get("metadata", {}), **recorded["metadata"]},
        "spec": spec,
        "status": {**whole.get("status", {}), **recorded["status"]},
    }


def stuck(rollout: Iterable[Change]) -> Iterator[Change]:
    """The roll-out as far as the first new pod of virt-operator, which then cannot get its image."""
    for change in rollout:
        yield change
        if "/pods/" in change.path and change.object:
            container = {"name": "virt-operator", "image": IMAGE, "ready": False, "restartCount": 0}
            waiting = {**container, "state": {"waiting": NO_IMAGE}}
            status = {**change.object["status"], "phase": "Pending", "containerStatuses": [waiting]}
            yield Change(change.at + 1, change.path, {**change.object, "status": status})
            return


def made_crds(recorded: Iterable[Json], like_crd: Json) -> Iterator[Json]:
    """CRDs as large as the recorded ones, with pieces of another one's schema."""
    schema = like_crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    whole = schema["properties"]["spec"]["properties"].values()
    pieces = [piece for one in whole for piece in one.get("properties", {"": one}).values()]
    for crd in recorded:
        plural, _dot, group = crd["name"].partition(".")
        size = crd["bytes"] // len(crd["versions"])
        versions = [
            {"name": name, "served": True, "storage": name in crd["storedVersions"], "schema": schema_of(size, pieces)}
            for name in crd["versions"]
        ]
        yield {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": crd["name"], "labels": MADE_BY_VIRT_OPERATOR},
            "spec": {"group": group, "names": {"kind": crd["kind"], "plural": plural}, "versions": versions},
            "status": {"storedVersions": crd["storedVersions"]},
        }


def schema_of(size: int, pieces: Iterable[Json]) -> Json:
    """A schema of about so many bytes."""
    properties: dict[str, Json] = {}
    for number, piece in enumerate(itertools.cycle(pieces)):
        if size <= 0:
            break
        properties[f"piece{number}"] = piece
        size -= len(json.dumps(piece))
    return {"openAPIV3Schema": {"type": "object", "properties": properties}}


def workers(one: Json) -> Iterator[Json]:
    """The other workers, like the first one."""
    for number in range(2, WORKERS + 1):
        yield {**one, "metadata": {**one["metadata"], "name": f"worker-{number}"}}


def cluster_namespace() -> Json:
    """The namespace whose UID stands for the cluster."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}


def by_path(objects: Iterable[Json]) -> dict[str, Json]:
    """The objects by their paths."""
    return {path_of(one): one for one in objects}


def path_of(one: Json) -> str:
    """The path of an object."""
    prefix = "/api/v1" if one["apiVersion"] == "v1" else f"/apis/{one['apiVersion']}"
    within = f"/namespaces/{one['metadata']['namespace']}" if one["metadata"].get("namespace") else ""
    return f"{prefix}{within}/{plural_of(one['kind'])}/{one['metadata']['name']}"


def plural_of(kind: str) -> str:
    """How the API calls the objects of a kind."""
    return IRREGULAR.get(kind, f"{kind.lower()}s")


def find(objects: Mapping[str, Json], kind: str, name: str = "") -> Json:
    """The first object of this kind, and name."""
    return next(one for one in objects.values() if one["kind"] == kind and name in ("", one["metadata"]["name"]))
