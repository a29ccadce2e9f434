# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starting a lab's processes and finding them again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kvlab import cgroups
from kvlab.lab import Lab
from kvlab.waiting import NotYet

# Children of this command: asked for their exit, so that they do not stay as zombies while it runs on.
_started: list[subprocess.Popen[bytes]] = []


def run(argv: Sequence[str | Path], *, check: bool = True, stdin: str | None = None) -> str:
    """Run a short command and return its output; a failure says what the command said."""
    done = subprocess.run([str(word) for word in argv], input=stdin, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise CommandFailed(argv, done.returncode, (done.stderr or done.stdout).strip())
    return done.stdout


class CommandFailed(Exception):
    """A short command ended with an error."""

    def __init__(self, argv: Sequence[str | Path], code: int, said: str) -> None:
        super().__init__(f"{' '.join(map(str, argv))}: exit {code}: {said}")
        self.said = said


def start(lab: Lab, component: str, argv: Sequence[str | Path], *, pass_fds: Sequence[int] = ()) -> int:
    """Start a process that outlives this command, in the lab's cgroup, its output in the component's log."""
    with open(lab.logs / f"{component}.log", "ab") as log:
        process = subprocess.Popen(
            [str(word) for word in cgroups.inside(lab, argv)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
            pass_fds=pass_fds,
        )
    _started.append(process)
    record = {"pid": process.pid, "start": start_time(process.pid)}
    _pid_file(lab, component).write_text(json.dumps(record), encoding="utf-8")
    return process.pid


def pid_of(lab: Lab, component: str) -> int | None:
    """The pid of a running component. The start time tells it from a later process with the same number."""
    try:
        record = json.loads(_pid_file(lab, component).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return record["pid"] if record["start"] is not None and record["start"] == start_time(record["pid"]) else None


def must_run(lab: Lab, component: str) -> None:
    """For conditions: fail at once when the process that is waited for has ended."""
    if pid_of(lab, component) is None:
        log = lab.logs / f"{component}.log"
        last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        raise RuntimeError(f"{component} ended. The end of {log}:\n{last}")


def components(lab: Lab) -> list[str]:
    """The components that were started, running or not."""
    return sorted(path.stem for path in (lab.state / "pids").glob("*.json"))


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if there is none or it has ended."""
    reap()
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return parse_start_time(stat)


def parse_start_time(stat: str) -> int | None:
    """The start time in a line of /proc/PID/stat; None for a zombie. The name in it may hold blanks and brackets."""
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def child_of(pid: int) -> int:
    """The pid of a process' only child."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    except FileNotFoundError:
        children = []
    if not children:
        raise NotYet(f"process {pid} has no child")
    return int(children[0])


def _pid_file(lab: Lab, component: str) -> Path:
    folder = lab.state / "pids"
    folder.mkdir(exist_ok=True)
    return folder / f"{component}.json"


def reap() -> None:
    _started[:] = [process for process in _started if process.poll() is None]
