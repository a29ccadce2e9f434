# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run says that stops on its way: what was changed, what nobody knows, and how to go on or back."""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Sequence

import pytest
import urllib3
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.api import Api
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import (
    ApiError,
    ClusterError,
    Forbidden,
    NotFound,
    Unreachable,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.patience import PATIENCE, is_unclear
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import workload_updates
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import editing, execution
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import Outcome

from tests.support.quick_clock import QuickClock
from tests.unit.operations.conftest import Answer, Server

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
            if isinstance(self._error, ClusterError):
                self._error.in_doubt = is_unclear(self._error)
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


class LossyServer(Server):
    """Keeps versions and preconditions as an API server does, and loses some of its answers.

    Args:
        loses: For each write in turn what becomes of it: "answer" (stored, and the answer is lost), "write" (lost before it is
            stored), "other" (somebody else writes before), "webhook" (cannot be asked); later ones are as usual.
    """

    def __init__(self, objects: dict[str, t.Any], loses: Sequence[str]) -> None:
        super().__init__(objects)
        self.loses = [*loses]
        self.conflicts = 0
        self._version = 1

    def _patched(self, path: str, body: t.Any, rehearsal: bool) -> Answer:
        if rehearsal:
            return super()._patched(path, body, rehearsal)
        fate = self.loses.pop(0) if self.loses else ""
        if fate == "webhook":
            return Answer(500, {"reason": "InternalError", "message": WEBHOOK.message})
        if fate == "write":
            raise urllib3.exceptions.ProtocolError("Connection aborted.")
        if fate == "other":
            self._changed(path)
        if not self._holds(path, body):
            self.conflicts += 1
            return Answer(409, {"reason": "Conflict", "message": "the object has been modified"})
        super()._patched(path, body, rehearsal)
        self._changed(path)
        if fate == "answer":
            raise urllib3.exceptions.ProtocolError("Connection aborted.")
        return Answer(200, self.objects[path])

    def _changed(self, path: str) -> None:
        self._version += 1
        self.objects[path]["metadata"]["resourceVersion"] = str(self._version)

    def _holds(self, path: str, body: t.Any) -> bool:
        live = self.objects.get(path, {})
        if isinstance(body, dict):
            wanted = body["metadata"].get("resourceVersion")
            return wanted is None or wanted == live["metadata"]["resourceVersion"]
        for test in (operation for operation in body if operation["op"] == "test"):
            place: t.Any = live
            for part in test["path"].split("/")[1:]:
                place = (place or {}).get(part.replace("~1", "/"))
            if place != test["value"]:
                return False
        return True


def executed(world: World, *loses: str, without: str = "") -> tuple[execution.Execution, LossyServer]:
    """An execution of a hop on a server that loses answers; one object may not be there."""
    objects = {path: one for path, one in world.server().objects.items() if path != without}
    server, clock = LossyServer(objects, loses), QuickClock()
    api = Api(server, "https://api.example:6443", list, check_mode=False, clock=clock)
    run = execution.Execution(
        api,
        world.facts(),
        world.plan(),
        {"migration_drain_timeout": 9},
        Outcome({}, "healthy"),
        clock,
        lambda _line: None,
    )
    api.get("/version")
    return run, server


def apply_step(run: execution.Execution) -> t.Any:
    return next(step for step in run._plan.steps if step.action == "apply")


LOST = [(), ("answer",), ("write",), ("write", "answer"), ("other",), ("answer", "other"), ("webhook", "webhook")]


@pytest.mark.parametrize("loses", LOST)
class TestLostAnswers:
    """Whatever becomes of answers and of other people's writes: the same end, nothing twice, and the account is right."""

    def test_an_apply(self, world: World, loses: tuple[str, ...]) -> None:
        run, server = executed(world, *loses)
        step = apply_step(run)
        run._carry_out(step)
        assert (run._written, run._in_doubt) == ([step], None)
        assert server.objects[step.path]["spec"] == step.body["spec"]

    def test_an_apply_of_a_new_object(self, world: World, loses: tuple[str, ...]) -> None:
        if "other" in loses:
            pytest.skip("nobody else writes to what is not there")
        run, server = executed(world, *loses, without=apply_step(executed(world)[0]).path)
        step = apply_step(run)
        run._carry_out(step)
        assert (run._written, run._in_doubt) == ([step], None)
        assert server.objects[step.path]["spec"] == step.body["spec"]

    def test_a_hold(self, world: World, loses: tuple[str, ...]) -> None:
        world.set_methods("LiveMigrate")
        run, server = executed(world, *loses)
        step = run._plan.steps[0]
        assert step.action == "hold-workload-updates"
        run._carry_out(step)
        assert (run._written, run._in_doubt) == ([step], None)
        held = server.objects[run._facts.kubevirt_path]
        assert workload_updates.held_methods(held) == ["LiveMigrate"], "what is remembered is what was set at first"
        assert workload_updates.methods(held) == []

    def test_a_release(self, world: World, loses: tuple[str, ...]) -> None:
        world.set_methods(held='["LiveMigrate"]')
        run, server = executed(world, *loses)
        assert run._release(restore=True)
        freed = server.objects[run._facts.kubevirt_path]
        assert (workload_updates.held_methods(freed), workload_updates.methods(freed)) == (None, ["LiveMigrate"])
        assert not run._release(restore=True), "a second one has nothing to do"


@pytest.mark.parametrize("writes", [("answer", *("write",) * 99), ("write",) * 99])
def test_an_apply_whose_answers_stay_lost_is_in_doubt(world: World, writes: tuple[str, ...]) -> None:
    run, _server = executed(world, *writes)
    step = apply_step(run)
    with pytest.raises(Unreachable):
        run._carry_out(step)
    assert (run._written, run._in_doubt) == ([step], step)
    assert run._clock.now() <= PATIENCE


def test_a_read_that_fails_after_a_lost_answer_leaves_it_in_doubt(world: World) -> None:
    run, server = executed(world, "answer")
    step = apply_step(run)
    looks = iter([False, True])
    answered = server.request

    def request(method: str, url: str, **options: t.Any) -> Answer:
        if method == "GET" and next(looks):
            return Answer(403, {"reason": "Forbidden", "message": "no more"})
        return answered(method, url, **options)

    server.request = request  # type: ignore[method-assign]
    with pytest.raises(Forbidden):
        run._carry_out(step)
    assert (run._written, run._in_doubt) == ([step], step)


def test_an_object_that_changes_all_the_time_ends_the_run(world: World) -> None:
    run, server = executed(world, *("other",) * 99)
    with pytest.raises(execution.Stopped, match="changes faster than it can be written"):
        run._carry_out(apply_step(run))
    assert (server.conflicts, run._written) == (editing.ATTEMPTS, [])


def test_a_webhook_that_stays_away_ends_the_run_and_changed_nothing(world: World) -> None:
    run, server = executed(world, *("webhook",) * 99)
    step = apply_step(run)
    with pytest.raises(ApiError, match="pods behind that webhook"):
        run._carry_out(step)
    assert (server.written, run._written, run._in_doubt) == ([], [], None)


def of_kubectl(world: World, path: str) -> None:
    """The object as kubectl create left it."""
    live = world.live[path]
    entry = {"manager": "kubectl-create", "operation": "Update", "apiVersion": live["apiVersion"]}
    live["metadata"]["managedFields"] = [{**entry, "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}}}]


@pytest.mark.parametrize("loses", [("other",), ("answer",), ("other", "answer", "other")])
def test_fields_of_one_shot_tools_are_moved_although_others_write(world: World, loses: tuple[str, ...]) -> None:
    of_kubectl(world, apply_step(executed(world)[0]).path)
    run, server = executed(world, *loses)
    step = apply_step(run)
    run._carry_out(step)
    assert (run._written, run._in_doubt) == ([step], None)
    assert server.objects[step.path]["spec"] == step.body["spec"]


def test_fields_that_cannot_be_moved_end_the_run(world: World) -> None:
    of_kubectl(world, apply_step(executed(world)[0]).path)
    run, server = executed(world, *("other",) * 99)
    with pytest.raises(execution.Stopped, match="changes faster than its field managers can be moved"):
        run._carry_out(apply_step(run))
    assert (server.conflicts, run._written) == (editing.ATTEMPTS, [])


def test_a_hold_that_somebody_else_has_made_is_not_ours(world: World) -> None:
    world.set_methods("LiveMigrate")
    run, server = executed(world)
    (step,) = [one for one in run._plan.steps if one.action == "hold-workload-updates"]
    server.objects[run._facts.kubevirt_path]["spec"]["workloadUpdateStrategy"]["workloadUpdateMethods"] = []
    run._carry_out(step)
    assert (server.written, run._written) == ([], [])


def test_a_tag_that_somebody_else_has_moved_is_not_ours(world: World) -> None:
    world.kubevirt["spec"]["imageTag"] = "v1.7.0"
    run, server = executed(world)
    (step,) = [one for one in run._plan.steps if one.action in execution.TAG_MOVES]
    server.objects[run._facts.kubevirt_path]["spec"]["imageTag"] = "v1.8.4"
    run._carry_out(step)
    assert (server.written, run._written) == ([], [])


def test_a_hold_that_somebody_else_has_ended_is_not_ours(world: World) -> None:
    world.set_methods(held='["LiveMigrate"]')
    run, server = executed(world)
    run._params = {**run._params, "workload_methods_after": "restore", "wait": True}
    (step,) = [one for one in run._plan.steps if one.action == "restore-workload-updates"]
    del server.objects[run._facts.kubevirt_path]["metadata"]["annotations"][workload_updates.HELD_ANNOTATION]
    run._carry_out(step)
    assert (server.written, run._written) == ([], [])


def test_where_the_object_cannot_be_read_there_is_no_word_on_a_way_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_self: BreakingApi, _path: str) -> t.Any:
        raise Unreachable("gone")

    monkeypatch.setattr(BreakingApi, "get", away)
    outcome = stopped(world, Unreachable("no answer"))
    assert "Changed so far: Deployment kubevirt/virt-operator." in outcome.failure
    assert "To go back" not in outcome.failure
