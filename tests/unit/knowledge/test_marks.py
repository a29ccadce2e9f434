# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is KubeVirt's, and what only looks like it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.marks import (
    OPERATOR_OBJECTS,
    NodeMarks,
    is_of_the_operator,
    mark_of,
    node_marks,
    why_it_stays,
)

Object = dict[str, t.Any]

MANAGED_BY = "app.kubernetes.io/managed-by"
NEW, OLD = {MANAGED_BY: "virt-operator"}, {MANAGED_BY: "kubevirt-operator"}


def one(name: str, labels: t.Mapping[str, str] | None = None, **rest: t.Any) -> Object:
    """An object; its name may have a namespace in front."""
    where, _slash, name = name.rpartition("/")
    return {"metadata": {"name": name, "labels": dict(labels or {})} | ({"namespace": where} if where else {}), **rest}


def api_service(group: str, namespace: str | None, service: str = "virt-api") -> Object:
    spec = {"group": group, "service": {"namespace": namespace, "name": service} if namespace else None}
    return one(f"v1.{group}", spec=spec)


@pytest.mark.parametrize(
    ("kind", "made", "why"),
    [
        ("Service", one("kubevirt/virt-api", NEW), "managed-by=virt-operator"),
        ("Deployment", one("kubevirt/virt-api", OLD), "managed-by=kubevirt-operator"),
        ("ServiceMonitor", one("monitoring/prometheus-kubevirt-rules", NEW), "managed-by"),
        ("RoleBinding", one("kube-system/virt-template-apiserver-auth-reader"), "its name"),
        ("PrometheusRule", one("kubevirt/prometheus-kubevirt-rules"), "its name"),
        ("ClusterRole", one("kubevirt.io:operator", {"operator.kubevirt.io": ""}), "operator.kubevirt.io="),
        ("ClusterRole", one("kubevirt.io:admin", {"kubevirt.io": ""}), "kubevirt.io="),
        ("Deployment", one("kubevirt/virt-operator", {"kubevirt.io": "virt-operator"}), "kubevirt.io=virt-operator"),
        ("Deployment", one("kubevirt/virt-operator", {"kubevirt.io": "virt-operator", MANAGED_BY: "Helm"}), "kubevirt"),
        ("PriorityClass", one("kubevirt-cluster-critical"), "its name"),
        ("ValidatingWebhookConfiguration", one("virt-operator-validator"), "its name"),
        ("ValidatingWebhookConfiguration", one("virt-operator-tmp-webhookx7k2p"), "its name"),
        ("MutatingWebhookConfiguration", one("virt-launcher-pod-mutator"), "its name"),
        ("Lease", one("kubevirt/virt-controller"), "its name"),
        ("NetworkPolicy", one("kubevirt/kubevirt-allow-handler-to-handler"), "its name"),
        ("Pod", one("default/virt-launcher-web-x7k2p", {"kubevirt.io": "virt-launcher"}), "virt-launcher"),
        ("Pod", one("default/hp-volume-x7k2p", {"kubevirt.io": "hotplug-disk"}), "hotplug-disk"),
        ("CustomResourceDefinition", one("virtualmachines.kubevirt.io"), "group kubevirt.io"),
        ("CustomResourceDefinition", one("virtualmachines.kubevirt.io", NEW), "managed-by=virt-operator"),
        ("CustomResourceDefinition", one("kubevirts.kubevirt.io"), "group kubevirt.io"),
        ("CustomResourceDefinition", one("virtualmachineflavors.flavor.kubevirt.io"), "group flavor.kubevirt.io"),
        ("CustomResourceDefinition", one("migrationpolicies.migrations.kubevirt.io"), "group migrations"),
        ("CustomResourceDefinition", one("virtualmachinetemplates.template.kubevirt.io", NEW), "group template"),
        ("APIService", api_service("subresources.kubevirt.io", "kubevirt"), "service kubevirt/virt-api"),
        (
            "APIService",
            api_service("subresources.template.kubevirt.io", "kubevirt", "virt-template-apiserver"),
            "service kubevirt/virt-template-apiserver",
        ),
    ],
)
def test_kubevirts_own(kind: str, made: Object, why: str) -> None:
    assert why in mark_of(kind, made, "kubevirt")


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("CustomResourceDefinition", one("datavolumes.cdi.kubevirt.io")),
        ("CustomResourceDefinition", one("hyperconvergeds.hco.kubevirt.io")),
        ("CustomResourceDefinition", one("ssps.ssp.kubevirt.io")),
        ("CustomResourceDefinition", one("networkaddonsconfigs.networkaddonsoperator.network.kubevirt.io")),
        ("CustomResourceDefinition", one("hostpathprovisioners.hostpathprovisioner.kubevirt.io")),
        ("CustomResourceDefinition", one("applicationawareresourcequotas.aaq.kubevirt.io")),
        ("CustomResourceDefinition", one("virtualmachinemigrationresourcequotas.mtq.kubevirt.io")),
        ("CustomResourceDefinition", one("plans.forklift.konveyor.io")),
        ("CustomResourceDefinition", one("virtualmachinetemplates.template.kubevirt.io")),
        ("CustomResourceDefinition", one("virtualmachines.subresources.kubevirt.io")),
        (
            "APIService",
            one("v1.kubevirt.io", {"kube-aggregator.kubernetes.io/automanaged": "true"}, spec={"group": "kubevirt.io"}),
        ),
        ("APIService", api_service("snapshot.kubevirt.io", None)),
        ("APIService", api_service("upload.cdi.kubevirt.io", "cdi", "cdi-api")),
        ("APIService", api_service("subresources.kubevirt.io", "kubevirt-of-another")),
        ("APIService", api_service("subresources.kubevirt.io", "kubevirt", "somebody")),
        ("ClusterRole", one("cdi.kubevirt.io:admin", {"cdi.kubevirt.io": ""})),
        ("Deployment", one("cdi/cdi-operator", {"operator.cdi.kubevirt.io": "", MANAGED_BY: "cdi-operator"})),
        ("PriorityClass", one("kubevirt-cluster-critical", {MANAGED_BY: "hco-operator"})),
        ("Deployment", one("kubevirt/virt-template-validator", {"kubevirt.io": "virt-template-validator"})),
        ("ClusterRole", one("view-templates", {"kubevirt.io": "", MANAGED_BY: "ssp-operator"})),
        ("ConfigMap", one("default/mine", {"kubevirt.io": ""})),
        ("PersistentVolumeClaim", one("default/disk", {"kubevirt.io/vm": "web"})),
        ("ServiceAccount", one("default/kubevirt-operator")),
        ("Lease", one("default/virt-controller")),
        ("Secret", one("kubevirt/pull-secret")),
        ("ConfigMap", one("kubevirt/kubevirt-config")),
        ("ClusterRole", one("kubevirt-hyperconverged")),
        ("ValidatingWebhookConfiguration", one("cdi-api-validate")),
        ("Deployment", {"metadata": {"name": "web", "namespace": "default"}}),
    ],
)
def test_not_kubevirts(kind: str, made: Object) -> None:
    assert mark_of(kind, made, "kubevirt") == ""


