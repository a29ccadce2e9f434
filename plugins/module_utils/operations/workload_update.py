# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Moving the running VMs to the launcher of the KubeVirt that runs: first one of each sort, then more."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..cluster.api import Api
from ..cluster.clock import Clock
from ..knowledge.conditions import target_version
from ..knowledge.findings import Finding, finding
from ..knowledge.gates import Gate
from ..knowledge.settling import unsettled
from ..knowledge.workload_strategy import METHODS
from . import hop, workload_findings
from .given_files import load_gates
from .guest_facts import guest_facts_of
from .lock import Lock, remove_left_lock, this_run
from .observe import CATCH_UP, Cluster, Facts, cluster_of, observe, wrong_cluster
from .options import check_options
from .outcome import InvalidOption, Outcome, Report, actions_of, listed, refusal
from .pages import workload_page
from .risk_facts import finding_of_a_gate
from .scene import Scene, Surroundings, scene_of, surroundings_of
from .standing_findings import findings_about_owners
from .stopping import Stopped, without_the_lock
from .strategy_findings import findings_about_the_choice, findings_against_any_strategy
from .upgrade_wish import running_version
from .workload_findings import rest_of
from .workload_plan import Plan, Wish, diff_of, marked_and_outdated, plan_of
from .workload_run import WorkloadRun, extra_of
from .workload_strategy import ASKED_OPTIONS, asked_of

Params = Mapping[str, t.Any]

ARGUMENT_SPEC: dict[str, t.Any] = {
    **ASKED_OPTIONS,
    "methods": {**ASKED_OPTIONS["methods"], "required": True},
    "canary_max": {"type": "int", "default": 10},
    "widen": {"type": "list", "elements": "int", "default": [5, 25]},
    "soak": {"type": "int", "default": 60},
    "failure_budget": {"type": "int", "default": 3},
    "gates": {"type": "str"},
    "accept": {"type": "list", "elements": "str", "default": []},
    "expected_cluster_uid": {"type": "str"},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 86400},
    "stall_timeout": {"type": "int", "default": 900},
    "migration_timeout": {"type": "int", "default": 900},
}

LARGEST = 1_000_000


@dataclass(frozen=True)
class Planned:
    """What was seen, and what is to be done.

    Attributes:
        wish: What is asked for, with what this cluster can.
        against: What speaks against it.
        outcome: The result, as check mode gives it.
    """

    facts: Facts
    wish: Wish
    surroundings: Surroundings
    plan: Plan
    against: list[Finding]
    outcome: Outcome

    @property
    def has_work(self) -> bool:
        """Whether there is something to do, and nothing speaks against it."""
        return bool(self.plan.steps) and not self.outcome.failure


def run(api: Api, params: Params, *, check_mode: bool, clock: Clock, report: Report) -> Outcome:
    """Move the VMs, or say what speaks against it; in the end the asked strategy is set.

    Args:
        api: The cluster.
        params: Options as ``ARGUMENT_SPEC`` describes them.
        check_mode: Stop after the plan.
        clock: Time.
        report: Takes progress lines.

    Raises:
        InvalidOption: An option's value cannot be used.
        ClusterError: The cluster cannot be read.
    """
    started = clock.now()
    gates = load_gates(params)
    check_options(params, [gate.rule.id for gate in gates])
    wish = _wish(params)
    cluster = cluster_of(api)
    wrong = wrong_cluster(cluster, params["expected_cluster_uid"])
    if wrong:
        return Outcome(cluster.as_dict(), "unknown", findings=wrong, failure=refusal(wrong, ()))
    planned = _planned(api, cluster, wish, gates, params, clock)
    if planned.has_work and not check_mode:
        planned = _locked_run(api, planned, gates, params, clock, report)
    elif not check_mode and not planned.outcome.failure:
        left = remove_left_lock(api, planned.facts.kubevirt_namespace, clock, report)
        planned.outcome.findings = [*left, *planned.outcome.findings]
    planned.outcome.elapsed = clock.now() - started
    return planned.outcome


def _locked_run(
    api: Api, before: Planned, gates: tuple[Gate, ...], params: Params, clock: Clock, report: Report
) -> Planned:
    """Carry out the plan that is made once nobody else can change what it is made from: another run may have been at work."""
    lock = Lock(api, before.facts.kubevirt_namespace, clock, report, this_run())
    try:
        with lock:
            now = _planned(api, before.facts.cluster, before.wish, gates, params, clock)
            now.outcome.findings = [*lock.findings, *now.outcome.findings]
            if now.has_work:
                run = WorkloadRun(
                    api, now.facts, now.surroundings, now.plan, now.wish, gates, params, now.outcome, clock, report
                )
                run.run([*lock.findings, *now.against])
    except Stopped as stopped:
        return replace(before, outcome=without_the_lock(before.outcome, "Moving the VMs", stopped))
    return now


