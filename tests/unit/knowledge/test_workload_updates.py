# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Holding KubeVirt's own workload updates still, and what becomes of an object by the patches that do it."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import workload_updates
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.workload_updates import HELD_ANNOTATION

Object = dict[str, t.Any]


class DoesNotHold(Exception):
    """A patch that the API server refuses: a test that does not hold, or a path that is not there."""


def patched(o: Object, patch: list[Object]) -> Object:
    """What RFC 6902 makes of an object; only members of objects, no items of lists."""
    result = copy.deepcopy(o)
    for operation in patch:
        *parents, last = (part.replace("~1", "/") for part in operation["path"].split("/")[1:])
        place = result
        for part in parents:
            if part not in place:
                raise DoesNotHold(operation)
            place = place[part]
        if operation["op"] != "add" and last not in place:
            raise DoesNotHold(operation)
        if operation["op"] == "test":
            if place[last] != operation["value"]:
                raise DoesNotHold(operation)
        elif operation["op"] == "remove":
            del place[last]
        else:
            place[last] = copy.deepcopy(operation["value"])
    return result


def kubevirt(strategy: t.Any = "none", annotations: t.Any = "none") -> Object:
    metadata: Object = {"name": "kubevirt", "namespace": "kubevirt"}
    spec: Object = {}
    if strategy != "none":
        spec["workloadUpdateStrategy"] = strategy
    if annotations != "none":
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": spec}


def held(text: str, strategy: t.Any = "none") -> Object:
    return kubevirt(strategy, {HELD_ANNOTATION: text})


@pytest.mark.parametrize(
    ("o", "expected"),
    [
        (kubevirt(), []),
        ({"metadata": {}}, []),
        (kubevirt(None), []),
        (kubevirt({}), []),
        (kubevirt({"workloadUpdateMethods": None}), []),
        (kubevirt({"batchEvictionSize": 5}), []),
        (kubevirt({"workloadUpdateMethods": ["LiveMigrate", "Evict"]}), ["LiveMigrate", "Evict"]),
    ],
)
def test_methods_set_now(o: Object, expected: list[str]) -> None:
    assert workload_updates.methods(o) == expected


@pytest.mark.parametrize(
    ("o", "expected"),
    [
        (kubevirt(), None),
        (kubevirt(annotations=None), None),
        (kubevirt(annotations={"else": "x"}), None),
        (held('["LiveMigrate", "Evict"]'), ["LiveMigrate", "Evict"]),
        (held("[]"), []),
        (held(""), []),
        (held("LiveMigrate"), []),
        (held('{"a": 1}'), []),
        (held("null"), []),
    ],
)
def test_methods_that_an_unfinished_run_remembered(o: Object, expected: list[str] | None) -> None:
    """An annotation that somebody spoilt is still a hold, that of nothing."""
    assert workload_updates.held_methods(o) == expected


@pytest.mark.parametrize(
    ("now", "remembered", "restore", "expected"),
    [
        ([], '["LiveMigrate"]', True, ["LiveMigrate"]),
        (["Evict"], '["LiveMigrate"]', True, ["Evict"]),
        ([], "[]", True, []),
        ([], '["LiveMigrate"]', False, []),
        (["Evict"], '["LiveMigrate"]', False, []),
    ],
    ids=["remembered", "set meanwhile by a person", "nothing to restore", "left empty", "left empty all the same"],
)
def test_methods_afterwards(now: list[str], remembered: str, restore: bool, expected: list[str]) -> None:
    o = held(remembered, {"workloadUpdateMethods": now})
    assert workload_updates.methods_afterwards(o, restore=restore) == expected


STRATEGY: Object = {"workloadUpdateMethods": ["LiveMigrate"], "batchEvictionSize": 7}


@pytest.mark.parametrize("annotations", ["none", None, {}, {"mine": "1"}], ids=str)
def test_a_hold_empties_and_remembers_the_methods_and_nothing_else(annotations: t.Any) -> None:
    before = kubevirt(STRATEGY, annotations)
    after = patched(before, workload_updates.holding_patch(before))
    assert workload_updates.methods(after) == []
    assert workload_updates.held_methods(after) == ["LiveMigrate"]
    others = annotations if isinstance(annotations, dict) else {}
    assert after["metadata"].pop("annotations").items() - others.items() == {(HELD_ANNOTATION, '["LiveMigrate"]')}
    assert after["spec"]["workloadUpdateStrategy"] == {"workloadUpdateMethods": [], "batchEvictionSize": 7}


