# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Watching a few collections at once, as one picture that keeps itself up to date."""

from __future__ import annotations

import queue
import threading
import typing as t
from collections.abc import Sequence
from dataclasses import dataclass

from .api import Api, Json, Watching
from .errors import Expired, Forbidden

# The server ends each watch after so many seconds; a new one goes on from where it ended.
WATCH_SECONDS = 60
# Where the user may list but not watch.
LIST_SECONDS = 10.0
PAUSE_AFTER_ERROR = 2.0
# A proxy may end every watch at once.
PAUSE_BETWEEN_WATCHES = 1.0


@dataclass(frozen=True)
class Source:
    """A collection to watch."""

    name: str
    path: str
    label_selector: str = ""


class Picture:
    """The live objects of several sources. Use it as a context manager.

    ``objects(name)`` is the state after the last ``changed()``.
    """

    def __init__(self, api: Api, sources: Sequence[Source]) -> None:
        self._api = api
        self._sources = sources
        self._objects: dict[str, dict[str, Json]] = {source.name: {} for source in sources}
        self._events: queue.Queue[tuple[str, str, t.Any]] = queue.Queue()
        self._stop = threading.Event()
        self._open: dict[str, Watching] = {}
        self._troubles: dict[str, str] = {}

    def __enter__(self) -> Picture:
        for source in self._sources:
            items, version = self._api.snapshot(source.path, label_selector=source.label_selector)
            self._objects[source.name] = {_key(item): item for item in items}
            threading.Thread(target=self._follow, args=(source, version), daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        for watching in list(self._open.values()):
            watching.close()

    def objects(self, name: str) -> list[Json]:
        """The objects of the source ``name`` as last seen."""
        return list(self._objects[name].values())

    @property
    def trouble(self) -> str:
        """Why what is seen may be old; empty when all sources are followed."""
        return next(iter(self._troubles.values()), "")

    def changed(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds for a change and take in all that has come; False if nothing came."""
        try:
            self._take_in(*self._events.get(timeout=max(timeout, 0.01)))
        except queue.Empty:
            return False
        for _waiting in range(self._events.qsize()):
            self._take_in(*self._events.get())
        return True

    def _take_in(self, name: str, kind: str, content: t.Any) -> None:
        if kind == "TROUBLE":
            self._troubles[name] = content
            return
        self._troubles.pop(name, None)
        if kind == "LISTED":
            self._objects[name] = {_key(item): item for item in content}
        elif kind == "DELETED":
            self._objects[name].pop(_key(content), None)
        else:
            self._objects[name][_key(content)] = content

    def _follow(self, source: Source, version: str) -> None:
        """One source, until the picture is closed. Runs in a thread of its own."""
        while not self._stop.is_set():
            try:
                version = self._follow_once(source, version)
                self._stop.wait(PAUSE_BETWEEN_WATCHES)
            except Exception as error:  # whatever it is: a thread that dies leaves a picture that only looks quiet
                if self._stop.is_set():
                    return
                if isinstance(error, Forbidden):
                    self._stop.wait(LIST_SECONDS)
                elif not isinstance(error, Expired):
                    self._events.put((source.name, "TROUBLE", str(error)))
                    self._stop.wait(PAUSE_AFTER_ERROR)
                version = self._list_again(source, version)

    def _follow_once(self, source: Source, version: str) -> str:
        watching = self._api.watch(
            source.path,
            resource_version=version,
            seconds=WATCH_SECONDS,
            label_selector=source.label_selector,
        )
        self._open[source.name] = watching
        for kind, item in watching:
            version = item["metadata"]["resourceVersion"]
            if kind != "BOOKMARK":
                self._events.put((source.name, kind, item))
        return version

    def _list_again(self, source: Source, version: str) -> str:
        try:
            items, version = self._api.snapshot(source.path, label_selector=source.label_selector)
        except Exception as error:  # as above
            self._events.put((source.name, "TROUBLE", str(error)))
        else:
            self._events.put((source.name, "LISTED", items))
        return version


def _key(item: Json) -> str:
    # Not the kind: the items of a list come without it, those of a watch with it.
    metadata = item["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}"
