# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is left of KubeVirt is found in every kind of a real API server and removed, and what is another's is not touched."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterator

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.api import Api
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.connection import connect
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.served import served_resources
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.sweep import (
    NEW_INSTALLATION,
    Proof,
    Sweep,
    foreign_objects,
    leftovers_of,
    sweep_findings,
)

from tests.contract.conftest import FROM, World
from tests.support.lab import Json
from tests.support.leftover_search import leftovers

MANAGED = {"app.kubernetes.io/managed-by": "virt-operator"}
OLD_MANAGED = {"app.kubernetes.io/managed-by": "kubevirt-operator"}


def made(kind: str, name: str, namespace: str = "", labels: t.Mapping[str, str] | None = None, **rest: t.Any) -> Json:
    where = {"namespace": namespace} if namespace else {}
    return {
        "apiVersion": VERSIONS.get(kind, "v1"),
        "kind": kind,
        "metadata": {"name": name, **where, "labels": dict(labels or {})},
        **rest,
    }


RBAC, ADMISSION, CRDS = "rbac.authorization.k8s.io/v1", "admissionregistration.k8s.io/v1", "apiextensions.k8s.io/v1"
VERSIONS = {
    **dict.fromkeys(("ClusterRole", "ClusterRoleBinding", "RoleBinding"), RBAC),
    **dict.fromkeys(("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"), ADMISSION),
    "CustomResourceDefinition": CRDS,
    "APIService": "apiregistration.k8s.io/v1",
    "Lease": "coordination.k8s.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PodDisruptionBudget": "policy/v1",
    "DaemonSet": "apps/v1",
    "VirtualMachine": "kubevirt.io/v1",
    "CDI": "cdi.kubevirt.io/v1",
}


def crd(kind: str, group: str, *, labels: t.Mapping[str, str] | None = None, scope: str = "Namespaced") -> Json:
    plural = f"{kind.lower()}s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    spec = {
        "group": group,
        "scope": scope,
        "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
    }
    return made("CustomResourceDefinition", f"{plural}.{group}", labels=labels, spec=spec)


def api_service(version: str, group: str, namespace: str, service: str) -> Json:
    spec = {
        "group": group,
        "version": version,
        "groupPriorityMinimum": 1000,
        "versionPriority": 15,
        "insecureSkipTLSVerify": True,
        "service": {"namespace": namespace, "name": service},
    }
    return made("APIService", f"{version}.{group}", spec=spec)


def bound(kind: str, name: str, namespace: str = "", labels: t.Mapping[str, str] | None = None) -> Json:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    return made(kind, name, namespace, labels, roleRef=role, subjects=[])


def daemon_set(name: str, labels: t.Mapping[str, str]) -> Json:
    selected = {"app": name}
    template = {"metadata": {"labels": selected}, "spec": {"containers": [{"name": "main", "image": "none"}]}}
    return made(
        "DaemonSet", name, "kubevirt", labels, spec={"selector": {"matchLabels": selected}, "template": template}
    )


