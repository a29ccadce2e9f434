# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A picture of collections when following them fails. How it follows them otherwise is seen on a real API server."""

from __future__ import annotations

import threading
import typing as t
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster import watch
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import (
    ApiError,
    Expired,
    Forbidden,
    Unreachable,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.watch import Picture, Source

Event = tuple[str, dict[str, t.Any]]
POD, NODE = Source("pods", "/pods"), Source("nodes", "/nodes")


def item(name: str, version: str = "1") -> dict[str, t.Any]:
    return {"metadata": {"name": name, "resourceVersion": version}}


class Changes:
    """An open watch: what is put into it comes out; an exception ends it."""

    def __init__(self, *come: Event | Exception, ends: bool = False) -> None:
        self._come = come
        self._ends = ends
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Event]:
        for one in self._come:
            if isinstance(one, Exception):
                raise one
            yield one
        if not self._ends:
            self._closed.wait(10)

    def close(self) -> None:
        self._closed.set()


class Collections:
    """The two calls of an Api that a picture makes, per path: one list after the other, one watch after the other.

    A list is the names that it has, if wanted with its version in front: ``["9", "a"]``.
    """

    def __init__(self) -> None:
        self.lists: dict[str, list[list[str] | Exception]] = {"/pods": [["a"]], "/nodes": [["n"]]}
        self.watches: dict[str, list[Callable[[], Changes]]] = {"/pods": [Changes], "/nodes": [Changes]}
        self.watched_from: list[tuple[str, str]] = []

    def snapshot(self, path: str, *, label_selector: str, patience: float = 0.0) -> tuple[list[dict[str, t.Any]], str]:
        names = self._next(self.lists[path])
        if isinstance(names, Exception):
            raise names
        if names and names[0].isdigit():
            return [item(name) for name in names[1:]], names[0]
        return [item(name) for name in names], f"list of {','.join(names)}"

    def watch(self, path: str, *, resource_version: str, seconds: int, label_selector: str) -> Changes:
        self.watched_from.append((path, resource_version))
        made: Changes = self._next(self.watches[path])()
        return made

    @staticmethod
    def _next(answers: list[t.Any]) -> t.Any:
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def collections(monkeypatch: pytest.MonkeyPatch) -> Collections:
    monkeypatch.setattr(watch, "PAUSE_AFTER_ERROR", 0.0)
    monkeypatch.setattr(watch, "LIST_SECONDS", 0.0)
    monkeypatch.setattr(watch, "PAUSE_BETWEEN_WATCHES", 0.0)
    return Collections()


def names(picture: Picture, source: str = "pods") -> list[str]:
    return [one["metadata"]["name"] for one in picture.objects(source)]


def until(picture: Picture, holds: Callable[[], bool]) -> None:
    """Take in what comes until it holds."""
    for _attempt in range(50):
        if holds():
            return
        picture.changed(0.1)
    raise AssertionError((names(picture), picture.trouble))


def raising(error: Exception) -> Callable[[], Changes]:
    def refuse() -> Changes:
        raise error

    return refuse


@pytest.mark.parametrize(
    "end",
    [
        lambda: Changes(ends=True),
        lambda: Changes(Unreachable("It broke.")),
        lambda: Changes(Expired("WATCH", "/pods", 410, "Expired", "too old")),
        lambda: Changes(RuntimeError("the credentials' command failed")),
        lambda: Changes(("ADDED", {"metadata": {}})),
        raising(Forbidden("GET", "/pods", 403, "Forbidden", "no")),
        raising(ApiError("GET", "/pods", 405, "MethodNotAllowed", "no")),
        raising(ApiError("GET", "/pods", 401, "Unauthorized", "no")),
        raising(ApiError("GET", "/pods", 503, "ServiceUnavailable", "no")),
        raising(OSError("no such token file")),
    ],
    ids=[
        "ends without a word",
        "breaks",
        "too old",
        "an error of another kind",
        "an event without a version",
        "forbidden",
        "not possible",
        "not logged in",
        "busy",
        "refused otherwise",
    ],
)
def test_a_watch_that_fails_is_followed_by_a_new_list(collections: Collections, end: Callable[[], Changes]) -> None:
    collections.watches["/pods"] = [end, Changes]
    collections.lists["/pods"] = [["a"], ["b", "c"]]
    with Picture(t.cast(t.Any, collections), [POD]) as picture:
        assert names(picture) == ["a"]
        until(picture, lambda: names(picture) == ["b", "c"])
        assert picture.trouble == ""
    assert collections.watched_from[-1] == ("/pods", "list of b,c")


