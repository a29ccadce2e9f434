# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods that do not come up: what the kubelet, the scheduler and the API server show, and what is made of it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import failing_pods
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import Finding
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.symptoms import Trouble, troubles

Object = dict[str, t.Any]

IMAGE = "quay.io/kubevirt/virt-api:v9"
JOB = "virt-operator-strategy-dumper"


def pod(name: str = "virt-api-1", app: str = "virt-api", **status: t.Any) -> Object:
    labels = {"kubevirt.io": app, **({"job-name": f"{name}-job"} if app == JOB else {})}
    restarts = "Never" if app == JOB else "Always"
    return {
        "metadata": {"name": name, "namespace": "kubevirt", "labels": labels},
        "spec": {"restartPolicy": restarts},
        "status": status,
    }


def waiting(reason: str, message: str = "", **more: t.Any) -> Object:
    return {"name": "main", "image": IMAGE, "state": {"waiting": {"reason": reason, "message": message}}, **more}


def ended(code: int, reason: str = "Error", message: str = "") -> Object:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


RUNNING = {"name": "main", "image": IMAGE, "ready": True, "state": {"running": {"startedAt": "2026-11-20T10:00:00Z"}}}
BACK_OFF = waiting("CrashLoopBackOff", "back-off 40s", restartCount=4, lastState=ended(1))


def crash_loop(*pods: Object, last_line: str = "") -> Finding | None:
    return failing_pods.crash_loop(failing_pods.crashes(troubles(pods)), last_line)


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"])
@pytest.mark.parametrize("where", ["containerStatuses", "initContainerStatuses"])
def test_an_image_that_cannot_be_pulled(where: str, reason: str) -> None:
    pods = [pod("fine", containerStatuses=[RUNNING]), pod(**{where: [waiting(reason)]})]
    found = failing_pods.image_pull_failure(troubles(pods))
    assert found is not None
    assert (found.id, found.object) == ("upgrade.image-pull", "Pod kubevirt/virt-api-1")
    assert IMAGE in found.cause
    assert found.evidence == reason


def test_the_message_of_the_kubelet_is_evidence() -> None:
    pods = [pod(containerStatuses=[waiting("ErrImagePull", "401 Unauthorized")])]
    found = failing_pods.image_pull_failure(troubles(pods))
    assert found is not None and found.evidence == "ErrImagePull: 401 Unauthorized"


@pytest.mark.parametrize(
    ("container", "evidence"),
    [
        (
            waiting("CreateContainerConfigError", 'secret "ca" not found'),
            'CreateContainerConfigError: secret "ca" not found',
        ),
        (waiting("CreateContainerError", "name is in use"), "CreateContainerError: name is in use"),
        (waiting("RunContainerError", "exec: no such file"), "RunContainerError: exec: no such file"),
        (
            waiting("CrashLoopBackOff", restartCount=2, lastState=ended(128, "StartError", "exec: no such file")),
            "StartError: exec: no such file",
        ),
        (
            {**waiting(""), "state": ended(128, "ContainerCannotRun", "denied"), "restartCount": 1},
            "ContainerCannotRun: denied",
        ),
    ],
)
def test_a_container_that_cannot_be_created_or_started(container: Object, evidence: str) -> None:
    found = [*troubles([pod(containerStatuses=[container])])]
    made = failing_pods.not_created(found)
    assert made is not None
    assert (made.id, made.object) == ("upgrade.container-not-created", "Pod kubevirt/virt-api-1")
    assert made.evidence == evidence
    assert failing_pods.crashes(found) == [] and failing_pods.image_pull_failure(found) is None


@pytest.mark.parametrize(
    ("container", "words"),
    [
        (BACK_OFF, "Error, exit code 1, restarts: 4"),
        ({**BACK_OFF, "state": {"running": {}}, "ready": False}, "Error, exit code 1, restarts: 4"),
        ({**BACK_OFF, "state": ended(2, message="panic")}, "Error, exit code 2, restarts: 4; panic"),
        ({**BACK_OFF, "lastState": ended(137, "OOMKilled")}, "OOMKilled, exit code 137, restarts: 4"),
    ],
    ids=["between two runs", "it runs again, but is not ready", "just ended", "out of memory"],
)
def test_a_container_that_ends_again_and_again(container: Object, words: str) -> None:
    found = crash_loop(pod(containerStatuses=[container]))
    assert found is not None
    assert (found.id, found.object, found.evidence) == ("upgrade.crash-loop", "Pod kubevirt/virt-api-1", words)
    assert ("memory" in found.cause) is ("OOMKilled" in words)


def test_the_last_line_of_the_log_is_evidence() -> None:
    found = crash_loop(pod(containerStatuses=[BACK_OFF]), last_line="unknown flag: --nonsense")
    assert found is not None
    assert found.evidence == "Error, exit code 1, restarts: 4; last line of its log: unknown flag: --nonsense"
    assert "kubectl logs -n kubevirt virt-api-1 -c main --previous" in found.fix


def test_a_pod_of_the_job_that_failed_is_one_attempt_and_two_are_a_failure() -> None:
    failed = pod("kubevirt-1", JOB, phase="Failed", containerStatuses=[{**waiting(""), "state": ended(1)}])
    again = {**failed, "metadata": {**failed["metadata"], "name": "kubevirt-2"}}
    assert crash_loop(failed) is None
    found = crash_loop(failed, again)
    assert found is not None and found.object == "Pod kubevirt/kubevirt-1"
    assert "kubectl delete job -n kubevirt kubevirt-1-job" in found.fix


