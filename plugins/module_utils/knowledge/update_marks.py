# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What owners write on their VMs about when they may be moved.

A VM is skipped, goes last, or is moved in a window of the day only. The mark is on the VirtualMachineInstance or on its
VirtualMachine; the former counts where both have one. KubeVirt's own updater does not know marks.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time

MARK = "lifecycle.kubevirt.io/workload-update"
"""Label or annotation: ``skip`` or ``last``."""
WINDOW = "lifecycle.kubevirt.io/workload-update-window"
"""Annotation: ``22:00-05:00``, in UTC. The end does not belong to it."""

Metadata = Mapping[str, t.Any]

_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class Mark:
    """What is written on one VM.

    Attributes:
        skip: It is never moved.
        last: It is moved after all others.
        window: It is moved from the first to the second time of the day, in UTC; None at any time.
        unreadable: What is written and means nothing. Such a VM is skipped: somebody did not want it to be moved like others.
    """

    skip: bool = False
    last: bool = False
    window: tuple[time, time] | None = None
    unreadable: str = ""

    @property
    def is_set(self) -> bool:
        """Whether the VM is marked at all."""
        return self != NONE

    def keeps_it(self, now: datetime) -> str:
        """Why the VM may not be moved now, as a sentence without a full stop; empty when it may."""
        if self.unreadable:
            return f"it is marked {self.unreadable}, which means nothing, so it is left alone"
        if self.skip:
            return f"it is marked {MARK}: skip"
        if self.window and not _is_within(self.window, now.time()):
            start, end = (one.strftime("%H:%M") for one in self.window)
            return f"it may be moved from {start} to {end} UTC only"
        return ""


NONE = Mark()


def mark_of(vmi: Metadata, vm: Metadata | None) -> Mark:
    """What is written on a VM.

    Args:
        vmi: The metadata of the VirtualMachineInstance.
        vm: The metadata of its VirtualMachine, if it has one.
    """
    places = [one for one in (vmi, vm) if one]
    word = _first(MARK, [one.get(part) or {} for one in places for part in ("annotations", "labels")])
    window = _first(WINDOW, [one.get("annotations") or {} for one in places])
    if word not in (None, "skip", "last"):
        return Mark(unreadable=f"{MARK}: {word}")
    times = _WINDOW.fullmatch(window.strip()) if window is not None else None
    if window is not None and (times is None or times.group(1, 2) == times.group(3, 4)):
        return Mark(unreadable=f"{WINDOW}: {window}")
    hours = [int(digits) for digits in times.groups()] if times else []
    return Mark(
        skip=word == "skip",
        last=word == "last",
        window=(time(hours[0], hours[1]), time(hours[2], hours[3])) if hours else None,
    )


def _first(key: str, maps: list[Mapping[str, str]]) -> str | None:
    return next((one[key] for one in maps if key in one), None)


def _is_within(window: tuple[time, time], now: time) -> bool:
    start, end = window
    return start <= now < end if start < end else now >= start or now < end
