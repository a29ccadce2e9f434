# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Watching a few collections at once, as one picture that keeps itself up to date."""

from __future__ import annotations

import queue
import threading
import typing as t
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .api import Api, Json, Watching
from .errors import ApiError, ClusterError, Expired, NotFound
from .patience import PATIENCE

# The server ends each watch after so many seconds; a new one goes on from where it ended.
WATCH_SECONDS = 60
# Where one may list but not watch: 403, or 405 of a server or proxy that cannot.
UNWATCHABLE = (403, 405)
LIST_SECONDS = 10.0
# For one list; who asked for it asks again.
LIST_PATIENCE = 10.0
PAUSE_AFTER_ERROR = 2.0
# A proxy may end every watch at once. The pause doubles as long as nothing comes, and lists tell what the watches do not; the server
# itself sends at least a bookmark.
PAUSE_BETWEEN_WATCHES = 1.0
LONGEST_PAUSE = 10.0
LAGS = (
    "The API server answered with a list that is older than what was seen before. One of the API servers, or a cache in front of them, "
    "lags behind."
)


@dataclass(frozen=True)
class Source:
    """A collection to watch.

    Attributes:
        keep: Makes what is kept of an object, where there are very many; None keeps it as it is. It must leave what names it.
        may_go: Whether the server may stop to serve this kind, which then has no objects.
    """

    name: str
    path: str
    label_selector: str = ""
    keep: Callable[[Json], Json] | None = None
    may_go: bool = False


class Picture:
    """The live objects of several sources. Use it as a context manager.

    ``objects(name)`` is the state after the last ``changed()`` or ``look_again()``. It never goes back to an older one.

    Attributes:
        edition: Another number whenever it may show something else.
    """

    def __init__(self, api: Api, sources: Sequence[Source]) -> None:
        self.edition = 0
        self._api = api
        self._sources = sources
        self._objects: dict[str, dict[str, Json]] = {source.name: {} for source in sources}
        self._keep = {source.name: source.keep or _all_of_it for source in sources}
        self._newest: dict[str, int] = {}
        self._events: queue.Queue[tuple[str, str, t.Any]] = queue.Queue()
        self._stop = threading.Event()
        self._open: dict[str, Watching] = {}
        self._troubles: dict[str, str] = {}

    def __enter__(self) -> Picture:
        first = [(source, self._list(source, PATIENCE)) for source in self._sources]  # or nothing is followed
        for source, listed in first:
            self._take_in(source.name, "LISTED", listed)
            threading.Thread(target=self._follow, args=(source, listed[1]), daemon=True).start()
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

    def look_again(self) -> None:
        """List every source now, since a picture may only look quiet. Where that fails, ``trouble`` says so."""
        for source in self._sources:
            try:
                listed = self._list(source)
            except ClusterError as error:
                self._troubles[source.name] = str(error)
                self.edition += 1
                return  # the others are behind the same server
            self._take_in(source.name, "LISTED", listed)

    def _take_in(self, name: str, kind: str, content: t.Any) -> None:
        self.edition += 1
        if kind == "TROUBLE":
            self._troubles[name] = content
            return
        version = content[1] if kind == "LISTED" else content["metadata"].get("resourceVersion", "")
        if version.isdigit():
            if int(version) < self._newest.get(name, 0):
                if kind == "LISTED":  # an event may just have been overtaken by look_again()
                    self._troubles[name] = LAGS
                return
            self._newest[name] = int(version)
        self._troubles.pop(name, None)
        if kind == "LISTED":
            self._objects[name] = {_key(item): self._keep[name](item) for item in content[0]}
        elif kind == "DELETED":
            self._objects[name].pop(_key(content), None)
        elif kind != "BOOKMARK":
            self._objects[name][_key(content)] = self._keep[name](content)

    def _follow(self, source: Source, version: str) -> None:
        """One source, until the picture is closed. Runs in a thread of its own."""
        pause = PAUSE_BETWEEN_WATCHES
        while not self._stop.is_set():
            before = version
            try:
                version = self._follow_once(source, version)
                is_silent = version == before
                pause = min(2 * pause, LONGEST_PAUSE) if is_silent else PAUSE_BETWEEN_WATCHES
                self._stop.wait(pause)
                if is_silent and not self._stop.is_set():
                    version = self._list_again(source, version)
            except Exception as error:  # whatever it is: a thread that dies leaves a picture that only looks quiet
                if self._stop.is_set():
                    return
                if _is_unwatchable(error, source):
                    self._stop.wait(LIST_SECONDS)
                elif isinstance(error, Expired):
                    self._stop.wait(PAUSE_BETWEEN_WATCHES)
                else:
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
            self._events.put((source.name, kind, item))
        return version

    def _list_again(self, source: Source, version: str) -> str:
        try:
            listed = self._list(source)
        except Exception as error:  # as above
            self._events.put((source.name, "TROUBLE", str(error)))
            return version
        self._events.put((source.name, "LISTED", listed))
        return listed[1]

    def _list(self, source: Source, patience: float = LIST_PATIENCE) -> tuple[list[Json], str]:
        try:
            return self._api.snapshot(source.path, label_selector=source.label_selector, patience=patience)
        except NotFound:
            if source.may_go:
                return [], ""
            raise


def _is_unwatchable(error: Exception, source: Source) -> bool:
    """Whether lists are all that one gets."""
    has_gone = isinstance(error, NotFound) and source.may_go
    return has_gone or (isinstance(error, ApiError) and error.status in UNWATCHABLE)


def _all_of_it(item: Json) -> Json:
    return item


def _key(item: Json) -> str:
    # Not the kind: the items of a list come without it, those of a watch with it.
    metadata = item["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}"
