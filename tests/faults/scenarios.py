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
        phases: The phases that faults are tried in, in order.
        once: The write that is done once to each object, also by a run that was killed and the next one together; empty where it may
            be done again.
        briefly: Those of them that are like others; few faults are tried in them.
        waits: The writes after which the run waits, and sees what it waits for by watches that are open already.
        vms: How many VMs there are, on old launchers.
        disks: How many of them own a disk.
    """

    name: str
    module: str
    params: Json
    phases: tuple[str, ...]
    once: str = "restore the methods"
    spec: Json = field(default_factory=dict)
    briefly: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    vms: int = 0
    disks: int = 0


# Longer than a played hop needs with every fault that passes, and short enough for those that last.
PATIENCE: Json = {"wait_timeout": 300, "stall_timeout": 150, "migration_drain_timeout": 150}

LIVE_MIGRATE_ASKED: Json = {"methods": ["LiveMigrate"]}
GATE = """
- id: user.control-plane
  level: blocker
  objects: {api_version: v1, kind: Pod, namespace: kubevirt}
  when: "length(items) == `0`"
  message: KubeVirt has no pods.
  fix: Look at them.
"""

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
        *_LIKE_OTHERS,
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
NO_METHODS: Json = {"workloadUpdateStrategy": {"workloadUpdateMethods": []}}
STRATEGY = Scenario(
    "strategy",
    "kubevirt_workload_strategy",
    LIVE_MIGRATE_ASKED,
    ("look at the VMs", "rehearse", "set the strategy", "look at the end"),
    once="set the strategy",
    spec=NO_METHODS,
    briefly=("look at the VMs", "rehearse", "look at the end"),
    vms=2,
)
# One VM is the canary, a stage has two, and the rest is KubeVirt's own updater's.
WORKLOADS = Scenario(
    "workloads",
    "kubevirt_workload_update",
    {
        **LIVE_MIGRATE_ASKED,
        "widen": [60],
        "soak": 0,
        "gates": GATE,
        "wait_timeout": 300,
        "stall_timeout": 60,
        "migration_timeout": 150,
    },
    (
        "look at the VMs",
        "take the lock",
        "watch the VMs",
        "hold the methods",
        "ask for the canary",
        "check the canary",
        "ask for more VMs",
        "set the strategy",
        "look at the end",
        "release the lock",
    ),
    once="",
    spec=NO_METHODS,
    briefly=(
        *("look at the VMs", "take the lock", "check the canary", "ask for more VMs", "look at the end"),
        "release the lock",
    ),
    waits=("ask for the canary", "ask for more VMs", "set the strategy"),
    vms=5,
)
# The lock, and what is read to find KubeVirt, are as in an upgrade.
REMOVE = Scenario(
    "remove",
    "kubevirt_remove",
    {"wait_timeout": 300, "stall_timeout": 150, "vm_stop_timeout": 60},
    (
        "count what is at stake",
        "look for what blocks",
        "look for all of it",
        "take the lock",
        "back up",
        "stop the VM",
        "wait for the VM",
        "delete the VM",
        "check the disk",
        "delete the KubeVirt object",
        "wait for the deletion",
        "search for what is left",
        "delete what is left",
        "delete the operator's objects",
        "delete the last CRD",
        "clean the node",
        "release the lock",
    ),
    once="delete the VM",
    briefly=(
        *("look for what blocks", "look for all of it", "take the lock", "back up", "wait for the VM", "delete the VM"),
        *("check the disk", "search for what is left", "delete what is left", "delete the operator's objects"),
        *("delete the last CRD", "clean the node", "release the lock"),
    ),
    vms=2,
    disks=1,
)
SCENARIOS = {scenario.name: scenario for scenario in (UPGRADE, PINNED, STRATEGY, WORKLOADS, REMOVE)}
