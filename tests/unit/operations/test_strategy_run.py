# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Setting and removing the workload update strategy: what is written, what is predicted, and what is said when it fails."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.workload_updates import HELD_ANNOTATION
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import observe, workload_strategy
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import InvalidOption, Outcome

World = t.Any  # tests/unit/operations/conftest.py
Server = t.Any
Object = dict[str, t.Any]

KUBEVIRT = "/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts/kubevirt"
MIGRATE: Object = {"workloadUpdateMethods": ["LiveMigrate"]}


class Patient(Clock):
    """Only pauses take time, and none for the test; what happens during one is up to it."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.on_pause: t.Callable[[], None] = lambda: None

    def now(self) -> float:
        return sum(self.pauses)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.on_pause()


class Run:
    """Runs against a world's server; it is made from the world at the first one."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clock = Patient()
        self.said: list[str] = []
        self._server: Server | None = None

    @property
    def server(self) -> Server:
        if self._server is None:
            self.world.kubevirt["metadata"]["resourceVersion"] = "7"
            self._server = self.world.server()
        return self._server

    def __call__(self, *methods: str, check_mode: bool = False, **options: t.Any) -> Outcome:
        params = {option: spec.get("default") for option, spec in workload_strategy.ARGUMENT_SPEC.items()}
        params |= {"methods": list(methods), "wait": False, **options}
        api = self.server.api(check_mode=check_mode, clock=self.clock)
        return workload_strategy.run(api, params, check_mode=check_mode, clock=self.clock, report=self.said.append)

    @property
    def strategy(self) -> t.Any:
        return self.server.objects[KUBEVIRT]["spec"].get("workloadUpdateStrategy", "none")


@pytest.fixture
def run(world: World) -> Run:
    return Run(world)


CHANGES: list[tuple[t.Any, Object, t.Any]] = [
    (None, {"methods": ["LiveMigrate"]}, MIGRATE),
    (MIGRATE, {"methods": []}, {"workloadUpdateMethods": []}),
    (
        MIGRATE | {"ofTomorrow": 1},
        {"methods": ["Evict", "LiveMigrate", "Evict"], "batch_eviction_size": 5, "batch_eviction_interval": "90s"},
        {
            "workloadUpdateMethods": ["Evict", "LiveMigrate"],
            "batchEvictionSize": 5,
            "batchEvictionInterval": "1m30s",
            "ofTomorrow": 1,
        },
    ),
    (MIGRATE, {"state": "absent", "methods": None}, "none"),
]


@pytest.mark.parametrize(("now", "options", "expected"), CHANGES)
def test_a_change_is_predicted_rehearsed_and_written_once(
    run: Run, now: t.Any, options: Object, expected: t.Any
) -> None:
    run.world.kubevirt["spec"]["workloadUpdateStrategy"] = now
    predicted = run(check_mode=True, **options)
    assert (run.server.rehearsed, run.server.written, run.strategy) == ([], [], now)
    done = run(**options)
    assert not done.failure
    assert (run.server.rehearsed, run.server.written, run.strategy) == ([KUBEVIRT], [KUBEVIRT], expected)
    assert predicted.changed and done.changed
    assert (predicted.diff, predicted.actions) == (done.diff, done.actions)
    [diff] = done.diff
    assert diff["before"] == ({"workloadUpdateStrategy": now} if now else {})
    assert diff["after"] == ({} if expected == "none" else {"workloadUpdateStrategy": expected})
    again = run(**options)
    assert (again.changed, again.diff, again.actions, again.failure) == (False, [], [], "")
    assert run.server.written == [KUBEVIRT]


@pytest.mark.parametrize("left_behind", ["none", None, {}])
def test_an_empty_strategy_that_virt_operator_writes_back_is_none(run: Run, left_behind: t.Any) -> None:
    if left_behind != "none":
        run.world.kubevirt["spec"]["workloadUpdateStrategy"] = left_behind
    for options in ({"state": "absent", "methods": None}, {"state": "absent"}, {"methods": []}):
        assert not run(**options).changed


def test_the_result_says_what_becomes_of_each_vm(run: Run) -> None:
    run.world.workloads = observe.Workloads()
    run.world.add_vm("b")
    run.world.add_vm("a", not_migratable="DisksNotLiveMigratable", failure="no target")
    run.world.add_vm("c", tag="v1.7.0", outdated=False)
    result = run("LiveMigrate", check_mode=True, list_vms=2).as_result()
    assert result["strategy"] == MIGRATE and result["strategy_before"] == {}
    assert result["from_version"] == result["to_version"] == "v1.7.0"
    vms = result["vms"]
    first, second = vms.pop("listed")
    assert vms == {
        "total": 3,
        "to_be_moved": 2,
        "by_fate": {"stays-old": 1, "migrated": 1, "up-to-date": 1},
        "by_launcher": {"v1.6.0": 2, "v1.7.0": 1},
        "left_out": 1,
    }
    assert (second["name"], second["fate"]) == ("b", "migrated")
    assert first == {
        "namespace": "shop",
        "name": "a",
        "fate": "stays-old",
        "why": "it cannot be migrated (DisksNotLiveMigratable)",
        "launcher": "v1.6.0",
        "outdated": True,
        "pending": [],
        "migratable": False,
        "not_migratable": "DisksNotLiveMigratable",
        "eviction_strategy": "None",
        "run_strategy": "Always",
        "belongs_to": "VirtualMachine a",
        "last_migration_failure": "no target",
    }


