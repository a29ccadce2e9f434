# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. How long a wait will still take, judged by its stages so far."""

from __future__ import annotations

from dataclasses import dataclass

from .rollout import Stage

_WITH_CANARY = "DaemonSet"
"""virt-operator lets the first pod of virt-handler go alone, so it says nothing about the others."""


@dataclass
class _Span:
    """What a stage has done since ``began``, up to ``last``."""

    began: float
    last: float
    left: int
    waits_for_canary: bool
    done: int = 0


class Pace:
    """Learns from each look how long a thing of a kind takes, and says how long the rest will take."""

    def __init__(self) -> None:
        self._spans: dict[tuple[str, str], _Span] = {}

    def look(self, stage: Stage, now: float) -> None:
        """Take in what is left in the stage at ``now``, in seconds."""
        if not stage.rest:
            return
        kind, left = stage.rest[0]
        span = self._spans.setdefault((kind, stage.component), _Span(now, now, left, kind == _WITH_CANARY))
        if left < span.left:
            if span.waits_for_canary:
                span.began, span.waits_for_canary = now, False
            else:
                span.done += span.left - left
            span.last, span.left = now, left

    def seconds_left(self, stage: Stage, now: float) -> float | None:
        """How long the rest will take.

        None as long as nothing of one of its kinds was done in this wait, and while this stage is much slower than that.
        """
        each = {kind: self._seconds_each(kind) for kind, count in stage.rest if count}
        if not each or any(seconds is None for seconds in each.values()):
            return None
        span = self._spans.get((stage.rest[0][0], stage.component))
        if span and span.left and now - span.last > 2 * (each.get(stage.rest[0][0]) or 0):
            return None
        return sum(count * (each[kind] or 0) for kind, count in stage.rest if count)

    def _seconds_each(self, kind: str) -> float | None:
        """As in the latest stage that did such a thing."""
        spans = [span for (its_kind, _component), span in self._spans.items() if its_kind == kind and span.done]
        return (spans[-1].last - spans[-1].began) / spans[-1].done if spans else None


def in_words(seconds: float) -> str:
    """A duration as a guess is told: about 2 min left."""
    minutes = max(1, round(seconds / 60))
    if seconds < 45:
        return "less than 1 min left"
    return f"about {minutes} min left" if minutes < 90 else f"about {round(minutes / 60)} h left"
