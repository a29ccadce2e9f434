# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is kept of an object before a removal, and where."""

from __future__ import annotations

import copy
import typing as t
import uuid

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.backup_form import (
    RUN_STRATEGY_BEFORE,
    claims_of,
    file_name,
    folder_of,
    halting,
    is_halted,
    needed_objects,
    restorable,
    revisions_of,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.guests import run_strategy

Object = dict[str, t.Any]

KUBEVIRT = ("kubevirt.io", "virtualmachines")
UUID = "5d307ca9-b3ef-428c-8861-06e72d69f223"


def vm(metadata: Object | None = None, status: Object | None = None, **spec: t.Any) -> Object:
    firmware = {"domain": {"firmware": {"uuid": UUID}}}
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": "db", "namespace": "shop", **(metadata or {})},
        "spec": {"runStrategy": "Always", "template": {"spec": firmware}, **spec},
        **({"status": status} if status else {}),
    }


class TestRestorable:
    def test_what_a_server_or_a_controller_writes_is_left_out_and_the_rest_kept(self) -> None:
        written = {
            "uid": "u",
            "resourceVersion": "7",
            "generation": 3,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "deletionTimestamp": "2026-01-02T00:00:00Z",
            "selfLink": "/x",
            "managedFields": [{"manager": "kubectl"}],
            "finalizers": ["kubevirt.io/virtualMachineControllerFinalize", "example.com/mine"],
            "ownerReferences": [{"kind": "VirtualMachinePool", "name": "pool", "uid": "p", "controller": True}],
            "labels": {"app": "shop"},
            "annotations": {
                "example.com/contact": "jo",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "kubevirt.io/latest-observed-api-version": "v1",
                "kubevirt.io/storage-observed-api-version": "v1",
            },
        }
        live = vm(written, {"ready": True}, dataVolumeTemplates=[{"metadata": {"name": "root"}, "spec": {}}])
        before = copy.deepcopy(live)
        kept = restorable(live)
        assert live == before
        assert list(kept) == ["apiVersion", "kind", "metadata", "spec"]
        assert kept["metadata"] == {
            "name": "db",
            "namespace": "shop",
            "labels": {"app": "shop"},
            "annotations": {"example.com/contact": "jo"},
        }
        assert kept["spec"] == live["spec"]
        assert restorable(kept) == kept

    def test_no_empty_labels_are_left(self) -> None:
        vmi = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "spec": {}}
        labels = {"kubevirt.io/nodeName": "n1", "kubevirt.io/outdatedLauncherImage": ""}
        kept = restorable({**vmi, "metadata": {"name": "a", "namespace": "b", "labels": labels}})
        assert kept["metadata"] == {"name": "a", "namespace": "b"}

    @pytest.mark.parametrize(
        ("spec", "before", "expected"),
        [
            ({"runStrategy": "Always"}, None, {"runStrategy": "Always"}),
            ({"runStrategy": "Halted"}, None, {"runStrategy": "Halted"}),
            ({"runStrategy": "Halted"}, "Manual", {"runStrategy": "Manual"}),
            ({"runStrategy": "Always"}, "Manual", {"runStrategy": "Always"}),
            ({"runStrategy": None, "running": False}, "Always", {"runStrategy": None, "running": True}),
            ({"runStrategy": None, "running": False}, None, {"runStrategy": None, "running": False}),
        ],
    )
    def test_a_vm_that_we_stopped_runs_as_it_was_asked_to(self, spec: Object, before: str, expected: Object) -> None:
        live = vm({"annotations": {RUN_STRATEGY_BEFORE: before}} if before else {}, **spec)
        kept = restorable(live)
        assert {key: kept["spec"][key] for key in expected} == expected
        assert "annotations" not in kept["metadata"]

    def test_a_firmware_uuid_that_followed_from_the_name_is_written_down(self) -> None:
        # virt-launcher and virt-controller: CalculateLegacyUUID
        expected = str(uuid.uuid5(uuid.UUID("6a1a24a1-4061-4607-8bf4-a3963d0c5895"), "db"))
        kept = restorable(vm(template={"spec": {"domain": {"firmware": {"serial": "s"}}}}))
        assert kept["spec"]["template"]["spec"]["domain"]["firmware"] == {"serial": "s", "uuid": expected}
        kept = restorable(vm())
        assert kept["spec"]["template"]["spec"]["domain"]["firmware"] == {"uuid": UUID}

    def test_the_revision_of_an_instance_type_comes_from_the_status_unless_it_is_asked_for(self) -> None:
        references = {
            "instancetypeRef": {"controllerRevisionRef": {"name": "db-small-1"}},
            "preferenceRef": {"controllerRevisionRef": {"name": "db-linux-1"}},
        }
        live = vm({}, references, instancetype={"name": "small"}, preference={"name": "linux", "revisionName": "mine"})
        kept = restorable(live)["spec"]
        assert kept["instancetype"] == {"name": "small", "revisionName": "db-small-1"}
        assert kept["preference"] == {"name": "linux", "revisionName": "mine"}
        assert [*revisions_of(live)] == ["db-small-1", "mine"]
        assert [*revisions_of(vm())] == []


def metadata(controller: str = "", **more: t.Any) -> Object:
    owners = [{"kind": controller, "name": "x", "uid": "u", "controller": True}] if controller else []
    return {"metadata": {"name": "a", "namespace": "b", "ownerReferences": owners, **more}}


