# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""spec.workloadUpdateStrategy: what is there, what is wanted, and the patch between them."""

from __future__ import annotations

import typing as t
from datetime import timedelta

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import workload_strategy
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.workload_strategy import Asked

Object = dict[str, t.Any]

MIGRATE: Object = {"workloadUpdateMethods": ["LiveMigrate"]}
BOTH: Object = {
    "workloadUpdateMethods": ["LiveMigrate", "Evict"],
    "batchEvictionSize": 5,
    "batchEvictionInterval": "1m0s",
}
MINUTE = timedelta(minutes=1)


def kubevirt(*strategy: t.Any) -> Object:
    spec: Object = {"workloadUpdateStrategy": strategy[0]} if strategy else {}
    return {"metadata": {"resourceVersion": "7"}, "spec": spec}


@pytest.mark.parametrize(
    "o", [{"metadata": {}}, {"metadata": {}, "spec": None}, kubevirt(), kubevirt(None), kubevirt({})]
)
def test_an_empty_strategy_is_none(o: Object) -> None:
    assert workload_strategy.strategy_of(o) is None


@pytest.mark.parametrize(
    ("strategy", "methods", "size", "interval"),
    [
        (None, (), 10, MINUTE),
        (MIGRATE, ("LiveMigrate",), 10, MINUTE),
        (BOTH, ("LiveMigrate", "Evict"), 5, MINUTE),
        ({"batchEvictionSize": 0, "batchEvictionInterval": "0s"}, (), 0, timedelta()),
        ({"workloadUpdateMethods": None, "batchEvictionInterval": "soon"}, (), 10, MINUTE),
    ],
)
def test_its_parts(strategy: Object | None, methods: tuple[str, ...], size: int, interval: timedelta) -> None:
    assert workload_strategy.methods_of(strategy) == methods
    assert workload_strategy.batch_size_of(strategy) == size
    assert workload_strategy.batch_interval_of(strategy) == interval


@pytest.mark.parametrize(
    ("now", "asked"),
    [
        (None, Asked(())),
        (MIGRATE, Asked(("LiveMigrate",))),
        ({"batchEvictionSize": 5}, Asked(())),
        (BOTH, Asked(("Evict", "LiveMigrate"))),
        (BOTH, Asked(("Evict", "LiveMigrate"), 5, MINUTE)),
        (BOTH | {"batchEvictionInterval": "60s"}, Asked(("LiveMigrate", "Evict"), 5, MINUTE)),
    ],
    ids=["nothing", "the same", "a missing list is empty", "another order", "all of it", "60s are 1m0s"],
)
def test_what_means_the_same_stays_as_it_is(now: Object | None, asked: Asked) -> None:
    assert workload_strategy.wanted_strategy(now, asked) is now


@pytest.mark.parametrize(
    ("now", "asked", "expected"),
    [
        (None, Asked(("LiveMigrate",)), MIGRATE),
        (None, Asked((), 3), {"batchEvictionSize": 3}),
        (MIGRATE, Asked(()), {"workloadUpdateMethods": []}),
        (MIGRATE, Asked(("LiveMigrate", "Evict"), 5, MINUTE), BOTH),
        (BOTH, Asked(("Evict",)), BOTH | {"workloadUpdateMethods": ["Evict"]}),
        (BOTH, Asked(("LiveMigrate", "Evict"), None, timedelta(seconds=90)), BOTH | {"batchEvictionInterval": "1m30s"}),
        (MIGRATE | {"ofTomorrow": {"a": 1}}, Asked(()), {"workloadUpdateMethods": [], "ofTomorrow": {"a": 1}}),
    ],
)
def test_what_is_wanted(now: Object | None, asked: Asked, expected: Object) -> None:
    """What is not asked for stays, fields that nobody here knows too."""
    before = dict(now or {})
    assert workload_strategy.wanted_strategy(now, asked) == expected
    assert dict(now or {}) == before


TEST = {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
PATH = "/spec/workloadUpdateStrategy"


@pytest.mark.parametrize(
    ("o", "wanted", "operations"),
    [
        (kubevirt(), MIGRATE, [{"op": "add", "path": PATH, "value": MIGRATE}]),
        (kubevirt(BOTH), MIGRATE, [{"op": "add", "path": PATH, "value": MIGRATE}]),
        (kubevirt(BOTH), None, [{"op": "remove", "path": PATH}]),
        (
            {"metadata": {"resourceVersion": "7"}},
            MIGRATE,
            [{"op": "add", "path": "/spec", "value": {}}, {"op": "add", "path": PATH, "value": MIGRATE}],
        ),
    ],
)
def test_the_patch_holds_only_for_the_object_that_was_read(
    o: Object, wanted: Object | None, operations: list[Object]
) -> None:
    assert workload_strategy.strategy_patch(o, wanted) == [TEST, *operations]


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        (None, "no methods (running VMs stay on the launcher that started them)"),
        (MIGRATE, "LiveMigrate"),
        (BOTH, "LiveMigrate and Evict, 5 evictions every 1m0s"),
        ({"workloadUpdateMethods": ["Evict"]}, "Evict, 10 evictions every 1m0s"),
        (MIGRATE | {"batchEvictionInterval": "2m"}, "LiveMigrate, 10 evictions every 2m0s"),
    ],
)
def test_words(strategy: Object | None, words: str) -> None:
    assert workload_strategy.in_words(strategy) == words
