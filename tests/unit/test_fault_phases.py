# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fault proxy knows from a request alone which phase of a run it belongs to."""

from __future__ import annotations

import json

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import workload_strategy, workload_updates

from tests.faults.phases import BY_NAME, Request, Story, phase_of
from tests.faults.scenarios import SCENARIOS

KUBEVIRT = "/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts/kubevirt"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kubevirt/leases"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/kubevirts.kubevirt.io"
KUBEVIRTS = "/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts"
MIGRATIONS = "/apis/kubevirt.io/v1/virtualmachineinstancemigrations"
VMIS = "/apis/kubevirt.io/v1/virtualmachineinstances"
OF_PROD = "/apis/kubevirt.io/v1/namespaces/prod/virtualmachineinstancemigrations"
PODS = "/api/v1/namespaces/kubevirt/pods"
VMS = "/apis/kubevirt.io/v1/virtualmachines"
VM = "/apis/kubevirt.io/v1/namespaces/prod/virtualmachines/db"
CLAIMS, CONFIG_MAPS = "/api/v1/persistentvolumeclaims", "/api/v1/configmaps"
DISK = "/api/v1/namespaces/prod/persistentvolumeclaims/db"
OPERATOR = "/apis/apps/v1/namespaces/kubevirt/deployments/virt-operator"
HANDLER = "/apis/apps/v1/namespaces/kubevirt/daemonsets/virt-handler"
METADATA = "application/json;as=PartialObjectMetadataList"

LIVE = {
    "metadata": {"name": "kubevirt", "annotations": {workload_updates.HELD_ANNOTATION: '["LiveMigrate"]'}},
    "spec": {"workloadUpdateStrategy": {"workloadUpdateMethods": []}},
}
HOLDING = json.dumps(workload_updates.holding_patch({"metadata": {}, "spec": {}}))
RELEASING = json.dumps(workload_updates.releasing_patch(LIVE, ["LiveMigrate"]))
RELEASING_WITHOUT = json.dumps(workload_updates.releasing_patch({**LIVE, "spec": {}}, ["LiveMigrate"]))
VERSIONED = {"metadata": {"resourceVersion": "7"}, "spec": {}}
ASKING = json.dumps(workload_updates.asking_patch(VERSIONED, ["LiveMigrate"]))
SETTING = json.dumps(
    workload_strategy.strategy_patch(VERSIONED, {"workloadUpdateMethods": ["LiveMigrate"]})
    + workload_updates.forgetting_patch(LIVE)
)
TAKING_OVER = json.dumps([{"op": "replace", "path": "/metadata/managedFields", "value": []}])


