# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Killing a run in the middle, with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import typing as t
from pathlib import Path

from tests.support.kubevirt import wait_until
from tests.support.lab import ROOT, playbook_environment


def kill_when(condition: t.Callable[[], bool], command: list[str], seconds: float = 120) -> None:
    """Start a command and kill it, with all that it started, as soon as the condition holds."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=playbook_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(condition, seconds)
    finally:
        # Its children first asked, then all killed: a module outlives the ansible-playbook that started it.
        for pid in [process.pid, *descendants(process.pid)]:
            os.kill(pid, signal.SIGKILL)
        process.wait()


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and theirs."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [one for child in map(int, children) for one in (child, *descendants(child))]
