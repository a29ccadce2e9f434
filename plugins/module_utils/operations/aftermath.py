# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. After an upgrade that stopped on its way: what shows why, without what is secret.

Nothing here is needed for the upgrade. So it is asked for once, for a bounded time, and what cannot be read is a line in the
result, never another failure.
"""

from __future__ import annotations

import json
import typing as t
from collections.abc import Callable, Collection, Mapping, Sequence

from ..cluster.api import PAGE, Api, Json
from ..cluster.clock import Clock
from ..cluster.connection import secrets_of
from ..cluster.errors import ClusterError, Unreachable
from ..knowledge.findings import Finding, blocking
from ..knowledge.redaction import redacted, redacted_text
from ..knowledge.trimming import objects_that_matter, trimmed
from .observe import Facts

LONGEST = 60.0
"""Seconds for all requests together; the one that runs then is waited for."""
MOST_PAGES = 4
"""Of one collection, of ``PAGE`` objects each."""

T = t.TypeVar("T")

NOTHING: Mapping[str, t.Any] = {"objects": [], "bundle": "", "unread": [], "failure": {}}
"""The keys of the result that are about a failure, without one."""


class Reader:
    """Reads what can be read, and keeps a line about what cannot.

    Args:
        api: The cluster.
        clock: Measures ``LONGEST``.
        known: Secrets that are known by their value; they and all others are removed from what is read.
    """

    def __init__(self, api: Api, clock: Clock, known: Collection[str]) -> None:
        self.unread: list[str] = []
        self._api = api
        self._clock = clock
        self._known = known
        self._until = clock.now() + LONGEST
        self._given_up = ""

    def objects(self, kind: str, path: str, *, metadata_only: bool = False, **query: str) -> list[Json]:
        """The objects of a collection, trimmed and redacted; those of the first pages, where there are very many."""
        found: list[Json] = []
        following = ""
        for _page in range(MOST_PAGES):
            sent = {**query, "limit": PAGE, "continue": following}
            page: Json = self._answered(path, sent, json.loads, {}, metadata_only=metadata_only)
            found += [trimmed(self.redacted({"kind": kind, **one})) for one in page.get("items") or ()]
            following = (page.get("metadata") or {}).get("continue") or ""
            if not following:
                return found
        self.unread.append(f"{path}: only the first {len(found)} were read.")
        return found

    def text(self, path: str, query: Mapping[str, t.Any]) -> str:
        """A text, such as a log, redacted."""
        return self._answered(path, query, lambda data: redacted_text(data.decode(errors="replace"), self._known), "")

    def redacted(self, value: T) -> T:
        """The same without secrets."""
        return t.cast(T, redacted(value, self._known))

    def _answered(
        self,
        path: str,
        query: Mapping[str, t.Any],
        understood: Callable[[bytes], T],
        instead: T,
        *,
        metadata_only: bool = False,
    ) -> T:
        if not self._given_up and self._clock.now() >= self._until:
            self._given_up = f"not read, because {LONGEST:.0f} s were over."
        if self._given_up:
            self.unread.append(f"{path}: {self._given_up}")
            return instead
        sent = {key: value for key, value in query.items() if value}
        try:
            return understood(self._api.peek(path, sent, metadata_only=metadata_only))
        except (ClusterError, ValueError) as error:
            self.unread.append(f"{path}: {error}")
            if isinstance(error, Unreachable):  # nor will the next question be answered
                self._given_up = "not read, because the API server does not answer."
            return instead


def objects_of_the_hop(reader: Reader, facts: Facts) -> list[Json]:
    """The KubeVirt object, and what virt-operator makes and what happened in its namespace."""
    namespace = facts.kubevirt_namespace
    core, apps, batch = (
        f"{prefix}/namespaces/{namespace}" for prefix in ("/api/v1", "/apis/apps/v1", "/apis/batch/v1")
    )
    return [
        *reader.objects("KubeVirt", f"{facts.api}/namespaces/{namespace}/kubevirts"),
        *reader.objects("Deployment", f"{apps}/deployments"),
        *reader.objects("DaemonSet", f"{apps}/daemonsets"),
        *reader.objects("Pod", f"{core}/pods", labelSelector="kubevirt.io,kubevirt.io!=virt-launcher"),
        *reader.objects("Job", f"{batch}/jobs"),
        *reader.objects("Event", f"{core}/events", fieldSelector="type=Warning"),
    ]


def known_secrets(params: Mapping[str, t.Any]) -> set[str]:
    """What the options hold that nobody may see."""
    headers = params.get("proxy_headers") or {}
    secrets = (params.get("api_key"), params.get("password"), *headers.values())
    return secrets_of(params) | {one for one in secrets if isinstance(one, str)}


def shown_objects(objects: Sequence[Json], findings: Sequence[Finding], wanted: str) -> list[Json]:
    """Of these, the ones to show in the result."""
    return objects_that_matter(objects, failing=findings[0].object if findings else "", wanted=wanted)


def failing_finding(failure: str, findings: Sequence[Finding], accept: Collection[str]) -> dict[str, str]:
    """What made the run fail, small enough to be handed on to other jobs; empty when nothing did.

    Args:
        failure: The message of the failed run.
        findings: Those of the result, of which the first that blocks is the cause. Without one, the message is.
        accept: What does not block.
    """
    if not failure:
        return {}
    cause = next(iter(blocking(findings, [*accept])), None)
    if cause is None:
        lines = failure.splitlines()
        return {"id": "", "object": "", "cause": lines[min(1, len(lines) - 1)], "fix": "", "url": ""}
    return {key: value for key, value in cause.as_dict().items() if key in ("id", "object", "cause", "fix", "url")}
