# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Time for tests that cannot wait."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock


class QuickClock(Clock):
    """Time passes in pauses only, and these end at once; ``on_pause`` is called in each."""

    def __init__(self, on_pause: Callable[[], None] = lambda: None) -> None:
        self.seconds = 0.0
        self.on_pause = on_pause

    def now(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.seconds += seconds
        self.on_pause()
