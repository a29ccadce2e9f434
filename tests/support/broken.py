# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How removals of KubeVirt get stuck: each state is made for real, as people make it, and looked at until it is what is meant.

Every function begins with a KubeVirt that runs, with VMs where the state is about VMs, and ends with one that does not remove
itself any more. Numbers are issues of kubevirt/kubevirt in which people have told of it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import yaml

from tests.support.install import create_kubevirt, sparing_manifest
from tests.support.kubevirt import KUBEVIRT, OPERATOR, wait_until
from tests.support.lab import Json, Lab, lab

NAMESPACE = "kubevirt"
OF_THE_OPERATOR = ("validatingwebhookconfiguration", "virt-operator-validator")
OF_VIRT_API = ("validatingwebhookconfiguration/virt-api-validator", "mutatingwebhookconfiguration/virt-api-mutator")
SUBRESOURCES = "v1.subresources.kubevirt.io"
OPERATORS_WEBHOOK = "kubevirt-operator-webhook"
KUBEVIRTS = "crd/kubevirts.kubevirt.io"
MISSING = "v1.8.99"
FOREIGN = "backups.example.com/keep"
GUEST_STOPS = "vmi-stops"
LOST = "lab/node-lost"
SIMULATED = "kwok.x-k8s.io/node"
STILL = 10.0
"""Seconds for which a state is looked at before it counts as one that does not end by itself."""
SOON = 180.0


# What several have in common


def installed_release(cluster: Lab) -> str:
    """The release that its operator is of."""
    container: Json = cluster.get(*OPERATOR)["spec"]["template"]["spec"]["containers"][0]
    return str(container["image"]).rpartition(":")[2]


def take_away(cluster: Lab, *deployments: str) -> None:
    """Delete Deployments, virt-operator first because it would bring the others back, and wait until their pods are gone."""
    for name in sorted(deployments, key=lambda name: name != "virt-operator"):
        cluster.kubectl("delete", "deployment", name, "-n", NAMESPACE)
        own = ("pods", "-n", NAMESPACE, "-l", f"kubevirt.io={name}")
        wait_until(lambda own=own: cluster.get(*own)["items"] == [], SOON)  # type: ignore[misc]


def delete_although_nobody_answers(cluster: Lab, *what: str) -> None:
    """Delete an object that virt-operator's webhook watches over while there is no operator.

    As if it had been deleted a moment before the operator went. The webhook configuration is the same afterwards.
    """
    webhook = cluster.get(*OF_THE_OPERATOR)
    cluster.kubectl("delete", *OF_THE_OPERATOR)
    wait_until(lambda: cluster.succeeds("delete", *what, "--wait=false"))
    cluster.kubectl("create", "-f", "-", stdin=json.dumps({**webhook, "metadata": _as_new(webhook)}))
    assert_refused(cluster, OPERATORS_WEBHOOK, "label", *KUBEVIRT, "lab/look=again")


def assert_refused(cluster: Lab, by: str, *command: str) -> None:
    """A command of kubectl fails, sooner or later and then for good, and the server says because of whom."""
    wait_until(lambda: by in cluster.refusal(*command))
    assert_stays(lambda: by in cluster.refusal(*command))


