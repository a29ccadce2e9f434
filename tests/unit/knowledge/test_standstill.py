# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Jobs, events, nodes and the lease say when a wait has ended."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import standstill

Object = dict[str, t.Any]

ID = "b47613791cfbedf33dd5fa347953f2e2d72037f5"


def job(name: str, type: str, identifier: str = ID) -> Object:
    annotations = {"kubevirt.io/install-strategy-identifier": identifier}
    words = {"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}
    return {
        "metadata": {"namespace": "kubevirt", "name": name, "annotations": annotations},
        "status": {"conditions": [{"type": type, "status": "True", **words}]},
    }


def test_a_job_that_failed_for_good_is_to_be_deleted() -> None:
    found = standstill.failed_job([job("good", "Complete"), job("bad", "Failed")], ID)
    assert found is not None
    assert (found.id, found.object) == ("upgrade.install-job-failed", "Job kubevirt/bad")
    assert found.evidence == "BackoffLimitExceeded: Job has reached the specified backoff limit"
    assert "kubectl delete job -n kubevirt bad" in found.fix


@pytest.mark.parametrize(
    "other", [job("good", "Complete"), job("early", "Failed", "5ca8726af3"), {**job("a", ""), "status": {}}]
)
def test_other_jobs(other: Object) -> None:
    assert standstill.failed_job([other], ID) is None


def event(kind: str, message: str, when: str = "10:00", reason: str = "FailedCreate") -> Object:
    about = {"kind": kind, "namespace": "kubevirt", "name": "virt-handler"}
    return {
        "involvedObject": about,
        "reason": reason,
        "message": message,
        "lastTimestamp": f"2026-11-20T{when}:00Z",
    }


QUOTA = 'pods "a" is forbidden: exceeded quota: few'
POLICY = 'pods "a" is forbidden: violates PodSecurity "baseline:latest"'


@pytest.mark.parametrize(
    ("events", "ids"),
    [
        ([event("DaemonSet", QUOTA)], ["upgrade.quota-exceeded"]),
        ([event("DaemonSet", POLICY, "11:00"), event("DaemonSet", QUOTA)], ["upgrade.admission-refused"]),
        ([event("DaemonSet", QUOTA, reason="FailedUpdate")], []),
        ([event("Job", QUOTA)], []),
        ([event("DaemonSet", "the server is too busy")], []),
        ([], []),
    ],
    ids=["one", "the latest of an object", "of another reason", "of who lacks nothing", "that pass", "none"],
)
def test_events(events: list[Object], ids: list[str]) -> None:
    found = standstill.refusals(events, ["DaemonSet virt-handler"])
    assert [one.id for one in found] == ids
    assert {one.object for one in found} <= {"DaemonSet kubevirt/virt-handler"}


def handler(name: str, ready: str = "False", app: str = "virt-handler", **metadata: str) -> Object:
    return {
        "metadata": {"namespace": "kubevirt", "name": name, "labels": {"kubevirt.io": app}, **metadata},
        "spec": {"nodeName": f"node-of-{name}"},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
    }


@pytest.mark.parametrize(
    ("pod", "asked"),
    [
        (handler("a"), True),
        (handler("a", "True"), False),
        (handler("a", "True", deletionTimestamp="2026-11-20T10:00:00Z"), True),
        (handler("a", app="virt-api"), False),
        ({**handler("a"), "spec": {}}, False),
    ],
)
def test_the_nodes_to_ask_about(pod: Object, asked: bool) -> None:
    assert standstill.nodes_in_question([pod]) == (["node-of-a"] if asked else [])


def node(status: str) -> Object:
    words = {"reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
    condition = {"type": "Ready", "status": status, "lastTransitionTime": "2026-11-20T09:00:00Z", **words}
    return {"status": {"conditions": [{"type": "DiskPressure", "status": "False"}, condition]}}


def test_a_lost_node_is_named_with_since_when() -> None:
    found = standstill.lost_nodes({"fine": node("True"), "lost": node("Unknown"), "gone": None})
    assert found is not None
    assert (found.id, found.object) == ("upgrade.node-lost", "Node lost")
    assert "Ready=Unknown since 2026-11-20T09:00:00Z: NodeStatusUnknown" in found.evidence
    assert found.cause.endswith("The same is seen on Node gone.")


def test_nodes_that_are_ready() -> None:
    assert standstill.lost_nodes({"fine": node("True")}) is None


NOW = datetime(2026, 11, 20, 10, 0, tzinfo=timezone.utc)
POD = handler("virt-operator-1", "True", "virt-operator")


def lease(holder: str | None, renewed: str | None) -> Object:
    return {"spec": {"holderIdentity": holder, "renewTime": renewed}}


@pytest.mark.parametrize(
    ("held", "evidence"),
    [
        (None, "held by nobody; running: virt-operator-1"),
        (lease("", None), "held by nobody; running: virt-operator-1"),
        (
            lease("virt-operator-0", "2026-11-20T09:30:00.123456Z"),
            "held by virt-operator-0, last renewed 2026-11-20T09:30:00.123456Z; running: virt-operator-1",
        ),
        (lease("virt-operator-1", "2026-11-20T09:59:58.123456Z"), ""),
        (lease("virt-operator-1", "2026-11-20T10:03:00.000000Z"), ""),
        (lease("virt-operator-1", "no time"), ""),
    ],
    ids=["no lease", "free", "not renewed", "renewed", "by a clock that goes ahead", "unreadable"],
)
def test_whether_one_of_the_operators_leads(held: Object | None, evidence: str) -> None:
    found = standstill.no_leader(held, [POD], "kubevirt", NOW)
    assert (found.evidence if found else "") == evidence
    assert found is None or (found.id, found.object) == ("upgrade.no-leader", "Lease kubevirt/virt-operator")


def test_without_a_running_operator_it_is_not_the_lease() -> None:
    assert standstill.no_leader(None, [{**POD, "status": {"phase": "Pending"}}], "kubevirt", NOW) is None
