# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a real API server makes of our preconditions: a write whose answer was lost is not done twice."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import urllib3
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.api import Api, Login
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.connection import connect
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import Conflict, NotFound, OldAnswer

from tests.contract.conftest import World
from tests.support.lab import Json
from tests.support.quick_clock import QuickClock

MAPS = "/api/v1/namespaces/default/configmaps"
PATH = f"{MAPS}/counter"


class Losing:
    """The connection to the API server. ``loses`` so many answers to writes, and can give a read as it was before."""

    def __init__(self, pool: t.Any) -> None:
        self._pool = pool
        self.loses = 0
        self.before: list[t.Any] = []
        self.asked: list[tuple[str, int]] = []

    def request(self, method: str, url: str, **options: t.Any) -> t.Any:
        if method == "GET" and self.before:
            return self.before.pop()
        response = self._pool.request(method, url, **options)
        self.asked.append((method, response.status))
        if method != "GET" and self.loses:
            self.loses -= 1
            raise urllib3.exceptions.ProtocolError("Connection aborted.")
        return response


@pytest.fixture
def connection(bare_world: World) -> tuple[Api, Losing]:
    api = connect({"kubeconfig": str(bare_world.lab.kubeconfig)}, check_mode=False, clock=QuickClock())
    losing = Losing(api._login.pool)
    api._login = Login(losing, api._login.headers)
    api.get("/version")
    losing.asked.clear()
    return api, losing


@pytest.fixture
def counter(bare_world: World) -> Iterator[None]:
    """A ConfigMap that counts."""
    bare_world.lab.kubectl("create", "configmap", "counter", "-n", "default", "--from-literal=count=1")
    yield
    bare_world.lab.kubectl("delete", "configmap", "counter", "-n", "default", "--ignore-not-found")


def counted(live: Json, count: str) -> Json:
    """The fields to apply, at the version of the live object."""
    metadata = {"name": "counter", "namespace": "default", "resourceVersion": live["metadata"]["resourceVersion"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"count": count}}


@pytest.mark.usefixtures("counter")
class TestLostAnswers:
    def test_a_patch_is_not_done_twice(self, connection: tuple[Api, Losing]) -> None:
        api, losing = connection
        losing.loses = 1
        patch = [
            {"op": "test", "path": "/data/count", "value": "1"},
            {"op": "replace", "path": "/data/count", "value": "2"},
        ]
        with pytest.raises(Conflict) as caught:
            api.json_patch(PATH, patch)
        assert caught.value.in_doubt
        assert losing.asked == [("PATCH", 200), ("PATCH", 422)]
        assert api.get(PATH)["data"] == {"count": "2"}

    def test_an_apply_is_not_done_twice(self, connection: tuple[Api, Losing]) -> None:
        api, losing = connection
        live = api.get(PATH)
        losing.asked.clear()
        losing.loses = 1
        with pytest.raises(Conflict) as caught:
            api.apply(PATH, counted(live, "2"))
        assert caught.value.in_doubt
        assert losing.asked == [("PATCH", 200), ("PATCH", 409)]
        again = api.get(PATH)
        assert api.apply(PATH, counted(again, "2")) == again, (
            "the next look finds it done, and the same again changes nothing"
        )

    def test_a_creation_is_not_done_twice(self, connection: tuple[Api, Losing]) -> None:
        api, losing = connection
        losing.loses = 1
        name = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": "default"}}
        with pytest.raises(Conflict) as caught:
            api.create(MAPS, name)
        assert (caught.value.reason, caught.value.in_doubt) == ("AlreadyExists", True)
        api.delete(f"{MAPS}/other", uid=api.get(f"{MAPS}/other")["metadata"]["uid"])

    def test_nor_a_deletion(self, connection: tuple[Api, Losing]) -> None:
        api, losing = connection
        uid = api.get(PATH)["metadata"]["uid"]
        losing.loses = 1
        with pytest.raises(NotFound) as caught:
            api.delete(PATH, uid=uid)
        assert caught.value.in_doubt


@pytest.mark.usefixtures("counter")
class TestPreconditions:
    def test_an_apply_of_an_older_version_is_a_conflict(self, connection: tuple[Api, Losing]) -> None:
        api, _losing = connection
        old = api.get(PATH)
        api.apply(PATH, counted(old, "2"))
        with pytest.raises(Conflict) as caught:
            api.apply(PATH, counted(old, "3"))
        assert not caught.value.in_doubt
        live = api.get(PATH)
        assert live["data"] == {"count": "2"}
        assert "resourceVersion" not in json.dumps(live["metadata"]["managedFields"]), "the version is no field of ours"

    def test_a_replacement_of_an_older_version_is_a_conflict(self, connection: tuple[Api, Losing]) -> None:
        api, _losing = connection
        old = api.get(PATH)
        api.replace(PATH, old | {"data": {"count": "2"}})
        with pytest.raises(Conflict):
            api.replace(PATH, old | {"data": {"count": "3"}})
        assert api.get(PATH)["data"] == {"count": "2"}

    @pytest.mark.parametrize("wrong", ["uid", "resource_version"])
    def test_another_object_is_not_deleted(self, connection: tuple[Api, Losing], wrong: str) -> None:
        api, _losing = connection
        metadata = api.get(PATH)["metadata"]
        which = {"uid": metadata["uid"], "resource_version": metadata["resourceVersion"]}
        with pytest.raises(Conflict):
            api.delete(PATH, **(which | {wrong: "00000000-0000-0000-0000-000000000000" if wrong == "uid" else "1"}))
        api.delete(PATH, **which, rehearse=True)
        assert api.get(PATH)["metadata"] == metadata, "a rehearsal deletes nothing"
        api.delete(PATH, **which)
        assert api.get_or_none(PATH) is None

    def test_what_an_object_owns_is_left_alone_if_asked_for(self, connection: tuple[Api, Losing]) -> None:
        api, _losing = connection
        api.delete(PATH, uid=api.get(PATH)["metadata"]["uid"], propagation="Orphan")
        metadata = api.get(PATH)["metadata"]
        assert metadata["finalizers"] == ["orphan"], (
            "of the garbage collector, which takes the object out of all owners"
        )
        assert metadata["deletionTimestamp"]
        api.json_patch(PATH, [{"op": "remove", "path": "/metadata/finalizers"}])


@pytest.mark.usefixtures("counter")
def test_an_answer_from_before_our_own_write_is_not_believed(connection: tuple[Api, Losing]) -> None:
    api, losing = connection
    live = api.get(PATH)
    before = [SimpleNamespace(status=200, headers={}, data=json.dumps(one).encode()) for one in (live, api.get(MAPS))]
    api.apply(PATH, counted(live, "2"))
    for path, old in zip((PATH, MAPS), before, strict=True):
        losing.before = [old]
        answer = api.get(path)
        found = answer if path == PATH else next(m for m in answer["items"] if m["metadata"]["name"] == "counter")
        assert found["data"] == {"count": "2"}
        losing.before = [old] * 99
        with pytest.raises(OldAnswer, match="before our own change"):
            api.get(path)
        losing.before = []
