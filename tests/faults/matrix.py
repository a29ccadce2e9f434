# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The matrices: which cells there are. Nothing is run here."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from tests.faults import phases
from tests.faults.faults import FAULTS, READ, REHEARSAL, WATCH, WRITE, Fault
from tests.faults.phases import Phase
from tests.faults.scenarios import REMOVE, SCENARIOS, STRATEGY, UPGRADE, WORKLOADS, Scenario
from tests.support.lab import Json

# Writes before which the API server asks a webhook of KubeVirt's.
ADMITTED = (
    *("hold the methods", "move the image tag", "restore the methods", "set the strategy", "ask for the canary"),
    *("stop the VM", "delete the KubeVirt object"),
)
# What is tried in phases that are like others, and whether it lasts.
BRIEFLY = {
    WRITE: {("reset after", False)},
    READ: {("503", False), ("truncated", False), ("stale", False), ("403", True)},
    WATCH: {("reset after", False), ("watch closed", True)},
    REHEARSAL: {("503", False), ("truncated", False), ("401", False), ("403", True)},
}
# An address that never answered, and a login that was never taken, are wrong ones: that is said at once.
FIRST = "find the cluster"
# A run can do without these; then it arrives although the fault lasts.
TOLERATED = (
    *("drain migrations", "wait", "wait after the image tag", "wait after the methods", "watch the VMs"),
    *("look at the end", "renew the lock", "release the lock"),
    *("look for what blocks", "look for all of it", "wait for the VM", "wait for the deletion"),
)


@dataclass(frozen=True)
class Cell:
    """A fault in a phase of a scenario."""

    scenario: Scenario
    phase: Phase
    fault: Fault
    lasting: bool

    @property
    def key(self) -> str:
        return " / ".join(
            (self.scenario.name, self.phase.name, self.fault.name, "lasting" if self.lasting else "passing")
        )

    @property
    def rule(self) -> Json:
        """For the proxy."""
        rule: Json = {"phase": self.phase.name, "fault": self.fault.name}
        if self.lasting:
            return {**rule, "everything": self.fault.lasts == "everything"}
        return {**rule, "times": self.fault.times}

    @property
    def may_say(self) -> str:
        """A pattern of what a run may say that ends without having arrived; empty: it must arrive."""
        if self.lasting or self.phase.name == FIRST:
            return self.fault.lasting_says
        return self.fault.writes_say if self.phase.sort in (WRITE, REHEARSAL) else self.fault.reads_say

    @property
    def may_arrive(self) -> bool:
        """Whether the run may be done all the same."""
        return not self.lasting or not self.fault.lasting_says or self.phase.name in TOLERATED


@dataclass(frozen=True)
class Kill:
    """SIGKILL at a write of a scenario, or during a wait.

    Attributes:
        at: The phase of the write, or of the wait.
        moment: ``before`` the server has the write, ``after`` it has done it and before we hear, or ``during`` the wait, also the one
            that follows a write.
    """

    scenario: Scenario
    at: str
    moment: t.Literal["before", "after", "during"]

    @property
    def key(self) -> str:
        return " / ".join((self.scenario.name, self.at, "killed " + self.moment))

    @property
    def rule(self) -> Json:
        """For the proxy; a wait needs none."""
        if self.moment == "during":
            return {}
        return {"phase": self.at, "fault": f"held {self.moment}", "times": 1}


def cells() -> list[Cell]:
    """Every cell, in the order of the phases."""
    return [
        cell
        for scenario in SCENARIOS.values()
        for name in scenario.phases
        for cell in _cells_of(scenario, phases.BY_NAME[name])
        if name not in scenario.briefly or (cell.fault.name, cell.lasting) in BRIEFLY[cell.phase.sort]
    ]


def _cells_of(scenario: Scenario, phase: Phase) -> t.Iterator[Cell]:
    for fault in FAULTS:
        if phase.sort in fault.sorts or ("admitted" in fault.sorts and phase.name in ADMITTED):
            if fault.times:
                yield Cell(scenario, phase, fault, lasting=False)
            if fault.lasts:
                yield Cell(scenario, phase, fault, lasting=True)


def kills() -> list[Kill]:
    """Every write of every scenario, before and after; and every wait."""
    found = []
    for scenario in SCENARIOS.values():
        for name in scenario.phases:
            sort = phases.BY_NAME[name].sort
            if sort == WRITE:
                found += [Kill(scenario, name, "before"), Kill(scenario, name, "after")]
            if sort == WATCH or name in scenario.waits:
                found.append(Kill(scenario, name, "during"))
    return found


# One of every fault, each in another phase, and of what lasts the three that end in another way.
_IN_SHORT = {
    (STRATEGY.name, "set the strategy", "reset after", False),
    (WORKLOADS.name, "ask for the canary", "reset after", False),
    (REMOVE.name, "stop the VM", "409", False),
    (REMOVE.name, "delete the KubeVirt object", "reset after", False),
} | {
    (UPGRADE.name, *one)
    for one in (
        ("observe", "429", False),
        ("observe", "stale", False),
        ("read what the manifest names", "truncated", False),
        ("take the lock", "reset after", False),
        ("rehearse", "403", True),
        ("hold the methods", "webhook", False),
        ("hold the methods", "reset after", False),
        ("drain migrations", "410", False),
        ("apply the CRD", "500", False),
        ("apply the Deployment", "slow", False),
        ("list for the wait", "401", False),
        ("wait", "watch closed", False),
        ("observe", "503", True),
        ("restore the methods", "409", False),
        ("wait after the methods", "reset before", False),
        ("find the cluster", "hang", False),
    )
}
_KILLED_IN_SHORT = {
    (UPGRADE.name, "hold the methods", "after"),
    (UPGRADE.name, "apply the Deployment", "before"),
    (UPGRADE.name, "wait", "during"),
    (UPGRADE.name, "restore the methods", "after"),
    (WORKLOADS.name, "ask for the canary", "after"),
    (WORKLOADS.name, "ask for more VMs", "during"),
    (REMOVE.name, "delete the VM", "after"),
    (REMOVE.name, "wait for the deletion", "during"),
}


def is_short(one: Cell | Kill) -> bool:
    """Whether ``make test`` plays it."""
    if isinstance(one, Kill):
        return (one.scenario.name, one.at, one.moment) in _KILLED_IN_SHORT
    return (one.scenario.name, one.phase.name, one.fault.name, one.lasting) in _IN_SHORT
