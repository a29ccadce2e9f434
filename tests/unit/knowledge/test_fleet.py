# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet: which clusters the hosts are, what a run would do, whose turn it is, and what became of each."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.day_window import day_window
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.fleet_identity import (
    doubts_about,
    inventory_lines,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.fleet_plan import (
    fleet_page,
    forecast,
    is_finished,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.fleet_waves import (
    end_page,
    ended,
    outcomes,
    turns,
)

Json = dict[str, t.Any]
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


def look(version: str = "v1.8.4", **changes: t.Any) -> Json:
    """What ``kubevirt_info`` returns of a healthy cluster."""
    kubevirt = {
        "observed_version": version,
        "target_version": version,
        "operator_declared_version": version,
        "observed_registry": "quay.io/kubevirt",
        "image_tag": None,
        "held_workload_update_methods": None,
    }
    return {
        "cluster": {"endpoint": "https://192.0.2.1:6443", "uid": "1"},
        "state": changes.pop("state", "healthy"),
        "from_version": version,
        "findings": [],
        "owners": [],
        "elapsed": 1.0,
        "workloads": {"vms": 9, "vmis": 5, "outdated": changes.pop("outdated", 0)},
        "kubevirt": {**kubevirt, **changes},
    }


def seen(state: str = "", wave: int = 1, **more: t.Any) -> Json:
    """The variables of a host, with what became of it."""
    outcome = {"state": state, "wave": wave, "message": more.pop("message", "")}
    return {**({"kubevirt_outcome": outcome} if state else {}), **more}


def wave(past: list[Json], batch: list[Json], *, after: int = 0, budget: int = 0, is_asked: bool = False) -> Json:
    """The turns of ``batch`` after what became of ``past``; hosts are a, b, c …"""
    given = dict(zip("abcdefgh", [*past, *batch, *[{}] * after], strict=False))
    hosts = list(given)
    return turns(
        hosts,
        hosts[len(past) : len(past) + len(batch)],
        given,
        budget=budget,
        now=NOON,
        is_asked=is_asked,
        command="ansible-playbook upgrade",
    )


def states(of: Json) -> list[str]:
    return [one["state"] for one in of["approved"].values()]


@pytest.mark.parametrize(
    ("uids", "expected"),
    [
        ({"a": ""}, []),
        ({"a": "1", "b": "2"}, []),
        ({"a": "1", "b": "", "c": ""}, ["Of 3 hosts, these do not say which cluster they are: b, c."]),
        ({"a": "1", "b": "2", "c": "1"}, ["a and c are the same cluster (uid 1)."]),
    ],
)
def test_several_clusters_must_be_told_apart(uids: dict[str, str], expected: list[str]) -> None:
    said = doubts_about(uids, {}, [1, "5%"], {})
    assert [one[: len(words)] for one, words in zip(said, expected, strict=True)] == expected


@pytest.mark.parametrize("waves", [[], [0], ["0%"], [-1], ["101%"], ["half"], [1, "5 %"], [1.5]])
def test_a_wave_has_a_size(waves: list[t.Any]) -> None:
    assert "kubevirt_serial" in doubts_about({"a": ""}, {}, waves, {})[0]


def test_a_window_that_is_none_is_named_with_its_cluster() -> None:
    (said,) = doubts_about({"a": "1", "b": "2"}, {"a": "22:00-04:00", "b": "at night"}, [1], {})
    assert said.startswith("kubevirt_window of b: 'at night' is no window of the day")


def test_what_ansible_understands_is_a_size() -> None:
    assert doubts_about({"a": ""}, {"a": "22:00-04:00"}, [1, "2", "5%", "100%"], {}) == []


def test_a_count_is_a_whole_number() -> None:
    said = doubts_about(
        {"a": ""}, {}, [1], {"kubevirt_wave_soak": {"1m", "60", "-5", ""}, "kubevirt_serial": {"0", "7"}}
    )
    assert said == ["kubevirt_wave_soak: -5, 1m is no whole number of 0 or more."]


def test_the_lines_for_the_inventory() -> None:
    assert inventory_lines({"a": "1", "b": ""}, {"a": "", "b": ""})[1:] == [
        "kubevirt_clusters:",
        "  hosts:",
        "    a: {kubevirt_expected_cluster_uid: 1}",
        "    # b could not be read",
    ]
    assert inventory_lines({"a": "1", "b": "2"}, {"a": "1", "b": "2"}) == []
    assert "a and b are the same cluster" in inventory_lines({"a": "1", "b": "1"}, {"a": "", "b": ""})[0]


@pytest.mark.parametrize(
    ("status", "wanted", "expected"),
    [
        (look(), {}, True),
        (look(), {"version": "1.8.4"}, True),
        (look("v1.7.0"), {}, False),
        (look(state="updating"), {}, False),
        (look(target_version="v1.9.0"), {}, False),
        (look(operator_declared_version="v1.7.0"), {}, False),
        (look(image_tag="v1.8.4"), {}, True),
        (look(image_tag="v1.7.0"), {}, False),
        (look(held_workload_update_methods=[]), {}, False),
        (look(outdated=3), {}, True),
        (look(outdated=3), {"moves_vms": True}, False),
        (look(), {"registry": "registry.example.com"}, False),
        (look("v1.7.0"), {"version": "", "moves_vms": True}, True),
        ({"msg": "It does not answer."}, {}, False),
    ],
)
def test_finished_is_told_from_the_status(status: Json, wanted: Json, expected: bool) -> None:
    assert is_finished(status, **{"version": "v1.8.4", "registry": "", "moves_vms": False, **wanted}) is expected


def test_a_row_names_what_is_not_accepted_and_else_the_message() -> None:
    found = [{"id": one, "level": "blocker"} for one in ("owner.helm", "kubevirt.unhealthy")]
    plan = {"to_version": "v1.8.4", "path": [{"findings": [found[0]]}], "findings": found}
    given: Json = {"finished": False, "accept": ["owner.helm"]}
    assert forecast(look("v1.7.0"), plan, problem="Refused.\nMore", **given)["blockers"] == ["kubevirt.unhealthy"]
    assert forecast({}, {}, problem="It is away.\nMore", **given)["blockers"] == ["It is away."]
    assert forecast(look("v1.7.0"), plan, problem="", **given)["blockers"] == []
    absent = {"findings": [{"id": "kubevirt.absent", "level": "blocker"}], "from_version": None}
    assert forecast(absent, {}, problem="", **given)["blockers"] == ["kubevirt.absent"]


def test_the_table_says_which_are_the_same() -> None:
    one = forecast(look("v1.7.0"), {}, finished=False, problem="", accept=[])
    page = fleet_page({"a": one, "long-name": one}, {"a": "1", "long-name": "1"})
    assert page[1] == "a          v1.7.0  v1.7.0  0     5    -      -"
    assert page[-1].startswith("a and long-name are the same cluster (uid 1)")


def test_the_table_says_whom_to_mend_or_leave_out() -> None:
    refused = forecast({}, {}, problem="It is away.", finished=False, accept=[])
    well = forecast(look(), {}, problem="", finished=True, accept=[])
    assert fleet_page({"a": well, "b": refused}, {"a": "1", "b": ""})[-2:] == [
        "2 clusters: 0 to do, 1 finished, 1 refused.",
        "To be mended first, or left out with --limit: b.",
    ]


def test_the_first_wave_begins() -> None:
    this = wave([], [{}], after=1)
    assert (this["number"], this["begins"], this["is_last"], this["asks"]) == (1, ["a"], False, "")


@pytest.mark.parametrize(
    ("past", "budget", "expected"),
    [
        ([seen("done"), seen("unchanged"), seen("deferred")], 0, "begun"),
        ([seen("failed")], 0, "not-begun"),
        ([seen("begun")], 0, "not-begun"),
        ([{}], 0, "not-begun"),
        ([seen("failed")], 1, "begun"),
        ([seen("failed"), seen("failed", wave=2)], 1, "not-begun"),
        ([seen("not-begun", message="It was not approved.")], 5, "not-begun"),
    ],
)
def test_a_wave_begins_within_the_budget_only(past: list[Json], budget: int, expected: str) -> None:
    assert states(wave(past, [{}], budget=budget)) == [expected]


def test_finished_and_out_of_its_window() -> None:
    batch = [
        {"kubevirt_forecast": {"finished": True}, "kubevirt_window": "22:00-04:00"},
        {"kubevirt_window": "22:00-04:00"},
        {"kubevirt_window": "11:00-13:00"},
    ]
    assert states(wave([], batch)) == ["unchanged", "deferred", "begun"]


def test_it_asks_after_a_wave_that_has_begun_something() -> None:
    assert wave([seen("unchanged")], [{}], is_asked=True)["asks"] == ""
    assert wave([seen("done")], [{"kubevirt_forecast": {"finished": True}}], is_asked=True)["asks"] == ""
    this = wave([seen("done"), seen("failed")], [{}], is_asked=True, budget=1)
    assert this["asks"].startswith("Wave 2: c (1 before without a failure, failed: b). Type yes")
    assert this["unapproved"]["c"]["state"] == "not-begun"
    assert "ansible-playbook upgrade" in this["unapproved"]["c"]["message"]


def test_an_end_has_phases_and_what_is_left() -> None:
    before = wave([], [{"kubevirt_version": "1.8.4"}])["approved"]["a"]
    host = {
        "kubevirt_outcome": before,
        "kubevirt_preflight_result": look("v1.7.0"),
        "kubevirt_upgrade_plan": {"path": [{}], "actions": [{}]},
        "kubevirt_upgrade_result": {"to_version": "v1.8.4", "findings": [{"id": "x"}], "failure": {}},
        "kubevirt_upgrade_phases": [{"name": "v1.8.4", "seconds": "120.5"}],
    }
    one = ended(host)
    assert (one["state"], one["elapsed"], one["vms"]) == ("done", 121.5, {"moved": 0, "left": 5})
    assert [phase["name"] for phase in one["phases"]] == ["preflight", "to v1.8.4"]
    assert ended(host, is_check=True)["state"] == "unchanged"
    moved = {
        **host,
        "kubevirt_workloads_phases": [{"moved": 4, "seconds": 60.0}],
        "kubevirt_workloads_result": {"vms": {"outdated": 1}},
    }
    assert ended(moved)["vms"] == {"moved": 4, "left": 1}
    host["kubevirt_upgrade_result"]["failure"] = {"id": "upgrade.image-pull", "cause": "It is missing."}
    failed = ended(host, "It is missing.\nDo: Mend it.")
    assert (failed["state"], failed["message"]) == ("failed", "It is missing.\nDo: Mend it.")
    assert [one["id"] for one in failed["findings"]] == ["upgrade.image-pull", "x"]


def test_vms_that_were_not_moved_after_an_upgrade_are_its_cause() -> None:
    canary = {"id": "workloads.canary-failed", "level": "blocker", "cause": "It did not arrive."}
    host = {
        "kubevirt_outcome": {"wave": 1},
        "kubevirt_upgrade_plan": {"actions": [{"action": "wait"}], "path": [1]},
        "kubevirt_upgrade_result": {
            "to_version": "v1.8.4",
            "findings": [{"id": "upgrade.pinned", "level": "info"}],
            "failed": False,
        },
        "kubevirt_workloads_result": {"vms": {"outdated": 3}, "findings": [canary], "failed": True},
    }
    assert ended(host, "Moving the VMs stopped.")["findings"] == [canary]
    host["kubevirt_workloads_result"] = {"vms": {"outdated": 0}, "findings": [], "failed": False}
    assert [one["id"] for one in ended(host)["findings"]] == ["upgrade.pinned"]


def test_what_was_accepted_is_no_cause_of_a_failure() -> None:
    found = [
        {"id": "owner.helm", "level": "blocker", "acceptable": True},
        {"id": "upgrade.image-pull", "level": "blocker", "acceptable": False},
        {"id": "upgrade.pinned", "level": "info", "acceptable": True},
    ]
    host = {
        "kubevirt_accept": ["owner.helm", "upgrade.image-pull", "upgrade.pinned"],
        "kubevirt_outcome": {"wave": 1},
        "kubevirt_upgrade_result": {"findings": found, "failed": True},
    }
    told = {one["id"]: one["level"] for one in ended(host, "It stopped.")["findings"]}
    assert told == {"owner.helm": "warning", "upgrade.image-pull": "blocker", "upgrade.pinned": "info"}


def test_what_was_found_of_vms_before_they_were_moved_is_not_told_any_more() -> None:
    old, skipped, pinned = (
        {"id": name, "level": "info"} for name in ("workloads.on-old-launchers", "workloads.stay-old", "x")
    )
    host = {
        "kubevirt_outcome": {"wave": 1},
        "kubevirt_upgrade_plan": {"actions": [{"action": "wait"}], "path": [1]},
        "kubevirt_upgrade_result": {"to_version": "v1.8.4", "findings": [pinned, old]},
    }
    assert ended(host)["findings"] == [pinned, old]
    host["kubevirt_workloads_result"] = {"vms": {"outdated": 1}, "findings": [pinned, skipped]}
    assert ended(host)["findings"] == [pinned, skipped]
    del host["kubevirt_upgrade_result"]
    assert ended(host)["findings"] == [pinned, skipped]


def test_who_was_lost_has_failed_at_the_end() -> None:
    ends = outcomes(["a", "b"], {"a": {"kubevirt_outcome": wave([], [{}])["approved"]["a"]}, "b": {}})
    assert [one["state"] for one in ends.values()] == ["failed", "not-begun"]
    assert end_page(ends)[2:] == [
        "2 clusters: 1 failed, 1 not-begun.",
        "a: It was begun, and its end was not seen: the host cannot be reached.",
        "b: The run ended before its turn.",
    ]


@pytest.mark.parametrize("text", ["", "22:00", "22:00-22:00", "24:00-01:00", "9:00-10:00", "at night"])
def test_what_is_no_window(text: str) -> None:
    assert day_window(text) is None