@pytest.mark.parametrize("error", [Unreachable("It broke."), RuntimeError("It broke.")])
def test_as_long_as_nothing_can_be_read_the_picture_says_that_it_is_old(
    collections: Collections, error: Exception
) -> None:
    collections.watches["/pods"] = [raising(error)]
    collections.lists["/pods"] = [["a"], error]
    with Picture(t.cast(t.Any, collections), [POD]) as picture:
        until(picture, lambda: picture.trouble == "It broke.")
        assert names(picture) == ["a"]


def test_what_ails_one_source_is_not_forgotten_when_another_one_changes(collections: Collections) -> None:
    gate = threading.Event()

    class Later(Changes):
        def __iter__(self) -> Iterator[Event]:
            gate.wait(10)
            yield from super().__iter__()

    collections.watches["/pods"] = [lambda: Changes(Unreachable("It broke.")), Changes]
    collections.lists["/pods"] = [["a"], Unreachable("It broke.")]
    collections.watches["/nodes"] = [lambda: Later(("ADDED", item("m")))]
    with Picture(t.cast(t.Any, collections), [POD, NODE]) as picture:
        until(picture, lambda: picture.trouble != "")
        gate.set()
        until(picture, lambda: names(picture, "nodes") == ["n", "m"])
        assert picture.trouble == "It broke."


