# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The VMs of a lab: how they are, who moved them, and how they get onto an old launcher."""

from __future__ import annotations

import json
import typing as t
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from tests.support.kubevirt import FROM, KUBEVIRT, TO, wait_until
from tests.support.lab import Json, Lab, lab, mutating

MARK = "lifecycle.kubevirt.io/workload-update"
WINDOW = f"{MARK}-window"
HELD = "lifecycle.kubevirt.io/held-workload-update-methods"
OURS = "lifecycle.kubevirt.io/moves-to-deployment"
UPDATERS = "kubevirt.io/workloadUpdateMigration"
MIGRATIONS = "virtualmachineinstancemigrations"


@dataclass(frozen=True)
class Vm:
    """A VMI, and its launcher pods that run."""

    uid: str
    phase: str
    launcher: str
    """The version of its launcher."""
    is_outdated: bool
    conditions: dict[str, str]
    pods: tuple[str, ...]


def vms(cluster: Lab) -> dict[str, Vm]:
    """All VMIs by name."""
    pods = cluster.get("pods", "-l", "kubevirt.io=virt-launcher")["items"]
    running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
    return {vmi["metadata"]["name"]: _vm(vmi, running) for vmi in cluster.get("vmi")["items"]}


def _vm(vmi: Json, pods: Iterable[Json]) -> Vm:
    metadata, status = vmi["metadata"], vmi.get("status", {})
    own = (pod for pod in pods if pod["metadata"]["labels"].get("kubevirt.io/created-by") == metadata["uid"])
    return Vm(
        uid=metadata["uid"],
        phase=status.get("phase", ""),
        launcher=status.get("launcherContainerImageVersion", "").rpartition(":")[2],
        is_outdated="kubevirt.io/outdatedLauncherImage" in metadata.get("labels", {}),
        conditions={one["type"]: one["status"] for one in status.get("conditions", [])},
        pods=tuple(sorted(pod["metadata"]["name"] for pod in own)),
    )


def create_mixed(cluster: Lab, without: Collection[str] = (), plain: int = 0) -> None:
    """The mixed set without some of its kinds, and this many VMs more that can be migrated."""
    lab("vm", "create-mixed", "--name", cluster.name)
    names = [f"{kind}-1" for kind in without]
    if names:
        cluster.kubectl("delete", "vm", *names, "--wait=false")
    if plain:
        lab("vm", "create", str(plain), "--name", cluster.name)
    wait_until(lambda: not {*names} & {*vms(cluster)}, 120)


def make_old(cluster: Lab, names: Iterable[str]) -> None:
    """Let VMs run on the launcher of an earlier release, as if the control plane had been upgraded beneath them.

    The image of a running container may be edited, and that is where virt-controller reads it.
    """
    wanted = {*names}
    pods = [f"pod/{name}" for vm, state in vms(cluster).items() if vm in wanted for name in state.pods]
    cluster.kubectl("set", "image", *pods, f"compute=quay.io/kubevirt/virt-launcher:{FROM}")
    wait_until(lambda: all(vm.is_outdated and vm.launcher == FROM for vm in some(cluster, wanted)), 120)


def some(cluster: Lab, names: Collection[str]) -> list[Vm]:
    """These VMs."""
    found = vms(cluster)
    return [found[name] for name in names if name in found]


def have_no_pod(cluster: Lab, names: Collection[str]) -> bool:
    """Whether none of these VMs runs in a launcher pod."""
    return not any(vm.pods for vm in some(cluster, names))


def on_new_launcher(cluster: Lab) -> set[str]:
    """The VMs that run well on the launcher of the newer release: exactly one launcher pod, and Ready."""
    return {
        name
        for name, vm in vms(cluster).items()
        if (vm.phase, vm.launcher, len(vm.pods), vm.conditions.get("Ready")) == ("Running", TO, 1, "True")
        and not vm.is_outdated
    }


def uids(cluster: Lab) -> dict[str, str]:
    """The UID of each VMI."""
    return {name: vm.uid for name, vm in vms(cluster).items()}


def strategy(cluster: Lab) -> Json:
    """The KubeVirt object's workload update strategy."""
    found: Json = cluster.get(*KUBEVIRT)["spec"].get("workloadUpdateStrategy") or {}
    return found


def methods(cluster: Lab) -> list[str]:
    return list(strategy(cluster).get("workloadUpdateMethods") or [])


def is_held(cluster: Lab) -> bool:
    """Whether an unfinished run remembers methods on the KubeVirt object."""
    return HELD in (cluster.get(*KUBEVIRT)["metadata"].get("annotations") or {})


def set_methods(cluster: Lab, *wanted: str) -> None:
    """As a person would, with kubectl; and until virt-operator has taken that in."""
    change = {"spec": {"workloadUpdateStrategy": {"workloadUpdateMethods": [*wanted]}}}
    cluster.kubectl("patch", *KUBEVIRT, "--type=merge", "-p", json.dumps(change))
    wait_until(lambda: cluster.module("kubevirt_info", {}).data["state"] == "healthy", 180)


def migrations(cluster: Lab) -> list[Json]:
    return list(cluster.get("vmim")["items"])


def moved_by_ours(cluster: Lab) -> Counter[str]:
    """How many migrations of ours each VM has had."""
    return _moved(one for one in migrations(cluster) if OURS in one["metadata"].get("labels", {}))


def moved_by_kubevirt(cluster: Lab) -> Counter[str]:
    """How many migrations of KubeVirt's own updater each VM has had."""
    return _moved(one for one in migrations(cluster) if UPDATERS in one["metadata"].get("annotations", {}))


def _moved(found: Iterable[Json]) -> Counter[str]:
    return Counter(one["spec"]["vmiName"] for one in found)


def unfinished(cluster: Lab) -> list[str]:
    """The VMs that are migrating."""
    found = migrations(cluster)
    return [
        one["spec"]["vmiName"] for one in found if one.get("status", {}).get("phase") not in ("Succeeded", "Failed")
    ]


def forget_migrations(cluster: Lab) -> None:
    """Away with the migrations of earlier tests, all of which have ended."""
    assert unfinished(cluster) == []
    cluster.kubectl("delete", "vmim", "--all")


def evictions(cluster: Lab, position: int) -> list[tuple[datetime, str]]:
    """When which launcher pod was evicted by virt-controller, by the API server's own record."""
    return [
        (datetime.fromisoformat(event["requestReceivedTimestamp"].replace("Z", "+00:00")), event["objectRef"]["name"])
        for event in _evictions(cluster, position)
        if event["responseStatus"]["code"] == 201
    ]


def refused_evictions(cluster: Lab, position: int) -> Counter[str]:
    """How many evictions of each launcher pod were refused."""
    events = _evictions(cluster, position)
    return Counter(event["objectRef"]["name"] for event in events if event["responseStatus"]["code"] == 429)


def _evictions(cluster: Lab, position: int) -> list[Json]:
    events = cluster.audited(position, user_agent="")
    return [event for event in events if event.get("objectRef", {}).get("subresource") == "eviction"]


def migrations_asked_for(cluster: Lab, position: int) -> list[str]:
    """Our requests that make a migration, since a position of the audit log."""
    return [one for one in mutating(cluster.audited(position)) if one.startswith("create") and MIGRATIONS in one]


def told(result: t.Any) -> str:
    """What a run returned, for the message of a failed test."""
    return json.dumps(result.data, indent=1)