def assert_stays(condition: Callable[[], bool], seconds: float = STILL) -> None:
    """It holds all the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), "it does not stay as it was made"
        time.sleep(1)


def is_being_deleted(cluster: Lab, *what: str) -> bool:
    """Whether it is there and has been told to go."""
    found = cluster.kubectl("get", *what, "--ignore-not-found", "-o", "jsonpath={.metadata.deletionTimestamp}")
    return bool(found)


def exists(cluster: Lab, *what: str) -> bool:
    return bool(cluster.kubectl("get", *what, "--ignore-not-found", "-o", "name"))


def add_finalizer(cluster: Lab, finalizer: str, *what: str) -> None:
    """Hold an object, as another tool would, beside those who hold it already."""
    now = cluster.get(*what)["metadata"].get("finalizers") or []
    _set_finalizers(cluster, [*now, finalizer], *what)


def drop_finalizer(cluster: Lab, finalizer: str, *what: str) -> None:
    """Let go of an object, as the tool would that holds it; nothing if it is gone."""
    if exists(cluster, *what):
        now = cluster.get(*what)["metadata"].get("finalizers") or []
        _set_finalizers(cluster, [one for one in now if one != finalizer], *what)


def _set_finalizers(cluster: Lab, finalizers: list[str], *what: str) -> None:
    cluster.kubectl("patch", *what, "--type=merge", "-p", json.dumps({"metadata": {"finalizers": finalizers or None}}))


def _as_new(one: Json) -> Json:
    return {key: one["metadata"][key] for key in ("name", "labels", "annotations") if key in one["metadata"]}


def _names(cluster: Lab, kind: str) -> list[str]:
    return [one["metadata"]["name"] for one in cluster.get(kind)["items"]]


# The states


def operator_deleted_first(cluster: Lab) -> None:
    """The operator is deleted before the KubeVirt object, which can then not even be deleted: #1491, #10907, #14837."""
    take_away(cluster, "virt-operator")
    assert_refused(cluster, OPERATORS_WEBHOOK, "delete", *KUBEVIRT, "--wait=false")


def kubevirt_stuck(cluster: Lab) -> None:
    """The operator goes while it deletes; the object waits for it, and nobody may take its finalizer off: #9735, #2605, #7613."""
    take_away(cluster, "virt-operator")
    delete_although_nobody_answers(cluster, *KUBEVIRT)
    assert_refused(
        cluster, OPERATORS_WEBHOOK, "patch", *KUBEVIRT, "--type=merge", "-p", '{"metadata":{"finalizers":null}}'
    )
    assert_stays(lambda: is_being_deleted(cluster, *KUBEVIRT))


def namespace_deleted_first(cluster: Lab) -> None:
    """The operator's namespace is deleted with all that is in it, and waits for the KubeVirt object: #5572, #2427, kubevirt/user-guide#367.

    No operator can be brought back into it.
    """
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    wait_until(lambda: cluster.get("pods", "-n", NAMESPACE)["items"] == [], SOON)
    new = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new", "namespace": NAMESPACE}}
    assert "being terminated" in cluster.refusal("create", "-f", "-", stdin=json.dumps(new))
    assert_stays(lambda: exists(cluster, *KUBEVIRT) and is_being_deleted(cluster, "namespace", NAMESPACE))


def everything_deleted_at_once(cluster: Lab) -> None:
    """``kubectl delete -f`` of the operator's manifest and the KubeVirt object together: #2605, #2606, #2427."""
    manifest = lab("manifest", installed_release(cluster))
    cluster.refusal("delete", "-f", manifest, "--wait=false", "--ignore-not-found")
    cluster.refusal("delete", "-f", "-", "--wait=false", "--ignore-not-found", stdin=lab("cr"))
    wait_until(lambda: not exists(cluster, *OPERATOR), SOON)
    wait_until(lambda: cluster.get("pods", "-n", NAMESPACE, "-l", "kubevirt.io=virt-operator")["items"] == [], SOON)
    for what in ((KUBEVIRTS,), KUBEVIRT, ("namespace", NAMESPACE)):
        assert_stays(lambda what=what: is_being_deleted(cluster, *what))  # type: ignore[misc]


def webhooks_left(cluster: Lab) -> None:
    """The guide's recipe was followed: operator away, its webhook and the finalizer too. What the operator made stays: #8131, #13098.

    Among that are webhooks of a virt-api that is gone as well, so no VM can be changed, and the CRDs of the VMs.
    """
    take_away(cluster, "virt-operator", "virt-api", "virt-controller")
    cluster.kubectl("delete", *OF_THE_OPERATOR)
    wait_until(lambda: cluster.succeeds("delete", *KUBEVIRT, "--wait=false"))
    _set_finalizers(cluster, [], *KUBEVIRT)
    cluster.kubectl("delete", "service", "virt-api", "-n", NAMESPACE)
    wait_until(lambda: not exists(cluster, *KUBEVIRT))
    assert all(exists(cluster, webhook) for webhook in OF_VIRT_API)
    for name in _names(cluster, "vm"):
        assert_refused(
            cluster, "virt-api", "patch", "vm", name, "--type=merge", "-p", '{"spec":{"runStrategy":"Halted"}}'
        )


