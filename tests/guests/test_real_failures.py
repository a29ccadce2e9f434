# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two guests that really run, a drain in the middle of an upgrade, and then what can go wrong while guests are moved.

The tests follow one another on one lab. The first guest is the canary each time: no other guest may be touched when it fails.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.guests import page
from tests.guests.moves import CANARY, OTHER, SLOW, move, moving, other_node, slow_migrations
from tests.guests.stage import (
    GUESTS,
    Guest,
    Run,
    guests,
    handlers,
    is_at_rest,
    lab_with_guests,
    launcher_now,
    nodes_of,
    on_node,
)
from tests.support.kubevirt import TO, assert_arrived, wait_until
from tests.support.lab import ROOT, Lab, Result, lab, worker_name
from tests.support.vms import is_held, methods, migrations_asked_for, told, unfinished, vms

pytestmark = pytest.mark.full

IMAGES = ("ctr", "--address=/run/containerd/containerd.sock", "--namespace=k8s.io", "images")
DOWN = 300.0
"""Seconds for which virt-handler is away."""


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """A lab with KubeVirt 1.7.0 and two guests, and clients of them."""
    with lab_with_guests(worker_name("failures"), "LiveMigrate") as cluster:
        started = Run(cluster, "failures")
        yield started
        started.close()
        print(page.save_table())


def assert_only_the_canary_failed(run: Run, stopped: Result, before: dict[str, Guest], position: int) -> str:
    """The run stopped for the canary, and nothing is left of it; the reason that it gives."""
    reason = assert_stopped_for_the_canary(run, stopped, position)
    assert_nothing_is_left(run, before)
    return reason


def assert_nothing_is_left(run: Run, before: dict[str, Guest]) -> None:
    """No migration and no second launcher, and the other guest is where it was."""
    wait_until(lambda: not unfinished(run.cluster) and is_at_rest(run.cluster), 180)
    assert guests(run.cluster)[OTHER] == before[OTHER]


def assert_stopped_for_the_canary(run: Run, stopped: Result, position: int) -> str:
    """One migration was asked for, and KubeVirt is as it was; the reason that the run gives."""
    assert stopped.code != 0, told(stopped)
    assert stopped.finding_ids[0] == "workloads.canary-failed", told(stopped)
    assert [one["vm"] for one in stopped.data["failures"]] == [f"default/{CANARY}"], told(stopped)
    assert stopped.data["moved"] == 0
    assert len(migrations_asked_for(run.cluster, position)) == 1, "that of the canary, and no other"
    assert (methods(run.cluster), is_held(run.cluster)) == ([], False)
    reason: str = stopped.data["failures"][0]["reason"]
    run.tell(f"      {stopped.finding_ids[0]}: {reason}")
    return reason


def assert_went_on(run: Run, phase: str, before: dict[str, Guest]) -> None:
    """The guests are where they were, and their clients noticed nothing."""
    assert guests(run.cluster) == before
    assert [row.wrong for row in run.of(phase)] == [[], []]


def test_a_node_is_drained_in_the_middle_of_the_upgrade(run: Run) -> None:
    node = nodes_of(run.cluster)[CANARY]
    drains: list[subprocess.Popen[str]] = []
    handlers_before = handlers(run.cluster)

    def drain(line: str) -> None:
        if not drains and " wait " in line and "virt-handler" in line:
            run.tell(f"  kubectl drain {node}, while virt-handler is rolled out")
            drains.append(start_drain(run.cluster, node))

    with run.phase(page.DRAIN):
        run.play("upgrade", drain, kubevirt_version=TO, kubevirt_manifest=lab("manifest", TO))
        assert drains, "the upgrade was over before virt-handler was rolled out"
        said, _nothing = drains[0].communicate(timeout=300)
        assert drains[0].returncode == 0, said
    assert_arrived(run.cluster, TO)
    assert len({*handlers_before.values(), *handlers(run.cluster).values()}) == 4, "virt-handler was not replaced"
    assert {*nodes_of(run.cluster).values()} == {other_node(node)}
    assert [row.wrong for row in run.of(page.DRAIN)] == [[], []]
    run.cluster.kubectl("uncordon", node)
    wait_until(lambda: is_at_rest(run.cluster) and all(vm.is_outdated for vm in vms(run.cluster).values()), 120)


