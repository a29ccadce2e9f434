# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Carrying out the plan of one hop, step by step, with an account of what was changed."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

from ..cluster.api import Api, Json
from ..cluster.clock import Clock
from ..cluster.errors import ApiError, ClusterError, NotFound
from ..cluster.interruption import HOW_TO_GO_ON, Interrupted
from ..cluster.watch import Picture
from ..knowledge import workload_updates
from ..knowledge.findings import Finding, finding
from ..knowledge.image_tag import image_tag, tag_patch
from ..knowledge.way_back import Written, way_back
from .applying import Applying
from .diagnosis import causes
from .editing import edit_kubevirt
from .hop import HopJudge, migrations_finished, migrations_source, sources
from .observe import Facts, observe
from .outcome import Outcome, Report, actions_of, listed, phase, told
from .standing_findings import findings_about_workloads
from .stopping import Stopped, what_stopped
from .upgrade_plan import Plan, Step, diff_of
from .upgrade_wish import running_version
from .waiting import Limits, Waited, wait_for

REHEARSAL = "rehearse"
HOLD = 15.0
"""Seconds for which the hop must stay done before it counts as done."""
QUIET = 5.0
"""Seconds without a live migration after the methods were emptied, for virt-controller to have seen it."""
TAG_MOVES = ("set-image-tag", "remove-image-tag")

Params = Mapping[str, t.Any]


