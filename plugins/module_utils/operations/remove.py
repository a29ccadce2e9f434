# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Removing KubeVirt: everything of it gone, and nothing of its users lost by accident."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..cluster.api import Api
from ..cluster.clock import Clock
from ..cluster.errors import ClusterError
from ..knowledge import confirmation
from ..knowledge.finalizers import CONTROLLER
from ..knowledge.findings import Finding
from ..knowledge.stuck import allowed, blockage_findings, cures
from . import removal_findings
from .backup import check_backup_dir
from .belongings import belongings_of
from .blockage import scene_of_removal
from .disks import findings_about_disks
from .given_files import MANIFEST_OPTIONS
from .lock import Lock, remove_left_lock, this_run
from .observe import Cluster, Facts, cluster_of, wrong_cluster
from .options import check_options
from .outcome import InvalidOption, Outcome, Report, actions_of, refusal
from .pages import removal_page
from .removal_facts import facts_of_the_rest
from .removal_inventory import inventory_of
from .removal_plan import Seen, Wish, diff_of, plan_of, takes_vms_first, writes
from .removal_run import RemovalRun
from .stopping import Stopped, without_the_lock
from .sweep import Proof, foreign_objects, leftovers_of, sweep_findings
from .upgrade_plan import Step
from .upgrade_wish import running_version

ARGUMENT_SPEC: dict[str, t.Any] = {
    "confirm": {"type": "str"},
    "disks": {"type": "str", "default": "keep", "choices": ["keep", "remove"]},
    "backup": {"type": "bool", "default": True},
    "backup_dir": {"type": "path"},
    "repair": {"type": "str", "default": "safe", "choices": ["report", "safe", "finalizers"]},
    "remove_namespace": {"type": "bool", "default": False},
    "clean_nodes": {"type": "bool", "default": True},
    **{option: spec for option, spec in MANIFEST_OPTIONS.items() if option != "manifest_namespace"},
    "name": {"type": "str"},
    "namespace": {"type": "str"},
    "accept": {"type": "list", "elements": "str", "default": []},
    "expected_cluster_uid": {"type": "str"},
    "wait_timeout": {"type": "int", "default": 3600},
    "stall_timeout": {"type": "int", "default": 900},
    "vm_stop_timeout": {"type": "int", "default": 300},
}

LOCK_ELSEWHERE = "kube-system"
"""Where the Lease is when KubeVirt's namespace is gone, or takes nothing new any more because it is being deleted."""

Params = Mapping[str, t.Any]


@dataclass(frozen=True)
class Planned:
    """What was seen, and what is to be done.

    Attributes:
        against: What speaks against it, or is to be known.
        outcome: The result, as check mode gives it.
    """

    seen: Seen
    steps: tuple[Step, ...]
    against: list[Finding]
    outcome: Outcome

    @property
    def has_work(self) -> bool:
        """Whether there is something to do, and nothing forbids it."""
        return bool(self.steps) and not self.outcome.failure


