# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Moving VMs after a real upgrade, under the real virt-controller: a canary that fails, then with marks, then to the end.

The tests follow one another on one lab.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from tests.support.kubevirt import FROM, KUBEVIRT, TO, wait_until
from tests.support.lab import Lab, Result, lab, lab_up, mutating, worker_name
from tests.support.vms import (
    MARK,
    OURS,
    WINDOW,
    create_mixed,
    evictions,
    is_held,
    methods,
    migrations,
    moved_by_kubevirt,
    moved_by_ours,
    on_new_launcher,
    strategy,
    told,
    uids,
    unfinished,
    vms,
)

pytestmark = pytest.mark.full

NAME = worker_name("workloads")
LEFT_OUT = ("agent", "agent-lost", "failing-once", "stuck", "pinned", "external", "rerun")
FAILING = "failing-1"
"""The first one of the largest class, so its canary; the others of the class are plain-1, slow-1 and vm-1 to vm-4."""
ONE_CLASS = {FAILING, "plain-1", "slow-1", "vm-1", "vm-2", "vm-3", "vm-4"}
MIGRATABLE = ONE_CLASS | {"vcpus-1", "vm-5", "machine-1", "shared-1"}
NOT_MIGRATABLE = {"blocked-1", "if-possible-1", "local-1", "bridge-1", "manual-1", "once-1", "standalone-1"}
LAST, LATER, FAILS_ONCE = "vm-4", "vm-3", "vm-2"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Lab]:
    """A lab with KubeVirt and eighteen VMs, all on launchers that the control plane has left behind."""
    with lab_up(NAME) as running:
        lab("kubevirt", "install", FROM, "--name", NAME)
        create_mixed(running, LEFT_OUT, plain=4)
        lab("vm", "create", "1", "--vcpus", "2", "--cpu-model", "Haswell", "--guest-agent", "--name", NAME)
        running.kubectl(
            "patch", *KUBEVIRT, "--type=merge", "-p", '{"spec": {"workloadUpdateStrategy": {"batchEvictionSize": 7}}}'
        )
        wait_until(lambda: running.module("kubevirt_info", {}).data["state"] == "healthy", 180)
        upgraded = running.module("kubevirt_upgrade", {"version": TO, "manifest": lab("manifest", TO)})
        assert upgraded.code == 0, upgraded.message
        assert {vm.launcher for vm in vms(running).values()} == {FROM}
        assert {*vms(running)} == MIGRATABLE | NOT_MIGRATABLE
        wait_until(lambda: all(vm.is_outdated for vm in vms(running).values()), 120)
        running.kubectl("label", "vmi", "slow-1", "lab/migration-seconds=15")
        yield running


@pytest.fixture(scope="module")
def before(cluster: Lab) -> dict[str, str]:
    """The UIDs of the VMIs."""
    return uids(cluster)


@pytest.fixture(scope="module")
def start(cluster: Lab) -> int:
    """Where the audit log ends before anything is moved."""
    return cluster.audit_position()


def move(cluster: Lab, *, check: bool = False, **params: t.Any) -> Result:
    asked = {"methods": ["LiveMigrate"], "widen": [60], "soak": 3, **params}
    return cluster.module("kubevirt_workload_update", asked, check=check)


def as_predicted(cluster: Lab, **params: t.Any) -> Result:
    """A run; check mode foretells it, and writes nothing."""
    position = cluster.audit_position()
    predicted = move(cluster, check=True, **params)
    assert predicted.code == 0, predicted.message
    assert cluster.audited(position), "the audit log has nothing of us"
    assert mutating(cluster.audited(position)) == []
    done = move(cluster, **params)
    assert done.code == 0, done.message
    for key in ("changed", "actions", "diff", "canaries"):
        assert done.data[key] == predicted.data[key], key
    return done


def test_a_canary_that_fails_stops_everything(cluster: Lab, before: dict[str, str], start: int) -> None:
    predicted = move(cluster, check=True)
    assert (predicted.code, predicted.data["canaries"][0]) == (0, f"default/{FAILING}"), told(predicted)

    stopped = move(cluster)
    assert stopped.code != 0
    assert stopped.finding_ids[0] == "workloads.canary-failed", told(stopped)
    assert "the lab was told to let it fail" in stopped.message
    assert stopped.data["failures"] == [{"vm": f"default/{FAILING}", "reason": "the lab was told to let it fail"}]
    assert stopped.data["moved"] == 0
    print(f"a canary that fails after 2 s ended the run {stopped.data['elapsed']:.0f} s after its begin")

    (only,) = migrations(cluster)
    assert (only["spec"]["vmiName"], only["status"]["phase"]) == (FAILING, "Failed")
    assert OURS in only["metadata"]["labels"]
    assert uids(cluster) == before
    assert {name for name, vm in vms(cluster).items() if vm.is_outdated} == {*before}
    assert (methods(cluster), strategy(cluster)["batchEvictionSize"]) == ([], 7)
    assert not is_held(cluster)
    assert evictions(cluster, start) == []


