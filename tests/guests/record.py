# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the record of a client says about each phase of a run, and the table of that."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

FEWEST = 20
"""With fewer answers on a channel, a phase shows nothing."""


@dataclass(frozen=True)
class Said:
    """A line of the record: an answer, or an error.

    Attributes:
        at: When, in seconds since 1970.
        connection: Which connection of its channel, from 1 on; None if none could be made.
        error: Empty for an answer.
    """

    at: float
    guest: str
    channel: str
    connection: int | None
    error: str = ""
    boot_id: str = ""
    counter: int = 0
    ms: float = 0.0


@dataclass(frozen=True)
class Phase:
    """A part of a run.

    Attributes:
        name: What was done.
        begin: When it began, in seconds since 1970.
        end: When it was over.
        reboots: Whether the guests must be started anew in it, instead of running on.
    """

    name: str
    begin: float
    end: float
    reboots: bool = False


@dataclass(frozen=True)
class Row:
    """What the clients of one guest noticed in one phase.

    Attributes:
        seconds: How long the phase took.
        nodes: Where the guest ran before and after it.
        boots: How many boot ids the guest gave.
        answers: How many answers came, on all channels.
        broken: How many connections broke.
        refused: How often no connection could be made.
        gap: The longest time without an answer on a channel, in milliseconds.
        back: How often the guest's counter did not go up from one answer to the next: its memory was lost.
        silent: The channels with hardly an answer.
    """

    phase: str
    guest: str
    reboots: bool
    seconds: int
    nodes: tuple[str, str]
    boots: int
    answers: int
    broken: int
    refused: int
    gap: int
    back: int
    silent: tuple[str, ...]

    @property
    def wrong(self) -> list[str]:
        """What is not as promised."""
        boots = 2 if self.reboots else 1
        found = [f"no answers on {channel}" for channel in self.silent]
        if self.boots != boots:
            found.append(f"{self.boots} boot ids and not {boots}")
        if not self.reboots:
            amounts = {"connections broken": self.broken, "connections refused": self.refused}
            amounts["times the counter went back"] = self.back
            found += [f"{amount} {what}" for what, amount in amounts.items() if amount]
        return found


def parsed(lines: Iterable[str]) -> list[Said]:
    """The record; its last line may be cut off."""
    return [_said(json.loads(line)) for line in lines if line.endswith("\n")]


def _said(line: dict[str, t.Any]) -> Said:
    return Said(
        line["at"],
        line["guest"],
        line["channel"],
        line.get("connection"),
        line.get("broken") or line.get("refused") or "",
        line.get("boot_id", ""),
        line.get("counter", 0),
        line.get("ms", 0.0),
    )


def row_of(record: Sequence[Said], phase: Phase, guest: str, nodes: tuple[str, str]) -> Row:
    """What the clients of a guest noticed in a phase. A gap that reaches into it counts whole."""
    own = [one for one in record if one.guest == guest]
    channels = sorted({one.channel for one in own})
    within = [one for one in own if phase.begin <= one.at <= phase.end]
    answers = [one for one in within if not one.error]
    boots = [one.boot_id for one in answers if one.boot_id]
    counted = [one for one in answers if one.channel == "http"]
    amounts = {channel: sum(one.channel == channel for one in answers) for channel in channels}
    return Row(
        phase=phase.name,
        guest=guest,
        reboots=phase.reboots,
        seconds=round(phase.end - phase.begin),
        nodes=nodes,
        boots=len({*boots}),
        answers=len(answers),
        broken=sum(bool(one.error) and one.connection is not None for one in within),
        refused=sum(bool(one.error) and one.connection is None for one in within),
        gap=max(
            (_longest_gap([one for one in own if one.channel == channel], phase) for channel in channels), default=0
        ),
        back=sum(a.boot_id == b.boot_id and b.counter <= a.counter for a, b in pairwise(counted)),
        silent=tuple(channel for channel in channels if amounts[channel] < FEWEST) if channels else ("any channel",),
    )


def _longest_gap(own: Sequence[Said], phase: Phase) -> int:
    """The longest time between answers on a channel, with that before the phase's first and after its last one."""
    times = sorted(one.at for one in own if not one.error)
    before = [at for at in times if at < phase.begin][-1:] or [phase.begin]
    after = [at for at in times if at > phase.end][:1] or [phase.end]
    within = [at for at in times if phase.begin <= at <= phase.end]
    return round(1000 * max(b - a for a, b in pairwise([*before, *within, *after])))


def as_json(rows: Iterable[Row]) -> str:
    """Rows for a file."""
    return json.dumps([asdict(row) for row in rows], indent=1) + "\n"


def from_json(text: str) -> list[Row]:
    """Rows of a file."""
    return [Row(**{**one, "nodes": tuple(one["nodes"]), "silent": tuple(one["silent"])}) for one in json.loads(text)]


HEADINGS = ("Phase", "Guest", "Node", "Boot id", "Connections broken", "Longest gap", "Answers", "Took")


def table(rows: Iterable[Row]) -> str:
    """The table of phases and guests, as Markdown that can be read as text."""
    cells = [HEADINGS, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    lines = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in cells]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    node = " → ".join(dict.fromkeys(row.nodes))
    boot = "unchanged" if row.boots == 1 else f"{row.boots - 1} new" if row.boots else "not seen"
    return (row.phase, row.guest, node, boot, str(row.broken), f"{row.gap} ms", str(row.answers), f"{row.seconds} s")
