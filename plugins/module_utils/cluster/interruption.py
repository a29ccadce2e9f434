# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The end of a run by a signal, as an exception, so that what has to be cleaned up is."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

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
