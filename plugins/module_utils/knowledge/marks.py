# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What belongs to KubeVirt itself: by which marks it is known, and what only looks like it."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

Object = Mapping[str, t.Any]

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGERS = ("virt-operator", "kubevirt-operator")
"""What virt-operator writes into that label from 0.49 on, and before (pkg/controller/virtinformers.go)."""
MADE_BY_VIRT_OPERATOR = f"{MANAGED_BY} in ({','.join(MANAGERS)})"
"""The label selector of all that virt-operator made."""

GROUPS = frozenset(
    {
        "kubevirt.io",
        *(f"{part}.kubevirt.io" for part in ("snapshot", "instancetype", "flavor", "pool", "migrations", "clone")),
        *(f"{part}.kubevirt.io" for part in ("export", "backup", "template", "plugin")),
    }
)
"""The API groups of KubeVirt's own CRDs. Those of CDI, HCO, SSP and all others end with kubevirt.io too, and are not KubeVirt's."""
AGGREGATED_GROUPS = frozenset({"subresources.kubevirt.io", "subresources.template.kubevirt.io"})
"""The groups that KubeVirt's APIServices with a service have."""

OWN_LABELS = ("kubevirt.io", "operator.kubevirt.io")
# SSP, among others, has the same label with a value of its own: kubevirt.io=virt-template-validator.
OWN_LABEL_VALUES = frozenset(
    {
        "",
        "virt-operator",
        "virt-operator-strategy-dumper",
        "virt-operator-validator",
        "virt-api",
        "virt-api-aggregator",
        "virt-api-mutator",
        "virt-api-validator",
        "virt-controller",
        "virt-exportproxy",
        "virt-handler",
        "virt-launcher-pod-mutator",
        "virt-synchronization-controller",
        "virt-api-pdb",
        "virt-controller-pdb",
        "virt-exportproxy-pdb",
        "virt-synchronization-controller-pdb",
        "kubevirt-node-restriction",
    }
)
GUEST_LABEL_VALUES = frozenset({"virt-launcher", "hotplug-disk", "virt-exporter"})

# Without a label in at least one release. Namespaced ones count in KubeVirt's namespace only, unless it is named here.
_NAMES: Mapping[str, frozenset[str]] = {
    "CustomResourceDefinition": frozenset({"kubevirts.kubevirt.io"}),
    "MutatingWebhookConfiguration": frozenset({"virt-api-mutator", "virt-launcher-pod-mutator"}),
    "ValidatingWebhookConfiguration": frozenset({"virt-api-validator", "virt-operator-validator"}),
    "PriorityClass": frozenset({"kubevirt-cluster-critical"}),
    "ClusterRole": frozenset(
        {"kubevirt-operator", "kubevirt-apiserver", "kubevirt-controller", "kubevirt-handler", "kubevirt.io:operator"}
    ),
    "ClusterRoleBinding": frozenset(
        {
            *("kubevirt-operator", "kubevirt-apiserver", "kubevirt-controller", "kubevirt-handler"),
            "kubevirt-apiserver-auth-delegator",
        }
    ),
}
_NAMES_IN_ITS_NAMESPACE: Mapping[str, frozenset[str]] = {
    "Deployment": frozenset({"virt-operator"}),
    "ServiceAccount": frozenset({"kubevirt-operator"}),
    "Role": frozenset({"kubevirt-operator"}),
    "RoleBinding": frozenset({"kubevirt-operator-rolebinding"}),
    "PrometheusRule": frozenset({"prometheus-kubevirt-rules"}),
    # By which one pod of each leads; nobody deletes them with it.
    "Lease": frozenset({"virt-operator", "virt-controller"}),
    "Endpoints": frozenset({"virt-operator", "virt-controller"}),
    # Release asset kubevirt-network-policies.yaml, 1.8 and later; they have no label.
    "NetworkPolicy": frozenset(
        {
            "kubevirt-allow-ingress-to-metrics",
            "kubevirt-allow-ingress-to-virt-api-webhook-server",
            "kubevirt-allow-virt-api-to-components",
            "kubevirt-allow-virt-api-to-launchers",
            "kubevirt-allow-virt-api-to-virt-handler",
            "kubevirt-allow-ingress-to-virt-handler",
            "kubevirt-allow-ingress-to-virt-operator-webhook-server",
            "kubevirt-allow-virt-exportproxy-communications",
            "kubevirt-allow-handler-to-handler",
            "kubevirt-allow-handler-to-prometheus",
        }
    ),
}
_ELSEWHERE = frozenset(
    {
        ("RoleBinding", "kube-system", "virt-template-apiserver-auth-reader"),
        ("RoleBinding", "kube-system", "kubevirt-apiserver-auth-reader"),
    }
)
TEMPORARY_WEBHOOK = "virt-operator-tmp-webhook"
"""How the names of the webhooks begin that virt-operator makes for an update of its own CRDs."""
_SERVICES = frozenset({"virt-api", "virt-template-apiserver"})