def test_a_hold_over_that_of_a_killed_run_remembers_what_was_set_meanwhile() -> None:
    before = held('["LiveMigrate"]', {"workloadUpdateMethods": ["Evict"]})
    after = patched(before, workload_updates.holding_patch(before))
    assert workload_updates.held_methods(after) == ["Evict"]
    assert workload_updates.methods(after) == []


def test_a_hold_does_not_overwrite_methods_that_changed_at_the_same_time() -> None:
    seen = kubevirt({"workloadUpdateMethods": ["LiveMigrate"]})
    with pytest.raises(DoesNotHold):
        patched(kubevirt({"workloadUpdateMethods": ["Evict"]}), workload_updates.holding_patch(seen))


@pytest.mark.parametrize(
    "strategy",
    [
        {"workloadUpdateMethods": []},
        {"workloadUpdateMethods": [], "batchEvictionSize": 7},
        {"batchEvictionSize": 7},
        {},
        None,
        "none",
    ],
    ids=["as held", "with others", "without the empty list", "empty", "null", "removed"],
)
def test_a_release_restores_the_methods_whatever_became_of_the_emptied_list(strategy: t.Any) -> None:
    before = held('["LiveMigrate"]', strategy)
    after = patched(before, workload_updates.releasing_patch(before, ["LiveMigrate"]))
    others = {"batchEvictionSize": 7} if isinstance(strategy, dict) and "batchEvictionSize" in strategy else {}
    assert after["spec"]["workloadUpdateStrategy"] == {**others, "workloadUpdateMethods": ["LiveMigrate"]}
    assert HELD_ANNOTATION not in after["metadata"]["annotations"]


def test_a_release_to_what_is_set_already_touches_the_annotation_only() -> None:
    before = kubevirt({"workloadUpdateMethods": ["Evict"]}, {HELD_ANNOTATION: "[]", "mine": "1"})
    after = patched(before, workload_updates.releasing_patch(before, ["Evict"]))
    assert after == kubevirt({"workloadUpdateMethods": ["Evict"]}, {"mine": "1"})


def test_a_release_fails_when_another_run_holds_meanwhile() -> None:
    patch = workload_updates.releasing_patch(held('["LiveMigrate"]', {}), ["LiveMigrate"])
    with pytest.raises(DoesNotHold):
        patched(held('["Evict"]', {}), patch)


class TestAskedMethods:
    """While VMs are moved one by one, the asked methods are remembered besides those of before."""

    @staticmethod
    def kubevirt(now: list[str] | None, remembered: str | None = None) -> dict[str, t.Any]:
        annotations = {} if remembered is None else {workload_updates.HELD_ANNOTATION: remembered}
        strategy = {} if now is None else {"workloadUpdateStrategy": {"workloadUpdateMethods": now}}
        return {"metadata": {"resourceVersion": "7", "annotations": annotations}, "spec": strategy}

    @pytest.mark.parametrize(
        ("now", "remembered", "before"),
        [
            (None, None, []),
            (["Evict"], None, ["Evict"]),
            ([], '["Evict"]', ["Evict"]),  # an upgrade's
            ([], '{"methods": ["LiveMigrate"], "before": ["Evict"]}', ["Evict"]),
            ([], '{"methods": ["LiveMigrate"], "before": []}', []),
            ([], "what?", []),
            ([], "7", []),
        ],
    )
    def test_those_of_before_survive_a_kill(
        self, now: list[str] | None, remembered: str | None, before: list[str]
    ) -> None:
        held = self.kubevirt(now, remembered)
        assert workload_updates.methods_before(held) == before
        patch = workload_updates.asking_patch(held, ["LiveMigrate"])
        texts = [one["value"] for one in patch if one["path"].startswith("/metadata/annotations/")]
        again = self.kubevirt([], texts[0])
        assert workload_updates.held_methods(again) == ["LiveMigrate"], "an upgrade puts these back"
        assert workload_updates.methods_before(again) == before
        assert patch[0] == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
        empties = [one for one in patch if one["path"].endswith("workloadUpdateMethods")]
        assert bool(empties) == bool(now), "an empty list is not written again"

    def test_the_annotation_is_taken_away_where_it_is(self) -> None:
        assert workload_updates.forgetting_patch(self.kubevirt([])) == []
        assert [one["op"] for one in workload_updates.forgetting_patch(self.kubevirt([], "[]"))] == ["remove"]
