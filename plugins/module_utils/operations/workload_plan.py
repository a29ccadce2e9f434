# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Which VMs are moved, in which order and by whom, decided from one look."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..knowledge import workload_updates
from ..knowledge.fates import Fate, fate_of
from ..knowledge.guest_classes import Candidate, GuestClass, canaries_of
from ..knowledge.moving_pace import share_of
from ..knowledge.workload_strategy import (
    LIVE_MIGRATE,
    Asked,
    in_words,
    strategy_of,
    wanted_strategy,
)
from .observe import Facts
from .outcome import Action, listed
from .scene import Scene, Vm

Object = Mapping[str, t.Any]

TO_MOVE = (Fate.MIGRATED, Fate.MIGRATED_BY_EVICTION, Fate.RESTARTED, Fate.LEFT_DOWN, Fate.DESTROYED, Fate.MIGRATING)
"""What still happens to a VM by KubeVirt's own updater."""


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Attributes:
        asked: The strategy.
        canary_max: How many canaries there may be.
        widen: The shares of the stages after them, in percent.
        wait: Whether KubeVirt's own updater is followed.
        can_migrate: Whether live migrations can work in this cluster at all.
    """

    asked: Asked
    canary_max: int
    widen: tuple[int, ...]
    wait: bool
    can_migrate: bool = True

    @property
    def migrates(self) -> bool:
        """Whether VMs are moved by live migrations of ours."""
        return LIVE_MIGRATE in self.asked.methods and self.can_migrate


@dataclass(frozen=True)
class Step(Action):
    """One thing to do.

    The actions are ``hold-workload-updates``, ``drain-migrations``, ``canary``, ``widen``, ``set-strategy``, ``leave-methods-empty`` and
    ``follow-updates``.

    Attributes:
        vms: How many VMs it moves.
        name: Of a canary, its namespace/name.
        percent: The share of a stage; 0 for the VMs that go last.
    """

    vms: int = 0
    name: str = ""
    percent: int = 0

    @property
    def writes(self) -> bool:
        """Whether the step changes the cluster."""
        return self.action not in ("drain-migrations", "follow-updates")


@dataclass(frozen=True)
class Plan:
    """What is done, in its order.

    Attributes:
        steps: All of it.
        base: How many VMs the shares of the stages are of.
        before: The strategy that is set now.
        after: The strategy that is set in the end.
        unproven: Classes that get no canary, because there are too many.
    """

    steps: tuple[Step, ...] = ()
    base: int = 0
    before: Object | None = None
    after: Object | None = None
    unproven: tuple[GuestClass, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything is written."""
        return any(step.writes for step in self.steps)


def movable(scene: Scene, now: datetime, *, last: bool | None = None) -> list[Vm]:
    """The VMs that may be migrated now, by name; with ``last`` only those that go last, or only the others."""
    return [
        vm
        for vm in scene.vms.values()
        if vm.can_be_migrated and not vm.mark.keeps_it(now) and last in (None, vm.mark.last)
    ]


def marked_and_outdated(scene: Scene) -> list[Vm]:
    """The VMs that KubeVirt's own updater, which knows no marks, must not touch."""
    return [vm for vm in scene.vms.values() if vm.is_outdated and vm.mark.is_set]


def plan_of(facts: Facts, scene: Scene, wish: Wish, now: datetime) -> Plan:
    """The steps from here to where everything is updated that can be.

    Args:
        facts: From ``observe``, with a KubeVirt object.
        scene: The VMs now.
        wish: What is asked for.
        now: The time of the day in UTC, for windows.
    """
    kubevirt = facts.kubevirt or {}
    first = movable(scene, now, last=False) if wish.migrates else []
    last = movable(scene, now, last=True) if wish.migrates else []
    stays_marked = _stays_marked(scene, {vm.name for vm in (*first, *last)})
    before = strategy_of(kubevirt)
    after = after_of(before, wish, withheld=stays_marked)
    canaries, unproven = _canaries(scene, first, wish)
    base = len(first) + len(last) + len(scene.moved_by_us)
    moves = [
        *(
            Step("canary", f"VM {one.name}", f"the first of: {one.guest_class}", vms=1, name=one.name)
            for one in canaries
        ),
        *_stages(scene, wish, base, len(first), len(canaries), by_ourselves=bool(marked_and_outdated(scene))),
        *_last_ones(last),
    ]
    steps = [
        *(_holding(facts, kubevirt, wish) if moves else []),
        *(_draining(kubevirt, scene) if moves else []),
        *moves,
        *_ending(facts, kubevirt, scene, before, after, withheld=stays_marked, moves=bool(moves)),
        *(_following(scene, wish, moves) if wish.wait and not stays_marked else []),
    ]
    return Plan(tuple(steps), base, before, after, tuple(unproven))