HOLDS_DATA = frozenset(
    {"PersistentVolumeClaim", "PersistentVolume", "VolumeSnapshot", "VolumeSnapshotContent", "DataVolume"}
)
"""Kinds that are never deleted for a mark, whoever marked them."""

# The objects of kubevirt-operator.yaml besides the namespace, in the order in which they are deleted.
OPERATOR_OBJECTS: tuple[tuple[str, str], ...] = (
    ("Deployment", "virt-operator"),
    ("ClusterRoleBinding", "kubevirt-operator"),
    ("RoleBinding", "kubevirt-operator-rolebinding"),
    ("ClusterRole", "kubevirt-operator"),
    ("ClusterRole", "kubevirt.io:operator"),
    ("Role", "kubevirt-operator"),
    ("ServiceAccount", "kubevirt-operator"),
    ("PriorityClass", "kubevirt-cluster-critical"),
    ("CustomResourceDefinition", "kubevirts.kubevirt.io"),
)

NODE_PREFIXES = (
    "kubevirt.io/",
    *(f"{part}.node.kubevirt.io/" for part in ("cpu-model", "cpu-model-migration", "cpu-feature", "cpu-timer")),
    *(f"{part}.node.kubevirt.io/" for part in ("cpu-vendor", "hyperv", "host-model-cpu", "machine-type", "scheduling")),
    "host-model-required-features.node.kubevirt.io/",
    "node-labeller.kubevirt.io/",
)
CPU_MANAGER = "cpumanager"
SKIP_NODE = "node-labeller.kubevirt.io/skip-node"
DEVICES = "devices.kubevirt.io/"


def mark_of(kind: str, one: Object, namespace: str) -> str:
    """Why an object is KubeVirt's; empty where it is not. Whatever virt-operator made says so with the label ``MANAGED_BY`` in it.

    Args:
        kind: Its kind.
        one: The object; its metadata is enough, but for an APIService.
        namespace: Where KubeVirt is, or was. Empty where nobody knows: then only what is sure without it counts.
    """
    by_kind = {"CustomResourceDefinition": _mark_of_crd, "APIService": _mark_of_api_service}
    if kind in by_kind:
        mark = by_kind[kind](one, namespace)
        return ", ".join(filter(None, (mark, _manager(one)))) if mark else ""
    if _is_of_another_operator(_labels(one)):
        return ""
    return _mark_by_label(one, namespace) or _mark_by_name(kind, one, namespace)


def why_it_stays(kind: str, one: Object) -> str:
    """Why a marked object is not for us to delete; empty where it is."""
    if kind in HOLDS_DATA:
        return "it may hold data, so a person decides about it"
    if is_of_a_guest(one):
        return "it is of a VM, and goes with that"
    owner = next(iter(one["metadata"].get("ownerReferences") or ()), None)
    if owner:
        return f"it goes with {owner['kind']} {owner['name']}, as soon as Kubernetes has noticed that this is gone"
    return ""


def is_of_a_guest(one: Object) -> bool:
    """Whether it is a pod, or another object, that runs or serves a VM."""
    return _labels(one).get("kubevirt.io") in GUEST_LABEL_VALUES


def is_made_by_virt_operator(one: Object) -> bool:
    """Whether virt-operator made an object, such as KubeVirt's own parts and the instance types that come with it."""
    return _labels(one).get(MANAGED_BY) in MANAGERS


def is_of_the_operator(kind: str, name: str) -> bool:
    """Whether kubevirt-operator.yaml holds it."""
    return (kind, name) in OPERATOR_OBJECTS


