# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The memory of ansible-playbook while it waits for many clusters: PSS, in which what processes share is counted once in all."""

from __future__ import annotations

import threading
import typing as t
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.support.beside import beside

PROC = Path("/proc")
LOOK_EVERY = 10.0
"""Seconds. A process that was there at the last look too is taken for one that waits."""


@dataclass(frozen=True)
class Look:
    """The processes of ansible-playbook at one moment.

    Attributes:
        workers: How many processes it has forked, one for each cluster that it works on.
        waiting: How many of them were there at the look before.
        mb: The PSS of all, its own too.
    """

    workers: int
    waiting: int
    mb: float


def looking(wrapper: int, looks: list[Look]) -> AbstractContextManager[None]:
    """Look at ansible-playbook, the child of the wrapper, again and again, until the block ends."""

    def look(over: threading.Event) -> None:
        before: set[int] = set()
        while not over.wait(LOOK_EVERY):
            playbook = children(wrapper)
            workers = {pid for parent in playbook for pid in children(parent)}
            mb = sum(pss_of(pid) for pid in [*playbook, *workers])
            looks.append(Look(len(workers), len(workers & before), mb))
            before = workers

    return beside(look)


def largest_batch(looks: Iterable[Look]) -> Look:
    """Of the looks at which the most clusters were waited for, and nothing else was done, the one with the most memory."""
    return max((look for look in looks if look.waiting == look.workers), key=lambda look: (look.waiting, look.mb))


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
