# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playing cells: how each ended, and what is wrong with that."""

from __future__ import annotations

import contextlib
import queue
import re
import threading
import time
import typing as t
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from tests.faults.matrix import Cell, Kill
from tests.faults.scenarios import Scenario
from tests.faults.stage import Stage, differences
from tests.support.lab import Json, Result, lab_up

BOUND = 480.0
"""Seconds after which a run counts as hanging. Reads are repeated for 120 s, and a request may take 60 s."""
UNTIL_HELD = 120.0
INTO_A_WAIT = 1.0
"""Seconds from the first watch of a wait to the kill."""
_FINDING = re.compile(r"^\[([a-z]+\.[a-z0-9-]+)\]", re.MULTILINE)
_NOT_THE_CAUSE = ("The upgrade to ", "The removal of KubeVirt stopped", "Refused before any change")


@dataclass(frozen=True)
class Ending:
    """How a cell ended.

    Attributes:
        end: ``done``, ``failed``, ``hangs`` or ``not reached``.
        says: A failure's finding, or its first line.
        seconds: Of the run that met the fault.
        wrong: What should have been otherwise; nothing when all is well.
    """

    key: str
    end: str
    says: str = ""
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def as_dict(self) -> Json:
        return asdict(self)


class Undisturbed:
    """What a run leaves that meets no fault; played once for all stages."""

    def __init__(self) -> None:
        self._found: dict[str, Json] = {}
        self._playing = threading.Lock()

    def of(self, scenario: Scenario, play: Callable[[Scenario], Json]) -> Json:
        with self._playing:
            if scenario.name not in self._found:
                self._found[scenario.name] = play(scenario)
            return self._found[scenario.name]


class Player:
    """Plays cells on one stage."""

    def __init__(self, stage: Stage, undisturbed: Undisturbed) -> None:
        self._stage = stage
        self._undisturbed = undisturbed

    def play(self, one: Cell | Kill) -> Ending:
        self._undisturbed.of(one.scenario, self._without_a_fault)
        self._stage.reset(one.scenario)
        return self._killed(one) if isinstance(one, Kill) else self._disturbed(one)

    def _without_a_fault(self, scenario: Scenario) -> Json:
        self._stage.reset(scenario)
        self._stage.proxy.rule({})
        done = self._stage.run(scenario).result(BOUND)
        assert done is not None and done.code == 0, f"without a fault: {done and done.message}"
        return self._stage.fingerprint()

    def _disturbed(self, cell: Cell) -> Ending:
        position = self._stage.proxy.rule(cell.rule)
        started = time.monotonic()
        first = self._stage.run(cell.scenario).result(BOUND)
        seconds = time.monotonic() - started
        was_met = any(event["fault"] for event in self._stage.proxy.seen(position))
        end, says = _end_of(first, was_met)
        wrong = [*_wrong_with(cell, end, first), *self._wrong_after_again(cell.scenario)]
        return Ending(cell.key, end, says, seconds, wrong)

    def _killed(self, kill: Kill) -> Ending:
        proxy = self._stage.proxy
        position = proxy.rule(kill.rule)
        run = self._stage.run(kill.scenario)
        reached = _wait_until(lambda: run.has_ended or self._is_there(kill, position))
        has_ended = run.has_ended
        if kill.moment == "during":
            time.sleep(INTO_A_WAIT)
        run.kill()
        if has_ended or not reached:
            return Ending(kill.key, "not reached", wrong=[f"the run never came to: {kill.at}"])
        started = time.monotonic()
        wrong = self._wrong_after_again(kill.scenario, like=position)
        return Ending(kill.key, "done" if not wrong else "failed", seconds=time.monotonic() - started, wrong=wrong)

    def _is_there(self, kill: Kill, position: int) -> bool:
        is_after = kill.moment == "after" or (kill.moment == "during" and kill.at in kill.scenario.waits)
        awaited = "response" if is_after else "request"
        return any(
            event["event"] == awaited and event["phase"] == kill.at for event in self._stage.proxy.seen(position)
        )

    def _wrong_after_again(self, scenario: Scenario, like: int | None = None) -> list[str]:
        """The fault is gone, and the same command is run again."""
        self._stage.proxy.rule({})
        again = self._stage.run(scenario).result(BOUND)
        if again is None or again.code != 0:
            return [f"run again: {'hangs' if again is None else again.message}"]
        undisturbed = self._undisturbed.of(scenario, self._without_a_fault)
        wrong = differences(undisturbed, self._stage.fingerprint())
        return wrong + (_twice(self._stage.proxy.seen(like), scenario.once) if like is not None else [])


