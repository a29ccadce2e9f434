# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run at a time on a cluster, and nothing of a run is left behind however it ends: on a real API server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.leases import SECONDS

from tests.contract.conftest import TO, World
from tests.contract.test_both_paths import children
from tests.contract.test_refusals import left_behind
from tests.support.kubevirt import wait_until
from tests.support.lab import COLLECTIONS, ROOT, Json, clean_environment
from tests.support.play import HERE, Play

LEASE = ("lease", "kubevirt-lifecycle", "-n", "kubevirt")
SOON = 4.0
"""Seconds in which a run must have ended after a signal; two, and what this machine and Python's end take."""


def is_locked(world: World) -> bool:
    return world.lab.succeeds("get", *LEASE)


@contextmanager
def module_started(
    world: World, module: str = "kubevirt_upgrade", params: Json | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A module in a process of its own, once it has the lock; by default an upgrade, which waits for a live migration without end."""
    params = {"version": TO, "manifest": str(world.manifests[TO])} if params is None else params
    arguments = {"kubeconfig": str(world.lab.kubeconfig), **params}
    with subprocess.Popen(
        [sys.executable, str(ROOT / "plugins" / "modules" / f"{module}.py")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**clean_environment(), "PYTHONPATH": str(COLLECTIONS)},
    ) as process:
        try:
            stdin = t.cast(t.IO[str], process.stdin)
            stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
            stdin.close()
            process.stdin = None
            wait_until(lambda: is_locked(world))
            yield process
        finally:
            process.kill()


def test_the_second_of_two_runs_says_who_holds_the_cluster(migrating: World) -> None:
    before = migrating.fingerprint()
    with module_started(migrating) as first:
        second = migrating.upgrade()
        assert first.poll() is None
        first.terminate()
        first.wait(SOON)
    assert second.code != 0
    held = second.finding("cluster.held")
    assert f"pid {first.pid}, since " in held["cause"]
    assert "[cluster.held]" in second.message and "Nothing was changed." in second.message
    assert (second.data["changed"], second.data["diff"], second.data["actions"]) == (False, [], [])
    assert second.data["elapsed"] < SECONDS, "told as soon as its heartbeat is seen, and not when its time is over"
    assert migrating.fingerprint() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_module_that_gets_a_signal(migrating: World, number: signal.Signals) -> None:
    with module_started(migrating) as process:
        process.send_signal(number)
        output, _errors = process.communicate(timeout=SOON)
    assert not is_locked(migrating)
    result = json.loads(output)
    assert result["failed"]
    assert f"Stopped by {number.name}." in result["msg"], result["msg"]


@pytest.mark.parametrize(
    ("number", "whom"), [(signal.SIGINT, "all"), (signal.SIGTERM, "all"), (signal.SIGTERM, "worker")]
)
def test_a_playbook_that_gets_a_signal(migrating: World, tmp_path: Path, number: signal.Signals, whom: str) -> None:
    task: Json = {
        "kubevirt.lifecycle.kubevirt_upgrade": {"version": TO, "manifest": str(migrating.manifests[TO])},
    }
    play = Play(tmp_path, migrating.lab.kubeconfig)
    with play.started(task, hosts=[HERE], arguments=[], local=tmp_path / "local") as process:
        for line in t.cast(t.IO[str], process.stdout):
            if "live migration default/running runs" in line:
                break
        assert is_locked(migrating)
        (worker,) = children(process.pid)
        os.kill(worker if whom == "worker" else process.pid, number)
        wait_until(lambda: not is_locked(migrating), SOON)
        output = process.communicate(timeout=30)[0]
    print(output)
    assert not is_locked(migrating)
    if whom == "worker":
        assert "stopped by SIGTERM. What was done stays done. To go on" in output
        assert "Nothing was changed." in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_that_gets_a_signal_while_it_works_for_a_wave(
    migrating: World, tmp_path: Path, number: signal.Signals
) -> None:
    upgrade = {"kubevirt.lifecycle.kubevirt_upgrade": {"version": TO, "manifest": str(migrating.manifests[TO])}}
    parts: list[Json] = [{"ask": True}, {"work": "result_0"}, {"answer": f"{{{{ result_1.clusters.{HERE} }}}}"}]
    tasks = [{**upgrade, "vars": {"kubevirt_side_by_side": part}} for part in parts]
    play = Play(tmp_path, migrating.lab.kubeconfig)
    with play.started(*tasks, hosts=[HERE], arguments=[], local=tmp_path / "local") as process:
        for line in t.cast(t.IO[str], process.stdout):
            if "live migration default/running runs" in line:
                break
        assert is_locked(migrating)
        (worker,) = children(process.pid)
        os.kill(worker, number)
        wait_until(lambda: not is_locked(migrating), SOON)
        output = process.communicate(timeout=30)[0]
    assert f"stopped by {number.name}. What was done stays done. To go on" in output
    assert "Nothing was changed." in output


def test_the_end_of_a_tasks_timeout(migrating: World, tmp_path: Path) -> None:
    upgrade = {"version": TO, "manifest": str(migrating.manifests[TO])}
    play = Play(tmp_path, migrating.lab.kubeconfig)
    played = play.run({"kubevirt.lifecycle.kubevirt_upgrade": upgrade, "timeout": 8}, hosts=[HERE])
    assert played.results[HERE][0]["failed"]
    assert any("live migration default/running runs" in line for line in played.progress), played.output
    assert not is_locked(migrating)


def test_what_a_killed_run_left_is_taken_over(migrating: World) -> None:
    with module_started(migrating) as process:
        process.kill()
        process.wait()
    assert is_locked(migrating)
    after = migrating.upgrade(migration_drain_timeout=1)
    taken = after.finding("cluster.taken-over")
    assert f"pid {process.pid}" in taken["cause"]
    assert "[workloads.migrations-in-flight]" in after.message, "it went on"
    assert after.data["elapsed"] >= SECONDS
    assert not is_locked(migrating), "gone after a run that failed"


def test_a_user_who_may_not_hold_a_lease(world: World) -> None:
    groups = ["", "apps", "apiextensions.k8s.io", "rbac.authorization.k8s.io", "kubevirt.io", "scheduling.k8s.io"]
    groups += ["admissionregistration.k8s.io", "apiregistration.k8s.io", "batch"]
    role: Json = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "no-leases"},
        "rules": [{"apiGroups": groups, "resources": ["*"], "verbs": ["*"]}],
    }
    binding: Json = {
        **{
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "no-leases"},
        },
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "no-leases"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jo"}],
    }
    with left_behind(world, role, binding):
        before = world.fingerprint()
        stopped = world.upgrade(impersonate_user="jo")
        assert world.fingerprint() == before
    assert stopped.code != 0
    assert "create, get, update and delete leases.coordination.k8s.io in the namespace kubevirt" in stopped.message
    assert 'User "jo" cannot create resource "leases"' in stopped.message
    assert "Nothing was changed." in stopped.message


def test_a_run_with_nothing_to_do_or_in_check_mode_takes_no_lock_and_one_that_is_done_has_none(world: World) -> None:
    """The last one here: it changes the world."""
    position = world.lab.audit_position()
    world.upgrade(check=True)
    assert leases_of(world, position) == []
    done = world.upgrade(wait=False)
    assert done.code == 0, done.message
    assert [verb for verb in leases_of(world, position) if verb != "update"] == ["create", "delete"]
    assert not is_locked(world)


def leases_of(world: World, position: int) -> list[str]:
    return [event["verb"] for event in world.lab.audited(position) if "/leases" in event["requestURI"]]
