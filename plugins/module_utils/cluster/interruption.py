# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The end of a run by a signal, as an exception, so that what has to be cleaned up is."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .clock import Clock

HOW_TO_GO_ON = "What was done stays done. To go on, run the same again: it starts from the state of the cluster."


class Interrupted(BaseException):
    """A signal asked for the end. ``str()`` is its name. Not an Exception, so that only ``finally`` sees it on its way."""


def _is_ending(_number: int, _frame: FrameType | None) -> None:
    """Nothing: this process is ending already."""


@contextmanager
def interruptible() -> Iterator[None]:
    """A signal to end raises Interrupted, and further ones cannot cut off what cleans up then.

    By default such a signal ends a worker at once, without any ``finally``. Afterwards Ansible goes on with the next item of a loop, or
    the next attempt, in the same process: none begins any more.
    """
    signals = (signal.SIGINT, signal.SIGTERM)
    if signal.getsignal(signal.SIGTERM) is _is_ending:
        raise Interrupted("the signal that stopped this task")

    def interrupt(number: int, _frame: FrameType | None) -> None:
        for one in signals:
            signal.signal(one, _is_ending)
        raise Interrupted(signal.Signals(number).name)

    before = {one: signal.signal(one, interrupt) for one in signals}
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is interrupt:
            for one, handler in before.items():
                signal.signal(one, handler)


class Ending:
    """That work in threads is to end. A signal reaches the main thread only."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._by = ""

    def ask_for(self, by: str) -> None:
        """Let all end. ``by``: what asks for it."""
        self._by = by
        self._asked.set()

    def wait(self, seconds: float) -> None:
        """Let ``seconds`` pass, or raise Interrupted as soon as the end is asked for."""
        if self._asked.wait(seconds):
            raise Interrupted(self._by)


class InterruptibleClock(Clock):
    """Time for one operation in a thread, the one in which this is made: what a signal does to it is done here.

    Interrupted is raised once, so what cleans up then can look at the clock too. Other threads of the operation are not concerned.
    """

    def __init__(self, ending: Ending) -> None:
        self._ending: Ending | None = ending
        self._thread = threading.get_ident()

    def now(self) -> float:
        """Seconds that only grow, for measuring."""
        self._let_pass(0)
        return super().now()

    def pause(self, seconds: float) -> None:
        """Let ``seconds`` pass. Callers bound how often."""
        if not self._let_pass(seconds):
            super().pause(seconds)

    def _let_pass(self, seconds: float) -> bool:
        """Whether this thread may still be interrupted, and the seconds have passed."""
        if self._ending is None or threading.get_ident() != self._thread:
            return False
        try:
            self._ending.wait(seconds)
        except Interrupted:
            self._ending = None
            raise
        return True