def test_all_that_is_not_marked_is_moved_without_kubevirts_updater(
    cluster: Lab, before: dict[str, str], start: int
) -> None:
    later = [datetime.now(timezone.utc) + timedelta(hours=hours) for hours in (3, 4)]
    cluster.kubectl("label", "vm", FAILING, f"{MARK}=skip")
    cluster.kubectl("annotate", "vm", LAST, f"{MARK}=last")
    cluster.kubectl("annotate", "vmi", LATER, WINDOW + "=" + "-".join(f"{one:%H:%M}" for one in later))
    cluster.kubectl("label", "vmi", FAILS_ONCE, "lab/migration=fails-once")

    done = as_predicted(cluster)
    stay = {FAILING, LATER, FAILS_ONCE}
    assert {action["action"] for action in done.data["actions"]} >= {"canary", "widen", "leave-methods-empty"}
    assert done.data["canaries"][0] == "default/plain-1"
    assert "default/vm-5" in done.data["canaries"], "of its class it shows more than vcpus-1: a guest agent"
    assert done.data["moved"] == len(MIGRATABLE - stay)
    assert [one["vm"] for one in done.data["failures"]] == [f"default/{FAILS_ONCE}"]
    assert done.finding("workloads.strategy-withheld")["level"] == "warning"
    assert {one["vm"] for one in done.data["rest"]} == {f"default/{name}" for name in stay | NOT_MIGRATABLE}

    assert on_new_launcher(cluster) == MIGRATABLE - stay
    assert uids(cluster) == before
    assert vms(cluster)["vm-5"].conditions["AgentConnected"] == "True"
    assert moved_by_ours(cluster) == dict.fromkeys(MIGRATABLE - {LATER}, 1)
    assert not moved_by_kubevirt(cluster)
    made = {one["spec"]["vmiName"]: one["metadata"]["creationTimestamp"] for one in migrations(cluster)}
    assert made[LAST] == max(made.values()), made
    assert (methods(cluster), is_held(cluster)) == ([], False)
    assert evictions(cluster, start) == []


def test_kubevirts_updater_does_the_rest(cluster: Lab, before: dict[str, str], start: int) -> None:
    cluster.kubectl("label", "vm", FAILING, f"{MARK}-")
    cluster.kubectl("annotate", "vm", LAST, f"{MARK}-")
    cluster.kubectl("annotate", "vmi", LATER, f"{WINDOW}-")
    cluster.kubectl("label", "vmi", FAILING, "lab/migration-")

    done = as_predicted(cluster)
    assert [action["action"] for action in done.data["actions"]] == ["set-strategy", "follow-updates"]
    assert moved_by_kubevirt(cluster) == dict.fromkeys((FAILING, LATER, FAILS_ONCE), 1)
    assert on_new_launcher(cluster) == MIGRATABLE
    assert uids(cluster) == before
    assert evictions(cluster, start) == []
    assert (methods(cluster), strategy(cluster)["batchEvictionSize"]) == (["LiveMigrate"], 7)
    assert not is_held(cluster)
    rest = {one["vm"].partition("/")[2]: one for one in done.data["rest"]}
    assert {*rest} == NOT_MIGRATABLE
    assert {one["vm"] for one in done.data["cold_restart"]} == {f"default/{name}" for name in NOT_MIGRATABLE}
    assert "DisksNotLiveMigratable" in rest["local-1"]["reason"]
    assert "InterfaceNotLiveMigratable" in rest["bridge-1"]["reason"]


def test_a_second_run_changes_nothing(cluster: Lab) -> None:
    position = cluster.audit_position()
    again = move(cluster)
    assert (again.code, again.data["changed"], again.data["actions"]) == (0, False, []), told(again)
    assert mutating(cluster.audited(position)) == []
    assert unfinished(cluster) == []


def test_the_rest_is_restarted_as_the_result_says(cluster: Lab) -> None:
    said = {one["vm"].partition("/")[2]: one["fix"] for one in move(cluster, check=True).data["rest"]}
    for name in ("blocked-1", "local-1", "manual-1"):
        assert f"virtctl restart {name} -n default" in said[name]
        ask(cluster, name, "restart")
    assert "virtctl restart" not in said["once-1"] and "virtctl stop once-1 -n default" in said["once-1"]
    ask(cluster, "once-1", "stop")
    wait_until(lambda: "once-1" not in vms(cluster))
    ask(cluster, "once-1", "start")
    assert "virtctl" not in said["standalone-1"]
    wait_until(lambda: on_new_launcher(cluster) >= {"blocked-1", "local-1", "manual-1", "once-1"}, 120)


def ask(cluster: Lab, name: str, what: str) -> None:
    """What virtctl does with a VM."""
    path = f"/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachines/{name}/{what}"
    cluster.kubectl("replace", "--raw", path, "-f", "-", stdin="{}")