def api_service_left(cluster: Lab) -> None:
    """The operator's namespace was forced away, and an APIService of virt-api stays: no namespace of the cluster can be deleted.

    #9725, #1491, #2090. There are no VMs.
    """
    assert _names(cluster, "vm") == []
    release = installed_release(cluster)
    take_away(cluster, "virt-operator")
    cluster.kubectl("delete", *OF_THE_OPERATOR)
    wait_until(lambda: cluster.succeeds("delete", *KUBEVIRT, "--wait=false"))
    _set_finalizers(cluster, [], *KUBEVIRT)
    cluster.kubectl("delete", "-f", lab("manifest", release), "--wait=false", "--ignore-not-found")
    other = "not-of-kubevirt"
    cluster.kubectl("create", "namespace", other)
    wait_until(lambda: "False" in _available(cluster), SOON)
    cluster.kubectl("delete", "namespace", other, "--wait=false")
    wait_until(
        lambda: "DiscoveryFailed" in cluster.kubectl("get", "namespace", other, "-o", "jsonpath={.status}"), SOON
    )
    assert_stays(lambda: is_being_deleted(cluster, "namespace", other))


def _available(cluster: Lab) -> str:
    of_available = "jsonpath={.status.conditions[?(@.type=='Available')].status}"
    return cluster.kubectl("get", "apiservice", SUBRESOURCES, "-o", of_available)


def virt_api_gone(cluster: Lab) -> None:
    """virt-api is gone and so is the operator, which would bring it back; its webhooks refuse every change of a VM: #13098."""
    take_away(cluster, "virt-operator", "virt-api")
    change = '{"metadata":{"labels":{"lab/look":"again"}}}'
    for name in _names(cluster, "vm"):
        assert_refused(cluster, "virt-api", "patch", "vm", name, "--type=merge", "-p", change)


def virt_controller_gone(cluster: Lab) -> None:
    """virt-controller is gone and so is the operator: nobody stops a VM, or lets go of one that was deleted: #1491."""
    take_away(cluster, "virt-operator", "virt-controller")
    name = _names(cluster, "vm")[0]
    cluster.kubectl("patch", "vm", name, "--type=merge", "-p", '{"spec":{"runStrategy":"Halted"}}')
    assert_stays(lambda: exists(cluster, "vmi", name) and not is_being_deleted(cluster, "vmi", name))


def vm_finalizers_stuck(cluster: Lab) -> None:
    """VMs were deleted, and virt-controller, which holds them by a finalizer, is gone with the operator: #1491, #13098."""
    take_away(cluster, "virt-operator", "virt-controller")
    names = _names(cluster, "vm")
    cluster.kubectl("delete", "vm", "--all", "--wait=false")
    for name in names:
        assert_stays(lambda name=name: is_being_deleted(cluster, "vm", name), 5)  # type: ignore[misc]


def vmi_on_a_lost_node(cluster: Lab) -> None:
    """The node of a VM does not answer any more, so neither its guest nor its launcher pod ever ends: #1491."""
    vmi = cluster.get("vmi")["items"][0]
    name, node = vmi["metadata"]["name"], vmi["status"]["nodeName"]
    stage = cluster.get("stage", GUEST_STOPS)
    not_lost = {"key": f'.metadata.labels["{LOST}"]', "operator": "DoesNotExist"}
    selector = {"matchExpressions": [*stage["spec"]["selector"]["matchExpressions"], not_lost]}
    cluster.kubectl("patch", "stage", GUEST_STOPS, "--type=merge", "-p", json.dumps({"spec": {"selector": selector}}))
    cluster.kubectl("label", "vmi", name, f"{LOST}=true")
    _replace_node(cluster, node, annotations={})
    wait_until(lambda: _is_ready(cluster, node) != "True", SOON)
    assert_stays(lambda: _is_ready(cluster, node) != "True" and exists(cluster, "vmi", name))


