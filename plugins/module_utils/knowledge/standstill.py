# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What is looked for once, when a wait has ended: Jobs, events, nodes, the operator's lease.

None of these stops a wait: a node may come back, an event is only a word of the past.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from .failing_pods import refusal
from .findings import Finding, finding
from .objects import object_name
from .settling import IDENTIFIER_ANNOTATION
from .symptoms import app_of, shortened, so_do, time_of

Object = Mapping[str, t.Any]

LOOP = 3
"""So many Jobs that completed and brought no install strategy are a loop; virt-operator makes another every 10 to 20 s."""
_SILENT = timedelta(minutes=5)
"""A leader renews its lease every few seconds; the clocks of clusters and controllers may differ by some minutes."""


def failed_job(jobs: Iterable[Object], target: str | None) -> Finding | None:
    """The install-strategy Job of the target that failed for good: virt-operator makes no other while it is there."""
    for job in jobs:
        if target and (job["metadata"].get("annotations") or {}).get(IDENTIFIER_ANNOTATION) != target:
            continue
        for condition in (job.get("status") or {}).get("conditions") or ():
            if condition.get("type") == "Failed" and condition.get("status") == "True":
                namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
                return finding(
                    "upgrade.install-job-failed",
                    object=f"Job {namespace}/{name}",
                    cause="The Job that works out what to install has failed for good, and virt-operator waits for it for ever.",
                    evidence=shortened(f"{condition.get('reason', '')}: {condition.get('message', '')}"),
                    fix="Mend what made it fail (an image, a node, its log), then delete it, and virt-operator makes a new one: "
                    f"kubectl delete job -n {namespace} {name}.",
                )
    return None


def strategy_loop(namespace: str, completed: int) -> Finding | None:
    """Jobs that complete one after the other, without virt-operator being able to read what they bring.

    Args:
        namespace: KubeVirt's.
        completed: How many Jobs for the same target were seen to complete.
    """
    if completed < LOOP:
        return None
    return finding(
        "upgrade.install-job-loop",
        object=f"Deployment {namespace}/virt-operator",
        cause="virt-operator cannot read the install strategy and has it worked out again and again.",
        evidence=f"{completed} Jobs completed so far",
        fix="Where the log says UNKNOWN TYPE, the operator is too old for that version: run with method: operator. Else see what it "
        f"says: kubectl logs -n {namespace} -l kubevirt.io=virt-operator --tail=200 | grep -i 'install strategy'.",
    )


def refusals(events: Iterable[Object], short: Iterable[str]) -> list[Finding]:
    """What events say of pods that are refused, the latest of each object.

    Args:
        events: Warnings of KubeVirt's namespace.
        short: Who has fewer pods than it wants, as ``Kind name``; events about others are of the past.
    """
    short = set(short)
    latest = {
        object_name({"kind": about["kind"], "metadata": about}): str(event.get("message") or "")
        for event in sorted(events, key=time_of)
        if event.get("reason") == "FailedCreate" and (about := event.get("involvedObject"))
        if f"{about.get('kind')} {about.get('name')}" in short
    }
    return [one for name, message in latest.items() if (one := refusal(name, message))]


def nodes_in_question(pods: Iterable[Object]) -> list[str]:
    """The nodes of virt-handlers that are not ready, or go away and do not end."""
    nodes = []
    for pod in pods:
        node = (pod.get("spec") or {}).get("nodeName")
        conditions = (pod.get("status") or {}).get("conditions") or ()
        ready = any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)
        if app_of(pod) == "virt-handler" and node and (not ready or pod["metadata"].get("deletionTimestamp")):
            nodes.append(node)
    return nodes


def lost_nodes(nodes: Mapping[str, Object | None]) -> Finding | None:
    """Nodes that are not ready or gone, with a virt-handler that therefore is not ready either.

    Args:
        nodes: By name; None is one that does not exist.
    """
    lost = [(name, words) for name, node in nodes.items() if (words := _not_ready(node))]
    if not lost:
        return None
    name, words = lost[0]
    others = so_do([f"Node {other}" for other, _words in lost[1:]])
    return finding(
        "upgrade.node-lost",
        object=f"Node {name}",
        cause=f"The node is lost, and virt-operator waits for the virt-handler of every node.{others}",
        evidence=shortened(words),
        fix="Bring the node back. If it does not come back, first make sure that it is off, then take it out of the cluster: "
        f"kubectl delete node {name}. Its VMs start elsewhere then.",
    )


def _not_ready(node: Object | None) -> str:
    if node is None:
        return "There is no such node any more."
    for condition in (node.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready" and condition.get("status") != "True":
            return (
                f"Ready={condition.get('status')} since {condition.get('lastTransitionTime')}: {condition.get('reason', '')}, "
                f"{condition.get('message', '')}"
            )
    return ""


def no_leader(lease: Object | None, pods: Iterable[Object], namespace: str, now: datetime) -> Finding | None:
    """That no virt-operator leads although its pods run.

    Args:
        lease: Lease virt-operator; None where there is none. virt-operator before 1.0 has none: don't ask there.
        pods: Pods of KubeVirt's namespace.
        namespace: KubeVirt's.
        now: With its time zone.
    """
    running = [
        pod["metadata"]["name"]
        for pod in pods
        if app_of(pod) == "virt-operator" and (pod.get("status") or {}).get("phase") == "Running"
    ]
    if not running:
        return None
    spec = (lease or {}).get("spec") or {}
    holder, renewed = str(spec.get("holderIdentity") or ""), str(spec.get("renewTime") or "")
    if holder and renewed and now - moment(renewed, now) < _SILENT:
        return None
    return finding(
        "upgrade.no-leader",
        object=f"Lease {namespace}/virt-operator",
        cause="virt-operator runs, but none of its pods leads, so nobody carries out the upgrade.",
        evidence=f"held by {holder}, last renewed {renewed or 'never'}; running: {', '.join(running)}"
        if holder
        else f"held by nobody; running: {', '.join(running)}",
        fix=f"Read why none takes over: kubectl logs -n {namespace} -l kubevirt.io=virt-operator --tail=100 | grep -i lease. If its "
        f"holder is gone: kubectl delete lease -n {namespace} virt-operator; the pods make it anew.",
    )


def moment(text: str, otherwise: datetime) -> datetime:
    """A time as Kubernetes writes it."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return otherwise
