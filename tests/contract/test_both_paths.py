# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A task in the controller's own process and the same task as a module: one result, whatever surrounds the task."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
import yaml

from tests.contract.conftest import FROM, TO, World
from tests.support.lab import ROOT, Json, mutating
from tests.support.play import ELSEWHERE, HERE, Play

INFO, UPGRADE = "kubevirt.lifecycle.kubevirt_info", "kubevirt.lifecycle.kubevirt_upgrade"
STRATEGY = "kubevirt.lifecycle.kubevirt_workload_strategy"
MOVING = "kubevirt.lifecycle.kubevirt_workload_update"
REMOVING = "kubevirt.lifecycle.kubevirt_remove"
# Only in one of the two, or never the same twice.
NOT_COMPARED = ("elapsed", "page", "ansible_facts", "warnings", "exception", "failed_when_result")


@pytest.fixture
def play(world: World, tmp_path: Path) -> Play:
    return Play(tmp_path, world.lab.kubeconfig)


def compared(result: Json) -> Json:
    return {key: value for key, value in result.items() if key not in NOT_COMPARED}


def every_way_to_end(world: World) -> list[Json]:
    """Tasks of every module: done, refused, failed, and wrongly asked for."""
    upgrade = {"version": TO, "manifest": str(world.manifests[TO])}
    skipping = {"version": "v1.9.0", "path": ["v1.9.0"], "manifest": str(world.manifests[TO])}
    return [
        {INFO: {}},
        {INFO: {}, "vars": {"ansible_inject_invocation": True}},
        {INFO: {"name": "other"}},
        {INFO: {"expected_cluster_uid": "another"}},
        {INFO: {"kubeconfig": "/nowhere/kubeconfig"}},
        {INFO: {"host": "https://10.0.0.1", "api_key": "one"}},
        {INFO: {"nme": "kubevirt"}},
        {INFO: {"name": ["kubevirt"]}},
        {INFO: {"context": " "}},
        {INFO: {"kubeconfig": "/tmp"}},
        {INFO: {"proxy_headers": "x"}},
        {INFO: {"host": "https://10.0.0.1", "api_key": " "}, "module_defaults": {}},
        {UPGRADE: {**upgrade, "wait_timeout": "long"}},
        {UPGRADE: {**upgrade, "wait_timeout": "inf"}},
        {UPGRADE: {**upgrade, "image_registry": "https://quay.io/kubevirt"}},
        {UPGRADE: upgrade, "check_mode": True, "diff": True},
        {UPGRADE: upgrade, "check_mode": True},
        {UPGRADE: {"version": FROM, "manifest": str(world.manifests[FROM])}, "check_mode": True},
        {UPGRADE: skipping},
        {UPGRADE: {**upgrade, "accept": ["none.such"]}},
        {UPGRADE: {"version": TO, "manifest": "/nowhere/kubevirt-operator.yaml"}},
        {UPGRADE: {**upgrade, "wait_timeout": "0"}},
        {UPGRADE: {}},
        {STRATEGY: {"methods": ["Evict"], "batchEvictSize": "5"}, "check_mode": True, "diff": True},
        {STRATEGY: {"methods": "LiveMigrate"}},
        {STRATEGY: {"workloadUpdateMethods": []}},
        {STRATEGY: {"state": "absent"}},
        {STRATEGY: {"methods": ["Evict"], "batch_eviction_interval": "60"}},
        {STRATEGY: {"methods": ["Restart"]}},
        {STRATEGY: {}},
        {MOVING: {"methods": ["LiveMigrate"]}, "check_mode": True, "diff": True},
        {MOVING: {"methods": ["LiveMigrate"], "accept": ["none.such"]}},
        {MOVING: {"methods": [], "widen": [5]}},
        {MOVING: {"methods": ["LiveMigrate"], "widen": [25, 5]}},
        {MOVING: {"methods": ["LiveMigrate"], "widen": ["many"]}},
        {MOVING: {"methods": ["Restart"]}},
        {MOVING: {}},
        {REMOVING: {"backup_dir": "/var/tmp/kubevirt"}, "check_mode": True, "diff": True},
        {REMOVING: {"backup": False, "name": "other"}},
        {REMOVING: {"backup": False, "confirm": "yes"}},
        {REMOVING: {"disks": "orphan"}},
        {REMOVING: {}},
    ]


def test_every_module_gives_the_same_result_both_ways(world: World, play: Play) -> None:
    tasks = every_way_to_end(world)
    played = play.run(*tasks)
    assert played.ran_in_process(HERE) == [True] * len(tasks), played.output
    assert played.ran_in_process(ELSEWHERE) == [False] * len(tasks), played.output
    for task, here, elsewhere in zip(tasks, played.results[HERE], played.results[ELSEWHERE], strict=True):
        assert compared(here) == compared(elsewhere), task
        assert here["failed"] or here["page"], task
    assert any(here["changed"] for here in played.results[HERE])
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("kubevirt_*.py")}
    assert {next(iter(task)).rsplit(".", 1)[1] for task in tasks} == modules


