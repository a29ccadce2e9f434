# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The upgrade of KubeVirt's control plane, one hop."""

from __future__ import annotations

import functools
import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..cluster.api import Api
from ..cluster.clock import Clock
from ..cluster.errors import Forbidden, ManifestUnavailable
from ..knowledge.findings import Finding
from ..knowledge.manifest import Manifest
from ..knowledge.migrations import unfinished_migrations
from ..knowledge.objects import path_of as api_path_of
from ..knowledge.paths import version_of
from ..knowledge.releases import Releases
from ..knowledge.risks import findings_of_the_hop
from ..knowledge.versions import Version, VersionError
from .aftermath import NOTHING, failing_finding
from .bundle import check_bundle_dir, leave_account
from .execution import Execution
from .given_files import MANIFEST_OPTIONS, check_ids_of_both, load_gates, load_manifest, load_releases, load_risks
from .hop import migrations_source
from .lock import Lock, remove_left_lock, this_run
from .markdown import upgrade_document
from .next_command import upgrade_command
from .observe import Cluster, Facts, cluster_of, observe_caught_up, wrong_cluster
from .options import check_options
from .outcome import InvalidOption, Outcome, Report, actions_of, refusal
from .pages import upgrade_page
from .preflight_facts import findings_about_leftovers, findings_about_pull_secrets, roles_of_the_operator
from .risk_facts import cluster_facts_of, finding_of_a_gate
from .route import Leg, legs_of, path_of
from .standing_findings import findings_about_workloads
from .stopping import Stopped, without_the_lock
from .upgrade_method import Method, findings_about_permissions, permissions_unread
from .upgrade_plan import (
    Plan,
    Step,
    applies_of,
    diff_of,
    findings_of_its_version,
    findings_of_the_manifest,
    moves_the_control_plane,
    plan_of,
)
from .upgrade_wish import Wish, arrived, running_version

ARGUMENT_SPEC: dict[str, t.Any] = {
    "version": {"type": "str", "required": True},
    "path": {"type": "list", "elements": "str", "default": []},
    "releases": {"type": "str"},
    "risks": {"type": "str"},
    "gates": {"type": "str"},
    "method": {"type": "str", "default": "auto", "choices": ["auto", "operator", "image_tag"]},
    "pin": {"type": "str", "default": "keep", "choices": ["keep", "remove"]},
    **MANIFEST_OPTIONS,
    "strict_patches": {"type": "bool", "default": False},
    "workload_methods_after": {"type": "str", "default": "restore", "choices": ["restore", "leave_empty"]},
    "accept": {"type": "list", "elements": "str", "default": []},
    "expected_cluster_uid": {"type": "str"},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 3600},
    "stall_timeout": {"type": "int", "default": 900},
    "migration_drain_timeout": {"type": "int", "default": 600},
    "bundle_dir": {"type": "path"},
}

Params = Mapping[str, t.Any]
Load = Callable[..., Manifest]
"""``load_manifest`` for the given options; each manifest is read once."""


@dataclass(frozen=True)
class Planned:
    """One look at the cluster, and what follows from it.

    Attributes:
        against: What was found against the upgrade, accepted or not.
        outcome: What a run returns that stops here; with a failure where the upgrade is refused.
        has_stopped: Whether it was begun and did not come to its end.
    """

    facts: Facts
    plan: Plan
    against: list[Finding]
    outcome: Outcome
    has_stopped: bool = False

    @property
    def has_work(self) -> bool:
        """Whether there is something to do, and nothing forbids it."""
        return bool(self.plan.steps) and not self.outcome.failure


