# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The upgrade of KubeVirt's control plane, one hop."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping, Sequence

from ..cluster.api import Api, Json
from ..cluster.clock import Clock
from ..cluster.errors import (
    ApiError,
    ClusterError,
    Conflict,
    Forbidden,
    ManifestUnavailable,
    NotFound,
    Unreachable,
)
from ..cluster.watch import Picture
from ..knowledge import field_ownership, releases, workload_updates
from ..knowledge.conditions import reconciled_generation, target_version
from ..knowledge.findings import Finding, finding
from ..knowledge.image_tag import tag_patch
from ..knowledge.launchers import unfinished_migrations
from ..knowledge.manifest import Manifest
from ..knowledge.objects import path_of as api_path_of
from ..knowledge.paths import version_of
from ..knowledge.releases import Releases
from ..knowledge.risks import findings_of_the_hop
from ..knowledge.versions import Version, VersionError, try_parse
from .given_files import check_ids_of_both, load_gates, load_manifest, load_releases, load_risks
from .hop import HopJudge, migrations_finished, migrations_source, sources
from .markdown import upgrade_document
from .next_command import upgrade_command
from .observe import Cluster, Facts, cluster_of, observe, wrong_cluster
from .options import check_options
from .outcome import InvalidOption, Outcome, Report, listed, mistake, phase, refusal, told
from .pages import upgrade_page
from .preflight_facts import findings_about_leftovers, findings_about_pull_secrets, roles_of_the_operator
from .risk_facts import cluster_facts_of, finding_of_a_gate
from .route import Leg, legs_of, path_of
from .standing_findings import findings_about_workloads
from .upgrade_method import Method, findings_about_permissions, permissions_unread
from .upgrade_plan import (
    Plan,
    Step,
    actions_of,
    applies_of,
    diff_of,
    findings_of_its_version,
    findings_of_the_manifest,
    moves_the_control_plane,
    plan_of,
)
from .upgrade_wish import Wish, arrived, running_version
from .waiting import Limits, Waited, wait_for

REHEARSAL = "rehearse"
HOLD = 15.0
"""Seconds for which the hop must stay done before it counts as done."""
QUIET = 5.0
"""Seconds without a live migration after the methods were emptied, for virt-controller to have seen it."""
CATCH_UP = 60
"""Seconds that the operator gets to take in the last edit of the KubeVirt object before it counts as unhealthy."""
ATTEMPTS = 5
"""How often a write is made again from a fresh read when somebody else changed the object in between."""

WEBHOOK_PAUSE = 10.0
"""Seconds before the methods are put back again when virt-operator's webhook could not be asked."""

ARGUMENT_SPEC: dict[str, t.Any] = {
    "version": {"type": "str", "required": True},
    "path": {"type": "list", "elements": "str", "default": []},
    "releases": {"type": "str"},
    "risks": {"type": "str"},
    "gates": {"type": "str"},
    "method": {"type": "str", "default": "auto", "choices": ["auto", "operator", "image_tag"]},
    "pin": {"type": "str", "default": "keep", "choices": ["keep", "remove"]},
    "manifest": {"type": "str"},
    "manifest_checksum": {"type": "str"},
    "manifest_validate_certs": {"type": "bool", "default": True},
    "manifest_ca_path": {"type": "path"},
    "manifest_namespace": {"type": "str"},
    "image_registry": {"type": "str"},
    "strict_patches": {"type": "bool", "default": False},
    "workload_methods_after": {"type": "str", "default": "restore", "choices": ["restore", "leave_empty"]},
    "accept": {"type": "list", "elements": "str", "default": []},
    "expected_cluster_uid": {"type": "str"},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 3600},
    "stall_timeout": {"type": "int", "default": 900},
    "migration_drain_timeout": {"type": "int", "default": 600},
}

Params = Mapping[str, t.Any]

