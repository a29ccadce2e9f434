# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. How many VMs are to be moved by when, and how the moving goes on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .pace import in_words

PARALLEL_IN_CLUSTER = 5
PARALLEL_FROM_NODE = 2
"""KubeVirt's defaults of configuration.migrations (pkg/virt-config/virt-config.go)."""
GAP = 10.0
"""Seconds between two lines, unless a VM failed."""
MILESTONES = 10
"""Lines about VMs that arrived, at most."""


@dataclass(frozen=True)
class Limits:
    """How many live migrations may run at once, in the cluster and away from one node."""

    in_cluster: int = PARALLEL_IN_CLUSTER
    from_node: int = PARALLEL_FROM_NODE


def share_of(percent: int, total: int) -> int:
    """How many VMs ``percent`` of ``total`` are: at least one, and rounded up."""
    return min(total, max(1, math.ceil(total * percent / 100)))


def next_to_start(
    waiting: Sequence[tuple[str, str]], sources: Iterable[str], limits: Limits, *, of_ours: int, failures_left: int
) -> list[str]:
    """The VMs whose migration can be started now.

    No more of ours run at once than may still fail. So when the run stops, exactly one more has failed than was allowed.

    Args:
        waiting: Name and node of each VM that is still to be moved, in their order.
        sources: The node of each migration that runs, whoever asked for it.
        limits: KubeVirt's own, beyond which a migration would only wait.
        of_ours: How many of these we asked for.
        failures_left: How many VMs may still fail, counting the one that stops the run.
    """
    running = [*sources]
    free = min(limits.in_cluster - len(running), failures_left - of_ours)
    chosen: list[str] = []
    for name, node in waiting:
        if len(chosen) >= free:
            break
        if running.count(node) < limits.from_node:
            chosen.append(name)
            running.append(node)
    return chosen


class Progress:
    """Makes the lines about VMs that are moved: each failure, and about each tenth of what is to be done."""

    def __init__(self, total: int, now: float) -> None:
        self._total = total
        self._began = self._told = now
        self._milestone = 0
        self._failed = 0
        self.done = 0

    def line(self, done: int, failed: int, now: float) -> str:
        """The line to tell at ``now``, in seconds; empty when it is not time for one."""
        self.done = done
        milestone = math.floor(MILESTONES * done / self._total) if self._total else MILESTONES
        moved_on = milestone > self._milestone and (now - self._told >= GAP or done + failed >= self._total)
        if not moved_on and failed == self._failed:
            return ""
        self._milestone, self._failed, self._told = milestone, failed, now
        parts = [f"{done} of {self._total} VMs moved", f"{failed} failed"]
        rate = self.per_minute(now)
        if rate:
            parts.append(f"{rate:.1f} a minute")
            left = self._total - done - failed
            if left > 0:
                parts.append(in_words(left / rate * 60))
        return ", ".join(parts)

    def per_minute(self, now: float) -> float:
        """How many VMs were moved a minute so far."""
        return self.done / (now - self._began) * 60 if now > self._began else 0.0
