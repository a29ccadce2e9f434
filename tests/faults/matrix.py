# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The matrices: which cells there are. Nothing is run here."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from tests.faults import phases
from tests.faults.faults import FAULTS, REHEARSAL, WRITE, Fault
from tests.faults.phases import Phase
from tests.faults.scenarios import SCENARIOS, UPGRADE, Scenario
from tests.support.lab import Json

# Writes of the KubeVirt object, before which the API server asks virt-operator's webhook.
ADMITTED = ("hold the methods", "move the image tag", "restore the methods")
BRIEFLY = "reset after"
# An address that never answered, and a login that was never taken, are wrong ones: that is said at once.
FIRST = "find the cluster"
# A run can do without these; then it arrives although the fault lasts.
TOLERATED = (
    *("drain migrations", "wait", "wait after the image tag", "wait after the methods", "look at the end"),
    *("renew the lock", "release the lock"),
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
        moment: ``before`` the server has the write, ``after`` it has done it and before we hear, or ``during`` a wait.
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
        for name in phases_of(scenario)
        for cell in _cells_of(scenario, phases.BY_NAME[name], brief=name in scenario.briefly)
    ]


def phases_of(scenario: Scenario) -> list[str]:
    """All its phases, in the order of the run."""
    names = list(scenario.phases)
    at = names.index("take over the CRD") if "take over the CRD" in names else 0
    return [*names[:at], *scenario.briefly, *names[at:]]


def _cells_of(scenario: Scenario, phase: Phase, *, brief: bool) -> t.Iterator[Cell]:
    for fault in FAULTS:
        if brief and fault.name != BRIEFLY:
            continue
        if phase.sort in fault.sorts or ("admitted" in fault.sorts and phase.name in ADMITTED):
            if fault.times:
                yield Cell(scenario, phase, fault, lasting=False)
            if fault.lasts and not brief:
                yield Cell(scenario, phase, fault, lasting=True)


def kills() -> list[Kill]:
    """Every write of every scenario, before and after; and every wait."""
    found = []
    for scenario in SCENARIOS.values():
        for name in phases_of(scenario):
            sort = phases.BY_NAME[name].sort
            if sort == "write":
                found += [Kill(scenario, name, "before"), Kill(scenario, name, "after")]
            elif sort == "watch":
                found.append(Kill(scenario, name, "during"))
    return found


# One of every fault, each in another phase, and of what lasts the three that end in another way.
_IN_SHORT = {
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
    ("hold the methods", "after"),
    ("apply the Deployment", "before"),
    ("wait", "during"),
    ("restore the methods", "after"),
}


def is_short(one: Cell | Kill) -> bool:
    """Whether ``make test`` plays it."""
    if isinstance(one, Kill):
        return one.scenario is UPGRADE and (one.at, one.moment) in _KILLED_IN_SHORT
    return (one.scenario.name, one.phase.name, one.fault.name, one.lasting) in _IN_SHORT