def lost_node_is_back(cluster: Lab) -> None:
    """What a person does about it: the node answers again, and its guest ends when it is told to."""
    for node in cluster.get("node")["items"]:
        if "lab/simulated" in node["metadata"]["labels"] and not node["metadata"].get("annotations", {}).get(SIMULATED):
            _replace_node(cluster, node["metadata"]["name"], annotations={SIMULATED: "fake"})
    stage = cluster.get("stage", GUEST_STOPS)
    selector = [one for one in stage["spec"]["selector"]["matchExpressions"] if LOST not in one["key"]]
    change = {"spec": {"selector": {"matchExpressions": selector}}}
    cluster.kubectl("patch", "stage", GUEST_STOPS, "--type=merge", "-p", json.dumps(change))


def _replace_node(cluster: Lab, name: str, annotations: Json) -> None:
    """The node under the same name at once, so that its pods stay. KWOK plays those that it sees come with its annotation."""
    node = cluster.get("node", name)
    metadata = {"name": name, "labels": node["metadata"]["labels"], "annotations": annotations}
    taints = [one for one in node["spec"].get("taints", []) if one["key"].startswith("lab/")]
    spec = {**node["spec"], "taints": taints}
    again = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec}
    cluster.kubectl("delete", "node", name)
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(again))


def _is_ready(cluster: Lab, node: str) -> str:
    return cluster.kubectl("get", "node", node, "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}")


def foreign_finalizer(cluster: Lab) -> None:
    """Another tool holds a VM by a finalizer, and lets go of it never: deckhouse/virtualization#241."""
    add_finalizer(cluster, FOREIGN, *_held_by_others(cluster))


def foreign_finalizer_lets_go(cluster: Lab) -> None:
    """What a person does about it."""
    drop_finalizer(cluster, FOREIGN, *_held_by_others(cluster))


def _held_by_others(cluster: Lab) -> tuple[str, ...]:
    return ("vm", _names(cluster, "vm")[0])


def foreign_finalizer_while_deleting(cluster: Lab) -> None:
    """KubeVirt is being deleted, and one object of a kind that nobody thinks of is held by another tool: its CRD waits for ever."""
    cluster.kubectl("create", "-f", "-", stdin=yaml.safe_dump(_INSTANCETYPE))
    add_finalizer(cluster, FOREIGN, *_HELD_INSTANCETYPE)
    assert _names(cluster, "vm") == []
    cluster.kubectl("delete", *KUBEVIRT, "--wait=false")
    crd = "crd/virtualmachineinstancetypes.instancetype.kubevirt.io"
    wait_until(lambda: is_being_deleted(cluster, crd) and is_being_deleted(cluster, *_HELD_INSTANCETYPE), SOON)
    assert_stays(lambda: is_being_deleted(cluster, crd) and is_being_deleted(cluster, *KUBEVIRT))


def instancetype_is_let_go(cluster: Lab) -> None:
    """What a person does about it."""
    drop_finalizer(cluster, FOREIGN, *_HELD_INSTANCETYPE)


_HELD_INSTANCETYPE = ("virtualmachineinstancetype", "held")
_INSTANCETYPE = {
    "apiVersion": "instancetype.kubevirt.io/v1beta1",
    "kind": "VirtualMachineInstancetype",
    "metadata": {"name": "held", "namespace": "default"},
    "spec": {"cpu": {"guest": 1}, "memory": {"guest": "64Mi"}},
}