def _end_of(result: Result | None, was_met: bool) -> tuple[str, str]:
    if result is None:
        return "hangs", ""
    if not was_met:
        return "not reached", ""
    if result.code == 0:
        return "done", ""
    return "failed", _words_of(result.message)


def _words_of(message: str) -> str:
    finding = _FINDING.search(message)
    if finding:
        return finding[1]
    lines = [line for line in message.splitlines() if line and not line.startswith(_NOT_THE_CAUSE)]
    return lines[0][:200] if lines else message[:200]


def _wrong_with(cell: Cell, end: str, result: Result | None) -> list[str]:
    if end == "hangs":
        return [f"it had not ended after {BOUND:.0f} s"]
    if end == "not reached":
        return ["the fault met no request"]
    assert result
    if end == "done":
        return [] if cell.may_arrive else ["it says that it is done although the fault lasts"]
    if "Traceback" in result.message or "no result" in result.message:
        return [f"it broke: {result.message}"]
    if not cell.may_say:
        return [f"it ends although the fault passes: {result.message}"]
    return [] if re.search(cell.may_say, result.message) else [f"it does not say {cell.may_say}: {result.message}"]


def _twice(events: Sequence[Json], once: str) -> list[str]:
    """What was done more often than once, by both runs. Of a POST the name is not known; what it made is counted in the end."""
    stored = [
        event for event in events if event["event"] == "response" and 0 < event["status"] < 300 and event["write"]
    ]
    times = Counter(event["url"] for event in stored if event["phase"] == once)
    wrong = [f"done {count} times: {once} {url}" for url, count in times.items() if count > 1]
    wrong += [f"never done: {once}"] if once and not times else []
    created = [event["url"] for event in stored if event["status"] == 201 and event["method"] != "POST"]
    return wrong + [f"{url} was created {created.count(url)} times" for url in {*created} if created.count(url) > 1]


def _wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + UNTIL_HELD
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def play_all(work: Sequence[Cell | Kill], name: str, stages: int, done: Callable[[Ending], t.Any]) -> None:
    """All of them, on so many stages at once; ``done`` gets every ending."""
    waiting: queue.SimpleQueue[Cell | Kill] = queue.SimpleQueue()
    for one in sorted(work, key=lambda one: not getattr(one, "lasting", False)):  # the longest first
        waiting.put(one)
    undisturbed = Undisturbed()
    threads = [
        threading.Thread(target=_play_some, args=(f"{name}-{number}", undisturbed, waiting, done))
        for number in range(stages)
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    finally:  # when it is stopped, each ends the cell that it is at, and its lab
        with contextlib.suppress(queue.Empty):
            while True:
                waiting.get_nowait()
        for thread in threads:
            thread.join()


def _play_some(
    name: str, undisturbed: Undisturbed, waiting: queue.SimpleQueue[Cell | Kill], done: Callable[[Ending], t.Any]
) -> None:
    with lab_up(name, "--api-only") as running, contextlib.closing(Stage(running)) as stage:
        player = Player(stage, undisturbed)
        while True:
            try:
                one = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done(player.play(one))
            except Exception as error:  # the others are still played
                done(Ending(one.key, "failed", "the harness", wrong=[f"{type(error).__name__}: {error}"]))
