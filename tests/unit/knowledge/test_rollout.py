# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""At which stage a hop is: over a recorded one from begin to end, and in single moments."""

from __future__ import annotations

import typing as t
from copy import deepcopy

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.rollout import Stage, stage_of
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.settling import unsettled

from tests.support.recording import Recording

Object = dict[str, t.Any]

TO = "v1.8.4"


class Moment:
    """The objects of one moment of the recorded hop, to be changed by a test."""

    def __init__(self, recording: Recording) -> None:
        self.kubevirt: Object = deepcopy(recording.objects("kubevirt")[0])
        self.workloads: dict[str, Object] = {
            one["metadata"]["name"]: deepcopy(one)
            for source in ("deployments", "daemonsets")
            for one in recording.objects(source)
        }
        self.pods: list[Object] = deepcopy(recording.objects("pods"))

    @classmethod
    def at(cls, seconds: float) -> Moment:
        recording = Recording("1.7.0-to-1.8.4")
        while recording.now() < seconds:
            recording.changed(seconds - recording.now())
        return cls(recording)

    @property
    def arguments(self) -> t.Any:
        operands = [one for name, one in self.workloads.items() if name != "virt-operator"]
        operator = self.workloads.get("virt-operator")
        return {"operator": operator, "operands": operands, "pods": self.pods, "wanted": TO}

    @property
    def stage(self) -> Stage:
        missing = unsettled(self.kubevirt, **self.arguments) or ["all is settled"]
        return stage_of(self.kubevirt, **self.arguments, missing=missing)

    def pod(self, name: str) -> Object:
        """The pod of that name."""
        return next(pod for pod in self.pods if pod["metadata"]["name"] == name)


def stages() -> list[tuple[float, Stage]]:
    """Each other stage of the recorded hop, with the seconds since it began."""
    recording = Recording("1.7.0-to-1.8.4")
    seen: list[tuple[float, Stage]] = []
    while not recording.is_over:
        stage = Moment(recording).stage
        if not seen or seen[-1][1] != stage:
            seen.append((recording.now(), stage))
        recording.changed(1)
    return seen


def test_the_components_of_a_recorded_hop_come_one_after_the_other() -> None:
    seen = [stage for _now, stage in stages()]
    assert list(dict.fromkeys(stage.component for stage in seen)) == [
        "virt-operator",
        "install-strategy",
        "virt-handler",
        "virt-controller",
        "virt-api",
        "KubeVirt",
    ]
    assert list({stage.position: stage for stage in seen}) == sorted({stage.position for stage in seen})


@pytest.mark.parametrize(
    ("component", "pods"), [("virt-operator", 2), ("virt-handler", 12), ("virt-controller", 2), ("virt-api", 2)]
)
def test_the_pods_of_a_recorded_hop_are_counted_once(component: str, pods: int) -> None:
    seen = [stage for _now, stage in stages() if stage.component == component]
    assert {stage.pods for stage in seen} == {pods}
    assert list(dict.fromkeys(stage.left for stage in seen)) == list(range(pods, -1, -1))


def test_what_is_left_is_that_of_all_components_from_here_on() -> None:
    seen = {stage.component: stage for _now, stage in reversed(stages())}
    assert seen["virt-operator"].rest == (("Deployment", 2), ("DaemonSet", 12), ("Deployment", 2), ("Deployment", 2))
    assert seen["install-strategy"].rest == (("Job", 1), ("DaemonSet", 12), ("Deployment", 2), ("Deployment", 2))
    assert seen["virt-handler"].rest == (("DaemonSet", 12), ("Deployment", 2), ("Deployment", 2))
    assert seen["virt-api"].rest == (("Deployment", 2),)
    assert seen["KubeVirt"].rest == ()


OPERATOR_ROLLS, OPERATOR_IS_THERE, JOB, AFTER_THE_JOB, HANDLER, CONTROLLER, END = 5, 26, 30.2, 40, 48.1, 75, 180
"""Seconds of the recorded hop."""


@pytest.mark.parametrize(
    ("seconds", "component", "done", "reason"),
    [
        (0, "virt-operator", 0, "Deployment kubevirt/virt-operator: its latest change is not rolled out yet"),
        (
            OPERATOR_ROLLS,
            "virt-operator",
            0,
            "virt-operator-576b8d796c-8qv76 on control-plane: container virt-operator is not",
        ),
        (OPERATOR_IS_THERE, "virt-operator", 2, "the status is that of virt-operator v1.7.0, not yet of v1.8.4"),
        (JOB, "install-strategy", 0, "the pod of its Job is Pending"),
        (AFTER_THE_JOB, "install-strategy", 0, "virt-operator prepares the new objects"),
        (HANDLER, "virt-handler", 2, "Pod kubevirt/virt-handler-95hx9 on worker-3 is Pending, not yet Running"),
        (CONTROLLER, "virt-controller", 0, "on control-plane: container virt-controller is not ready"),
        (END, "KubeVirt", 0, "all is settled"),
    ],
)
def test_moments_of_a_recorded_hop(seconds: float, component: str, done: int, reason: str) -> None:
    stage = Moment.at(seconds).stage
    assert (stage.component, stage.pods and stage.pods - stage.left) == (component, done)
    assert reason in stage.reason


