# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two guests that really run, a drain in the middle of an upgrade, and then what can go wrong while guests are moved.

The tests follow one another on one lab. The first guest is the canary each time: no other guest may be touched when it fails.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.guests import page
from tests.guests.stage import (
    GUESTS,
    NODES,
    Guest,
    Run,
    ask,
    guests,
    handlers,
    is_at_rest,
    lab_with_guests,
    launcher_now,
    launchers,
    nodes_of,
    on_node,
    roll_out_again,
)
from tests.support.kubevirt import TO, assert_arrived, wait_until
from tests.support.lab import ROOT, Json, Lab, Result, lab, worker_name
from tests.support.vms import is_held, methods, migrations, migrations_asked_for, told, unfinished, vms

pytestmark = pytest.mark.full

CANARY, OTHER = GUESTS
IMAGES = ("ctr", "--address=/run/containerd/containerd.sock", "--namespace=k8s.io", "images")
SLOW = {
    "apiVersion": "migrations.kubevirt.io/v1alpha1",
    "kind": "MigrationPolicy",
    "metadata": {"name": "slow"},
    "spec": {
        "selectors": {"namespaceSelector": {"kubernetes.io/metadata.name": "default"}},
        "bandwidthPerMigration": "1Mi",
    },
}
DOWN = 300.0
"""Seconds for which virt-handler is away."""


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """A lab with KubeVirt 1.7.0 and two guests, and clients of them."""
    with lab_with_guests(worker_name("failures"), "LiveMigrate") as cluster:
        started = Run(cluster, "failures")
        yield started
        started.close()


def move(cluster: Lab, **params: t.Any) -> Result:
    """Move the guests, with no failure allowed."""
    asked = {"methods": ["LiveMigrate"], "widen": [100], "soak": 3, "failure_budget": 0, **params}
    return cluster.module("kubevirt_workload_update", asked)


@contextmanager
def slow_migrations(run: Run) -> Iterator[None]:
    """The canary changes its memory faster than a policy lets it be copied, so its migration does not come to an end."""
    run.cluster.apply(SLOW)
    ask(run.cluster, run.addresses[CANARY], "/write?mebibytes=32")
    try:
        yield
    finally:
        ask(run.cluster, run.addresses[CANARY], "/write?mebibytes=0")
        run.cluster.kubectl("delete", "migrationpolicy", "slow")


@contextmanager
def moving(cluster: Lab, **params: t.Any) -> Iterator[Future[Result]]:
    """A run under way, as soon as the canary's memory is being copied."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(move, cluster, **params)
        wait_until(lambda: future.done() or is_copied(cluster), 120)
        assert not future.done(), told(future.result())
        yield future


def is_copied(cluster: Lab) -> bool:
    """Whether a migration of ours has got as far as copying memory."""
    return any(one.get("status", {}).get("phase") == "Running" for one in migrations(cluster))


def other_node(node: str) -> str:
    return next(one for one in NODES if one != node)


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


def test_a_node_that_is_gone(run: Run) -> None:
    """The last one, for the node does not come back. It is the target of a migration, and another guest runs there."""
    run.cluster.kubectl("patch", "kubevirt", "kubevirt", "-n", "kubevirt", "--type=merge", "-p", NO_METHODS)
    roll_out_again(run.cluster, 1)
    bring_apart(run)
    before, position = guests(run.cluster), run.cluster.audit_position()
    gone = other_node(before[CANARY].node)
    assert before[OTHER].node == gone
    with slow_migrations(run), run.phase(page.NODE_GONE):
        with moving(run.cluster, migration_timeout=120) as future:
            kill_node(run.cluster, gone)
            stopped = future.result()
        assert stopped.code != 0
        # It is no canary where the other one was moved to be there, and so has proven their class.
        assert stopped.finding_ids[0] in ("workloads.canary-failed", "workloads.budget-spent"), told(stopped)
        run.tell(f"      {stopped.finding_ids[0]}: {stopped.data['failures']}")
        assert len(migrations_asked_for(run.cluster, position)) == 1
        time.sleep(60)
        assert launchers(run.cluster, OTHER) == list(before[OTHER].pods), (
            "a second launcher, and nobody knows of the first"
        )
        assert [pod for pod in launchers(run.cluster, CANARY) if pod_runs_on(run.cluster, pod) != gone] == list(
            before[CANARY].pods
        )
    canary, other = run.of(page.NODE_GONE)
    assert canary.wrong == [], "the guest whose target is gone goes on"
    assert other.boots == 1, "the guest of the node that is gone has been started elsewhere"


def pod_runs_on(cluster: Lab, pod: str) -> str:
    found: Json = cluster.get("pod", pod)
    return str(found["spec"]["nodeName"])


def bring_apart(run: Run) -> None:
    """Let the guests run on different nodes. The other one is started anew: its launcher does not matter, but where it is."""
    nodes = nodes_of(run.cluster)
    if nodes[CANARY] == nodes[OTHER]:
        run.cluster.kubectl("cordon", nodes[CANARY])
        run.cluster.kubectl("delete", "vmi", OTHER)
        wait_until(lambda: {*guests(run.cluster)} == {*GUESTS} and is_at_rest(run.cluster), 240)
        run.cluster.kubectl("uncordon", nodes[CANARY])
        run.wait_for_answers()
    assert {*nodes_of(run.cluster).values()} == {*NODES}


def kill_node(cluster: Lab, node: str) -> None:
    """End all that runs on a node: the process that holds its namespaces, as the lab has put it down."""
    record = json.loads((cluster.kubeconfig.parent / "pids" / f"{node}-init.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)


def test_the_table() -> None:
    print(page.save_table())


NO_METHODS = '{"spec": {"workloadUpdateStrategy": {"workloadUpdateMethods": []}}}'
