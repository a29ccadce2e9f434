# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What is found about VMs that are moved: what stops that, and what is left in the end."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from ..knowledge.fates import IN_WORDS, fate_of, how_to_restart, why
from ..knowledge.findings import Finding, finding
from ..knowledge.split_brain import Double
from .observe import Facts
from .outcome import listed
from .scene import Scene, Vm
from .workload_plan import TO_MOVE, Wish, marked_and_outdated, vms_in_words


@dataclass(frozen=True)
class Left:
    """A VM that still runs on an old launcher, and what can be done about it."""

    vm: str
    reason: str
    fix: str
    restart: bool
    """Only a restart brings it to the new launcher."""

    def as_dict(self) -> dict[str, t.Any]:
        """As modules return it."""
        return asdict(self)


def rest_of(
    scene: Scene,
    wish: Wish,
    failed: Mapping[str, str],
    now: datetime,
    *,
    at_the_end: bool,
    handed_over: bool = False,
) -> list[Left]:
    """The VMs that stay on an old launcher, by name.

    Args:
        scene: The VMs now.
        wish: What is asked for.
        failed: Why VMs could not be moved, by name.
        now: The time of the day in UTC.
        at_the_end: Everything was done, so that what still could be moved is left as well.
        handed_over: KubeVirt's own updater is at work.
    """
    outdated = [vm for vm in scene.vms.values() if vm.is_outdated]
    found = [_left(vm, wish, failed.get(vm.name, ""), now, at_the_end, handed_over) for vm in outdated]
    return [one for one in found if one]


def _left(vm: Vm, wish: Wish, failure: str, now: datetime, at_the_end: bool, handed_over: bool) -> Left | None:
    guest, restart = vm.guest, how_to_restart(vm.guest)
    kept = vm.mark.keeps_it(now)
    if kept:
        return Left(vm.name, kept, "Its owner decides: move it, restart it, or take the mark away.", restart=False)
    if failure:
        return Left(
            vm.name, failure, f"Mend what the reason says, or restart it when its owner can: {restart}", restart=True
        )
    fate = fate_of(guest, wish.asked.methods, can_migrate=wish.can_migrate)
    if fate in TO_MOVE:
        if not at_the_end:
            return None
        if handed_over:
            return Left(vm.name, "KubeVirt's own updater has not moved it yet", "Look again in a while.", restart=False)
        return Left(vm.name, "it was not its turn yet", "Run this again.", restart=False)
    return Left(vm.name, why(guest, fate) or IN_WORDS[fate], f"Restart it when its owner can: {restart}", restart=True)


def left_behind(rest: Sequence[Left]) -> list[Finding]:
    """That VMs stay on old launchers."""
    if not rest:
        return []
    return [
        finding(
            "workloads.left-behind",
            object=f"{vms_in_words(len(rest))} ({listed(one.vm for one in rest)})",
            cause="They still run on an older launcher.",
            evidence="; ".join(f"{one.vm}: {one.reason}" for one in rest[:5]),
            fix=f"The result lists each under rest, with what to do. {rest[0].fix}",
        )
    ]


def strategy_withheld(facts: Facts, scene: Scene, wish: Wish) -> list[Finding]:
    """That the asked strategy is not set, because KubeVirt's own updater would move marked VMs."""
    marked = marked_and_outdated(scene)
    if not marked:
        return []
    return [
        finding(
            "workloads.strategy-withheld",
            object=facts.kubevirt_name,
            cause=f"{listed(wish.asked.methods)} was asked for and the methods stay empty: KubeVirt's "
            "own updater does not know the marks on VMs, and would move these.",
            evidence=listed(vm.name for vm in marked),
            fix="When these VMs have been moved or restarted, run this again. To let KubeVirt move them all the same: "
            f"{set_command(facts, wish)}",
        )
    ]


def set_command(facts: Facts, wish: Wish) -> str:
    """The command that sets the asked methods."""
    methods = ", ".join(wish.asked.methods)
    return (
        f"kubectl patch kubevirt {facts.kubevirt_metadata_name} -n {facts.kubevirt_namespace} --type=merge -p "
        f"'spec: {{workloadUpdateStrategy: {{workloadUpdateMethods: [{methods}]}}}}'"
    )


def split_brain(doubles: Sequence[Double]) -> Finding:
    """That a VM runs twice."""
    first = doubles[0]
    volumes = f" Both write to: {listed(first.volumes)}." if first.volumes else ""
    others = f" The same is true of {listed(one.vmi for one in doubles[1:])}." if doubles[1:] else ""
    return finding(
        "workloads.split-brain",
        object=f"VM {first.vmi}",
        cause=f"{len(first.pods)} launcher pods of it run, and no live migration accounts for that.{volumes}{others}",
        evidence=listed(first.pods),
        fix="Find out in which pod the VM really runs (status.nodeName of the VMI), and end the other one at once: kubectl delete pod POD "
        f"-n {first.vmi.partition('/')[0]}. Check its disks before anything else is moved.",
    )


def canary_failed(name: str, reason: str, guest_class: str) -> Finding:
    """That the first VM of its class did not arrive well."""
    return finding(
        "workloads.canary-failed",
        object=f"VM {name}",
        cause="It was moved as the first of its class, and did not arrive well; no other VM was moved after it.",
        evidence=f"{reason} (class: {guest_class})",
        fix=f"Look at it: kubectl describe vmi {name.partition('/')[2]} -n {name.partition('/')[0]}. Mend the cause, then run this again; "
        "or mark the VMs of this class to be skipped.",
    )


def budget_spent(failed: Mapping[str, str], budget: int, facts: Facts, wish: Wish) -> Finding:
    """That more VMs failed than may."""
    return finding(
        "workloads.budget-spent",
        object=listed(f"VM {name}" for name in failed),
        cause=f"{vms_in_words(len(failed))} could not be moved, and failure_budget allows {budget}.",
        evidence="; ".join(f"{name}: {reason}" for name, reason in [*failed.items()][:5]),
        fix=f"Mend what the reasons say, then run this again. The methods stay empty; to set them by hand: {set_command(facts, wish)}",
    )


def not_moved_in_time(facts: Facts, waiting: Sequence[str], cause: str) -> Finding:
    """That it stalled, or took too long."""
    return finding(
        "workloads.stalled",
        object=facts.kubevirt_name,
        cause=f"{cause} Waiting for: {listed(waiting) or 'KubeVirt'}.",
        fix="Look at these migrations (kubectl get vmim -A) and their target pods, and run this again: it goes on from here.",
    )


def in_flight(facts: Facts, names: Sequence[str], seconds: int) -> Finding:
    """That migrations of others do not end."""
    return finding(
        "workloads.migrations-in-flight",
        object=facts.kubevirt_name,
        cause=f"Live migrations that others asked for did not finish within {seconds} s.",
        evidence=listed(names),
        fix="Let them finish or delete them (kubectl delete vmim), then run again.",
    )