def test_check_mode_and_diff_of_the_whole_play(world: World, play: Play) -> None:
    before, position = world.fingerprint(), world.lab.audit_position()
    played = play.run({UPGRADE: {"version": TO, "manifest": str(world.manifests[TO])}}, arguments=["--check", "--diff"])
    for host in (HERE, ELSEWHERE):
        assert played.results[host][0]["changed"], played.output
    assert played.output.count("--- before: Deployment kubevirt/virt-operator") == 2, played.output
    assert mutating(world.lab.audited(position)) == []
    assert world.fingerprint() == before


def test_a_run_that_writes(world: World, play: Play) -> None:
    """Both runs begin with the same cluster, on which nobody rolls anything out."""
    task = {UPGRADE: {"version": TO, "manifest": str(world.manifests[TO]), "stall_timeout": 3}}
    results, progress = {}, []
    for host in (HERE, ELSEWHERE):
        played = play.run(task, hosts=[host])
        results[host], progress = compared(played.results[host][0]), progress + played.progress
        world.remove()
        world.install()
    shown = [[(one["kind"], one["metadata"]["name"]) for one in results[host].pop("objects")] for host in results]
    assert shown[0] == shown[1] and shown[0], "the objects themselves have other UIDs and times"
    assert results[HERE] == results[ELSEWHERE]
    assert results[HERE]["changed"] and results[HERE]["findings"][0]["id"] == "upgrade.stalled"
    assert all(line.startswith(f"[{HERE}] ") for line in progress)
    phases = [f"{number} {phase}" for _host, _elapsed, number, phase, *_rest in map(str.split, progress)]
    assert list(dict.fromkeys(phases)) == ["1/4 rehearse", "2/4 drain", "3/4 apply", "4/4 wait"]
    assert phases.count("3/4 apply") == len(results[HERE]["actions"])
    assert progress[-1].endswith("4/4 wait     virt-operator     0 of 2 pods new and ready")


def test_the_environment_of_the_task_and_of_the_play(world: World, play: Play) -> None:
    no_default = {"module_defaults": {}}
    nowhere = {"KUBECONFIG": "/nowhere/kubeconfig"}
    kubeconfig = {"KUBECONFIG": str(world.lab.kubeconfig)}
    looped = {INFO: {}, "loop": [{"K8S_AUTH_KUBECONFIG": "/nowhere/other"}, kubeconfig], "environment": "{{ item }}"}
    played = play.run({INFO: {}, "environment": kubeconfig}, looped, {INFO: {}}, environment=nowhere, **no_default)
    assert played.ran_in_process(HERE) == [True] * 4
    for host in (HERE, ELSEWHERE):
        of_task, of_items, of_play = played.results[host]
        assert of_task["state"] == "healthy", of_task
        first, second = of_items["results"]
        assert first["failed"] and "/nowhere/other" in first["msg"], first
        assert second["state"] == "healthy", second
        assert of_play["failed"] and "/nowhere/kubeconfig cannot be used" in of_play["msg"], of_play


def test_options_and_variables_of_the_environment_do_not_mix(play: Play) -> None:
    played = play.run({INFO: {}, "environment": {"K8S_AUTH_HOST": "https://10.0.0.1"}})
    for host in (HERE, ELSEWHERE):
        assert "K8S_AUTH_HOST are both set" in played.results[host][0]["msg"]


def test_loops_until_and_conditions(world: World, play: Play) -> None:
    played = play.run(
        {INFO: {"name": "{{ item }}"}, "loop": ["kubevirt", "other"]},
        {INFO: {}, "register": "seen", "until": "result_1.attempts == 2", "retries": 3, "delay": 0},
        {INFO: {}, "failed_when": "result_2.state == 'healthy'"},
    )
    for host in (HERE, ELSEWHERE):
        looped, repeated, failed = played.results[host]
        assert [one["state"] for one in looped["results"]] == ["healthy", "absent"]
        assert repeated["attempts"] == 2
        assert failed["failed"]


def vaulted(source: Path, target: Path, password: Path) -> str:
    """A vaulted copy of a file."""
    shutil.copy(source, target)
    password.write_text("secret words")
    program = Path(sys.executable).parent / "ansible-vault"
    command = [str(program), "encrypt", "--vault-password-file", str(password), str(target)]
    subprocess.run(command, check=True, capture_output=True)
    return str(target)


