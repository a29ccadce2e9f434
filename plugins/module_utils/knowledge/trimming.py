# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. After a failure: which objects matter, and as much of each as a person can read."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Callable, Iterable, Mapping, Sequence

from .objects import object_name
from .settling import managed, operand_unsettled, pod_unsettled, unfinished
from .symptoms import time_of

Object = Mapping[str, t.Any]
Json = dict[str, t.Any]

MOST_OBJECTS = 20
MOST_CHARACTERS = 3000
"""Of one object as JSON. A result of a module goes into logs, callbacks and databases."""
MOST_OF_A_KIND: Mapping[str, int] = {"Deployment": 4, "DaemonSet": 2, "Pod": 4, "Job": 2, "Event": 8}

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_LONGEST_TEXT = 300
_LONGEST_LIST = 10


def objects_that_matter(objects: Sequence[Object], *, failing: str, wanted: str) -> list[Json]:
    """The objects that show why a hop failed: the failing one first, then from KubeVirt down to pods and events.

    Args:
        objects: The KubeVirt object, and the Deployments, DaemonSets, pods, Jobs and Events of its namespace; each with its kind.
        failing: The name of the object that failed, as a finding has it; empty where none did.
        wanted: The version that was to be reached.

    Returns:
        At most ``MOST_OBJECTS``, each of at most ``MOST_CHARACTERS``.
    """
    of: dict[str, list[Object]] = {}
    for one in objects:
        of.setdefault(str(one.get("kind")), []).append(one)
    kubevirt = next(iter(of.get("KubeVirt", ())), None)
    first = [one for one in objects if object_name(one) == failing]
    operator = [one for one in of.get("Deployment", ()) if one["metadata"]["name"] == "virt-operator"]
    chosen = [*first, *of.get("KubeVirt", ()), *operator]
    if kubevirt is not None:
        for kind in ("Deployment", "DaemonSet"):
            unready = [one for one in managed(of.get(kind, ())) if operand_unsettled(kubevirt, one, wanted)]
            chosen += unready[: MOST_OF_A_KIND[kind]]
        pods = [one for one in unfinished(of.get("Pod", ())) if is_unready(one) or pod_unsettled(kubevirt, one, wanted)]
        chosen += sorted(pods, key=is_unready, reverse=True)[: MOST_OF_A_KIND["Pod"]]
    chosen += [one for one in of.get("Job", ()) if has_failed(one)][: MOST_OF_A_KIND["Job"]]
    chosen += warnings(of.get("Event", ()))[: MOST_OF_A_KIND["Event"]]
    once: dict[str, Object] = {}
    for one in chosen:
        once.setdefault(object_name(one), one)
    return [shortened(trimmed(one), MOST_CHARACTERS) for one in once.values()][:MOST_OBJECTS]


def is_unready(pod: Object) -> bool:
    """Whether a pod that is to run does not run, or one of its containers is not ready."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return False
    containers = status.get("containerStatuses") or ()
    return status.get("phase") != "Running" or not all(one.get("ready") for one in containers)


def has_failed(job: Object) -> bool:
    """Whether Kubernetes has given a Job up, or some of its pods have failed."""
    status = job.get("status") or {}
    conditions = status.get("conditions") or ()
    return bool(status.get("failed")) or any(c["type"] == "Failed" and c["status"] == "True" for c in conditions)


def warnings(events: Iterable[Object]) -> list[Object]:
    """The Warning events, the latest first."""
    return sorted((one for one in events if one.get("type") == "Warning"), key=time_of, reverse=True)


def trimmed(one: Object) -> Json:
    """The object without what nobody reads: who manages which field, and what kubectl applied last."""
    result = dict(one)
    metadata = {key: value for key, value in one.get("metadata", {}).items() if key != "managedFields"}
    annotations = {
        key: value for key, value in (metadata.pop("annotations", None) or {}).items() if key != _LAST_APPLIED
    }
    result["metadata"] = {**metadata, "annotations": annotations} if annotations else metadata
    return result


def shortened(one: Object, most: int) -> Json:
    """The object in at most so many characters of JSON; the status is the last thing that goes."""
    for shorten in _SHORTENING:
        if _size(one) <= most:
            break
        one = shorten(one)
    return dict(one)


def _size(one: Object) -> int:
    return len(json.dumps(one, default=str))


def _without_long(value: t.Any) -> t.Any:
    """Long texts and lists are cut, and say so."""
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return f"{value[:_LONGEST_TEXT]} …"
    if isinstance(value, Mapping):
        return {key: _without_long(child) for key, child in value.items()}
    if isinstance(value, list):
        rest = len(value) - _LONGEST_LIST
        more = [f"… and {rest} more"] if rest > 0 else []
        return [*(_without_long(child) for child in value[:_LONGEST_LIST]), *more]
    return value


def _without_generations(one: Object) -> Json:
    """virt-operator lists the generation of each of its objects there."""
    status = {key: value for key, value in (one.get("status") or {}).items() if key != "generations"}
    return {**one, "status": status} if status else dict(one)


def _images_of_the_spec(one: Object) -> Json:
    spec = one.get("spec") or {}
    spec = (spec.get("template") or {}).get("spec") or spec
    containers = [{"name": c.get("name"), "image": c.get("image")} for c in spec.get("containers") or ()]
    rest = {key: value for key, value in one.items() if key != "spec"}
    return {**rest, **({"containers": containers} if containers else {}), "trimmed": "spec"}


def _without_most_metadata(one: Object) -> Json:
    metadata = {key: one["metadata"].get(key) for key in ("name", "namespace", "uid", "generation")}
    return {**one, "metadata": metadata, "trimmed": "spec, most of metadata"}


def _conditions_only(one: Object) -> Json:
    conditions = (one.get("status") or {}).get("conditions") or []
    status = {"conditions": _without_long(conditions)}
    return {**_named(one), "status": status, "trimmed": "all but the conditions"}


def _named(one: Object) -> Json:
    metadata = {key: one["metadata"].get(key) for key in ("name", "namespace")}
    return {"kind": one.get("kind"), "metadata": metadata, "trimmed": "all but the name"}


_SHORTENING: tuple[Callable[[Object], Json], ...] = (
    _without_generations,
    _without_long,
    _images_of_the_spec,
    _without_most_metadata,
    _conditions_only,
    _named,
)
