# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked once when a wait ended without success, how often, and what comes first."""

from __future__ import annotations

import typing as t
from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import Forbidden, NotFound, Unreachable
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import finding
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import diagnosis
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.hop import HopJudge
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.waiting import Waited

World = t.Any  # tests/unit/operations/conftest.py
Object = dict[str, t.Any]

ID = "b47613791cfbedf33dd5fa347953f2e2d72037f5"  # the targetDeploymentID of the statuses at v1.8.4
JOBS = "/apis/batch/v1/namespaces/kubevirt/jobs"
EVENTS = "/api/v1/namespaces/kubevirt/events"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kubevirt/leases/virt-operator"
JOB = {
    "metadata": {
        **{"namespace": "kubevirt", "name": "job-1"},
        "annotations": {"kubevirt.io/install-strategy-identifier": ID},
    },
    "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]},
}


class Questions:
    """An API server that answers with what it was given, and remembers what it was asked."""

    def __init__(self, answers: t.Mapping[str, t.Any]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    def get(self, path: str) -> t.Any:
        self.asked.append(path)
        answer = self._answers.get(path.partition("?")[0], NotFound("GET", path, 404, "NotFound", "none"))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def get_or_none(self, path: str) -> t.Any:
        try:
            return self.get(path)
        except NotFound:
            return None

    def utc(self) -> datetime:
        return datetime(2026, 11, 20, 10, tzinfo=timezone.utc)

    def peek(self, path: str, query: Object) -> bytes:
        return str(self.get(f"{path}?{'&'.join(f'{key}={value}' for key, value in query.items())}")).encode()


class Shown:
    """What a Picture shows."""

    def __init__(self, **objects: list[Object]) -> None:
        self._objects = {"kubevirt": [], "deployments": [], "daemonsets": [], "pods": [], **objects}
        self.trouble, self.edition = "", 1

    def objects(self, name: str) -> list[Object]:
        return self._objects[name]


Ask = Callable[..., tuple[list[t.Any], list[str]]]


@pytest.fixture
def ask(world: World) -> Ask:
    """The findings and the requests about a hop to v1.8.4 in one of the recorded statuses."""

    def asked(
        answers: t.Mapping[str, t.Any], status: str = "1.8-updating", end: str = "stalled", **objects: t.Any
    ) -> t.Any:
        api = Questions(answers)
        deployments = [world.operator, *objects.pop("deployments", ())]
        shown = t.cast(t.Any, Shown(kubevirt=[world.status(status)], deployments=deployments, **objects))
        judge = HopJudge("kubevirt", "v1.8.4")
        failures = [one.finding for one in judge(shown).failures]
        waited = Waited(t.cast(t.Any, end), ["more"], failures)
        return diagnosis.causes(t.cast(t.Any, api), world.facts(), shown, judge, waited), api.asked

    return asked


def pod(name: str, app: str, **more: t.Any) -> Object:
    labels = {"kubevirt.io": app, "app.kubernetes.io/managed-by": "virt-operator"}
    metadata = {"namespace": "kubevirt", "name": name, "labels": labels}
    return {"metadata": metadata, "spec": {"nodeName": "worker-1"}, "status": {"phase": "Running"}, **more}


CRASHING = pod(
    "virt-handler-1",
    "virt-handler",
    status={
        "phase": "Running",
        "containerStatuses": [
            {
                **{"name": "virt-handler", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
            }
        ],
    },
)
LOG = "/api/v1/namespaces/kubevirt/pods/virt-handler-1/log"


def test_a_failed_job_is_found(ask: Ask) -> None:
    found, _asked = ask({JOBS: {"items": [JOB]}})
    assert [one.id for one in found] == ["upgrade.install-job-failed"]


def test_the_last_line_of_a_crashed_container_is_asked_for_once_and_bounded(ask: Ask) -> None:
    found, asked = ask({LOG: "first\nno such device\n\n"}, pods=[CRASHING], end="failed")
    assert [one.id for one in found] == ["upgrade.crash-loop"]
    assert found[0].evidence.endswith("last line of its log: no such device")
    assert asked == [f"{LOG}?container=virt-handler&tailLines=20&limitBytes=20000&previous=true"]


@pytest.mark.parametrize("error", [Forbidden("GET", LOG, 403, "Forbidden", "no"), Unreachable("gone")])
def test_a_log_that_cannot_be_read_says_nothing(ask: Ask, error: Exception) -> None:
    found, _asked = ask({LOG: error}, pods=[CRASHING], end="failed")
    assert [one.evidence for one in found] == ["Error, exit code 1, restarts: 3"]


def test_events_are_asked_for_only_where_pods_are_missing(ask: Ask) -> None:
    message = 'pods "virt-handler-x" is forbidden: exceeded quota: few'
    about = {"kind": "DaemonSet", "namespace": "kubevirt", "name": "virt-handler"}
    events = {EVENTS: {"items": [{"involvedObject": about, "reason": "FailedCreate", "message": message}]}}
    ids = []
    for current in (1, 2):
        daemonset = {
            "metadata": {"namespace": "kubevirt", "name": "virt-handler"},
            "status": {"desiredNumberScheduled": 2, "currentNumberScheduled": current},
        }
        found, asked = ask(events, daemonsets=[daemonset])
        ids.append([one.id for one in found])
        assert any(path.startswith(EVENTS) for path in asked) is (current == 1)
    assert ids == [["upgrade.quota-exceeded"], []]


def test_a_lost_node_is_named_after_what_its_pod_shows(ask: Ask) -> None:
    words = {"type": "Ready", "status": "Unknown", "lastTransitionTime": "2026-11-20T09:00:00Z"}
    found, _asked = ask({"/api/v1/nodes/worker-1": {"status": {"conditions": [words]}}}, pods=[CRASHING])
    assert [one.id for one in found] == ["upgrade.crash-loop", "upgrade.node-lost"]


def test_each_kind_of_cause_is_said_once_in_its_order(ask: Ask) -> None:
    refused = 'pods "x" is forbidden: exceeded quota: few'
    about = {"kind": "DaemonSet", "namespace": "kubevirt", "name": "virt-handler"}
    words = {"type": "Ready", "status": "Unknown"}
    answers = {
        EVENTS: {"items": [{"involvedObject": about, "reason": "FailedCreate", "message": refused}]},
        "/api/v1/nodes/worker-1": {"status": {"conditions": [words]}},
    }
    daemonset = {
        "metadata": {"namespace": "kubevirt", "name": "virt-handler"},
        "status": {"desiredNumberScheduled": 2, "currentNumberScheduled": 1},
    }
    condition = {"type": "ReplicaFailure", "status": "True", "message": refused}
    deployment = {
        "metadata": {"namespace": "kubevirt", "name": "virt-api", "labels": CRASHING["metadata"]["labels"]},
        "spec": {"replicas": 2},
        "status": {"conditions": [condition]},
    }
    found, _asked = ask(answers, pods=[CRASHING], daemonsets=[daemonset], deployments=[deployment])
    assert [(one.id, one.object.partition(" ")[0]) for one in found] == [
        ("upgrade.crash-loop", "Pod"),
        ("upgrade.quota-exceeded", "Deployment"),
        ("upgrade.node-lost", "Node"),
    ]


def test_of_many_nodes_a_few_are_asked_about(ask: Ask) -> None:
    pods = [pod(f"virt-handler-{n}", "virt-handler", spec={"nodeName": f"worker-{n}"}) for n in range(50)]
    _found, asked = ask({}, pods=pods)
    assert len([path for path in asked if "/nodes/" in path]) == diagnosis.MOST_NODES
    assert len(asked) < 15


def test_the_lease_is_asked_for_while_the_new_version_was_not_begun(ask: Ask, world: World) -> None:
    lease = {"spec": {"holderIdentity": "gone", "renewTime": "2020-01-01T00:00:00.000000Z"}}
    for status, ids in (("1.7-installing-all-applied", ["upgrade.no-leader"]), ("1.8-updating", [])):
        found, asked = ask({LEASE: lease}, status=status, pods=[pod("virt-operator-1", "virt-operator")])
        assert [one.id for one in found] == ids
        assert (LEASE in asked) is bool(ids)


def test_what_may_not_be_read_is_left_out(ask: Ask) -> None:
    no = Forbidden("GET", JOBS, 403, "Forbidden", "no")
    words = {"type": "Ready", "status": "Unknown"}
    answers = {JOBS: no, EVENTS: no, LEASE: no, "/api/v1/nodes/worker-1": {"status": {"conditions": [words]}}}
    found, _asked = ask(answers, pods=[pod("virt-handler-1", "virt-handler")])
    assert [one.id for one in found] == ["upgrade.node-lost"]


def test_a_lease_and_a_node_that_may_not_be_read_say_nothing(ask: Ask) -> None:
    no = Forbidden("GET", LEASE, 403, "Forbidden", "no")
    answers = {LEASE: no, "/api/v1/nodes/worker-1": no}
    found, asked = ask(answers, "1.7-installing-all-applied", pods=[CRASHING])
    assert [one.id for one in found] == ["upgrade.crash-loop"]
    assert {LEASE, "/api/v1/nodes/worker-1"} <= {*asked}


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (
            "reading\nInstall strategy config map x is broken\nwaiting",
            "; its log: Install strategy config map x is broken",
        ),
        ("reading\nwaiting", ""),
        (Forbidden("GET", LOG, 403, "Forbidden", "no"), ""),
    ],
)
def test_the_operators_word_on_a_strategy_that_cannot_be_read(world: World, log: t.Any, words: str) -> None:
    log_of = {f"/api/v1/namespaces/kubevirt/pods/{name}/log": log for name in ("virt-operator-1", "virt-api-1")}
    operator = pod("virt-operator-1", "virt-operator")
    shown = t.cast(
        t.Any, Shown(pods=[pod("virt-api-1", "virt-api"), operator], kubevirt=[world.status("1.8-updating")])
    )
    loop = finding("upgrade.install-job-loop", object="Job", cause="c", evidence="seen 3 times", fix="f")
    judge, api = HopJudge("kubevirt", "v1.8.4"), t.cast(t.Any, Questions(log_of))
    [found] = diagnosis.causes(api, world.facts(), shown, judge, Waited("failed", ["more"], [loop]))
    assert found.evidence == f"seen 3 times{words}"
    assert [path.partition("?")[0] for path in api.asked] == ["/api/v1/namespaces/kubevirt/pods/virt-operator-1/log"]


def test_where_the_server_is_gone_nothing_more_is_asked(ask: Ask) -> None:
    found, asked = ask({JOBS: Unreachable("gone")}, pods=[pod("virt-handler-1", "virt-handler")])
    assert (found, len(asked)) == ([], 1)


def test_nothing_is_asked_about_an_object_that_is_gone(world: World) -> None:
    api = Questions({})
    judge, shown = HopJudge("kubevirt", "v1.8.4"), t.cast(t.Any, Shown())
    waited = Waited("failed", ["gone"], [one.finding for one in judge(shown).failures])
    found = diagnosis.causes(t.cast(t.Any, api), world.facts(), shown, judge, waited)
    assert ([one.id for one in found], api.asked) == (["kubevirt.absent"], [])
