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
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.contract.conftest import FROM, TO, World
from tests.contract.test_migrations import migrating
from tests.support.lab import ROOT, Json, mutating
from tests.support.play import ELSEWHERE, HERE, Play

__all__ = ["migrating"]

INFO, UPGRADE = "kubevirt.lifecycle.kubevirt_info", "kubevirt.lifecycle.kubevirt_upgrade"
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
    skipping = {"version": "v1.9.0", "manifest": str(world.manifests[TO])}
    return [
        {INFO: {}},
        {INFO: {"name": "other"}},
        {INFO: {"expected_cluster_uid": "another"}},
        {INFO: {"kubeconfig": "/nowhere/kubeconfig"}},
        {INFO: {"host": "https://10.0.0.1", "api_key": "one"}},
        {INFO: {"nme": "kubevirt"}},
        {UPGRADE: {**upgrade, "wait_timeout": "long"}},
        {UPGRADE: upgrade, "check_mode": True, "diff": True},
        {UPGRADE: upgrade, "check_mode": True},
        {UPGRADE: {"version": FROM, "manifest": str(world.manifests[FROM])}, "check_mode": True},
        {UPGRADE: skipping},
        {UPGRADE: {**upgrade, "accept": ["none.such"]}},
        {UPGRADE: {"version": TO, "manifest": "/nowhere/kubevirt-operator.yaml"}},
        {UPGRADE: {**upgrade, "wait_timeout": "0"}},
        {UPGRADE: {}},
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
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}
    assert {next(iter(task)).rsplit(".", 1)[1] for task in tasks} == modules


def test_check_mode_and_diff_of_the_whole_play(world: World, play: Play) -> None:
    before, position = world.fingerprint(), world.lab.audit_position()
    played = play.run({UPGRADE: {"version": TO, "manifest": str(world.manifests[TO])}}, arguments=["--check", "--diff"])
    for host in (HERE, ELSEWHERE):
        assert played.results[host][0]["changed"], played.output
    assert played.output.count("--- before: Deployment kubevirt/virt-operator") == 2, played.output
    assert mutating(world.lab.audited(position)) == []
    assert world.fingerprint() == before