class Pauses(threading.Event):
    """Remembers what a picture waits for, and ends it after so many pauses."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.made: list[float] = []
        self._most = most
        self.over = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.made.append(timeout or 0.0)
        if len(self.made) >= self._most:
            self.set()
            self.over.set()
        return self.is_set()


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (lambda: Changes(ends=True), [2, 4, 8, 10, 10]),
        (lambda: Changes(Expired("WATCH", "/pods", 410, "Expired", "too old")), [1, 1, 1, 1, 1]),
        (raising(Unreachable("It broke.")), [2, 2, 2, 2, 2]),
        (raising(Forbidden("GET", "/pods", 403, "Forbidden", "no")), [10, 10, 10, 10, 10]),
        (raising(ApiError("GET", "/pods", 405, "MethodNotAllowed", "no")), [10, 10, 10, 10, 10]),
    ],
    ids=["ends at once", "too old at once", "breaks at once", "forbidden", "not possible"],
)
def test_a_server_whose_watches_end_at_once_is_not_flooded(end: Callable[[], Changes], expected: list[float]) -> None:
    collections, pauses = Collections(), Pauses(most=5)
    collections.watches["/pods"] = [end]
    picture = Picture(t.cast(t.Any, collections), [POD])
    picture._stop = pauses
    with picture:
        assert pauses.over.wait(10)
    assert pauses.made == expected
    assert len(collections.watched_from) == 5


def test_a_watch_goes_on_from_the_last_bookmark(collections: Collections) -> None:
    collections.lists["/pods"] = [["5", "a"]]
    collections.watches["/pods"] = [
        lambda: Changes(("ADDED", item("b", "6")), ("BOOKMARK", {"metadata": {"resourceVersion": "9"}}), ends=True),
        lambda: Changes(("ADDED", item("c", "10"))),
    ]
    with Picture(t.cast(t.Any, collections), [POD]) as picture:
        until(picture, lambda: names(picture) == ["a", "b", "c"])
    assert collections.watched_from == [("/pods", "5"), ("/pods", "9")]


class TestNothingOlderIsTakenIn:
    """API servers lag behind each other, and events wait in a queue while everything is listed."""

    def test_of_a_list(self, collections: Collections) -> None:
        collections.lists["/pods"] = [["9", "a", "b"], ["7", "a"], ["10", "c"]]
        collections.watches["/pods"] = [raising(Unreachable("It broke.")), Changes]
        with Picture(t.cast(t.Any, collections), [POD]) as picture:
            until(picture, lambda: "lags behind" in picture.trouble)
            assert names(picture) == ["a", "b"]
            picture.look_again()
            until(picture, lambda: names(picture) == ["c"])
            assert picture.trouble == ""

    def test_of_events_that_a_list_has_overtaken(self, collections: Collections) -> None:
        collections.lists["/pods"] = [["5", "a"], ["8", "b"]]
        collections.watches["/pods"] = [
            lambda: Changes(("DELETED", item("a", "6")), ("ADDED", item("a", "7")), ("ADDED", item("c", "9")))
        ]
        with Picture(t.cast(t.Any, collections), [POD]) as picture:
            picture.look_again()
            assert names(picture) == ["b"]
            until(picture, lambda: names(picture) == ["b", "c"])


class TestLookingAgain:
    def test_shows_what_no_watch_has_told(self, collections: Collections) -> None:
        collections.lists |= {"/pods": [["a"], ["b"]], "/nodes": [["n"], ["m"]]}
        with Picture(t.cast(t.Any, collections), [POD, NODE]) as picture:
            assert (names(picture), names(picture, "nodes")) == (["a"], ["n"])
            picture.look_again()
            assert (names(picture), names(picture, "nodes")) == (["b"], ["m"])

    def test_where_that_fails_the_picture_says_that_it_is_old(self, collections: Collections) -> None:
        collections.lists["/pods"] = [["a"], Unreachable("It broke."), ["b"]]
        with Picture(t.cast(t.Any, collections), [POD, NODE]) as picture:
            picture.look_again()
            assert (names(picture), picture.trouble) == (["a"], "It broke.")
            picture.look_again()
            assert (names(picture), picture.trouble) == (["b"], "")


def test_whatever_it_shows_anew_is_another_edition(collections: Collections) -> None:
    collections.lists["/pods"] = [["a"], Unreachable("It broke."), ["b"]]
    collections.watches["/pods"] = [lambda: Changes(("ADDED", item("c")))]
    with Picture(t.cast(t.Any, collections), [POD]) as picture:
        editions = [picture.edition]
        for look in (lambda: picture.changed(5.0), picture.look_again, picture.look_again):
            look()
            editions.append(picture.edition)
        assert len(set(editions)) == 4
        assert not picture.changed(0.0)
        assert picture.edition == editions[-1]


def test_a_first_list_that_fails_ends_the_run_and_nothing_is_followed(collections: Collections) -> None:
    collections.lists["/nodes"] = [Unreachable("It broke.")]
    before = threading.enumerate()
    with pytest.raises(Unreachable), Picture(t.cast(t.Any, collections), [POD, NODE]):
        pass
    assert [one for one in threading.enumerate() if one not in before] == []


def test_of_an_object_only_what_its_source_keeps(collections: Collections) -> None:
    small = Source("pods", "/pods", keep=lambda one: {"metadata": {"name": one["metadata"]["name"]}})
    collections.watches["/pods"] = [lambda: Changes(("ADDED", item("b", "2") | {"spec": {}}))]
    with Picture(t.cast(t.Any, collections), [small]) as picture:
        assert picture.objects("pods") == [{"metadata": {"name": "a"}}]
        assert picture.changed(10)
        assert picture.objects("pods")[-1] == {"metadata": {"name": "b"}}
