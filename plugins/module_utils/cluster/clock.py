# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Time, handed in so that tests can move it."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone


class Clock:
    """The machine's own time."""

    def now(self) -> float:
        """Seconds that only grow, for measuring."""
        return time.monotonic()

    def utc(self) -> datetime:
        """The date and time of the day, in UTC."""
        return datetime.now(timezone.utc)

    def pause(self, seconds: float) -> None:
        """Let ``seconds`` pass. Callers bound how often."""
        threading.Event().wait(seconds)
