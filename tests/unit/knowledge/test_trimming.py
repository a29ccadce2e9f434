# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which objects are shown after a failure, and how much of each."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import trimming
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.objects import object_name
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.trimming import (
    objects_that_matter,
    shortened,
    trimmed,
)

Json = dict[str, t.Any]
MANAGED = {"app.kubernetes.io/managed-by": "virt-operator", "kubevirt.io": "virt-api"}


def metadata(name: str, **more: t.Any) -> Json:
    return {"name": name, "namespace": "kubevirt", **more}


def kubevirt() -> Json:
    return {"kind": "KubeVirt", "metadata": metadata("kubevirt"), "status": {"targetDeploymentID": "new"}}


def deployment(name: str, ready: int) -> Json:
    status = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": ready}
    return {"kind": "Deployment", "metadata": metadata(name, labels=MANAGED), "spec": {"replicas": 2}, "status": status}


def pod(name: str, phase: str = "Running", ready: bool = True) -> Json:
    status = {"phase": phase, "containerStatuses": [{"name": "c", "ready": ready}]}
    return {"kind": "Pod", "metadata": metadata(name, labels=MANAGED), "spec": {"containers": []}, "status": status}


def job(name: str, **status: t.Any) -> Json:
    return {"kind": "Job", "metadata": metadata(name), "status": status}


def event(name: str, time: str, type: str = "Warning") -> Json:
    return {"kind": "Event", "metadata": metadata(name), "type": type, "lastTimestamp": time}


def names(*objects: Json, failing: str = "") -> list[str]:
    return [object_name(one) for one in objects_that_matter(objects, failing=failing, wanted="v1.8.4")]


def test_from_kubevirt_down_to_the_events() -> None:
    assert names(
        event("early", "2026-01-01T00:00:00Z"),
        event("late", "2026-01-01T00:09:00Z"),
        event("usual", "2026-01-01T00:10:00Z", "Normal"),
        job("good", succeeded=1),
        job("bad", conditions=[{"type": "Failed", "status": "True"}]),
        pod("waits", "Pending", ready=False),
        pod("runs"),
        pod("over", "Succeeded", ready=False),
        deployment("virt-api", ready=1),
        deployment("virt-controller", ready=2),
        deployment("virt-operator", ready=2),
        kubevirt(),
    ) == [
        "KubeVirt kubevirt/kubevirt",
        "Deployment kubevirt/virt-operator",
        "Deployment kubevirt/virt-api",
        "Pod kubevirt/waits",
        "Job kubevirt/bad",
        "Event kubevirt/late",
        "Event kubevirt/early",
    ]


def test_the_object_that_fails_is_the_first_and_is_there_once() -> None:
    objects = (kubevirt(), deployment("virt-operator", 2), pod("a", ready=False), pod("b", ready=False))
    assert names(*objects, failing="Pod kubevirt/b") == [
        "Pod kubevirt/b",
        "KubeVirt kubevirt/kubevirt",
        "Deployment kubevirt/virt-operator",
        "Pod kubevirt/a",
    ]


def test_an_object_that_fails_is_shown_although_it_looks_well() -> None:
    assert names(kubevirt(), pod("a"), failing="Pod kubevirt/a")[0] == "Pod kubevirt/a"


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (pod("runs"), False),
        (pod("not-ready", ready=False), True),
        (pod("waits", "Pending", ready=False), True),
        (pod("over", "Succeeded", ready=False), False),
        (pod("evicted", "Failed", ready=False), False),
    ],
)
def test_only_a_pod_that_is_to_run_is_unready(one: Json, expected: bool) -> None:
    assert trimming.is_unready(one) is expected


def test_there_is_a_limit_for_each_kind_and_for_all() -> None:
    pods = [pod(f"p{number}", "Pending", ready=False) for number in range(90)]
    events = [event(f"e{number}", "2026-01-01T00:00:00Z") for number in range(90)]
    shown = names(kubevirt(), *pods, *events)
    assert len([name for name in shown if name.startswith("Pod ")]) == trimming.MOST_OF_A_KIND["Pod"]
    assert len([name for name in shown if name.startswith("Event ")]) == trimming.MOST_OF_A_KIND["Event"]
    assert len(shown) <= trimming.MOST_OBJECTS


def test_without_a_kubevirt_object_the_rest_is_shown() -> None:
    assert names(deployment("virt-operator", 0), job("bad", failed=1)) == [
        "Deployment kubevirt/virt-operator",
        "Job kubevirt/bad",
    ]


def test_an_event_without_its_usual_time() -> None:
    newer = {**event("newer", ""), "series": {"lastObservedTime": "2026-01-02T00:00:00Z"}}
    assert names(event("older", "2026-01-01T00:00:00Z"), newer) == ["Event kubevirt/newer", "Event kubevirt/older"]


def test_what_nobody_reads_goes_and_the_status_stays() -> None:
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"}
    one = {"metadata": metadata("x", managedFields=[1], annotations=annotations), "status": {"phase": "Deployed"}}
    assert trimmed(one) == {"metadata": metadata("x", annotations={"a": "b"}), "status": {"phase": "Deployed"}}
    assert one["metadata"]["managedFields"] == [1], "what is handed in stays as it is"


def large(**parts: t.Any) -> Json:
    return {"kind": "Pod", "metadata": metadata("x"), **parts}


@pytest.mark.parametrize(
    ("one", "kept", "gone"),
    [
        (large(status={"generations": [{"name": "n" * 99}] * 99, "phase": "Deployed"}), ["Deployed"], ["nnn"]),
        (large(spec={"text": "s" * 9000}, status={"phase": "Failed"}), ["Failed", "sss"], []),
        (large(spec={str(n): "s" * 200 for n in range(99)}, status={"phase": "Failed"}), ["Failed"], ["sss"]),
        (
            large(spec={"template": {"spec": {"containers": [{"image": "virt:v1", "args": ["s" * 99] * 9}] * 5}}}),
            ["virt:v1"],
            ["sss"],
        ),
        (
            large(status={"conditions": [{"message": "why"}], **{str(n): "s" * 200 for n in range(99)}}),
            ["why"],
            ["sss"],
        ),
        (large(status={"conditions": [{str(n): "s" * 200 for n in range(99)}]}), ['"x"'], ["sss"]),
    ],
)
def test_an_object_that_is_too_large_loses_the_least_telling_part(one: Json, kept: list[str], gone: list[str]) -> None:
    text = json.dumps(shortened(one, 3000))
    print(text)
    assert len(text) <= 3000
    assert [words for words in kept if words not in text] == []
    assert [words for words in gone if words in text] == []


def test_an_object_that_is_small_enough_stays_as_it_is() -> None:
    assert shortened(kubevirt(), 3000) == kubevirt()
