# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting: always for a named condition, always with a deadline."""

from __future__ import annotations

import sys
import time
import typing as t
from collections.abc import Callable

T = t.TypeVar("T")

POLL_SECONDS = 0.25


class NotYet(Exception):
    """Raised by a condition to say why it does not hold yet."""


class TimedOut(Exception):
    """A condition did not come to hold before its deadline."""


def say(text: str) -> None:
    """Tell the person at the terminal; standard output stays free for what a command is asked to print."""
    print(text, file=sys.stderr, flush=True)


def wait_for(what: str, condition: Callable[[], T], deadline: float, poll: float = POLL_SECONDS) -> T:
    """What *condition* returns once it is true, at the latest after *deadline* seconds; else :class:`TimedOut`."""
    started = time.monotonic()
    announced = False
    while True:
        reason = ""
        try:
            if result := condition():
                if announced:
                    say(f"  {what}: {time.monotonic() - started:.1f} s")
                return result
        except NotYet as not_yet:
            reason = str(not_yet)
        if time.monotonic() - started > deadline:
            raise TimedOut(f"{what}: not after {deadline:.0f} s{': ' if reason else ''}{reason}")
        if not announced:
            say(f"waiting for {what} (at most {deadline:.0f} s)")
            announced = True
        time.sleep(poll)
