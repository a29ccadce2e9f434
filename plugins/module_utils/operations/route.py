# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The hops from here to the wanted version, and what the releases say against each."""

from __future__ import annotations

import typing as t
from collections.abc import Sequence
from dataclasses import dataclass

from ..knowledge.findings import Finding, finding
from ..knowledge.kubernetes_versions import KubernetesVersion, KubernetesVersionError
from ..knowledge.manifest import Manifest
from ..knowledge.paths import PathError, PathHop, PathRefused, path_along, path_between
from ..knowledge.versions import Hop
from .observe import Facts
from .outcome import InvalidOption
from .standing_findings import findings_about_the_object
from .upgrade_method import Method, check_options_of_image_tag, findings_of_the_method, method_of
from .upgrade_plan import findings_of_the_cluster
from .upgrade_wish import Wish, arrived, running_version


@dataclass
class Leg:
    """One hop of this run's way, and what speaks against it.

    Attributes:
        wish: What is asked for, towards the end of this hop.
        method: How it is made.
        findings: Those of all but the first hop are projected: the hops before it may change them.
        hop: None where KubeVirt is at the version already, on its way there, or cannot go there.
        manifest: That of the hop's end, once it was read.
    """

    wish: Wish
    method: Method
    findings: list[Finding]
    hop: PathHop | None = None
    manifest: Manifest | None = None


def legs_of(facts: Facts, wish: Wish) -> list[Leg]:
    """The hops with what speaks against each, as far as it can be told without a manifest; one without a hop where there is none.

    Raises:
        InvalidOption: The path is none, or an option cannot be served by the method.
    """
    about_the_object = findings_about_the_object(facts)
    if about_the_object:
        return [Leg(wish, Method.OPERATOR, about_the_object)]
    hops, refused = _route_of(facts, wish)
    if not hops:
        method = _method(facts, wish)
        return [Leg(wish, method, [*refused, *findings_of_the_cluster(facts, wish, method)])]
    legs: list[Leg] = []
    for hop in hops:
        towards = wish.towards(hop.to_version)
        method = _method(facts, towards)
        found = _findings_of_a_hop(hop, strict_patches=wish.strict_patches)
        if not legs:
            found += findings_of_the_cluster(facts, towards, method)
        elif method is Method.IMAGE_TAG:  # the operator stays, so what it cannot do is known now
            found += findings_of_the_method(facts, towards, method)
        if legs and hop.kind is Hop.MINOR:
            found += _about_launchers(facts, hop)
        legs.append(Leg(towards, method, found, hop))
    return legs


def _method(facts: Facts, wish: Wish) -> Method:
    method = method_of(facts, wish)
    if method is Method.IMAGE_TAG:
        check_options_of_image_tag(facts, wish)
    return method


def _route_of(facts: Facts, wish: Wish) -> tuple[list[PathHop], list[Finding]]:
    """The hops in their order, and what makes that there are none although KubeVirt is elsewhere.

    Raises:
        InvalidOption: The path that the user wrote down is none.
    """
    running = running_version(facts)
    if running is None:
        return [], [_version_unknown(facts)]
    kubernetes = _kubernetes_of(facts)
    try:
        if wish.path:
            hops = path_along(running, wish.path, wish.releases, kubernetes=kubernetes)
        else:
            hops = path_between(
                running, wish.version, wish.releases, kubernetes=kubernetes, strict_patches=wish.strict_patches
            )
    except PathRefused as refused:
        return [], [finding(refused.id, object=facts.kubevirt_name, cause=refused.cause, fix=refused.fix)]
    except PathError as error:
        raise InvalidOption(f"path: {error}") from error
    return list(hops), []


def path_of(facts: Facts, legs: Sequence[Leg]) -> list[dict[str, t.Any]]:
    """The hops as modules return them; empty when KubeVirt is there already."""
    running = running_version(facts)
    if running is None or arrived(facts, legs[-1].wish.version):
        return []
    return [
        {
            "from": str(leg.hop.from_version if leg.hop else running),
            "to": str(leg.wish.version),
            "method": leg.method.value,
            "why": leg.hop.why if leg.hop else "",
            "kubernetes": leg.hop.kubernetes.note if leg.hop else "",
            "findings": [one.as_dict() for one in leg.findings],
            "projected": number > 0,
        }
        for number, leg in enumerate(legs)
    ]


def _findings_of_a_hop(hop: PathHop, *, strict_patches: bool) -> list[Finding]:
    """What the releases say against one hop."""
    found = []
    if hop.later_to:
        found.append(
            finding(
                "version.not-latest-patch",
                object=f"KubeVirt {hop.to_version}",
                cause=f"{hop.later_to} is the latest known patch of this minor; KubeVirt tests updates between latest patches.",
                fix=f"Ask for {hop.later_to}, unless you have a reason not to.",
                level="blocker" if strict_patches else None,
            )
        )
    if hop.kubernetes.first:
        found.append(
            finding(
                "kubernetes.too-old",
                object=f"KubeVirt {hop.to_version}",
                cause=hop.kubernetes.note,
                fix=f"Bring KubeVirt to {hop.from_version}, then Kubernetes to {hop.kubernetes.first} or later, then run again.",
            )
        )
    if hop.kubernetes.too_new:
        found.append(
            finding(
                "kubernetes.too-new",
                object=f"KubeVirt {hop.to_version}",
                cause=hop.kubernetes.note,
                fix="Go on to a version that is for this Kubernetes. Leave Kubernetes where it is until then.",
            )
        )
    return found


def _about_launchers(facts: Facts, hop: PathHop) -> list[Finding]:
    """After a first hop, VMs that nobody moved fall behind by more than the one minor version that KubeVirt tests."""
    if not facts.workloads.vmis:
        return []
    return [
        finding(
            "workloads.launchers-fall-behind",
            object=f"{facts.workloads.vmis} running VMs",
            cause=f"VMs that are not moved before this hop run on virt-launchers that are two or more minor versions older than "
            f"{hop.to_version}.",
            fix=f"Stop at {hop.from_version} (version: {hop.from_version}), let the VMs be migrated or restarted there, then go on.",
        )
    ]


def _kubernetes_of(facts: Facts) -> KubernetesVersion | None:
    try:
        return KubernetesVersion.parse(facts.kubernetes)
    except KubernetesVersionError:
        return None


def _version_unknown(facts: Facts) -> Finding:
    return finding(
        "version.unknown",
        object=facts.kubevirt_name,
        cause="Neither the KubeVirt object's status nor the operator's Deployment says a version.",
        fix="Wait until the first installation has finished; look at status.observedKubeVirtVersion and at the operator's "
        "environment variable KUBEVIRT_VERSION.",
    )
