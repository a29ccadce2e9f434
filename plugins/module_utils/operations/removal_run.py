# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Carrying out the plan of a removal, with an account of what is gone, what stays and what is left."""

from __future__ import annotations

import contextlib
import functools
import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby

from ..cluster.api import Api
from ..cluster.clock import Clock
from ..cluster.errors import ClusterError
from ..cluster.interruption import HOW_TO_GO_ON, Interrupted
from ..cluster.watch import Picture
from ..knowledge.blockage_scene import Scene
from ..knowledge.conditions import State, state_of
from ..knowledge.findings import Finding, blocking
from ..knowledge.stuck import allowed, blockage_findings, cures, lets_it_go_on
from . import removal_findings
from .backup import back_up
from .belongings import Belongings, belongings_of, kubevirt_resources
from .blockage import scene_of_removal
from .deleting import delete_that_one
from .disks import KeepDisks, Kept
from .observe import observe
from .outcome import Outcome, Report, actions_of, listed, phase, told
from .removal_facts import facts_of_the_rest
from .removal_plan import Seen, Wish, diff_of, repair_step, takes_vms_first
from .removal_wait import DeletionJudge, sources
from .repair import Repair
from .stopping import IN_DOUBT, Stopped, what_stopped
from .sweep import Proof, Sweep, leftovers_of, sweep_findings
from .upgrade_plan import Step
from .waiting import Limits, Verdict, wait_for

LOOK_CLOSER = 30.0
"""Seconds without movement after which it is asked what holds the deletion, and repaired again."""

Params = Mapping[str, t.Any]


