# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What an upgrade would do, decided from the facts alone.

``findings_of_…`` say what speaks against it, ``plan_of`` which steps it takes. None reads or writes the cluster, so
check mode and a real run decide the same.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..knowledge import field_ownership, workload_updates
from ..knowledge.conditions import State, explanation, observed_version, state_of, target_version
from ..knowledge.findings import Finding, finding
from ..knowledge.image_tag import keeps_own_manifests
from ..knowledge.manifest import Manifest, declared_version, images_of_another_version, operator_variable
from ..knowledge.objects import object_name, path_of
from ..knowledge.versions import Hop, Version, hop, try_parse
from .observe import Facts
from .outcome import Action, listed
from .standing_findings import findings_about_owners, findings_about_the_object
from .upgrade_method import Method, findings_of_the_method, tag_afterwards
from .upgrade_wish import Wish, arrived, running_version

Object = Mapping[str, t.Any]


@dataclass(frozen=True)
class Step(Action):
    """One thing to do.

    An upgrade's actions are ``hold-workload-updates``, ``drain-migrations``, ``apply``, ``wait-operator``, ``set-image-tag``,
    ``remove-image-tag``, ``wait`` and ``restore-workload-updates``.

    Attributes:
        path: The API path of an object to apply, or to repair.
        body: The fields to apply.
        before: What differs now, for the diff.
        after: What will be there instead.
    """

    path: str = ""
    body: Object = field(default_factory=dict)
    before: Object | None = None
    after: Object | None = None

    @property
    def writes(self) -> bool:
        """Whether the step changes the cluster."""
        return self.action not in ("drain-migrations", "wait-operator", "wait")


@dataclass(frozen=True)
class Plan:
    """The steps in their order."""

    steps: tuple[Step, ...]
    from_version: str | None
    to_version: str

    @property
    def changed(self) -> bool:
        """Whether anything is written."""
        return any(step.writes for step in self.steps)


def diff_of(steps: Sequence[Step]) -> list[dict[str, t.Any]]:
    """One entry an object that differs in the end, as Ansible prints it."""
    ends: dict[str, tuple[Object | None, Object | None]] = {}
    for step in steps:
        if step.before != step.after:
            before, after = ends.get(step.object, (None, None))
            ends[step.object] = (_together(step.before, before), _together(after, step.after))
    return [
        {"before_header": name, "after_header": name, "before": before, "after": after}
        for name, (before, after) in ends.items()
        if before != after
    ]


def _together(first: Object | None, second: Object | None) -> Object | None:
    """Both; the second wins. None is for an object that is not there."""
    return {**(first or {}), **(second or {})} if first is not None or second is not None else None


def findings_of_the_cluster(facts: Facts, wish: Wish, method: Method) -> list[Finding]:
    """What speaks against this hop whatever the manifest says, the most fundamental first."""
    about_the_object = findings_about_the_object(facts)
    if about_the_object or facts.kubevirt is None or facts.operator is None:
        return about_the_object
    return [
        *findings_of_the_method(facts, wish, method),
        *_about_health(facts, facts.kubevirt, facts.operator, wish),
        *findings_about_owners(facts),
        *_about_the_server(facts),
    ]


def findings_of_the_manifest(facts: Facts, wish: Wish, manifest: Manifest) -> list[Finding]:
    """What speaks against applying this manifest to this cluster."""
    if facts.kubevirt is None:
        return []
    return [
        *_about_its_place(facts, wish, manifest),
        *findings_of_its_version(wish, manifest),
        *_about_its_crd(facts, wish, manifest),
        *_about_what_stays(facts, wish, manifest),
    ]