KUBEVIRTS = [
    crd("VirtualMachine", "kubevirt.io", labels=MANAGED),
    crd("VirtualMachineSnapshot", "snapshot.kubevirt.io", labels=MANAGED),
    made("ValidatingWebhookConfiguration", "virt-api-validator"),
    made("MutatingWebhookConfiguration", "virt-api-mutator"),
    made("ValidatingWebhookConfiguration", "virt-operator-tmp-webhookx7k2p"),
    api_service("v1", "subresources.kubevirt.io", "kubevirt", "virt-api"),
    api_service("v1alpha3", "subresources.kubevirt.io", "kubevirt", "virt-api"),
    made("ClusterRole", "kubevirt-controller", labels=MANAGED, rules=[]),
    bound("ClusterRoleBinding", "kubevirt-controller", labels=MANAGED),
    bound("RoleBinding", "virt-template-apiserver-auth-reader", "kube-system"),
    daemon_set("virt-handler", OLD_MANAGED),
    made("Service", "virt-api", "kubevirt", MANAGED, spec={"ports": [{"port": 443}]}),
    made("Secret", "kubevirt-ca", "kubevirt", MANAGED),
    made("ConfigMap", "kubevirt-install-strategy-x2k4p", "kubevirt", MANAGED),
    made("Lease", "virt-controller", "kubevirt", spec={}),
    # kinds and places where nobody expects it
    made("PodDisruptionBudget", "planted", "default", MANAGED, spec={"maxUnavailable": 1, "selector": {}}),
    made("LimitRange", "planted", "default", OLD_MANAGED, spec={"limits": []}),
]
OTHERS = [
    crd("CDI", "cdi.kubevirt.io", scope="Cluster"),
    crd("HyperConverged", "hco.kubevirt.io"),
    crd("SSP", "ssp.kubevirt.io"),
    crd("NetworkAddonsConfig", "networkaddonsoperator.network.kubevirt.io"),
    crd("ForkliftController", "forklift.konveyor.io"),
    crd("VirtualMachineTemplate", "template.kubevirt.io"),
    api_service("v1beta1", "upload.cdi.kubevirt.io", "cdi", "cdi-api"),
    made("ClusterRole", "cdi.kubevirt.io:admin", labels={"cdi.kubevirt.io": ""}, rules=[]),
    made("ClusterRole", "template:view", labels={"kubevirt.io": "virt-template-validator"}, rules=[]),
    made("ConfigMap", "mine", "default", {"kubevirt.io": "", "kubevirt.io/vm": "web"}),
    made("Secret", "pull-secret", "kubevirt"),
]


@pytest.fixture
def planted(bare_world: World) -> Iterator[World]:
    """KubeVirt's manifest, what virt-operator makes, and other projects' objects that look like it; nobody works on any of it."""
    run = bare_world.lab.kubectl
    run("create", "-f", str(bare_world.manifests[FROM]))
    bare_world.lab.apply(made("Namespace", "cdi"))
    run("create", "-f", "-", stdin=yaml.safe_dump_all([*KUBEVIRTS, *OTHERS]))
    bare_world.lab.wait_for("Established", "crd/cdis.cdi.kubevirt.io", "crd/virtualmachines.kubevirt.io")
    run("create", "-f", "-", stdin=json.dumps(made("CDI", "cdi")))
    run("create", "-f", "-", stdin=json.dumps(worker()))
    yield bare_world
    run("delete", "cdis.cdi.kubevirt.io", "cdi")
    run("delete", "--ignore-not-found", "-f", "-", stdin=yaml.safe_dump_all([*KUBEVIRTS[::-1], *OTHERS]))
    run("delete", "node", "worker")
    bare_world.remove()


def worker() -> Json:
    labels = {
        "kubevirt.io/schedulable": "false",
        "cpu-model.node.kubevirt.io/Skylake-Client": "true",
        "scheduling.node.kubevirt.io/tsc-frequency-2499996000": "true",
        "cpumanager": "true",
        "kubernetes.io/hostname": "worker",
    }
    one = made("Node", "worker", labels=labels)
    one["metadata"]["annotations"] = {"kubevirt.io/heartbeat": "2026-01-01T00:00:00Z", "example.com/kept": "yes"}
    one["status"] = {"capacity": {"devices.kubevirt.io/kvm": "0", "bridge.network.kubevirt.io/br1": "1k", "cpu": "4"}}
    return one


def api_of(world: World) -> Api:
    return connect({"kubeconfig": str(world.lab.kubeconfig)}, check_mode=False, clock=Clock())


def swept(world: World, **options: t.Any) -> Proof:
    api = api_of(world)
    sweep = Sweep(api, Clock(), "kubevirt", lambda line: None, **options)
    return sweep.run(leftovers_of(api, "kubevirt"))


def others(world: World) -> dict[str, str]:
    """The uids of the other projects' objects, by name."""
    kinds = {
        f"{one['kind']}.{one['apiVersion'].partition('/')[2]}.{one['apiVersion'].partition('/')[0]}"
        for one in OTHERS
        if "/" in one["apiVersion"]
    }
    listed = world.lab.get(",".join(sorted({*kinds, "cdis.cdi.kubevirt.io", "configmaps", "secrets"})), "-A")["items"]
    names = {(one["kind"], one["metadata"]["name"]) for one in [*OTHERS, made("CDI", "cdi")]}
    found = {(one["kind"], one["metadata"]["name"]): one["metadata"]["uid"] for one in listed}
    return {f"{kind} {name}": found[kind, name] for kind, name in sorted(names)}