def run(api: Api, params: Params, *, check_mode: bool, clock: Clock, report: Report) -> Outcome:
    """Remove KubeVirt, or say what speaks against it.

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
    check_options(params)
    _check_confirm(params["confirm"])
    if params["backup"]:
        check_backup_dir(params["backup_dir"])
    cluster = cluster_of(api)
    wrong = wrong_cluster(cluster, params["expected_cluster_uid"])
    if wrong:
        return Outcome(cluster.as_dict(), "unknown", findings=wrong, failure=refusal(wrong, ()))
    planned = _planned(api, cluster, params)
    if planned.has_work and not check_mode:
        planned = _locked_run(api, planned, params, clock, report)
    elif not check_mode and not planned.outcome.failure:
        for namespace in (planned.seen.facts.kubevirt_namespace, LOCK_ELSEWHERE):
            left = remove_left_lock(api, namespace, clock, report)
            planned.outcome.findings = [*left, *planned.outcome.findings]
    planned.outcome.elapsed = clock.now() - started
    return planned.outcome


def _locked_run(api: Api, before: Planned, params: Params, clock: Clock, report: Report) -> Planned:
    """Carry out the plan that is made once nobody else can change what it is made from: another run may have been at work."""
    lock = Lock(api, _home_of_the_lock(before.seen.facts), clock, report, this_run())
    try:
        with lock:
            now = _planned(api, before.seen.facts.cluster, params)
            now.outcome.findings = [*lock.findings, *now.outcome.findings]
            if now.has_work:
                run = RemovalRun(api, now.seen, now.steps, _wish(params), params, now.outcome, clock, report)
                run.run([*lock.findings, *now.against])
    except Stopped as stopped:
        return replace(before, outcome=without_the_lock(before.outcome, "The removal of KubeVirt", stopped))
    return now


def _planned(api: Api, cluster: Cluster, params: Params) -> Planned:
    """The cluster as it is now, and what would be done to it."""
    wish = _wish(params)
    facts = facts_of_the_rest(api, cluster, params["namespace"] or "")
    belongings = belongings_of(api, facts)
    scene = scene_of_removal(api, facts, api.utc())
    has_vms = bool(belongings.vms or belongings.standalone_vmis)
    is_without_controller = wish.keep_disks and has_vms and scene.is_lost(CONTROLLER)
    seen = Seen(
        facts,
        belongings,
        leftovers_of(api, facts.kubevirt_namespace),
        tuple(allowed(cures(scene), params["repair"])),
        tuple(_foreign(api, facts, wish) if wish.remove_namespace else ()),
        nobody_stops_vms=is_without_controller and params["repair"] == "finalizers",
    )
    steps = plan_of(seen, wish)
    against = [
        *removal_findings.findings_about_the_removal(facts, params["name"] or "", params["namespace"] or ""),
        *removal_findings.blocked_by_strategy(facts, belongings, keep_disks=wish.keep_disks),
        *removal_findings.vms_first(facts, belongings, keep_disks=wish.keep_disks),
        *removal_findings.against_the_loss(facts, belongings, params["confirm"] or ""),
        *blockage_findings(scene, params["repair"], takes_vms_first=takes_vms_first(seen, wish)),
        *(
            [removal_findings.nobody_stops_vms(facts, belongings)]
            if is_without_controller and not seen.nobody_stops_vms
            else ()
        ),
        *(findings_about_disks(api, facts) if wish.keep_disks and has_vms else ()),
        *removal_findings.add_ons(facts),
        *sweep_findings(Proof(foreign=[*seen.foreign]), facts.kubevirt_namespace),
    ]
    outcome = _outcome(seen, wish, against if steps else [])
    if steps:
        outcome.failure = refusal(against, params["accept"])
    if not outcome.failure:
        outcome.changed, outcome.actions, outcome.diff = writes(steps), actions_of(steps), diff_of(steps)
    return Planned(seen, steps, against, outcome)


def _outcome(seen: Seen, wish: Wish, findings: Sequence[Finding]) -> Outcome:
    facts, held = seen.facts, seen.belongings
    running = running_version(facts)
    return Outcome(
        facts.cluster.as_dict(),
        facts.state,
        from_version=str(running) if running else None,
        findings=findings,
        page=removal_page,
        extra={
            "inventory": inventory_of(seen, wish),
            "confirm": confirmation.phrase(facts.cluster.uid, held.counted) if held.at_stake else "",
            "backup": {},
            "kept": [],
            "removed": [],
            "left": [],
            "stays": [],
        },
    )


def _home_of_the_lock(facts: Facts) -> str:
    namespace = facts.namespace
    is_usable = namespace is not None and not namespace["metadata"].get("deletionTimestamp")
    return facts.kubevirt_namespace if is_usable else LOCK_ELSEWHERE


def _foreign(api: Api, facts: Facts, wish: Wish) -> list[str]:
    """What keeps the namespace; at the end it is asked again, and then nothing is deleted unless all could be read."""
    try:
        return foreign_objects(api, facts.kubevirt_namespace, disks_go=not wish.keep_disks)
    except ClusterError:
        return []


def _wish(params: Params) -> Wish:
    return Wish(
        keep_disks=params["disks"] == "keep",
        backup_dir=(params["backup_dir"] or "") if params["backup"] else "",
        clean_nodes=params["clean_nodes"],
        remove_namespace=params["remove_namespace"],
    )


def _check_confirm(phrase: str | None) -> None:
    if phrase:
        try:
            confirmation.check_phrase(phrase)
        except ValueError as error:
            raise InvalidOption(f"confirm: {error} Nothing was done.") from error
