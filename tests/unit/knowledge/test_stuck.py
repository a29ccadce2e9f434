# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps a deletion from ending: each cause from objects as the API gives them, with what may be done about it."""

from __future__ import annotations

import copy
import typing as t
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.blockage_scene import Cure, Held, Scene
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import Finding
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.stuck import (
    allowed,
    blockage_findings,
    cures,
)

Object = dict[str, t.Any]

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=timezone.utc)
LONG_AGO, JUST_NOW = "2026-11-29T11:00:00Z", "2026-11-29T11:59:50Z"
OPERATOR = "Deployment kubevirt/virt-operator"
VALIDATOR = "ValidatingWebhookConfiguration virt-operator-validator"
API_VALIDATOR = "ValidatingWebhookConfiguration virt-api-validator"
SUBRESOURCES = "APIService v1.subresources.kubevirt.io"
VM_FINALIZER = "kubevirt.io/virtualMachineControllerFinalize"
VMI_FINALIZER = "kubevirt.io/foregroundDeleteVirtualMachine"
CRD_FINALIZERS = ["kubevirt.io/virtOperatorFinalizer", "customresourcecleanup.apiextensions.k8s.io"]


def part(*, ready: int = 1, replicas: int = 2, since: str = LONG_AGO) -> Object:
    progressing = {"type": "Progressing", "status": "False", "lastTransitionTime": JUST_NOW}
    available = {"type": "Available", "status": "True" if ready else "False", "lastTransitionTime": since}
    return {
        "metadata": {"name": "part", "creationTimestamp": LONG_AGO},
        "spec": {"replicas": replicas},
        "status": {**({"readyReplicas": ready} if ready else {}), "conditions": [progressing, available]},
    }


def kubevirt(*, deleted: str = "", **status: t.Any) -> Object:
    metadata = {
        **{"namespace": "kubevirt", "name": "kubevirt", "uid": "kv", "finalizers": ["foregroundDeleteKubeVirt"]},
        **({"deletionTimestamp": deleted} if deleted else {}),
    }
    status = {"phase": "Deployed", "operatorVersion": "v1.8.4", "observedKubeVirtVersion": "v1.8.4", **status}
    return {"kind": "KubeVirt", "metadata": metadata, "status": status}


def namespace(*, deleted: str = "") -> Object:
    conditions = [{"type": "NamespaceContentRemaining", "status": "True", "message": "kubevirts.kubevirt.io has 1"}]
    return {
        "metadata": {"name": "kubevirt", **({"deletionTimestamp": deleted} if deleted else {})},
        "status": {"conditions": conditions if deleted else []},
    }


def webhook(name: str, service: str) -> Object:
    where = {"namespace": "kubevirt", "name": service}
    return {
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name, "uid": f"uid-{name}"},
        "webhooks": [{"clientConfig": {"service": where}}],
    }


def api_service(name: str, service: str = "virt-api", where: str = "kubevirt") -> Object:
    message = f"service/{service} in {where!r} is not present"
    gone = {"type": "Available", "status": "False", "reason": "ServiceNotFound", "message": message}
    return {
        "metadata": {"name": name, "uid": f"uid-{name}"},
        "spec": {"group": name.partition(".")[2], "service": {"namespace": where, "name": service}},
        "status": {"conditions": [gone]},
    }


def held(
    plural: str, kind: str, *finalizers: str, since: str = LONG_AGO, node: str = "", group: str = "kubevirt.io"
) -> Held:
    metadata = {
        **{"namespace": "shop", "name": "one", "uid": "uid-one", "deletionTimestamp": since},
        **{"finalizers": list(finalizers), "labels": {"kubevirt.io/nodeName": node} if node else {}},
    }
    return Held(f"/apis/{group}/v1/namespaces/shop/{plural}/one", {"kind": kind, "metadata": metadata})


def held_kubevirt() -> Held:
    return Held("/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts/kubevirt", kubevirt(deleted=LONG_AGO))


def crd(name: str, *, deleted: str = "", reason: str = "InstanceDeletionCheck") -> Object:
    words = "could not confirm zero CustomResources remaining: context deadline exceeded"
    terminating = {"type": "Terminating", "status": "True", "reason": reason, "message": words}
    metadata = {"name": name, "uid": f"uid-{name}", "finalizers": CRD_FINALIZERS if deleted else []}
    return {
        "metadata": {**metadata, **({"deletionTimestamp": deleted} if deleted else {})},
        "status": {"conditions": [terminating] if deleted else []},
    }


