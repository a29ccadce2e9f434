# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. How KubeVirt moves VMs to new launchers by itself: the strategy, and what it means for each VM."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from datetime import timedelta

from ..cluster.api import Api, Json
from ..cluster.clock import Clock
from ..cluster.errors import ClusterError
from ..knowledge import go_durations
from ..knowledge.workload_strategy import (
    METHODS,
    Asked,
    in_words,
    methods_of,
    strategy_of,
    strategy_patch,
    wanted_strategy,
)
from ..knowledge.workload_updates import held_methods
from .editing import edit_kubevirt
from .guest_facts import GuestFacts, guest_facts_of
from .guest_report import report_of
from .observe import Facts, cluster_of, observe, observe_caught_up, wrong_cluster
from .options import check_options
from .outcome import InvalidOption, Outcome, Report, actions_of, phase, refusal
from .pages import strategy_page
from .strategy_findings import findings_about_the_choice, findings_against_a_change, findings_against_any_strategy
from .upgrade_plan import Step, diff_of
from .upgrade_wish import running_version

Params = Mapping[str, t.Any]
Strategy = Mapping[str, t.Any]

LARGEST = 2**31 - 1
REHEARSAL = "rehearse"

ASKED_OPTIONS: dict[str, t.Any] = {
    "methods": {
        "type": "list",
        "elements": "str",
        "choices": [*METHODS],
        "aliases": ["workloadUpdateMethods", "workload_update_methods"],
    },
    "batch_eviction_size": {"type": "int", "aliases": ["batchEvictionSize", "batchEvictSize", "batch_evict_size"]},
    "batch_eviction_interval": {
        "type": "str",
        "aliases": ["batchEvictionInterval", "batchEvictInterval", "batch_evict_interval"],
    },
}
"""The options of a strategy, under the user guide's spelling too."""

ARGUMENT_SPEC: dict[str, t.Any] = {
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    **ASKED_OPTIONS,
    "name": {"type": "str"},
    "namespace": {"type": "str"},
    "accept": {"type": "list", "elements": "str", "default": []},
    "expected_cluster_uid": {"type": "str"},
    "list_vms": {"type": "int", "default": 100},
    "wait": {"type": "bool", "default": True},
}


def run(api: Api, params: Params, *, check_mode: bool, clock: Clock, report: Report) -> Outcome:
    """Make the strategy what is asked for, or say what speaks against it; and what it means for each VM.

    Args:
        api: The cluster.
        params: Options as ``ARGUMENT_SPEC`` describes them.
        check_mode: Stop before the write.
        clock: Time.
        report: Takes progress lines.

    Raises:
        InvalidOption: An option's value cannot be used.
        ClusterError: The cluster cannot be read.
    """
    started = clock.now()
    check_options(params)
    asked = asked_of(params)
    cluster = cluster_of(api)
    wrong = wrong_cluster(cluster, params["expected_cluster_uid"])
    if wrong:
        return Outcome(cluster.as_dict(), "unknown", findings=wrong, failure=refusal(wrong, ()))
    facts = observe(api, cluster, **_chosen(params))
    vms = guest_facts_of(api, facts) if facts.kubevirt else GuestFacts()
    now = strategy_of(facts.kubevirt or {})
    wanted = _wanted(now, asked)
    steps = _steps(facts, now, wanted, wait=params["wait"])
    against = findings_against_any_strategy(facts)
    methods = methods_of(wanted)
    outcome = _outcome(facts, now, wanted, report_of(vms, methods, params["list_vms"]))
    outcome.findings = [
        *against,
        *(findings_against_a_change(facts, methods) if steps else ()),
        *findings_about_the_choice(facts, vms, methods),
    ]
    outcome.failure = refusal(outcome.findings if steps else against, params["accept"])
    if steps and not outcome.failure:
        outcome.changed, outcome.diff, outcome.actions = True, diff_of(steps), actions_of(steps)
        if not check_mode:
            _carry_out(api, facts, asked, steps, params, outcome, clock, report)
    outcome.elapsed = clock.now() - started
    return outcome


