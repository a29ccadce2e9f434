# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The facts of a cluster that risks are about: a document of plain values for expressions.

Its keys are part of what users write their risks against (docs/risks.md), so they stay. A part that could not be read is
None; a risk that asks for it says that it cannot be told.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable, Iterator, Mapping

from .launchers import tag_of
from .versions import try_parse

Object = Mapping[str, t.Any]

_OS = "kubernetes.io/os"
# All of KubeVirt's pods have it (pkg/virt-operator/resource/generate/components/deployments.go).
_CRITICAL_ADDONS: Object = {"key": "CriticalAddonsOnly", "operator": "Exists"}


class KubernetesFacts(t.TypedDict):
    """The API server: its version as it tells it, and the minor as a number, because expressions cannot compare texts."""

    version: str
    minor: int


class KubeVirtFacts(t.TypedDict):
    """The KubeVirt object; ``version`` is the running one, and ``feature_gates`` are those of its configuration."""

    namespace: str
    name: str
    version: str
    feature_gates: list[str]
    spec: Object
    status: Object


class OperatorFacts(t.TypedDict):
    """Deployment virt-operator: what it declares; empty where it does not."""

    version: str
    registry: str


class TaintFacts(t.TypedDict):
    """A taint of a node."""

    key: str
    value: str
    effect: str


class NodeFacts(t.TypedDict):
    """A node; ``virt_handler``: spec.workloads.nodePlacement selects it by its labels and tolerates its taints."""

    name: str
    ready: bool
    schedulable: bool
    virt_handler: bool
    labels: Mapping[str, str]
    taints: list[TaintFacts]


class CrdFacts(t.TypedDict):
    """A CRD of KubeVirt's API groups; ``stored_versions`` are those of its status."""

    name: str
    stored_versions: list[str]
    served_versions: list[str]


class LauncherFacts(t.TypedDict):
    """Running VMs by the version of their virt-launcher, which is empty where its image does not tell."""

    version: str
    vmis: int


class PreferenceFacts(t.TypedDict):
    """A VirtualMachinePreference or VirtualMachineClusterPreference, and the paths of its fields that are null."""

    name: str
    null_fields: list[str]


class Counts(t.TypedDict):
    """How many there are.

    ``migrations`` are the unfinished ones, ``flavors`` all objects of flavor.kubevirt.io, ``install_strategies`` the
    ConfigMaps with the label kubevirt.io/install-strategy beside the operator.
    """

    vms: int | None
    vmis: int | None
    outdated_vmis: int | None
    migrations: int | None
    flavors: int | None
    install_strategies: int | None


class ClusterFacts(t.TypedDict):
    """All that a risk can ask about a cluster; ``owners`` are the ids of the findings about owners."""

    kubernetes: KubernetesFacts
    kubevirt: KubeVirtFacts
    operator: OperatorFacts
    owners: list[str]
    nodes: list[NodeFacts] | None
    crds: list[CrdFacts] | None
    launchers: list[LauncherFacts] | None
    preferences: list[PreferenceFacts] | None
    counts: Counts


def kubernetes_facts(git_version: str) -> KubernetesFacts:
    """From the gitVersion of /version, such as ``v1.34.4+k3s1``."""
    match = re.match(r"v?[0-9]+\.([0-9]+)", git_version)
    return {"version": git_version, "minor": int(match[1]) if match else 0}


def kubevirt_facts(kubevirt: Object, running: str) -> KubeVirtFacts:
    """From the KubeVirt object and the version that runs."""
    spec = kubevirt.get("spec") or {}
    developer = (spec.get("configuration") or {}).get("developerConfiguration") or {}
    return {
        "namespace": kubevirt["metadata"]["namespace"],
        "name": kubevirt["metadata"]["name"],
        "version": running,
        "feature_gates": list(developer.get("featureGates") or ()),
        "spec": spec,
        "status": kubevirt.get("status") or {},
    }


def node_facts(node: Object, kubevirt: Object) -> NodeFacts:
    """From a Node and the KubeVirt object."""
    labels = node["metadata"].get("labels") or {}
    spec = node.get("spec") or {}
    conditions = (node.get("status") or {}).get("conditions") or ()
    taints: list[TaintFacts] = [
        {"key": one["key"], "value": one.get("value") or "", "effect": one["effect"]}
        for one in spec.get("taints") or ()
    ]
    placement = ((kubevirt.get("spec") or {}).get("workloads") or {}).get("nodePlacement") or {}
    return {
        "name": node["metadata"]["name"],
        "ready": any(one["type"] == "Ready" and one["status"] == "True" for one in conditions),
        "schedulable": not spec.get("unschedulable"),
        "virt_handler": _selects(placement, labels) and all(_tolerates(placement, taint) for taint in taints),
        "labels": labels,
        "taints": taints,
    }


def crd_facts(crd: Object) -> CrdFacts:
    """From a CustomResourceDefinition."""
    return {
        "name": crd["metadata"]["name"],
        "stored_versions": list((crd.get("status") or {}).get("storedVersions") or ()),
        "served_versions": [one["name"] for one in crd["spec"].get("versions") or () if one.get("served")],
    }


def launcher_facts(running: str, vmis: int, outdated: Iterable[Object]) -> list[LauncherFacts]:
    """Which launchers there are.

    Args:
        running: KubeVirt's version.
        vmis: How many VirtualMachineInstances run.
        outdated: Those with the label ``launchers.OUTDATED_LABEL``. The others have the launcher of the running version,
            so they need not be read.
    """
    found: dict[str, int] = {}
    for vmi in outdated:
        tag = tag_of((vmi.get("status") or {}).get("launcherContainerImageVersion") or "")
        version = str(try_parse(tag) or "")
        found[version] = found.get(version, 0) + 1
    current = vmis - sum(found.values())
    if current > 0:
        found[running] = found.get(running, 0) + current
    return [{"version": version, "vmis": found[version]} for version in sorted(found)]


def preference_facts(preference: Object) -> PreferenceFacts:
    """From a VirtualMachinePreference or VirtualMachineClusterPreference with its kind."""
    metadata = preference["metadata"]
    within = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return {
        "name": f"{preference['kind']} {within}{metadata['name']}",
        "null_fields": list(_nulls(preference.get("spec") or {}, "spec")),
    }


def _selects(placement: Object, labels: Mapping[str, str]) -> bool:
    """Whether the node selector fits. virt-handler is for Linux; its affinity, which few set, is not looked at."""
    wanted = placement.get("nodeSelector") or {}
    return labels.get(_OS, "linux") == "linux" and wanted.items() <= labels.items()


def _tolerates(placement: Object, taint: TaintFacts) -> bool:
    """Whether virt-handler runs on a node with this taint; every DaemonSet tolerates those of the node controller."""
    if taint["effect"] == "PreferNoSchedule" or taint["key"].startswith("node.kubernetes.io/"):
        return True
    return any(
        one.get("key", taint["key"]) == taint["key"]
        and one.get("effect", taint["effect"]) == taint["effect"]
        and (one.get("operator") == "Exists" or (one.get("value") or "") == taint["value"])
        for one in (_CRITICAL_ADDONS, *(placement.get("tolerations") or ()))
    )


def _nulls(value: t.Any, path: str) -> Iterator[str]:
    if value is None:
        yield path
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _nulls(inner, f"{path}.{key}")
