# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bringing virt-operator back: of the installed version, from its registry, and only while its KubeVirt object is there."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import ManifestUnavailable
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.blockage_scene import Cure
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.given_files import MANIFEST_OPTIONS
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.repair import Repair

World = t.Any  # tests/unit/operations/conftest.py
Server = t.Any

DEPLOYMENT = "/apis/apps/v1/namespaces/kubevirt/deployments/virt-operator"
KUBEVIRT = "/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts/kubevirt"


@pytest.fixture
def server(world: World) -> Server:
    """KubeVirt v1.7.0 without its operator; once that is written it is ready."""
    world.operator_is_there = False
    server = world.server()
    server.objects[KUBEVIRT]["metadata"]["uid"] = "kv"

    def get_ready(path: str) -> None:
        if path == DEPLOYMENT:
            server.objects[path]["status"] = {"readyReplicas": 1}

    server.after_write = get_ready
    return server


def repair(world: World, server: Server, folder: Path, **options: t.Any) -> tuple[Repair, list[str]]:
    lines: list[str] = []
    params = {name: option.get("default") for name, option in MANIFEST_OPTIONS.items()}
    params |= {"manifest": world.manifests(folder, "v1.7.0"), **options}
    return Repair(server.api(), params, Clock(), lines.append), lines


def cure(version: str = "v1.7.0", uid: str = "kv") -> Cure:
    name = "Deployment kubevirt/virt-operator"
    return Cure("restore-operator", name, KUBEVIRT, "safe", "only it can finish", uid=uid, version=version)


def test_it_is_that_of_the_installed_version(world: World, server: Server, tmp_path: Path) -> None:
    made, lines = repair(world, server, tmp_path)
    assert made.cure([cure()]) == made.done == [cure()]
    assert server.written == [DEPLOYMENT]
    assert lines == [
        "repair: restore-operator Deployment kubevirt/virt-operator (only it can finish)",
        "repair: Deployment kubevirt/virt-operator: done",
    ]


def test_it_comes_from_the_registry_that_the_status_names(world: World, server: Server, tmp_path: Path) -> None:
    server.objects[KUBEVIRT]["status"]["observedKubeVirtRegistry"] = "registry.example:5000/kubevirt"
    repair(world, server, tmp_path)[0].cure([cure()])
    image = server.objects[DEPLOYMENT]["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "registry.example:5000/kubevirt/virt-operator:v1.7.0"


def test_a_registry_that_is_asked_for_wins(world: World, server: Server, tmp_path: Path) -> None:
    server.objects[KUBEVIRT]["status"]["observedKubeVirtRegistry"] = "registry.example:5000/kubevirt"
    repair(world, server, tmp_path, image_registry="mirror.example/kubevirt")[0].cure([cure()])
    image = server.objects[DEPLOYMENT]["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "mirror.example/kubevirt/virt-operator:v1.7.0"


def test_a_manifest_of_another_version_is_not_applied(world: World, server: Server, tmp_path: Path) -> None:
    made, _lines = repair(world, server, tmp_path, manifest=world.text("v1.8.4"))
    with pytest.raises(ManifestUnavailable, match=r"declares v1\.8\.4, and v1\.7\.0 is what was installed"):
        made.cure([cure()])
    assert (server.written, made.done) == ([], [])


def test_without_its_kubevirt_object_it_is_not_brought_back(world: World, server: Server, tmp_path: Path) -> None:
    made, lines = repair(world, server, tmp_path)
    assert made.cure([cure(uid="of-an-earlier-one")]) == []
    assert server.written == []
    assert "somebody else has done it" in lines[-1]