TAG_MOVES = ("set-image-tag", "remove-image-tag")


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
    cluster = cluster_of(api)
    wrong = wrong_cluster(cluster, params["expected_cluster_uid"])
    if wrong:
        return Outcome(cluster.as_dict(), "unknown", findings=wrong, failure=refusal(wrong, ()))
    facts = _caught_up(api, cluster, clock)
    outcome = _outcome(facts, wish)
    legs = legs_of(facts, wish)
    _judge_risks(api, facts, legs)
    this = legs[0]
    if arrived(facts, this.wish.version) or not refusal(_against(legs), params["accept"]):
        for leg in legs:
            _look_into_the_manifest(facts, leg, params, is_one_of_several=len(legs) > 1)
        _judge_permissions(api, facts, legs)
        _judge_pull_secrets(api, facts, legs)
        plan = _plan(api, facts, this)
    else:
        plan = Plan((), outcome.from_version, str(this.wish.version))
    against = this.findings
    outcome.path = path_of(facts, legs)
    outcome.findings = [*against, *findings_about_workloads(facts)]
    if plan.steps or not arrived(facts, this.wish.version):
        outcome.failure = refusal(_against(legs), params["accept"])
    outcome.extra = {"next": "" if outcome.failure else _next(params, check_mode, legs, plan)}
    if not outcome.failure:
        outcome.changed, outcome.diff, outcome.actions = plan.changed, diff_of(plan.steps), actions_of(plan.steps)
        if not check_mode and plan.steps:
            _Execution(api, facts, plan, params, outcome, clock, report).run(against)
    outcome.elapsed = clock.now() - started
    return outcome


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
    if legs[0].hop is None:
        return
    known = cluster_facts_of(api, facts)
    for leg in legs:
        if leg.hop:
            leg.findings += findings_of_the_hop(leg.wish.risks, leg.hop.from_version, leg.hop.to_version, known)
    legs[0].findings += findings_about_leftovers(api, facts)
    found = (finding_of_a_gate(api, gate) for gate in legs[0].wish.gates)
    legs[0].findings += [one for one in found if one]


def _against(legs: Sequence[Leg]) -> list[Finding]:
    return [one for leg in legs for one in leg.findings]


def _look_into_the_manifest(facts: Facts, leg: Leg, params: Params, *, is_one_of_several: bool) -> None:
    try:
        manifest = load_manifest(params, leg.wish.version, is_one_of_several=is_one_of_several)
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
        leg for leg in legs if leg.method is Method.IMAGE_TAG and leg.manifest and not arrived(facts, leg.wish.version)
    ]
    if not own:
        return
    try:
        held = roles_of_the_operator(api, facts)
    except Forbidden as error:
        own[0].findings.append(permissions_unread(facts, str(error)))
        return
    for leg in own:
        if leg.manifest:
            leg.findings += findings_about_permissions(facts, leg.wish, leg.manifest, held)


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
    by_operator = leg.method is Method.OPERATOR and leg.manifest is not None
    applies = _applies(api, facts, leg.manifest) if by_operator and leg.manifest else []
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


