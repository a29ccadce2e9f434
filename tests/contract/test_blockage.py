# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What blocks a deletion on a real API server, how it is seen, and that a repair lets it go on. No controller runs there."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.api import Api
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.connection import connect
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import ManifestUnavailable
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.blockage_scene import Cure, Scene
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.stuck import (
    allowed,
    blockage_findings,
    cures,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.blockage import scene_of_removal
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.given_files import MANIFEST_OPTIONS
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.observe import Facts, cluster_of, observe
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.repair import Repair
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.stopping import Stopped

from tests.contract.conftest import FROM, TO, World
from tests.support.kubevirt import KUBEVIRT, OPERATOR, wait_until
from tests.support.lab import Json
from tests.support.quick_clock import QuickClock

VALIDATOR = "virt-operator-validator"
VMS = "virtualmachines.kubevirt.io"
VM_ITSELF = (VMS, "one", "-n", "default")
OWN, FOREIGN = "kubevirt.io/virtualMachineControllerFinalize", "virtualization.example.com/keep"
LATER = timedelta(minutes=2)

WEBHOOK: Json = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": VALIDATOR},
    "webhooks": [
        {
            **{"name": "kubevirt-update-validator.kubevirt.io", "sideEffects": "None", "failurePolicy": "Fail"},
            "admissionReviewVersions": ["v1"],
            "clientConfig": {"service": {"namespace": "kubevirt", "name": "kubevirt-operator-webhook"}},
            "rules": [
                {
                    **{"apiGroups": ["kubevirt.io"], "apiVersions": ["v1"], "resources": ["kubevirts"]},
                    "operations": ["UPDATE", "DELETE"],
                }
            ],
        }
    ],
}
VMS_CRD: Json = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": VMS},
    "spec": {
        "group": "kubevirt.io",
        "scope": "Namespaced",
        "names": {"kind": "VirtualMachine", "plural": "virtualmachines"},
        "versions": [
            {
                **{"name": "v1", "served": True, "storage": True},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
VM: Json = {
    "apiVersion": "kubevirt.io/v1",
    "kind": "VirtualMachine",
    "metadata": {"namespace": "default", "name": "one", "finalizers": [OWN, FOREIGN]},
}
API_SERVICE: Json = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {"name": "v1.subresources.kubevirt.io"},
    "spec": {
        **{"group": "subresources.kubevirt.io", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 15},
        **{"insecureSkipTLSVerify": True, "service": {"namespace": "kubevirt", "name": "virt-api"}},
    },
}


class Removal:
    """KubeVirt 1.7.0 as an API server sees it, and our look at it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lab = world.lab

    def api(self, *, check_mode: bool = False) -> Api:
        return connect({"kubeconfig": str(self.lab.kubeconfig)}, check_mode=check_mode, clock=Clock())

    def facts(self) -> Facts:
        api = self.api(check_mode=True)
        return observe(api, cluster_of(api))

    def scene(self) -> Scene:
        """Two minutes after now. It reads only, or the connection would raise an error."""
        return scene_of_removal(self.api(check_mode=True), self.facts(), datetime.now(timezone.utc) + LATER)

    def found(self) -> list[tuple[str, str]]:
        return [(one.id, one.object) for one in blockage_findings(self.scene())]

    def repair(self, clock: Clock | None = None, manifest: str = FROM) -> Repair:
        options = {name: option.get("default") for name, option in MANIFEST_OPTIONS.items()}
        options["manifest"] = str(self.world.manifests[manifest])
        return Repair(self.api(), options, clock or QuickClock(), print)

    def delete_for_ever(self) -> None:
        """The KubeVirt object with virt-operator's finalizer, which nobody takes away."""
        self.world.patch(KUBEVIRT, {"metadata": {"finalizers": ["foregroundDeleteKubeVirt"]}})
        self.lab.kubectl("delete", *KUBEVIRT, "--wait=false")

    def exists(self, *what: str) -> bool:
        return self.lab.succeeds("get", *what)

    def until(self, happens: Callable[[], bool]) -> None:
        wait_until(happens, 90)


@pytest.fixture
def removal(bare_world: World) -> Iterator[Removal]:
    bare_world.install()
    found = Removal(bare_world)
    yield found
    lab = bare_world.lab
    lab.kubectl("delete", "validatingwebhookconfiguration", VALIDATOR, "--ignore-not-found")
    lab.kubectl("delete", "apiservice", API_SERVICE["metadata"]["name"], "--ignore-not-found")
    for what in (KUBEVIRT, VM_ITSELF):
        lab.kubectl("patch", *what, "--type=merge", "-p", json.dumps({"metadata": {"finalizers": None}}), check=False)
    lab.kubectl("delete", "crd", VMS, "--ignore-not-found")
    bare_world.remove()


def of(action: str, those: list[Cure]) -> list[Cure]:
    return [one for one in those if one.action == action]


def test_nothing_blocks_a_healthy_kubevirt_and_looking_needs_no_write(removal: Removal) -> None:
    scene = removal.scene()
    assert (blockage_findings(scene), cures(scene), scene.unread) == ([], [], ())
    assert scene.home == "kubevirt" and scene.version == FROM


def test_a_dangling_webhook_rejects_changes_until_it_is_deleted(removal: Removal) -> None:
    removal.lab.apply(WEBHOOK)
    changes = ("annotate", *KUBEVIRT, "seen=yes", "--overwrite")
    removal.until(lambda: not removal.lab.succeeds(*changes))
    assert removal.found() == [("remove.stuck-webhook", f"ValidatingWebhookConfiguration {VALIDATOR}")]

    those = allowed(cures(removal.scene()), "safe")
    assert removal.repair().cure(those) == those

    removal.until(lambda: removal.lab.succeeds(*changes))
    assert removal.found() == []
    assert removal.repair().cure(those) == [], "what is gone already is no error"


def test_a_webhook_that_was_made_anew_meanwhile_stays(removal: Removal) -> None:
    removal.lab.apply(WEBHOOK)
    those = cures(removal.scene())
    removal.lab.kubectl("delete", "validatingwebhookconfiguration", VALIDATOR)
    removal.lab.apply(WEBHOOK)
    assert removal.repair().cure(those) == []
    assert removal.exists("validatingwebhookconfiguration", VALIDATOR)


def test_a_dangling_api_service_is_deleted_and_those_of_crds_are_not(removal: Removal) -> None:
    removal.lab.apply(API_SERVICE)
    name = API_SERVICE["metadata"]["name"]
    removal.until(lambda: "ServiceNotFound" in removal.lab.kubectl("get", "apiservice", name, "-o", "json"))
    removal.delete_for_ever()
    assert ("remove.stuck-api-service", f"APIService {name}") in removal.found()
    removal.repair().cure(of("delete-api-service", cures(removal.scene())))
    assert not removal.exists("apiservice", name)
    assert removal.exists("apiservice", "v1.kubevirt.io")


def test_the_object_that_blocks_a_crd_is_named_and_only_kubevirts_finalizer_is_taken_away(removal: Removal) -> None:
    removal.lab.apply(VMS_CRD)
    removal.lab.wait_for("Established", f"crd/{VMS}")
    removal.lab.apply(VM)
    removal.delete_for_ever()
    removal.lab.kubectl("delete", "crd", VMS, "--wait=false")
    removal.until(lambda: "InstanceDeletion" in removal.lab.kubectl("get", "crd", VMS, "-o", "json"))
    removal.until(lambda: bool(removal.lab.get(*VM_ITSELF)["metadata"].get("deletionTimestamp")))

    scene = removal.scene()
    found = {one.id: one for one in blockage_findings(scene)}
    assert {"remove.stuck-crd", "remove.stuck-controller-gone", "remove.stuck-foreign-finalizer"} <= {*found}
    assert "VirtualMachine default/one" in found["remove.stuck-crd"].cause
    assert "InstanceDeletion" in found["remove.stuck-crd"].evidence
    assert of("strip-finalizers", allowed(cures(scene), "safe")) == []

    those = of("strip-finalizers", cures(scene))
    assert [(one.object, one.finalizers) for one in those] == [("VirtualMachine default/one", (OWN,))]
    assert removal.repair().cure([replace(those[0], uid="of-another-one")]) == []
    assert removal.repair().cure(those) == those
    assert removal.lab.get(*VM_ITSELF)["metadata"]["finalizers"] == [FOREIGN]
    assert removal.repair().cure(those) == []

    removal.world.patch(VM_ITSELF, {"metadata": {"finalizers": None}})
    removal.until(lambda: not removal.exists("crd", VMS))


def test_an_operator_that_was_deleted_first_comes_back_with_the_installed_version(removal: Removal) -> None:
    removal.delete_for_ever()
    removal.lab.kubectl("delete", *OPERATOR)
    assert removal.found() == [("remove.stuck-operator-gone", "Deployment kubevirt/virt-operator")]
    those = allowed(cures(removal.scene()), "safe")

    with pytest.raises(ManifestUnavailable, match=f"declares {TO}, and {FROM} is what was installed"):
        removal.repair(manifest=TO).cure(those)
    assert not removal.exists(*OPERATOR)

    def get_ready() -> None:
        ready = json.dumps({"status": {"replicas": 1, "readyReplicas": 1}})
        removal.lab.kubectl("patch", *OPERATOR, "--subresource=status", "--type=merge", "-p", ready)

    repair = removal.repair(QuickClock(get_ready))
    assert repair.cure(those) == those == repair.done
    assert FROM in json.dumps(removal.lab.get(*OPERATOR)["spec"])
    assert removal.found() == []
    assert removal.repair().cure(those) == [], "it is back and ready"


def test_an_operator_that_does_not_get_ready_ends_the_repair_with_an_account(removal: Removal) -> None:
    removal.lab.kubectl("delete", *OPERATOR)
    those = cures(removal.scene())
    repair = removal.repair()
    with pytest.raises(Stopped) as stopped:
        repair.cure(those)
    assert [one.id for one in stopped.value.findings] == ["remove.stuck-operator-not-ready"]
    assert repair.done == those


def test_the_kubevirt_object_of_a_namespace_that_was_deleted_first_is_let_go(removal: Removal) -> None:
    removal.delete_for_ever()
    removal.lab.apply(WEBHOOK)
    removal.lab.kubectl("delete", *OPERATOR)
    removal.lab.kubectl("delete", "ns", "kubevirt", "--wait=false")
    strip: t.Any = ("patch", *KUBEVIRT, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    removal.until(lambda: not removal.lab.succeeds("annotate", *KUBEVIRT, "seen=yes", "--overwrite"))
    assert not removal.lab.succeeds(*strip), "as the user guide says to do it, it is rejected"

    scene = removal.scene()
    assert blockage_findings(scene)[0].id == "remove.stuck-namespace-terminating"
    assert of("restore-operator", cures(scene)) == []
    done = removal.repair().cure(allowed(cures(scene), "finalizers"))
    assert [one.action for one in done] == ["delete-webhook", "strip-finalizers"]
    assert not removal.exists(*KUBEVIRT)
