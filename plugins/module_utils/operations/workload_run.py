# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Carrying out the plan of moving VMs: canaries, stages, then KubeVirt's own updater.

Every look at the cluster comes here, so that a VM that runs twice stops all writes, whatever is done just then.
"""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence

from ..cluster.api import Api, Json
from ..cluster.clock import Clock
from ..cluster.errors import ClusterError
from ..cluster.interruption import HOW_TO_GO_ON
from ..cluster.watch import Picture
from ..knowledge import workload_updates
from ..knowledge.findings import Finding, blocking
from ..knowledge.gates import Gate
from ..knowledge.moving_pace import Progress, share_of
from ..knowledge.split_brain import GRACE, Double
from ..knowledge.workload_strategy import (
    Asked,
    batch_interval_of,
    strategy_of,
    strategy_patch,
    wanted_strategy,
)
from . import workload_findings
from .editing import edit_kubevirt
from .following import Follower
from .moving import Mover
from .observe import Facts, observe
from .outcome import Outcome, Report, actions_of, listed, phase, told
from .risk_facts import finding_of_a_gate
from .scene import Scene, Surroundings, Vm, sources
from .stopping import IN_DOUBT, Stopped, what_stopped
from .workload_findings import rest_of
from .workload_plan import Plan, Step, Wish, after_of, diff_of, marked_and_outdated, movable, vms_in_words

LOOK_AGAIN = 1.0
"""Seconds after which the clocks are read again although nothing changed."""
HOLD = 15.0
"""Seconds for which nothing must be left to move, for virt-controller marks VMs again some time after a migration."""

Params = Mapping[str, t.Any]
Patch = list[dict[str, t.Any]]


class WorkloadRun:
    """Carrying out a plan, with an account of what was moved.

    Args:
        api: The cluster.
        facts: From ``observe``.
        surroundings: From ``surroundings_of``.
        plan: What to do.
        wish: What is asked for.
        gates: The user's, which must hold after each canary too.
        params: The options.
        outcome: Takes what became of it.
        clock: Time.
        report: Takes progress lines.
    """

    def __init__(
        self,
        api: Api,
        facts: Facts,
        surroundings: Surroundings,
        plan: Plan,
        wish: Wish,
        gates: Sequence[Gate],
        params: Params,
        outcome: Outcome,
        clock: Clock,
        report: Report,
    ) -> None:
        self._api = api
        self._facts = facts
        self._around = surroundings
        self._plan = plan
        self._wish = wish
        self._gates = gates
        self._params = params
        self._outcome = outcome
        self._clock = clock
        self._report = self._tell = report
        self._began = self._moved_at = clock.now()
        self._movement: Hashable = None
        self._doubles: dict[str, float] = {}
        self._written: list[str] = []
        self._done: list[Step] = []
        self._withheld = self._handed_over = self._in_doubt = False
        self._failed_later: dict[str, str] = {}
        self._known: dict[str, tuple[str, Vm]] = {}
        self._scene = Scene(surroundings, (), (), ())
        self._mover = Mover(api, facts, self._look, clock=clock, migration_timeout=params["migration_timeout"])

    def run(self, against: Sequence[Finding]) -> None:
        """All steps, in order; what went wrong is in the outcome, in front of what spoke ``against`` it before."""
        findings = [*against]
        before: set[str] = set()

        def move() -> None:
            with Picture(self._api, sources(self._facts)) as self._picture:
                before.update(name for name, vm in self._look().vms.items() if vm.is_outdated)
                self._steps()
                findings.extend(self._at_the_end())

        stopped = what_stopped(self._api, move)
        if stopped:
            findings = [*stopped.findings, *findings]
            self._in_doubt = stopped.in_doubt
            self._outcome.failure = self._failure(stopped)
            if stopped.signal:
                self._tell(f"stopped by {stopped.signal}. {HOW_TO_GO_ON}")
        self._outcome.findings = findings
        self._account(before)

    def _steps(self) -> None:
        how: dict[str, Callable[[Step], None]] = {
            "hold-workload-updates": self._hold,
            "drain-migrations": self._drain,
            "canary": self._canary,
            "widen": self._widen,
            "set-strategy": self._end,
            "leave-methods-empty": self._end,
            "follow-updates": self._follow,
        }
        actions = [step.action for step in self._plan.steps]
        for step in self._plan.steps:
            self._tell = phase(self._report, actions, step.action)
            self._tell(f"{step.object} ({step.reason})")
            how[step.action](step)
            self._done.append(step)

    # Looking

    def _look(self, *, may_rest: bool = False) -> Scene:
        """Wait for a change, and see how everything is then.

        Raises:
            Stopped: A VM runs twice; or nothing moved for too long, which ``may_rest`` allows; or the time is over.
        """
        self._picture.changed(LOOK_AGAIN)
        self._watch_the_clocks(may_rest)
        if self._picture.trouble:
            self._tell(self._picture.trouble)
        while self._picture.trouble:  # nobody could see a VM that runs twice
            self._picture.changed(LOOK_AGAIN)
            self._watch_the_clocks(False)
        self._scene = self._take()
        if self._run_twice():
            self._picture.look_again()  # what is seen of pods may be newer than what is seen of migrations
            self._scene = self._take()
            twice = self._run_twice()
            if twice:
                self._freeze()
                raise Stopped(workload_findings.split_brain(twice))
        return self._scene

    def _take(self) -> Scene:
        objects = self._picture.objects
        return Scene(self._around, objects("vmis"), objects("pods"), objects("migrations"), self._known)

    def _run_twice(self) -> list[Double]:
        now = self._clock.now()
        doubles = self._scene.doubles
        self._doubles = {one.vmi: self._doubles.get(one.vmi, now) for one in doubles}
        return [one for one in doubles if not one.may_pass or now - self._doubles[one.vmi] > GRACE]

    def _watch_the_clocks(self, may_rest: bool) -> None:
        now = self._clock.now()
        scene = self._scene
        phases = sorted(
            (one["metadata"]["uid"], (one.get("status") or {}).get("phase")) for one in scene.unfinished.values()
        )
        movement = (self._mover.movement, tuple(phases), sum(vm.is_outdated for vm in scene.vms.values()))
        if may_rest or movement != self._movement:
            self._movement, self._moved_at = movement, now
        stall, deadline = self._stall(), self._params["wait_timeout"]
        if now - self._moved_at > stall:
            raise Stopped(self._late(f"Nothing moved for {stall:.0f} s."))
        if now - self._began > deadline:
            raise Stopped(self._late(f"Not done within {deadline} s."))

    def _stall(self) -> float:
        """Between two batches of evictions nothing moves."""
        return float(self._params["stall_timeout"]) + batch_interval_of(self._plan.after).total_seconds()

    def _late(self, cause: str) -> Finding:
        waiting = (
            self._mover.under_way
            or [*self._scene.unfinished]
            or [vm.name for vm in self._scene.vms.values() if vm.is_outdated]
        )
        trouble = self._picture.trouble
        seen = f" What happens in the cluster cannot be seen ({trouble})." if trouble else ""
        return workload_findings.not_moved_in_time(self._facts, [f"VM {name}" for name in waiting], f"{cause}{seen}")

    # Steps

    def _hold(self, _step: Step) -> None:
        asked = list(self._wish.asked.methods)
        self._edit("the methods were emptied", lambda kubevirt: workload_updates.asking_patch(kubevirt, asked))

    def _drain(self, _step: Step) -> None:
        self._mover.move((), may_fail=self._failures_left, report=self._tell)
        seconds = self._params["migration_timeout"]
        until = self._clock.now() + seconds
        while self._scene.of_others and self._clock.now() < until:
            self._look(may_rest=True)
        if self._scene.of_others and "workloads.migrations-in-flight" not in self._params["accept"]:
            raise Stopped(workload_findings.in_flight(self._facts, self._scene.of_others, seconds))

    def _canary(self, step: Step) -> None:
        name, guest_class = step.name, step.reason.partition(": ")[2]
        self._mover.move([name], may_fail=0, report=self._tell)
        reason = self._mover.failed.get(name)
        if reason:
            self._go_back()
            raise Stopped(workload_findings.canary_failed(name, reason, guest_class))
        found = [one for gate in self._gates if (one := finding_of_a_gate(self._api, gate))]
        stopping = blocking(found, self._params["accept"])
        if stopping:
            self._go_back()
            reason = f"it arrived, and afterwards {stopping[0].id} does not hold: {stopping[0].cause}"
            raise Stopped(workload_findings.canary_failed(name, reason, guest_class), *stopping)

    def _widen(self, step: Step) -> None:
        self._soak()
        scene, now = self._look(), self._clock.utc()
        vms = movable(scene, now, last=step.percent == 0)
        names = [vm.name for vm in vms if vm.name not in self._mover.failed]
        if 0 < step.percent < 100:
            names = names[
                : max(0, share_of(step.percent, self._plan.base) - len(scene.moved_by_us | self._mover.moved))
            ]
        self._mover.move(names, may_fail=self._failures_left, report=self._tell)
        self._keep_to_the_budget(self._mover.failed)

    def _end(self, _step: Step) -> None:
        self._soak()
        self._withheld = withheld = bool(marked_and_outdated(self._look()))

        def patch_of(kubevirt: Json) -> Patch | None:
            return _setting(kubevirt, after_of(strategy_of(kubevirt), self._wish, withheld=withheld))

        self._edit("the strategy was set", patch_of)
        self._handed_over = not withheld

    def _follow(self, _step: Step) -> None:
        if self._withheld:
            return
        scene = self._look()
        follower = Follower(scene, self._wish)
        total = len(follower.pending(scene))
        progress = Progress(total, self._clock.now())
        done_since: float | None = None
        while done_since is None or self._clock.now() - done_since < HOLD:
            scene = self._look()
            follower.look(scene)
            failed = follower.failed(scene)
            self._failed_later = failed
            self._keep_to_the_budget({**self._still_outdated(self._mover.failed), **failed})
            pending = follower.pending(scene)
            line = progress.line(max(0, total - len({*pending, *failed})), len(failed), self._clock.now())
            if line:
                self._tell(line)
            done_since = None if pending else self._clock.now() if done_since is None else done_since

    # What several steps do

    @property
    def _failures_left(self) -> int:
        budget: int = self._params["failure_budget"]
        return max(0, budget - len(self._mover.failed))

    def _soak(self) -> None:
        """Let some time pass in which problems may show, with an eye on the VMs."""
        if not self._mover.moved:
            return
        until = self._clock.now() + self._params["soak"]
        while self._clock.now() < until:
            self._look(may_rest=True)

    def _keep_to_the_budget(self, failed: Mapping[str, str]) -> None:
        budget = self._params["failure_budget"]
        if len(failed) > budget:
            self._leave(())
            self._handed_over = False
            raise Stopped(workload_findings.budget_spent(failed, budget, self._facts, self._wish))

    def _still_outdated(self, failed: Mapping[str, str]) -> dict[str, str]:
        vms = self._scene.vms
        return {name: reason for name, reason in failed.items() if name in vms and vms[name].is_outdated}

    def _go_back(self) -> None:
        """Set the methods that were there before this run, or the one that was killed, emptied them."""
        self._edit(
            "the methods of before were put back",
            lambda kubevirt: _leaving(kubevirt, workload_updates.methods_before(kubevirt)),
        )

    def _leave(self, methods: Sequence[str]) -> None:
        self._edit("the methods were emptied", lambda kubevirt: _leaving(kubevirt, methods))

    def _freeze(self) -> None:
        """The last write where a VM runs twice: nobody else may move VMs either."""

        def patch_of(kubevirt: Json) -> Patch | None:
            methods = workload_updates.methods(kubevirt)
            return workload_updates.asking_patch(kubevirt, methods) if methods else None

        with contextlib.suppress(ClusterError):  # what was found must be told, whatever else goes wrong
            self._edit("the methods were emptied", patch_of)

    def _edit(self, what: str, patch_of: Callable[[Json], Patch | None]) -> None:
        if edit_kubevirt(self._api, self._facts, patch_of):
            self._written.append(what)

    # Accounts

    @property
    def _has_written(self) -> bool:
        return bool(self._written or self._mover.asked_for or self._in_doubt)

    def _at_the_end(self) -> list[Finding]:
        rest = self._rest()
        return [
            *workload_findings.strategy_withheld(self._facts, self._scene, self._wish),
            *workload_findings.left_behind(rest),
        ]

    def _rest(self) -> list[workload_findings.Left]:
        failed = {**self._mover.failed, **self._failed_later}
        now, handed_over = self._clock.utc(), self._handed_over
        return rest_of(self._scene, self._wish, failed, now, at_the_end=True, handed_over=handed_over)

    def _account(self, before: Collection[str]) -> None:
        """What became of the VMs, into the outcome."""
        outcome, scene = self._outcome, self._scene
        if outcome.failure:
            outcome.actions = actions_of(self._done)
        outcome.changed = self._has_written
        outcome.state, strategy = "unknown", self._plan.after
        if not self._api.hurried:
            with contextlib.suppress(ClusterError):
                facts = observe(self._api, self._facts.cluster)
                outcome.state, strategy = facts.state, strategy_of(facts.kubevirt or {})
                outcome.diff = diff_of(facts, self._plan.before, strategy)
        left = {name for name, vm in scene.vms.items() if vm.is_outdated}
        failed = {**self._mover.failed, **self._failed_later}
        moved = sorted({*before} - left)
        outcome.extra |= extra_of(scene, self._plan, strategy, self._rest(), failed, moved, self._minutes())

    def _minutes(self) -> float:
        return (self._clock.now() - self._began) / 60

    def _failure(self, stopped: Stopped) -> str:
        lines = ["Moving the VMs stopped.", *map(told, stopped.findings)]
        if stopped.words:
            lines.append(stopped.words)
        if not self._has_written:
            return "\n".join([*lines, "Nothing was changed."])
        if self._in_doubt:
            lines.append(IN_DOUBT)
        if self._mover.moved:
            moved = sorted(self._mover.moved)
            lines.append(f"Moved by this run, and well: {vms_in_words(len(moved))} ({listed(moved)}).")
        if self._mover.under_way:
            lines.append(f"Under way when it stopped: {listed(self._mover.under_way)}; KubeVirt goes on with these.")
        lines.append(self._how_the_methods_are())
        return "\n".join(lines)

    def _how_the_methods_are(self) -> str:
        again = "To go on: run the same again."
        try:
            kubevirt = self._api.get(self._facts.kubevirt_path)
        except ClusterError:
            return f"{again} How the workload update methods are cannot be read now."
        methods = workload_updates.methods(kubevirt)
        if methods:
            return (
                f"The workload update methods are {listed(methods)}: KubeVirt's own updater goes on by itself. {again}"
            )
        if workload_updates.held_methods(kubevirt) is not None:
            return (
                "The workload update methods are held empty, and an annotation of the KubeVirt object remembers what was asked for, so "
                f"no VM is moved meanwhile. {again}"
            )
        return f"The workload update methods are empty, so no VM is moved meanwhile. {again}"


def extra_of(
    scene: Scene,
    plan: Plan,
    strategy: Mapping[str, t.Any] | None,
    rest: Sequence[workload_findings.Left],
    failed: Mapping[str, str],
    moved: Sequence[str],
    minutes: float,
) -> dict[str, t.Any]:
    """The keys of the result that only this operation has."""
    running = [vm for vm in scene.vms.values() if vm.guest.running]
    return {
        "vms": {
            "running": len(running),
            "outdated": sum(vm.is_outdated for vm in running),
            "marked": sum(vm.mark.is_set for vm in running),
        },
        "canaries": [step.name for step in plan.steps if step.action == "canary"],
        "unproven": [str(one) for one in plan.unproven],
        "moved": len(moved),
        "failures": [{"vm": name, "reason": reason} for name, reason in sorted(failed.items())],
        "rate": round(len(moved) / minutes, 1) if minutes > 0 else 0.0,
        "rest": [one.as_dict() for one in rest],
        "cold_restart": [{"vm": one.vm, "reason": one.reason} for one in rest if one.restart],
        "strategy": dict(strategy or {}),
    }


def _leaving(kubevirt: Json, methods: Sequence[str]) -> Patch | None:
    """Sets these methods and leaves the batches, and takes the annotation away."""
    return _setting(kubevirt, wanted_strategy(strategy_of(kubevirt), Asked(tuple(methods))))


def _setting(kubevirt: Json, wanted: Mapping[str, t.Any] | None) -> Patch | None:
    """Sets the strategy, and takes the annotation away; None where that is so already."""
    forgetting = workload_updates.forgetting_patch(kubevirt)
    if (strategy_of(kubevirt) or {}) == (wanted or {}) and not forgetting:
        return None
    return [*strategy_patch(kubevirt, wanted or {}), *forgetting]