def job(*, failed: bool) -> Object:
    words = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "has reached its limit"}
    return {
        "kind": "Job",
        "metadata": {"namespace": "kubevirt", "name": "kubevirt-abc-job", "uid": "uid-job"},
        "status": {"conditions": [words] if failed else []},
    }


def pod(app: str, waiting: str = "", unschedulable: str = "") -> Object:
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": unschedulable}
    state = {"waiting": {"reason": waiting, "message": "not found"}}
    return {
        "metadata": {"namespace": "kubevirt", "name": f"{app}-1", "labels": {"kubevirt.io": app}},
        "status": {
            "conditions": [scheduled] if unschedulable else [],
            "containerStatuses": [{"name": app, "image": "registry/it:v1.8.4", "state": state}] if waiting else [],
        },
    }


def node(*, ready: bool) -> Object:
    words = {
        "type": "Ready",
        "status": "True" if ready else "Unknown",
        "reason": "NodeStatusUnknown",
        "message": "Kubelet stopped",
    }
    return {"metadata": {"name": "worker-1"}, "status": {"conditions": [words]}}


READY = {name: part() for name in ("virt-operator", "virt-api", "virt-controller")} | {
    "virt-handler": {"metadata": {}, "status": {"numberReady": 3}}
}
NOTHING: dict[str, Object | None] = dict.fromkeys(READY)
HEALTHY = Scene(
    NOW,
    kubevirts=(kubevirt(),),
    kubevirt_path="/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts/kubevirt",
    namespace=namespace(),
    parts=READY,
    webhooks=(
        webhook("virt-operator-validator", "kubevirt-operator-webhook"),
        webhook("virt-api-validator", "virt-api"),
    ),
    services={"kubevirt/kubevirt-operator-webhook": "ready", "kubevirt/virt-api": "ready"},
)
DELETING = replace(HEALTHY, kubevirts=(kubevirt(deleted=LONG_AGO),))
SILENT = {"kubevirt/kubevirt-operator-webhook": "silent", "kubevirt/virt-api": "silent"}
MISSING = {"kubevirt/kubevirt-operator-webhook": "missing", "kubevirt/virt-api": "missing"}


def without(*names: str) -> dict[str, Object | None]:
    return {**READY, **dict.fromkeys(names)}


def strip(name: str) -> tuple[str, str, str]:
    return ("strip-finalizers", name, "finalizers")


def deletes(*objects: str) -> list[tuple[str, str, str]]:
    actions = {"APIService": "delete-api-service", "Job": "delete-job"}
    return [(actions.get(one.split()[0], "delete-webhook"), one, "safe") for one in objects]


RESTORE = ("restore-operator", OPERATOR, "safe")
VM, VMI = "VirtualMachine shop/one", "VirtualMachineInstance shop/one"
LOST_PARTS = without("virt-controller")
ENDING = namespace(deleted=LONG_AGO)
ALL_GONE = replace(DELETING, parts=NOTHING, services=MISSING)