class NodeMarks(t.NamedTuple):
    """What KubeVirt wrote onto one node.

    Attributes:
        labels: Keys.
        annotations: Keys.
        devices: Names of capacity that the kubelet shows until it restarts; nobody else can take it away for good.
        by_people: Keys that look like KubeVirt's and that a person set.
    """

    labels: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    by_people: tuple[str, ...] = ()


def node_marks(node: Object) -> NodeMarks:
    """KubeVirt's marks on a node.

    ``cpumanager`` is not KubeVirt's alone: OpenShift tells people to set it, and their pods select nodes by it. It counts only where
    the field managers say that virt-handler wrote its value. ``skip-node`` is how a person tells virt-handler to leave a node alone.
    """
    metadata = node["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    capacity = (node.get("status") or {}).get("capacity") or {}
    cpu_manager = [CPU_MANAGER] if CPU_MANAGER in labels else []
    of_virt_handler = _is_virt_handlers(metadata, CPU_MANAGER)
    return NodeMarks(
        labels=(*_of_kubevirt(labels), *(cpu_manager if of_virt_handler else ())),
        annotations=_of_kubevirt(annotations),
        devices=tuple(sorted(name for name in capacity if name.startswith(DEVICES))),
        by_people=(
            *(() if of_virt_handler else cpu_manager),
            *(key for key in (SKIP_NODE,) if key in annotations),
        ),
    )


def _mark_of_crd(one: Object, _namespace: str) -> str:
    """Its name says the group, which has to be exactly one of KubeVirt's."""
    _plural, _dot, group = one["metadata"]["name"].partition(".")
    if group not in GROUPS:
        return ""
    # The templates exist also as a project of their own, installed without virt-operator.
    if group == "template.kubevirt.io" and not is_made_by_virt_operator(one):
        return ""
    return f"a CRD of KubeVirt's group {group}"


def _mark_of_api_service(one: Object, namespace: str) -> str:
    """Only those that lead to KubeVirt's own service: Kubernetes makes ``v1.kubevirt.io`` itself, for the CRDs."""
    spec = one.get("spec") or {}
    service = spec.get("service") or {}
    if spec.get("group") not in AGGREGATED_GROUPS or service.get("name") not in _SERVICES:
        return ""
    if not namespace or service.get("namespace") != namespace:
        return ""
    return f"it leads to service {namespace}/{service['name']}"


def _manager(one: Object) -> str:
    return f"label {MANAGED_BY}={_labels(one)[MANAGED_BY]}" if is_made_by_virt_operator(one) else ""


def _mark_by_label(one: Object, namespace: str) -> str:
    manager = _manager(one)
    if manager:
        return manager
    labels = _labels(one)
    where = one["metadata"].get("namespace")
    is_its_place = not where or where == namespace
    for key in OWN_LABELS:
        if (is_its_place and labels.get(key) in OWN_LABEL_VALUES) or (key in labels and is_of_a_guest(one)):
            return f"label {key}={labels[key]}"
    return ""


def _mark_by_name(kind: str, one: Object, namespace: str) -> str:
    name, where = one["metadata"]["name"], one["metadata"].get("namespace") or ""
    is_known = (
        (name in _NAMES.get(kind, ()) and not where)
        or (kind == "ValidatingWebhookConfiguration" and name.startswith(TEMPORARY_WEBHOOK))
        or (name in _NAMES_IN_ITS_NAMESPACE.get(kind, ()) and where == namespace)
        or (kind, where, name) in _ELSEWHERE
    )
    return "its name" if is_known else ""


def _is_of_another_operator(labels: Mapping[str, str]) -> bool:
    """SSP, HCO and CDI put KubeVirt's labels and names onto some of their own objects. Helm and its like install KubeVirt's."""
    manager = labels.get(MANAGED_BY, "")
    return manager not in MANAGERS and manager.endswith(("-operator", "-controller"))


def _of_kubevirt(keys: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(key for key in keys if key.startswith(NODE_PREFIXES) and key != SKIP_NODE))


def _is_virt_handlers(metadata: Object, label: str) -> bool:
    return any(
        entry.get("manager") == "virt-handler"
        and f"f:{label}" in ((entry.get("fieldsV1") or {}).get("f:metadata") or {}).get("f:labels", {})
        for entry in metadata.get("managedFields") or ()
    )


def _labels(one: Object) -> Mapping[str, str]:
    return one["metadata"].get("labels") or {}
