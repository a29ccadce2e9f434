# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What is asked of an upgrade, and how far the cluster is from it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..knowledge.conditions import State, observed_version, state_of, target_version
from ..knowledge.gates import Gate
from ..knowledge.releases import Releases
from ..knowledge.risks import Risk
from ..knowledge.settling import old_leader
from ..knowledge.versions import Version, try_parse
from .observe import Facts


@dataclass(frozen=True)
class Wish:
    """What the user asked for, checked.

    Attributes:
        version: The version to go to; of one hop, the one that it ends at.
        path: The versions to stop at, where the user wrote them down; the last is the one to go to.
        releases: Which releases there are.
        risks: What is known to go wrong on a hop.
        gates: What must be true of objects that the user names.
        method: ``auto``, ``operator`` or ``image_tag``.
        keep_pin: A version that spec.imageTag pins is pinned afterwards too; otherwise KubeVirt follows its operator then.
        strict_patches: A version that is not its minor's latest patch is a blocker.
        image_registry: The registry was named by the user.
        restore_methods: Put the workload update methods back at the end.
        wait: Follow the hop to its end.
    """

    version: Version
    path: tuple[Version, ...]
    releases: Releases
    risks: tuple[Risk, ...]
    gates: tuple[Gate, ...]
    method: str
    keep_pin: bool
    strict_patches: bool
    image_registry: str | None
    restore_methods: bool
    wait: bool

    def towards(self, version: Version) -> Wish:
        """The same for one hop."""
        return replace(self, version=version)


def running_version(facts: Facts) -> Version | None:
    """The version of KubeVirt's control plane: what was deployed last, or else what is being deployed.

    A hybrid has the manifests of its operator, so that version is what it is really at.
    """
    if facts.kubevirt is None:
        return None
    if facts.is_hybrid:
        return facts.operator_version
    for text in (observed_version(facts.kubevirt), target_version(facts.kubevirt), facts.operator_declared):
        if text and (version := try_parse(text)):
            return version
    return None


def arrived(facts: Facts, version: Version) -> bool:
    """Whether KubeVirt says that it is at ``version`` and healthy, and can be believed."""
    kubevirt = facts.kubevirt
    if kubevirt is None or state_of(kubevirt) is not State.HEALTHY or facts.is_hybrid:
        return False
    if facts.operator is not None and facts.operator_version == version and old_leader(kubevirt, facts.operator):
        return False
    return {try_parse(observed_version(kubevirt)), try_parse(target_version(kubevirt))} == {version}
