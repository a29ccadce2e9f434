# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ending a lab: nothing of it stays but its logs. Works on whatever a killed command left behind, too."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path

from kvlab import cgroups
from kvlab.lab import Lab
from kvlab.processes import reap, run, start_time
from kvlab.waiting import wait_for


def clear(lab: Lab) -> None:
    """End the lab's processes and remove its mounts (among them its network namespace), cgroups and files."""
    doomed: dict[int, int | None] = {}
    wait_for(f"the processes of {lab.name} to end", lambda: _killed(lab, doomed), 60, poll=0.05)
    for mount in mounts_below(lab.state, Path("/proc/self/mountinfo").read_text(encoding="utf-8")):
        run(["umount", "--lazy", mount])
    wait_for(f"the cgroups of {lab.name} to go", lambda: cgroups.remove(lab), 60, poll=0.05)
    shutil.rmtree(lab.state, ignore_errors=True)


def mounts_below(folder: Path, mountinfo: str) -> list[Path]:
    """The mount points below a folder, the last mounted first."""
    points = (Path(line.split()[4].replace("\\040", " ")) for line in mountinfo.splitlines())
    return [point for point in points if point.is_relative_to(folder)][::-1]


def _killed(lab: Lab, doomed: dict[int, int | None]) -> bool:
    """Kill what is in the lab's cgroups, and nothing else; whether all that was ever *doomed* has ended.

    A process leaves its cgroup before it has quite ended: the first one of a node still waits for the others.
    """
    reap()
    for pid in cgroups.processes(lab):
        doomed[pid] = start_time(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return not any(start is not None and start_time(pid) == start for pid, start in doomed.items())
