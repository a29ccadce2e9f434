# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Forty mixed VMs after an upgrade, moved by each combination of methods: what became of every one of them.

What is expected is what the user guide and virt-controller's source say, not what our module foretells.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

import pytest

from tests.support.kubevirt import FROM, TO, wait_until
from tests.support.lab import Lab, lab, lab_up, worker_name
from tests.support.vms import (
    evictions,
    have_no_pod,
    is_held,
    make_old,
    methods,
    on_new_launcher,
    refused_evictions,
    set_methods,
    told,
    uids,
    vms,
)

pytestmark = pytest.mark.full

NAME = worker_name("forty")
BATCH, INTERVAL = 4, 15
NEVER_END = ("stuck", "pinned")


def two_of(*kinds: str) -> set[str]:
    return {f"{kind}-{number}" for kind in kinds for number in (1, 2)}


PLAIN = {"vm-1", "vm-2", "vm-3", "vm-4"}
MOVES = two_of("plain", "agent", "agent-lost", "vcpus", "machine", "shared", "slow", "failing-once") | PLAIN
FAILS = two_of("failing")
EXTERNAL = two_of("external")
MIGRATABLE = MOVES | FAILS | EXTERNAL
REFUSES = two_of("blocked")
RESTARTS = two_of("if-possible", "local", "bridge")
STAYS_DOWN = two_of("rerun", "manual", "once")
IS_GONE = two_of("standalone")
NOT_MIGRATABLE = REFUSES | RESTARTS | STAYS_DOWN | IS_GONE
EVERYONE = MIGRATABLE | NOT_MIGRATABLE
ACCEPTED = ["workloads.evict-destroys-vmi", "workloads.evict-leaves-vm-down"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Lab]:
    """A lab with KubeVirt of the release before."""
    with lab_up(NAME) as running:
        lab("kubevirt", "install", FROM, "--name", NAME)
        yield running


def create_everyone(cluster: Lab) -> None:
    lab("vm", "create-mixed", "2", "--name", NAME)
    cluster.kubectl("delete", "vm", *two_of(*NEVER_END), "--wait=false")
    lab("vm", "create", "4", "--name", NAME)
    wait_until(lambda: {*vms(cluster)} == EVERYONE, 180)
    assert len(EVERYONE) == 40


def create_everyone_again(cluster: Lab) -> None:
    """The same VMs, which nobody has moved, on launchers of the release before."""
    set_methods(cluster)
    cluster.kubectl("delete", "vm,vmi", "--all")
    cluster.kubectl("delete", "vmim", "--all")
    create_everyone(cluster)
    make_old(cluster, EVERYONE)


def move(cluster: Lab, *asked: str, **params: t.Any) -> t.Any:
    return cluster.module(
        "kubevirt_workload_update",
        {
            "methods": [*asked],
            "batch_eviction_size": BATCH,
            "batch_eviction_interval": f"{INTERVAL}s",
            "accept": ACCEPTED,
            "failure_budget": 10,
            "soak": 2,
            **params,
        },
        timeout=1500,
    )


def assert_handed_over(cluster: Lab, *asked: str) -> None:
    assert (methods(cluster), is_held(cluster)) == ([*asked], False)


def old_ones(cluster: Lab) -> set[str]:
    return {name for name, vm in vms(cluster).items() if vm.is_outdated}


def evicted(cluster: Lab, position: int) -> set[str]:
    """The VMs whose launcher pods virt-controller has evicted."""
    return {_vm_of(pod) for _when, pod in evictions(cluster, position)}


def refused(cluster: Lab, position: int) -> set[str]:
    """The VMs whose launcher pods it asked to evict in vain."""
    return {_vm_of(pod) for pod in refused_evictions(cluster, position)}


def _vm_of(pod: str) -> str:
    return pod.removeprefix("virt-launcher-").rpartition("-")[0]


