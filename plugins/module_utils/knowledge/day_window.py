# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. A window of the day in which something may begin, such as ``22:00-05:00``, in UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time

_FORM = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class DayWindow:
    """From ``start`` on until before ``end``, over midnight where the end is the earlier of the two."""

    start: time
    end: time

    def holds(self, now: datetime) -> bool:
        """Whether this time, in UTC, is within the window."""
        clock = now.time()
        if self.start < self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end

    def __str__(self) -> str:
        return f"from {self.start:%H:%M} to {self.end:%H:%M} UTC"


def day_window(text: str) -> DayWindow | None:
    """The window that ``text`` means; None where it means nothing, as does a window without length."""
    times = _FORM.fullmatch(text.strip())
    if times is None or times.group(1, 2) == times.group(3, 4):
        return None
    hours = [int(digits) for digits in times.groups()]
    return DayWindow(time(hours[0], hours[1]), time(hours[2], hours[3]))
