# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Live migrations: the objects that ask for one, how far each is, and whether the VM arrived well."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping, Sequence

Object = Mapping[str, t.Any]

OURS_LABEL = "lifecycle.kubevirt.io/moves-to-deployment"
"""On the migrations that this collection makes: the deployment ID of the KubeVirt that the VM moves to."""
ORIGIN_ANNOTATION = "lifecycle.kubevirt.io/moves-from-launcher"
"""On the same: the launcher image that the VM moves away from."""
UPDATERS_ANNOTATION = "kubevirt.io/workloadUpdateMigration"
"""On the migrations of KubeVirt's own updater. Not on ours, because the updater deletes what carries it when it thinks again."""
JOB_LABEL = "kubevirt.io/migrationJobUID"
"""On a launcher pod that was made as the target of a migration: the UID of that migration."""
NAME_PREFIX = "kubevirt-lifecycle-"
_BEGINNING = ("PodInitializing", "ContainerCreating")


def key_of(object: Object) -> str:
    """``namespace/name``."""
    return f"{object['metadata']['namespace']}/{object['metadata']['name']}"


def migration_for(vmi: Object, deployment: str, token: str) -> dict[str, t.Any]:
    """The object that asks for a live migration of this VMI.

    Args:
        vmi: The VirtualMachineInstance.
        deployment: ``status.observedDeploymentID`` of the KubeVirt object.
        token: What makes its name unique. A server makes one up too, but then a request cannot be repeated.
    """
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstanceMigration",
        "metadata": {
            "name": f"{NAME_PREFIX}{token}",
            "namespace": vmi["metadata"]["namespace"],
            "labels": {OURS_LABEL: deployment},
            "annotations": {ORIGIN_ANNOTATION: launcher_of(vmi)},
        },
        "spec": {"vmiName": vmi["metadata"]["name"]},
    }


def launcher_of(vmi: Object) -> str:
    """The image of the launcher that runs the VMI; empty while virt-controller does not know it, as after a migration."""
    return str((vmi.get("status") or {}).get("launcherContainerImageVersion") or "")


def moved_by(migration: Object) -> str:
    """``namespace/name`` of the VMI that it moves."""
    return f"{migration['metadata']['namespace']}/{migration['spec']['vmiName']}"


def is_ours(migration: Object, deployment: str) -> bool:
    """Whether this collection made it, for the KubeVirt of this deployment ID."""
    return (migration["metadata"].get("labels") or {}).get(OURS_LABEL) == deployment


def is_unfinished(migration: Object) -> bool:
    """Whether it has neither succeeded nor failed."""
    return _phase(migration) not in ("Succeeded", "Failed")


def unfinished_migrations(migrations: Iterable[Object]) -> list[str]:
    """``namespace/name`` of those that have neither succeeded nor failed.

    Live migrations in flight fail when the control plane is updated (docs/updates.md of kubevirt/kubevirt).
    """
    return [key_of(one) for one in migrations if is_unfinished(one)]


def has_succeeded(migration: Object) -> bool:
    """Whether it says that the VM is at the target."""
    return _phase(migration) == "Succeeded"


def has_failed(migration: Object) -> bool:
    """Whether it has ended, and the VM is where it was."""
    return _phase(migration) == "Failed"


def origin_of(migration: Object) -> str:
    """The launcher image that it moved its VM away from; empty where nobody wrote that down."""
    return str((migration["metadata"].get("annotations") or {}).get(ORIGIN_ANNOTATION) or "")


def failure_reason(migration: Object, vmi: Object | None, pods: Iterable[Object]) -> str:
    """Why it failed or does not go on, in KubeVirt's own words where it gives any (from 1.2 on).

    Args:
        migration: The VirtualMachineInstanceMigration.
        vmi: The VMI that it moves, where that is still there.
        pods: Launcher pods of that VMI, of which the target may say why it does not run.
    """
    uid = migration["metadata"]["uid"]
    states = [(one.get("status") or {}).get("migrationState") or {} for one in (migration, vmi or {})]
    for state in states:
        if state.get("failureReason") and state.get("migrationUid", uid) == uid:
            return str(state["failureReason"])
    for condition in (migration.get("status") or {}).get("conditions") or ():
        if condition.get("status") == "True" and condition.get("message"):
            return f"{condition['type']}: {condition['message']}"
    for pod in pods:
        if (pod["metadata"].get("labels") or {}).get(JOB_LABEL) == uid and (why := _why_not_running(pod)):
            return f"its target pod {key_of(pod)} does not run: {why}"
    return f"KubeVirt gives no reason; its phase is {_phase(migration) or 'not set'}"


def guest_has_failed(vmi: Object) -> bool:
    """Whether the guest ended without having been shut down; one that its owner stops is Succeeded."""
    return (vmi.get("status") or {}).get("phase") == "Failed"


def not_arrived(vmi: Object, pods: Sequence[Object], *, launcher: str, was_ready: bool, had_agent: bool) -> list[str]:
    """What is still missing, after a migration succeeded, until the VM runs well on the new launcher; empty when it does.

    Args:
        vmi: The VMI.
        pods: Its launcher pods.
        launcher: The image of KubeVirt's launchers now; empty where that is not known.
        was_ready: Whether it was Ready before.
        had_agent: Whether its guest agent was connected before.
    """
    missing = []
    running = running_pods(pods)
    if len(running) != 1:
        missing.append(f"{len(running)} launcher pods run, not one")
    image = launcher_of(vmi)
    if not image:
        missing.append("virt-controller does not know its launcher yet")
    elif launcher and image != launcher:
        missing.append(f"its launcher is {image}, not {launcher}")
    if was_ready and condition_of(vmi, "Ready") != "True":
        missing.append("it is not Ready, as it was before")
    if had_agent and condition_of(vmi, "AgentConnected") != "True":
        missing.append("its guest agent is not connected, as it was before")
    return missing


def running_pods(pods: Iterable[Object]) -> list[Object]:
    """The launcher pods that run, also those that are told to go: their guest may run as well."""
    return [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Running"]


def condition_of(object: Object, type: str) -> str:
    """The status of a condition; empty where it is not set."""
    conditions = (object.get("status") or {}).get("conditions") or ()
    return str(next((one["status"] for one in conditions if one["type"] == type), ""))


def _phase(migration: Object) -> str:
    return str((migration.get("status") or {}).get("phase") or "")


def _why_not_running(pod: Object) -> str:
    status = pod.get("status") or {}
    if status.get("phase") == "Running":
        return ""
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled") or {}
    if scheduled.get("status") == "False":
        return f"{scheduled.get('reason', 'Unschedulable')}: {scheduled.get('message', '')}"
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    waiting = [(one.get("state") or {}).get("waiting") or {} for one in containers]
    reasons = [one for one in waiting if one.get("reason")]
    # Those that wait for another container say nothing: that one, which may be an init container, says why.
    telling = [one for one in reasons if one["reason"] not in _BEGINNING] or reasons
    if not telling:
        return f"it is {status.get('phase')}"
    return ": ".join(filter(None, (telling[0]["reason"], telling[0].get("message"))))
