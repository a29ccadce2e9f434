# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Applying one object of the operator's manifest, which others may write to at the same time."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ..cluster.api import Api, Json
from ..cluster.clock import Clock
from ..cluster.errors import ClusterError, Conflict
from ..knowledge import field_ownership
from .editing import ATTEMPTS
from .stopping import Stopped

PAUSE = 2.0
"""Seconds before the object is looked at of which nobody knows whether it was made."""


class Applying:
    """Server-side apply of one object, with an account of it, also where it ends with an error.

    Attributes:
        changed: Something was written.
        unsure: A write was sent whose answer was lost.
    """

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self.changed = False
        self.unsure = False

    def apply(self, path: str, name: str, body: Mapping[str, t.Any]) -> None:
        """Bring the object to the body. Fields that one-shot tools left behind are moved to our field manager before.

        Args:
            path: The object's.
            name: The object's, for people.
            body: The fields that we want.

        Raises:
            ClusterError: The server refuses it, or does not answer.
            Stopped: Somebody else writes to it again and again.
        """
        for attempt in range(1, ATTEMPTS + 1):
            live = self._take_over(path)
            try:
                self._api.apply(path, _at_version_of(live, body))
            except Conflict as error:  # somebody else's change, or our own whose answer was lost: the next look tells
                self.unsure = self.unsure or error.in_doubt
                continue
            except ClusterError as error:
                # A new object has no version to be a precondition. Once it is there, it has.
                if live is not None or not error.in_doubt or attempt == ATTEMPTS:
                    raise
                self.unsure = True
                self._clock.pause(PAUSE)
                continue
            self.changed = True
            return
        raise Stopped(words=f"{name} changes faster than it can be written. Find out who writes to it.")

    def _take_over(self, path: str) -> Json | None:
        """Move the fields that one-shot tools left behind to our field manager.

        Returns:
            The object as it is then, None if it is not there.
        """
        for _attempt in range(ATTEMPTS):
            live = self._api.get_or_none(path)
            entries = field_ownership.migrated(live) if live else None
            if live is None or entries is None:
                return live
            version = live["metadata"]["resourceVersion"]
            try:
                moved = self._api.json_patch(
                    path,
                    [
                        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
                        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
                    ],
                )
            except Conflict as error:
                self.unsure = self.unsure or error.in_doubt
                continue
            self.changed = True
            return moved
        raise Stopped(words=f"{path} changes faster than its field managers can be moved. Find out who writes to it.")


def _at_version_of(live: Json | None, body: Mapping[str, t.Any]) -> Mapping[str, t.Any]:
    """The body with a precondition: that the object is as it was just read."""
    if live is None:
        return body
    return {**body, "metadata": {**body["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}}