class RemovalRun:
    """Carrying out a plan.

    Args:
        api: The cluster.
        seen: What the plan was made from.
        steps: From ``plan_of``.
        wish: What is asked for.
        params: The options.
        outcome: Takes what became of it.
        clock: Time.
        report: Takes progress lines.
    """

    def __init__(
        self,
        api: Api,
        seen: Seen,
        steps: Sequence[Step],
        wish: Wish,
        params: Params,
        outcome: Outcome,
        clock: Clock,
        report: Report,
    ) -> None:
        self._api = api
        self._seen = seen
        self._facts = seen.facts
        self._steps = steps
        self._wish = wish
        self._params = params
        self._outcome = outcome
        self._clock = clock
        self._report = self._tell = report
        self._done: list[Step] = []
        self._deleted: list[str] = []
        self._in_doubt = False
        self._keep_disks = KeepDisks(api, seen.facts, clock, self._say, params["vm_stop_timeout"])
        self._repair = Repair(api, params, clock, self._say)
        self._sweep = Sweep(
            api,
            clock,
            seen.facts.kubevirt_namespace,
            self._say,
            clean_nodes=wish.clean_nodes,
            remove_namespace=wish.remove_namespace,
            with_user_objects=True,
            with_vms=not wish.keep_disks,
        )

    def run(self, against: Sequence[Finding]) -> None:
        """All steps, in order; what went wrong is in the outcome, in front of what spoke ``against`` it before."""
        self._outcome.findings = [*against]
        stopped = what_stopped(self._api, self._carry_out)
        if stopped:
            self._in_doubt = stopped.in_doubt
            self._outcome.findings = [*stopped.findings, *self._outcome.findings]
            self._outcome.failure = self._failure(stopped)
            self._outcome.diff = diff_of(self._done)
            if stopped.signal:
                self._tell(f"stopped by {stopped.signal}. {HOW_TO_GO_ON}")
        self._account()

    def _say(self, line: str) -> None:
        self._tell(line)

    def _carry_out(self) -> None:
        how: dict[str, Callable[[Sequence[Step]], None]] = {
            "back-up": self._back_up,
            "repair": self._cure,
            "wait-installed": self._wait_installed,
            **dict.fromkeys(("delete-maker", "stop-vm", "delete-vm"), self._take_vms),
            "delete-kubevirt": self._delete_kubevirt,
            "wait-deleted": self._wait_deleted,
        }
        parts = [
            (work, [*steps]) for work, steps in groupby(self._steps, key=lambda step: how.get(step.action, self._clear))
        ]
        actions = [steps[0].action for _work, steps in parts]
        for work, steps in parts:
            self._tell = phase(self._report, actions, steps[0].action)
            self._tell(_in_words(steps))
            work(steps)
            self._done += steps

    # Steps

    def _back_up(self, _steps: Sequence[Step]) -> None:
        written = back_up(
            self._api, self._facts, kubevirt_resources(self._api), self._wish.backup_dir, self._clock.utc()
        )
        self._outcome.extra["backup"] = {"path": written.path, "counts": dict(written.counts)}
        self._outcome.findings = [*self._outcome.findings, *written.findings]
        self._tell(f"written and read back: {written.path}")

    def _cure(self, steps: Sequence[Step]) -> None:
        named = {(step.path, step.reason) for step in steps}
        self._repair.cure(cure for cure in self._seen.cures if (cure.path, cure.reason) in named)

    def _wait_installed(self, _steps: Sequence[Step]) -> None:
        def judge(picture: Picture) -> Verdict:
            states = [state_of(one) for one in picture.objects("kubevirts")]
            missing = [self._facts.kubevirt_name] if State.INSTALLING in states else []
            return Verdict(missing, movement=tuple(states))

        limits = Limits(self._params["wait_timeout"], self._params["stall_timeout"])
        with Picture(self._api, sources(self._facts)[:1]) as picture:
            waited = wait_for(picture, judge, limits, clock=self._clock, report=self._tell)
        if waited.end != "done":
            seconds = limits.that_ended(waited.end)
            cause = f"It is still being installed after {seconds:.0f} s, and a deletion would never end."
            raise Stopped(removal_findings.stalled(self._facts, cause, waited.missing))

    def _take_vms(self, _steps: Sequence[Step]) -> None:
        held = self._seen.belongings
        takes_first = takes_vms_first(self._seen, self._wish)
        unblock = functools.partial(self._repaired, takes_first=takes_first) if self._seen.nobody_stops_vms else None
        try:
            self._keep_disks.run(held.vms, held.standalone_vmis, unblock)
        except Stopped as stopped:
            raise Stopped(*self._blocking_now(takes_first), *stopped.findings, words=stopped.words) from stopped
        finally:
            self._outcome.extra["kept"] = [{**asdict(one), "claim": _claim(one)} for one in self._keep_disks.kept]
            self._deleted += [f"VM {name}" for name in self._keep_disks.gone]

    def _delete_kubevirt(self, _steps: Sequence[Step]) -> None:
        facts = self._facts
        self._agree_again(belongings_of(self._api, facts))
        try:
            is_ours = delete_that_one(self._api, facts.kubevirt_path, (facts.kubevirt or {})["metadata"]["uid"])
        except (ClusterError, Interrupted) as error:
            if isinstance(error, Interrupted) or error.in_doubt:
                self._deleted.append(facts.kubevirt_name)
            raise
        if is_ours:  # else somebody else was quicker
            self._deleted.append(facts.kubevirt_name)

    def _agree_again(self, now: Belongings) -> None:
        """What has come meanwhile was not agreed to."""
        if self._wish.keep_disks and now.counted:
            raise Stopped(removal_findings.new_workloads(self._facts, now))
        against = removal_findings.against_the_loss(self._facts, now, self._params["confirm"] or "")
        if against:
            raise Stopped(*against)

    def _wait_deleted(self, _steps: Sequence[Step]) -> None:
        ends = self._clock.now() + self._params["wait_timeout"]
        stall = self._params["stall_timeout"]
        judge = DeletionJudge(self._api, self._facts, self._clock)
        with Picture(self._api, sources(self._facts)) as picture:
            while (left := ends - self._clock.now()) > 0:
                limits = Limits(left, min(stall, LOOK_CLOSER))
                waited = wait_for(picture, judge, limits, clock=self._clock, report=self._tell)
                if waited.end == "done":
                    return
                self._look_closer(judge.missing, is_over=self._clock.now() - judge.moved_at >= stall)
        self._give_up(f"Not gone within {self._params['wait_timeout']} s.", judge.missing)

    def _look_closer(self, missing: Sequence[str], *, is_over: bool) -> None:
        """Repair what holds the deletion, as far as that is allowed; if nothing is to be done, the time may be over."""
        if not self._repaired() and is_over:
            self._give_up(f"Nothing moved for {self._params['stall_timeout']} s.", missing)

    def _repaired(self, *, takes_first: bool = False) -> bool:
        """Mend what gets in the way now, as far as that is allowed; whether there was anything.

        Args:
            takes_first: Nothing is done that would let KubeVirt take VMs away which are still there.
        """
        now = allowed(cures(self._scene()), self._params["repair"])
        cured = self._repair.cure(one for one in now if not (takes_first and lets_it_go_on(one)))
        self._done += map(repair_step, cured)
        return bool(cured)

    def _give_up(self, cause: str, missing: Sequence[str]) -> t.NoReturn:
        found = blockage_findings(self._scene(), self._params["repair"])
        raise Stopped(*found, removal_findings.stalled(self._facts, cause, missing))

    def _scene(self) -> Scene:
        """What holds the deletion now, which has begun since the facts of the plan were read."""
        now = facts_of_the_rest(self._api, self._facts.cluster, self._facts.kubevirt_namespace)
        return scene_of_removal(self._api, now, self._api.utc())

    def _blocking_now(self, takes_first: bool) -> list[Finding]:
        """What speaks against going on besides what stopped the run; nothing where the cluster cannot be read, for that is told then."""
        try:
            return blocking(blockage_findings(self._scene(), self._params["repair"], takes_vms_first=takes_first))
        except ClusterError:
            return []

    def _clear(self, _steps: Sequence[Step]) -> None:
        if self._facts.kubevirt is None:  # nobody has asked again so far
            self._agree_again(belongings_of(self._api, self._facts))
        proof = self._swept()
        if proof.left and self._repaired():
            proof = self._swept()
        found = sweep_findings(proof, self._facts.kubevirt_namespace)
        shown = proof.as_dict()
        self._outcome.extra |= {"left": shown["left"], "stays": shown["kept"], "searched": shown["searched"]}
        self._outcome.findings = [*found, *self._outcome.findings]
        self._outcome.failure = _left_in_words(found, self._params["accept"])

    def _swept(self) -> Proof:
        return self._sweep.run(leftovers_of(self._api, self._facts.kubevirt_namespace))

    # Accounts

    @property
    def _removed(self) -> list[str]:
        return [*self._deleted, *self._sweep.removed]

    @property
    def _has_written(self) -> bool:
        return bool(self._removed or self._repair.done or self._keep_disks.wrote or self._in_doubt)

    def _account(self) -> None:
        outcome = self._outcome
        outcome.extra["removed"], outcome.actions = self._removed, actions_of(self._done)
        outcome.changed = self._has_written
        outcome.state = "unknown"
        if not self._api.hurried:
            with contextlib.suppress(ClusterError):
                outcome.state = observe(self._api, self._facts.cluster).state

    def _failure(self, stopped: Stopped) -> str:
        lines = ["The removal of KubeVirt stopped.", *map(told, stopped.findings)]
        if stopped.words:
            lines.append(stopped.words)
        if not self._has_written:
            lines.append("Nothing was changed in the cluster.")
        else:
            lines.append(f"Deleted so far: {listed(self._removed, most=20) or 'nothing'}.")
        if self._in_doubt:
            lines.append(IN_DOUBT)
        if self._keep_disks.kept:
            lines.append(f"Disks that stay: {listed(map(_claim, self._keep_disks.kept), most=20)}.")
        backup = self._outcome.extra["backup"]
        if backup:
            lines.append(f"The backup is complete: {backup['path']}.")
        lines.append("To go on: do what is said above, then run the same again: it goes on from here.")
        return "\n".join(lines)


def _claim(kept: Kept) -> str:
    return f"{kept.vm.partition('/')[0]}/{kept.claim}"


def _in_words(steps: Sequence[Step]) -> str:
    first = steps[0]
    more = f", and {len(steps) - 1} more" if len(steps) > 1 else ""
    return f"{first.object}{more} ({first.reason})"


def _left_in_words(findings: Sequence[Finding], accept: Sequence[str]) -> str:
    """Why a run failed that came to its end; empty where nothing is left that must not be."""
    stopping = blocking(findings, accept)
    if not stopping:
        return ""
    return "\n".join(["KubeVirt was removed, and not all of it is gone.", *map(told, stopping)])
