# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long after an event its line comes out of ansible-playbook.

Which line is due at which event is what the collection's own wait says of the events that the watcher saw, at the times when
the watcher saw them. So the time is the watcher's, and only the wording is the collection's.
"""

from __future__ import annotations

import math
import re
import typing as t
from collections.abc import Sequence

from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.hop import HopJudge
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.waiting import Limits, wait_for

from tests.bench.runs import Hop, Line
from tests.bench.table import Figure
from tests.bench.upgrade_time import HOLD, done_for_good
from tests.bench.watcher import WATCHED, Event
from tests.support.kubevirt import TO
from tests.support.lab import Json

GOAL = 1.0
PROGRESS = re.compile(r"\[\S+\] +\S+ +(?:\d/\d +)?wait:? +(?P<words>.*)")
"""A line about the wait: host, time, phase, words."""
LATE_WATCHER = 1.0
"""The watcher may see an event so many seconds after the collection has."""


def figures(hop: Hop) -> list[Figure]:
    """Of the lines about the wait; the first one says that it begins, and no event is its cause."""
    printed = progress(hop.played.lines)
    due = due_lines(hop.events, since=printed[0].at)
    found = sorted(lags(printed[1:], due))
    assert found, "no line fits what the watcher saw"
    done = next(line for line in reversed(printed) if line.text.startswith("done"))
    return [
        Figure("lag of a line after its event, p95", found[math.ceil(0.95 * len(found)) - 1], "s", goal=GOAL),
        Figure("the same, median", found[len(found) // 2], "s"),
        Figure("lines that it is of", len(found)),
        Figure("lines that fit no event of the watcher", len(printed) - 1 - len(found)),
        Figure("from KubeVirt's own done to the line that says so", done.at - done_for_good(hop.events), "s"),
    ]


def progress(lines: Sequence[Line]) -> list[Line]:
    """The lines about what is waited for, what they are about alone."""
    return [Line(line.at, subject(match["words"])) for line in lines if (match := PROGRESS.match(line.text))]


def due_lines(events: Sequence[Event], since: float) -> list[Line]:
    """What the wait would print, fed with these events at their times."""
    replay: t.Any = Replay(events, since)
    due: list[Line] = []
    endless = Limits(math.inf, math.inf, HOLD)
    wait_for(
        replay,
        HopJudge("kubevirt", TO),
        endless,
        clock=replay,
        report=lambda words: due.append(Line(replay.now(), subject(words))),
    )
    return due


def subject(words: str) -> str:
    """What a line is about, such as a component with its number of pods, without what it adds after a comma or semicolon."""
    return " ".join(re.split("[,;]", words)[0].split())


def lags(printed: Sequence[Line], due: Sequence[Line]) -> list[float]:
    """For each printed line, how long ago the last event was at which it was due; both in their order."""
    found, used = [], -1
    for line in printed:
        fitting = [i for i in range(used + 1, len(due)) if due[i].text == line.text]
        before = [i for i in fitting if due[i].at <= line.at]
        after = [i for i in fitting if line.at < due[i].at <= line.at + LATE_WATCHER]
        if before or after:
            used = before[-1] if before else after[0]
            found.append(max(0.0, line.at - due[used].at))
    return found


class Replay:
    """The picture that the events draw, and the clock that shows when each came; at the end time runs out."""

    trouble = ""

    def __init__(self, events: Sequence[Event], since: float) -> None:
        self._objects: dict[str, dict[str, Json]] = {source: {} for source in WATCHED}
        self._coming = [event for event in reversed(events) if event.at > since]
        self._now = since
        for event in events:
            if event.at <= since:
                self._take_in(event)

    def objects(self, source: str) -> list[Json]:
        return [*self._objects[source].values()]

    @property
    def edition(self) -> int:
        """Another one after each event."""
        return len(self._coming)

    def now(self) -> float:
        return self._now

    def changed(self, timeout: float) -> None:
        """The next event, or so many seconds without one."""
        if not self._coming:
            self._now = math.inf
        elif self._coming[-1].at > self._now + timeout:
            self._now += timeout
        else:
            event = self._coming.pop()
            self._now = event.at
            self._take_in(event)

    def look_again(self) -> None:
        """All that there is is known."""

    def _take_in(self, event: Event) -> None:
        name = event.object["metadata"]["name"]
        if event.type == "DELETED":
            self._objects[event.source].pop(name, None)
        else:
            self._objects[event.source][name] = event.object