def start_drain(cluster: Lab, node: str) -> subprocess.Popen[str]:
    """``kubectl drain`` of the VMs of a node."""
    options = ("--pod-selector=kubevirt.io=virt-launcher", "--delete-emptydir-data", "--force", "--timeout=280s")
    command = [sys.executable, "tests/lab", "kubectl", "--name", cluster.name, "--", "drain", node, *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_migration_that_is_too_slow_is_called_off(run: Run) -> None:
    before, position = guests(run.cluster), run.cluster.audit_position()
    with slow_migrations(run), run.phase(page.TOO_SLOW):
        stopped = move(run.cluster, migration_timeout=30)
        state = run.cluster.get("vmi", CANARY)["status"]["migrationState"]
        assert state.get("migrationPolicyName") == SLOW["metadata"]["name"], state
        reason = assert_only_the_canary_failed(run, stopped, before, position)
    assert reason.startswith("it did not arrive within 30 s, and its migration was called off")
    assert_went_on(run, page.TOO_SLOW, before)


def test_a_target_launcher_that_cannot_start(run: Run) -> None:
    before, position = guests(run.cluster), run.cluster.audit_position()
    target, launcher = other_node(before[CANARY].node), launcher_now(run.cluster)
    on_node(run.cluster, target, *IMAGES, "tag", "--force", launcher, f"{launcher}-kept")
    on_node(run.cluster, target, *IMAGES, "rm", launcher)
    try:
        with run.phase(page.NO_TARGET):
            stopped = move(run.cluster, migration_timeout=40)
            reason = assert_only_the_canary_failed(run, stopped, before, position)
    finally:
        on_node(run.cluster, target, *IMAGES, "tag", "--force", f"{launcher}-kept", launcher)
    assert "ErrImagePull" in reason or "ImagePullBackOff" in reason
    assert_went_on(run, page.NO_TARGET, before)


def test_virt_handler_is_away_for_five_minutes(run: Run) -> None:
    """No migration gets away from the node; the guest does not need virt-handler to go on."""
    before, position = guests(run.cluster), run.cluster.audit_position()
    node = before[CANARY].node
    with run.phase(page.NO_HANDLER):
        gone = time.monotonic()
        run.cluster.kubectl("taint", "node", node, "lab/no-virt-handler=:NoSchedule")
        try:
            run.cluster.kubectl("delete", "pod", "-n", "kubevirt", handler_of(run.cluster, node))
            reason = assert_stopped_for_the_canary(run, move(run.cluster, migration_timeout=60), position)
            assert node not in handlers(run.cluster)
            time.sleep(max(0.0, DOWN - (time.monotonic() - gone)))
            assert node not in handlers(run.cluster)
        finally:
            run.cluster.kubectl("taint", "node", node, "lab/no-virt-handler-")
        wait_until(lambda: node in handlers(run.cluster), 120)
        assert_nothing_is_left(run, before)  # only virt-handler ends the migration that was called off
    called_off = "it did not arrive within 60 s, and its migration was called off"
    assert reason == f"{called_off} (virt-handler is not ready on node {node})"
    assert_went_on(run, page.NO_HANDLER, before)


def handler_of(cluster: Lab, node: str) -> str:
    """The name of a node's virt-handler."""
    pods = cluster.get("pods", "-n", "kubevirt", "-l", "kubevirt.io=virt-handler")["items"]
    (name,) = (pod["metadata"]["name"] for pod in pods if pod["spec"]["nodeName"] == node)
    return str(name)


def test_a_guest_that_ends_while_it_is_moved(run: Run) -> None:
    wait_until(lambda: run.cluster.module("kubevirt_info", {}).data["state"] == "healthy", 120)
    before, position = guests(run.cluster), run.cluster.audit_position()
    with slow_migrations(run), run.phase(page.KILLED):
        with moving(run.cluster, migration_timeout=240) as future:
            kill_guest(run.cluster, before[CANARY].node, CANARY)
            stopped = future.result()
        reason = assert_only_the_canary_failed(run, stopped, before, position)
        wait_until(lambda: {*guests(run.cluster)} == {*GUESTS}, 180)
        run.wait_for_answers()
    assert "domain is not running" in reason or "its guest ended" in reason
    canary, other = run.of(page.KILLED)
    assert canary.boots == 2, "nobody has started it again"
    assert other.wrong == []
    assert guests(run.cluster)[CANARY].uid != before[CANARY].uid


def kill_guest(cluster: Lab, node: str, name: str) -> None:
    """Kill the process in which a guest runs, by its id in the node."""
    listed = on_node(cluster, node, "ps", "-eo", "pid=,args=")
    own = [line.split()[0] for line in listed.splitlines() if f"guest=default_{name}," in line]
    assert len(own) == 1, listed
    on_node(cluster, node, "kill", "-KILL", own[0])


def test_all_are_moved_when_nothing_fails_any_more(run: Run) -> None:
    outdated = {name for name, vm in vms(run.cluster).items() if vm.is_outdated}
    assert outdated == {OTHER}, "the one that was killed was started on the new launcher"
    with run.phase(page.MENDED):
        done = move(run.cluster)
        assert done.code == 0, told(done)
        wait_until(lambda: is_at_rest(run.cluster))
    assert not any(vm.is_outdated for vm in vms(run.cluster).values())
    assert [row.wrong for row in run.of(page.MENDED)] == [[], []]
