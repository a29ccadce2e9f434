# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Moving VMs against a real API server: what it stores of ours. The tests play virt-controller."""

from __future__ import annotations

import json
import threading
import typing as t
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from tests.contract.conftest import FROM, HEALTHY, MIGRATIONS_CRD, TO, World
from tests.contract.test_strategy import KINDS, crd, node, vm, vmi
from tests.faults.played_vms import OLD, Vms
from tests.faults.server import Server
from tests.support.beside import beside
from tests.support.kubevirt import KUBEVIRT
from tests.support.lab import Json, Result, mutating
from tests.support.virt_controller import VirtController, launcher_pod
from tests.support.vms import HELD

NEW = f"quay.io/kubevirt/virt-launcher:{FROM}"
COUNTS = {
    "Deployment": ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"),
    "DaemonSet": ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberReady"),
}


def operand(kind: str, name: str) -> Json:
    labels = {"kubevirt.io": name, "app.kubernetes.io/managed-by": "virt-operator"}
    containers = [{"name": name, "image": "i", "command": [name, "--launcher-image", NEW]}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec: Json = {"selector": {"matchLabels": {"kubevirt.io": name}}, "template": template}
    spec |= {"replicas": 1} if kind == "Deployment" else {}
    metadata = {"name": name, "namespace": "kubevirt", "labels": labels}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}


def is_rolled_out(world: World, kind: str, name: str) -> None:
    one = world.lab.get(kind, name, "-n", "kubevirt")
    count = one["spec"].get("replicas", 1)
    status: Json = dict.fromkeys(COUNTS[kind], count) | {"observedGeneration": one["metadata"]["generation"]}
    if kind == "DaemonSet":
        status["numberMisscheduled"] = 0
    world.lab.kubectl(
        *("patch", kind, name, "-n", "kubevirt", "--subresource=status", "--type=merge"),
        *("-p", json.dumps({"status": status})),
    )


def run_launcher(world: World, name: str, of: str) -> None:
    """A launcher pod of a VMI, which runs."""
    machine = world.lab.get("virtualmachineinstances", of)
    world.lab.apply(launcher_pod(f"virt-launcher-{name}", machine, OLD, "one"))
    world.lab.kubectl(
        *("patch", "pod", f"virt-launcher-{name}", "--subresource=status", "--type=merge"),
        *("-p", '{"status": {"phase": "Running"}}'),
    )


@pytest.fixture(scope="module")
def at_rest(world: World) -> Iterator[World]:
    """KubeVirt at rest, with two nodes and the kinds that virt-operator makes."""
    for kind, plural in {**KINDS, "VirtualMachineInstanceMigration": "virtualmachineinstancemigrations"}.items():
        world.lab.kubectl("create", "-f", "-", stdin=crd(kind, plural) if kind in KINDS else MIGRATIONS_CRD)
        world.lab.wait_for("Established", f"crd/{plural}.kubevirt.io")
    parts = [("Deployment", "virt-api"), ("Deployment", "virt-controller"), ("DaemonSet", "virt-handler")]
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}}
    world.lab.apply(node("one"), node("two"), account, *(operand(kind, name) for kind, name in parts))
    for kind, name in [*parts, ("Deployment", "virt-operator")]:
        is_rolled_out(world, kind, name)
    yield world
    for plural in (*KINDS.values(), "virtualmachineinstancemigrations"):
        world.lab.kubectl("delete", "crd", f"{plural}.kubevirt.io")
    world.lab.kubectl("delete", "node", "one", "two")
    for kind, name in parts:
        world.lab.kubectl("delete", kind, name, "-n", "kubevirt")


@pytest.fixture
def peopled(at_rest: World) -> Iterator[World]:
    """Two VMs of one class on old launchers; evictions are KubeVirt's method."""
    at_rest.patch(KUBEVIRT, {"spec": {"workloadUpdateStrategy": {"workloadUpdateMethods": ["Evict"]}}})
    at_rest.status(HEALTHY)
    for name in ("a", "b"):
        machine = vmi(name, migratable=True)
        machine["status"]["conditions"].append({"type": "Ready", "status": "True"})
        at_rest.lab.apply(vm(name, "Always"), machine)
        run_launcher(at_rest, name, of=name)
    yield at_rest
    for kind in ("virtualmachineinstancemigrations", "virtualmachineinstances", "virtualmachines"):
        at_rest.lab.kubectl("delete", kind, "--all")
    at_rest.lab.kubectl("delete", "pods", "--all", "--force", "--grace-period=0")
    at_rest.patch(KUBEVIRT, {"spec": {"workloadUpdateStrategy": None}})
    at_rest.status(HEALTHY)