# A scene, the ids of its findings with their objects, and its cures.
CASES: dict[str, tuple[Scene, list[tuple[str, str]], list[tuple[str, str, str]]]] = {
    "healthy": (HEALTHY, [], []),
    "being deleted and at work": (
        replace(DELETING, held=(held("virtualmachines", "VirtualMachine", VM_FINALIZER, since=JUST_NOW),)),
        [],
        [],
    ),
    "operator deleted first": (
        replace(DELETING, parts=without("virt-operator"), services={**HEALTHY.services, **SILENT}),
        [("remove.stuck-operator-gone", OPERATOR)],
        [RESTORE],
    ),
    "operator scaled to nothing": (
        replace(HEALTHY, parts={**READY, "virt-operator": part(ready=0, replicas=0)}),
        [("remove.stuck-operator-gone", OPERATOR)],
        [RESTORE],
    ),
    "operator gone and nobody says of which version": (
        replace(
            HEALTHY,
            kubevirts=(kubevirt(operatorVersion="", observedKubeVirtVersion=""),),
            parts=without("virt-operator"),
        ),
        [("remove.stuck-operator-gone", OPERATOR)],
        [],
    ),
    "operator starting": (replace(HEALTHY, parts={**READY, "virt-operator": part(ready=0, since=JUST_NOW)}), [], []),
    "operator not ready": (
        replace(
            HEALTHY,
            parts={**READY, "virt-operator": part(ready=0)},
            pods=(pod("virt-operator", "ImagePullBackOff"),),
        ),
        [("remove.stuck-operator-not-ready", OPERATOR)],
        [],
    ),
    "an operator whose Deployment nobody has taken up": (
        replace(HEALTHY, parts={**READY, "virt-operator": {"metadata": {"creationTimestamp": LONG_AGO}}}),
        [("remove.stuck-operator-not-ready", OPERATOR)],
        [],
    ),
    "operator unreadable": (
        replace(DELETING, parts={}, services=SILENT, unread=("virt-operator",)),
        [("remove.not-all-read", "Cluster")],
        [],
    ),
    "the service of the operator's webhook is gone, and nobody makes it anew": (
        replace(DELETING, services={**HEALTHY.services, "kubevirt/kubevirt-operator-webhook": "missing"}),
        [("remove.stuck-webhook", VALIDATOR)],
        deletes(VALIDATOR),
    ),
    "namespace deleted first": (
        replace(ALL_GONE, namespace=ENDING, held=(held_kubevirt(),), api_services=(api_service(SUBRESOURCES[11:]),)),
        [
            ("remove.stuck-namespace-terminating", "KubeVirt kubevirt/kubevirt"),
            ("remove.stuck-webhook", VALIDATOR),
            ("remove.stuck-webhook", API_VALIDATOR),
            ("remove.stuck-api-service", SUBRESOURCES),
            ("remove.virt-api-gone", "Deployment kubevirt/virt-api"),
        ],
        [*deletes(VALIDATOR, API_VALIDATOR, SUBRESOURCES), strip("KubeVirt kubevirt/kubevirt")],
    ),
    "everything deleted at once": (
        replace(
            ALL_GONE,
            namespace=ENDING,
            webhooks=(),
            crds=(crd("virtualmachines.kubevirt.io", deleted=LONG_AGO), crd("kubevirts.kubevirt.io", deleted=LONG_AGO)),
            remaining={"virtualmachines.kubevirt.io": 1, "kubevirts.kubevirt.io": 1},
            held=(held_kubevirt(), held("virtualmachines", "VirtualMachine", VM_FINALIZER)),
        ),
        [
            ("remove.stuck-namespace-terminating", "KubeVirt kubevirt/kubevirt"),
            ("remove.virt-api-gone", "Deployment kubevirt/virt-api"),
            ("remove.stuck-controller-gone", VM),
            ("remove.stuck-controller-gone", "CustomResourceDefinition virtualmachines.kubevirt.io"),
            ("remove.stuck-crd", "CustomResourceDefinition virtualmachines.kubevirt.io"),
            ("remove.stuck-crd", "CustomResourceDefinition kubevirts.kubevirt.io"),
        ],
        [
            strip(VM),
            strip("CustomResourceDefinition virtualmachines.kubevirt.io"),
            strip("CustomResourceDefinition kubevirts.kubevirt.io"),
            strip("KubeVirt kubevirt/kubevirt"),
        ],
    ),
    "webhooks of an installation that is gone": (
        Scene(
            NOW,
            webhooks=(
                webhook("virt-operator-validator", "kubevirt-operator-webhook"),
                webhook("virt-api-mutator", "virt-api"),
                webhook("virt-launcher-pod-mutator", "virt-api"),
                webhook("virt-operator-tmp-webhookx7k", "fake-validation-service"),
            ),
            services={**MISSING, "kubevirt/fake-validation-service": "missing"},
        ),
        [
            ("remove.stuck-webhook", VALIDATOR),
            ("remove.stuck-webhook", "ValidatingWebhookConfiguration virt-api-mutator"),
            ("remove.stuck-webhook", "ValidatingWebhookConfiguration virt-launcher-pod-mutator"),
            ("remove.stuck-webhook", "ValidatingWebhookConfiguration virt-operator-tmp-webhookx7k"),
        ],
        deletes(
            VALIDATOR,
            "ValidatingWebhookConfiguration virt-api-mutator",
            "ValidatingWebhookConfiguration virt-launcher-pod-mutator",
            "ValidatingWebhookConfiguration virt-operator-tmp-webhookx7k",
        ),
    ),
    "webhooks and APIServices whose services cannot be read": (
        replace(HEALTHY, parts=NOTHING, kubevirts=(), services={}, namespace=None),
        [],
        [],
    ),
    "APIServices that lead nowhere": (
        Scene(
            NOW,
            api_services=(
                api_service("v1alpha3.subresources.kubevirt.io"),
                api_service("v1.subresources.kubevirt.io"),
                api_service("v1alpha1.subresources.template.kubevirt.io", "virt-template-api-service"),
                api_service("v1beta1.upload.cdi.kubevirt.io", "cdi-api", "cdi"),
            ),
            services={"kubevirt/virt-api": "missing", "kubevirt/virt-template-api-service": "missing"},
        ),
        [
            ("remove.stuck-api-service", "APIService v1alpha3.subresources.kubevirt.io"),
            ("remove.stuck-api-service", SUBRESOURCES),
            ("remove.stuck-api-service", "APIService v1alpha1.subresources.template.kubevirt.io"),
            ("remove.foreign-api-service", "APIService v1beta1.upload.cdi.kubevirt.io"),
        ],
        deletes(
            "APIService v1alpha3.subresources.kubevirt.io",
            SUBRESOURCES,
            "APIService v1alpha1.subresources.template.kubevirt.io",
        ),
    ),
    "virt-api gone, and virt-operator makes it anew": (
        replace(HEALTHY, parts=without("virt-api"), services={**HEALTHY.services, "kubevirt/virt-api": "silent"}),
        [("remove.virt-api-gone", "Deployment kubevirt/virt-api")],
        [],
    ),
    "virt-api gone in a deletion": (
        replace(
            DELETING,
            parts=without("virt-api"),
            services={**HEALTHY.services, "kubevirt/virt-api": "silent"},
            crds=(crd("virtualmachines.kubevirt.io"),),
        ),
        [("remove.stuck-webhook", API_VALIDATOR), ("remove.virt-api-gone", "Deployment kubevirt/virt-api")],
        deletes(API_VALIDATOR),
    ),
    "virt-operator takes virt-api away as the last part": (
        replace(
            DELETING,
            parts=without("virt-api", "virt-controller"),
            services={**HEALTHY.services, "kubevirt/virt-api": "silent"},
        ),
        [],
        [],
    ),
    "virt-controller gone, and virt-operator makes it anew": (
        replace(HEALTHY, parts=LOST_PARTS, held=(held("virtualmachines", "VirtualMachine", VM_FINALIZER),)),
        [],
        [],
    ),
    "virt-controller gone in a deletion": (
        replace(
            DELETING,
            parts=LOST_PARTS,
            held=(
                held("virtualmachines", "VirtualMachine", VM_FINALIZER),
                held("virtualmachineinstances", "VirtualMachineInstance", "foregroundDeleteVirtualMachine"),
            ),
        ),
        [("remove.stuck-controller-gone", VM)],
        [strip(VM), strip(VMI)],
    ),
    "virt-controller without a ready pod for long": (
        replace(
            HEALTHY,
            parts={**READY, "virt-controller": part(ready=0)},
            held=(held("virtualmachines", "VirtualMachine", VM_FINALIZER),),
        ),
        [("remove.stuck-controller-gone", VM)],
        [strip(VM)],
    ),
    "a VM's finalizer stays although virt-controller runs": (
        replace(DELETING, held=(held("virtualmachines", "VirtualMachine", VM_FINALIZER),)),
        [("remove.stuck-finalizer", VM)],
        [],
    ),
    "a VMI on a node that is gone": (
        replace(
            DELETING,
            held=(held("virtualmachineinstances", "VirtualMachineInstance", VMI_FINALIZER, node="worker-1"),),
            nodes={"worker-1": None},
        ),
        [("remove.stuck-node-lost", VMI)],
        [strip(VMI)],
    ),
    "a VMI on a node that is not ready": (
        replace(
            DELETING,
            held=(held("virtualmachineinstances", "VirtualMachineInstance", VMI_FINALIZER, node="worker-1"),),
            nodes={"worker-1": node(ready=False)},
        ),
        [("remove.stuck-node-lost", VMI)],
        [],
    ),
    "a VMI on a node without virt-handler": (
        replace(
            DELETING,
            parts=without("virt-handler"),
            held=(held("virtualmachineinstances", "VirtualMachineInstance", VMI_FINALIZER, node="worker-1"),),
            nodes={"worker-1": node(ready=True)},
        ),
        [("remove.stuck-handler-gone", VMI)],
        [strip(VMI)],
    ),
    "a foreign finalizer": (
        replace(DELETING, held=(held("virtualmachines", "VirtualMachine", "virtualization.deckhouse.io/vm"),)),
        [("remove.stuck-foreign-finalizer", VM)],
        [],
    ),
    "a foreign finalizer of a moment ago": (
        replace(DELETING, held=(held("virtualmachines", "VirtualMachine", "velero.io/x", since=JUST_NOW),)),
        [],
        [],
    ),
    "a foreign finalizer beside one of virt-controller, which is gone": (
        replace(
            DELETING, parts=LOST_PARTS, held=(held("virtualmachines", "VirtualMachine", VM_FINALIZER, "velero.io/x"),)
        ),
        [("remove.stuck-controller-gone", VM), ("remove.stuck-foreign-finalizer", VM)],
        [strip(VM)],
    ),
    "the strategy Job has failed": (
        replace(DELETING, jobs=(job(failed=True),)),
        [("remove.stuck-install-job", "Job kubevirt/kubevirt-abc-job")],
        deletes("Job kubevirt/kubevirt-abc-job"),
    ),
    "the image of the strategy Job is not there": (
        replace(DELETING, jobs=(job(failed=False),), pods=(pod("virt-operator-strategy-dumper", "ImagePullBackOff"),)),
        [("remove.stuck-install-job", "Pod kubevirt/virt-operator-strategy-dumper-1")],
        [],
    ),
    "no node takes the strategy Job": (
        replace(DELETING, pods=(pod("virt-operator-strategy-dumper", unschedulable="0/3 nodes are available"),)),
        [("remove.stuck-install-job", "Pod kubevirt/virt-operator-strategy-dumper-1")],
        [],
    ),
    "phase Deploying": (
        replace(HEALTHY, kubevirts=(kubevirt(phase="Deploying"),)),
        [("remove.phase-deploying", "KubeVirt kubevirt/kubevirt")],
        [],
    ),
    "a CRD deleted by hand": (
        replace(HEALTHY, crds=(crd("virtualmachinepools.pool.kubevirt.io", deleted=LONG_AGO),)),
        [("remove.crd-deleted-by-hand", "CustomResourceDefinition virtualmachinepools.pool.kubevirt.io")],
        [],
    ),
    "the CRD of KubeVirt objects deleted by hand": (
        replace(HEALTHY, kubevirts=(), crds=(crd("virtualmachines.kubevirt.io"),)),
        [("remove.crd-deleted-by-hand", "CustomResourceDefinition kubevirts.kubevirt.io")],
        [],
    ),
    "one object of a kind that nobody thinks of blocks a CRD": (
        replace(
            DELETING,
            crds=(crd("virtualmachinesnapshots.snapshot.kubevirt.io", deleted=LONG_AGO),),
            remaining={"virtualmachinesnapshots.snapshot.kubevirt.io": 1},
            held=(
                held(
                    "virtualmachinesnapshots",
                    "VirtualMachineSnapshot",
                    "backup.example.com/keep",
                    group="snapshot.kubevirt.io",
                ),
            ),
        ),
        [
            ("remove.stuck-foreign-finalizer", "VirtualMachineSnapshot shop/one"),
            ("remove.stuck-crd", "CustomResourceDefinition virtualmachinesnapshots.snapshot.kubevirt.io"),
        ],
        [],
    ),
    "two KubeVirt objects prove nothing gone": (
        replace(
            HEALTHY,
            kubevirts=(kubevirt(deleted=LONG_AGO), kubevirt()),
            parts=NOTHING,
            held=(held_kubevirt(),),
            webhooks=(),
        ),
        [],
        [],
    ),
}


