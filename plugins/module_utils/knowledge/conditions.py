# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What the status of a KubeVirt object says, in every era since 0.17.

virt-operator 0.17 to 0.19 writes the conditions Created, Ready, Updating and Synchronized
(pkg/virt-operator/kubevirt.go); since 0.20 it writes Available, Progressing, Degraded, Created and Synchronized
(pkg/virt-operator/util/client.go). During an update ``phase`` stays Deployed and Available stays True, so neither tells
whether the update is done.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from .versions import try_parse

Object = Mapping[str, t.Any]


class State(str, Enum):
    """What a KubeVirt object is doing."""

    ABSENT = "absent"
    INSTALLING = "installing"
    HEALTHY = "healthy"
    UPDATING = "updating"
    DEGRADED = "degraded"
    FAILED = "failed"
    DELETING = "deleting"


@dataclass(frozen=True)
class Condition:
    """One condition of a KubeVirt object's status."""

    type: str
    status: str
    reason: str
    message: str


def conditions(kubevirt: Object) -> dict[str, Condition]:
    """The conditions by type."""
    return {
        condition["type"]: Condition(
            type=condition["type"],
            status=condition["status"],
            reason=condition.get("reason") or "",
            message=condition.get("message") or "",
        )
        for condition in _status(kubevirt).get("conditions") or ()
    }


def state_of(kubevirt: Object | None) -> State:
    """What the KubeVirt object is doing, as far as its own status tells.

    The status is virt-operator's last word. It is that of the previous version until a new operator leads.
    """
    if kubevirt is None:
        return State.ABSENT
    if kubevirt["metadata"].get("deletionTimestamp"):
        return State.DELETING
    if deployment_failed(kubevirt):
        return State.FAILED
    if _is_updating(kubevirt):
        return State.UPDATING
    # virt-operator up to 1.8 sets observed* as soon as all is applied (#18919), so only the phase, which becomes
    # Deployed when all components are ready for the first time, tells an installation from a degraded KubeVirt.
    if _status(kubevirt).get("phase") != "Deployed":
        return State.INSTALLING
    return State.HEALTHY if _all_components_ready(kubevirt) else State.DEGRADED


def explanation(kubevirt: Object | None) -> str:
    """One sentence on the state, with the reason and message of the condition that decides it."""
    if kubevirt is None:
        return "There is no KubeVirt object in the cluster."
    sentence = _sentence(kubevirt)
    condition = _deciding_condition(kubevirt)
    if condition is None:
        return f"{sentence}."
    message = " ".join(condition.message.split()).removesuffix(".")
    return f"{sentence}: {condition.reason}, {message}."


def observed_version(kubevirt: Object) -> str | None:
    """The version whose objects virt-operator last applied entirely; up to 1.8 before they are ready (#18919)."""
    return _text(kubevirt, "observedKubeVirtVersion")


def target_version(kubevirt: Object) -> str | None:
    """The version that virt-operator wants to deploy."""
    return _text(kubevirt, "targetKubeVirtVersion")


def observed_registry(kubevirt: Object) -> str | None:
    """Where the images of the observed version come from."""
    return _text(kubevirt, "observedKubeVirtRegistry")


def target_registry(kubevirt: Object) -> str | None:
    """Where the images of the target version come from."""
    return _text(kubevirt, "targetKubeVirtRegistry")


def operator_version(kubevirt: Object) -> str | None:
    """The version of the virt-operator that wrote the status, as its binary has it (client-go/version/types.go)."""
    return _text(kubevirt, "operatorVersion")


def deployment_failed(kubevirt: Object) -> Condition | None:
    """The condition Synchronized=False: reason DeploymentFailed, ExistingDeployment or DeletionFailed."""
    synchronized = conditions(kubevirt).get("Synchronized")
    return synchronized if synchronized and synchronized.status == "False" else None


def reconciled_generation(kubevirt: Object) -> bool | None:
    """Whether all components were ready for the object's current spec.

    None where virt-operator does not write status.observedGeneration: before 0.52 (pkg/virt-operator/kubevirt.go).
    """
    observed = _status(kubevirt).get("observedGeneration")
    if observed is not None:
        return bool(observed == kubevirt["metadata"].get("generation"))
    operator = try_parse(operator_version(kubevirt))
    return None if operator is None or (operator.major, operator.minor) < (0, 52) else False


def _status(kubevirt: Object) -> Object:
    return kubevirt.get("status") or {}


def _text(kubevirt: Object, field: str) -> str | None:
    return _status(kubevirt).get(field) or None


def _has_conditions_of_0_20(kubevirt: Object) -> bool:
    """Whether virt-operator 0.20 or later wrote the status; it leaves an older operator's Ready and Updating behind."""
    return "Available" in conditions(kubevirt)


def _is_updating(kubevirt: Object) -> bool:
    by_type = conditions(kubevirt)
    if _has_conditions_of_0_20(kubevirt):
        reported = by_type["Available"].reason == "UpdateInProgress"
    else:
        reported = "Updating" in by_type and by_type["Updating"].status == "True"
    return reported or _differs(kubevirt)


def _differs(kubevirt: Object) -> bool:
    """Whether something was deployed and another version, registry or deployment ID is wanted."""
    pairs = (
        (_text(kubevirt, f"observed{field}"), _text(kubevirt, f"target{field}"))
        for field in ("KubeVirtVersion", "KubeVirtRegistry", "DeploymentID")
    )
    return any(observed and target and observed != target for observed, target in pairs)


def _all_components_ready(kubevirt: Object) -> bool:
    ready = conditions(kubevirt).get("Available" if _has_conditions_of_0_20(kubevirt) else "Ready")
    return ready is not None and ready.status == "True"


def _sentence(kubevirt: Object) -> str:
    observed, target = observed_version(kubevirt), target_version(kubevirt)
    state = state_of(kubevirt)
    if state is State.DELETING:
        return "KubeVirt is being deleted"
    failure = deployment_failed(kubevirt)
    if failure:
        if failure.reason == "ExistingDeployment":  # two objects (#9098), or not in virt-operator's namespace
            return "virt-operator ignores this KubeVirt object"
        return f"virt-operator cannot deploy KubeVirt {target}"
    if state is State.UPDATING:
        if observed != target:
            return f"KubeVirt is being updated from {observed} to {target}"
        if _differs(kubevirt):
            return f"KubeVirt {target} is being rolled out again with another configuration"
        return f"All of KubeVirt {target} is applied, but not yet ready"
    if state is State.INSTALLING:
        return f"KubeVirt {target} is being installed" if target else "virt-operator has not reported on KubeVirt yet"
    if state is State.DEGRADED:
        return f"KubeVirt {observed} is deployed, but not all of its components are ready"
    return f"KubeVirt {observed} is deployed and ready"


def _deciding_condition(kubevirt: Object) -> Condition | None:
    by_type = conditions(kubevirt)
    order = ("Available",) if _has_conditions_of_0_20(kubevirt) else ("Updating", "Ready")
    return next((by_type[type] for type in ("Synchronized", *order) if type in by_type), None)
