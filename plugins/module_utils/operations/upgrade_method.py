# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The two ways to update KubeVirt's control plane, and what speaks against each here.

With the method ``operator`` the wanted version's manifest is applied, and KubeVirt follows its operator. With ``image_tag`` only
spec.imageTag is moved, and the operator that runs brings KubeVirt there, as far as it can.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from enum import Enum

from ..knowledge.findings import Finding, finding
from ..knowledge.image_tag import image_registry, keeps_own_manifests, kinds_unknown_to, loses_image_prefix
from ..knowledge.manifest import Manifest, component_image_variables, declared_image_prefix
from ..knowledge.permissions import HeldRoles, missing_permissions
from ..knowledge.versions import Hop, Version, hop, try_parse
from .observe import Facts
from .outcome import InvalidOption, listed
from .standing_findings import hybrid_finding
from .upgrade_wish import Wish

Object = Mapping[str, t.Any]


class Method(str, Enum):
    """How the control plane is updated."""

    OPERATOR = "operator"
    IMAGE_TAG = "image_tag"


def method_of(facts: Facts, wish: Wish) -> Method:
    """The method asked for. ``auto`` is the operator's, unless this very operator only has to be told another tag."""
    if wish.method != "auto":
        return Method(wish.method)
    operator = facts.operator_version
    is_enough = facts.image_tag and operator is not None and operator >= wish.version and _keeps_registry(facts, wish)
    return Method.IMAGE_TAG if is_enough else Method.OPERATOR


def check_options_of_image_tag(facts: Facts, wish: Wish) -> None:
    """Refuses options that the method ``image_tag`` cannot serve on this cluster.

    Raises:
        InvalidOption: Names the option, its value, and what is possible.
    """
    if not _keeps_registry(facts, wish):
        raise InvalidOption(
            f"image_registry: {wish.image_registry} cannot be reached by method: image_tag, which takes the images from "
            f"{_registry(facts)}. Leave image_registry out, or use method: operator."
        )
    if not wish.keep_pin and facts.operator_version not in (None, wish.version):
        raise InvalidOption(
            f"pin: remove is not possible with method: image_tag here: the operator is at {facts.operator_version}, and without "
            f"spec.imageTag KubeVirt would follow it. Use pin: keep, or method: operator."
        )


def tag_afterwards(facts: Facts, wish: Wish, method: Method) -> str | None:
    """What spec.imageTag is in the end; None without one."""
    is_pinned = facts.image_tag is not None or method is Method.IMAGE_TAG
    return str(wish.version) if is_pinned and wish.keep_pin else None


def findings_of_the_method(facts: Facts, wish: Wish, method: Method) -> list[Finding]:
    """What speaks against updating this cluster in this way, whatever the manifest says."""
    operator = facts.operator_version
    if facts.operator is None or operator is None:
        return [_operator_unknown(facts)] if method is Method.IMAGE_TAG else []
    found = _about_a_hybrid(facts, operator, wish, method)
    if method is Method.OPERATOR:
        return [*found, *_about_the_operator(facts, operator, wish), *_about_pins(facts, operator, wish)]
    return [*found, *_about_the_tag(facts, operator, wish, facts.operator)]


def findings_about_permissions(facts: Facts, wish: Wish, manifest: Manifest, held: HeldRoles) -> list[Finding]:
    """Whether the running operator may grant what the wanted version's operator may.

    Args:
        facts: From ``observe``.
        wish: What the user asked for.
        manifest: The wanted version's.
        held: The running operator's roles.
    """
    cluster_roles, roles = (
        [one for one in manifest.objects if (one["kind"], one["metadata"]["name"]) == (kind, "kubevirt-operator")]
        for kind in ("ClusterRole", "Role")
    )
    missing = missing_permissions(cluster_roles, held.everywhere)
    in_namespace = missing_permissions(roles, [*held.everywhere, *held.in_namespace])
    missing += [one for one in in_namespace if one not in missing]
    if not missing:
        return []
    return [
        finding(
            "upgrade.missing-permissions",
            object=facts.operator_name,
            cause=f"virt-operator {facts.operator_declared} lacks {len(missing)} permissions that {wish.version} needs. Kubernetes "
            "lets nobody grant what he does not have, so it would stop halfway with DeploymentFailed.",
            evidence=listed(map(str, missing)),
            fix="Use method: operator. The manifest brings the permissions with it.",
        )
    ]


def permissions_unread(facts: Facts, why: str) -> Finding:
    """That nobody can tell what the running operator may grant, and why."""
    return finding(
        "upgrade.missing-permissions",
        object=facts.operator_name,
        cause="The roles of its service account cannot be read, so it cannot be told whether it may install another version.",
        evidence=why,
        fix="Run as a user who may list clusterrolebindings and rolebindings and read the roles that they name, or use method: "
        "operator, which brings the permissions with it.",
    )