def short(those: list[Cure]) -> list[tuple[str, str, str]]:
    return [(one.action, one.object, one.level) for one in those]


@pytest.mark.parametrize("case", CASES)
def test_a_cause_is_named_and_has_its_cures(case: str) -> None:
    scene, findings, wanted = CASES[case]
    before = copy.deepcopy(scene)
    assert [(one.id, one.object) for one in blockage_findings(scene)] == findings
    assert short(cures(scene)) == wanted
    assert scene == before, "nothing that is handed in may change"


@pytest.mark.parametrize("case", CASES)
def test_every_finding_says_what_to_do(case: str) -> None:
    for one in blockage_findings(CASES[case][0]):
        assert one.cause.endswith((".", "?")) and one.fix, one
        assert "None" not in f"{one.cause}{one.evidence}{one.fix}", one


@pytest.mark.parametrize("case", CASES)
def test_a_cure_is_about_one_object_and_no_foreign_finalizer(case: str) -> None:
    for one in cures(CASES[case][0]):
        assert one.uid and one.path.startswith("/apis/")
        assert all("kubevirt.io" in name or name.startswith("foregroundDelete") for name in one.finalizers)
        assert bool(one.finalizers) == (one.action == "strip-finalizers")


def test_what_a_level_mends_stops_nothing() -> None:
    scene = CASES["virt-controller gone in a deletion"][0]
    levels = {
        repair: {one.level for one in blockage_findings(scene, repair)} for repair in ("report", "safe", "finalizers")
    }
    assert levels == {"report": {"blocker"}, "safe": {"blocker"}, "finalizers": {"warning"}}


