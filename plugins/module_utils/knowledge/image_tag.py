# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. spec.imageTag of a KubeVirt object: the version it pins, and what virt-operator makes of it.

virt-operator brings its operands to the tag with the manifests that a Job writes down. Which image that Job runs changed twice:
it is the tag's up to 0.58.0 and again from 1.7.0 on, and the operator's own in between (kubevirt/kubevirt#8887, #15313).
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from .versions import Version

Object = Mapping[str, t.Any]
Patch = list[dict[str, t.Any]]

_PATH = "/spec/imageTag"

_OWN_MANIFESTS_FROM = Version(0, 58, 1)
_OWN_MANIFESTS_BEFORE = Version(1, 7, 0)

# A virt-operator that reads a kind it does not know says "UNKNOWN TYPE" in its log and begins again, for ever
# (pkg/virt-operator/resource/generate/install/strategy.go). Minor release, and the kinds that its manifests added.
_NEW_KINDS: tuple[tuple[Version, tuple[str, ...]], ...] = (
    (Version(0, 20, 0), ("SecurityContextConstraints", "ServiceMonitor")),
    (Version(0, 26, 0), ("ValidatingWebhookConfiguration", "PrometheusRule")),
    (Version(0, 29, 0), ("MutatingWebhookConfiguration", "APIService", "Secret", "ConfigMap")),
    (Version(0, 55, 0), ("Route",)),
    (Version(1, 1, 0), ("VirtualMachineClusterInstancetype", "VirtualMachineClusterPreference")),
    (Version(1, 3, 0), ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")),
)


def image_tag(kubevirt: Object) -> str | None:
    """The tag that spec pins the operands to, if any."""
    return (kubevirt.get("spec") or {}).get("imageTag") or None


def image_registry(kubevirt: Object) -> str | None:
    """The registry that spec pins the operands to, if any."""
    return (kubevirt.get("spec") or {}).get("imageRegistry") or None


def keeps_own_manifests(operator: Version) -> bool:
    """Whether this virt-operator installs the manifests of its own version, whatever the tag says: 0.58.1 to 1.6."""
    return _OWN_MANIFESTS_FROM <= operator < _OWN_MANIFESTS_BEFORE


def loses_image_prefix(operator: Version) -> bool:
    """Whether the Job's image lacks the prefix of the operator's image: from 1.7 on (pkg/virt-operator/util/config.go)."""
    return operator >= _OWN_MANIFESTS_BEFORE


def kinds_unknown_to(operator: Version, wanted: Version) -> list[str]:
    """The kinds in the manifests of ``wanted`` that a virt-operator of another version cannot read."""
    return [kind for since, kinds in _NEW_KINDS if operator < since <= wanted for kind in kinds]


def tag_patch(kubevirt: Object, tag: str | None) -> Patch:
    """Sets the tag, or takes it away. Fails as a conflict when somebody changes it at the same time."""
    now = (kubevirt.get("spec") or {}).get("imageTag")
    change = {"op": "remove", "path": _PATH} if tag is None else {"op": "add", "path": _PATH, "value": tag}
    return [{"op": "test", "path": _PATH, "value": now}, change]
