# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's cgroups: what finds every process of a lab again, also after its starter was killed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kvlab.lab import Lab

CPU_SHARES = 8192
"""All pods of a lab, or of one of its nodes, share one cgroup. With the weight of a single task (1024) their probes fail on
a machine that is busy."""


def hierarchies(mounts: str | None = None) -> list[Path]:
    """The mount points of all cgroup hierarchies (several with cgroup v1, one with v2)."""
    lines = (mounts if mounts is not None else Path("/proc/mounts").read_text(encoding="utf-8")).splitlines()
    fields = (line.split() for line in lines)
    return [Path(field[1]) for field in fields if field[2] in ("cgroup", "cgroup2")]


def tracking() -> Path:
    """The hierarchy in which the lab's processes are put when they start."""
    found = hierarchies()
    return next((path for path in found if path.name == "pids"), found[0])


def create(lab: Lab) -> None:
    """Make the lab's cgroup everywhere: kubelet wants its root to exist in every hierarchy."""
    for hierarchy in hierarchies():
        _make(hierarchy / lab.cgroup)
    (tracking() / lab.cgroup / "processes").mkdir(exist_ok=True)


def have_v1() -> bool:
    """Whether there are hierarchies of cgroup v1."""
    return not all((hierarchy / "cgroup.controllers").exists() for hierarchy in hierarchies())


def create_for_node(lab: Lab, name: str) -> None:
    """Make a cgroup in the lab's everywhere, for a node that sees nothing of the cgroups around it."""
    for hierarchy in hierarchies():
        _make(hierarchy / lab.cgroup / name)


def _make(own: Path) -> None:
    own.mkdir(exist_ok=True)
    for setting in ("cpuset.cpus", "cpuset.mems"):
        if (own.parent / setting).exists():
            (own / setting).write_text((own.parent / setting).read_text())
    if (own / "cpu.shares").exists():
        (own / "cpu.shares").write_text(str(CPU_SHARES))


def inside(lab: Lab, argv: Sequence[str | Path]) -> list[str | Path]:
    """The command line that runs *argv* in the lab's cgroup: a shell goes there, then becomes *argv*."""
    processes_file = tracking() / lab.cgroup / "processes" / "cgroup.procs"
    return ["sh", "-c", 'echo 0 >"$0" && exec "$@"', processes_file, *argv]


def inside_node(lab: Lab, name: str, argv: Sequence[str | Path]) -> list[str | Path]:
    """The command line that runs *argv* in a node's cgroup of every hierarchy."""
    go = 'while [ "$1" != -- ]; do echo 0 >"$1" || exit; shift; done; shift; exec "$@"'
    files = [hierarchy / lab.cgroup / name / "cgroup.procs" for hierarchy in hierarchies()]
    return ["sh", "-c", go, "sh", *files, "--", *argv]


def of(lab: Lab) -> list[Path]:
    """The lab's cgroups in all hierarchies, the inner before the outer."""
    found: list[Path] = []
    for hierarchy in hierarchies():
        own = hierarchy / lab.cgroup
        if own.is_dir():
            found += [path for path in own.rglob("*") if path.is_dir()] + [own]
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def processes(lab: Lab) -> set[int]:
    """The pids of everything in the lab's cgroups."""
    pids: set[int] = set()
    for path in of(lab):
        try:
            pids |= {int(pid) for pid in (path / "cgroup.procs").read_text().split()}
        except (FileNotFoundError, OSError):
            continue  # it went away meanwhile
    return pids - {0}


def remove(lab: Lab) -> bool:
    """Remove the lab's empty cgroups; whether none is left."""
    for path in of(lab):
        try:
            path.rmdir()
        except OSError:
            continue  # still busy: a killed process leaves its cgroup a moment later
    return not of(lab)