def test_a_foreign_finalizer_stays_a_blocker_where_kubevirts_own_is_taken_away() -> None:
    scene = CASES["a foreign finalizer beside one of virt-controller, which is gone"][0]
    assert [(one.id, one.level) for one in blockage_findings(scene, "finalizers")] == [
        ("remove.stuck-controller-gone", "warning"),
        ("remove.stuck-foreign-finalizer", "blocker"),
    ]


def test_each_level_allows_what_is_below_it_too() -> None:
    those = cures(CASES["namespace deleted first"][0])
    assert allowed(those, "report") == []
    assert {one.level for one in allowed(those, "safe")} == {"safe"}
    assert allowed(those, "finalizers") == those


def test_webhooks_go_before_finalizers_and_the_kubevirt_object_is_the_last() -> None:
    actions = [one.action for one in cures(CASES["namespace deleted first"][0])]
    assert actions == ["delete-webhook", "delete-webhook", "delete-api-service", "strip-finalizers"]
    assert cures(CASES["everything deleted at once"][0])[-1].object == "KubeVirt kubevirt/kubevirt"


def test_the_operator_that_comes_back_is_of_the_installed_version() -> None:
    (cure,) = cures(CASES["operator deleted first"][0])
    assert (cure.version, cure.uid) == ("v1.8.4", "kv")


