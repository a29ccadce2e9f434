# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Installing and uninstalling KubeVirt as a person would, with kubectl."""

from __future__ import annotations

import typing as t
from pathlib import Path

from kvlab import kubectl, manifests
from kvlab.lab import Lab
from kvlab.waiting import NotYet, wait_for

HOW = {
    "kubectl-create": ["create"],
    "kubectl-apply": ["apply"],
    "server-side": ["apply", "--server-side"],
}
CR_REAL_GUESTS = manifests.DATA / "kubevirt-cr-real-guests.yaml"
DONE = {"Available": "True", "Progressing": "False", "Degraded": "False", "Created": "True"}


def install(lab: Lab, version: str, how: str) -> None:
    """Install a release and wait until KubeVirt says that it is done."""
    kubectl.kubectl(lab, *HOW[how], "-f", manifests.operator(version))
    wait_for(f"virt-operator {version}", lambda: _operator_available(lab), 300)
    wait_for("the KubeVirt CR to be accepted", lambda: kubectl.attempt(lab, *HOW[how], "-f", cr_of(lab)), 60)
    wait_done(lab, version)


def cr_of(lab: Lab) -> Path:
    """The KubeVirt CR of a lab: virt-handler and VMs go to its real nodes for guests, or else to the simulated ones."""
    return CR_REAL_GUESTS if lab.recorded().get("real_guests") else manifests.CR


def wait_done(lab: Lab, version: str) -> None:
    """Wait until KubeVirt is at *version* and done."""
    wait_for(f"KubeVirt {version} to be done", lambda: _done(lab, version), 900, poll=1)


def uninstall(lab: Lab) -> None:
    """Delete the CR, then what the operator's manifest brought."""
    operator = kubectl.get(lab, "deployment", "virt-operator", "-n", "kubevirt")
    image = operator["spec"]["template"]["spec"]["containers"][0]["image"]
    for manifest in (cr_of(lab), manifests.operator(image.rpartition(":")[2])):
        kubectl.kubectl(lab, "delete", "-f", manifest, "--ignore-not-found", "--timeout=300s")


def why_not_done(cr: dict[str, t.Any], version: str) -> str:
    """What keeps a KubeVirt CR from being done at *version*; empty if it is done."""
    status = cr.get("status", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    wrong = [
        f"{kind}={conditions[kind]['status']} ({conditions[kind].get('reason', '')})"
        if kind in conditions
        else f"no {kind}"
        for kind, wanted in DONE.items()
        if conditions.get(kind, {}).get("status") != wanted
    ]
    if wrong:
        return ", ".join(wrong)
    for field in ("targetKubeVirtVersion", "observedKubeVirtVersion"):
        if status.get(field) != version:
            return f"{field} is {status.get(field)}"
    if status.get("observedGeneration") != cr["metadata"]["generation"]:
        return "the last change of the CR is not observed"
    if status.get("targetDeploymentID") != status.get("observedDeploymentID"):
        return "the observed deployment is not the target"
    return ""


def _operator_available(lab: Lab) -> bool:
    status = kubectl.get(lab, "deployment", "virt-operator", "-n", "kubevirt").get("status", {})
    return bool(status.get("availableReplicas"))


def _done(lab: Lab, version: str) -> bool:
    if reason := why_not_done(kubectl.get(lab, "kubevirt", "kubevirt", "-n", "kubevirt"), version):
        raise NotYet(reason)
    return True
