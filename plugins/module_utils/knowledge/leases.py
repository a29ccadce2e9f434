# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The Lease by which one run tells the others that it works on a cluster.

It is one of coordination.k8s.io/v1 beside the KubeVirt object, with a heartbeat: its holder writes renewTime again and again. Whether
its holder still lives is told by whether it changes, never by its times, because the clocks of two machines differ.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

NAME = "kubevirt-lifecycle"
SECONDS = 30
"""For how long a Lease must not change before another run may take it over."""
LONGEST = 300
"""Seconds that somebody else's Lease may ask for."""

Json = dict[str, t.Any]


@dataclass(frozen=True)
class Holding:
    """Who holds a Lease, in words.

    Attributes:
        since: By the holder's own clock, as ``heartbeat``.
        heartbeat: The last one.
        seconds: For how long it must not change before it may be taken over.
    """

    holder: str
    since: str
    heartbeat: str
    seconds: int


def collection(namespace: str) -> str:
    """The API path of the Leases of a namespace."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def path_of(namespace: str) -> str:
    """The API path of the Lease."""
    return f"{collection(namespace)}/{NAME}"


def identity(user: str, host: str, pid: int, job: str = "") -> str:
    """How a run calls itself. ``job`` is the number of the job of AWX or Automation Controller, if any."""
    return f"{user}@{host} pid {pid}" + (f", AWX job {job}" if job else "")


def micro_time(now: datetime.datetime) -> str:
    """Kubernetes' MicroTime."""
    return now.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new(namespace: str, holder: str, now: str) -> Json:
    """A Lease of ours where there is none; ``now`` is a MicroTime."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": _spec(holder, now, transitions=0),
    }


def renewed(lease: Mapping[str, t.Any], now: str) -> Json:
    """The same Lease with a new heartbeat. Its resourceVersion and uid make it a Conflict when it is not the one that was read."""
    return {**lease, "spec": {**lease["spec"], "renewTime": now}}


def taken_over(lease: Mapping[str, t.Any], holder: str, now: str) -> Json:
    """Another run's Lease as ours."""
    transitions = _count(_fields(lease).get("leaseTransitions"))
    return {**lease, "spec": _spec(holder, now, transitions=transitions + 1)}


def is_held_by(lease: Mapping[str, t.Any], holder: str, since: str) -> bool:
    """Whether the Lease is the one that ``holder`` took at the MicroTime ``since``."""
    spec = _fields(lease)
    return (spec.get("holderIdentity"), spec.get("acquireTime")) == (holder, since)


def holding(lease: Mapping[str, t.Any]) -> Holding:
    """What a Lease says, whoever wrote it."""
    spec = _fields(lease)
    seconds = _count(spec.get("leaseDurationSeconds"))
    return Holding(
        holder=str(spec.get("holderIdentity") or "somebody without a name"),
        since=_to_the_second(spec.get("acquireTime")),
        heartbeat=_to_the_second(spec.get("renewTime")),
        seconds=seconds if 0 < seconds <= LONGEST else SECONDS,
    )


def _spec(holder: str, now: str, *, transitions: int) -> Json:
    return {
        "holderIdentity": holder,
        "leaseDurationSeconds": SECONDS,
        "acquireTime": now,
        "renewTime": now,
        "leaseTransitions": transitions,
    }


def _fields(lease: Mapping[str, t.Any]) -> Mapping[str, t.Any]:
    spec = lease.get("spec")
    return spec if isinstance(spec, Mapping) else {}


def _count(value: object) -> int:
    """0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _to_the_second(time: object) -> str:
    """``2026-11-29 16:22:13 UTC`` of a MicroTime; anything else as it is."""
    if not isinstance(time, str) or not time:
        return "an unknown time"
    day, _t, clock = time.partition("T")
    return f"{day} {clock.rstrip('Z').partition('.')[0]} UTC" if clock.endswith("Z") else time
