# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Time, handed in so that tests can move it."""

from __future__ import annotations

import datetime
import threading
import time


class Clock:
    """The machine's own time."""

    def now(self) -> float:
        """Seconds that only grow, for measuring."""
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        """Let ``seconds`` pass. Callers bound how often."""
        threading.Event().wait(seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Let ``seconds`` pass, or fewer if the event happens; whether it has."""
        return event.wait(seconds)

    def utc(self) -> datetime.datetime:
        """The time of day, for people to read. Clocks of two machines differ: never compare it with another one's."""
        return datetime.datetime.now(datetime.timezone.utc)
