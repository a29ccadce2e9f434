# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody who is played against a real API server that has no controllers: one step after the other, in a thread."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from urllib3.exceptions import HTTPError

from tests.faults.server import Refused

PAUSE = 0.7
"""Seconds between two steps."""


class Played:
    """Plays until it is stopped.

    Args:
        step: The next thing that the cluster's state asks for; False when nothing is left. The caller holds ``paused()``.
    """

    def __init__(self, step: Callable[[], bool]) -> None:
        self.step = step
        self._stop = threading.Event()
        self._playing = threading.Lock()
        self._thread = threading.Thread(target=self._play, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def paused(self) -> threading.Lock:
        """Hold it and nothing is played."""
        return self._playing

    def _play(self) -> None:
        while not self._stop.wait(PAUSE):
            with self._playing, contextlib.suppress(Refused, HTTPError):  # the next look is as good
                self.step()
