# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removing KubeVirt on a real API server: what is refused, agreed to, deleted and proven. The tests play virt-operator."""

from __future__ import annotations

import json
import threading
import typing as t
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import yaml

from tests.contract.conftest import World
from tests.contract.test_lock import module_started
from tests.contract.test_strategy import KINDS, crd, vm
from tests.contract.test_workload_update import is_rolled_out
from tests.support.beside import beside
from tests.support.kubevirt import KUBEVIRT, wait_until
from tests.support.lab import Json, Result, mutating
from tests.support.leftover_search import leftovers

FINALIZER = "foregroundDeleteKubeVirt"
MADE_BY_VIRT_OPERATOR = {"app.kubernetes.io/managed-by": "virt-operator"}
SELECTOR = "app.kubernetes.io/managed-by=virt-operator"
STAYS = ["Namespace kubevirt"]


def labelled(manifest: str) -> Json:
    """The CRD as virt-operator makes it."""
    one: Json = yaml.safe_load(manifest)
    one["metadata"]["labels"] = MADE_BY_VIRT_OPERATOR
    return one


def web_hook() -> Json:
    """A webhook of KubeVirt that asks nobody."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "virt-api-mutator", "labels": MADE_BY_VIRT_OPERATOR},
        "webhooks": [],
    }


def marked_node() -> Json:
    labels = {"kubevirt.io/schedulable": "true", "cpu-model.node.kubevirt.io/Penryn": "true", "zone": "a"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "one", "labels": labels, "annotations": {"kubevirt.io/heartbeat": "now"}},
    }


def claim(name: str, owner: Json) -> Json:
    """The disk of a VM."""
    metadata = owner["metadata"]
    reference = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "default", "ownerReferences": [reference]},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }


@pytest.fixture
def installed(bare_world: World) -> Iterator[World]:
    """KubeVirt 1.7.0 with what virt-operator makes of it, as far as it counts here."""
    world = bare_world
    world.install()
    for kind, plural in KINDS.items():
        world.lab.apply(labelled(crd(kind, plural)))
        world.lab.wait_for("Established", f"crd/{plural}.kubevirt.io")
    world.patch(KUBEVIRT, {"metadata": {"finalizers": [FINALIZER]}})
    world.lab.apply(web_hook(), marked_node())
    is_rolled_out(world, "Deployment", "virt-operator")
    yield world
    if world.lab.succeeds("get", *KUBEVIRT):
        world.patch(KUBEVIRT, {"metadata": {"finalizers": None}})
    for plural in KINDS.values():
        world.lab.kubectl("delete", "crd", f"{plural}.kubevirt.io", "--ignore-not-found")
    world.lab.kubectl("delete", "node", "one", "--ignore-not-found")
    world.lab.kubectl("delete", "mutatingwebhookconfiguration", "virt-api-mutator", "--ignore-not-found")
    world.remove()


@pytest.fixture
def peopled(installed: World) -> Iterator[World]:
    """Two VMs, one of them with a disk."""
    installed.lab.apply(vm("a", "Halted"), vm("b", "Halted"))
    installed.lab.apply(claim("disk", installed.lab.get("virtualmachines", "a", "-n", "default")))
    yield installed
    installed.lab.kubectl("delete", "pvc", "disk", "-n", "default", "--ignore-not-found", "--wait=false")
    installed.lab.kubectl(
        "patch", "pvc", "disk", "-n", "default", "-p", '{"metadata": {"finalizers": null}}', check=False
    )


def virt_operator(world: World) -> AbstractContextManager[None]:
    """It deletes what it made once the KubeVirt object is to go, and takes its finalizer away."""

    def work(done: threading.Event) -> None:
        while not done.wait(0.5):
            found = world.lab.kubectl("get", *KUBEVIRT, "-o", "json", "--ignore-not-found", check=False)
            if not found.strip() or "deletionTimestamp" not in json.loads(found)["metadata"]:
                continue
            world.lab.kubectl("delete", "crd,mutatingwebhookconfigurations", "-l", SELECTOR)
            world.patch(KUBEVIRT, {"metadata": {"finalizers": None}})
            return

    return beside(work)


def remove(world: World, directory: Path, *, check: bool = False, **params: t.Any) -> Result:
    return world.lab.module("kubevirt_remove", {"backup_dir": str(directory), **params}, check=check)


def uid(world: World) -> str:
    return str(world.lab.get("namespace", "kube-system")["metadata"]["uid"])


def entries(result: Result, part: str) -> dict[str, list[str]]:
    return {one["kind"]: one["names"] for one in result.data["inventory"][part]}


@pytest.mark.parametrize("check", [True, False])
def test_what_people_have_refuses_everything_and_the_refusal_says_the_phrase(
    peopled: World, tmp_path: Path, check: bool
) -> None:
    position = peopled.lab.audit_position()
    refused = remove(peopled, tmp_path, check=check)
    assert refused.finding_ids[0] == "remove.workloads-exist", refused.message
    assert refused.data["confirm"] == f"{uid(peopled)}:2 VMs:1 disks"
    assert f"confirm: '{refused.data['confirm']}'" in refused.message
    assert (refused.data["changed"], refused.data["actions"]) == (False, [])
    assert entries(refused, "goes")["VirtualMachine"] == ["default/a", "default/b"]
    assert entries(refused, "goes")["Node"] == ["one"]
    assert entries(refused, "stays")["PersistentVolumeClaim"] == ["default/disk"]
    assert refused.data["inventory"]["disks"][0]["owner"] == "VirtualMachine a"
    assert mutating(peopled.lab.audited(position)) == []
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("phrase", "words"),
    [
        ("{uid}:1 VMs:1 disks", "it is for 1 VMs, and there are 2"),
        ("{uid}:2 VMs:0 disks", "it is for 0 disks, and there are 1"),
        ("other:2 VMs:1 disks", "it is for the cluster with the UID other"),
    ],
)
def test_a_phrase_for_something_else(peopled: World, tmp_path: Path, phrase: str, words: str) -> None:
    refused = remove(peopled, tmp_path, confirm=phrase.format(uid=uid(peopled)))
    assert refused.finding_ids[0] == "remove.confirmation-differs", refused.message
    assert words in refused.message and refused.data["confirm"] in refused.message


def test_everything_goes_and_a_second_run_changes_nothing(peopled: World, tmp_path: Path) -> None:
    asked: Json = {"disks": "remove", "confirm": f"{uid(peopled)}:2 VMs:1 disks"}
    position = peopled.lab.audit_position()
    predicted = remove(peopled, tmp_path, check=True, **asked)
    assert predicted.code == 0, predicted.message
    assert mutating(peopled.lab.audited(position)) == [] and [*tmp_path.iterdir()] == []
    with virt_operator(peopled):
        done = remove(peopled, tmp_path, **asked)
    assert done.code == 0, done.message
    assert (done.data["state"], done.data["left"]) == ("absent", [])
    assert {key: done.data[key] for key in ("actions", "diff", "changed")} == {
        key: predicted.data[key] for key in ("actions", "diff", "changed")
    }
    assert "KubeVirt kubevirt/kubevirt" in done.data["removed"]
    assert {"Deployment kubevirt/virt-operator", "CustomResourceDefinition kubevirts.kubevirt.io"} <= {
        *done.data["removed"]
    }
    assert done.data["backup"]["counts"]["virtualmachines"] == 2
    assert (Path(done.data["backup"]["path"]) / "README.txt").is_file()
    assert peopled.lab.get("node", "one")["metadata"]["labels"] == {"zone": "a"}
    assert leftovers(peopled.lab, but=[*STAYS, "PersistentVolumeClaim default/disk"]) == []
    position = peopled.lab.audit_position()
    again = remove(peopled, tmp_path, **asked)
    assert again.code == 0, again.message
    assert (again.data["changed"], again.data["actions"], again.data["diff"]) == (False, [], [])
    assert "nothing of KubeVirt is there" in again.data["page"][0]
    assert mutating(peopled.lab.audited(position)) == []


def test_without_anything_of_people_no_phrase_is_needed(installed: World, tmp_path: Path) -> None:
    with virt_operator(installed):
        done = remove(installed, tmp_path, clean_nodes=False)
    assert done.code == 0, done.message
    assert done.data["confirm"] == ""
    assert "kubevirt.io/schedulable" in installed.lab.get("node", "one")["metadata"]["labels"]
    assert {"object": "Node one"}.items() <= done.data["stays"][0].items()


def test_a_run_that_was_killed_is_taken_over_and_ended_and_two_at_once_are_not_possible(
    installed: World, tmp_path: Path
) -> None:
    with module_started(installed, "kubevirt_remove", {"backup_dir": str(tmp_path)}) as first:
        wait_until(lambda: "deletionTimestamp" in installed.lab.get(*KUBEVIRT)["metadata"])
        second = remove(installed, tmp_path)
        assert second.finding_ids[0] == "cluster.held", second.message
        assert f"pid {first.pid}, since " in second.message and "Nothing was changed." in second.message
        first.kill()
        first.wait(5)
    with virt_operator(installed):
        third = remove(installed, tmp_path)
    assert third.code == 0, third.message
    assert "cluster.taken-over" in third.finding_ids
    assert third.data["actions"][-1]["action"] == "prove"
    assert leftovers(installed.lab, but=STAYS) == []


def test_a_deletion_that_does_not_end_says_what_is_still_there(installed: World, tmp_path: Path) -> None:
    stopped = remove(installed, tmp_path, stall_timeout=3, repair="report")
    assert "remove.stalled" in stopped.finding_ids, stopped.message
    assert "Nothing moved for 3 s" in stopped.message
    assert stopped.data["changed"] and stopped.data["removed"] == ["KubeVirt kubevirt/kubevirt"]
    assert stopped.data["state"] == "deleting"
    assert not installed.lab.succeeds("get", "lease", "kubevirt-lifecycle", "-n", "kubevirt")


@pytest.mark.parametrize(
    ("what", "patch", "id", "words"),
    [
        (
            ("deployment", "virt-operator", "-n", "kubevirt"),
            {"metadata": {"annotations": {"meta.helm.sh/release-name": "kv"}}},
            "owner.helm",
            "Do not run helm uninstall now",
        ),
        (
            KUBEVIRT,
            {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "kv:x"}}},
            "owner.argo-cd",
            "The KubeVirt object must be gone before its operator goes",
        ),
    ],
)
def test_who_else_manages_it_says_where_to_remove_it(
    installed: World, tmp_path: Path, what: tuple[str, ...], patch: Json, id: str, words: str
) -> None:
    installed.patch(what, patch)
    position = installed.lab.audit_position()
    refused = remove(installed, tmp_path)
    assert refused.finding_ids[0] == id, refused.message
    assert words in refused.message
    assert mutating(installed.lab.audited(position)) == []


def test_another_name_than_that_of_the_object(installed: World, tmp_path: Path) -> None:
    refused = remove(installed, tmp_path, name="other")
    assert refused.finding_ids[0] == "remove.other-kubevirt", refused.message


def test_a_strategy_that_forbids_it_is_kept_to(peopled: World, tmp_path: Path) -> None:
    peopled.patch(KUBEVIRT, {"spec": {"uninstallStrategy": "BlockUninstallIfWorkloadsExist"}})
    refused = remove(peopled, tmp_path, disks="remove", confirm=f"{uid(peopled)}:2 VMs:1 disks")
    assert refused.finding_ids[0] == "remove.blocked-by-uninstall-strategy", refused.message
    predicted = remove(peopled, tmp_path, check=True, confirm=f"{uid(peopled)}:2 VMs:1 disks")
    assert predicted.code == 0, predicted.message
    actions = [(one["action"], one["object"]) for one in predicted.data["actions"]]
    assert ("delete-vm", "VM default/a") in actions


def test_the_playbook_wants_to_know_the_clusters(installed: World, tmp_path: Path) -> None:
    missing = installed.lab.playbook("remove", kubevirt_backup_dir=str(tmp_path))
    assert missing.returncode != 0 and "kubevirt_hosts is missing" in missing.stdout + missing.stderr
    nobody = installed.lab.playbook("remove", kubevirt_hosts="nobody", kubevirt_backup_dir=str(tmp_path))
    assert nobody.returncode != 0 and 'matches "nobody"' in nobody.stdout + nobody.stderr
    position = installed.lab.audit_position()
    shown = installed.lab.playbook("remove", "--check", kubevirt_hosts="localhost", kubevirt_backup_dir=str(tmp_path))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert uid(installed) in shown.stdout
    assert "delete-operator  Deployment kubevirt/virt-operator" in shown.stdout
    assert mutating(installed.lab.audited(position)) == []
