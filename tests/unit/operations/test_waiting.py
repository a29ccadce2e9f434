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
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.rollout import Stage
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.tolerance import Failing
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
    """A cluster whose changes are known in advance: it takes a second for each look.

    ``troubles`` are the seconds in which it cannot be read.
    """

    def __init__(self, time: Time, troubles: range = range(0)) -> None:
        self._time = time
        self._troubles = troubles
        self.looked_again: list[int] = []

    @property
    def trouble(self) -> str:
        return "It is away." if int(self._time.passed) in self._troubles else ""

    def look_again(self) -> None:
        self.looked_again.append(int(self._time.passed))

    def changed(self, timeout: float) -> bool:
        assert timeout == LOOK_AGAIN
        self._time.passed += 1
        return False


Scene = Callable[[int], Verdict]


class Run:
    """One wait over a scene: from a second since the start to the verdict of then."""

    def __init__(self, scene: Scene, limits: Limits, start: float = 1000.0, troubles: range = range(0)) -> None:
        self.time = Time(start)
        self.said: list[str] = []
        self.film = Film(self.time, troubles)
        self.waited: Waited = wait_for(
            t.cast(t.Any, self.film),
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


@pytest.mark.parametrize(
    ("scene", "end", "looks"),
    [
        (done_from(0), "done", [15]),
        (done_from(7), "done", [22]),
        (lambda now: Verdict(["more"]), "stalled", [30]),
        (lambda now: Verdict(["more"], failing(20)), "failed", [20]),
        (done_from(100), "timeout", []),
    ],
)
def test_everything_is_listed_once_more_before_a_verdict_and_at_no_other_time(
    scene: Scene, end: str, looks: list[int]
) -> None:
    run = Run(scene, LIMITS)
    assert (run.waited.end, run.film.looked_again) == (end, looks)


@pytest.mark.parametrize(
    ("quiet", "truth", "expected"),
    [
        (Verdict([]), Verdict(["more"], movement=1), ("stalled", 45)),
        (Verdict(["more"]), Verdict(["more"], movement=1), ("stalled", 60)),
        (Verdict(["more"]), Verdict([], movement=1), ("done", 45)),
        (Verdict(["more"], failing(20)), Verdict([], movement=1), ("done", 35)),
        (Verdict(["more"], failing(20)), Verdict(["more"], movement=1), ("stalled", 50)),
    ],
    ids=[
        "not done after all",
        "something moved",
        "done instead of stalled",
        "done instead of failed",
        "a failure that is over",
    ],
)
def test_a_picture_that_only_looked_quiet_is_not_believed(
    quiet: Verdict, truth: Verdict, expected: tuple[str, int]
) -> None:
    time = Time(1000.0)
    film = Film(time)
    waited = wait_for(
        t.cast(t.Any, film),
        lambda _picture: truth if film.looked_again else quiet,
        LIMITS,
        clock=time,
        report=lambda _line: None,
    )
    assert (waited.end, int(time.passed)) == expected


class TestTrouble:
    """While the cluster cannot be read."""

    def test_its_absence_ends_the_wait_as_a_stall_and_is_the_reason(self) -> None:
        run = Run(lambda now: Verdict(["more"], movement=min(now, 10)), LIMITS, troubles=range(10, 999))
        assert run.ended == ("stalled", 40)
        assert run.waited.missing == ["It is away.", "more"]
        assert run.film.looked_again == []

    def test_or_as_a_timeout(self) -> None:
        run = Run(lambda now: Verdict(["more"], movement=now), LIMITS, troubles=range(10, 999))
        assert run.ended == ("timeout", 100)
        assert run.waited.missing == ["It is away.", "more"]

    def test_it_is_said_once(self) -> None:
        run = Run(lambda now: Verdict(["It is away."]), LIMITS, troubles=range(0, 999))
        assert run.waited.missing == ["It is away."]

    def test_a_failure_does_not_count(self) -> None:
        scene: Scene = lambda now: Verdict(["more"], failing(5) if now < 40 else (), movement=now)  # noqa: E731
        assert Run(scene, LIMITS, troubles=range(0, 40)).ended == ("timeout", 100)
        assert Run(scene, LIMITS, troubles=range(0, 20)).ended == ("failed", 20)

    def test_nothing_is_done(self) -> None:
        assert Run(done_from(0), LIMITS, troubles=range(0, 20)).ended == ("done", 20)
        assert Run(done_from(0), LIMITS, troubles=range(0, 999)).ended == ("stalled", 30)