def virt_controller(world: World) -> AbstractContextManager[None]:
    """VMs are moved, and each edit of the KubeVirt object is taken in."""
    controller = VirtController(Vms(Server(world.lab), "default"), NEW)

    def work(done: threading.Event) -> None:
        while not done.wait(0.3):
            controller.step()
            world.status(HEALTHY)

    return beside(work)


def move(world: World, *, check: bool = False, **params: t.Any) -> Result:
    return world.lab.module("kubevirt_workload_update", {"methods": ["LiveMigrate"], "soak": 0, **params}, check=check)


def methods(world: World) -> t.Any:
    return (world.lab.get(*KUBEVIRT)["spec"].get("workloadUpdateStrategy") or {}).get("workloadUpdateMethods")


def test_check_mode_writes_nothing(peopled: World) -> None:
    position = peopled.lab.audit_position()
    predicted = move(peopled, check=True)
    assert predicted.code == 0, predicted.message
    assert predicted.data["canaries"] == ["default/a"]
    assert mutating(peopled.lab.audited(position)) == []


def test_a_canary_that_does_not_arrive_is_called_off_and_the_methods_are_put_back(peopled: World) -> None:
    stopped = move(peopled, migration_timeout=3)
    assert stopped.finding_ids[0] == "workloads.canary-failed", stopped.message
    assert "called off" in stopped.message
    assert peopled.lab.get("virtualmachineinstancemigrations")["items"] == []
    kubevirt = peopled.lab.get(*KUBEVIRT)
    assert kubevirt["spec"]["workloadUpdateStrategy"]["workloadUpdateMethods"] == ["Evict"]
    assert HELD not in (kubevirt["metadata"].get("annotations") or {})


def test_vms_are_moved_and_the_asked_methods_stand_in_the_end(peopled: World) -> None:
    predicted = move(peopled, check=True)
    with virt_controller(peopled):
        done = move(peopled, widen=[100])
        again = move(peopled, widen=[100])
    assert done.code == 0, done.message
    assert (done.data["moved"], done.data["rest"]) == (2, [])
    assert methods(peopled) == ["LiveMigrate"]
    assert done.data["diff"] == predicted.data["diff"]
    assert len(peopled.lab.get("virtualmachineinstancemigrations")["items"]) == 2
    assert (again.data["changed"], again.data["actions"]) == (False, [])


def test_a_stray_launcher_refuses_everything(peopled: World) -> None:
    run_launcher(peopled, "stray", of="b")
    position = peopled.lab.audit_position()
    refused = move(peopled)
    assert refused.finding_ids[0] == "workloads.split-brain", refused.message
    assert "virt-launcher-stray on one" in refused.message
    assert mutating(peopled.lab.audited(position)) == []


def test_the_playbook_shows_the_plan_and_needs_to_know_how(peopled: World) -> None:
    position = peopled.lab.audit_position()
    shown = peopled.lab.playbook("workloads", "--check", kubevirt_workload_methods=["LiveMigrate"])
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "canary  VM default/a" in shown.stdout
    missing = peopled.lab.playbook("workloads")
    assert missing.returncode != 0 and "kubevirt_workload_methods is missing or empty" in missing.stdout
    assert mutating(peopled.lab.audited(position)) == []


def test_an_upgrade_moves_vms_between_its_hops(peopled: World) -> None:
    """The last test here, for the operator is of another version afterwards. Nobody rolls it out, so the end of the run is refused."""
    asked: Json = {
        "kubevirt_workloads": "between_hops",
        "kubevirt_workload_methods": ["LiveMigrate"],
        "kubevirt_widen": [100],
        "kubevirt_soak": 0,
    }
    with virt_controller(peopled):
        run = peopled.lab.playbook(
            "upgrade", kubevirt_version=TO, kubevirt_manifest=str(peopled.manifests[TO]), kubevirt_wait=False, **asked
        )
    moved, _hop, refused = run.stdout.rpartition("operation | Upgrade KubeVirt")
    assert "2 moved" in moved, run.stdout + run.stderr
    assert run.returncode != 0 and "[workloads.control-plane-moves]" in refused, run.stdout
