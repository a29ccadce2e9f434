# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What owners write on their VMs about when they may be moved.

A VM is skipped, goes last, or is moved in a window of the day only. The mark is on the VirtualMachineInstance or on its
VirtualMachine; the former counts where both have one. KubeVirt's own updater does not know marks.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from .day_window import DayWindow, day_window

MARK = "lifecycle.kubevirt.io/workload-update"
"""Label or annotation: ``skip`` or ``last``."""
WINDOW = "lifecycle.kubevirt.io/workload-update-window"
"""Annotation: ``22:00-05:00``, in UTC. The end does not belong to it."""

Metadata = Mapping[str, t.Any]


@dataclass(frozen=True)
class Mark:
    """What is written on one VM.

    Attributes:
        skip: It is never moved.
        last: It is moved after all others.
        window: When it is moved; None at any time.
        unreadable: What is written and means nothing. Such a VM is skipped: somebody did not want it to be moved like others.
    """

    skip: bool = False
    last: bool = False
    window: DayWindow | None = None
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
        if self.window and not self.window.holds(now):
            return f"it may be moved {self.window} only"
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
    written = _first(WINDOW, [one.get("annotations") or {} for one in places])
    if word not in (None, "skip", "last"):
        return Mark(unreadable=f"{MARK}: {word}")
    window = None if written is None else day_window(written)
    if written is not None and window is None:
        return Mark(unreadable=f"{WINDOW}: {written}")
    return Mark(skip=word == "skip", last=word == "last", window=window)


def _first(key: str, maps: list[Mapping[str, str]]) -> str | None:
    return next((one[key] for one in maps if key in one), None)