def _caught_up(api: Api, cluster: Cluster, clock: Clock) -> Facts:
    """The facts once the operator has taken in the last edit of the KubeVirt object; any edit makes it unready for seconds."""
    facts = observe(api, cluster)
    for _attempt in range(CATCH_UP // 2):
        if facts.kubevirt is None or facts.state != "degraded" or reconciled_generation(facts.kubevirt) is not False:
            break
        clock.pause(2)
        facts = observe(api, cluster)
    return facts


def _migrations(api: Api, facts: Facts) -> list[str]:
    return unfinished_migrations(api.list_or_empty(migrations_source(facts).path))


def _tag_after(step: Step) -> str | None:
    return (step.after or {}).get("imageTag")


class _Stopped(Exception):
    """The run cannot go on; the findings say why."""

    def __init__(self, *findings: Finding, words: str = "") -> None:
        super().__init__(words)
        self.findings = findings
        self.words = words


class _Execution:
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

    def run(self, against: Sequence[Finding]) -> None:
        """All steps, in order; what went wrong is in the outcome, in front of what spoke ``against`` it before."""
        findings = [*against]
        try:
            actions = [REHEARSAL, *(step.action for step in self._plan.steps)]
            self._tell = phase(self._report, actions, REHEARSAL)
            self._tell("every write once as a dry run (if this run is stopped, start it again: it goes on)")
            self._rehearse()
            for step in self._plan.steps:
                self._tell = phase(self._report, actions, step.action)
                self._tell(f"{step.object} ({step.reason})")
                self._carry_out(step)
        except _Stopped as stopped:
            findings = [*stopped.findings, *findings]
            self._outcome.failure = self._failure(stopped)
        except ClusterError as error:
            self._outcome.failure = self._failure(_Stopped(words=str(error)))
        except Exception as error:  # whatever it is: it must not hide what was changed
            self._outcome.failure = self._failure(_Stopped(words=mistake(error)))
        self._outcome.changed = bool(self._written)
        if self._outcome.failure:
            self._outcome.diff, self._outcome.actions = diff_of(self._written), actions_of(self._written)
        try:
            facts = observe(self._api, self._facts.cluster)
        except ClusterError:
            self._outcome.state, self._outcome.findings = "unknown", findings
        else:
            self._outcome.state, self._outcome.findings = facts.state, [*findings, *findings_about_workloads(facts)]

    def _rehearse(self) -> None:
        """Every write once with dry run, so that a missing permission is found before the first change."""
        if any(step.action == "hold-workload-updates" for step in self._plan.steps):
            self._api.json_patch(
                self._facts.kubevirt_path, workload_updates.holding_patch(self._kubevirt()), rehearse=True
            )
        for step in self._plan.steps:
            try:
                if step.action == "apply":
                    self._api.apply(step.path, step.body, rehearse=True)
                elif step.action in TAG_MOVES:
                    patch = tag_patch(self._kubevirt(), _tag_after(step))
                    self._api.json_patch(self._facts.kubevirt_path, patch, rehearse=True)
            except ApiError as error:
                raise _Stopped(words=f"{step.object} would be rejected: {error}") from error

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
        try:
            how(step)
        except ClusterError as error:
            in_doubt = isinstance(error, Unreachable) or (
                isinstance(error, ApiError) and error.status >= 500 and not error.of_webhook
            )
            if in_doubt and step.writes and step not in self._written:
                self._written.append(step)
                self._in_doubt = step
            raise

    def _kubevirt(self) -> Json:
        return self._api.get(self._facts.kubevirt_path)

    def _hold(self, step: Step) -> None:
        self._api.json_patch(self._facts.kubevirt_path, workload_updates.holding_patch(self._kubevirt()))
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
            raise _Stopped(
                finding(
                    "workloads.migrations-in-flight",
                    object=self._facts.kubevirt_name,
                    cause=f"Live migrations did not finish within {seconds} s, and the roll-out of virt-handler would break them.",
                    evidence=listed(waited.missing),
                    fix="Let them finish or delete them (kubectl delete vmim), then run again.",
                )
            )

    def _apply(self, step: Step) -> None:
        taken_over = self._take_over(step.path)
        if taken_over:
            self._written.append(step)
        self._api.apply(step.path, step.body)
        if not taken_over:
            self._written.append(step)

    def _take_over(self, path: str) -> bool:
        """Move the fields that one-shot tools left behind to our field manager; whether there were any."""
        for _attempt in range(ATTEMPTS):
            live = self._api.get_or_none(path)
            entries = field_ownership.migrated(live) if live else None
            if live is None or entries is None:
                return False
            version = live["metadata"]["resourceVersion"]
            try:
                self._api.json_patch(
                    path,
                    [
                        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
                        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
                    ],
                )
            except Conflict:
                continue
            return True
        raise _Stopped(words=f"{path} changes faster than its field managers can be moved. Find out who writes to it.")

    def _wait(self, step: Step) -> None:
        only_operator = step.action == "wait-operator"
        hold = 0.0 if only_operator else HOLD
        limits = Limits(self._params["wait_timeout"], self._params["stall_timeout"], hold)
        self._until_settled(limits, only_operator=only_operator)

    def _move_tag(self, step: Step) -> None:
        self._edit_kubevirt(lambda kubevirt: tag_patch(kubevirt, _tag_after(step)))
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

        return self._edit_kubevirt(release)

    def _edit_kubevirt(self, patch_of: Callable[[Json], list[dict[str, t.Any]] | None]) -> bool:
        """Patch the KubeVirt object as it is now, and again where somebody else was quicker; False when nothing is to be done."""
        for attempt in range(1, ATTEMPTS + 1):
            patch = patch_of(self._kubevirt())
            if patch is None:
                return False
            try:
                self._api.json_patch(self._facts.kubevirt_path, patch)
            except Conflict:
                continue
            except ApiError as error:
                # virt-operator's own; while its certificate is renewed it fails for a moment (kubevirt/kubevirt#4698, #15210)
                if not error.of_webhook or attempt == ATTEMPTS:
                    raise
                self._clock.pause(WEBHOOK_PAUSE)
                continue
            return True
        raise _Stopped(
            words=f"{self._facts.kubevirt_name} changes faster than it can be written. Find out who writes to it."
        )

    def _until_settled(self, limits: Limits, *, only_operator: bool = False) -> None:
        judge = HopJudge(self._facts.kubevirt_metadata_name, self._plan.to_version, only_operator=only_operator)
        with Picture(self._api, sources(self._facts)) as picture:
            waited = wait_for(picture, judge, limits, clock=self._clock, report=self._tell)
        if waited.end != "done":
            raise _Stopped(self._why_not(waited, limits))

    def _why_not(self, waited: Waited, limits: Limits) -> Finding:
        if waited.failure is not None:
            return waited.failure
        seconds = limits.stall if waited.end == "stalled" else limits.deadline
        first = waited.missing[0] if waited.missing else "it did not stay done"
        return finding(
            "upgrade.stalled" if waited.end == "stalled" else "upgrade.timeout",
            object=self._facts.kubevirt_name,
            cause=f"Nothing moved for {seconds:.0f} s; waiting for: {first}."
            if waited.end == "stalled"
            else f"Not done within {seconds:.0f} s; waiting for: {first}.",
            evidence=listed(waited.missing, most=10),
            fix=f"Look at what it waits for (kubectl get pods -n {self._facts.kubevirt_namespace}), mend it, and run again: "
            "the run goes on from here.",
        )

    def _failure(self, stopped: _Stopped) -> str:
        lines = [f"The upgrade to {self._plan.to_version} stopped."]
        lines += [told(one) for one in stopped.findings]
        if stopped.words:
            lines.append(stopped.words)
        if not self._written:
            return "\n".join([*lines, "Nothing was changed."])
        lines.append(f"Changed so far: {listed((step.object for step in self._written), most=20)}.")
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
            lines.append("To go on: run the same again.")
        if written & {"apply", *TAG_MOVES}:
            lines.append(self._way_back(written))
        return "\n".join(lines)

    def _way_back(self, written: set[str]) -> str:
        """How to put the previous operator back, as long as the new one has not begun to move its operands."""
        running = running_version(self._facts)
        try:
            target = try_parse(target_version(self._kubevirt()))
        except ClusterError:
            target = None
        begun = target != running or not written.isdisjoint(TAG_MOVES)
        if running is None or begun or str(running) == self._plan.to_version:
            return f"The operator may have begun to move KubeVirt to {self._plan.to_version}; there is no supported way back."
        again = f"run the same with version: {running} and its manifest"
        if (self._facts.registry, self._facts.kubevirt_namespace) != (releases.REGISTRY, releases.NAMESPACE):
            # KubeVirt's own manifest would move it to another registry or namespace.
            return f"To go back (KubeVirt itself is still at {running}): {again}."
        return (
            f"To go back (KubeVirt itself is still at {running}), apply the previous manifest, this or your own copy:\n"
            f"  kubectl apply --server-side --force-conflicts --field-manager={field_ownership.FIELD_MANAGER} "
            f"-f {releases.manifest_url(running)}\nor {again}."
        )
