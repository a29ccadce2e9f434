# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What a run would do to each cluster of a fleet, in one table before anything is done."""

from __future__ import annotations

import typing as t
from collections.abc import Collection, Mapping, Sequence

from .fleet_identity import same_clusters

Result = Mapping[str, t.Any]

TITLES = ("host", "from", "to", "hops", "VMs", "owner", "blockers")


def is_finished(look: Result, *, version: str, registry: str, moves_vms: bool) -> bool:
    """Whether nothing is left to do in a cluster, as far as one read of its status tells.

    Args:
        look: The result of ``kubevirt_info``.
        version: The wanted version; empty where the control plane is not to be moved.
        registry: Where the images are to come from; empty means anywhere.
        moves_vms: Whether running VMs are to be moved.
    """
    kubevirt = look.get("kubevirt")
    if look.get("state") != "healthy" or not kubevirt or kubevirt["held_workload_update_methods"] is not None:
        return False
    if moves_vms and look["workloads"]["outdated"]:
        return False
    if not version:
        return True
    wanted = f"v{version.lstrip('v')}"
    versions = (kubevirt["observed_version"], kubevirt["target_version"], kubevirt["operator_declared_version"])
    return (
        all(one == wanted for one in versions)
        and kubevirt["image_tag"] in (None, wanted)
        and registry in ("", kubevirt["observed_registry"])
    )


def forecast(look: Result, plan: Result, *, finished: bool, problem: str, accept: Collection[str]) -> dict[str, t.Any]:
    """A row of the table.

    Args:
        look: The result of ``kubevirt_info``; without ``state`` where the cluster could not be read.
        plan: The result of ``kubevirt_upgrade`` in check mode; empty where none was made.
        finished: As ``is_finished`` says.
        problem: Why no plan could be made; empty when all is well.
        accept: The findings that must not stop the run.
    """
    against = (
        [*plan.get("findings", ()), *(one for hop in plan.get("path", ()) for one in hop["findings"])]
        if problem
        else []
    )
    blockers = [*_blockers(look.get("findings", ())), *(one for one in _blockers(against) if one not in accept)]
    return {
        "from": str(look.get("from_version") or "-"),
        "to": str(plan.get("to_version") or look.get("from_version") or "-"),
        "hops": len(plan.get("path", ())),
        "vms": look.get("workloads", {}).get("vmis", "-"),
        "owner": ", ".join(one["name"] for one in look.get("owners", ())) or "-",
        "blockers": [*dict.fromkeys(blockers)] or problem.splitlines()[:1],
        "finished": finished,
    }


def fleet_page(forecasts: Mapping[str, Mapping[str, t.Any]], uids: Mapping[str, str]) -> list[str]:
    """The table, and a sentence on what to see in it.

    Args:
        forecasts: Of each host.
        uids: Of each host the UID of the cluster that answered, empty where none did.
    """
    rows = [(host, *_cells(one)) for host, one in forecasts.items()]
    lines = in_columns([TITLES, *rows])
    refused = [host for host, one in forecasts.items() if one["blockers"]]
    finished = sum(bool(one["finished"]) for one in forecasts.values())
    to_do = len(rows) - finished - len(refused)
    lines.append(f"{len(rows)} clusters: {to_do} to do, {finished} finished, {len(refused)} refused.")
    if refused:
        lines.append(f"To be mended first, or left out with --limit: {', '.join(refused)}.")
    return [*lines, *same_clusters(uids)]


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of equal length as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cells(one: Mapping[str, t.Any]) -> list[str]:
    blockers = "finished" if one["finished"] else ", ".join(one["blockers"]) or "-"
    return [str(one[key]) for key in ("from", "to", "hops", "vms", "owner")] + [blockers]


def _blockers(findings: Sequence[Result]) -> list[str]:
    return [one["id"] for one in findings if one["level"] == "blocker"]