def strategy_job_failing(cluster: Lab) -> None:
    """The deletion needs an install strategy, and the Job that makes it cannot pull its image: #2961, #5355."""
    cluster.kubectl("patch", *KUBEVIRT, "--type=merge", "-p", json.dumps({"spec": {"imageTag": MISSING}}))
    job = ("pods", "-n", NAMESPACE, "-l", "kubevirt.io=virt-operator-strategy-dumper")
    waiting = (*job, "-o", "jsonpath={.items[*].status.containerStatuses[*].state.waiting.reason}")
    wait_until(lambda: "ImagePull" in cluster.kubectl("get", *waiting), SOON)
    cluster.kubectl("delete", *KUBEVIRT, "--wait=false")
    cluster.kubectl("delete", "configmap", "-n", NAMESPACE, "-l", "kubevirt.io/install-strategy")
    wait_until(lambda: is_being_deleted(cluster, *KUBEVIRT))
    assert_stays(lambda: is_being_deleted(cluster, *KUBEVIRT), 2 * STILL)


def strategy_job_can_pull(cluster: Lab) -> None:
    """What a person does about it: the version is named that was installed, and the Job goes, so that virt-operator makes a new one."""
    change = '[{"op": "remove", "path": "/spec/imageTag"}]'
    wait_until(lambda: cluster.succeeds("patch", *KUBEVIRT, "--type=json", "-p", change))
    cluster.kubectl("delete", "job", "-n", NAMESPACE, "-l", "kubevirt.io/install-strategy")


def phase_deploying(cluster: Lab) -> None:
    """KubeVirt was installed anew, and as an image is missing it never gets further than Deploying: #2961, #5572.

    Its webhooks are there, and no virt-api behind them.
    """
    release = installed_release(cluster)
    lab("kubevirt", "uninstall", "--name", cluster.name)
    cluster.kubectl("apply", "--server-side", "-f", str(sparing_manifest(release)))
    cluster.wait_for("Available", "deployment/virt-operator", "-n", NAMESPACE, seconds=900)
    image = {"name": "virt-api", "image": f"quay.io/kubevirt/virt-api:{MISSING}"}
    patch = json.dumps({"spec": {"template": {"spec": {"containers": [image]}}}})
    wrong = {"resourceType": "Deployment", "resourceName": "virt-api", "type": "strategic", "patch": patch}
    create_kubevirt(cluster, infra={"replicas": 1}, customizeComponents={"patches": [wrong]})
    reasons = ("pods", "-n", NAMESPACE, "-l", "kubevirt.io=virt-api", "-o")
    waiting = (*reasons, "jsonpath={.items[*].status.containerStatuses[*].state.waiting.reason}")
    wait_until(lambda: "ImagePull" in cluster.kubectl("get", *waiting), 3 * SOON)
    assert_stays(lambda: cluster.get(*KUBEVIRT)["status"]["phase"] == "Deploying")


def crd_deleted_by_hand(cluster: Lab) -> None:
    """The CRD of the KubeVirt object is deleted, which nothing protects, and the operator is not there: #13921."""
    take_away(cluster, "virt-operator")
    cluster.kubectl("delete", KUBEVIRTS, "--wait=false")
    wait_until(lambda: is_being_deleted(cluster, *KUBEVIRT))
    assert_stays(lambda: is_being_deleted(cluster, KUBEVIRTS) and is_being_deleted(cluster, *KUBEVIRT))


def crd_missing(cluster: Lab) -> None:
    """One of the CRDs that virt-operator made is gone, and the operator too, so that it does not come back: #7064."""
    take_away(cluster, "virt-operator")
    crd = "crd/virtualmachineclones.clone.kubevirt.io"
    cluster.kubectl("delete", crd, "--wait=false")
    drop_finalizer(cluster, "kubevirt.io/virtOperatorFinalizer", crd)
    wait_until(lambda: not exists(cluster, crd))
    assert_stays(lambda: not exists(cluster, crd))


def nothing_wrong(cluster: Lab) -> None:
    """KubeVirt is well: what is broken is the run that removes it."""
    assert not is_being_deleted(cluster, *KUBEVIRT)
