# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. For how long something may fail while a hop is waited for, before the run stops."""

from __future__ import annotations

from dataclasses import dataclass

from .findings import Finding

AT_THE_END = float("inf")
"""It stops no run: it is looked for, once, when a wait has ended without success."""

PATIENCE: dict[str, float] = {
    "kubevirt.absent": 10.0,
    "kubevirt.deleting": 0.0,
    "kubevirt.multiple": 30.0,
    "upgrade.admission-refused": 120.0,
    # After a rotation the new CA bundle reaches everybody within minutes (kubevirt/kubevirt#4698, #15210).
    "upgrade.certificate-untrusted": 600.0,
    "upgrade.container-not-created": 120.0,
    # On a busy node a probe ends a slow start some times before one is fast enough; so do certificates and leases that change hands.
    "upgrade.crash-loop": 300.0,
    # While virt-operator itself rolls, the old one works under new rules (kubevirt/kubevirt#18497).
    "upgrade.deployment-failed": 120.0,
    # A registry that answers late, or the kubelet's own retries, end within a minute.
    "upgrade.image-pull": 60.0,
    "upgrade.install-job-failed": AT_THE_END,
    "upgrade.install-job-loop": 60.0,
    "upgrade.no-leader": AT_THE_END,
    "upgrade.node-lost": AT_THE_END,
    "upgrade.operator-lacks-rights": 120.0,
    "upgrade.quota-exceeded": 120.0,
    "upgrade.rbac-escalation": 120.0,
    "upgrade.stored-version-dropped": 60.0,
    # An autoscaler needs some minutes for a new node.
    "upgrade.unschedulable": 300.0,
    "upgrade.virt-handler-failed": 300.0,
    "upgrade.webhook-unreachable": 300.0,
}
"""Seconds in a row, by the id of the finding."""

NO_OTHER_OPERATOR = 10.0
"""For missing permissions where no other operator is to come: nothing will bring it what it lacks."""


@dataclass(frozen=True)
class Failing:
    """Something that fails now.

    Attributes:
        finding: What, where and why.
        patience: For how many seconds in a row it may last.
    """

    finding: Finding
    patience: float


def failing(finding: Finding, patience: float | None = None) -> Failing:
    """The finding with its patience: that of its id, unless another is given."""
    return Failing(finding, PATIENCE[finding.id] if patience is None else patience)