@pytest.mark.parametrize(
    ("request_", "story", "phase"),
    [
        (Request("GET", "/api/v1/namespaces/kube-system"), Story(), "find the cluster"),
        (Request("GET", "/apis/kubevirt.io/v1/kubevirts?limit=500"), Story(), "observe"),
        (Request("GET", CRD), Story(), "read what the manifest names"),
        (Request("GET", CRD), Story("hold the methods"), ""),
        (Request("PATCH", f"{CRD}?dryRun=All&force=true", "{}"), Story(), "rehearse"),
        (Request("POST", LEASES, "{}"), Story(), "take the lock"),
        (Request("PUT", f"{LEASES}/kubevirt-lifecycle", "{}"), Story(), "take the lock"),
        (Request("PUT", f"{LEASES}/kubevirt-lifecycle", "{}"), Story(done={"take the lock"}), "renew the lock"),
        (Request("DELETE", f"{LEASES}/kubevirt-lifecycle"), Story(done={"take the lock"}), "release the lock"),
        (Request("PATCH", KUBEVIRT, HOLDING), Story(), "hold the methods"),
        (Request("GET", f"{MIGRATIONS}?watch=true"), Story("hold the methods"), "drain migrations"),
        (Request("PATCH", CRD, TAKING_OVER), Story(), "take over the CRD"),
        (Request("PATCH", f"{CRD}?force=true", "{}"), Story(), "apply the CRD"),
        (Request("GET", f"{PODS}?limit=500"), Story("apply the Deployment"), "list for the wait"),
        (Request("GET", f"{PODS}?watch=true"), Story("apply the Deployment"), "wait"),
        (Request("PATCH", KUBEVIRT, RELEASING), Story("apply the Deployment"), "restore the methods"),
        (Request("GET", f"{PODS}?watch=true"), Story("restore the methods"), "wait after the methods"),
        (Request("GET", "/apis/kubevirt.io/v1/kubevirts"), Story("restore the methods"), "look at the end"),
        (Request("GET", f"{VMIS}?limit=500", accept="application/json"), Story(), "look at the VMs"),
        (Request("GET", f"{VMIS}?limit=500", accept=METADATA), Story(), ""),
        (Request("GET", f"{VMIS}?watch=true"), Story(), "watch the VMs"),
        (Request("GET", "/api/v1/pods?watch=true"), Story("hold the methods"), "watch the VMs"),
        (Request("PATCH", KUBEVIRT, ASKING), Story(), "hold the methods"),
        (Request("PATCH", KUBEVIRT, SETTING), Story("ask for more VMs"), "set the strategy"),
        (Request("PATCH", f"{KUBEVIRT}?dryRun=All", SETTING), Story(), "rehearse"),
        (Request("PATCH", KUBEVIRT, RELEASING_WITHOUT), Story("apply the Deployment"), "restore the methods"),
        (Request("POST", OF_PROD, "{}"), Story("hold the methods"), "ask for the canary"),
        (Request("POST", OF_PROD, "{}"), Story(done={"ask for the canary"}), "ask for more VMs"),
        (Request("GET", f"{PODS}?limit=500"), Story("ask for the canary"), "check the canary"),
        (Request("GET", "/apis/kubevirt.io/v1/kubevirts"), Story("set the strategy"), "look at the end"),
        (Request("GET", f"{CLAIMS}?limit=500"), Story(), "count what is at stake"),
        (Request("GET", f"{CLAIMS}?limit=500", accept=METADATA), Story(), ""),
        (Request("GET", HANDLER), Story(), "look for what blocks"),
        (Request("GET", f"{CONFIG_MAPS}?limit=500", accept=METADATA), Story(), "look for all of it"),
        (Request("GET", f"{VMS}?limit=500"), Story(), "back up"),
        (Request("GET", f"{VMS}?limit=500", accept=METADATA), Story(), ""),
        (Request("GET", f"{VMS}?watch=true"), Story(), "wait for the VM"),
        (Request("PATCH", VM, "[]"), Story(), "stop the VM"),
        (Request("DELETE", VM), Story("stop the VM"), "delete the VM"),
        (Request("GET", DISK), Story("delete the VM"), "check the disk"),
        (Request("DELETE", KUBEVIRT), Story("delete the VM"), "delete the KubeVirt object"),
        (Request("GET", f"{KUBEVIRTS}?watch=true"), Story("delete the KubeVirt object"), "wait for the deletion"),
        (
            Request("GET", f"{CONFIG_MAPS}?limit=500", accept=METADATA),
            Story("delete the KubeVirt object"),
            "search for what is left",
        ),
        (Request("DELETE", f"{LEASES}/virt-operator"), Story("delete the KubeVirt object"), "delete what is left"),
        (Request("DELETE", OPERATOR), Story("delete what is left"), "delete the operator's objects"),
        (Request("DELETE", CRD), Story("delete the operator's objects"), "delete the last CRD"),
        (Request("PATCH", "/api/v1/nodes/n1", "[]"), Story("delete the last CRD"), "clean the node"),
        (Request("DELETE", OF_PROD + "/vm-0"), Story("ask for the canary"), ""),
    ],
)
def test_the_phase_of_a_request(request_: Request, story: Story, phase: str) -> None:
    assert phase_of(request_, story) == phase


def test_the_lock_is_no_step_of_the_story() -> None:
    story = Story("hold the methods")
    story.took("renew the lock", Request("PUT", f"{LEASES}/kubevirt-lifecycle"))
    assert story.last_write == "hold the methods"


def test_a_rehearsal_changes_nothing_in_the_story() -> None:
    story = Story()
    story.took("rehearse", Request("PATCH", f"{CRD}?dryRun=All"))
    assert story == Story()


def test_scenarios_name_phases_that_there_are() -> None:
    for scenario in SCENARIOS.values():
        assert {*scenario.phases} <= {*BY_NAME}
        assert scenario.once in ("", *BY_NAME)
        assert {*scenario.briefly, *scenario.waits} <= {*scenario.phases}
