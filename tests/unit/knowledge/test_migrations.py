# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a live migration says of itself, and whether its VM arrived well."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import migrations

Object = dict[str, t.Any]

NEW, OLD = "quay.io/kubevirt/virt-launcher:v1.8.4", "quay.io/kubevirt/virt-launcher:v1.7.0"


def vmi(**status: t.Any) -> Object:
    conditions = [{"type": "Ready", "status": "True"}, {"type": "AgentConnected", "status": "True"}]
    status = {"conditions": conditions, "launcherContainerImageVersion": NEW, **status}
    return {"metadata": {"namespace": "prod", "name": "db", "uid": "vmi-1"}, "status": status}


def pod(phase: str = "Running", job: str = "", **status: t.Any) -> Object:
    labels = {"kubevirt.io/migrationJobUID": job} if job else None
    return {"metadata": {"namespace": "prod", "name": "p", "labels": labels}, "status": {"phase": phase, **status}}


def migration(phase: str = "Failed", **status: t.Any) -> Object:
    metadata = {"namespace": "prod", "name": "m", "uid": "job-1"}
    return {"metadata": metadata, "spec": {"vmiName": "db"}, "status": {"phase": phase, **status}}


def test_our_migration_says_whence_and_whither_and_is_known_again() -> None:
    made = migrations.migration_for(vmi(launcherContainerImageVersion=OLD), "0a1b", "77")
    assert made["metadata"]["name"] == f"{migrations.NAME_PREFIX}77"
    assert made["spec"] == {"vmiName": "db"}
    assert migrations.moved_by(made) == "prod/db"
    assert migrations.origin_of(made) == OLD
    assert migrations.is_ours(made, "0a1b") and not migrations.is_ours(made, "other")
    assert migrations.UPDATERS_ANNOTATION not in made["metadata"]["annotations"], "KubeVirt's updater would delete it"
    assert migrations.is_unfinished(made)


@pytest.mark.parametrize("phase", ["", "Pending", "Scheduling", "TargetReady", "Running", "Succeeded", "Failed"])
def test_only_two_phases_are_an_end(phase: str) -> None:
    one = migration(phase)
    ends = (migrations.has_succeeded(one), migrations.has_failed(one), migrations.is_unfinished(one))
    assert ends == (phase == "Succeeded", phase == "Failed", phase not in ("Succeeded", "Failed"))


UNSCHEDULABLE = {
    "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]
}
PULLING = {"containerStatuses": [{"name": "compute", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}
NO_IMAGE = {
    "initContainerStatuses": [
        {"name": "done", "state": {"terminated": {"exitCode": 0}}},
        {"name": "binary", "state": {"waiting": {"reason": "ErrImagePull", "message": "failed to pull x"}}},
    ],
    "containerStatuses": [{"name": "compute", "state": {"waiting": {"reason": "PodInitializing"}}}],
}
STARTING = {"containerStatuses": [{"name": "compute", "state": {"waiting": {"reason": "ContainerCreating"}}}]}
QUOTA = {"type": "migrationRejectedByResourceQuota", "status": "True", "message": "exceeded quota"}


@pytest.mark.parametrize(
    ("one", "guest", "pods", "words"),
    [
        (migration(migrationState={"failureReason": "no CPU", "migrationUid": "job-1"}), vmi(), [], "no CPU"),
        (migration(), vmi(migrationState={"failureReason": "no CPU", "migrationUid": "job-1"}), [], "no CPU"),
        (migration(), vmi(migrationState={"failureReason": "older", "migrationUid": "job-0"}), [], "gives no reason; its phase is Failed"),
        (migration(conditions=[{**QUOTA, "status": "False", "message": "within it"}, QUOTA]), None, [], "exceeded quota"),
        (migration("Scheduling"), vmi(), [pod("Pending", "job-1", **UNSCHEDULABLE)], "Unschedulable: 0/1 nodes"),
        (migration("Scheduling"), vmi(), [pod("Pending", "job-1", **PULLING)], "ImagePullBackOff"),
        (migration("Scheduling"), vmi(), [pod("Pending", "job-1", **NO_IMAGE)], "does not run: ErrImagePull: failed to pull x"),
        (migration("Scheduling"), vmi(), [pod("Pending", "job-1", **STARTING)], "does not run: ContainerCreating"),
        (migration("Scheduling"), vmi(), [pod("Pending", "job-1")], "does not run: it is Pending"),
        (migration("Scheduling"), vmi(), [pod("Pending", "job-0", **PULLING)], "gives no reason"),
        (migration("Running"), vmi(), [pod("Running", "job-1")], "gives no reason; its phase is Running"),
        (migration(""), None, [], "its phase is not set"),
    ],
)  # fmt: skip
def test_the_reason_is_that_of_this_migration(
    one: Object, guest: Object | None, pods: list[Object], words: str
) -> None:
    assert words in migrations.failure_reason(one, guest, pods)


NOT_READY = [{"type": "Ready", "status": "False"}, {"type": "AgentConnected", "status": "True"}]
NO_AGENT = [{"type": "Ready", "status": "True"}]


@pytest.mark.parametrize(
    ("guest", "pods", "launcher", "had_agent", "words"),
    [
        (vmi(), [pod()], NEW, True, []),
        (vmi(), [pod(), pod("Succeeded")], NEW, True, []),
        (vmi(), [pod()], "", True, []),
        (vmi(), [pod(), pod()], NEW, True, ["2 launcher pods run, not one"]),
        (vmi(), [], NEW, True, ["0 launcher pods run, not one"]),
        (vmi(launcherContainerImageVersion=OLD), [pod()], NEW, True, [f"its launcher is {OLD}, not {NEW}"]),
        (vmi(launcherContainerImageVersion=""), [pod()], NEW, True, ["virt-controller does not know its launcher yet"]),
        (vmi(conditions=NOT_READY), [pod()], NEW, True, ["it is not Ready, as it was before"]),
        (vmi(conditions=NO_AGENT), [pod()], NEW, True, ["its guest agent is not connected, as it was before"]),
        (vmi(conditions=NO_AGENT), [pod()], NEW, False, []),
    ],
)
def test_a_vm_has_arrived_when_nothing_is_missing(
    guest: Object, pods: list[Object], launcher: str, had_agent: bool, words: list[str]
) -> None:
    found = migrations.not_arrived(guest, pods, launcher=launcher, was_ready=True, had_agent=had_agent)
    assert found == words


def test_a_vm_that_was_not_ready_before_need_not_be_afterwards() -> None:
    guest = vmi(conditions=NOT_READY)
    assert migrations.not_arrived(guest, [pod()], launcher=NEW, was_ready=False, had_agent=True) == []


@pytest.mark.parametrize(
    ("status", "finished"),
    [
        ({"phase": "Succeeded"}, True),
        ({"phase": "Failed"}, True),
        ({"phase": "Pending"}, False),
        ({"phase": "Scheduling"}, False),
        ({"phase": "Running"}, False),
        ({"phase": "WaitingForSync"}, False),
        ({"phase": ""}, False),
        ({}, False),
        (None, False),
    ],
)
def test_unfinished_migrations(status: dict[str, str] | None, finished: bool) -> None:
    migration = {"metadata": {"namespace": "shop", "name": "web-1"}, "status": status}
    assert migrations.unfinished_migrations([migration]) == ([] if finished else ["shop/web-1"])


def test_migration_that_nobody_has_seen_yet() -> None:
    migration = {"metadata": {"namespace": "shop", "name": "web-1"}}
    assert migrations.unfinished_migrations([migration]) == ["shop/web-1"]