def _planned(api: Api, cluster: Cluster, wish: Wish, gates: tuple[Gate, ...], params: Params, clock: Clock) -> Planned:
    """The VMs as they are now, and what would be done with them."""
    facts, missing = _at_rest(api, cluster, clock)
    outcome = _outcome(facts)
    against = _against_everything(facts, missing)
    if facts.kubevirt is None or refusal(against, params["accept"]):
        outcome.findings, outcome.failure = against, refusal(against, params["accept"])
        return Planned(facts, wish, Surroundings(""), Plan(), against, outcome)
    guests = guest_facts_of(api, facts)
    wish = replace(wish, can_migrate=guests.can_migrate)
    surroundings = surroundings_of(api, facts)
    scene = scene_of(api, facts, surroundings)
    plan = plan_of(facts, scene, wish, clock.utc())
    against = [*_about_doubles(scene), *against, *findings_about_the_choice(facts, guests, wish.asked.methods)]
    if plan.steps:
        found = (finding_of_a_gate(api, gate) for gate in gates)
        against += [*findings_about_owners(facts), *(one for one in found if one)]
    rest = rest_of(scene, wish, {}, clock.utc(), at_the_end=False)
    outcome.extra = extra_of(scene, plan, plan.after, rest, failed={}, moved=(), minutes=0.0)
    outcome.findings = [*against, *_about_the_rest(facts, scene, wish, plan, rest)]
    if plan.steps or scene.doubles:
        outcome.failure = refusal(against, params["accept"])
    if not outcome.failure:
        outcome.changed, outcome.actions = plan.changed, actions_of(plan.steps)
        outcome.diff = diff_of(facts, plan.before, plan.after)
    return Planned(facts, wish, surroundings, plan, against, outcome)


def _about_the_rest(
    facts: Facts, scene: Scene, wish: Wish, plan: Plan, rest: list[workload_findings.Left]
) -> list[Finding]:
    """What will be left, as far as that can be told before."""
    is_withheld = any(step.action == "leave-methods-empty" for step in plan.steps) or (
        not plan.steps and bool(marked_and_outdated(scene))
    )
    withheld = workload_findings.strategy_withheld(facts, scene, wish) if is_withheld else []
    return [*withheld, *workload_findings.left_behind(rest)]


def _about_doubles(scene: Scene) -> list[Finding]:
    """VMs that run twice now. The two ends of a migration that is just over are left to the run, which watches them."""
    twice = [one for one in scene.doubles if not one.may_pass]
    return [workload_findings.split_brain(twice)] if twice else []


def _against_everything(facts: Facts, missing: list[str]) -> list[Finding]:
    """What speaks against moving any VM, the most fundamental first."""
    # Methods that are held are no reason: where the control plane is at rest, whoever held them has been stopped.
    found = [one for one in findings_against_any_strategy(facts) if one.id != "workloads.methods-held"]
    if facts.kubevirt is None or found or not missing:
        return found
    return [
        finding(
            "workloads.control-plane-moves",
            object=facts.kubevirt_name,
            cause=f"Its control plane is not at rest: {missing[0]}. Migrations that race with the roll-out of virt-handler can end VMs.",
            evidence=listed(missing),
            fix="Let it finish, or mend what it waits for (kubevirt_upgrade to the version that it is at says what that is). Then run this "
            "again.",
        )
    ]


def _at_rest(api: Api, cluster: Cluster, clock: Clock) -> tuple[Facts, list[str]]:
    """The facts, and what is missing until the control plane is at rest; it gets some time for the last edit of the KubeVirt object."""
    facts = observe(api, cluster)
    missing = _unsettled(api, facts)
    for _attempt in range(CATCH_UP // 2):
        if not missing:
            break
        clock.pause(2)
        facts = observe(api, cluster)
        missing = _unsettled(api, facts)
    return facts, missing


def _unsettled(api: Api, facts: Facts) -> list[str]:
    if facts.kubevirt is None or facts.operator is None or facts.kubevirt["metadata"].get("deletionTimestamp"):
        return []
    seen: dict[str, list[t.Any]] = {}
    for source in hop.sources(facts):
        seen[source.name] = [*api.objects(source.path, label_selector=source.label_selector)]
    operands = [
        one for one in (*seen["deployments"], *seen["daemonsets"]) if one["metadata"]["name"] != "virt-operator"
    ]
    wanted = target_version(facts.kubevirt) or ""
    return unsettled(facts.kubevirt, operator=facts.operator, operands=operands, pods=seen["pods"], wanted=wanted)


def _outcome(facts: Facts) -> Outcome:
    running = running_version(facts)
    version = str(running) if running else None
    return Outcome(facts.cluster.as_dict(), facts.state, from_version=version, to_version=version, page=workload_page)


def _wish(params: Params) -> Wish:
    asked = asked_of({"state": "present", "list_vms": 0, **params})
    if asked is None or not asked.methods:
        raise InvalidOption(
            f"methods: the list is empty, so no VM could be moved. Give {' or '.join(METHODS)}, or both. Nothing was done."
        )
    for option in ("canary_max", "soak", "failure_budget"):
        if not 0 <= params[option] <= LARGEST:
            raise InvalidOption(f"{option}: {params[option]} is not a number from 0 to {LARGEST}. Nothing was done.")
    widen = tuple(params["widen"])
    if list(widen) != sorted({*widen}) or not all(1 <= percent <= 100 for percent in widen):
        raise InvalidOption(
            f"widen: {list(widen)} are not shares in percent, from 1 to 100, each larger than the one before. Nothing was done."
        )
    return Wish(asked=asked, canary_max=params["canary_max"], widen=widen, wait=params["wait"])