@pytest.mark.parametrize(
    ("kind", "made", "expected"),
    [
        ("APIService", api_service("subresources.kubevirt.io", "kubevirt"), False),
        ("Secret", one("somewhere/kubevirt-ca", NEW), True),
        ("Deployment", one("kubevirt/virt-operator", {"kubevirt.io": "virt-operator"}), False),
        ("ClusterRole", one("kubevirt.io:view", {"kubevirt.io": ""}), True),
    ],
)
def test_without_a_namespace_only_what_is_sure(kind: str, made: Object, expected: bool) -> None:
    assert bool(mark_of(kind, made, "")) == expected


def owned(kind: str, name: str) -> Object:
    made = one("kubevirt/virt-handler-x7k2p", {"kubevirt.io": "virt-handler"})
    made["metadata"]["ownerReferences"] = [{"kind": kind, "name": name, "uid": "u"}]
    return made


@pytest.mark.parametrize(
    ("kind", "made", "why"),
    [
        ("Service", one("kubevirt/virt-api", NEW), ""),
        ("Pod", owned("DaemonSet", "virt-handler"), "DaemonSet virt-handler"),
        ("Pod", one("default/virt-launcher-web-x", {"kubevirt.io": "virt-launcher"}), "of a VM"),
        ("PersistentVolumeClaim", one("default/disk", NEW), "data"),
        ("DataVolume", one("default/disk", NEW), "data"),
    ],
)
def test_what_is_not_for_us_to_delete(kind: str, made: Object, why: str) -> None:
    stays = why_it_stays(kind, made)
    assert why in stays and bool(stays) == bool(why)