class Execution:
    """Carrying out a plan, step by step, and keeping account of what was changed."""

    def __init__(
        self, api: Api, facts: Facts, plan: Plan, params: Params, outcome: Outcome, clock: Clock, report: Report
    ) -> None:
        self._api = api
        self._facts = facts
        self._plan = plan
        self._params = params
        self._outcome = outcome
        self._clock = clock
        self._report = self._tell = report
        self._written: list[Step] = []
        self._in_doubt: Step | None = None
        self._unsure = False
        """Whether this step has sent a write whose answer was lost."""

    def run(self, against: Sequence[Finding]) -> None:
        """All steps, in order; what went wrong is in the outcome, in front of what spoke ``against`` it before."""
        findings = [*against]
        stopped = what_stopped(self._api, self._steps)
        if stopped:
            findings = [*stopped.findings, *findings]
            self._outcome.failure = self._failure(stopped)
            if stopped.signal:
                self._tell(f"stopped by {stopped.signal}. {HOW_TO_GO_ON} {self._account()}")
        self._outcome.changed = bool(self._written)
        if self._outcome.failure:
            self._outcome.diff, self._outcome.actions = diff_of(self._written), actions_of(self._written)
        if stopped and stopped.signal:
            self._outcome.state, self._outcome.findings = "unknown", findings
            return
        try:
            facts = observe(self._api, self._facts.cluster)
        except ClusterError:
            self._outcome.state, self._outcome.findings = "unknown", findings
        else:
            self._outcome.state, self._outcome.findings = facts.state, [*findings, *findings_about_workloads(facts)]

    def _steps(self) -> None:
        actions = [REHEARSAL, *(step.action for step in self._plan.steps)]
        self._tell = phase(self._report, actions, REHEARSAL)
        self._tell("every write once as a dry run (if this run is stopped, start it again: it goes on)")
        self._rehearse()
        for step in self._plan.steps:
            self._tell = phase(self._report, actions, step.action)
            self._tell(f"{step.object} ({step.reason})")
            self._carry_out(step)

    def _rehearse(self) -> None:
        """Every write once with dry run, so that a missing permission is found before the first change."""
        if any(step.action == "hold-workload-updates" for step in self._plan.steps):
            edit_kubevirt(self._api, self._facts, _holding, rehearse=True)
        for step in self._plan.steps:
            try:
                if step.action == "apply":
                    self._api.apply(step.path, step.body, rehearse=True)
                elif step.action in TAG_MOVES:
                    patch = tag_patch(self._kubevirt(), _tag_after(step))
                    self._api.json_patch(self._facts.kubevirt_path, patch, rehearse=True)
            except ApiError as error:
                raise Stopped(words=f"{step.object} would be rejected: {error}") from error

    def _carry_out(self, step: Step) -> None:
        how = {
            "hold-workload-updates": self._hold,
            "drain-migrations": self._drain,
            "apply": self._apply,
            "wait-operator": self._wait,
            **dict.fromkeys(TAG_MOVES, self._move_tag),
            "wait": self._wait,
            "restore-workload-updates": self._restore,
        }[step.action]
        self._unsure = False
        try:
            how(step)
        except (ClusterError, Stopped) as error:
            if (self._unsure or error.in_doubt) and step.writes and step not in self._written:
                self._written.append(step)
                self._in_doubt = step
            raise
        except Interrupted:
            if step.writes and step not in self._written:
                self._written.append(step)
                self._in_doubt = step
            raise

    def _kubevirt(self) -> Json:
        return self._api.get(self._facts.kubevirt_path)

    def _hold(self, step: Step) -> None:
        if edit_kubevirt(self._api, self._facts, _holding):
            self._written.append(step)

    def _drain(self, _step: Step) -> None:
        seconds = self._params["migration_drain_timeout"]
        try:
            with Picture(self._api, [migrations_source(self._facts)]) as picture:
                waited = wait_for(
                    picture,
                    migrations_finished,
                    Limits(deadline=seconds, stall=seconds, hold=QUIET if self._written else 0.0),
                    clock=self._clock,
                    report=self._tell,
                )
        except NotFound:  # without the kind there is no live migration
            return
        if waited.end != "done" and "workloads.migrations-in-flight" not in self._params["accept"]:
            if self._written and self._release(restore=True):  # only the hold was written so far
                self._written.clear()
            raise Stopped(
                finding(
                    "workloads.migrations-in-flight",
                    object=self._facts.kubevirt_name,
                    cause=f"Live migrations did not finish within {seconds} s, and the roll-out of virt-handler would break them.",
                    evidence=listed(waited.missing),
                    fix="Let them finish or delete them (kubectl delete vmim), then run again.",
                )
            )

    def _apply(self, step: Step) -> None:
        applying = Applying(self._api, self._clock)
        try:
            applying.apply(step.path, step.object, step.body)
        finally:
            self._unsure = applying.unsure
            if applying.changed:
                self._written.append(step)

    def _wait(self, step: Step) -> None:
        only_operator = step.action == "wait-operator"
        hold = 0.0 if only_operator else HOLD
        limits = Limits(self._params["wait_timeout"], self._params["stall_timeout"], hold)
        self._until_settled(limits, only_operator=only_operator)

    def _move_tag(self, step: Step) -> None:
        wanted = _tag_after(step)

        def move(kubevirt: Json) -> workload_updates.Patch | None:
            return tag_patch(kubevirt, wanted) if image_tag(kubevirt) != wanted else None

        if edit_kubevirt(self._api, self._facts, move):
            self._written.append(step)

    def _restore(self, step: Step) -> None:
        if self._release(restore=self._params["workload_methods_after"] == "restore"):
            self._written.append(step)
            if self._params["wait"]:
                self._until_settled(Limits(self._params["stall_timeout"], self._params["stall_timeout"]))

    def _release(self, *, restore: bool) -> bool:
        """End the hold on the workload update methods; False when another run has done so meanwhile."""

        def release(kubevirt: Json) -> workload_updates.Patch | None:
            if workload_updates.held_methods(kubevirt) is None:
                return None
            wanted = workload_updates.methods_afterwards(kubevirt, restore=restore)
            return workload_updates.releasing_patch(kubevirt, wanted)

        return edit_kubevirt(self._api, self._facts, release)

    def _until_settled(self, limits: Limits, *, only_operator: bool = False) -> None:
        judge = HopJudge(self._facts.kubevirt_metadata_name, self._plan.to_version, only_operator=only_operator)
        with Picture(self._api, sources(self._facts)) as picture:
            waited = wait_for(picture, judge, limits, clock=self._clock, report=self._tell)
        if waited.end != "done":
            raise Stopped(*self._why_not(waited, limits, causes(self._api, self._facts, picture, judge, waited)))

    def _why_not(self, waited: Waited, limits: Limits, found: list[Finding]) -> list[Finding]:
        """What a wait failed from, the cause first; behind it which clock has run out."""
        if waited.end == "failed":
            return found
        seconds = limits.that_ended(waited.end)
        first = waited.missing[0] if waited.missing else "it did not stay done"
        clock = finding(
            "upgrade.stalled" if waited.end == "stalled" else "upgrade.timeout",
            object=self._facts.kubevirt_name,
            cause=f"Nothing moved for {seconds:.0f} s; waiting for: {first}."
            if waited.end == "stalled"
            else f"Not done within {seconds:.0f} s; waiting for: {first}.",
            evidence=listed(waited.missing, most=10),
            fix=f"Look at what it waits for (kubectl get pods -n {self._facts.kubevirt_namespace}), mend it, and run again: "
            "the run goes on from here.",
        )
        return [*found, clock]

    def _failure(self, stopped: Stopped) -> str:
        lines = [f"The upgrade to {self._plan.to_version} stopped."]
        lines += [told(one) for one in stopped.findings]
        if stopped.words:
            lines.append(stopped.words)
        lines.append(self._account())
        if not self._written:
            return "\n".join(lines)
        if self._in_doubt:
            lines.append(f"The server did not say whether {self._in_doubt.object} was changed; the next run looks.")
        written = {step.action for step in self._written}
        if "hold-workload-updates" in written and "restore-workload-updates" not in written:
            lines.append(
                "The workload update methods are held empty, remembered in an annotation of the KubeVirt object; the next run "
                "that finishes puts them back."
            )
        if "restore-workload-updates" not in written:  # from then on virt-controller may move them
            lines.append("VMs and their launchers were not touched.")
        if not any(one.id == "upgrade.rbac-escalation" for one in stopped.findings):  # the same again would fail again
            lines.append(_how_to_go_on(stopped.findings))
        if not stopped.signal:  # it would ask the server
            lines.append(self._way_back())
        return "\n".join(lines)

    def _account(self) -> str:
        if not self._written:
            return "Nothing was changed."
        return f"Changed so far: {listed((step.object for step in self._written), most=20)}."

    def _way_back(self) -> str:
        moved = next((step for step in self._written if step.action in TAG_MOVES), None)
        written = Written(
            manifest=any(step.action == "apply" for step in self._written),
            tag=moved is not None,
            tag_before=(moved.before or {}).get("imageTag") if moved else None,
        )
        try:
            kubevirt = self._kubevirt()
        except ClusterError:
            kubevirt = None
        facts = self._facts
        running, to = running_version(facts), self._plan.to_version
        return way_back(kubevirt, running=running, to=to, written=written, registry=facts.registry).words


def _how_to_go_on(findings: Sequence[Finding]) -> str:
    by_itself = {"upgrade.stalled", "upgrade.timeout", "workloads.migrations-in-flight"}
    if all(one.id in by_itself for one in findings):
        return "To go on: run the same again."
    return "To go on: do what is said above, then run the same again."


def _holding(kubevirt: Json) -> workload_updates.Patch | None:
    return workload_updates.holding_patch(kubevirt) if workload_updates.methods(kubevirt) else None


def _tag_after(step: Step) -> str | None:
    return (step.after or {}).get("imageTag")
