# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The strategy set by our module, and what the real virt-controller makes of it: Evict, in batches. Then a VM that runs twice.

The tests follow one another on one lab.
"""

from __future__ import annotations

import subprocess
import typing as t
from collections.abc import Iterator

import pytest

from tests.support.kubevirt import FROM, KUBEVIRT, TO, wait_until
from tests.support.lab import (
    ROOT,
    Json,
    Lab,
    Result,
    lab,
    lab_up,
    mutating,
    playbook_environment,
    worker_name,
)
from tests.support.vms import (
    create_mixed,
    evictions,
    have_no_pod,
    is_held,
    make_old,
    methods,
    migrations_asked_for,
    on_new_launcher,
    refused_evictions,
    strategy,
    told,
    uids,
    unfinished,
    vms,
)

NAME = worker_name("workload-strategy")
LEFT_OUT = ("agent", "agent-lost", "vcpus", "machine", "slow", "failing", "failing-once", "stuck", "pinned")
# What becomes of each when all are to be evicted, by kubevirt-lifecycle facts about virt-controller and the eviction webhook
MIGRATED = {"plain-1", "shared-1"}
RESTARTED = {"if-possible-1", "local-1", "bridge-1"}
LEFT_DOWN = {"rerun-1", "manual-1", "once-1"}
DESTROYED = {"standalone-1"}
REFUSED = {"blocked-1"}
LEFT_TO_OTHERS = {"external-1"}
EVERYONE = MIGRATED | RESTARTED | LEFT_DOWN | DESTROYED | REFUSED | LEFT_TO_OTHERS
BLOCKERS = ["workloads.evict-destroys-vmi", "workloads.evict-leaves-vm-down"]
BATCH, INTERVAL = 4, 15


@pytest.fixture(scope="module")
def cluster() -> Iterator[Lab]:
    """A lab with KubeVirt and eleven VMs on launchers of the release before."""
    with lab_up(NAME, "--release", TO) as running:
        lab("kubevirt", "install", TO, "--name", NAME)
        create_mixed(running, LEFT_OUT)
        make_old(running, EVERYONE)
        yield running


@pytest.fixture(scope="module")
def before(cluster: Lab) -> dict[str, str]:
    """The UIDs of the VMIs."""
    return uids(cluster)


def set_strategy(cluster: Lab, *, check: bool = False, accept: t.Sequence[str] = ()) -> Result:
    asked: Json = {
        "methods": ["Evict"],
        "batchEvictSize": BATCH,
        "batchEvictInterval": f"{INTERVAL}s",
        "accept": [*accept],
    }
    return cluster.module("kubevirt_workload_strategy", asked, check=check)


@pytest.mark.parametrize("accepted", [[], BLOCKERS[:1], BLOCKERS[1:]], ids=["none", "first", "second"])
def test_evictions_that_vms_do_not_come_back_from_are_refused(cluster: Lab, accepted: list[str]) -> None:
    position = cluster.audit_position()
    refused = set_strategy(cluster, accept=accepted)
    assert refused.code != 0
    for id, names in zip(BLOCKERS, (DESTROYED, LEFT_DOWN), strict=True):
        assert {name for name in EVERYONE if f"default/{name}" in refused.finding(id)["object"]} == names
        assert (f"[{id}]" in refused.message) == (id not in accepted)
    assert mutating(cluster.audited(position)) == []


def test_who_is_evicted_comes_back_or_not_as_was_said(cluster: Lab, before: dict[str, str]) -> None:
    predicted = set_strategy(cluster, check=True, accept=BLOCKERS)
    said = {one["name"]: one["fate"] for one in predicted.data["vms"]["listed"]}
    assert said == {
        **dict.fromkeys(MIGRATED, "migrated-by-eviction"),
        **dict.fromkeys(RESTARTED, "restarted"),
        **dict.fromkeys(LEFT_DOWN, "left-down"),
        **dict.fromkeys(DESTROYED, "destroyed"),
        **dict.fromkeys(REFUSED, "eviction-refused"),
        **dict.fromkeys(LEFT_TO_OTHERS, "left-to-others"),
    }
    position = cluster.audit_position()
    done = set_strategy(cluster, accept=BLOCKERS)
    assert (done.code, done.data["changed"]) == (0, True), done.message
    assert (done.data["actions"], done.data["diff"]) == (predicted.data["actions"], predicted.data["diff"])
    assert strategy(cluster) == {
        "workloadUpdateMethods": ["Evict"],
        "batchEvictionSize": BATCH,
        "batchEvictionInterval": f"{INTERVAL}s",
    }

    down = LEFT_DOWN | DESTROYED
    wait_until(lambda: on_new_launcher(cluster) == MIGRATED | RESTARTED, 300)
    wait_until(lambda: have_no_pod(cluster, down), 300)
    after = vms(cluster)
    print({name: (vm.phase, vm.launcher, vm.uid == before[name]) for name, vm in after.items()})
    assert {name for name, vm in after.items() if vm.uid != before[name]} == RESTARTED
    assert {name for name, vm in after.items() if vm.phase == "Running"} == EVERYONE - down
    assert {name for name, vm in after.items() if vm.is_outdated} >= REFUSED | LEFT_TO_OTHERS
    marked = {vmi["metadata"]["name"] for vmi in cluster.get("vmi")["items"] if vmi["status"].get("evacuationNodeName")}
    assert marked == LEFT_TO_OTHERS
    wait_until(lambda: any("blocked-1" in pod for pod in refused_evictions(cluster, position)))
    asked = evictions(cluster, position)
    when = sorted(when for when, _pod in asked)
    batches = 1 + round((when[-1] - when[0]).total_seconds() / INTERVAL)
    print(f"{len(when)} evictions in {batches} batches: {[f'{one:%M:%S}' for one in when]}")
    # One whose guest has not ended after an interval is evicted once more.
    assert len({pod for _when, pod in asked}) == len(RESTARTED | down)
    assert batches >= 2 and len(when) <= BATCH * batches

    again = set_strategy(cluster, accept=BLOCKERS)
    assert (again.code, again.data["changed"]) == (0, False), told(again)


def test_without_a_strategy_nobody_is_asked_to_go_any_more(cluster: Lab) -> None:
    gone = cluster.module("kubevirt_workload_strategy", {"state": "absent"})
    assert (gone.code, gone.data["changed"], strategy(cluster)) == (0, True, {}), gone.message
    position = cluster.audit_position()
    make_old(cluster, {"plain-1"})
    # With no method, virt-controller's updater looks and counts only when the KubeVirt object changes.
    cluster.kubectl("annotate", *KUBEVIRT, "lab/look=again")
    outdated = {"plain-1"} | REFUSED | LEFT_TO_OTHERS
    wait_until(lambda: cluster.get(*KUBEVIRT)["status"].get("outdatedVirtualMachineInstanceWorkloads") == len(outdated))
    assert not refused_evictions(cluster, position)
    assert {name for name, vm in vms(cluster).items() if vm.is_outdated} == outdated


def test_a_vm_that_runs_twice_stops_all_writes(cluster: Lab) -> None:
    stray = stray_launcher(cluster, "plain-1")
    for check in (True, False):
        position = cluster.audit_position()
        refused = cluster.module("kubevirt_workload_update", {"methods": ["LiveMigrate"]}, check=check)
        assert refused.finding_ids[0] == "workloads.split-brain", told(refused)
        assert f"{stray} on worker-1" in refused.message
        assert mutating(cluster.audited(position)) == []
    cluster.kubectl("delete", "pod", stray, "--grace-period=1")


def test_a_vm_that_begins_to_run_twice_stops_a_run(cluster: Lab) -> None:
    """The canary is on its way then: KubeVirt goes on with that one, and no further migration is asked for."""
    canary, other = "external-1", "plain-1"
    cluster.kubectl("label", "vmi", canary, "lab/migration-seconds=20")
    position = cluster.audit_position()
    command = cluster.playbook_command("workloads", kubevirt_workload_methods=["LiveMigrate"], kubevirt_soak=0)
    run = subprocess.Popen(command, cwd=ROOT, env=playbook_environment(), stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: unfinished(cluster) == [canary], 120)
        stray = stray_launcher(cluster, other)
        said = run.communicate(timeout=120)[0]
    finally:
        run.kill()
    assert run.returncode != 0
    assert "[workloads.split-brain]" in said and f"{stray} on worker-1" in said, said
    assert len(migrations_asked_for(cluster, position)) == 1
    assert (methods(cluster), is_held(cluster)) == ([], True)
    wait_until(lambda: unfinished(cluster) == [], 120)
    assert on_new_launcher(cluster) & {canary, other} == {canary}

    cluster.kubectl("delete", "pod", stray, "--grace-period=1")
    done = cluster.module("kubevirt_workload_update", {"methods": ["LiveMigrate"], "soak": 0})
    assert done.code == 0, done.message
    assert on_new_launcher(cluster) >= {canary, other}
    assert (methods(cluster), is_held(cluster)) == (["LiveMigrate"], False)


def stray_launcher(cluster: Lab, name: str) -> str:
    """A second launcher pod of a VM, which runs and nobody has asked for; its name."""
    labels = {"kubevirt.io": "virt-launcher", "kubevirt.io/created-by": vms(cluster)[name].uid}
    stray = f"stray-{name}"
    container = {"name": "compute", "image": f"quay.io/kubevirt/virt-launcher:{FROM}"}
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": stray, "namespace": "default", "labels": labels},
            "spec": {"nodeName": "worker-1", "containers": [container]},
        }
    )
    wait_until(lambda: stray in vms(cluster)[name].pods)
    return stray
