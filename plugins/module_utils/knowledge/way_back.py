# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Whether there is a way back from a hop that stopped, and which.

KubeVirt supports none to an older version (kubevirt/kubevirt#15018, #4797). What can be taken back is what virt-operator has not
begun to carry out: its own manifest, and spec.imageTag.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from . import releases
from .conditions import observed_version, target_version
from .field_ownership import FIELD_MANAGER
from .versions import Version, try_parse

Object = Mapping[str, t.Any]
Kind = t.Literal["nothing-begun", "operator-only", "tag-only", "begun", "unknown"]

WHY_NOT = (
    "KubeVirt supports no way back to an older version: the older virt-operator deletes the CRDs that it does not know, with all "
    "objects in them, and may not read what the newer one stored (kubevirt/kubevirt#15018, #4797)."
)


@dataclass(frozen=True)
class Written:
    """What a run has changed of what moves KubeVirt.

    Attributes:
        manifest: Objects of the operator's manifest.
        tag: spec.imageTag.
        tag_before: What that was; None where it was not set.
    """

    manifest: bool = False
    tag: bool = False
    tag_before: str | None = None


@dataclass(frozen=True)
class WayBack:
    """Which case it is, and what to say about it."""

    kind: Kind
    words: str


def way_back(
    kubevirt: Object | None, *, running: Version | None, to: str, written: Written, registry: str | None
) -> WayBack:
    """Whether and how the previous version can be put back.

    Args:
        kubevirt: The KubeVirt object as it is now; None where it could not be read.
        running: The version before the hop.
        to: The version after it.
        written: What the run changed.
        registry: Where the operator's images came from before.
    """
    if not (written.manifest or written.tag):
        return WayBack("nothing-begun", "The hop itself was not begun, so there is nothing to go back from.")
    if kubevirt is None:
        words = (
            f"The cluster does not say whether virt-operator has begun to move KubeVirt to {to}. As long as "
            "status.targetKubeVirtVersion of the KubeVirt object is still the old version, the old version can be asked for again; "
            f"otherwise there is no supported way back. {WHY_NOT}"
        )
        return WayBack("unknown", words)
    target = try_parse(target_version(kubevirt))
    if running is None or target != running or str(running) == to:
        return WayBack("begun", _forward(kubevirt, to))
    if written.tag:
        return WayBack("tag-only", _tag_back(kubevirt, running, written))
    return WayBack("operator-only", _operator_back(kubevirt, running, registry))


def _forward(kubevirt: Object, to: str) -> str:
    observed, target = observed_version(kubevirt), target_version(kubevirt)
    return (
        f"virt-operator has begun to move KubeVirt to {to} (deployed: {observed or 'not said'}, target: {target or 'not said'}); "
        f"there is no supported way back. {WHY_NOT} Go forward: the parts that were not reached yet run on as before, "
        "and so do the VMs."
    )


def _operator_back(kubevirt: Object, running: Version, registry: str | None) -> str:
    again = f"run the same with version: {running} and its manifest"
    if (registry, kubevirt["metadata"]["namespace"]) != (releases.REGISTRY, releases.NAMESPACE):
        # KubeVirt's own manifest would move it to another registry or namespace.
        return f"To go back (KubeVirt itself is still at {running}): {again}."
    return (
        f"To go back (KubeVirt itself is still at {running}), apply the previous manifest, this or your own copy:\n"
        f"  kubectl apply --server-side --force-conflicts --field-manager={FIELD_MANAGER} "
        f"-f {releases.manifest_url(running)}\nor {again}."
    )


def _tag_back(kubevirt: Object, running: Version, written: Written) -> str:
    metadata = kubevirt["metadata"]
    before = f'"{written.tag_before}"' if written.tag_before else "null"
    patch = f"""'{{"spec":{{"imageTag":{before}}}}}'"""
    lines = [
        f"To go back (virt-operator has not picked the change of spec.imageTag up, KubeVirt itself is still at {running}):",
        f"  kubectl patch kubevirt -n {metadata['namespace']} {metadata['name']} --type=merge -p {patch}",
        f"Then look whether status.targetKubeVirtVersion is still {running}; if not, it was too late, and there is no supported way back.",
    ]
    if written.manifest:
        lines.append("The new virt-operator can stay: it keeps KubeVirt at the version that spec.imageTag names.")
    return "\n".join(lines)
