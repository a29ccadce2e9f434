# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A hop as it was recorded, played again on a clock of its own."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock

Json = dict[str, t.Any]

ROLLOUTS = Path(__file__).parents[1] / "unit" / "fixtures" / "rollouts"


class Recording(Clock):
    """What a Picture shows at each moment of a recorded hop, and the clock that says which moment it is."""

    trouble = ""

    def __init__(self, name: str) -> None:
        self._events = json.loads((ROLLOUTS / f"{name}.json").read_text())["events"]
        self._shown: dict[str, dict[str, Json]] = {}
        self._now = 0.0
        self._take_in()

    @property
    def edition(self) -> int:
        """Another one after each event."""
        return len(self._events)

    def now(self) -> float:
        return self._now

    def objects(self, source: str) -> list[Json]:
        return list(self._shown[source].values())

    def changed(self, timeout: float) -> bool:
        """Go to the next event, or as far as ``timeout``."""
        then = self._now + timeout
        self._now = min(then, self._events[0]["at"]) if self._events else then
        return self._take_in()

    def look_again(self) -> None:
        """A recording shows all that there is."""

    @property
    def is_over(self) -> bool:
        return not self._events

    def _take_in(self) -> bool:
        before = len(self._events)
        while self._events and self._events[0]["at"] <= self._now:
            event = self._events.pop(0)
            objects = self._shown.setdefault(event["source"], {})
            if "gone" in event:
                objects.pop(event["gone"], None)
            else:
                objects[event["object"]["metadata"]["name"]] = event["object"]
        return len(self._events) < before