def test_what_the_manifest_holds() -> None:
    assert OPERATOR_OBJECTS[0] == ("Deployment", "virt-operator")
    assert OPERATOR_OBJECTS[-1] == ("CustomResourceDefinition", "kubevirts.kubevirt.io")
    assert is_of_the_operator("ClusterRole", "kubevirt.io:operator")
    assert not is_of_the_operator("ClusterRole", "kubevirt-controller")


def node(labels: t.Iterable[str] = (), annotations: t.Iterable[str] = (), **rest: t.Any) -> Object:
    metadata = {"labels": dict.fromkeys(labels, "true"), "annotations": dict.fromkeys(annotations, "x"), **rest}
    return {"metadata": {"name": "worker", **metadata}}


def wrote(manager: str) -> list[Object]:
    return [{"manager": manager, "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:cpumanager": {}}}}}]


KUBEVIRTS_LABELS = (
    *("kubevirt.io/schedulable", "kubevirt.io/ksm-enabled", "kubevirt.io/sev-es", "kubevirt.io/cpumanager"),
    *("cpu-model.node.kubevirt.io/Skylake-Client", "cpu-model-migration.node.kubevirt.io/Skylake-Client-IBRS"),
    *(
        "cpu-feature.node.kubevirt.io/vmx",
        "cpu-timer.node.kubevirt.io/tsc-frequency",
        "cpu-vendor.node.kubevirt.io/Intel",
    ),
    *("hyperv.node.kubevirt.io/vpindex", "host-model-cpu.node.kubevirt.io/Skylake-Client"),
    "host-model-required-features.node.kubevirt.io/md-clear",
    *("machine-type.node.kubevirt.io/q35", "node-labeller.kubevirt.io/obsolete-host-model"),
    "scheduling.node.kubevirt.io/tsc-frequency-2499996000",
)
OTHERS_LABELS = (
    *("kubernetes.io/hostname", "node-role.kubernetes.io/worker", "feature.node.kubernetes.io/cpu-cpuid.VMX"),
    *(
        "topology.hostpath.csi/node",
        "hostpathprovisioner.kubevirt.io/pool",
        "cdi.kubevirt.io/import",
        "my.kubevirt.io/x",
    ),
)


def test_the_labels_of_a_node_by_their_prefixes() -> None:
    marks = node_marks(node([*KUBEVIRTS_LABELS, *OTHERS_LABELS]))
    assert marks == NodeMarks(labels=tuple(sorted(KUBEVIRTS_LABELS)))


@pytest.mark.parametrize(
    ("manager", "labels", "by_people"),
    [("virt-handler", ("cpumanager",), ()), ("kubectl-label", (), ("cpumanager",)), (None, (), ("cpumanager",))],
)
def test_whose_cpumanager_is(manager: str | None, labels: tuple[str, ...], by_people: tuple[str, ...]) -> None:
    fields = {"managedFields": wrote(manager)} if manager else {}
    assert node_marks(node(["cpumanager"], **fields)) == NodeMarks(labels=labels, by_people=by_people)


def test_a_person_who_lets_a_node_be_skipped_is_not_undone() -> None:
    annotations = [
        "kubevirt.io/heartbeat",
        "kubevirt.io/ksm-handler-managed",
        "node-labeller.kubevirt.io/skip-node",
        "a/b",
    ]
    marks = node_marks(node(annotations=annotations))
    assert marks.annotations == ("kubevirt.io/heartbeat", "kubevirt.io/ksm-handler-managed")
    assert marks.by_people == ("node-labeller.kubevirt.io/skip-node",)


def test_the_devices_of_a_node_are_kubevirts_only() -> None:
    capacity = {
        "cpu": "4",
        "devices.kubevirt.io/tun": "0",
        "devices.kubevirt.io/kvm": "0",
        "bridge.network.kubevirt.io/br1": "1k",
    }
    assert node_marks({"metadata": {"name": "n"}, "status": {"capacity": capacity}}) == NodeMarks(
        devices=("devices.kubevirt.io/kvm", "devices.kubevirt.io/tun")
    )