@pytest.mark.parametrize(
    "pods",
    [
        [],
        [pod()],
        [{"metadata": {"name": "new", "namespace": "kubevirt"}}],
        [pod(containerStatuses=[RUNNING])],
        [pod(containerStatuses=[{**RUNNING, "restartCount": 3, "lastState": ended(1)}])],
        [pod(containerStatuses=[waiting("ContainerCreating"), waiting("PodInitializing")])],
        [pod(containerStatuses=[{**waiting(""), "state": ended(1), "restartCount": 0}])],
        [pod(initContainerStatuses=[{**waiting(""), "state": ended(0, "Completed"), "restartCount": 0}])],
        [pod(containerStatuses=[{**BACK_OFF, "lastState": ended(0, "Completed")}])],
        [pod("job", JOB, phase="Succeeded", containerStatuses=[{**waiting(""), "state": ended(0, "Completed")}])],
    ],
    ids=[
        *("no pods", "no containers", "no status", "running", "ready again", "starting", "ended once"),
        *("an init container that is done", "it ended without an error", "a Job that is done"),
    ],
)
def test_pods_without_trouble(pods: list[Object]) -> None:
    found: list[Trouble] = [*troubles(pods)]
    assert failing_pods.image_pull_failure(found) is None
    assert failing_pods.not_created(found) is None
    assert failing_pods.crashes(found) == []


def test_several_pods_are_one_finding_that_names_the_first() -> None:
    pods = [pod(f"virt-handler-{n}", "virt-handler", containerStatuses=[BACK_OFF, BACK_OFF]) for n in range(9)]
    found = crash_loop(*pods)
    assert found is not None and found.object == "Pod kubevirt/virt-handler-0"
    assert found.cause.endswith(
        "The same is seen on Pod kubevirt/virt-handler-1, Pod kubevirt/virt-handler-2, Pod kubevirt/virt-handler-3 and 5 more."
    )


def pending(app: str, words: str, status: str = "False", reason: str = "Unschedulable") -> Object:
    condition = {"type": "PodScheduled", "status": status, "reason": reason, "message": words}
    return pod(f"{app}-1", app, phase="Pending", conditions=[condition])


AFFINITY = "0/4 nodes are available: 4 node(s) didn't match Pod's node affinity/selector."


@pytest.mark.parametrize(
    ("app", "words", "fix"),
    [
        ("virt-operator", AFFINITY, "Label a node, or change the manifest"),
        ("virt-api", AFFINITY, '{"spec":{"infra":{"nodePlacement":{}}}}'),
        (JOB, AFFINITY, "kubectl delete job -n kubevirt"),
        ("virt-handler", AFFINITY, "spec.workloads.nodePlacement"),
        ("virt-api", "0/4 nodes are available: 4 Insufficient memory.", "Make room"),
    ],
)
def test_a_pod_that_no_node_takes(app: str, words: str, fix: str) -> None:
    found = failing_pods.no_node([pending(app, words), pending(app, words)])
    assert found is not None
    assert (found.id, found.object, found.evidence) == ("upgrade.unschedulable", f"Pod kubevirt/{app}-1", words)
    assert fix in found.fix
    assert "The same is seen on Pod" in found.cause


@pytest.mark.parametrize(
    "other",
    [
        pending("virt-api", "", "True", ""),
        pending("virt-api", "wait", "False", "SchedulingGated"),
        pod(phase="Pending"),
    ],
)
def test_a_pod_that_has_its_node_or_was_not_looked_at(other: Object) -> None:
    assert failing_pods.no_node([other]) is None


@pytest.mark.parametrize(
    ("message", "id", "fix"),
    [
        (
            'pods "virt-api-x" is forbidden: exceeded quota: few, requested: pods=1, used: pods=9, limited: pods=9',
            "upgrade.quota-exceeded",
            "kubectl get resourcequota",
        ),
        (
            'pods "virt-handler-x" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostPID=true)',
            "upgrade.admission-refused",
            "pod-security.kubernetes.io/enforce=privileged",
        ),
        (
            'admission webhook "validate.kyverno.svc-fail" denied the request: policy',
            "upgrade.admission-refused",
            "Exempt",
        ),
        (
            "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'p' denied request: no",
            "upgrade.admission-refused",
            "Ex",
        ),
        (
            'pods "x" is forbidden: no PriorityClass with name kubevirt-cluster-critical',
            "upgrade.admission-refused",
            "E",
        ),
        (
            'Internal error occurred: failed calling webhook "a.b": no endpoints available for service "a"',
            "upgrade.webhook-unreachable",
            "grep -B9 a.b",
        ),
        ("etcdserver: request timed out", None, ""),
        ("", None, ""),
    ],
)
def test_pods_that_are_refused(message: str, id: str | None, fix: str) -> None:
    found = failing_pods.refusal("DaemonSet kubevirt/virt-handler", message)
    if id is None:
        assert found is None
    else:
        assert found is not None
        assert (found.id, found.object, found.evidence) == (id, "DaemonSet kubevirt/virt-handler", message)
        assert fix in found.fix
