# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run says that stops on its way: what was changed, what nobody knows, and how to go on or back."""

from __future__ import annotations

import dataclasses
import typing as t
from types import SimpleNamespace

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import (
    ApiError,
    Forbidden,
    NotFound,
    Unreachable,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import execution
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import Outcome

World = t.Any  # tests/unit/operations/conftest.py


class BreakingApi:
    """An API server that takes dry runs and so many writes, and then answers with an error."""

    def __init__(self, world: World, error: Exception, writes: int = 0) -> None:
        self._world = world
        self._error = error
        self._writes = writes

    def get(self, path: str) -> t.Any:
        if path.endswith("/kubevirts/kubevirt"):
            return self._world.kubevirt
        raise Unreachable("gone")

    def get_or_none(self, path: str) -> t.Any:
        return self._world.live.get(path)

    def apply(self, _path: str, _body: t.Any, *, rehearse: bool = False) -> t.Any:
        if rehearse:
            return {}
        if self._writes == 0:
            raise self._error
        self._writes -= 1
        return {}

    json_patch = apply

    def snapshot(self, _path: str, **_selector: t.Any) -> t.Any:
        raise self._error


WEBHOOK = ApiError(
    "PATCH", "/x", 500, "InternalError", 'failed calling webhook "kubevirt-update-validator.kubevirt.io"'
)


def stopped(world: World, error: Exception, *, writes: int = 0, drains: bool = False) -> Outcome:
    """The outcome of a run whose writes break."""
    options = {"image_registry": None, "manifest_namespace": None, "migration_drain_timeout": 9}
    plan = world.plan()
    steps = tuple(step for step in plan.steps if drains or step.action != "drain-migrations")
    outcome = Outcome({}, "healthy")
    run = execution.Execution(
        t.cast(t.Any, BreakingApi(world, error, writes)),
        world.facts(),
        dataclasses.replace(plan, steps=steps),
        options,
        outcome,
        t.cast(t.Any, None),
        lambda _line: None,
    )
    run.run([])
    print(outcome.failure)
    return outcome


@pytest.mark.parametrize(
    "error", [Unreachable("no answer"), ApiError("PATCH", "/x", 504, "Timeout", "not within the time")]
)
def test_a_write_without_an_answer_is_not_called_nothing(world: World, error: Exception) -> None:
    outcome = stopped(world, error)
    assert outcome.changed
    assert "Nothing was changed" not in outcome.failure
    assert "The server did not say whether Deployment kubevirt/virt-operator was changed" in outcome.failure


@pytest.mark.parametrize("error", [Forbidden("PATCH", "/x", 403, "Forbidden", "you may not"), WEBHOOK])
def test_a_write_that_was_refused_changed_nothing(world: World, error: ApiError) -> None:
    outcome = stopped(world, error)
    assert not outcome.changed
    assert "Nothing was changed." in outcome.failure
    assert "did not say" not in outcome.failure


def test_the_way_back_is_the_release_that_ran_before(world: World) -> None:
    outcome = stopped(world, Unreachable("no answer"))
    assert "-f https://github.com/kubevirt/kubevirt/releases/download/v1.7.0/kubevirt-operator.yaml" in outcome.failure


def test_the_way_back_never_leads_to_another_registry(world: World) -> None:
    world.apply_operator("v1.7.0", registry="registry.example.com/kubevirt")
    outcome = stopped(world, Unreachable("no answer"))
    assert "kubectl apply" not in outcome.failure
    assert "To go back (KubeVirt itself is still at v1.7.0): run the same with version: v1.7.0" in outcome.failure


def test_without_an_apply_there_is_nothing_to_go_back_from(world: World) -> None:
    world.set_methods("LiveMigrate")
    outcome = stopped(world, Unreachable("no answer"), writes=1, drains=True)
    assert "Changed so far: KubeVirt kubevirt/kubevirt." in outcome.failure
    assert "To go back" not in outcome.failure


def test_a_mistake_of_ours_does_not_hide_what_was_changed(world: World) -> None:
    world.set_methods("LiveMigrate")
    outcome = stopped(world, KeyError("conditions"), writes=1, drains=True)
    assert outcome.changed
    assert "The collection made a mistake: KeyError: 'conditions' (test_execution.py, line " in outcome.failure
    assert "Changed so far: KubeVirt kubevirt/kubevirt." in outcome.failure
    assert "are held empty" in outcome.failure


def test_without_the_kind_of_live_migrations_there_is_none_to_wait_for(world: World) -> None:
    missing = NotFound("GET", "/x", 404, "NotFound", "page not found")
    run = stopped(world, missing, writes=9, drains=True)
    assert [one["action"] for one in run.actions] == ["apply"]


class FailingOnce(BreakingApi):
    """The webhook cannot be asked so many times, and then can."""

    def json_patch(self, _path: str, _body: t.Any, *, rehearse: bool = False) -> t.Any:
        if self._writes > 0:
            self._writes -= 1
            raise self._error
        return {}


@pytest.mark.parametrize(("failures", "put_back"), [(0, True), (2, True), (5, False)])
def test_the_methods_are_put_back_although_the_webhook_fails_for_a_moment(
    world: World, failures: int, put_back: bool
) -> None:
    world.set_methods(held='["LiveMigrate"]')
    clock = t.cast(t.Any, SimpleNamespace(pauses=[]))
    clock.pause = clock.pauses.append
    api = t.cast(t.Any, FailingOnce(world, WEBHOOK, failures))
    outcome = Outcome({}, "healthy")
    run = execution.Execution(api, world.facts(), world.plan(), {}, outcome, clock, lambda _line: None)
    if put_back:
        assert run._release(restore=True)
        assert len(clock.pauses) == failures
    else:
        with pytest.raises(ApiError, match="pods behind that webhook"):
            run._release(restore=True)
