# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same work for many hosts at once, and its end by a signal."""

from __future__ import annotations

import signal
import threading
import typing as t
from contextvars import ContextVar

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.interruption import (
    Ending,
    Interrupted,
    InterruptibleClock,
)
from ansible_collections.kubevirt.lifecycle.plugins.plugin_utils import side_by_side as side_by_side_module
from ansible_collections.kubevirt.lifecycle.plugins.plugin_utils.side_by_side import FILES_EACH, side_by_side

LONG = 60.0
"""Seconds, for what is not to be waited for."""
TASK: ContextVar[str] = ContextVar("TASK")


@pytest.fixture(autouse=True)
def handlers() -> t.Iterator[None]:
    """The handlers of signals as they were, afterwards."""
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


def test_each_host_has_its_result_and_so_many_are_worked_on_at_once() -> None:
    together, most = threading.Barrier(3), []
    TASK.set("the task")

    def work(host: str, _ending: Ending) -> str:
        together.wait(LONG)
        most.append(threading.active_count())
        return f"{TASK.get()} on {host}"

    before = threading.active_count()
    results = side_by_side(work, [f"c{number}" for number in range(6)], at_once=3)
    assert results == {f"c{number}": f"the task on c{number}" for number in range(6)}
    assert max(most) == before + 3


def test_no_more_are_worked_on_at_once_than_files_may_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(64, 4 * FILES_EACH - 1)]
    monkeypatch.setattr(side_by_side_module.resource, "getrlimit", lambda _which: limits[-1])
    monkeypatch.setattr(side_by_side_module.resource, "setrlimit", lambda _which, to: limits.append(to))
    at_work: list[str] = []
    most: list[int] = []

    def work(host: str, ending: Ending) -> None:
        at_work.append(host)
        most.append(len(at_work))
        InterruptibleClock(ending).pause(0.05)
        at_work.remove(host)

    side_by_side(work, [f"c{number}" for number in range(12)], at_once=50)
    assert (max(most), limits[1:]) == (3, [(4 * FILES_EACH - 1,) * 2])


def test_without_hosts_there_is_nothing_to_do() -> None:
    assert side_by_side(lambda _host, _ending: "", [], at_once=0) == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_goes_on_to_all_also_to_what_has_not_begun(number: signal.Signals) -> None:
    begun: list[str] = []

    def work(host: str, ending: Ending) -> str:
        clock = InterruptibleClock(ending)
        try:
            clock.now()
            begun.append(host)
            if len(begun) == 2:
                signal.pthread_kill(t.cast(int, threading.main_thread().ident), number)
            clock.pause(LONG)
        except Interrupted as interrupted:
            return f"stopped by {interrupted}"
        return "not stopped"

    results = side_by_side(work, ["c0", "c1", "c2", "c3"], at_once=2)
    assert results == dict.fromkeys(("c0", "c1", "c2", "c3"), f"stopped by {number.name}")
    assert sorted(begun) == ["c0", "c1"]


def test_the_end_of_the_tasks_time_ends_all_too() -> None:
    class OutOfTime(BaseException):
        """As Ansible raises it in the main thread, by SIGALRM."""

    def end(_number: int, _frame: object) -> None:
        raise OutOfTime

    def work(_host: str, ending: Ending) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Interrupted, match="the end of the task's time"):
            InterruptibleClock(ending).pause(LONG)

    before = signal.signal(signal.SIGALRM, end)
    try:
        with pytest.raises(OutOfTime):
            side_by_side(work, ["c0", "c1"], at_once=2)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_what_cleans_up_and_other_threads_are_not_interrupted() -> None:
    ending = Ending()
    clock = InterruptibleClock(ending)
    clock.pause(0)
    begin = clock.now()
    ending.ask_for("SIGTERM")
    seen: list[float] = []
    other = threading.Thread(target=lambda: (clock.pause(0), seen.append(clock.now())))
    other.start()
    other.join(LONG)
    assert seen[0] >= begin
    with pytest.raises(Interrupted, match="SIGTERM"):
        clock.pause(LONG)
    clock.pause(0)
    assert clock.now() >= seen[0]
