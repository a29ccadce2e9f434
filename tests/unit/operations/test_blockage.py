# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read to say what blocks a deletion, and what may not be read."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.stuck import blockage_findings, cures
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.blockage import Scene, scene_of_removal
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.observe import Cluster, Facts

World = t.Any  # tests/unit/operations/conftest.py
Server = t.Any

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=timezone.utc)
VM_CRD = "virtualmachines.kubevirt.io"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
VALIDATOR = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/virt-operator-validator"
SERVICE = "/api/v1/namespaces/kubevirt/services/kubevirt-operator-webhook"
NAMESPACE = "/api/v1/namespaces/kubevirt"


@pytest.fixture
def server(world: World) -> Server:
    """A healthy KubeVirt with its webhook, and the CRD of VMs."""
    server = world.server()
    server.objects[NAMESPACE] = {"metadata": {"name": "kubevirt"}}
    server.objects[f"{CRDS}/{VM_CRD}"] = {
        "metadata": {"name": VM_CRD},
        "spec": {
            **{"group": "kubevirt.io", "names": {"plural": "virtualmachines", "kind": "VirtualMachine"}},
            "versions": [{"name": "v1alpha3", "served": True}, {"name": "v1", "served": True, "storage": True}],
        },
    }
    service = {"namespace": "kubevirt", "name": "kubevirt-operator-webhook"}
    server.objects[VALIDATOR] = {
        "metadata": {"name": "virt-operator-validator", "uid": "uid-v"},
        "webhooks": [{"clientConfig": {"service": service}}],
    }
    return server


def seen(world: World, server: Server, facts: Facts | None = None) -> Scene:
    return scene_of_removal(server.api(check_mode=True), facts or world.facts(), NOW)


def test_objects_in_deletion_are_held_with_their_paths_and_kinds(world: World, server: Server) -> None:
    going = {"namespace": "shop", "name": "one", "deletionTimestamp": "2026-11-29T11:00:00Z", "finalizers": ["x.io/y"]}
    path = "/apis/kubevirt.io/v1/namespaces/shop/virtualmachines/one"
    server.objects[path] = {"metadata": going}
    server.objects[f"{CRDS}/{VM_CRD}"]["metadata"]["deletionTimestamp"] = "2026-11-29T11:00:00Z"
    scene = seen(world, server)
    assert [(one.path, one.name, one.finalizers) for one in scene.held] == [
        (path, "VirtualMachine shop/one", ["x.io/y"])
    ]
    assert scene.remaining == {VM_CRD: world.workloads.vms + 1}


def test_a_webhook_without_its_service_is_dead(world: World, server: Server) -> None:
    assert [one.object for one in cures(seen(world, server))] == [
        "ValidatingWebhookConfiguration virt-operator-validator"
    ]


def test_a_webhook_whose_service_cannot_be_read_is_not(world: World, server: Server) -> None:
    server.refuses[SERVICE] = (403, "GET services")
    scene = seen(world, server)
    assert (scene.services, cures(scene)) == ({}, [])
    assert [one.id for one in blockage_findings(scene)] == ["remove.not-all-read"]
    assert "service kubevirt/kubevirt-operator-webhook" in blockage_findings(scene)[0].cause


@pytest.mark.parametrize("part", ["virt-operator", "virt-controller"])
def test_a_part_that_may_not_be_read_is_not_gone(world: World, server: Server, part: str) -> None:
    server.objects.pop(f"/apis/apps/v1/namespaces/kubevirt/deployments/{part}", None)
    assert seen(world, server).health(part) == "gone"
    server.refuses[f"/apis/apps/v1/namespaces/kubevirt/deployments/{part}"] = (403, "GET deployments")
    scene = seen(world, server)
    assert (scene.health(part), scene.unread) == ("unknown", (part,))


def test_without_a_kubevirt_object_the_operator_says_where_it_was(world: World, server: Server) -> None:
    operator = server.objects["/apis/apps/v1/namespaces/kubevirt/deployments/virt-operator"]
    operator["status"] = {"readyReplicas": 2}
    scene = seen(world, server, Facts(Cluster("https://api.example:6443", "0000-1111")))
    assert (scene.home, scene.kubevirts, scene.health("virt-operator")) == ("kubevirt", (), "ready")


def test_a_cluster_without_anything_of_kubevirt_needs_few_questions(world: World) -> None:
    world.kubevirt, world.live, world.workloads = None, {}, replace(world.workloads, vms=0, vmis=0)
    world.operator_is_there = False
    server = world.server()
    api = server.api(check_mode=True)
    scene = scene_of_removal(api, Facts(Cluster("https://api.example:6443", "0000-1111")), NOW)
    assert (blockage_findings(scene), cures(scene), scene.home) == ([], [], "")
    assert api.requests < 10


@pytest.mark.parametrize(
    ("endpoints", "state"),
    [
        ([], "silent"),
        ([{"conditions": {"ready": False}}], "silent"),
        ([{"conditions": {"ready": False}}, {"conditions": {"ready": True}}], "ready"),
        ([{}], "ready"),
    ],
)
def test_a_service_answers_if_one_of_its_endpoints_may(
    world: World, server: Server, endpoints: list[dict[str, t.Any]], state: str
) -> None:
    """An endpoint that does not say whether it is ready is to be taken for it."""
    server.objects[SERVICE] = {"metadata": {"name": "kubevirt-operator-webhook"}}
    slices = "/apis/discovery.k8s.io/v1/namespaces/kubevirt/endpointslices"
    server.objects[f"{slices}/one"] = {"metadata": {"name": "one"}, "endpoints": endpoints}
    assert seen(world, server).services == {"kubevirt/kubevirt-operator-webhook": state}
