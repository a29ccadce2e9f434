# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A removal that is carried out on an API server of dictionaries, and what happens on its way."""

from __future__ import annotations

import json
import threading
import time
import typing as t
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.interruption import Interrupted
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import leases
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import disks, removal_run, remove
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import Outcome

from tests.support.moving import Seconds
from tests.support.quick_clock import QuickClock
from tests.unit.operations.conftest import Answer, Leases
from tests.unit.operations.test_remove import KINDS, MANAGED, OF_A_RELEASE, UID, Cluster, Object, crd

KUBEVIRT = "/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts/kubevirt"


class Hurry(QuickClock):
    """Time that passes by itself too, for what waits for watches."""

    def now(self) -> float:
        return time.monotonic() + self.seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(seconds)


class Live(Cluster):
    """The cluster with a virt-operator that deletes what it made, with watches, and with the Leases of runs."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Hurry()
        self.runs = Leases()
        self.works = True
        self.lines: list[str] = []
        self.at_watch: t.Callable[[], None] = lambda: None
        self.at_line: t.Callable[[str], None] = lambda line: None

    def request(self, method: str, url: str, *, body: bytes | None = None, **options: t.Any) -> Answer:
        path = urlsplit(url).path
        if path.endswith(leases.NAME) or (method == "POST" and path.endswith("/leases")):
            return self.runs.request(method, path, json.loads(body or b"{}"))
        if "watch=true" in url:
            self.at_watch()
            return Answer(200, {})
        return super().request(method, url, body=body, **options)

    def _delete(self, path: str, body: Object) -> Answer:
        if path != KUBEVIRT or path not in self.objects:
            answer = super()._delete(path, body)
            if answer.status == 200 and body.get("propagationPolicy") == "Orphan":
                self._leave(body["preconditions"]["uid"])
            return answer
        self.deleted.append("KubeVirt")
        self.kubevirt["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z"
        if self.works:
            self.finish()
        return Answer(200, self.kubevirt)

    def _leave(self, uid: str) -> None:
        """The garbage collector takes what is gone out of what it owned."""
        for one in self.objects.values():
            owners = one["metadata"].get("ownerReferences", ())
            one["metadata"]["ownerReferences"] = [owner for owner in owners if owner["uid"] != uid]

    def finish(self) -> None:
        """virt-operator deletes what it made, and lets the KubeVirt object go."""
        made = [at for at, one in self.objects.items() if "app.kubernetes.io/managed-by" in one["metadata"]["labels"]]
        left = {at: one for at, one in self.objects.items() if at not in (*made, KUBEVIRT)}
        self.objects = {at: one for at, one in left.items() if "/virtualmachine" not in at}

    def run(self, **params: t.Any) -> Outcome:
        """The module."""
        given = {option: spec.get("default") for option, spec in remove.ARGUMENT_SPEC.items()}
        given |= {"backup": False, **params}
        return remove.run(self.api(), given, check_mode=False, clock=self.clock, report=self._told)

    def _told(self, line: str) -> None:
        self.lines.append(line)
        self.at_line(line)

    def second(self) -> None:
        """A second passes, for what waits without watches."""
        self.clock.pause(1)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Live:
    for version, kinds in OF_A_RELEASE.items():
        monkeypatch.setitem(KINDS, version, kinds)
    return Live()


@pytest.fixture
def quick(cluster: Live, monkeypatch: pytest.MonkeyPatch) -> Live:
    """Time passes only while something is waited for, a second at each look, and the test says what happens meanwhile."""
    cluster.clock = QuickClock()
    for module in (removal_run, disks):
        monkeypatch.setattr(module, "Picture", type("Picture", (Seconds,), {"cluster": cluster}))
    return cluster


def test_all_of_it_goes_as_it_was_predicted_and_a_second_run_does_nothing(cluster: Live) -> None:
    predicted = cluster.check()
    done = cluster.run()
    assert not done.failure
    assert (done.actions, done.diff, done.changed) == (predicted.actions, predicted.diff, True)
    assert cluster.deleted == ["KubeVirt", "virt-operator", "virt-operator", "kubevirts.kubevirt.io"]
    assert done.extra["removed"][0] == "KubeVirt kubevirt/kubevirt"
    assert (done.extra["left"], [one["object"] for one in done.extra["stays"]]) == ([], ["Namespace kubevirt"])
    assert cluster.runs.objects == {}
    again = cluster.run()
    assert (again.changed, again.actions, again.failure) == (False, [], "")
    assert [line.split()[0] for line in cluster.lines][:2] == ["1/3", "2/3"]


def test_what_came_meanwhile_was_not_agreed_to(cluster: Live) -> None:
    cluster.vm("shop/a")

    def come(method: str) -> None:
        if method == "POST":
            cluster.vm("shop/b")

    cluster.runs.before = come
    stopped = cluster.run(disks="remove", confirm=f"{UID}:1 VMs:0 disks")
    assert stopped.findings[0].id == "remove.confirmation-differs"
    assert "it is for 1 VMs, and there are 2" in stopped.failure
    assert (cluster.deleted, stopped.changed) == ([], False)


def test_what_came_after_the_plan_was_not_agreed_to_either(quick: Live) -> None:
    def made_late(line: str) -> None:
        if " delete" in line:
            quick.vm("shop/b")

    quick.vm("shop/a")
    quick.at_line = made_late
    stopped = quick.run(disks="remove", confirm=f"{UID}:1 VMs:0 disks")
    assert "it is for 1 VMs, and there are 2" in stopped.failure
    assert (quick.deleted, stopped.changed) == ([], False)


def test_a_deletion_that_hangs_says_what_it_waits_for(cluster: Live) -> None:
    cluster.works = False
    stopped = cluster.run(stall_timeout=1, repair="report")
    assert "remove.stalled" in [one.id for one in stopped.findings]
    assert "Nothing moved for 1 s. Waiting for: CRD virtualmachines.kubevirt.io" in stopped.failure
    assert (cluster.deleted, stopped.changed, stopped.state) == (["KubeVirt"], True, "deleting")
    assert cluster.runs.objects == {}


def test_what_stopped_it_is_told_also_where_the_cluster_cannot_be_read_any_more(cluster: Live) -> None:
    vm = cluster.vm("shop/a", runs=True)
    vm["spec"] = {"runStrategy": "Halted"}
    cluster.objects["/apis/kubevirt.io/v1/namespaces/shop/virtualmachineinstances/a"]["spec"] = {}
    answered = cluster.request

    def request(method: str, url: str, **options: t.Any) -> Answer:
        if "virtualmachines?watch=true" in url:
            cluster.refuses["GET", "/apis"] = (503, "it is away")
        return answered(method, url, **options)

    cluster.request = request  # type: ignore[method-assign]
    stopped = cluster.run(confirm=f"{UID}:1 VMs:0 disks", vm_stop_timeout=1)
    assert [one.id for one in stopped.findings][:1] == ["remove.vm-does-not-stop"], stopped.failure


def test_a_run_that_was_stopped_goes_on_with_the_same_phrase(cluster: Live) -> None:
    cluster.works = False
    asked: Object = {"disks": "remove", "confirm": f"{UID}:2 VMs:0 disks", "stall_timeout": 1}
    cluster.vm("shop/a")
    cluster.vm("shop/b")
    assert cluster.run(**asked).extra["removed"] == ["KubeVirt kubevirt/kubevirt"]
    del cluster.objects["/apis/kubevirt.io/v1/namespaces/shop/virtualmachines/a"]
    predicted = cluster.check(**asked)
    assert predicted.actions[0]["action"] == "wait-deleted", predicted.failure
    cluster.at_watch = cluster.finish
    done = cluster.run(**asked)
    assert (done.failure, done.extra["left"]) == ("", [])


def test_a_run_that_finds_another_one_at_work_changes_nothing(cluster: Live) -> None:
    path = leases.path_of("kubevirt")
    other = leases.new("kubevirt", "jo@there pid 7", leases.micro_time(cluster.clock.utc()))
    cluster.runs.put(path, other, uid="of-another")
    cluster.runs.before = lambda method: cluster.runs.put(path, other, uid="of-another") if method == "GET" else None
    held = cluster.run()
    assert held.findings[0].id == "cluster.held"
    assert (cluster.deleted, held.changed, held.actions) == ([], False, [])


@pytest.mark.parametrize("ends", [True, False])
def test_without_a_namespace_of_its_own_the_lock_is_elsewhere(cluster: Live, ends: bool) -> None:
    if ends:
        cluster.objects["/api/v1/namespaces/kubevirt"]["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z"
    else:
        del cluster.objects["/api/v1/namespaces/kubevirt"]
    del cluster.objects[KUBEVIRT]
    seen: list[str] = []
    cluster.runs.after = lambda method: seen.extend(cluster.runs.objects)
    assert not cluster.run().failure
    assert {*seen} == {leases.path_of("kube-system")}


def test_vms_without_a_kubevirt_object_go_only_if_that_was_said(cluster: Live) -> None:
    del cluster.objects[KUBEVIRT]
    cluster.vm("shop/a")
    refused = cluster.run(disks="remove")
    assert refused.findings[0].id == "remove.workloads-exist" and cluster.deleted == []
    done = cluster.run(disks="remove", confirm=f"{UID}:1 VMs:0 disks")
    assert "virtualmachines.kubevirt.io" in cluster.deleted, done.failure


def test_the_namespace_goes_if_that_is_asked_for(cluster: Live) -> None:
    done = cluster.run(remove_namespace=True)
    assert cluster.deleted[-1] == "kubevirt", done.failure
    assert "Namespace kubevirt" in done.extra["removed"]


def test_a_change_of_which_nobody_knows_whether_it_was_stored_counts_as_one(cluster: Live) -> None:
    cluster.vm("shop/a")["spec"] = {"runStrategy": "Always"}
    cluster.refuses["PATCH", "/virtualmachines/a"] = (500, "etcdserver: request timed out")
    stopped = cluster.run(confirm=f"{UID}:1 VMs:0 disks")
    assert (stopped.changed, cluster.deleted) == (True, [])
    assert "Nothing was changed" not in stopped.failure
    assert "did not say whether the last change was stored" in stopped.failure


@pytest.mark.parametrize(("limits", "seconds"), [({"wait_timeout": 1}, 1), ({"stall_timeout": 1}, 1)])
def test_an_old_installation_that_does_not_end_is_not_deleted(cluster: Live, limits: Object, seconds: int) -> None:
    cluster.kubevirt["status"] |= {"phase": "Deploying", "observedKubeVirtVersion": "v0.26.0"}
    stopped = cluster.run(**limits)
    assert stopped.findings[0].id == "remove.stalled"
    assert f"It is still being installed after {seconds} s" in stopped.failure
    assert (cluster.deleted, stopped.changed) == ([], False)


def test_the_backup_is_written_before_anything_goes_and_is_named_when_it_fails(quick: Live, tmp_path: Path) -> None:
    quick.vm("shop/a")["spec"] = {"runStrategy": "Halted"}
    quick.refuses["DELETE", KUBEVIRT] = (403, "may not")
    asked: Object = {"disks": "remove", "confirm": f"{UID}:1 VMs:0 disks", "backup": True, "backup_dir": str(tmp_path)}
    stopped = quick.run(**asked)
    backup = stopped.extra["backup"]
    assert (Path(backup["path"]).parent, backup["counts"]) == (tmp_path, {"virtualmachines": 1, "kubevirts": 1})
    assert [*Path(backup["path"]).rglob("shop_a.json")]
    assert "403" in stopped.failure and "Nothing was changed in the cluster." in stopped.failure
    assert f"The backup is complete: {backup['path']}." in stopped.failure
    assert (stopped.changed, stopped.actions[0]["action"]) == (False, "back-up")


def test_disks_that_stay_are_named_when_the_rest_fails(quick: Live) -> None:
    vm = quick.vm("shop/a")
    vm["spec"] = {
        "runStrategy": "Halted",
        "template": {"spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "d"}}]}},
    }
    quick.disk("shop/d", vm)
    quick.refuses["DELETE", KUBEVIRT] = (403, "may not")
    stopped = quick.run(confirm=f"{UID}:1 VMs:1 disks")
    assert quick.deleted == ["a"], stopped.failure
    assert "Deleted so far: VM shop/a.\nDisks that stay: shop/d." in stopped.failure
    assert [one["claim"] for one in stopped.extra["kept"]] == ["shop/d"]
    assert stopped.changed


def test_a_vm_that_came_after_the_others_were_saved_is_saved_too_by_the_next_run(quick: Live) -> None:
    def made_late(line: str) -> None:
        if " delete" in line:
            quick.vm("shop/late")

    quick.at_line = made_late
    stopped = quick.run()
    assert stopped.findings[0].id == "remove.confirmation-differs"
    assert "although all VMs were taken away just before" in stopped.failure
    assert (quick.deleted, stopped.changed) == ([], False)


@pytest.mark.parametrize("ends", [True, False])
def test_an_old_kubevirt_is_deleted_only_once_it_is_installed(quick: Live, ends: bool) -> None:
    quick.kubevirt["status"] |= {"phase": "Deploying", "observedKubeVirtVersion": "v0.26.0"}

    def installed() -> None:
        if ends and quick.clock.seconds > 5:
            quick.kubevirt["status"]["phase"] = "Deployed"

    quick.clock.on_pause = installed
    done = quick.run(stall_timeout=20)
    assert ("KubeVirt" in quick.deleted) is ends
    assert ("still being installed after 20 s, and a deletion would never end" in done.failure) is not ends


def test_a_webhook_that_nobody_answers_goes_first(quick: Live) -> None:
    webhook = quick.put("ValidatingWebhookConfiguration", "virt-operator-validator")
    service = {"namespace": "kubevirt", "name": "kubevirt-operator-webhook"}
    webhook["webhooks"] = [{"clientConfig": {"service": service}}]
    done = quick.run()
    assert quick.deleted[:2] == ["virt-operator-validator", "KubeVirt"], done.failure
    assert done.actions[0]["action"] == "repair"


def test_what_begins_to_hold_the_deletion_is_mended_on_the_way(quick: Live) -> None:
    quick.works = False

    def after_a_while() -> None:
        job = "/apis/batch/v1/namespaces/kubevirt/jobs/strategy"
        if 5 < quick.clock.seconds <= 6:
            failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
            quick.put("Job", "kubevirt/strategy", {"kubevirt.io/install-strategy": ""})["status"] = {
                "conditions": [failed]
            }
        if quick.clock.seconds > 60 and job not in quick.objects:
            quick.finish()

    quick.clock.on_pause = after_a_while
    done = quick.run()
    assert "strategy" in quick.deleted, done.failure
    assert [one["object"] for one in done.actions if one["action"] == "repair"] == ["Job kubevirt/strategy"]


def test_the_time_for_all_of_it_ends_although_something_moves(quick: Live) -> None:
    quick.works = False

    def more_comes() -> None:
        quick.put("Deployment", f"kubevirt/virt-{quick.clock.seconds:.0f}", MANAGED)

    quick.clock.on_pause = more_comes
    stopped = quick.run(wait_timeout=30, repair="report")
    assert "Not gone within 30 s. Waiting for: CRD virtualmachines.kubevirt.io" in stopped.failure


def test_what_is_left_because_its_controller_is_gone_is_freed_and_looked_for_again(quick: Live) -> None:
    """virt-operator has taken virt-controller away, and a migration that somebody had deleted is still held for it."""
    quick.put("Deployment", "kubevirt/virt-controller", MANAGED)["status"] = {"readyReplicas": 2}
    kind = "virtualmachineinstancemigrations.kubevirt.io"
    quick.holds.add(kind)
    finish = quick.finish

    def leaves_one() -> None:
        finish()
        made = crd(quick, kind)
        made["metadata"]["labels"] = MANAGED
        made["spec"]["names"]["kind"] = "VirtualMachineInstanceMigration"
        held = {"deletionTimestamp": "2024-01-01T00:00:00Z", "finalizers": ["kubevirt.io/migrationJobFinalize"]}
        quick.put("VirtualMachineInstanceMigration", "shop/old", **held)

    def nothing_holds_it() -> None:
        held = [one for one in quick.objects.values() if one["metadata"].get("finalizers")]
        if not held:
            gone = [path for path in quick.objects if path.endswith(("instancemigrations/old", kind))]
            quick.objects = {path: one for path, one in quick.objects.items() if path not in gone}

    quick.finish = leaves_one  # type: ignore[method-assign]
    quick.clock.on_pause = nothing_holds_it
    done = quick.run(repair="finalizers")
    assert (done.failure, done.extra["left"]) == ("", [])
    assert "VirtualMachineInstanceMigration shop/old" in [one["object"] for one in done.actions]


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_deletion_that_may_have_been_done_counts(quick: Live, is_killed: bool) -> None:
    carry_out = quick._delete

    def then_lose_the_answer(path: str, body: Object) -> Answer:
        answer = carry_out(path, body)
        if path != KUBEVIRT:
            return answer
        if is_killed:
            raise Interrupted("SIGTERM")
        return Answer(500, {"reason": "InternalError", "message": "boom"})

    quick.works = False
    quick._delete = then_lose_the_answer  # type: ignore[method-assign]
    stopped = quick.run()
    assert "Deleted so far: KubeVirt kubevirt/kubevirt." in stopped.failure
    assert (stopped.changed, stopped.extra["removed"]) == (True, ["KubeVirt kubevirt/kubevirt"])
    assert any("To go on, run the same again" in line for line in quick.lines) is is_killed
    assert quick.runs.objects == {}


def test_a_kubevirt_that_somebody_else_has_just_deleted_is_not_ours(quick: Live) -> None:
    def deleted(line: str) -> None:
        if " delete" in line and KUBEVIRT in quick.objects:
            quick.finish()

    quick.at_line = deleted
    done = quick.run()
    assert "KubeVirt kubevirt/kubevirt" not in done.extra["removed"], done.failure
    assert (done.failure, done.extra["left"]) == ("", [])
