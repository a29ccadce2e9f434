# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Why a wait ended without success: what the picture shows, and what is asked once besides.

Reads only, and few: at most ``MOST_NODES`` nodes, two logs, the Jobs, the Warnings and the lease. What may not be read is left
out; where the server does not answer, nothing more is asked.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from dataclasses import replace

from ..cluster.api import Api, Json
from ..cluster.errors import ApiError, ClusterError
from ..cluster.watch import Picture
from ..knowledge.conditions import target_version
from ..knowledge.findings import Finding
from ..knowledge.manifest import declared_version
from ..knowledge.settling import same_version
from ..knowledge.standstill import failed_job, lost_nodes, no_leader, nodes_in_question, refusals
from ..knowledge.symptoms import Trouble, app_of, shortened
from ..knowledge.versions import try_parse
from .hop import HopJudge, operator_of, strategy_is_loaded
from .observe import Facts
from .waiting import Waited

MOST_NODES = 5
MOST_EVENTS = 500
_LOG = {"tailLines": 20, "limitBytes": 20_000}
_OPERATOR_LOG = {"tailLines": 200, "limitBytes": 100_000}
_FIRST_WITH_LEASE = (1, 0)


def causes(api: Api, facts: Facts, picture: Picture, judge: HopJudge, waited: Waited) -> list[Finding]:
    """Why the wait ended, the likely cause first; what lasted too long and nothing else where that ended it."""
    questions = _Questions(api, facts.kubevirt_namespace)
    ended_it = {one.id for one in waited.failures}
    shown = [one.finding for one in judge.failures(picture, questions.last_line)]
    shown = [one for one in shown if one.id in ended_it] or [*waited.failures]
    found = [questions.with_operators_word(one, picture) for one in shown]
    if waited.end != "failed":
        found += questions.asked(picture, judge)
    first: dict[str, Finding] = {}
    for one in found:
        first.setdefault(one.id, one)
    return [*first.values()]


class _Questions:
    """What is asked of the cluster, each question once."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._core = f"/api/v1/namespaces/{namespace}"

    def asked(self, picture: Picture, judge: HopJudge) -> list[Finding]:
        """What Jobs, events, nodes and the lease say."""
        kubevirt = judge.kubevirt(picture)
        found: list[Finding] = []
        try:
            for one in self._answers(picture, judge, kubevirt) if kubevirt else ():
                found += [one] if one else []
        except ClusterError:  # no answer to one question is none to the others
            pass
        return found

    def _answers(self, picture: Picture, judge: HopJudge, kubevirt: t.Any) -> Iterator[Finding | None]:
        deployments, daemonsets = picture.objects("deployments"), picture.objects("daemonsets")
        pods = picture.objects("pods")
        jobs: list[Json] = []
        if not strategy_is_loaded(kubevirt, [*deployments, *daemonsets]):
            jobs = self._items(
                f"/apis/batch/v1/namespaces/{self._namespace}/jobs?labelSelector=kubevirt.io%2Finstall-strategy"
            )
            yield failed_job(jobs, (kubevirt.get("status") or {}).get("targetDeploymentID"))
        short = [*map(_short_daemonset, daemonsets), *map(_short_job, jobs)]
        if any(short):
            events = self._items(f"{self._core}/events?fieldSelector=type%3DWarning&limit={MOST_EVENTS}")
            yield from refusals(events, filter(None, short))
        nodes = [*dict.fromkeys(nodes_in_question(pods))][:MOST_NODES]
        yield lost_nodes({name: node for name in nodes if (node := self._node(name)) != {}})
        if not same_version(target_version(kubevirt), judge.version) and _has_lease(deployments):
            yield self._leader(pods)

    def _leader(self, pods: list[Json]) -> Finding | None:
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self._namespace}/leases/virt-operator"
        try:
            lease = self._api.get_or_none(path)
        except ApiError:
            return None
        return no_leader(lease, pods, self._namespace, self._api.utc())

    def _node(self, name: str) -> Json | None:
        """The node; None where there is none, empty where it may not be read."""
        try:
            return self._api.get_or_none(f"/api/v1/nodes/{name}")
        except ApiError:
            return {}

    def _items(self, path: str) -> list[Json]:
        """The first page of a collection; nothing where it may not be read."""
        try:
            return self._api.get(path).get("items") or []
        except ApiError:
            return []

    def last_line(self, crash: Trouble) -> str:
        """The last line that a container which crashes has logged; empty where it cannot be read."""
        previous = {"previous": "true"} if crash.previous else {}
        return self._last_line(crash.pod["metadata"]["name"], crash.container, {**_LOG, **previous})

    def with_operators_word(self, found: Finding, picture: Picture) -> Finding:
        """What virt-operator logs about an install strategy that it cannot read, with the finding about that."""
        if found.id != "upgrade.install-job-loop":
            return found
        for pod in picture.objects("pods"):
            if app_of(pod) == "virt-operator":
                word = self._last_line(
                    pod["metadata"]["name"], "virt-operator", _OPERATOR_LOG, "Install strategy config map"
                )
                if word:
                    return replace(found, evidence=shortened(f"{found.evidence}; its log: {word}"))
        return found

    def _last_line(self, pod: str, container: str, query: t.Mapping[str, t.Any], about: str = "") -> str:
        try:
            log = self._api.peek(f"{self._core}/pods/{pod}/log", {"container": container, **query}).decode(
                errors="replace"
            )
        except ClusterError:  # it says more, no more than that
            return ""
        return next((line.strip() for line in reversed(log.splitlines()) if line.strip() and about in line), "")


def _short_daemonset(daemonset: Json) -> str:
    status = daemonset.get("status") or {}
    short = status.get("currentNumberScheduled", 0) < status.get("desiredNumberScheduled", 0)
    return f"DaemonSet {daemonset['metadata']['name']}" if short else ""


def _short_job(job: Json) -> str:
    status = job.get("status") or {}
    return "" if any(status.get(key) for key in ("active", "succeeded", "failed")) else f"Job {job['metadata']['name']}"


def _has_lease(deployments: list[Json]) -> bool:
    operator = operator_of(deployments)
    version = try_parse(declared_version(operator)) if operator else None
    return version is not None and (version.major, version.minor) >= _FIRST_WITH_LEASE