def applies_of(manifest: Manifest, live: Mapping[str, Object | None]) -> list[Step]:
    """The steps that bring the live objects, by their path, to what the manifest says."""
    steps = []
    for desired in manifest.objects:
        path = path_of(desired)
        now = live[path]
        before, after = field_ownership.changes(now, field_ownership.after_apply(now, desired))
        moved = field_ownership.moved_managers(now) if now else []
        if not moved and before == after:
            continue
        reasons = ["the manifest differs" if now else "the manifest adds it"] if before != after else []
        if moved:
            reasons.append(f"fields move from {listed(moved)} to {field_ownership.FIELD_MANAGER}")
            before = {**before, "field managers": moved}
            after = {**after, "field managers": [field_ownership.FIELD_MANAGER]}
        steps.append(
            Step("apply", object_name(desired), "; ".join(reasons), path=path, body=desired, before=before, after=after)
        )
    return steps


def _about_what_stays(facts: Facts, wish: Wish, manifest: Manifest) -> list[Finding]:
    """Variables of the operator that somebody set by hand: the apply leaves what others hold, and they win over the manifest."""
    operator = facts.operator
    if operator is None or arrived(facts, wish.version):
        return []
    predicted = field_ownership.after_apply(operator, manifest.operator)
    staying = images_of_another_version(predicted, manifest)
    if not staying:
        return []
    seen = []
    for name, value in staying.items():
        managers = field_ownership.keepers(operator, operator_variable(operator, name))
        seen.append(f"{name}={value}" + (f" (set by {listed(managers)})" if managers else ""))
    return [
        finding(
            "upgrade.environment-set-by-hand",
            object=facts.operator_name,
            cause=f"Its environment names {listed(staying)}, set by hand. The manifest of {wish.version} does not have that, so it stays, "
            "and wins over the images of the manifest: parts of KubeVirt would not be of that version.",
            evidence=listed(seen),
            fix=f"kubectl set env deployment/virt-operator -n {facts.kubevirt_namespace} {' '.join(f'{name}-' for name in staying)}",
        )
    ]


def moves_the_control_plane(facts: Facts, wish: Wish, method: Method, applies: Sequence[Step]) -> bool:
    """Whether virt-handler may be replaced: another version or registry, another operator of the same one, or another pin."""
    is_moved = facts.image_tag != tag_afterwards(facts, wish, method)
    return is_moved or not arrived(facts, wish.version) or any(step.body["kind"] == "Deployment" for step in applies)


def plan_of(facts: Facts, wish: Wish, method: Method, applies: Sequence[Step], migrations: Sequence[str]) -> Plan:
    """The steps from here to the wanted version.

    Args:
        facts: From ``observe``.
        wish: What the user asked for.
        method: From ``method_of``.
        applies: From ``applies_of`` the manifest as it will be applied; empty with the method ``image_tag``.
        migrations: The live migrations that have not finished; only read when the control plane moves.
    """
    version = running_version(facts)
    kubevirt = facts.kubevirt
    if kubevirt is None:
        return Plan((), None, str(wish.version))
    hopping = moves_the_control_plane(facts, wish, method, applies)
    holds = _holding(kubevirt) if hopping else []
    changes = _around_the_pin(facts, wish, method, applies)
    drains = [_draining(migrations)] if hopping and (holds or changes or migrations) else []
    steps = [*holds, *drains, *changes]
    if wish.wait and (hopping or applies):
        steps.append(Step("wait", facts.kubevirt_name, f"until {wish.version} is deployed and ready"))
    if wish.wait or not hopping:
        steps += _restoring(kubevirt, wish, hopping=hopping)
    return Plan(tuple(steps), str(version) if version else None, str(wish.version))


def _around_the_pin(facts: Facts, wish: Wish, method: Method, applies: Sequence[Step]) -> list[Step]:
    """The manifest, and spec.imageTag after it, once the operator that can read it works.

    An operator that runs any image with its own manifests must not see the old tag, so there it goes before.
    """
    now, afterwards = facts.image_tag, tag_afterwards(facts, wish, method)
    if method is Method.IMAGE_TAG or now is None:
        return [*applies, *_tagging(facts, now, afterwards)]
    before = None if keeps_own_manifests(wish.version) and try_parse(now) != wish.version else now
    moves = _tagging(facts, before, afterwards)
    waits = [Step("wait-operator", facts.operator_name, f"until it is at {wish.version} and leads")] if moves else []
    return [*_tagging(facts, now, before), *applies, *waits, *moves]