def run(api: Api, params: Params, *, check_mode: bool, clock: Clock, report: Report) -> Outcome:
    """Bring KubeVirt's control plane to the wanted version, or say what speaks against it.

    Args:
        api: The cluster.
        params: Options as ``ARGUMENT_SPEC`` describes them.
        check_mode: Stop after the plan.
        clock: Time.
        report: Takes progress lines.

    Raises:
        InvalidOption: An option's value cannot be used.
        ClusterError: The cluster or the manifest cannot be read.
    """
    started = clock.now()
    wish = _wish(params)
    check_ids_of_both(wish.risks, wish.gates)
    check_options(params, [*(risk.rule.id for risk in wish.risks), *(gate.rule.id for gate in wish.gates)])
    check_bundle_dir(params["bundle_dir"])
    cluster = cluster_of(api)
    wrong = wrong_cluster(cluster, params["expected_cluster_uid"])
    if wrong:
        refused = refusal(wrong, ())
        extra = {"next": "", **NOTHING, "failure": failing_finding(refused, wrong, ())}
        return Outcome(cluster.as_dict(), "unknown", findings=wrong, failure=refused, extra=extra)
    load = functools.cache(functools.partial(load_manifest, params))
    planned = _planned(api, cluster, wish, params, load, check_mode=check_mode, clock=clock)
    if planned.has_work and not check_mode:
        planned = _locked_run(api, planned, wish, params, load, clock, report)
    elif not check_mode and not planned.outcome.failure:
        left = remove_left_lock(api, planned.facts.kubevirt_namespace, clock, report)
        planned.outcome.findings = [*left, *planned.outcome.findings]
    outcome = planned.outcome
    outcome.elapsed = clock.now() - started
    outcome.extra["failure"] = failing_finding(outcome.failure, outcome.findings, params["accept"])
    if planned.has_stopped and not api.hurried:  # after a signal there is no time for it
        leave_account(api, planned.facts, params, outcome, wanted=planned.plan.to_version, clock=clock, report=report)
    return outcome


def _planned(
    api: Api, cluster: Cluster, wish: Wish, params: Params, load: Load, *, check_mode: bool, clock: Clock
) -> Planned:
    """The cluster as it is now, and what an upgrade would do to it."""
    facts = observe_caught_up(api, cluster, clock)
    outcome = _outcome(facts, wish)
    legs = legs_of(facts, wish)
    _judge_risks(api, facts, legs)
    this = legs[0]
    if arrived(facts, this.wish.version) or not refusal(_against(legs), params["accept"]):
        for leg in legs:
            _look_into_the_manifest(facts, leg, load, is_one_of_several=len(legs) > 1)
        _judge_permissions(api, facts, legs)
        _judge_pull_secrets(api, facts, legs)
        plan = _plan(api, facts, this)
    else:
        plan = Plan((), outcome.from_version, str(this.wish.version))
    outcome.path = path_of(facts, legs)
    outcome.findings = [*this.findings, *findings_about_workloads(facts)]
    if plan.steps or not arrived(facts, this.wish.version):
        outcome.failure = refusal(_against(legs), params["accept"])
    outcome.extra = {"next": "" if outcome.failure else _next(params, check_mode, legs, plan), **NOTHING}
    if not outcome.failure:
        outcome.changed, outcome.diff, outcome.actions = plan.changed, diff_of(plan.steps), actions_of(plan.steps)
    # Nobody reads the CRD after the plan, and it is most of what a run would keep in memory while it waits.
    return Planned(replace(facts, crd=None), plan, this.findings, outcome)


def _locked_run(
    api: Api, before: Planned, wish: Wish, params: Params, load: Load, clock: Clock, report: Report
) -> Planned:
    """Carry out the plan that is made once nobody else can change what it is made from: another run may have been at work."""
    lock = Lock(api, before.facts.kubevirt_namespace, clock, report, this_run())
    try:
        with lock:
            now = _planned(api, before.facts.cluster, wish, params, load, check_mode=False, clock=clock)
            now.outcome.findings = [*lock.findings, *now.outcome.findings]
            if not now.has_work:
                return now
            execution = Execution(api, now.facts, now.plan, params, now.outcome, clock, report)
            execution.run([*lock.findings, *now.against])
    except Stopped as stopped:
        outcome = without_the_lock(before.outcome, f"The upgrade to {before.outcome.to_version}", stopped)
        outcome.extra = {"next": "", **NOTHING}
        return replace(before, outcome=outcome)
    return replace(now, has_stopped=bool(now.outcome.failure))


def _next(params: Params, check_mode: bool, legs: Sequence[Leg], plan: Plan) -> str:
    """The command that goes on from here, where something is left to do."""
    is_left = bool(plan.steps) if check_mode else len(legs) > 1
    return upgrade_command(params, ARGUMENT_SPEC) if is_left else ""


def _outcome(facts: Facts, wish: Wish) -> Outcome:
    running = running_version(facts)
    return Outcome(
        facts.cluster.as_dict(),
        facts.state,
        from_version=str(running) if running else None,
        to_version=str(wish.version),
        page=upgrade_page,
        document=upgrade_document,
    )