def test_a_failure_that_virt_operator_reports_is_what_any_stage_waits_for() -> None:
    moment = Moment.at(HANDLER)
    before = moment.stage
    message = "unable to update ClusterRole kubevirt.io:admin at 16:01:22"
    moment.kubevirt["status"]["conditions"].append(
        {"type": "Synchronized", "status": "False", "reason": "DeploymentFailed", "message": message}
    )
    assert moment.stage.reason == f"DeploymentFailed: {message}"
    assert moment.stage.sort == "DeploymentFailed"
    assert (moment.stage.component, moment.stage.left) == (before.component, before.left)


def test_why_a_pod_waits_is_a_sort_of_its_own() -> None:
    moment = Moment.at(HANDLER)
    pending = moment.stage.sort
    waiting = {"name": "virt-handler", "ready": False, "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    moment.pod("virt-handler-95hx9")["status"]["containerStatuses"] = [waiting]
    assert "virt-handler-95hx9 on worker-3 is Pending (ImagePullBackOff), not yet Running" in moment.stage.reason
    assert moment.stage.sort != pending


def test_an_old_pod_that_does_not_go_is_waited_for() -> None:
    moment = Moment.at(HANDLER)
    moment.pods.remove(moment.pod("virt-handler-95hx9"))
    moment.pod("virt-handler-jg2hf")["metadata"]["deletionTimestamp"] = "2026-11-24T16:01:22Z"
    assert moment.stage.reason == "Pod kubevirt/virt-handler-jg2hf on worker-5 is old and not gone yet"


def test_old_pods_whose_turn_has_not_come_are_not_what_it_waits_for() -> None:
    moment = Moment.at(HANDLER)
    moment.pods.remove(moment.pod("virt-handler-95hx9"))
    assert (moment.stage.component, moment.stage.left) == ("virt-handler", 10)
    assert moment.stage.reason == "DaemonSet kubevirt/virt-handler: 3 of 12 pods updated"


def test_evicted_pods_are_not_what_it_waits_for() -> None:
    moment = Moment.at(OPERATOR_IS_THERE)
    before = moment.stage
    evicted = deepcopy(moment.pod("virt-operator-576b8d796c-8qv76"))
    evicted["status"]["phase"] = "Failed"
    moment.pods.insert(0, evicted)
    assert moment.stage == before


def test_a_pod_that_fails_again_brings_its_component_back() -> None:
    moment = Moment.at(CONTROLLER)
    moment.pod("virt-handler-95hx9")["status"]["containerStatuses"][0]["ready"] = False
    assert (moment.stage.component, moment.stage.left) == ("virt-handler", 1)
    assert moment.stage.position < Moment.at(CONTROLLER).stage.position


def test_another_deployment_of_the_same_version_goes_the_other_way_round() -> None:
    moment = Moment.at(HANDLER)
    moment.kubevirt["status"]["observedKubeVirtVersion"] = TO
    assert moment.stage.component == "virt-api"
    assert [kind for kind, _left in moment.stage.rest] == ["Deployment", "Deployment", "DaemonSet"]


def test_other_operands_come_between_virt_controller_and_virt_api() -> None:
    moment = Moment.at(END)
    other = deepcopy(moment.workloads["virt-api"])
    other["metadata"]["name"] = other["spec"]["selector"]["matchLabels"]["kubevirt.io"] = "virt-exportproxy"
    other["status"]["updatedReplicas"] = 1
    moment.workloads["virt-exportproxy"] = other
    moment.workloads["virt-api"]["status"]["updatedReplicas"] = 1
    assert moment.stage.component == "virt-exportproxy"
    moment.workloads["virt-controller"]["status"]["updatedReplicas"] = 1
    assert moment.stage.component == "virt-controller"


@pytest.mark.parametrize("name", ["virt-operator", "virt-api", "virt-controller", "virt-handler"])
def test_a_part_that_is_missing(name: str) -> None:
    moment = Moment.at(END)
    moment.workloads.pop(name)
    assert moment.stage.reason.endswith(f"kubevirt/{name} is missing")


@pytest.mark.parametrize("seconds", [OPERATOR_ROLLS, HANDLER, CONTROLLER, END])
@pytest.mark.parametrize("what", ["status", "selector", "labels", "annotations"])
def test_objects_without_a_part_that_is_used_are_no_mistake(seconds: float, what: str) -> None:
    moment = Moment.at(seconds)
    for one in (*moment.workloads.values(), *moment.pods):
        for holder in (one, one["spec"], one["metadata"]):
            holder.pop(what, None)
    assert moment.stage.component
