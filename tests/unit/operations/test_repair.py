# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lets a deletion go on: virt-operator is brought back as it was, and each write is about that one object."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import ManifestUnavailable
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.blockage_scene import Cure
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.editing import ATTEMPTS
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.given_files import MANIFEST_OPTIONS
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.repair import READY_WITHIN, Repair
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.stopping import Stopped

from tests.support.quick_clock import QuickClock
from tests.unit.operations import test_sweep

World = t.Any  # tests/unit/operations/conftest.py
Server = t.Any

DEPLOYMENT = "/apis/apps/v1/namespaces/kubevirt/deployments/virt-operator"
KUBEVIRT = "/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts/kubevirt"
OF_VMS = "kubevirt.io/virtualMachineControllerFinalize"
VM = "/apis/kubevirt.io/v1/namespaces/shop/virtualmachines/web"


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
    clock = options.pop("clock", Clock())
    params |= {"manifest": world.manifests(folder, "v1.7.0"), **options}
    return Repair(server.api(), params, clock, lines.append), lines


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


def test_one_that_somebody_else_has_brought_back_is_left_as_it_is(world: World, server: Server, tmp_path: Path) -> None:
    server.objects[DEPLOYMENT] = {**world.stored(world.release("v1.7.0").operator), "status": {"readyReplicas": 2}}
    made, lines = repair(world, server, tmp_path)
    assert made.cure([cure()]) == []
    assert server.written == [] and "somebody else has done it" in lines[-1]


def test_without_its_kubevirt_object_it_is_not_brought_back(world: World, server: Server, tmp_path: Path) -> None:
    made, lines = repair(world, server, tmp_path)
    assert made.cure([cure(uid="of-an-earlier-one")]) == []
    assert server.written == []
    assert "somebody else has done it" in lines[-1]


@pytest.mark.parametrize(
    ("pods", "evidence"), [((200, ""), "virt-operator-1: ImagePullBackOff"), ((403, "GET pods"), "")]
)
def test_one_that_does_not_get_ready_is_waited_for_so_long_and_its_pods_say_why(
    world: World, server: Server, tmp_path: Path, pods: tuple[int, str], evidence: str
) -> None:
    waiting = {"name": "virt-operator", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    server.objects["/api/v1/namespaces/kubevirt/pods/virt-operator-1"] = {
        "metadata": {"namespace": "kubevirt", "name": "virt-operator-1", "labels": {"kubevirt.io": "virt-operator"}},
        "status": {"phase": "Pending", "containerStatuses": [waiting]},
    }
    if pods[0] != 200:
        server.refuses["/api/v1/namespaces/kubevirt/pods"] = pods
    server.after_write = lambda path: None
    clock = QuickClock()
    made, _lines = repair(world, server, tmp_path, clock=clock)
    with pytest.raises(Stopped) as stopped:
        made.cure([cure()])
    (found,) = stopped.value.findings
    assert (found.id, clock.seconds, made.done) == ("remove.stuck-operator-not-ready", READY_WITHIN, [cure()])
    assert evidence in found.evidence


class Held(test_sweep.World):
    """A VM that is being deleted, which two finalizers hold."""

    def __init__(self) -> None:
        super().__init__()
        finalizers = [OF_VMS, "velero.io/x"]
        self.vm = self.put(
            "VirtualMachine", "shop/web", finalizers=finalizers, deletionTimestamp="2026-01-01T00:00:00Z"
        )

    def strip(self, uid: str = "") -> tuple[list[Cure], list[str]]:
        lines: list[str] = []
        made = Repair(self.api(), {}, self.clock, lines.append)
        uid = uid or self.vm["metadata"]["uid"]
        one = Cure("strip-finalizers", "VirtualMachine shop/web", VM, "finalizers", "", uid, (OF_VMS,))
        made.cure([one])
        return made.done, lines

    @property
    def finalizers(self) -> list[str]:
        names: list[str] = self.vm["metadata"]["finalizers"]
        return names


@pytest.fixture
def held() -> Held:
    return Held()


def test_only_that_finalizer_is_taken_away_although_somebody_writes_just_then(held: Held) -> None:
    writes = iter(range(ATTEMPTS - 1))
    held.before_patch = lambda: held.touch(VM) if next(writes, None) is not None else None
    assert len(held.strip()[0]) == 1
    assert held.finalizers == ["velero.io/x"]


def test_an_object_that_changes_faster_than_it_can_be_written(held: Held) -> None:
    held.before_patch = lambda: held.touch(VM)
    with pytest.raises(Stopped, match="changes faster than it can be written"):
        held.strip()
    assert len(held.finalizers) == 2


def _another_one(held: Held) -> None:
    held.vm["metadata"]["uid"] = "another"


def _not_in_deletion(held: Held) -> None:
    del held.vm["metadata"]["deletionTimestamp"]


def _gone(held: Held) -> None:
    del held.objects[VM]


def _freed(held: Held) -> None:
    held.vm["metadata"]["finalizers"] = ["velero.io/x"]


@pytest.mark.parametrize("change", [_another_one, _not_in_deletion, _gone, _freed])
def test_what_somebody_else_did_meanwhile_is_left_alone(held: Held, change: t.Callable[[Held], None]) -> None:
    uid = held.vm["metadata"]["uid"]
    change(held)
    done, lines = held.strip(uid)
    assert done == [] and "somebody else has done it, or it is another one by now" in lines[-1]
    assert not [one for one in held.asked if one.startswith("PATCH")]
