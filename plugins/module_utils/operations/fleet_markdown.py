# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What became of a fleet as a Markdown document, for a ticket or a mail."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..knowledge.fleet_outcomes import Cluster, Fleet, Found, duration, is_web_address
from .outcome import listed


def fleet_document(fleet: Fleet, generated_at: str) -> str:
    """The document.

    Args:
        fleet: What became of it.
        generated_at: When the report was made, as text.
    """
    return "\n".join(_lines(fleet, generated_at)) + "\n"


def _lines(fleet: Fleet, generated_at: str) -> Iterator[str]:
    yield from (f"# {_plain(fleet.title)}", "", f"**{fleet.verdict}.** Made at {_plain(generated_at)}.", "")
    yield from (f"- {state}: {number}" for state, number in fleet.states.items() if number)
    yield from (f"- VMs moved: {fleet.vms['moved']}", f"- VMs left: {fleet.vms['left']}")
    if fleet.failures:
        yield from ("", "## Failures")
        for one in fleet.failures:
            yield from _failure(one)
    if fleet.clusters:
        yield from ("", "## Clusters", "")
        yield "| cluster | wave | state | from | to | VMs moved | VMs left | time | phases | owner | message |"
        yield "|---|---|---|---|---|---|---|---|---|---|---|"
        yield from map(_row, fleet.clusters)
    if fleet.notes:
        yield from ("", "## Also found", "")
        for note in fleet.notes:
            yield f"- {_name(note.found)}: {_plain(note.found.cause)}"
            yield f"  - Do: {_plain(note.found.fix)}"
            yield f"  - On {len(note.hosts)}: {_plain(listed(note.hosts))}"


def _failure(one: Cluster) -> Iterator[str]:
    yield from ("", f"### {_plain(one.host)}", "")
    if one.endpoint or one.uid:
        yield f"- Cluster: {_plain(one.endpoint)} (uid {_plain(one.uid)})"
    if one.owner:
        yield f"- Owner: {_plain(one.owner)}"
    for found in one.causes:
        yield f"- {_name(found)}, {_plain(found.object)}: {_plain(found.cause)}"
        if found.evidence:
            yield f"  - Seen: {_plain(found.evidence)}"
        yield f"  - Do: {_plain(found.fix)}"
    if one.message:
        yield f"- Message: {_plain(one.message)}"


def _row(one: Cluster) -> str:
    cells = (
        one.host,
        one.wave,
        one.state,
        one.from_version,
        one.to_version,
        "" if one.moved is None else str(one.moved),
        "" if one.left is None else str(one.left),
        "" if one.elapsed is None else duration(one.elapsed),
        ", ".join(f"{phase.name} {duration(phase.seconds)}" for phase in one.phases),
        one.owner,
        "" if one.causes else one.message,
    )
    return f"| {' | '.join(map(_plain, cells))} |"


def _name(found: Found) -> str:
    name = f"[{_plain(found.id)}]({found.url})" if is_web_address(found.url) else _plain(found.id)
    return f"**{_plain(found.level)}** {name}"


def _plain(text: str) -> str:
    """One line in which nothing is taken for Markdown or HTML."""
    return re.sub(r"([\\`*\[\]<>|&])", r"\\\1", " ".join(text.split()))
