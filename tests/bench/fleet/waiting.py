# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The memory of ansible-playbook while it waits for many clusters: PSS, in which what processes share is counted once in all."""

from __future__ import annotations

import re
import threading
import time
import typing as t
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.runs import Line
from tests.support.beside import beside

PROC = Path("/proc")
LOOK_EVERY = 5.0
"""Seconds."""
WAITS = re.compile(r"\[(?P<host>[^]]+)\] +[0-9:]+ +[0-9]+/[0-9]+ wait ")
"""A line that the operation prints while it waits for a cluster."""


@dataclass(frozen=True)
class Look:
    """The memory of ansible-playbook at one moment.

    Attributes:
        at: When, as ``time.time()`` says it.
        mb: The PSS of all its processes, its own too.
    """

    at: float
    mb: float


@dataclass(frozen=True)
class Batch:
    """The clusters that are waited for at one moment, and the memory that this takes."""

    waiting: int
    mb: float


def looking(wrapper: int, looks: list[Look]) -> AbstractContextManager[None]:
    """Look at ansible-playbook, the child of the wrapper, again and again, until the block ends."""

    def look(over: threading.Event) -> None:
        while not over.wait(LOOK_EVERY):
            looks.append(Look(time.time(), sum(map(pss_of, descendants(wrapper)))))

    return beside(look)


def largest_batch(looks: Iterable[Look], lines: Iterable[Line]) -> Batch:
    """Of the moments at which the most clusters were waited for, by the lines about them, the one with the most memory."""
    times: dict[str, list[float]] = {}
    for line in lines:
        if match := WAITS.match(line.text):
            times.setdefault(match["host"], []).append(line.at)
    batches = [Batch(sum(min(of) <= look.at <= max(of) for of in times.values()), look.mb) for look in looks]
    return max(batches, key=lambda batch: (batch.waiting, batch.mb))


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that these have."""
    started = children(pid)
    return [*started, *(one for child in started for one in descendants(child))]


def children(pid: int) -> list[int]:
    """The processes that a process has started and that are still there."""
    return [int(child) for file in _read(f"{pid}/task/*/children") for child in file.split()]


def pss_of(pid: int) -> float:
    """The PSS of a process in MB; 0 when it has ended."""
    return sum(pss_in(file) for file in _read(f"{pid}/smaps_rollup"))


def pss_in(rollup: str) -> float:
    """MB of what /proc/PID/smaps_rollup says."""
    lines: Sequence[t.Sequence[str]] = [line.split() for line in rollup.splitlines()]
    return sum(int(line[1]) for line in lines if line[0] == "Pss:") / 1024


def _read(pattern: str) -> Iterator[str]:
    """What the files hold; those of a process that has ended are gone."""
    for file in PROC.glob(pattern):
        try:
            yield file.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
