# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deleting an object that others write to, or that is another one by now."""

from __future__ import annotations

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import Conflict
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.deleting import delete_that_one
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.editing import ATTEMPTS

from tests.unit.operations.conftest import Answer
from tests.unit.operations.test_sweep import Object, World

NAME = "kubevirt-controller"
PATH = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{NAME}"


class Busy(World):
    """Where somebody else changes the object just then, or the answer to the first deletion is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0
        self.loses_an_answer = False

    def _delete(self, path: str, body: Object) -> Answer:
        if self.changes:
            self.changes -= 1
            return Answer(409, {"reason": "Conflict", "message": "the object has been modified"})
        done = super()._delete(path, body)
        if self.loses_an_answer:
            self.loses_an_answer = False
            return Answer(504, {"reason": "Timeout", "message": "the request did not complete"})
        return done


@pytest.fixture
def world() -> Busy:
    return Busy()


def test_it_is_deleted_although_somebody_changes_it(world: Busy) -> None:
    uid = world.put("ClusterRole", NAME)["metadata"]["uid"]
    world.changes = ATTEMPTS - 1
    assert delete_that_one(world.api(), PATH, uid)
    assert world.deleted == [NAME]


def test_it_changes_faster_than_it_can_be_deleted(world: Busy) -> None:
    uid = world.put("ClusterRole", NAME)["metadata"]["uid"]
    world.changes = ATTEMPTS
    with pytest.raises(Conflict):
        delete_that_one(world.api(), PATH, uid)
    assert world.deleted == []


def test_another_one_of_its_name_is_left_alone(world: Busy) -> None:
    world.put("ClusterRole", NAME)
    assert not delete_that_one(world.api(), PATH, "that of the first one")
    assert world.deleted == []


def test_it_is_gone(world: Busy) -> None:
    assert not delete_that_one(world.api(), PATH, "1")


def test_we_deleted_it_although_nobody_told_us(world: Busy) -> None:
    uid = world.put("ClusterRole", NAME)["metadata"]["uid"]
    world.loses_an_answer = True
    assert delete_that_one(world.api(), PATH, uid)
    assert world.deleted == [NAME]
