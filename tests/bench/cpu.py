# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CPU of an upgrade by our playbook, against the same steps written with kubernetes.core."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.bench.measured import Usage
from tests.bench.runs import Hop, lab_with_kubevirt, play_file, say
from tests.bench.table import Figure
from tests.support.kubevirt import TO, assert_arrived
from tests.support.lab import lab

GOAL = 0.1
EMPTY, WAITING, KUBERNETES_CORE = (
    Path(__file__).parent / f"{name}.yml" for name in ("empty", "waiting", "kubernetes_core")
)
PATIENT = {"ANSIBLE_CONFIG": str(Path(__file__).parent / "patient.cfg")}
WAIT = 30
"""Seconds over which it is measured what ansible-playbook takes to wait for a task."""


def figures(hop: Hop) -> list[Figure]:
    """As they are, and without what ansible-playbook takes by itself to start and to wait as long."""
    start, waiting = cpu_of_start(), cpu_of_waiting()
    ours, theirs = hop.played.usage, usage_of_kubernetes_core()
    our_rest, their_rest = (usage.cpu - start - waiting * usage.seconds for usage in (ours, theirs))
    return [
        Figure("CPU of the upgrade", ours.cpu, "s"),
        Figure("CPU of the same steps with kubernetes.core", theirs.cpu, "s"),
        Figure("CPU of ansible-playbook itself, an empty play", start, "s"),
        Figure("CPU of ansible-playbook itself, for each minute that it waits for a task", waiting * 60, "s"),
        Figure("the same with internal_poll_interval = 0.1", cpu_of_waiting(PATIENT) * 60, "s"),
        Figure("CPU, ours ÷ kubernetes.core", ours.cpu / theirs.cpu, goal=GOAL),
        Figure("the same, less an empty play each", (ours.cpu - start) / (theirs.cpu - start), goal=GOAL),
        Figure("the same, less an empty play that waits as long each", our_rest / their_rest, goal=GOAL),
    ]


def cpu_of_start() -> float:
    """Of a play that does nothing."""
    return sorted(play_file(EMPTY).usage.cpu for _time in range(3))[1]


def cpu_of_waiting(env: Mapping[str, str] | None = None) -> float:
    """Of ansible-playbook for each second in which a task does nothing."""
    long, short = (play_file(WAITING, env, seconds=seconds).usage.cpu for seconds in (WAIT, 1))
    return max(0.0, long - short) / (WAIT - 1)


def usage_of_kubernetes_core() -> Usage:
    """The same upgrade from the same starting point, in a lab of its own."""
    with lab_with_kubevirt("bench-core") as running:
        say(f"Upgrading it to {TO} with kubernetes.core.")
        played = play_file(
            KUBERNETES_CORE,
            kubevirt_kubeconfig=str(running.kubeconfig),
            kubevirt_version=TO,
            kubevirt_manifest=lab("manifest", TO),
        )
        assert_arrived(running, TO)
    return played.usage
