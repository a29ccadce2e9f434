# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Risks: what is known to go wrong on the way from one version of KubeVirt to another.

A risk is data: the versions that it is about, and an expression over the facts of a cluster (``cluster_facts``). Those of
the collection are in ``known_risks``; users add files of them (``rule_files``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .cluster_facts import ClusterFacts
from .findings import Finding
from .rules import Rule
from .version_ranges import VersionRange
from .versions import Version


@dataclass(frozen=True)
class Risk:
    """A known problem.

    Attributes:
        rule: When the facts of a cluster raise it, and what it says.
        from_versions: The versions that one comes from.
        to_versions: The versions that one goes to.
    """

    rule: Rule
    from_versions: VersionRange
    to_versions: VersionRange

    def is_on(self, running: Version, wanted: Version) -> bool:
        """Whether it is about this hop."""
        return running in self.from_versions and wanted in self.to_versions


def findings_of_the_hop(risks: Iterable[Risk], running: Version, wanted: Version, facts: ClusterFacts) -> list[Finding]:
    """What is known to go wrong on this hop, in this cluster, in the order of the risks.

    Raises:
        JmespathMissing: The library that reads the expressions is not installed.
    """
    about = f"KubeVirt {facts['kubevirt']['namespace']}/{facts['kubevirt']['name']}"
    raised = (risk.rule.finding(facts, about) for risk in risks if risk.is_on(running, wanted))
    return [finding for finding in raised if finding]