@pytest.mark.parametrize(
    ("group", "resource", "live", "folder"),
    [
        ("kubevirt.io", "kubevirts", metadata(), "1-kubevirt"),
        (*KUBEVIRT, metadata(), "2-objects/12-virtualmachines"),
        (*KUBEVIRT, metadata("VirtualMachinePool"), "reference/virtualmachines"),
        ("kubevirt.io", "virtualmachineinstances", metadata(), "2-objects/13-virtualmachineinstances"),
        ("kubevirt.io", "virtualmachineinstances", metadata("VirtualMachine"), ""),
        ("kubevirt.io", "virtualmachineinstancemigrations", metadata(), ""),
        ("apps", "controllerrevisions", metadata("VirtualMachine"), "2-objects/11-controllerrevisions"),
        ("snapshot.kubevirt.io", "virtualmachinesnapshots", metadata(), "reference/virtualmachinesnapshots"),
        ("snapshot.kubevirt.io", "virtualmachinerestores", metadata(), "reference/virtualmachinerestores"),
        ("pool.kubevirt.io", "virtualmachinepools", metadata(), "2-objects/15-virtualmachinepools"),
        (
            "instancetype.kubevirt.io",
            "virtualmachineclusterinstancetypes",
            metadata(labels={"app.kubernetes.io/managed-by": "virt-operator"}),
            "",
        ),
        (
            "instancetype.kubevirt.io",
            "virtualmachineclusterinstancetypes",
            metadata(labels={"app.kubernetes.io/managed-by": "Helm"}),
            "2-objects/01-virtualmachineclusterinstancetypes",
        ),
        ("new.kubevirt.io", "novelties", metadata(), "reference/novelties"),
    ],
)
def test_the_folder(group: str, resource: str, live: Object, folder: str) -> None:
    assert folder_of(group, resource, live) == folder


class TestFileName:
    def test_it_is_the_objects(self) -> None:
        assert file_name({"metadata": {"name": "db.prod", "namespace": "shop"}}) == "shop_db.prod.json"
        assert file_name({"metadata": {"name": "small"}}) == "small.json"

    def test_no_two_objects_have_the_same_and_none_is_too_long(self) -> None:
        names = ["a" * 253, "a" * 252 + "b", "a" * 10]
        files = {file_name({"metadata": {"name": name, "namespace": "n" * 63}}) for name in names}
        assert len(files) == 3
        assert max(map(len, files)) <= 255


@pytest.mark.parametrize(
    ("spec", "strategy", "halted"),
    [
        ({"runStrategy": "Halted"}, "Halted", True),
        ({"runStrategy": "Manual"}, "Manual", False),
        ({"runStrategy": None, "running": True}, "Always", False),
        ({"runStrategy": None, "running": False}, "Halted", True),
    ],
)
def test_what_is_asked_for(spec: Object, strategy: str, halted: bool) -> None:
    assert (run_strategy(vm(**spec)), is_halted(vm(**spec))) == (strategy, halted)


@pytest.mark.parametrize(
    ("spec", "change"),
    [
        ({"runStrategy": "Manual"}, {"op": "replace", "path": "/spec/runStrategy", "value": "Halted"}),
        ({"runStrategy": None, "running": True}, {"op": "replace", "path": "/spec/running", "value": False}),
    ],
)
def test_halting_writes_down_what_was_asked(spec: Object, change: Object) -> None:
    live = vm({"resourceVersion": "7", "annotations": {"a": "b"}}, **spec)
    assert halting(live) == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "add", "path": "/metadata/annotations", "value": {"a": "b", RUN_STRATEGY_BEFORE: run_strategy(live)}},
        change,
    ]


VOLUMES: list[Object] = [
    {"name": "a", "dataVolume": {"name": "root"}},
    {"name": "b", "persistentVolumeClaim": {"claimName": "data"}},
    {"name": "c", "ephemeral": {"persistentVolumeClaim": {"claimName": "base"}}},
    {"name": "d", "memoryDump": {"claimName": "dump"}},
    {"name": "e", "containerDisk": {"image": "x", "imagePullSecret": "pull"}},
    {"name": "f", "cloudInitNoCloud": {"secretRef": {"name": "user"}, "networkDataSecretRef": {"name": "net"}}},
    {"name": "g", "cloudInitConfigDrive": {"userData": "#cloud-config"}},
    {"name": "h", "secret": {"secretName": "key"}},
    {"name": "i", "configMap": {"name": "settings"}},
    {"name": "j", "sysprep": {"configMap": {"name": "unattend"}}},
    {"name": "k", "serviceAccount": {"serviceAccountName": "robot"}},
]
INNER: Object = {
    "volumes": VOLUMES,
    "accessCredentials": [{"sshPublicKey": {"source": {"secret": {"secretName": "ssh"}}, "propagationMethod": {}}}],
}


@pytest.mark.parametrize("is_vm", [True, False])
def test_what_a_vm_needs(is_vm: bool) -> None:
    machine = vm(template={"spec": INNER}) if is_vm else {**metadata(), "spec": INNER}
    namespace = "shop" if is_vm else "b"
    assert claims_of(machine) == {"root", "data", "base", "dump"}
    assert needed_objects(machine) == {
        f"{kind} {namespace}/{name}"
        for kind, names in (
            ("Secret", ("pull", "user", "net", "key", "ssh")),
            ("ConfigMap", ("settings", "unattend")),
            ("ServiceAccount", ("robot",)),
        )
        for name in names
    }


def test_the_templates_of_a_vm_name_claims_too() -> None:
    assert claims_of(vm(dataVolumeTemplates=[{"metadata": {"name": "new"}}])) == {"new"}