def _judge_risks(api: Api, facts: Facts, legs: Sequence[Leg]) -> None:
    """What is known to go wrong on each hop, in this cluster; before the first, leftovers and the user's own gates too."""
    hops = [(leg, leg.hop) for leg in legs if leg.hop]
    if not hops:
        return
    known = cluster_facts_of(api, facts)
    for leg, hop in hops:
        leg.findings += findings_of_the_hop(leg.wish.risks, hop.from_version, hop.to_version, known)
    legs[0].findings += findings_about_leftovers(api, facts)
    found = (finding_of_a_gate(api, gate) for gate in legs[0].wish.gates)
    legs[0].findings += [one for one in found if one]


def _against(legs: Sequence[Leg]) -> list[Finding]:
    return [one for leg in legs for one in leg.findings]


def _look_into_the_manifest(facts: Facts, leg: Leg, load: Load, *, is_one_of_several: bool) -> None:
    try:
        manifest = load(leg.wish.version, is_one_of_several=is_one_of_several)
    except ManifestUnavailable as error:
        raise ManifestUnavailable(f"{error}{_perhaps_a_slip(leg)}") from error
    leg.manifest = manifest
    if leg.method is Method.OPERATOR:
        leg.findings += findings_of_the_manifest(facts, leg.wish, manifest)
    else:
        leg.findings += findings_of_its_version(leg.wish, manifest)


def _judge_permissions(api: Api, facts: Facts, legs: Sequence[Leg]) -> None:
    """Whether the operator that runs can make the hops that are its own to make."""
    own = [
        (leg, leg.manifest)
        for leg in legs
        if leg.method is Method.IMAGE_TAG and leg.manifest and not arrived(facts, leg.wish.version)
    ]
    if not own:
        return
    try:
        held = roles_of_the_operator(api, facts)
    except Forbidden as error:
        own[0][0].findings.append(permissions_unread(facts, str(error)))
        return
    for leg, manifest in own:
        leg.findings += findings_about_permissions(facts, leg.wish, manifest, held)


def _judge_pull_secrets(api: Api, facts: Facts, legs: Sequence[Leg]) -> None:
    """Told once, at the first hop, whichever hop's manifest names them."""
    if legs[0].hop is not None:
        manifests = [leg.manifest for leg in legs if leg.manifest and leg.method is Method.OPERATOR]
        legs[0].findings += findings_about_pull_secrets(api, facts, manifests)


def _perhaps_a_slip(leg: Leg) -> str:
    """What to say besides where there is no manifest of a release that nobody has named."""
    if leg.hop is None or leg.hop.listed:
        return ""
    version = str(leg.wish.version)
    nearest = leg.wish.releases.nearest(version, after=leg.hop.from_version)
    return f" {version} is not among the known releases{f'; did you mean {nearest}?' if nearest else '.'}"


def _plan(api: Api, facts: Facts, leg: Leg) -> Plan:
    applies = _applies(api, facts, leg.manifest) if leg.manifest and leg.method is Method.OPERATOR else []
    migrations = _migrations(api, facts) if moves_the_control_plane(facts, leg.wish, leg.method, applies) else []
    return plan_of(facts, leg.wish, leg.method, applies, migrations)


def _applies(api: Api, facts: Facts, manifest: Manifest) -> list[Step]:
    known = {api_path_of(one): one for one in (facts.operator, facts.namespace, facts.crd) if one}
    live = {path: known.get(path) or api.get_or_none(path) for path in map(api_path_of, manifest.objects)}
    return applies_of(manifest, live)


def _wish(params: Params) -> Wish:
    releases = load_releases(params)
    path = [_version("path", text, releases) for text in params["path"]]
    version = _version("version", params["version"], releases)
    if path and path[-1] != version:
        raise InvalidOption(f"path: it ends at {path[-1]}, and version is {version}. Let both be the same.")
    return Wish(
        version=version,
        path=tuple(path),
        releases=releases,
        risks=load_risks(params),
        gates=load_gates(params),
        method=params["method"],
        keep_pin=params["pin"] == "keep",
        strict_patches=params["strict_patches"],
        image_registry=params["image_registry"] or None,
        restore_methods=params["workload_methods_after"] == "restore",
        wait=params["wait"],
    )


def _version(option: str, text: str, known: Releases) -> Version:
    try:
        return version_of(text, known, after=Version(0, 17, 0))
    except VersionError as error:
        raise InvalidOption(f"{option}: {error} Nothing was done.") from error


def _migrations(api: Api, facts: Facts) -> list[str]:
    return unfinished_migrations(api.list_or_empty(migrations_source(facts).path))
