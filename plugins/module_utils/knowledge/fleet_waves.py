# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Clusters wave by wave: whose turn it is, and what became of each.

What became of a cluster is a dictionary, the same for every cluster and every end; the report is made of nothing else.
"""

from __future__ import annotations

import typing as t
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from .day_window import day_window
from .fleet_plan import in_columns

Vars = Mapping[str, t.Any]
Outcome = dict[str, t.Any]

BEGUN, DONE, FAILED, DEFERRED, NOT_BEGUN, UNCHANGED = "begun", "done", "failed", "deferred", "not-begun", "unchanged"
"""The states of an outcome. A cluster that is begun when its wave is over was lost on the way, which is a failure."""
WORKED_ON = (BEGUN, DONE, FAILED)


def has_failed(outcome: Vars) -> bool:
    """Whether this, after the end of its wave, is a failure."""
    return not outcome or outcome["state"] in (FAILED, BEGUN)


def turns(
    hosts: Sequence[str],
    batch: Collection[str],
    seen: Mapping[str, Vars],
    *,
    budget: int,
    now: datetime,
    is_asked: bool,
    command: str,
) -> dict[str, t.Any]:
    """Whose turn it is in a wave.

    Args:
        hosts: All of the run, in their order.
        batch: Those of this wave.
        seen: The variables of each host; ``kubevirt_outcome`` is there from its wave on.
        budget: How many clusters may fail; one more and no wave begins.
        now: The time, in UTC.
        is_asked: Whether a wave after the first needs somebody's approval.
        command: The command that goes on.

    Returns:
        ``number`` of the wave; ``begins``, the hosts whose turn it is; ``is_last``; ``asks``, the question to be approved, empty where
        none is; and two outcomes of each host, ``approved`` and ``unapproved``.
    """
    earlier = hosts[: min(map(hosts.index, batch))]
    past = {host: seen[host].get("kubevirt_outcome") or {} for host in earlier}
    number = max((one.get("wave", 0) for one in past.values()), default=0) + 1
    stop = _stop(past, budget, command)
    approved = {host: _turn(seen[host], number, now, stop) for host in hosts if host in batch}
    begins = [host for host, one in approved.items() if one["state"] == BEGUN]
    has_begun = any(one.get("state") in WORKED_ON for one in past.values())
    refusal = f"Wave {number} was not approved. To go on: {command}"
    unapproved = {host: _outcome(seen[host], number, NOT_BEGUN, refusal) for host in begins}
    return {
        "number": number,
        "begins": begins,
        "is_last": hosts[-1] in batch,
        "asks": _question(number, begins, past) if is_asked and has_begun and begins else "",
        "approved": approved,
        "unapproved": {**approved, **unapproved},
    }


def ended(seen: Vars, failure: str = "", *, is_check: bool = False) -> Outcome:
    """What became of a cluster whose turn it was.

    Args:
        seen: The variables of its host.
        failure: Why it failed; empty when it did not.
        is_check: Whether this was check mode, in which nothing is done.
    """
    before = seen["kubevirt_outcome"]
    plan, result = seen.get("kubevirt_upgrade_plan") or {}, seen.get("kubevirt_upgrade_result") or {}
    moves = seen.get("kubevirt_workloads_phases") or []
    moved = sum(int(one["moved"]) for one in moves)
    is_changed = bool(plan.get("actions") or moved)
    state = FAILED if failure else DONE if is_changed and not is_check else UNCHANGED
    return {**_outcome(seen, before["wave"], state, failure), "vms": {"moved": moved, "left": _left(seen)}} | (
        {"to_version": result["to_version"]} if result.get("to_version") else {}
    )


def outcomes(hosts: Sequence[str], seen: Mapping[str, Vars]) -> dict[str, Outcome]:
    """What became of every cluster of the run, at its end."""
    return {host: _at_the_end(seen[host]) for host in hosts}


def end_page(ends: Mapping[str, Vars]) -> list[str]:
    """What became of the clusters, for people; what holds for several is said once."""
    rows = [(host, one["state"], f"{one['from_version']} -> {one['to_version']}") for host, one in ends.items()]
    states = [one["state"] for one in ends.values()]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    messages = dict.fromkeys(filter(None, map(_first_line, ends.values())))
    said = [
        f"{', '.join(host for host, one in ends.items() if _first_line(one) == message)}: {message}"
        for message in messages
    ]
    return [*in_columns(rows), f"{len(rows)} clusters: {counts}.", *said]


def _stop(past: Mapping[str, Vars], budget: int, command: str) -> str:
    """Why no wave begins any more; empty when the next one may."""
    failed = [host for host, one in past.items() if has_failed(one)]
    if len(failed) > budget:
        return (
            f"{', '.join(failed)} failed, and kubevirt_wave_failure_budget is {budget}. "
            f"Mend what the messages say; the same command goes on: {command}"
        )
    return next((one["message"] for one in past.values() if one.get("state") == NOT_BEGUN), "")


def _turn(seen: Vars, number: int, now: datetime, stop: str) -> Outcome:
    if (seen.get("kubevirt_forecast") or {}).get("finished"):
        return _outcome(seen, number, UNCHANGED, "Nothing was left to do.")
    if stop:
        return _outcome(seen, number, NOT_BEGUN, stop)
    window = day_window(seen.get("kubevirt_window") or "")
    if window and not window.holds(now):
        words = f"It is {now:%H:%M} UTC, and its window is {window}. Run the same command in that time."
        return _outcome(seen, number, DEFERRED, words)
    return _outcome(seen, number, BEGUN, "It was begun, and its end was not seen: the host cannot be reached.")


def _outcome(seen: Vars, number: int, state: str, message: str) -> Outcome:
    look = seen.get("kubevirt_preflight_result") or {}
    if not look.get("cluster"):
        look = seen.get("kubevirt_look") or {}
    result = _last_word(seen)
    phases = [*_phases(seen)]
    return {
        "cluster": look.get("cluster") or result.get("cluster") or {"endpoint": "", "uid": _expected(seen)},
        "from_version": look.get("from_version") or "",
        "to_version": _wanted(seen, look),
        "state": state,
        "phases": phases,
        "findings": [*_findings(seen, result or look)],
        "vms": {"moved": 0, "left": (look.get("workloads") or {}).get("outdated", 0)},
        "elapsed": round(sum(one["seconds"] for one in phases), 1),
        "wave": number,
        "owner": ", ".join(one["name"] for one in look.get("owners") or ()),
        "message": message,
    }


def _last_word(seen: Vars) -> Vars:
    """The result that tells how it ended: of the upgrade, unless it is the VMs that could not be moved."""
    results = [seen.get("kubevirt_upgrade_result") or {}, seen.get("kubevirt_workloads_result") or {}]
    told = [one for one in results if one.get("failed")] or [one for one in results if one]
    return told[0] if told else {}


def _expected(seen: Vars) -> str:
    return str(seen.get("kubevirt_expected_cluster_uid") or "")


def _wanted(seen: Vars, look: Vars) -> str:
    version = str(seen.get("kubevirt_version") or "")
    return f"v{version.lstrip('v')}" if version else str(look.get("from_version") or "")


def _phases(seen: Vars) -> Iterator[dict[str, t.Any]]:
    preflight = seen.get("kubevirt_preflight_result") or {}
    if "elapsed" in preflight:
        yield {"name": "preflight", "seconds": preflight["elapsed"]}
    for one in seen.get("kubevirt_upgrade_phases") or ():
        yield {"name": f"to {one['name']}", "seconds": float(one["seconds"])}
    for one in seen.get("kubevirt_workloads_phases") or ():
        yield {"name": "VMs", "seconds": float(one["seconds"])}


def _findings(seen: Vars, result: Vars) -> Iterator[Vars]:
    """What was found; the cause of a stop first, where it is none of that. A blocker that was accepted is a warning."""
    found, accept = _found(seen, result), seen.get("kubevirt_accept") or ()
    cause = result.get("failure") or {}
    if cause.get("id") and cause["id"] not in [one["id"] for one in found]:
        yield {"level": "blocker", **cause}
    for one in found:
        is_accepted = one.get("level") == "blocker" and one.get("acceptable") and one["id"] in accept
        yield {**one, "level": "warning"} if is_accepted else one


def _found(seen: Vars, result: Vars) -> Sequence[Vars]:
    """What a result says was found; of VMs that were moved afterwards, what was found then."""
    found, moved = result.get("findings") or (), seen.get("kubevirt_workloads_result") or {}
    if not moved or result.get("failed"):
        return found
    kept = [one for one in found if not one["id"].startswith("workloads.")]
    ids = [one["id"] for one in kept]
    return [*kept, *(one for one in moved.get("findings") or () if one["id"] not in ids)]


def _left(seen: Vars) -> int:
    """How many running VMs are on an older launcher; after an upgrade that moved none, all of them."""
    after = (seen.get("kubevirt_workloads_result") or {}).get("vms")
    if after:
        return t.cast(int, after["outdated"])
    workloads = (seen.get("kubevirt_preflight_result") or {}).get("workloads") or {}
    return t.cast(int, workloads.get("vmis" if seen.get("kubevirt_upgrade_phases") else "outdated", 0))


def _question(number: int, begins: Sequence[str], past: Mapping[str, Vars]) -> str:
    failed = [host for host, one in past.items() if has_failed(one)]
    done = len(past) - len(failed)
    so_far = f"{done} before without a failure" + (f", failed: {', '.join(failed)}" if failed else "")
    return f"Wave {number}: {', '.join(begins)} ({so_far}). Type yes to begin it; anything else ends the run here"


def _at_the_end(seen: Vars) -> Outcome:
    one = seen.get("kubevirt_outcome")
    if not one:
        return _outcome(seen, 0, NOT_BEGUN, "The run ended before its turn.")
    return {**one, "state": FAILED} if one["state"] == BEGUN else dict(one)


def _first_line(one: Vars) -> str:
    return next(iter(str(one["message"]).splitlines()), "")
