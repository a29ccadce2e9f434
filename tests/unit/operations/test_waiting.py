# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a wait ends: done, failed, stalled or out of time, on a clock that the test moves."""

from __future__ import annotations

import typing as t
from collections.abc import Callable

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import Finding, finding
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.patience import Failing
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.rollout import Stage
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.waiting import (
    LOOK_AGAIN,
    Limits,
    Verdict,
    Waited,
    wait_for,
)


class Time(Clock):
    """Stands still until somebody waits; says what time it is in seconds since the start."""

    def __init__(self, start: float) -> None:
        self.start = start
        self.passed = 0.0

    def now(self) -> float:
        return self.start + self.passed


class Film:
    """A cluster whose changes are known in advance: it takes a second for each look."""

    def __init__(self, time: Time) -> None:
        self._time = time

    def changed(self, timeout: float) -> bool:
        assert timeout == LOOK_AGAIN
        self._time.passed += 1
        return False


Scene = Callable[[int], Verdict]


class Run:
    """One wait over a scene: from a second since the start to the verdict of then."""

    def __init__(self, scene: Scene, limits: Limits, start: float = 1000.0) -> None:
        self.time = Time(start)
        self.said: list[str] = []
        self.waited: Waited = wait_for(
            t.cast(t.Any, Film(self.time)),
            lambda _picture: scene(int(self.time.passed)),
            limits,
            clock=self.time,
            report=self.said.append,
        )

    @property
    def ended(self) -> tuple[str, int]:
        return self.waited.end, int(self.time.passed)


def failure(id: str = "upgrade.image-pull") -> Finding:
    return finding(id, object="Pod kubevirt/a", cause="It fails.", fix="Mend it.")


def failing(patience: float, *ids: str) -> list[Failing]:
    return [Failing(failure(id), patience) for id in ids or ("upgrade.image-pull",)]


def done_from(second: int) -> Scene:
    return lambda now: Verdict([]) if now >= second else Verdict(["more"], movement=now)


LIMITS = Limits(deadline=100, stall=30, hold=15)


@pytest.mark.parametrize("start", [0.0, 1000.0], ids=["a clock that begins at 0", "any clock"])
@pytest.mark.parametrize(
    ("scene", "limits", "expected"),
    [
        (done_from(0), Limits(100, 30), ("done", 0)),
        (done_from(0), LIMITS, ("done", 15)),
        (done_from(7), LIMITS, ("done", 22)),
        (done_from(7), Limits(100, 30, hold=0), ("done", 7)),
        (done_from(99), LIMITS, ("done", 114)),
        (done_from(0), Limits(5, 5, hold=5), ("done", 5)),
        (done_from(0), Limits(1, 1, hold=15), ("done", 15)),
        (done_from(100), LIMITS, ("timeout", 100)),
        (lambda now: Verdict(["more"] if now % 10 == 9 else [], movement=now), LIMITS, ("timeout", 100)),
        (lambda now: Verdict(["more"] if now in (3, 12) else []), LIMITS, ("done", 28)),
    ],
    ids=[
        "at once",
        "held",
        "later and held",
        "later without a hold",
        "the deadline does not cut off the hold",
        "a deadline as short as the hold",
        "a deadline shorter than the hold",
        "too late",
        "never long enough in a row",
        "the hold begins again after each relapse",
    ],
)
def test_done(scene: Scene, limits: Limits, expected: tuple[str, int], start: float) -> None:
    assert Run(scene, limits, start).ended == expected


@pytest.mark.parametrize(
    ("scene", "expected"),
    [
        (lambda now: Verdict(["more"], movement=0), ("stalled", 30)),
        (lambda now: Verdict(["more"]), ("stalled", 30)),
        (lambda now: Verdict(["more"], movement=min(now, 20)), ("stalled", 50)),
        (lambda now: Verdict([f"{now} pods"], movement=0), ("stalled", 30)),
        (lambda now: Verdict(["more"], movement=now // 29), ("timeout", 100)),
        (lambda now: Verdict(["more"], movement=now // 31), ("stalled", 30)),
    ],
    ids=[
        "never",
        "without movement",
        "not after a while",
        "other words alone are no movement",
        "slowly all the time",
        "too slowly",
    ],
)
def test_something_moves(scene: Scene, expected: tuple[str, int]) -> None:
    run = Run(scene, LIMITS)
    assert run.ended == expected
    assert run.waited.missing != []


@pytest.mark.parametrize(
    ("scene", "expected"),
    [
        (lambda now: Verdict(["more"], failing(0)), ("failed", 0)),
        (lambda now: Verdict(["more"], failing(20)), ("failed", 20)),
        (lambda now: Verdict(["more"], failing(60), movement=now), ("failed", 60)),
        (lambda now: Verdict(["more"], failing(20) if now % 20 else (), movement=now), ("timeout", 100)),
        (
            lambda now: Verdict(
                ["more"], failing(20, "upgrade.image-pull" if now < 15 else "upgrade.deployment-failed")
            ),
            ("stalled", 30),
        ),
        (
            lambda now: Verdict(
                ["more"],
                failing(20, "upgrade.image-pull" if now < 15 else "upgrade.deployment-failed"),
                movement=now,
            ),
            ("failed", 35),
        ),
        (
            lambda now: Verdict(
                ["more"],
                [*failing(20, "upgrade.image-pull"), *(failing(25, "upgrade.crash-loop") if now >= 5 else ())][
                    now % 2 :
                ],
                movement=now,
            ),
            ("failed", 30),
        ),
        (lambda now: Verdict([], failing(20)), ("done", 15)),
    ],
    ids=[
        "without patience",
        "lasting",
        "lasting while other things move",
        "passing each time",
        "the stall clock runs while a failure is watched",
        "another failure has its own patience",
        "one that comes and goes does not hide the one that lasts",
        "done before its patience ends",
    ],
)
def test_failing(scene: Scene, expected: tuple[str, int]) -> None:
    run = Run(scene, LIMITS)
    assert run.ended == expected


def test_the_end_says_what_was_missing_and_what_failed() -> None:
    waited = Run(lambda now: Verdict(["first", "second"], failing(5)), LIMITS).waited
    assert waited == Waited("failed", ["first", "second"], [failure()])
    stalled = Run(lambda now: Verdict(["first"], failing(5) if now == 30 else ()), LIMITS).waited
    assert stalled == Waited("stalled", ["first"], [failure()])


def test_where_it_is_is_told_and_when_it_is_done() -> None:
    def scene(now: int) -> Verdict:
        if now == 25:
            return Verdict([])
        component, number = ("operator", 0) if now < 10 else ("handler", 1)
        return Verdict(["more"], movement=now, stage=Stage(component, (number, ""), "more", "more"))

    said = [" ".join(line.split()) for line in Run(scene, Limits(60, 60, hold=5)).said]
    assert said == ["operator more", "handler more", "done, if it stays so for 5 s", "handler more"]


def test_a_failure_is_told_while_it_is_watched() -> None:
    stage = Stage("handler", (0, ""), "more", "more")

    def scene(now: int) -> Verdict:
        return Verdict(["more"], failing(30) if now > 20 else (), movement=now, stage=stage)

    assert Run(scene, LIMITS).said[1:] == ["handler           It fails. The run stops if that lasts 30 s."]