def after_of(before: Object | None, wish: Wish, *, withheld: bool) -> Object | None:
    """The strategy in the end; its methods stay empty where KubeVirt's own updater must not run."""
    asked = wish.asked
    return wanted_strategy(before, Asked((), asked.batch_size, asked.batch_interval) if withheld else asked)


def vms_in_words(count: int) -> str:
    """How many VMs."""
    return f"{count} VM{'s' if count != 1 else ''}"


def diff_of(facts: Facts, before: Object | None, after: Object | None) -> list[dict[str, t.Any]]:
    """The strategy before and after, as Ansible prints it; nothing where it is the same."""
    if (before or {}) == (after or {}):
        return []
    name = facts.kubevirt_name
    return [
        {
            "before_header": name,
            "after_header": name,
            "before": {"workloadUpdateStrategy": dict(before or {})},
            "after": {"workloadUpdateStrategy": dict(after or {})},
        }
    ]


def _stays_marked(scene: Scene, moved: set[str]) -> bool:
    return any(vm.name not in moved for vm in marked_and_outdated(scene))


def _canaries(scene: Scene, first: Sequence[Vm], wish: Wish) -> tuple[list[Candidate], list[GuestClass]]:
    candidates = [vm.as_candidate() for vm in first]
    wanted = canaries_of(candidates, scene.proven, len(candidates))
    return wanted[: wish.canary_max], [one.guest_class for one in wanted[wish.canary_max :]]


def _stages(scene: Scene, wish: Wish, base: int, first: int, canaries: int, *, by_ourselves: bool) -> list[Step]:
    steps = []
    done, left = len(scene.moved_by_us) + canaries, first - canaries
    shares = (*wish.widen, 100) if by_ourselves else wish.widen
    for percent in shares:
        count = min(left, base if percent == 100 else share_of(percent, base) - done)
        if count > 0:
            reason = (
                f"{percent} % of {base}"
                if percent in wish.widen
                else "KubeVirt's own updater does not know the marks on some VMs"
            )
            steps.append(Step("widen", vms_in_words(count), reason, vms=count, percent=percent))
            done, left = done + count, left - count
    return steps


def _last_ones(last: Sequence[Vm]) -> list[Step]:
    if not last:
        return []
    return [Step("widen", vms_in_words(len(last)), "they are marked to go last", vms=len(last))]


def _holding(facts: Facts, kubevirt: Object, wish: Wish) -> list[Step]:
    if workload_updates.held_methods(kubevirt) == list(wish.asked.methods) and not workload_updates.methods(kubevirt):
        return []
    reason = "KubeVirt's own updater must not move VMs while they are moved one by one"
    return [Step("hold-workload-updates", facts.kubevirt_name, reason)]


def _draining(kubevirt: Object, scene: Scene) -> list[Step]:
    """Also when none runs but KubeVirt's own updater may, because it may begin one until the first write."""
    if not scene.unfinished and not workload_updates.methods(kubevirt):
        return []
    name = listed(f"VM {one}" for one in scene.unfinished) or "live migrations, of which none runs now"
    return [Step("drain-migrations", name, "first those that run already")]


def _ending(
    facts: Facts,
    kubevirt: Object,
    scene: Scene,
    before: Object | None,
    after: Object | None,
    *,
    withheld: bool,
    moves: bool,
) -> list[Step]:
    is_held = workload_updates.held_methods(kubevirt) is not None
    if not moves and not is_held and (before or {}) == (after or {}):
        return []
    if withheld:
        names = listed(vm.name for vm in marked_and_outdated(scene))
        return [Step("leave-methods-empty", facts.kubevirt_name, f"marked VMs stay where they are: {names}")]
    reason = f"KubeVirt's own updater does the rest: {in_words(after)}"
    return [Step("set-strategy", facts.kubevirt_name, reason)]


def _following(scene: Scene, wish: Wish, moves: Sequence[Step]) -> list[Step]:
    rest = sum(vm.is_outdated and is_moved_by_kubevirt(vm, wish) for vm in scene.vms.values())
    rest -= sum(step.vms for step in moves)
    if rest <= 0:
        return []
    methods = listed(wish.asked.methods)
    return [Step("follow-updates", vms_in_words(rest), f"until {methods} has moved those that can be moved")]


def is_moved_by_kubevirt(vm: Vm, wish: Wish) -> bool:
    """Whether KubeVirt's own updater would move it."""
    return fate_of(vm.guest, wish.asked.methods, can_migrate=wish.can_migrate) in TO_MOVE
