# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What a person is told of a wait, and when: a line for each change that matters, few in all."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

from ..knowledge.pace import Pace, in_words
from ..knowledge.rollout import Position, Stage
from .outcome import Report

_Change = tuple[Position, str, bool]
"""To which stage, for what sort of reason, and whether pods were lost."""

COLUMN = 16
"""The width of the usual components; the longest of them is virt-exportproxy."""
CALM = 10.0
"""Seconds for which something other than progress must last before it is told."""
GAP = 5.0
"""Seconds between two lines about the progress of one component."""
MILESTONES = 10
"""Lines about the progress of one component, at most, besides the one about its first pod."""


class Teller:
    """Tells of the stages of one wait.

    A stage that was not reached before is told at once. So is progress in it, unless the last line is younger than ``GAP``
    seconds: the first of its pods, then each pod of up to ten, or else about each tenth of them. So a DaemonSet of 1,000 nodes
    gives a dozen lines. What is waited for just then is left out.

    Everything else, such as another reason to wait, pods that are lost again or a stage that comes back, is told when it has
    lasted for ``CALM`` seconds, and each further time it must last twice as long as before. So what comes and goes within
    seconds gives no line, and what swings to and fro gives fewer and fewer.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._pace = Pace()
        self._last: Stage | None = None
        self._furthest: Position = (-1, "")
        self._most: dict[Position, int] = {}
        self._change: _Change = (self._furthest, "", False)
        self._since = self._told = 0.0
        self._times: Counter[_Change] = Counter()

    def __call__(self, stage: Stage, now: float) -> None:
        """Take in the stage of ``now``, in seconds, and tell it if it is time to."""
        self._pace.look(stage, now)
        self._most[stage.position] = max(stage.left, self._most.get(stage.position, 0))
        change = (stage.position, stage.sort, self._has_fallen_back(stage))
        if change != self._change:
            self._change, self._since = change, now
        if self._is_other(stage) and now - max(self._since, self._told) >= CALM * 2 ** self._times[change]:
            self._times[change] += 1
            self._tell(stage, now)
        elif self._is_progress(stage, now):
            self._tell(replace(stage, reason="", sort="") if stage.pods else stage, now)

    def _tell(self, stage: Stage, now: float) -> None:
        self._last, self._told, self._furthest = stage, now, max(self._furthest, stage.position)
        self._report(line_of(stage, self._pace.seconds_left(stage, now)))

    def _is_progress(self, stage: Stage, now: float) -> bool:
        last = self._last
        if last is None or stage.position > self._furthest:
            return True
        if stage.position != last.position or now - self._told < GAP:
            return False
        is_first = last.left == self._most[stage.position] > stage.left
        return is_first or self._milestone(stage) < self._milestone(last)

    def _is_other(self, stage: Stage) -> bool:
        """Whether it is another stage than the last one told, or for another reason, or pods were lost."""
        last = self._last
        if last is None or stage.position != last.position or self._has_fallen_back(stage):
            return True
        return stage.sort not in ("", last.sort)

    def _has_fallen_back(self, stage: Stage) -> bool:
        last = self._last
        return last is not None and stage.position == last.position and self._milestone(stage) > self._milestone(last)

    def _milestone(self, stage: Stage) -> int:
        """Tenths that are left, rounded up, so that 0 is the end."""
        return math.ceil(MILESTONES * stage.left / max(self._most[stage.position], MILESTONES))


def line_of(stage: Stage, seconds_left: float | None) -> str:
    """The stage in one line: the component in a column, how many pods, how long, and what it waits for."""
    guess = "" if seconds_left is None else f", {in_words(seconds_left)}"
    component = f"{stage.component:<{COLUMN}}  " if stage.component else ""
    if not stage.pods:
        return f"{component}{stage.reason}{guess}"
    done = f"{stage.pods - stage.left} of {stage.pods} pods new and ready"
    return f"{component}{done}{guess}{f'; {stage.reason}' if stage.reason else ''}"
