# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A simulated cluster: objects by their paths, the writes that an upgrade makes, and what follows them in time."""

from __future__ import annotations

import re
import threading
import typing as t
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.bench.fleet.story import OPERATOR, Change, Story
from tests.support.lab import Json

IN = re.compile(r"(?P<key>\S+) in \((?P<values>[^)]*)\)")
PLACE = re.compile(
    r"(?P<api>/api/v1|/apis/[^/]+/[^/]+)(/namespaces/(?P<namespace>[^/]+)(?=/))?/(?P<plural>[^/]+)(/(?P<name>[^/]+))?"
)
APPLY = "application/apply-patch+yaml"


class Refused(Exception):
    """How the server refuses a request."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


@dataclass(frozen=True)
class Place:
    """Where objects are: one of them, or all of a kind, in a namespace or everywhere."""

    api: str
    namespace: str | None
    plural: str
    name: str | None

    def holds(self, other: Place) -> bool:
        """Whether an object there is one of those here."""
        return (self.api, self.plural) == (other.api, other.plural) and self.namespace in (None, other.namespace)


@dataclass(frozen=True)
class Event:
    """What a watch tells."""

    type: str
    place: Place
    object: Json


class Cluster:
    """One cluster.

    Args:
        name: Its own, which its UIDs come from.
        story: What it answers.
        fails: Whether its roll-out is the one that fails.
        clock: Seconds.

    Attributes:
        writes: Every write that it has taken, in order: method and path.
    """

    def __init__(self, name: str, story: Story, *, fails: bool, clock: Callable[[], float]) -> None:
        self.writes: list[str] = []
        self._name = name
        self._story = story
        self._clock = clock
        self._lock = threading.Lock()
        self._version = 0
        self._objects: dict[Place, Json] = {}
        self._events: list[Event] = []
        self._begun: float | None = None
        self._coming: list[Change] = [*(story.failure if fails else story.rollout)]
        for path, one in story.before.items():
            self._store(place_of(path), one)
        self._events.clear()

    def get(self, place: Place) -> Json:
        """The object there."""
        with self._lock:
            self._catch_up()
            return self._get(place)

    def listed(self, place: Place, selector: str) -> tuple[list[Json], str]:
        """The objects there, and the resourceVersion of the list."""
        with self._lock:
            self._catch_up()
            found = [one for where, one in self._objects.items() if place.holds(where) and selects(selector, one)]
            return found, str(self._version)

    def events(self, place: Place, selector: str, begin: int) -> tuple[list[Event], int]:
        """What happened there from this position of the record on, and where the record ends."""
        with self._lock:
            self._catch_up()
            new = [one for one in self._events[begin:] if place.holds(one.place) and selects(selector, one.object)]
            return new, len(self._events)

    def position_after(self, version: int) -> int:
        """From where on the record is newer than a resourceVersion."""
        with self._lock:
            return sum(int(one.object["metadata"]["resourceVersion"]) <= version for one in self._events)

    def write(self, method: str, place: Place, query: Mapping[str, str], content_type: str, body: Json) -> Json:
        """What the server answers to a write."""
        with self._lock:
            self._catch_up()
            self._refuse_old(place, body)
            if method == "PATCH" and content_type == APPLY:
                return self._apply(place, is_rehearsal="dryRun" in query)
            self.writes.append(f"{method} {place.plural}")
            if method == "POST":
                return self._create(Place(place.api, place.namespace, place.plural, body["metadata"]["name"]), body)
            if method == "PUT":
                self._get(place)
                return self._store(place, body)
            if method == "DELETE":
                return self._delete(place)
            raise Refused(501, "NotImplemented", f"{method} with {content_type} is not simulated")

    def _apply(self, place: Place, *, is_rehearsal: bool) -> Json:
        """Server-side apply: what is wanted is always the new manifest."""
        path = path_of(place)
        if path not in self._story.applied:
            raise Refused(501, "NotImplemented", f"The apply of {path} is not simulated")
        live, wanted = self._get(place), self._story.applied[path]
        metadata = {**wanted["metadata"], "generation": live["metadata"].get("generation", 0) + 1}
        after = {**wanted, "metadata": metadata} | ({"status": live["status"]} if "status" in live else {})
        if is_rehearsal:
            return self._stamped(place, after)
        self.writes.append(f"apply {place.plural}")
        if path == OPERATOR and self._begun is None:
            self._begun = self._clock()
        return self._store(place, after)

    def _create(self, place: Place, body: Json) -> Json:
        if place in self._objects:
            raise Refused(409, "AlreadyExists", f"{place.name} already exists")
        return self._store(place, body)

    def _delete(self, place: Place) -> Json:
        gone = self._get(place)
        self._version += 1
        del self._objects[place]
        self._events.append(Event("DELETED", place, self._stamped(place, gone)))
        return gone

    def _get(self, place: Place) -> Json:
        if place not in self._objects:
            raise Refused(404, "NotFound", f"{place.plural} {place.name} not found")
        return self._objects[place]

    def _refuse_old(self, place: Place, body: Json) -> None:
        """A precondition that does not hold."""
        wanted = body.get("preconditions") or body.get("metadata") or {}
        live = self._objects.get(place, {}).get("metadata", {})
        for name in ("uid", "resourceVersion"):
            if live and wanted.get(name, live[name]) != live[name]:
                raise Refused(409, "Conflict", f"{name} is {live[name]}, not {wanted[name]}")

    def _catch_up(self) -> None:
        """What has come to pass since virt-operator was written."""
        if self._begun is None:
            return
        since = self._clock() - self._begun
        while self._coming and self._coming[0].at <= since:
            change = self._coming.pop(0)
            place = place_of(change.path)
            if change.object is not None:
                self._store(place, change.object)
            elif place in self._objects:
                self._delete(place)

    def _store(self, place: Place, one: Json) -> Json:
        type = "MODIFIED" if place in self._objects else "ADDED"
        self._version += 1
        stored = self._stamped(place, one)
        self._objects[place] = stored
        self._events.append(Event(type, place, stored))
        return stored

    def _stamped(self, place: Place, one: Json) -> Json:
        """The object with what the server counts. What lies deeper is shared with the other clusters, and never changed."""
        stamps = {"uid": uid_of(self._name, place), "resourceVersion": str(self._version)}
        return {**one, "metadata": {**one["metadata"], **stamps}}


def cluster_uid(name: str) -> str:
    """What tells a cluster from others: the UID of its namespace kube-system."""
    return uid_of(name, place_of("/api/v1/namespaces/kube-system"))


def uid_of(cluster: str, place: Place) -> str:
    """The UID of an object; the same one has always the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{cluster}{path_of(place)}"))


def place_of(path: str) -> Place:
    """What a path names. A ValueError where it names no objects."""
    match = PLACE.fullmatch(path)
    if not match:
        raise ValueError(f"no objects: {path}")
    return Place(match["api"], match["namespace"], match["plural"], match["name"])


def path_of(place: Place) -> str:
    """The path of an object."""
    within = f"/namespaces/{place.namespace}" if place.namespace else ""
    return f"{place.api}{within}/{place.plural}/{place.name}"


def selects(selector: str, one: Json) -> bool:
    """Whether a label selector takes in an object; of the ways to write one, those that are used here."""
    labels: t.Mapping[str, str] = one["metadata"].get("labels", {})
    among = IN.fullmatch(selector)
    if among:
        return labels.get(among["key"]) in among["values"].split(",")
    for part in filter(None, selector.split(",")):
        key, differs, value = part.partition("!=")
        if differs:
            if labels.get(key) == value:
                return False
            continue
        key, equals, value = part.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True