def asked_of(params: Params) -> Asked | None:
    """What is wanted; None when the strategy is to be removed."""
    size, interval = params["batch_eviction_size"], params["batch_eviction_interval"] or None
    for option, value, least in (("batch_eviction_size", size, 1), ("list_vms", params["list_vms"], 0)):
        if value is not None and not least <= value <= LARGEST:
            raise InvalidOption(f"{option}: {value} is not a number from {least} to {LARGEST}. Nothing was done.")
    if params["state"] == "absent":
        parts = {"methods": params["methods"], "batch_eviction_size": size, "batch_eviction_interval": interval}
        for option, value in parts.items():
            if value not in (None, []):
                raise InvalidOption(
                    f"{option}: state: absent removes the whole strategy, so leave {option} out; or ask for state: present. "
                    "Nothing was done."
                )
        return None
    if params["methods"] is None:
        raise InvalidOption(
            f"methods: it is missing. Give a list of {' and '.join(METHODS)}, or an empty one for no method. Nothing was done."
        )
    return Asked(tuple(dict.fromkeys(params["methods"])), size, _duration(interval) if interval else None)


def _duration(text: str) -> timedelta:
    try:
        duration = go_durations.parse(text)
    except ValueError as error:
        raise InvalidOption(f"batch_eviction_interval: {error} Nothing was done.") from error
    if not duration:
        raise InvalidOption(
            f"batch_eviction_interval: {text!r} is no time between batches; write it as 1m, or leave it out. Nothing was done."
        )
    return duration


def _wanted(now: Strategy | None, asked: Asked | None) -> Strategy | None:
    return wanted_strategy(now, asked) if asked else None


def _steps(facts: Facts, now: Strategy | None, wanted: Strategy | None, *, wait: bool) -> list[Step]:
    if now == wanted or facts.kubevirt is None:
        return []
    step = Step(
        "set-strategy" if wanted else "remove-strategy",
        facts.kubevirt_name,
        f"{in_words(now)} becomes {in_words(wanted)}",
        before={"workloadUpdateStrategy": dict(now)} if now else {},
        after={"workloadUpdateStrategy": dict(wanted)} if wanted else {},
    )
    return [step, Step("wait", facts.kubevirt_name, "until the operator has taken that in")] if wait else [step]


def _outcome(facts: Facts, now: Strategy | None, wanted: Strategy | None, vms: dict[str, t.Any]) -> Outcome:
    running = running_version(facts)
    version = str(running) if running else None
    return Outcome(
        facts.cluster.as_dict(),
        facts.state,
        from_version=version,
        to_version=version,
        page=strategy_page,
        extra={"strategy_before": dict(now or {}), "strategy": dict(wanted or {}), "vms": vms},
    )


def _carry_out(
    api: Api,
    facts: Facts,
    asked: Asked | None,
    steps: list[Step],
    params: Params,
    outcome: Outcome,
    clock: Clock,
    report: Report,
) -> None:
    """The dry run, the write, and the wait; what went wrong is in the outcome."""

    def patch_of(kubevirt: Json) -> list[dict[str, t.Any]] | None:
        if held_methods(kubevirt) is not None:
            raise ClusterError("Another run began meanwhile and holds the methods. When it is done, run this again.")
        now = strategy_of(kubevirt)
        wanted = _wanted(now, asked)
        return None if now == wanted else strategy_patch(kubevirt, wanted)

    actions = [REHEARSAL, *(step.action for step in steps)]
    is_in_question = False
    try:
        phase(report, actions, REHEARSAL)("the write once as a dry run")
        edit_kubevirt(api, facts, patch_of, rehearse=True)
        phase(report, actions, steps[0].action)(f"{steps[0].object} ({steps[0].reason})")
        is_in_question = True
        outcome.changed = edit_kubevirt(api, facts, patch_of)
    except ClusterError as error:
        outcome.changed = is_in_question and error.in_doubt
        outcome.failure = _failure(error, in_doubt=outcome.changed)
    if not outcome.changed:  # or somebody else did the same meanwhile
        outcome.diff, outcome.actions = [], []
    try:
        if outcome.changed and params["wait"] and not outcome.failure:
            phase(report, actions, steps[-1].action)(f"{steps[-1].object} ({steps[-1].reason})")
            outcome.state = observe_caught_up(api, facts.cluster, clock, after_edit=True, **_chosen(params)).state
        else:
            outcome.state = observe(api, facts.cluster, **_chosen(params)).state
    except ClusterError:
        outcome.state = "unknown"


def _chosen(params: Params) -> dict[str, str | None]:
    return {"name": params["name"] or None, "namespace": params["namespace"] or None}


def _failure(error: ClusterError, *, in_doubt: bool) -> str:
    lines = [f"The workload update strategy could not be written. {error}"]
    if in_doubt:
        lines.append("The server did not say whether it was changed; run the same again, which looks.")
    else:
        lines.append("Nothing was changed.")
    return "\n".join(lines)