def _operator_unknown(facts: Facts) -> Finding:
    return finding(
        "version.unknown",
        object=facts.operator_name,
        cause="It does not say which version it is, so nobody can tell what it would make of another one.",
        evidence=facts.operator_declared or "",
        fix="Set the environment variable KUBEVIRT_VERSION of its container to its version, such as v1.7.0.",
    )


def _about_the_operator(facts: Facts, operator: Version, wish: Wish) -> list[Finding]:
    # Without a pin KubeVirt is where its operator is, or on its way there.
    if operator <= wish.version or facts.image_tag is None:
        return []
    return [
        finding(
            "version.downgrade",
            object=facts.operator_name,
            cause=f"The operator is at {operator}, which is newer than {wish.version}.",
            fix=f"Use method: image_tag to bring KubeVirt itself to {wish.version}, or ask for {operator} or a later version.",
        )
    ]


def _about_pins(facts: Facts, operator: Version, wish: Wish) -> list[Finding]:
    """A pin that the wanted version's operator would take for its own images, with its own manifests."""
    pinned = try_parse(facts.image_tag)
    if facts.image_tag is None or not keeps_own_manifests(wish.version) or pinned == wish.version:
        return []
    if pinned == operator and _pinned_registry(facts) in (None, facts.registry):
        return []  # the pin says what the operator says, so it can be taken away before without any effect
    return [
        finding(
            "upgrade.makes-hybrid",
            object=facts.kubevirt_name,
            cause=f"spec pins {_pins(facts)}, and virt-operator {wish.version} would run those images with its own manifests.",
            fix=f"Bring KubeVirt to what its operator is first: method: image_tag with version: {operator}; and take "
            "spec.imageRegistry away if it is not the operator's registry. Then run again.",
        ),
    ]


def _about_a_hybrid(facts: Facts, operator: Version, wish: Wish, method: Method) -> list[Finding]:
    pinned = try_parse(facts.image_tag)
    if not facts.is_hybrid or pinned is None:
        return []
    forward = (Hop.NONE, Hop.PATCH, Hop.MINOR)
    steps = hop(pinned, wish.version), hop(operator, wish.version)
    # What the tag alone can mend is that images are behind their operator.
    is_mended = all(step in forward for step in steps) and (method is Method.OPERATOR or operator == wish.version)
    return [hybrid_finding(facts, "warning" if is_mended else "blocker")]


def _about_the_tag(facts: Facts, operator: Version, wish: Wish, deployment: Object) -> list[Finding]:
    if operator == wish.version:
        return []
    if keeps_own_manifests(operator):
        return [
            finding(
                "upgrade.makes-hybrid",
                object=facts.operator_name,
                cause=f"virt-operator {operator} would run the images of {wish.version} with its own manifests, permissions and "
                "CRDs, and say that all is well.",
                fix="Use method: operator.",
            )
        ]
    return [*_about_kinds(facts, operator, wish), *_about_images(facts, operator, wish, deployment)]


def _about_kinds(facts: Facts, operator: Version, wish: Wish) -> list[Finding]:
    unknown = kinds_unknown_to(operator, wish.version)
    if not unknown:
        return []
    return [
        finding(
            "upgrade.unknown-kinds",
            object=facts.operator_name,
            cause=f"virt-operator {operator} does not know kinds that {wish.version} installs, and would begin again for ever "
            "without a word in the KubeVirt object.",
            evidence=listed(unknown),
            fix="Use method: operator.",
        )
    ]


def _about_images(facts: Facts, operator: Version, wish: Wish, deployment: Object) -> list[Finding]:
    found = []
    variables = component_image_variables(deployment)
    if variables:
        found.append(
            finding(
                "upgrade.images-in-environment",
                object=facts.operator_name,
                cause="Its environment names images of components, and they win over spec.imageTag: those components would stay "
                f"where they are, with the manifests of {wish.version}.",
                evidence=listed(variables),
                fix="Use method: operator with a manifest that names the images of that version.",
            )
        )
    prefix = declared_image_prefix(deployment)
    if prefix and loses_image_prefix(operator):
        registry = _registry(facts)
        found.append(
            finding(
                "upgrade.image-prefix-lost",
                object=facts.operator_name,
                cause=f"Its image is called {prefix}virt-operator, and for another tag it would ask for {registry}/virt-operator:"
                f"{wish.version}, without {prefix}.",
                fix="Use method: operator, or put the image under that name into the registry too and accept this.",
            )
        )
    return found


def _keeps_registry(facts: Facts, wish: Wish) -> bool:
    return wish.image_registry in (None, _registry(facts))


def _registry(facts: Facts) -> str | None:
    """Where the operands' images come from."""
    return _pinned_registry(facts) or facts.registry


def _pinned_registry(facts: Facts) -> str | None:
    return image_registry(facts.kubevirt) if facts.kubevirt else None


def _pins(facts: Facts) -> str:
    registry = _pinned_registry(facts)
    return f"imageTag={facts.image_tag}" + (f", imageRegistry={registry}" if registry else "")
