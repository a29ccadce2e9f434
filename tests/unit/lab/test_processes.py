# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A component's process is known by its start time, and nothing else is ended in its place."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from kvlab import cgroups, leftovers, processes
from kvlab.lab import Lab

STAT = "42 ({name}) {state} 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 10 18446744073709551615"


@pytest.mark.parametrize("name", ["etcd", "a name", "odd) S 1 (name"])
def test_start_time_whatever_the_process_is_called(name: str) -> None:
    assert processes.parse_start_time(STAT.format(name=name, state="S")) == 987654


def test_a_zombie_has_no_start_time() -> None:
    assert processes.parse_start_time(STAT.format(name="etcd", state="Z")) is None


def test_start_time_of_this_and_of_an_ended_process() -> None:
    assert processes.start_time(os.getpid())
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert processes.start_time(ended.pid) is None


def test_a_reused_pid_is_not_taken_for_the_component(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEVIRT_LIFECYCLE_CACHE", str(tmp_path))
    lab = Lab("one")
    (lab.state / "pids").mkdir(parents=True)
    record = lab.state / "pids" / "etcd.json"

    record.write_text(f'{{"pid": {os.getpid()}, "start": {processes.start_time(os.getpid())}}}', encoding="utf-8")
    assert processes.pid_of(lab, "etcd") == os.getpid()
    record.write_text(f'{{"pid": {os.getpid()}, "start": 1}}', encoding="utf-8")
    assert processes.pid_of(lab, "etcd") is None
    assert processes.components(lab) == ["etcd"]


def test_cgroup_hierarchies_of_both_versions() -> None:
    mounts = "proc /proc proc rw 0 0\ncgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
    assert cgroups.hierarchies(mounts) == [Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup/unified")]


def test_mounts_below_a_folder_inner_before_outer() -> None:
    mountinfo = (
        "1 0 8:1 / / rw - ext4 /dev/vda rw\n"
        "2 1 0:4 net:[1] /cache/labs/one/netns rw - nsfs nsfs rw\n"
        "3 1 0:5 / /cache/labs/one\\040more rw - tmpfs tmpfs rw\n"
        "4 2 0:6 / /cache/labs/one/nodes/a rw - tmpfs tmpfs rw\n"
    )
    expected = [Path("/cache/labs/one/nodes/a"), Path("/cache/labs/one/netns")]
    assert leftovers.mounts_below(Path("/cache/labs/one"), mountinfo) == expected


@pytest.mark.parametrize("name", ["", "../other", "With Blank", "-dash"])
def test_a_name_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(SystemExit):
        Lab(name)


def test_labs_of_two_caches_do_not_share_cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for cache in ("a", "b"):
        monkeypatch.setenv("KUBEVIRT_LIFECYCLE_CACHE", str(tmp_path / cache))
        names.add(Lab("lab").cgroup)
    assert len(names) == 2
