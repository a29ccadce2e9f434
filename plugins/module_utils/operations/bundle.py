# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. A directory with all that shows why an upgrade stopped, for who was not there.

It is bounded: so many logs, so much of each file and of all, and the time of the reader.
"""

from __future__ import annotations

import json
import os
import typing as t
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone

try:
    import yaml
except ImportError:  # comes with kubernetes; connection.py reports what is missing
    yaml = None  # type: ignore[assignment]

from ..cluster.api import Api, Json
from ..cluster.clock import Clock
from ..knowledge.cluster_facts import node_facts
from ..knowledge.trimming import is_unready, warnings
from .aftermath import Reader, known_secrets, objects_of_the_hop, shown_objects
from .observe import Facts
from .options import check_directory
from .outcome import Outcome, Report, mistake
from .risk_facts import STRATEGY_LABEL

MOST_OF_A_FILE = 1024 * 1024
MOST_IN_ALL = 16 * 1024 * 1024
"""Characters."""
MOST_LOGS = 20
LINES_OF_A_LOG = 500
BYTES_OF_A_LOG = 256 * 1024

Container = tuple[str, str, bool]
"""The names of a pod and its container, and whether it has run before."""


def leave_account(
    api: Api,
    facts: Facts,
    params: Mapping[str, t.Any],
    outcome: Outcome,
    *,
    wanted: str,
    clock: Clock,
    report: Report,
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
) -> None:
    """Put into the outcome of a run that stopped what shows why, and write the bundle, if one is asked for.

    Whatever goes wrong here is a line in the outcome, for the upgrade's own failure must stay the one that is told.

    Args:
        api: The cluster.
        facts: Before the hop.
        params: The options.
        outcome: That of the run.
        wanted: The version that the hop was to reach.
        clock: Time.
        report: Takes progress lines.
        now: The time of day in UTC, for the bundle's name.
    """
    reader = Reader(api, clock, known_secrets(params))
    try:
        objects = objects_of_the_hop(reader, facts)
        outcome.extra["objects"] = shown_objects(objects, outcome.findings, wanted)
        if params["bundle_dir"]:
            path = bundle_path(params["bundle_dir"], facts.cluster.uid, now())
            report(f"the run has stopped; writing what shows why to {path}")
            write_bundle(path, files_of_the_bundle(reader, facts, objects, outcome))
            outcome.extra["bundle"] = path
            outcome.failure += f"\nObjects, events and logs, without secrets: {path}"
    except OSError as error:
        reader.unread.append(f"bundle_dir: {error}")
        outcome.failure += f"\nThe bundle could not be written: {error}"
    except Exception as error:
        reader.unread.append(mistake(error))
    outcome.extra["unread"] = reader.redacted(reader.unread)


def check_bundle_dir(path: str | None) -> None:
    """Refuse a directory into which no bundle could be written. Nothing is written for that.

    Raises:
        InvalidOption: It can neither be written into nor made.
    """
    if path:
        check_directory("bundle_dir", path, otherwise="leave it out")


def bundle_path(directory: str, cluster_uid: str, now: datetime) -> str:
    """Where a bundle goes: one directory for each failure."""
    return os.path.join(os.path.abspath(directory), f"{cluster_uid[:8]}-{now:%Y%m%dT%H%M%SZ}")


def files_of_the_bundle(reader: Reader, facts: Facts, objects: Sequence[Json], outcome: Outcome) -> dict[str, str]:
    """The files, each with its content, the most important first.

    Args:
        reader: Reads what is not read yet, without what is secret.
        facts: Before the hop.
        objects: From ``objects_of_the_hop``.
        outcome: That of the failed run.
    """
    result = reader.redacted({**outcome.as_result(), "failed": True, "msg": outcome.failure})
    markdown = result.pop("markdown", "")
    kubevirt: Json = next((one for one in objects if one["kind"] == "KubeVirt"), {})
    nodes = [node_facts(node, kubevirt) for node in reader.objects("Node", "/api/v1/nodes")]
    namespace = f"/api/v1/namespaces/{facts.kubevirt_namespace}"
    strategies = reader.objects(
        "ConfigMap", f"{namespace}/configmaps", labelSelector=STRATEGY_LABEL, metadata_only=True
    )
    files = {
        "outcome.json": json.dumps(result, indent=2, default=str),
        "findings.md": markdown,
        "versions.yaml": _yaml(_versions(facts, kubevirt, outcome)),
        **dict(_by_kind(objects)),
        "events.yaml": _yaml(warnings(one for one in objects if one["kind"] == "Event")),
        "nodes.yaml": _yaml(nodes),
        "install-strategies.txt": "".join(f"{one['metadata']['name']}\n" for one in strategies),
    }
    for pod, container, has_run_before in _containers([one for one in objects if one["kind"] == "Pod"])[:MOST_LOGS]:
        query = {"container": container, "tailLines": LINES_OF_A_LOG, "limitBytes": BYTES_OF_A_LOG}
        files[f"logs/{pod}.{container}.log"] = reader.text(f"{namespace}/pods/{pod}/log", query)
        if has_run_before:
            query["previous"] = "true"
            files[f"logs/{pod}.{container}.previous.log"] = reader.text(f"{namespace}/pods/{pod}/log", query)
    files["unread.txt"] = "".join(f"{line}\n" for line in reader.unread)
    return {name: content for name, content in files.items() if content}


def _versions(facts: Facts, kubevirt: Json, outcome: Outcome) -> Json:
    status, spec = kubevirt.get("status") or {}, kubevirt.get("spec") or {}
    names = ("operatorVersion", "targetKubeVirtVersion", "observedKubeVirtVersion")
    return {
        "from": outcome.from_version,
        "to": outcome.to_version,
        "kubernetes": facts.kubernetes,
        "operator_before": facts.operator_declared,
        "imageTag": spec.get("imageTag"),
        **{name: status.get(name) for name in names},
    }


def _by_kind(objects: Sequence[Json]) -> Iterator[tuple[str, str]]:
    for kind in ("KubeVirt", "Deployment", "DaemonSet", "Pod", "Job"):
        of_the_kind = [one for one in objects if one["kind"] == kind]
        if of_the_kind:
            yield f"{kind.lower()}s.yaml", _yaml(of_the_kind)


def _yaml(value: t.Any) -> str:
    return (
        yaml.safe_dump_all(value, sort_keys=False)
        if isinstance(value, list)
        else yaml.safe_dump(value, sort_keys=False)
    )


def _containers(pods: Sequence[Json]) -> list[Container]:
    """Those whose logs tell something: of pods that are not ready, and of virt-operator."""
    unready = [one for one in pods if is_unready(one)]
    operators = [one for one in pods if (one["metadata"].get("labels") or {}).get("kubevirt.io") == "virt-operator"]
    found: dict[tuple[str, str], Container] = {}
    for pod in [*operators, *unready]:
        status = pod.get("status") or {}
        for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
            if pod in operators or not container.get("ready"):
                names = (pod["metadata"]["name"], container["name"])
                found.setdefault(names, (*names, bool(container.get("restartCount"))))
    return list(found.values())


def write_bundle(path: str, files: Mapping[str, str]) -> None:
    """Write the files into a new directory that only this user may read; what is too large is cut or left out, and says so.

    Raises:
        OSError: It cannot be written, or not all of it.
    """
    if not os.path.isdir(os.path.dirname(path)):
        os.mkdir(os.path.dirname(path), mode=0o700)
    os.mkdir(path, mode=0o700)
    left = MOST_IN_ALL
    for name, content in files.items():
        most = min(MOST_OF_A_FILE, left)
        shown = content if len(content) <= most else f"{content[:most]}\n… cut here; it had {len(content)} characters\n"
        left = max(0, left - len(shown))
        place = os.path.join(path, name)
        os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
        with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(shown)
