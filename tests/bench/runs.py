# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Labs for the measurements, and one upgrade on them under observation."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measured import Usage, measured, usage_in
from tests.bench.watcher import Event, events_in, watching
from tests.support.kubevirt import FROM, TO, assert_arrived
from tests.support.lab import ROOT, Json, Lab, lab, lab_up, playbook_environment

FOLDER = ROOT / "build" / "bench"
VMS = 5
TOOK_OVER_FROM = "kubectl-create"
"""How KubeVirt is installed before it is upgraded."""


@dataclass(frozen=True)
class Line:
    """A line that a command printed, and when it came out of the pipe."""

    at: float
    text: str


@dataclass(frozen=True)
class Played:
    """A playbook's run."""

    lines: list[Line]
    usage: Usage

    @property
    def ended(self) -> float:
        return self.lines[-1].at


@dataclass(frozen=True)
class Hop:
    """One upgrade: what the playbook printed, what the watcher saw, and what we asked of the API server."""

    played: Played
    events: list[Event]
    requests: list[Json]


def say(words: str) -> None:
    """What is done now; not a part of the result."""
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


@contextmanager
def lab_with_kubevirt(name: str) -> Iterator[Lab]:
    """A lab from which upgrades begin: the old release, and VMs."""
    say(f"Starting the lab {name}.")
    with lab_up(name) as running:
        say(f"Installing KubeVirt {FROM} with {VMS} VMs.")
        lab("kubevirt", "install", FROM, "--how", TOOK_OVER_FROM, "--name", name)
        lab("vm", "create", str(VMS), "--name", name)
        yield running


def upgraded(running: Lab) -> Hop:
    """The upgrade by our playbook, from the start of ansible-playbook to its end."""
    seen, position = FOLDER / "watcher.jsonl", running.audit_position()
    command = running.playbook_command("upgrade", kubevirt_version=TO, kubevirt_manifest=lab("manifest", TO))
    say(f"Upgrading it to {TO} with kubevirt.lifecycle.upgrade.")
    with watching(running.kubeconfig, seen):
        played = play(command)
        time.sleep(1)  # what the watcher has still to see
    assert_arrived(running, TO)
    return Hop(played, [event for event in events_in(seen) if event.at <= played.ended], running.audited(position))


def play(
    command: Sequence[str],
    env: Mapping[str, str] | None = None,
    *,
    code: int = 0,
    beside: t.Callable[[int], AbstractContextManager[t.Any]] = nullcontext,
) -> Played:
    """Run ansible-playbook and note when each of its lines comes.

    Args:
        command: The command.
        env: Variables of its environment.
        code: With which it must end.
        beside: What goes on meanwhile; it is given the process whose child ansible-playbook is.
    """
    usage = FOLDER / "usage.json"
    with subprocess.Popen(
        measured(usage, [*command]),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**playbook_environment(), **(env or {})},
        process_group=0,
    ) as process:
        try:
            with beside(process.pid):
                lines = [Line(time.time(), line.rstrip("\n")) for line in t.cast(t.IO[str], process.stdout)]
        except BaseException:  # a signal to end
            os.killpg(process.pid, signal.SIGTERM)
            raise
    assert process.returncode == code, "\n".join(line.text for line in lines)
    return Played(lines, usage_in(usage))


def play_file(file: Path, env: Mapping[str, str] | None = None, *arguments: str, **variables: t.Any) -> Played:
    """Run a playbook of this folder."""
    return play([program(), str(file), "-e", json.dumps(variables), *arguments], env)


def program() -> str:
    """ansible-playbook."""
    return str(Path(sys.executable).parent / "ansible-playbook")
