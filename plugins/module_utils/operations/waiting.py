# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Waiting for a cluster to become what was asked for, with an end in every case.

Two clocks run: a deadline for the whole wait, and a stall clock that starts again whenever something moves.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace

from ..cluster.clock import Clock
from ..cluster.watch import Picture
from ..knowledge.findings import Finding
from ..knowledge.rollout import Stage
from ..knowledge.tolerance import Failing
from .outcome import Report
from .telling import Teller

LOOK_AGAIN = 1.0
"""Seconds after which the clocks are read again although nothing changed."""
DONE = (10, "")
"""The position after all others."""


@dataclass(frozen=True)
class Verdict:
    """What one look at the cluster says.

    Attributes:
        missing: What is still missing, most telling first; empty when done.
        failures: What fails, the likely cause first, each with how long it may be there in a row before it counts.
        movement: Changes whenever something moves; for the stall clock.
        stage: Where the wait is, to be told; None where there is nothing to tell.
    """

    missing: list[str]
    failures: Sequence[Failing] = ()
    movement: Hashable = None
    stage: Stage | None = None


End = t.Literal["done", "failed", "stalled", "timeout"]


@dataclass(frozen=True)
class Limits:
    """How long to wait, in seconds.

    Attributes:
        deadline: For all of it.
        stall: Without any movement.
        hold: For how long it must stay done before it counts.
    """

    deadline: float
    stall: float
    hold: float = 0.0

    def that_ended(self, end: End) -> float:
        """The one that has run out where a wait stalled or timed out."""
        return self.stall if end == "stalled" else self.deadline


@dataclass(frozen=True)
class Waited:
    """How a wait ended: ``done``, ``failed``, ``stalled`` or ``timeout``.

    Attributes:
        missing: What was still missing.
        failures: What lasted too long; where the wait stalled or timed out, what failed just then. The likely cause first.
    """

    end: End
    missing: list[str] = field(default_factory=list)
    failures: list[Finding] = field(default_factory=list)


def wait_for(
    picture: Picture, judge: Callable[[Picture], Verdict], limits: Limits, *, clock: Clock, report: Report
) -> Waited:
    """Look at every change until it is done, failed, or one of the clocks has run out.

    None of it is believed of a picture that only looks quiet: before ``done``, ``failed`` or ``stalled`` everything is listed once
    more. While the picture is old, nothing is done and nothing has failed; only the clocks run. The deadline does not cut off a hold
    that has begun. Where the wait is is told as ``Teller`` says.
    """
    started = moved = clock.now()
    done_since: float | None = None
    since: dict[str, float] = {}
    movement: Hashable = None
    tell = Teller(report)
    verdict = Verdict([])
    sure = False
    while (now := clock.now()) - started < limits.deadline or done_since is not None:
        verdict = judge(picture)
        if verdict.movement != movement:
            movement, moved = verdict.movement, now
        since = {one.finding.id: since.get(one.finding.id, now) for one in verdict.failures}
        lasting = [one.finding for one in verdict.failures if now - since[one.finding.id] >= one.patience]
        if verdict.missing:
            done_since = None
        elif done_since is None:
            done_since = now
        end: End | None = "stalled" if (verdict.missing or picture.trouble) and now - moved >= limits.stall else None
        if not picture.trouble:
            if lasting:
                end = "failed"
            elif done_since is not None and now - done_since >= limits.hold:
                end = "done"
        if end is not None and (sure or picture.trouble):
            return _waited(end, verdict, picture, lasting if end == "failed" else _findings(verdict))
        sure = end is not None
        if sure:
            picture.look_again()
            continue
        if done_since is not None:
            tell(Stage("", DONE, f"done, if it stays so for {limits.hold:.0f} s", "done"), now)
        elif verdict.stage:
            tell(_with_failure(verdict.stage, verdict), now)
        picture.changed(LOOK_AGAIN)
    return _waited("timeout", verdict, picture, _findings(verdict))


def _waited(end: End, verdict: Verdict, picture: Picture, failures: list[Finding]) -> Waited:
    if end == "done":
        return Waited(end)
    trouble = [picture.trouble] if picture.trouble and picture.trouble not in verdict.missing[:1] else []
    return Waited(end, [*trouble, *verdict.missing], failures)


def _findings(verdict: Verdict) -> list[Finding]:
    return [one.finding for one in verdict.failures]


def _with_failure(stage: Stage, verdict: Verdict) -> Stage:
    """The stage; where something fails, with that, and how long it may."""
    if not verdict.failures:
        return stage
    first = verdict.failures[0]
    told = f"{first.finding.cause} The run stops if that lasts {first.patience:.0f} s. {first.finding.evidence}"
    return replace(stage, reason=told.strip(), sort=first.finding.id)