def _tagging(facts: Facts, now: str | None, afterwards: str | None) -> list[Step]:
    if now == afterwards:
        return []
    before, after = ({"imageTag": tag} if tag else {} for tag in (now, afterwards))
    action, reason = (
        ("set-image-tag", f"KubeVirt goes to {afterwards}")
        if afterwards
        else ("remove-image-tag", "KubeVirt follows its operator")
    )
    return [Step(action, facts.kubevirt_name, reason, before=before, after=after)]


def _about_health(facts: Facts, kubevirt: Object, operator: Object, wish: Wish) -> list[Finding]:
    state = state_of(kubevirt)
    target = try_parse(target_version(kubevirt))
    observed = try_parse(observed_version(kubevirt))
    declared = try_parse(declared_version(operator))
    follows_operator = facts.image_tag is None and _rolled_out(operator)
    under_way = target if target != observed else declared if follows_operator else None
    if under_way is not None and under_way not in (observed, wish.version):
        return [_hop_in_progress(facts, observed, under_way)]
    if state is State.HEALTHY or (state is not State.INSTALLING and wish.version in (target, declared)):
        return []  # healthy, or on its way to this very version, or at it and not ready yet
    return [
        finding(
            "kubevirt.unhealthy",
            object=facts.kubevirt_name,
            cause=f"Its state is {state.value}, and this upgrade does not cure that.",
            evidence=explanation(kubevirt),
            fix=f"Mend that first: kubectl get pods -n {facts.kubevirt_namespace}, and the conditions of the KubeVirt object.",
        )
    ]


def _hop_in_progress(facts: Facts, observed: Version | None, under_way: Version) -> Finding:
    supported = observed is None or hop(observed, under_way) in (Hop.PATCH, Hop.MINOR)
    return finding(
        "upgrade.hop-in-progress",
        object=facts.kubevirt_name,
        cause=f"It is on its way {f'from {observed} ' if observed else ''}to {under_way}; another version now would skip or mix "
        "versions.",
        evidence=explanation(facts.kubevirt),
        fix=f"Finish that hop first: run with version: {under_way}."
        if supported and observed
        else f"Wait until {under_way} is installed: kubectl get pods -n {facts.kubevirt_namespace}."
        if not observed
        else "KubeVirt does not support this step, and nobody can say what state it leaves. Ask KubeVirt's community before you go on.",
    )


def _rolled_out(operator: Object) -> bool:
    """Whether only pods of the declared version run."""
    status = operator.get("status") or {}
    replicas = status.get("replicas", 0)
    seen = status.get("observedGeneration", 0) >= operator["metadata"].get("generation", 0)
    return bool(seen and replicas > 0 and replicas == status.get("updatedReplicas") == status.get("availableReplicas"))


def findings_of_its_version(wish: Wish, manifest: Manifest) -> list[Finding]:
    """Whether the manifest is that of the wanted version."""
    declared = try_parse(manifest.version)
    if declared == wish.version:
        return []
    if declared is None:
        cause = (
            f"It declares {manifest.version or 'no version'}, and {wish.version} is wanted. virt-operator would report "
            f"{manifest.version or 'latest'}, so nobody could tell when {wish.version} is there."
        )
        fix = (
            f"Give the manifest's operator the environment variable KUBEVIRT_VERSION={wish.version}, if that is what its "
            f"images are, or give the kubevirt-operator.yaml of {wish.version}."
        )
    else:
        cause = f"It declares {declared}, and {wish.version} is wanted."
        fix = f"Give the kubevirt-operator.yaml of {wish.version}, or ask for version: {declared}."
    return [finding("manifest.version-differs", object=_manifest_name(wish, manifest), cause=cause, fix=fix)]