def test_kubevirts_own_is_gone_and_the_others_are_as_they_were(planted: World) -> None:
    before = others(planted)
    proof = swept(planted)
    assert [one.as_dict() for one in proof.left] == []
    assert others(planted) == before
    assert {one.object: one.reason for one in proof.kept} == {
        "Node worker": "a person set cpumanager",
        "Namespace kubevirt": "remove_namespace is false",
    }
    for one in KUBEVIRTS:
        metadata = one["metadata"]
        where = f"{metadata['namespace']}/" if "namespace" in metadata else ""
        assert f"{one['kind']} {where}{metadata['name']}" in proof.removed
    assert proof.removed[0].startswith("ValidatingWebhookConfiguration ")
    assert "CustomResourceDefinition kubevirts.kubevirt.io" in proof.removed
    live = planted.lab.get("node", "worker")["metadata"]
    assert live["labels"] == {"cpumanager": "true", "kubernetes.io/hostname": "worker"}
    assert live["annotations"] == {"example.com/kept": "yes"}
    assert {one.id for one in sweep_findings(proof, "kubevirt")} <= {"remove.devices-left", "remove.not-searched"}
    assert all("cdi.kubevirt.io" in line for line in proof.unreadable)
    assert proof.kinds > 40 and proof.requests < 3 * proof.kinds

    seen = leftovers(planted.lab)
    names = {f"{one.kind} {one.name}" for one in seen}
    expected = {
        *("Namespace kubevirt", "Secret kubevirt/pull-secret", "ConfigMap default/mine", "Node worker"),
        *(
            "CustomResourceDefinition virtualmachinetemplates.template.kubevirt.io",
            "APIService v1.template.kubevirt.io",
        ),
        "ClusterRole template:view",
    }
    of_every_namespace = {"ServiceAccount kubevirt/default", "ConfigMap kubevirt/kube-root-ca.crt"}
    assert names - of_every_namespace - expected == set(), seen
    again = swept(planted)
    assert (again.removed, again.left) == ([], [])


def test_a_new_installation_loses_nothing(planted: World) -> None:
    api = api_of(planted)
    found = leftovers_of(api, "kubevirt")
    planted.lab.kubectl("delete", "clusterrole", "kubevirt-controller")
    planted.lab.apply(made("ClusterRole", "kubevirt-controller", labels=MANAGED, rules=[]))
    proof = Sweep(api, Clock(), "kubevirt", lambda line: None).run(found)
    assert planted.lab.get("clusterrole", "kubevirt-controller")["metadata"]["name"] == "kubevirt-controller"
    assert {one.object: one.reason for one in proof.left}["ClusterRole kubevirt-controller"] == NEW_INSTALLATION


def test_a_crd_with_vms_stays(planted: World) -> None:
    vm = made("VirtualMachine", "web", "default", spec={})
    planted.lab.kubectl("create", "-f", "-", stdin=json.dumps(vm))
    proof = swept(planted, with_user_objects=True)
    assert planted.lab.get("virtualmachine", "web", "-n", "default")["metadata"]["name"] == "web"
    assert {one.object for one in proof.left} == {
        "CustomResourceDefinition virtualmachines.kubevirt.io",
        "VirtualMachine default/web",
    }
    planted.lab.kubectl("delete", "virtualmachine", "web", "-n", "default")


def test_what_else_lives_in_the_namespace(planted: World) -> None:
    api = api_of(planted)
    planted.lab.kubectl("delete", "apiservice", "v1beta1.upload.cdi.kubevirt.io", "v1.subresources.kubevirt.io")
    planted.lab.kubectl("delete", "apiservice", "v1alpha3.subresources.kubevirt.io")
    assert foreign_objects(api, "kubevirt") == ["Secret kubevirt/pull-secret"]


def test_a_group_that_does_not_answer_is_said_and_the_rest_is_read(planted: World) -> None:
    resources, unreadable = served_resources(api_of(planted))
    assert {"pods", "deployments", "virtualmachines"} <= {one.name for one in resources}
    assert len([line for line in unreadable if "subresources.kubevirt.io" in line]) == 1
    assert len([line for line in unreadable if "upload.cdi.kubevirt.io" in line]) == 1
