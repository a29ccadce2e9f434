# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Durations as Go reads and writes them, such as 90s and 1m30s (time.ParseDuration)."""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction

_MICROSECONDS = {
    "ns": Fraction(1, 1000),
    "us": Fraction(1),
    "µs": Fraction(1),  # U+00B5, the micro sign
    "μs": Fraction(1),
    "ms": Fraction(1000),
    "s": Fraction(1_000_000),
    "m": Fraction(60_000_000),
    "h": Fraction(3_600_000_000),
}
_PART = re.compile(rf"([0-9]+\.?[0-9]*|\.[0-9]+)({'|'.join(_MICROSECONDS)})")
_LONGEST = Fraction(2**63 - 1, 1000)
"""Go counts nanoseconds in 64 bits, which is some 292 years."""


def parse(text: str) -> timedelta:
    """The duration that ``text`` names, to the microsecond.

    Raises:
        ValueError: Go would not read it; or it is negative, which is no duration to wait.
    """
    parts = _PART.findall(text)
    total = sum((Fraction(number) * _MICROSECONDS[unit] for number, unit in parts), Fraction(0))
    if "".join(number + unit for number, unit in parts) != text or not parts or total > _LONGEST:
        raise ValueError(f"{text!r} is not a duration; write numbers with their units, such as 90s, 1m30s or 1h.")
    return timedelta(microseconds=round(total))


def written(duration: timedelta) -> str:
    """As Go writes it: 90 seconds are ``1m30s``, 60 are ``1m0s``."""
    microseconds = duration // timedelta(microseconds=1)
    if microseconds < 1_000_000:
        value, unit = (microseconds, "µs") if microseconds < 1000 else (microseconds / 1000, "ms")
        return f"{value:.3f}".rstrip("0").rstrip(".") + unit if microseconds else "0s"
    minutes, rest = divmod(microseconds, 60_000_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest // 1_000_000}.{rest % 1_000_000:06d}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds
