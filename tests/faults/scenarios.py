# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is played in the matrices. An operation that comes later adds its scenario here, and its phases to phases.py."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.faults.phases import KINDS
from tests.support.kubevirt import FROM
from tests.support.lab import Json


@dataclass(frozen=True)
class Scenario:
    """A command and the phases that it goes through.

    Attributes:
        name: For people.
        module: The module that is run.
        params: Its options besides the version, the manifest and the kubeconfig.
        spec: What the KubeVirt object's spec has besides that of the lab.
        phases: The phases, in order, that every fault is tried in.
        briefly: Phases that are like others; only a write that is cut off after it was done is tried in them.
    """

    name: str
    module: str
    params: Json
    phases: tuple[str, ...]
    spec: Json = field(default_factory=dict)
    briefly: tuple[str, ...] = ()


# Longer than a played hop needs with every fault that passes, and short enough for those that last.
PATIENCE: Json = {"wait_timeout": 300, "stall_timeout": 150, "migration_drain_timeout": 150}

_LIKE_OTHERS = tuple(
    f"{what} the {kind}" for kind in KINDS if kind not in ("CRD", "Deployment") for what in ("take over", "apply")
)

UPGRADE = Scenario(
    "upgrade",
    "kubevirt_upgrade",
    PATIENCE,
    (
        "find the cluster",
        "observe",
        "read what the manifest names",
        "take the lock",
        "rehearse",
        "hold the methods",
        "drain migrations",
        "take over the CRD",
        "apply the CRD",
        "take over the Deployment",
        "apply the Deployment",
        "list for the wait",
        "wait",
        "renew the lock",
        "restore the methods",
        "wait after the methods",
        "look at the end",
        "release the lock",
    ),
    briefly=_LIKE_OTHERS,
)
PINNED = Scenario(
    "pinned",
    "kubevirt_upgrade",
    PATIENCE,
    ("move the image tag", "wait after the image tag"),
    spec={"imageTag": FROM},
)
SCENARIOS = {scenario.name: scenario for scenario in (UPGRADE, PINNED)}