def assert_in_batches(cluster: Lab, position: int) -> None:
    """No more than a batch within each interval, by the API server's own record."""
    times = sorted(when for when, _pod in evictions(cluster, position))
    print(f"{len(times)} evictions: {[f'{one:%M:%S}' for one in times]}")
    for number, first in enumerate(times):
        close = [one for one in times[number:] if (one - first).total_seconds() < INTERVAL - 1]
        assert len(close) <= BATCH, close


def assert_evicted_ones(cluster: Lab, before: dict[str, str]) -> None:
    """Those that cannot be migrated: restarted, down, gone or refused, as their run and eviction strategies say."""
    wait_until(lambda: have_no_pod(cluster, STAYS_DOWN | IS_GONE), 300)
    after = {name: vm for name, vm in vms(cluster).items() if name in NOT_MIGRATABLE}
    assert {name for name, vm in after.items() if vm.phase == "Running"} == REFUSES | RESTARTS
    assert {name for name, vm in after.items() if vm.uid != before[name]} == RESTARTS


def assert_same_instances(cluster: Lab, before: dict[str, str]) -> None:
    after = uids(cluster)
    assert {name for name in MIGRATABLE if after.get(name) != before[name]} == set()


def test_live_migrate(cluster: Lab) -> None:
    """What can be migrated is; everything else stays as it is, on its old launcher."""
    create_everyone(cluster)
    upgraded = cluster.module("kubevirt_upgrade", {"version": TO, "manifest": lab("manifest", TO)})
    assert upgraded.code == 0, upgraded.message
    wait_until(lambda: old_ones(cluster) == EVERYONE, 180)
    before, position = uids(cluster), cluster.audit_position()

    done = move(cluster, "LiveMigrate", widen=[10])
    assert done.code == 0, told(done)
    assert on_new_launcher(cluster) == MOVES | EXTERNAL
    assert old_ones(cluster) == FAILS | NOT_MIGRATABLE
    assert uids(cluster) == before
    assert not evictions(cluster, position) and not refused_evictions(cluster, position)
    assert {one["vm"] for one in done.data["rest"]} == {f"default/{name}" for name in FAILS | NOT_MIGRATABLE}
    assert_handed_over(cluster, "LiveMigrate")


def test_both(cluster: Lab) -> None:
    """What can be migrated is, and never evicted, even where its migration fails; everything else is evicted in batches."""
    create_everyone_again(cluster)
    before, position = uids(cluster), cluster.audit_position()

    done = move(cluster, "LiveMigrate", "Evict", widen=[], canary_max=0)
    assert done.code == 0, told(done)
    assert_evicted_ones(cluster, before)
    assert on_new_launcher(cluster) == MOVES | EXTERNAL | RESTARTS
    assert old_ones(cluster) >= FAILS | REFUSES
    assert_same_instances(cluster, before)
    assert evicted(cluster, position) == RESTARTS | STAYS_DOWN | IS_GONE
    assert not (evicted(cluster, position) | refused(cluster, position)) & MIGRATABLE
    assert_in_batches(cluster, position)
    assert_handed_over(cluster, "LiveMigrate", "Evict")


def test_evict(cluster: Lab) -> None:
    """All are asked to go; those whose eviction strategy says so are migrated instead, or left to somebody else."""
    create_everyone_again(cluster)
    before, position = uids(cluster), cluster.audit_position()

    done = move(cluster, "Evict")
    assert done.code == 0, told(done)
    assert_evicted_ones(cluster, before)
    assert on_new_launcher(cluster) == MOVES | RESTARTS
    assert old_ones(cluster) >= FAILS | REFUSES | EXTERNAL
    assert_same_instances(cluster, before)
    assert evicted(cluster, position) == RESTARTS | STAYS_DOWN | IS_GONE
    assert refused(cluster, position) >= REFUSES | EXTERNAL
    marked = {vmi["metadata"]["name"] for vmi in cluster.get("vmi")["items"] if vmi["status"].get("evacuationNodeName")}
    assert marked >= EXTERNAL
    assert_in_batches(cluster, position)
    assert_handed_over(cluster, "Evict")