def found(case: str, id: str) -> Finding:
    return next(one for one in blockage_findings(CASES[case][0]) if one.id == id)


def test_a_crd_names_the_object_that_blocks_it_and_what_kubernetes_says() -> None:
    one = found("one object of a kind that nobody thinks of blocks a CRD", "remove.stuck-crd")
    assert "VirtualMachineSnapshot shop/one" in one.cause and "backup.example.com/keep" in one.cause
    assert one.evidence.startswith("InstanceDeletionCheck: could not confirm zero CustomResources remaining")


def test_objects_that_are_held_for_the_same_cause_are_one_finding() -> None:
    one = found("virt-controller gone in a deletion", "remove.stuck-controller-gone")
    assert one.cause.endswith("The same is seen on VirtualMachineInstance shop/one.")


def test_a_foreign_finalizer_names_its_owner() -> None:
    one = found("a foreign finalizer", "remove.stuck-foreign-finalizer")
    assert "Deckhouse Virtualization" in one.cause
    assert "kubectl edit virtualmachines.kubevirt.io one -n shop" in one.fix


def test_a_namespace_that_waits_for_a_kubevirt_that_is_not_even_being_deleted_is_no_blocker_with_finalizers() -> None:
    """Its deletion was refused by the webhook; the run deletes both, and then the finalizer."""
    scene = replace(ALL_GONE, namespace=ENDING, kubevirts=HEALTHY.kubevirts)
    for repair, level in (("safe", "blocker"), ("finalizers", "warning")):
        [one] = [one for one in blockage_findings(scene, repair) if one.id == "remove.stuck-namespace-terminating"]
        assert one.level == level


def test_a_dead_api_service_names_the_namespaces_that_wait_for_it() -> None:
    blocked = {
        "type": "NamespaceDeletionDiscoveryFailure",
        "status": "True",
        "reason": "DiscoveryFailed",
        "message": "",
    }
    waiting = {"metadata": {"name": "shop", "deletionTimestamp": LONG_AGO}, "status": {"conditions": [blocked]}}
    scene = replace(CASES["APIServices that lead nowhere"][0], terminating=(waiting,))
    assert "namespaces: shop" in blockage_findings(scene)[0].evidence


def test_pods_say_why_the_operator_is_not_ready() -> None:
    one = found("operator not ready", "remove.stuck-operator-not-ready")
    assert "ImagePullBackOff" in one.evidence