def _about_its_place(facts: Facts, wish: Wish, manifest: Manifest) -> list[Finding]:
    found = []
    name = _manifest_name(wish, manifest)
    if manifest.namespace != facts.kubevirt_namespace:
        found.append(
            finding(
                "manifest.namespace-differs",
                object=name,
                cause=f"It is for namespace {manifest.namespace}, and {facts.kubevirt_name} is in {facts.kubevirt_namespace}.",
                fix=f"Set manifest_namespace: {facts.kubevirt_namespace}, or give a manifest for that namespace.",
            )
        )
    unknown = None in (facts.registry, manifest.registry)
    if not unknown and manifest.registry != facts.registry and wish.image_registry is None:
        found.append(
            finding(
                "manifest.registry-differs",
                object=name,
                cause=f"Its images come from {manifest.registry}, the running operator's from {facts.registry}.",
                fix=f"Set image_registry: {facts.registry} to stay there, or image_registry: {manifest.registry} to move.",
            )
        )
    return found


def _about_its_crd(facts: Facts, wish: Wish, manifest: Manifest) -> list[Finding]:
    """Kubernetes lets no CRD go without a version in which objects may be stored."""
    if facts.crd is None:
        return []
    stored = (facts.crd.get("status") or {}).get("storedVersions") or ()
    lacking = [one for one in stored if one not in manifest.kubevirt_versions]
    if not lacking:
        return []
    storage = next((one["name"] for one in facts.crd["spec"].get("versions") or () if one.get("storage")), "")
    return [
        finding(
            "manifest.lacks-stored-version",
            object=_manifest_name(wish, manifest),
            cause=f"Its CRD kubevirts.kubevirt.io does not have {listed(lacking)}, in which KubeVirt objects may be stored. Kubernetes "
            "rejects that.",
            evidence=f"status.storedVersions of the CRD: {listed(stored)}",
            fix="Store them anew and say that nothing else is left: kubectl get kubevirts -A -o json | kubectl replace -f -; kubectl "
            "patch crd kubevirts.kubevirt.io --subresource=status --type=merge -p "
            f"'status: {{storedVersions: [{storage}]}}'"
            if storage in manifest.kubevirt_versions
            else f"Give the kubevirt-operator.yaml of {wish.version} as KubeVirt released it.",
        )
    ]


def _manifest_name(wish: Wish, manifest: Manifest) -> str:
    return f"Manifest of {manifest.version or wish.version}"


def _about_the_server(facts: Facts) -> list[Finding]:
    """Kubernetes tracks who owns a field from 1.18 on, for every object; server-side apply needs that."""
    if facts.operator is None or facts.operator["metadata"].get("managedFields"):
        return []
    return [
        finding(
            "cluster.no-server-side-apply",
            object=f"Cluster {facts.cluster.endpoint}",
            cause="Its objects have no managedFields, so it has no complete server-side apply (Kubernetes 1.18 and later have).",
            fix="Apply the operator's manifest by hand: kubectl apply -f kubevirt-operator.yaml.",
        )
    ]


def _holding(kubevirt: Object) -> list[Step]:
    methods = workload_updates.methods(kubevirt)
    if not methods:
        return []
    reason = f"no VM may be moved ({listed(methods)}) while the control plane moves"
    return [
        Step(
            "hold-workload-updates",
            object_name(kubevirt),
            reason,
            before={"workloadUpdateMethods": methods},
            after={"workloadUpdateMethods": []},
        )
    ]


def _draining(migrations: Sequence[str]) -> Step:
    """Also when none runs, because one may begin until the first write."""
    name = listed(migrations) or "live migrations, of which none runs now"
    return Step("drain-migrations", name, "they fail while virt-handler is replaced")


def _restoring(kubevirt: Object, wish: Wish, *, hopping: bool) -> list[Step]:
    now, held = workload_updates.methods(kubevirt), workload_updates.held_methods(kubevirt)
    if held is None and not (hopping and now):
        return []
    afterwards = workload_updates.methods_afterwards(kubevirt, restore=wish.restore_methods)
    return [
        Step(
            "restore-workload-updates",
            object_name(kubevirt),
            f"the hop is done; the methods are {listed(afterwards)} again"
            if afterwards
            else "the hop is done; the methods stay empty as asked",
            before={"workloadUpdateMethods": [] if hopping else now},
            after={"workloadUpdateMethods": afterwards},
        )
    ]