def test_blockers_stop_a_change_but_not_a_second_run(run: Run) -> None:
    run.world.add_vm("manual", run_strategy="Manual")
    refused = run("Evict")
    assert "[workloads.evict-leaves-vm-down]" in refused.failure
    assert (refused.changed, refused.diff, refused.actions, run.server.rehearsed) == (False, [], [], [])
    accepted = run("Evict", accept=["workloads.evict-leaves-vm-down"])
    assert accepted.changed and not accepted.failure
    again = run("Evict")
    assert not again.changed and not again.failure
    assert "workloads.evict-leaves-vm-down" in [one.id for one in again.findings]


@pytest.mark.parametrize("asked", [["LiveMigrate"], []])
def test_nothing_lasts_while_an_upgrade_holds_the_methods(run: Run, asked: list[str]) -> None:
    """Also what is there already: the upgrade will put back what it remembers."""
    run.world.set_methods(held='["Evict"]')
    refused = run(*asked, accept=["workloads.methods-held"])
    assert "[workloads.methods-held]" in refused.failure and "accept:" not in refused.failure
    assert run.server.written == []


def test_a_hold_that_begins_after_the_look(run: Run) -> None:
    request = run.server.request

    def hold_when_it_is_read_again(method: str, url: str, **options: t.Any) -> t.Any:
        if method == "GET" and url.endswith(KUBEVIRT):
            run.server.objects[KUBEVIRT]["metadata"]["annotations"] = {HELD_ANNOTATION: "[]"}
        return request(method, url, **options)

    run.server.request = hold_when_it_is_read_again
    stopped = run("LiveMigrate")
    assert "Another run began meanwhile" in stopped.failure and stopped.failure.endswith("Nothing was changed.")
    assert (stopped.changed, stopped.diff, run.server.written) == (False, [], [])


@pytest.mark.parametrize(
    ("status", "message", "changed", "words"),
    [
        (403, "no permission", False, "Nothing was changed."),
        (400, "denied the request", False, "Nothing was changed."),
        (500, "boom, only for the real one", True, "The server did not say whether it was changed"),
    ],
)
def test_a_write_that_fails(run: Run, status: int, message: str, changed: bool, words: str) -> None:
    run.server.refuses[KUBEVIRT] = (status, message)
    failed = run("LiveMigrate")
    assert failed.failure.startswith("The workload update strategy could not be written.")
    assert message in failed.failure and words in failed.failure
    assert (failed.changed, bool(failed.diff), failed.state) == (changed, changed, "healthy")


def test_a_server_that_goes_away_after_the_write_leaves_the_state_unknown(run: Run) -> None:
    def gone(_path: str) -> None:
        run.server.refuses["/apis"] = (403, "GET: no more")

    run.server.after_write = gone
    done = run("LiveMigrate")
    assert (done.failure, done.changed, done.state) == ("", True, "unknown")


def test_somebody_who_changes_the_object_all_the_time(run: Run) -> None:
    run.server.refuses[KUBEVIRT] = (409, "the object has been modified")
    assert "changes faster than it can be written" in run("LiveMigrate").failure


def test_it_waits_until_the_operator_has_taken_the_edit_in(run: Run) -> None:
    def edited(_path: str) -> None:
        run.server.objects[KUBEVIRT]["metadata"]["generation"] += 1

    def taken_in() -> None:
        if len(run.clock.pauses) == 3:
            kubevirt = run.server.objects[KUBEVIRT]
            kubevirt["status"]["observedGeneration"] = kubevirt["metadata"]["generation"]

    run.server.after_write, run.clock.on_pause = edited, taken_in
    done = run("LiveMigrate", wait=True)
    assert [one["action"] for one in done.actions] == ["set-strategy", "wait"]
    assert (done.state, run.clock.pauses) == ("healthy", [2, 2, 2])
    assert [line.split()[1] for line in run.said] == ["rehearse", "set", "wait"]


def test_an_operator_that_never_takes_it_in_is_not_waited_for_longer_than_a_minute(run: Run) -> None:
    run.server.after_write = lambda _path: run.server.objects[KUBEVIRT]["metadata"].update(generation=99)
    assert run("LiveMigrate", wait=True).changed
    assert sum(run.clock.pauses) == observe.CATCH_UP


WRONG: list[tuple[Object, str]] = [
    ({"methods": None}, "methods: it is missing. Give a list of LiveMigrate and Evict, or an empty one"),
    ({"batch_eviction_size": 0}, "batch_eviction_size: 0 is not a number from 1 to"),
    ({"batch_eviction_size": 2**31}, "batch_eviction_size: 2147483648 is not a number from 1 to"),
    ({"list_vms": -1}, "list_vms: -1 is not a number from 0 to"),
    ({"list_vms": -1, "state": "absent"}, "list_vms: -1 is not a number from 0 to"),
    ({"batch_eviction_interval": "60"}, "batch_eviction_interval: '60' is not a duration"),
    ({"batch_eviction_interval": "0s"}, "batch_eviction_interval: '0s' is no time between batches"),
    ({"state": "absent", "methods": ["Evict"]}, "methods: state: absent removes the whole strategy"),
    ({"state": "absent", "methods": None, "batch_eviction_size": 5}, "batch_eviction_size: state: absent removes"),
    ({"accept": ["workloads.nothing"]}, "accept: 'workloads.nothing' is no finding id"),
]


@pytest.mark.parametrize(("options", "words"), WRONG)
def test_options_that_make_no_sense(run: Run, options: Object, words: str) -> None:
    with pytest.raises(InvalidOption) as error:
        run(**options)
    assert str(error.value).startswith(words)
    assert "Nothing was done." in str(error.value)


def test_another_cluster_than_expected(run: Run) -> None:
    refused = run("LiveMigrate", expected_cluster_uid="other")
    assert "[cluster.wrong-uid]" in refused.failure and run.server.written == []
