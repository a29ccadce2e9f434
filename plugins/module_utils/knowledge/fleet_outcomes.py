# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What became of each cluster of a fleet, as far as it was told, in the order of a report."""

from __future__ import annotations

import re
import typing as t
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from .redaction import redacted

Raw = Mapping[str, t.Any]

STATES = ("failed", "unknown", "not-begun", "deferred", "done", "unchanged")
"""The worst first; ``unknown`` is that of a cluster of which nothing was told."""
LEVELS = ("blocker", "warning", "info")
WELL = ("done", "unchanged")


@dataclass(frozen=True)
class Phase:
    """One part of a run, and how long it took."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Found:
    """A finding as text; what was not told is empty."""

    id: str
    level: str
    object: str
    cause: str
    evidence: str
    fix: str
    url: str


@dataclass(frozen=True)
class Cluster:
    """One cluster. Text that was not told is empty, a number is None."""

    host: str
    endpoint: str
    uid: str
    from_version: str
    to_version: str
    state: str
    phases: tuple[Phase, ...]
    findings: tuple[Found, ...]
    moved: int | None
    left: int | None
    elapsed: float | None
    wave: str
    owner: str
    message: str

    @property
    def causes(self) -> tuple[Found, ...]:
        """What made it fail: its blockers. Without any its message says it; what was found besides is no cause."""
        return tuple(one for one in self.findings if one.level == "blocker") if self.state == "failed" else ()

    @property
    def seconds(self) -> float:
        """How long its phases took together."""
        return sum(phase.seconds for phase in self.phases)


@dataclass(frozen=True)
class Note:
    """Something that was found, made no cluster fail, and is told once for all clusters that have it."""

    found: Found
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class Fleet:
    """All clusters, by wave and name, and what was handed in about them, without secrets."""

    title: str
    clusters: tuple[Cluster, ...]
    outcomes: dict[str, t.Any]

    @property
    def states(self) -> dict[str, int]:
        """How many clusters are in each state, the worst first."""
        count = Counter(one.state for one in self.clusters)
        return {state: count[state] for state in STATES}

    @property
    def vms(self) -> dict[str, int]:
        """How many VMs were moved, and how many are left."""
        return {
            "moved": sum(one.moved or 0 for one in self.clusters),
            "left": sum(one.left or 0 for one in self.clusters),
        }

    @property
    def failures(self) -> list[Cluster]:
        """The clusters that failed."""
        return [one for one in self.clusters if one.state == "failed"]

    @property
    def waves(self) -> dict[str, list[Cluster]]:
        """The clusters of each wave; those of none are under empty text, at the end."""
        waves: dict[str, list[Cluster]] = {}
        for one in self.clusters:
            waves.setdefault(one.wave, []).append(one)
        return waves

    @property
    def notes(self) -> list[Note]:
        """What else was found, the gravest and the most frequent first. The objects are left out, for they differ."""
        hosts: dict[Found, list[str]] = {}
        for one in self.clusters:
            for found in one.findings:
                if found not in one.causes:
                    same = Found(found.id, found.level, "", found.cause, "", found.fix, found.url)
                    hosts.setdefault(same, []).append(one.host)
        notes = [Note(found, tuple(dict.fromkeys(names))) for found, names in hosts.items()]
        return sorted(notes, key=lambda note: (_rank(note.found.level), -len(note.hosts), note.found.id))

    @property
    def verdict(self) -> str:
        """The report in one sentence."""
        total, well, failed = len(self.clusters), sum(self.states[state] for state in WELL), self.states["failed"]
        if not total:
            return "There is no cluster to report on"
        if failed:
            return f"{failed} of {total} clusters failed" if total > 1 else "The cluster failed"
        if well == total:
            return f"All {total} clusters are done" if total > 1 else "The cluster is done"
        return f"{well} of {total} clusters are done" if total > 1 else "The cluster is not done"


def fleet_of(hosts: Mapping[str, t.Any], title: str) -> Fleet:
    """The fleet of what was told of each host.

    Args:
        hosts: The outcome of each host, of which any key may be missing.
        title: The report's.

    Raises:
        ValueError: An outcome is no dictionary.
    """
    for host, outcome in hosts.items():
        if not isinstance(outcome, Mapping):
            raise ValueError(f"the outcome of {host} is {outcome!r}, not a dictionary.")
    outcomes = {str(host): redacted(outcome) for host, outcome in hosts.items()}
    outcomes = {host: outcomes[host] for host in sorted(outcomes, key=in_natural_order)}
    clusters = [_cluster(host, outcome) for host, outcome in outcomes.items()]
    clusters.sort(key=lambda one: (not one.wave, in_natural_order(one.wave)))
    return Fleet(title, tuple(clusters), outcomes)


def in_natural_order(text: str) -> list[t.Any]:
    """The key by which ``c2`` comes before ``c10``."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", text)]


def duration(seconds: float) -> str:
    """How long something took: 45 s, 2 min 05 s, 1 h 02 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def is_web_address(url: str) -> bool:
    """Whether a report may lead there; other addresses could run something, or end the link too early."""
    return re.fullmatch(r"https?://[^\s()<>\"]+", url) is not None


def _cluster(host: str, outcome: Raw) -> Cluster:
    cluster, vms = _mapping(outcome.get("cluster")), _mapping(outcome.get("vms"))
    state = _text(outcome.get("state"))
    phases = (Phase(_text(one.get("name")), _number(one.get("seconds")) or 0.0) for one in _dicts(outcome, "phases"))
    moved, left = _number(vms.get("moved")), _number(vms.get("left"))
    return Cluster(
        host=host,
        endpoint=_text(cluster.get("endpoint")),
        uid=_text(cluster.get("uid")),
        from_version=_text(outcome.get("from_version")),
        to_version=_text(outcome.get("to_version")),
        state=state if state in STATES else "unknown",
        phases=tuple(phases),
        findings=tuple(map(_found, _dicts(outcome, "findings"))),
        moved=None if moved is None else int(moved),
        left=None if left is None else int(left),
        elapsed=_number(outcome.get("elapsed")),
        wave=_text(outcome.get("wave")),
        owner=_text(outcome.get("owner")),
        message=_text(outcome.get("message")),
    )


def _found(raw: Raw) -> Found:
    names = ("id", "level", "object", "cause", "evidence", "fix", "url")
    return Found(**{name: _text(raw.get(name)) for name in names})


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


def _mapping(value: t.Any) -> Raw:
    return value if isinstance(value, Mapping) else {}


def _dicts(outcome: Raw, key: str) -> list[Raw]:
    value = outcome.get(key)
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _text(value: t.Any) -> str:
    return "" if value is None else str(value).strip()


def _number(value: t.Any) -> float | None:
    """The value as a number that is not negative; None where it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < float("inf") else None