def test_files_are_found_and_decrypted_on_the_controller(world: World, play: Play, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for name, source in (("config.yml", world.lab.kubeconfig), ("operator.yml", world.manifests[TO])):
        shutil.copy(source, files / name)
        vaulted(source, files / f"vaulted-{name}", tmp_path / "password")
    tasks = [
        {
            UPGRADE: {"version": TO, "kubeconfig": f"{prefix}config.yml", "manifest": f"{prefix}operator.yml"},
            "check_mode": True,
        }
        for prefix in ("", "vaulted-")
    ]
    played = play.run(*tasks, arguments=["--vault-password-file", str(tmp_path / "password")])
    assert played.ran_in_process(HERE) == [True, True]
    for task, here, elsewhere in zip(tasks, played.results[HERE], played.results[ELSEWHERE], strict=True):
        assert here["changed"], here
        assert compared(here) == compared(elsewhere), task
    users = yaml.safe_load(world.lab.kubeconfig.read_text())["users"]
    assert users[0]["user"]["client-key-data"] not in played.output
    without = play.run(tasks[1], hosts=[HERE])
    assert "vault" in without.results[HERE][0]["msg"]


@pytest.mark.parametrize(
    ("keywords", "is_in_process"),
    [
        ({}, True),
        ({"async": 60, "poll": 1}, False),
        ({"become": True, "become_method": "su"}, False),
        ({"delegate_to": ELSEWHERE}, False),
    ],
    ids=["nothing special", "async", "become", "delegated"],
)
def test_where_it_runs(play: Play, keywords: Json, is_in_process: bool) -> None:
    played = play.run({INFO: {}, **keywords}, hosts=[HERE])
    assert played.results[HERE][0]["state"] == "healthy", played.output
    assert played.ran_in_process(HERE) == [is_in_process]


def test_a_missing_library(play: Play, tmp_path: Path) -> None:
    """Without it here the module runs, and says what is missing where it runs."""
    broken = tmp_path / "python" / "kubernetes"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('not for the controller')")
    task = {INFO: {}, "environment": {"PYTHONPATH": ""}}
    played = play.run(task, {INFO: {}}, hosts=[HERE], env={"PYTHONPATH": str(broken.parent)})
    assert played.ran_in_process(HERE) == [False, False]
    assert "lacks a library (not for the controller)" in played.output
    there, lacking = played.results[HERE]
    assert there["state"] == "healthy", there
    assert "library kubernetes is missing" in lacking["msg"], lacking


def test_what_is_secret_is_not_shown(world: World, play: Play) -> None:
    server = yaml.safe_load(world.lab.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    with_token = {"host": server, "api_key": "s3cret-token", "validate_certs": False}
    config = yaml.safe_load(world.lab.kubeconfig.read_text())
    key = config["users"][0]["user"]["client-key-data"]
    tasks = [{INFO: with_token, "module_defaults": {}}, {INFO: {"kubeconfig": config}}]
    played = play.run(*tasks)
    for host in (HERE, ELSEWHERE):
        refused, seen = played.results[host]
        assert refused["failed"] and "s3cret-token" not in json.dumps(refused)
        assert seen["state"] == "healthy" and seen["cluster"]["endpoint"] == server
        assert key not in json.dumps(seen)
    assert compared(played.results[HERE][1]) == compared(played.results[ELSEWHERE][1])


def waiting_task(world: World) -> Json:
    """An upgrade that waits for a live migration that does not end, before any write."""
    return {UPGRADE: {"version": TO, "manifest": str(world.manifests[TO])}}


def test_the_end_of_the_tasks_own_timeout(migrating: World, play: Play) -> None:
    played = play.run(
        {**waiting_task(migrating), "timeout": 6},
        {**waiting_task(migrating), "timeout": 6, "no_log": True},
        hosts=[HERE],
    )
    assert played.ran_in_process(HERE) == [True, True]
    for result in played.results[HERE]:
        assert result["failed"] and "6" in json.dumps(result), result
    assert [line.split()[3] for line in played.progress] == ["rehearse", "drain", "drain"]
    assert played.progress[-1].endswith("live migration default/running runs")


@pytest.mark.parametrize(
    ("number", "whom"), [(signal.SIGINT, "all"), (signal.SIGTERM, "all"), (signal.SIGTERM, "worker")]
)
def test_a_signal_leaves_nothing_behind(
    migrating: World, play: Play, tmp_path: Path, number: signal.Signals, whom: str
) -> None:
    """The decrypted copy of a vaulted file stands for whatever has to be cleaned up."""
    local, password = tmp_path / "local", tmp_path / "password"
    task = {UPGRADE: {"version": TO, "manifest": vaulted(migrating.manifests[TO], tmp_path / "operator.yml", password)}}
    with play.started(task, hosts=[HERE], arguments=["--vault-password-file", str(password)], local=local) as process:
        for line in t.cast(t.IO[str], process.stdout):
            if "live migration default/running runs" in line:
                break
        assert len(decrypted(local)) == 1
        (worker,) = children(process.pid)
        if whom == "all":
            os.killpg(process.pid, number)
        else:
            os.kill(worker, number)
        deadline = time.monotonic() + 3
        while decrypted(local):
            assert time.monotonic() < deadline, "the worker did not clean up"
            time.sleep(0.1)
        output = process.communicate(timeout=30)[0]
    if whom == "worker":
        assert "[here] " in output and "  stopped by SIGTERM. What was done stays done. To go on" in output, output


def decrypted(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and b"virt-operator" in file.read_bytes()]


def children(pid: int) -> list[int]:
    """The workers of ansible-playbook."""
    processes = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [one for one in processes if b"ansible-playbook" in Path(f"/proc/{one}/cmdline").read_bytes()]
