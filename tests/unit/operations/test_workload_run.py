# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Moving VMs: what is moved in which order, what stops it, and what is left behind then and after a kill."""

from __future__ import annotations

import contextlib
import typing as t
from pathlib import Path

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.api import Api
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import Conflict
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.interruption import Interrupted
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import leases
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.migrations import OURS_LABEL
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.update_marks import MARK, WINDOW
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.workload_updates import HELD_ANNOTATION
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import workload_run, workload_update
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.observe import Cluster, Workloads, observe
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import InvalidOption, Outcome
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.standing_findings import (
    findings_about_a_hold,
)

from tests.support import moving
from tests.support.moving import KUBEVIRT, MIGRATIONS, NEW, PODS, VMS, Answer, Killed, Seconds

World = t.Any  # tests/unit/operations/conftest.py
Object = dict[str, t.Any]

GOLDEN = Path(__file__).parents[1] / "golden"
CONTROLLER = "/apis/apps/v1/namespaces/kubevirt/deployments/virt-controller"
GATE = """
- id: user.storage
  level: blocker
  objects: {api_version: v1, kind: Pod, namespace: prod}
  when: "length(items[?metadata.name=='broken']) > `0`"
  message: Storage is broken.
  fix: Mend it.
"""


def operand(name: str, kind: str) -> Object:
    counts = ("replicas", "updatedReplicas", "readyReplicas")
    spec: Object = {"replicas": 2}
    if kind == "daemonsets":
        counts, spec = ("desiredNumberScheduled", "updatedNumberScheduled", "numberReady"), {}
    words = ["virt-controller", "--launcher-image", NEW, "--port", "8443"]
    spec["template"] = {"spec": {"containers": [{"name": name, "command": words}]}}
    labels = {"kubevirt.io": name, "app.kubernetes.io/managed-by": "virt-operator"}
    status = {"observedGeneration": 1, **dict.fromkeys(counts, 2)}
    metadata = {"name": name, "namespace": "kubevirt", "generation": 1, "labels": labels}
    return {"metadata": metadata, "spec": spec, "status": status}


class Run:
    """One run after the other against a cluster."""

    def __init__(self, world: World) -> None:
        world.kubevirt = world.status("1.8-healthy")
        world.workloads = Workloads()
        world.apply_operator("v1.8.4")
        world.rolled_out()
        world.operator["status"]["readyReplicas"] = 2
        objects = dict(world.server().objects)
        for name, kind in (
            ("virt-api", "deployments"),
            ("virt-controller", "deployments"),
            ("virt-handler", "daemonsets"),
        ):
            objects[f"/apis/apps/v1/namespaces/kubevirt/{kind}/{name}"] = operand(name, kind)
        for number in (1, 2, 9):
            labels = {"kubevirt.io/schedulable": "true"}
            ready = {"conditions": [{"type": "Ready", "status": "True"}]}
            objects[f"/api/v1/nodes/n{number}"] = {
                "metadata": {"name": f"n{number}", "labels": labels},
                "status": ready,
            }
        objects["/api/v1/namespaces/kube-system"] = {"metadata": {"uid": "0000-1111"}}
        groups = [{"name": "kubevirt.io", "versions": [{"version": "v1"}]}]
        objects["/apis"] = {"metadata": {}, "groups": groups}
        objects["/version"] = {"metadata": {}, "gitVersion": "v1.34.4"}
        objects["/api/v1"] = {"metadata": {}, "resources": [{"name": "pods", "kind": "Pod", "namespaced": True}]}
        self.cluster = moving.Cluster(objects)
        self.said: list[str] = []
        self.at_line: t.Callable[[str], None] = lambda line: None

    def __call__(self, check_mode: bool = False, **options: t.Any) -> Outcome:
        params: Object = {name: spec.get("default") for name, spec in workload_update.ARGUMENT_SPEC.items()}
        params |= {"methods": ["LiveMigrate"], "soak": 5, "wait_timeout": 3000, **options}
        api = self.cluster.api(check_mode=check_mode)
        return workload_update.run(api, params, check_mode=check_mode, clock=self.cluster, report=self._told)

    def _told(self, line: str) -> None:
        self.said.append(line)
        self.at_line(line)

    def set_methods(self, *methods: str) -> None:
        self.cluster.objects[KUBEVIRT]["spec"]["workloadUpdateStrategy"] = {"workloadUpdateMethods": list(methods)}

    @property
    def held(self) -> str | None:
        found: str | None = self.cluster.objects[KUBEVIRT]["metadata"]["annotations"].get(HELD_ANNOTATION)
        return found


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch) -> Run:
    made = Run(world)
    picture = type("Picture", (Seconds,), {"cluster": made.cluster})
    monkeypatch.setattr(workload_run, "Picture", picture)
    return made


def many(cluster: moving.Cluster, count: int, **how: t.Any) -> list[str]:
    names = [f"vm-{number:02}" for number in range(count)]
    for number, name in enumerate(names):
        cluster.add_vm(name, f"n{number % 2 + 1}", **how)
    return names


def ids(outcome: Outcome) -> list[str]:
    return [one.id for one in outcome.findings]


def test_a_canary_then_stages_then_kubevirts_own_updater(run: Run) -> None:
    names = many(run.cluster, 40)
    predicted = run(check_mode=True)
    assert run.cluster.writes == []
    assert [(one["action"], one["object"]) for one in predicted.actions] == [
        ("hold-workload-updates", "KubeVirt kubevirt/kubevirt"),
        ("canary", "VM prod/vm-00"),
        ("widen", "1 VM"),
        ("widen", "8 VMs"),
        ("set-strategy", "KubeVirt kubevirt/kubevirt"),
        ("follow-updates", "30 VMs"),
    ]
    done = run()
    assert not done.failure
    assert run.cluster.migrated == names[:10], "ours, in their order; the rest is KubeVirt's"
    assert run.cluster.writes[0] == "methods none"
    assert run.cluster.writes[-1] == "methods LiveMigrate", "set once, after our own"
    assert run.cluster.outdated == []
    assert (run.cluster.methods, run.held) == (["LiveMigrate"], None)
    assert run.cluster.most_at_once <= 5
    assert (done.extra["moved"], done.extra["failures"], done.extra["rest"]) == (40, [], [])
    for part in ("changed", "diff", "actions", "from_version", "to_version"):
        assert getattr(done, part) == getattr(predicted, part), part

    run.cluster.writes.clear()
    again = run()
    assert (again.changed, again.actions, again.diff, again.failure) == (False, [], [], "")
    assert run.cluster.writes == []


def test_a_stage_of_all_is_told_as_what_was_asked_for(run: Run) -> None:
    many(run.cluster, 4)
    reasons = [one["reason"] for one in run(check_mode=True, widen=[100]).actions if one["action"] == "widen"]
    assert reasons == ["100 % of 4"]
    run.cluster.vmi("vm-03")["metadata"]["labels"][MARK] = "skip"
    run.cluster.save("virtualmachineinstances", run.cluster.vmi("vm-03"))
    reasons = [one["reason"] for one in run(check_mode=True, widen=[40]).actions if one["action"] == "widen"]
    assert reasons[-1] == "KubeVirt's own updater does not know the marks on some VMs"


def test_no_more_than_two_from_a_node_or_as_kubevirt_is_configured(run: Run) -> None:
    for number in range(10):
        run.cluster.add_vm(f"vm-{number}", "n1")
    run.cluster.objects[KUBEVIRT]["spec"]["configuration"] = {"migrations": {"parallelOutboundMigrationsPerNode": 3}}
    seen: list[int] = []
    run.cluster.each_second = lambda: seen.append(len(run.cluster.unfinished()))
    assert not run(widen=[100], wait=False).failure
    assert max(seen) == 3


class TestCanaries:
    def test_one_of_each_class_one_after_the_other(self, run: Run) -> None:
        for number in range(3):
            run.cluster.add_vm(f"small-{number}")
            run.cluster.add_vm(f"big-{number}", domain={"devices": {}, "cpu": {"cores": 4}})
        run.cluster.add_vm("claim", volumes=[{"name": "root", "persistentVolumeClaim": {"claimName": "x"}}])
        seen: list[int] = []
        run.cluster.each_second = lambda: seen.append(len(run.cluster.unfinished()))
        done = run(widen=[], wait=False)
        assert not done.failure
        assert sorted(run.cluster.migrated) == ["big-0", "claim", "small-0"]
        assert max(seen) == 1
        assert done.extra["canaries"] == ["prod/small-0", "prod/big-0", "prod/claim"]

    def test_no_more_than_canary_max_and_the_others_are_named(self, run: Run) -> None:
        run.cluster.add_vm("a")
        run.cluster.add_vm("b", domain={"devices": {}, "cpu": {"cores": 4}})
        done = run(check_mode=True, canary_max=1)
        assert len(done.extra["canaries"]) == 1
        assert len(done.extra["unproven"]) == 1

    @pytest.mark.parametrize(
        ("course", "words"),
        [
            ("fails", "no such CPU feature"),
            ("hangs", "did not arrive within 30 s, and its migration was called off"),
            ("no-agent", "its guest agent is not connected, as it was before"),
        ],
    )
    def test_one_that_fails_stops_everything_with_its_reason(self, run: Run, course: str, words: str) -> None:
        names = many(run.cluster, 10)
        run.set_methods("Evict")
        run.cluster.courses = dict.fromkeys(names, course)
        stopped = run(methods=["LiveMigrate"], migration_timeout=30)
        assert ids(stopped)[0] == "workloads.canary-failed"
        assert words in stopped.failure
        assert run.cluster.migrated == ["vm-00"], "nothing else was moved"
        assert run.cluster.methods == ["Evict"], "as it was before, not as asked"
        assert run.held is None
        assert not run.cluster.unfinished()
        assert [one["action"] for one in stopped.actions] == ["hold-workload-updates", "drain-migrations"]
        assert stopped.changed

    @pytest.mark.parametrize("missing", ["n1", ""])
    def test_a_node_without_virt_handler_is_named(self, run: Run, missing: str) -> None:
        many(run.cluster, 2)
        run.cluster.courses = {"vm-00": "hangs"}
        for node in {"n1", "n2", "n3"} - {missing}:
            ready = {"conditions": [{"type": "Ready", "status": "True"}]}
            metadata = {"namespace": "kubevirt", "name": node, "labels": {"kubevirt.io": "virt-handler"}}
            pod = {"metadata": metadata, "spec": {"nodeName": node}, "status": ready}
            run.cluster.objects[f"/api/v1/namespaces/kubevirt/pods/{node}"] = pod
        stopped = run(methods=["LiveMigrate"], migration_timeout=30)
        words = f"virt-handler is not ready on node {missing}" if missing else "KubeVirt gives no reason"
        assert f"its migration was called off ({words}" in stopped.failure

    def test_the_reason_comes_within_a_minute(self, run: Run) -> None:
        many(run.cluster, 10)
        run.cluster.courses = {"vm-00": "fails"}
        run()
        assert run.cluster.seconds < 60

    def test_a_gate_that_does_not_hold_afterwards_stops_it_too(self, run: Run) -> None:
        many(run.cluster, 10)

        def break_storage() -> None:
            if run.cluster.migrated:
                metadata = {"namespace": "prod", "name": "broken", "labels": {"kubevirt.io/created-by": ""}}
                pod = {"metadata": metadata, "spec": {}, "status": {"phase": "Pending"}}
                run.cluster.objects[f"{PODS}/broken"] = pod

        run.cluster.each_second = break_storage
        stopped = run(gates=GATE)
        assert ids(stopped)[:2] == ["workloads.canary-failed", "user.storage"]
        assert len(run.cluster.migrated) == 1
        assert run.cluster.methods == []

    def test_a_class_with_a_migrated_vm_needs_none(self, run: Run) -> None:
        many(run.cluster, 4)
        moved = run.cluster.add_vm("moved", image=NEW)
        moved["status"]["migrationState"] = {"completed": True, "sourcePod": "x", "targetPod": "moved-1"}
        fresh = run(check_mode=True)
        assert fresh.extra["canaries"] == []


class TestBudget:
    def test_it_is_exact_in_the_stages(self, run: Run) -> None:
        names = many(run.cluster, 20)
        run.cluster.courses = dict.fromkeys(names[1:], "fails")
        stopped = run(widen=[100], failure_budget=2)
        assert ids(stopped)[0] == "workloads.budget-spent"
        assert len(run.cluster.migrated) == 1 + 3, "the canary, two that may fail, and the one that stops it"
        assert len(stopped.extra["failures"]) == 3
        assert (run.cluster.methods, run.held) == ([], None)
        assert "kubectl patch kubevirt kubevirt -n kubevirt --type=merge" in stopped.failure
        assert len(run.cluster.outdated) == 19

    def test_kubevirts_own_updater_is_stopped_with_few_more(self, run: Run) -> None:
        names = many(run.cluster, 30)
        run.cluster.courses = dict.fromkeys(names[2:], "fails")
        stopped = run(widen=[5], failure_budget=1)
        assert ids(stopped)[0] == "workloads.budget-spent"
        assert run.cluster.methods == []
        assert len(stopped.extra["failures"]) <= 1 + 5

    def test_failures_within_it_are_listed_with_what_to_do(self, run: Run) -> None:
        names = many(run.cluster, 6)
        run.cluster.courses = {names[-1]: "fails"}
        done = run()
        assert not done.failure
        assert run.cluster.outdated == [names[-1]]
        assert done.extra["failures"] == [{"vm": "prod/vm-05", "reason": "no such CPU feature"}]
        assert [one["vm"] for one in done.extra["cold_restart"]] == ["prod/vm-05"]
        assert "virtctl restart vm-05 -n prod" in done.extra["rest"][0]["fix"]
        assert "workloads.left-behind" in ids(done)


class TestMethods:
    def test_what_cannot_be_migrated_stays_and_is_named_for_its_owner(self, run: Run) -> None:
        many(run.cluster, 3)
        run.cluster.add_vm("local", migratable=False)
        done = run()
        assert not done.failure
        assert run.cluster.outdated == ["local"]
        assert [one["vm"] for one in done.extra["cold_restart"]] == ["prod/local"]
        assert "DisksNotLiveMigratable" in done.extra["cold_restart"][0]["reason"]

    def test_with_both_only_what_cannot_be_migrated_is_evicted(self, run: Run) -> None:
        names = many(run.cluster, 3)
        uids = {name: run.cluster.vmi(name)["metadata"]["uid"] for name in names}
        local = run.cluster.add_vm("local", migratable=False)["metadata"]["uid"]
        done = run(methods=["LiveMigrate", "Evict"], batch_eviction_size=5)
        assert not done.failure
        assert run.cluster.outdated == []
        assert {name: run.cluster.vmi(name)["metadata"]["uid"] for name in names} == uids
        assert run.cluster.vmi("local")["metadata"]["uid"] != local
        strategy = run.cluster.objects[KUBEVIRT]["spec"]["workloadUpdateStrategy"]
        assert strategy == {"workloadUpdateMethods": ["LiveMigrate", "Evict"], "batchEvictionSize": 5}

    def test_with_evict_alone_nothing_is_migrated_by_us(self, run: Run) -> None:
        many(run.cluster, 3)
        done = run(methods=["Evict"])
        assert not done.failure
        assert (run.cluster.migrated, run.cluster.outdated) == ([], [])

    @pytest.mark.parametrize(
        ("change", "finding"),
        [("standalone", "workloads.evict-destroys-vmi"), ("Manual", "workloads.evict-leaves-vm-down")],
    )
    def test_an_eviction_that_ends_a_vm_is_a_blocker(self, run: Run, change: str, finding: str) -> None:
        vmi = run.cluster.add_vm("local", migratable=False)
        if change == "standalone":
            del vmi["metadata"]["ownerReferences"]
        else:
            run.cluster.objects[f"{VMS}/local"]["spec"]["runStrategy"] = change
        refused = run(methods=["LiveMigrate", "Evict"])
        assert f"[{finding}]" in refused.failure
        assert run.cluster.writes == []
        assert not run(methods=["LiveMigrate", "Evict"], accept=[finding]).failure

    def test_without_waiting_kubevirts_own_updater_is_not_followed(self, run: Run) -> None:
        many(run.cluster, 10)
        done = run(wait=False)
        assert not done.failure
        assert run.cluster.methods == ["LiveMigrate"]
        assert run.cluster.outdated
        assert {one["reason"] for one in done.extra["rest"]} == {"KubeVirt's own updater has not moved it yet"}


class TestMarks:
    def test_skipped_ones_stay_and_the_strategy_is_withheld(self, run: Run) -> None:
        names = many(run.cluster, 8)
        run.cluster.vmi("vm-03")["metadata"]["labels"][MARK] = "skip"
        predicted = run(check_mode=True)
        done = run()
        assert not done.failure
        assert run.cluster.outdated == ["vm-03"]
        assert sorted(run.cluster.migrated) == sorted({*names} - {"vm-03"}), "all by ourselves"
        assert run.cluster.methods == []
        assert {"workloads.strategy-withheld", "workloads.left-behind"} <= {*ids(done)} & {*ids(predicted)}
        assert done.actions == predicted.actions
        assert done.diff == predicted.diff == []

        run.cluster.writes.clear()
        again = run()
        assert (again.changed, again.actions, run.cluster.writes) == (False, [], [])
        assert "workloads.strategy-withheld" in ids(again)

    def test_last_ones_go_last_and_then_the_strategy_is_set(self, run: Run) -> None:
        many(run.cluster, 8)
        run.cluster.objects[f"{VMS}/vm-00"]["metadata"]["annotations"] = {MARK: "last"}
        done = run()
        assert not done.failure
        assert run.cluster.migrated[-1] == "vm-00"
        assert len(run.cluster.migrated) == 8
        assert run.cluster.methods == ["LiveMigrate"]

    @pytest.mark.parametrize(("window", "left"), [("11:00-13:00", []), ("22:00-05:00", ["vm-01"])])
    def test_a_window_counts_by_the_time_of_the_day(self, run: Run, window: str, left: list[str]) -> None:
        many(run.cluster, 3)
        run.cluster.vmi("vm-01")["metadata"]["annotations"] = {WINDOW: window}
        done = run()
        assert not done.failure
        assert run.cluster.outdated == left
        assert run.cluster.methods == ([] if left else ["LiveMigrate"])

    def test_a_mark_that_is_written_meanwhile_counts(self, run: Run) -> None:
        many(run.cluster, 12)

        def write() -> None:
            if len(run.cluster.migrated) > 2 and MARK not in run.cluster.vmi("vm-11")["metadata"]["labels"]:
                run.cluster.vmi("vm-11")["metadata"]["labels"][MARK] = "skip"
                run.cluster.vmi("vm-11")["metadata"]["resourceVersion"] += "1"

        run.cluster.each_second = write
        assert not run(widen=[100]).failure
        assert run.cluster.outdated == ["vm-11"]
        assert run.cluster.methods == []

    def test_a_last_one_that_fails_withholds_the_strategy_although_it_was_planned(self, run: Run) -> None:
        many(run.cluster, 4)
        run.cluster.add_vm("local", migratable=False)
        run.cluster.vmi("vm-03")["metadata"]["labels"][MARK] = "last"
        run.cluster.courses = {"vm-03": "fails"}
        done = run(methods=["LiveMigrate", "Evict"])
        assert not done.failure
        assert [one["action"] for one in done.actions][-2:] == ["set-strategy", "follow-updates"]
        assert run.cluster.outdated == ["local", "vm-03"]
        assert run.cluster.methods == []
        assert "workloads.strategy-withheld" in ids(done)


class TestSplitBrain:
    def test_one_that_is_there_already_refuses_everything(self, run: Run) -> None:
        many(run.cluster, 3)
        run.cluster.add_vm("vm-03", migratable=False)
        run.cluster.add_pod("stray", run.cluster.vmi("vm-02"))
        refused = run()
        assert ids(refused)[:2] == ["workloads.split-brain", "workloads.stay-old"]
        assert "[workloads.split-brain]" in refused.failure
        for words in ("VM prod/vm-02", "stray on n1", "vm-02-1 on n1"):
            assert words in refused.failure
        assert run.cluster.writes == []

    @pytest.mark.parametrize("when", ["canary", "widen", "follow"])
    def test_one_on_the_way_stops_all_writes_within_two_seconds(self, run: Run, when: str) -> None:
        many(run.cluster, 30)
        after = {"canary": 1, "widen": 3, "follow": 8}[when]
        came: list[tuple[float, int]] = []

        def double() -> None:
            is_time = run.cluster.methods if when == "follow" else len(run.cluster.migrated) >= after
            if not came and is_time:
                came.append((run.cluster.seconds, len(run.cluster.writes)))
                run.cluster.add_pod("stray", run.cluster.vmi("vm-29"))

        run.cluster.each_second = double
        stopped = run()
        assert ids(stopped)[0] == "workloads.split-brain"
        assert run.cluster.seconds - came[0][0] <= 2
        later = run.cluster.writes[came[0][1] :]
        assert later == (["methods none"] if when == "follow" else [])
        assert run.cluster.methods == []

    def test_a_pod_that_does_not_end_after_its_migration_is_one_too(self, run: Run) -> None:
        many(run.cluster, 3)
        run.cluster.courses = {"vm-00": "old-pod-stays"}
        stopped = run()
        assert ids(stopped)[0] == "workloads.split-brain"
        assert run.cluster.migrated == ["vm-00"]

    def test_one_that_is_over_at_a_second_look_was_none(self, run: Run) -> None:
        """What was seen of pods was newer than what was seen of migrations."""
        many(run.cluster, 3)
        answered, looks = run.cluster.request, []

        def request(method: str, url: str, **how: t.Any) -> Answer:
            if url.partition("?")[0].endswith("/api/v1/pods") and f"{PODS}/stray" in run.cluster.objects:
                looks.append(url)
                if len(looks) == 2:
                    del run.cluster.objects[f"{PODS}/stray"]
            return answered(method, url, **how)

        def flicker() -> None:
            if run.cluster.migrated and not looks:
                run.cluster.add_pod("stray", run.cluster.vmi("vm-02"))

        run.cluster.request, run.cluster.each_second = request, flicker  # type: ignore[method-assign]
        assert run().failure == ""
        assert (len(looks), run.cluster.outdated) == (2, [])


class TestControlPlane:
    def test_it_must_be_at_rest(self, run: Run) -> None:
        many(run.cluster, 3)
        run.cluster.objects[CONTROLLER]["status"]["readyReplicas"] = 1
        refused = run()
        assert "[workloads.control-plane-moves]" in refused.failure
        assert "1 of 2 pods ready" in refused.failure
        assert run.cluster.writes == []

    def test_it_gets_time_for_the_last_edit(self, run: Run) -> None:
        many(run.cluster, 3)
        kubevirt = run.cluster.objects[KUBEVIRT]
        kubevirt["metadata"]["generation"] += 1
        pause = run.cluster.pause

        def reconcile(seconds: float) -> None:
            pause(seconds)
            kubevirt["status"]["observedGeneration"] = kubevirt["metadata"]["generation"]

        run.cluster.pause = reconcile  # type: ignore[method-assign]
        assert not run(check_mode=True).failure

    def test_migrations_of_others_are_waited_for(self, run: Run) -> None:
        many(run.cluster, 3)
        metadata = {"namespace": "prod", "name": "mine", "uid": "u"}
        run.cluster.objects[f"{MIGRATIONS}/mine"] = {"metadata": metadata, "spec": {"vmiName": "vm-02"}}
        done = run()
        assert not done.failure
        assert done.actions[1]["action"] == "drain-migrations"
        assert "vm-02" not in run.cluster.migrated

    def test_one_that_does_not_end_stops_the_run(self, run: Run) -> None:
        many(run.cluster, 3)
        metadata = {"namespace": "prod", "name": "mine", "uid": "u"}
        run.cluster.objects[f"{MIGRATIONS}/mine"] = {"metadata": metadata, "spec": {"vmiName": "vm-02"}}
        run.cluster.courses = {"vm-02": "hangs"}
        stopped = run(migration_timeout=20)
        assert ids(stopped)[0] == "workloads.migrations-in-flight"
        assert "held empty" in stopped.failure and "run the same again" in stopped.failure
        assert run.cluster.migrated == []
        assert not run(migration_timeout=20, accept=["workloads.migrations-in-flight"], wait=False).failure


def test_a_run_that_was_killed_after_any_write_is_finished_by_the_next(run: Run) -> None:
    many(run.cluster, 12)
    run.cluster.add_vm("big", domain={"devices": {}, "cpu": {"cores": 4}})
    run.set_methods("Evict")
    kills = 0
    for _try in range(60):
        run.cluster.killed_after = len(run.cluster.writes) + 1
        killed = True
        with contextlib.suppress(Killed):
            done = run(methods=["LiveMigrate"], soak=0)
            killed = False
        if not killed:
            break
        kills += 1
        assert "LiveMigrate" in (run.held or "") or run.cluster.methods == ["LiveMigrate"]
    assert kills > 3, "one after each write"
    assert not done.failure
    assert run.cluster.outdated == []
    assert (run.cluster.methods, run.held) == (["LiveMigrate"], None)
    assert len(run.cluster.migrated) == len({*run.cluster.migrated}), "no VM was moved twice"


def test_a_failed_canary_after_a_kill_goes_back_to_what_was_before_the_first_run(run: Run) -> None:
    many(run.cluster, 5)
    run.set_methods("Evict")
    run.cluster.killed_after = 1
    with pytest.raises(Killed):
        run(methods=["LiveMigrate"])
    assert run.cluster.methods == []
    facts = observe(run.cluster.api(), Cluster("", ""))
    assert [one.cause.partition(" emptied")[0] for one in findings_about_a_hold(facts)] == ["A run that moves VMs"]
    run.cluster.killed_after = 10**9
    run.cluster.courses = {"vm-00": "fails"}
    assert run(methods=["LiveMigrate"]).failure
    assert run.cluster.methods == ["Evict"]


@pytest.mark.parametrize(("phase", "failures"), [("Failed", ["prod/a"]), ("Succeeded", [])])
def test_a_guest_that_ends_on_the_way_has_failed_unless_its_owner_has_shut_it_down(
    run: Run, phase: str, failures: list[str]
) -> None:
    run.cluster.add_vm("a")
    run.cluster.add_vm("b", "n2")
    run.cluster.courses = {"a": "hangs"}

    def end() -> None:
        if run.cluster.unfinished() and run.cluster.courses:
            run.cluster.courses = {}
            run.cluster.vmi("a")["status"]["phase"] = phase
            run.cluster.save("virtualmachineinstances", run.cluster.vmi("a"))
            for migration in run.cluster.unfinished():
                migration.setdefault("status", {})["phase"] = "Failed"

    run.cluster.each_second = end
    stopped = run()
    assert [one["vm"] for one in stopped.extra["failures"]] == failures
    if failures:
        assert ids(stopped)[0] == "workloads.canary-failed"
        assert "its guest ended while it was migrated" in stopped.failure
        assert run.cluster.migrated == ["a"]
    else:
        assert not stopped.failure
        assert "b" not in run.cluster.outdated


def leave_a_migration(cluster: moving.Cluster, vm: str) -> None:
    """A killed run has asked for it."""
    deployment = cluster.objects[KUBEVIRT]["status"]["observedDeploymentID"]
    metadata = {"namespace": "prod", "name": "left", "uid": "u", "labels": {OURS_LABEL: deployment}}
    kind = "VirtualMachineInstanceMigration"
    cluster.objects[f"{MIGRATIONS}/left"] = {"kind": kind, "metadata": metadata, "spec": {"vmiName": vm}}


def test_migrations_that_a_killed_run_left_are_followed(run: Run) -> None:
    many(run.cluster, 4)
    leave_a_migration(run.cluster, "vm-00")
    done = run()
    assert not done.failure
    assert "vm-00" not in run.cluster.migrated


def test_one_that_a_killed_run_left_and_that_hangs_is_called_off_and_counts(run: Run) -> None:
    many(run.cluster, 4)
    leave_a_migration(run.cluster, "vm-00")
    run.cluster.courses = {"vm-00": "hangs"}
    done = run(migration_timeout=20, wait=False)
    assert [one["vm"] for one in done.extra["failures"]] == ["prod/vm-00"]
    assert "call off vm-00" in run.cluster.writes


def test_it_says_how_far_it_is_in_few_lines(run: Run) -> None:
    many(run.cluster, 40)
    run(widen=[100])
    told = [line for line in run.said if "VMs moved" in line]
    assert told[-1].split(" widen ")[1].strip().startswith("39 of 39 VMs moved, 0 failed")
    assert len(told) <= 14


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"methods": []}, "methods: the list is empty"),
        ({"widen": [25, 5]}, "widen: "),
        ({"widen": [0]}, "widen: "),
        ({"widen": [120]}, "widen: "),
        ({"soak": -1}, "soak: -1"),
        ({"failure_budget": -1}, "failure_budget: -1"),
        ({"canary_max": -1}, "canary_max: -1"),
        ({"migration_timeout": 0}, "migration_timeout: 0"),
        ({"batch_eviction_size": 0}, "batch_eviction_size: 0"),
        ({"batch_eviction_interval": "1 minute"}, "batch_eviction_interval: "),
        ({"accept": ["workloads.splitbrain"]}, "no finding id"),
    ],
)
def test_options_that_cannot_be_used(run: Run, options: Object, words: str) -> None:
    with pytest.raises(InvalidOption, match=words):
        run(**options)
    assert run.cluster.writes == []


def test_a_signal_leaves_the_hold_and_says_how_to_go_on(run: Run) -> None:
    many(run.cluster, 10)

    def end() -> None:
        if len(run.cluster.migrated) >= 3:
            raise Interrupted("SIGTERM")

    run.cluster.each_second = end
    stopped = run(widen=[100])
    assert "Stopped by SIGTERM." in stopped.failure
    assert "held empty" in stopped.failure and stopped.changed
    assert run.cluster.methods == [] and run.held
    assert not run.cluster.leases, "the lock is not left behind"
    assert any("To go on, run the same again" in line for line in run.said)
    run.cluster.each_second = lambda: None
    assert not run().failure
    assert run.cluster.outdated == []


def test_while_another_run_has_the_cluster_nothing_is_moved(run: Run) -> None:
    many(run.cluster, 3)
    path = leases.path_of("kubevirt")
    lease = leases.new("kubevirt", "somebody else", "2026-03-01T12:00:00.000000Z")
    run.cluster.objects[path] = lease
    beat = run.cluster.pause

    def renew(seconds: float) -> None:
        beat(seconds)
        lease["metadata"]["resourceVersion"] = str(run.cluster.seconds)

    lease["metadata"] |= {"uid": "other", "resourceVersion": "1"}
    run.cluster.pause = renew  # type: ignore[method-assign]
    refused = run()
    assert ids(refused)[0] == "cluster.held"
    assert "Moving the VMs cannot begin." in refused.failure and "Nothing was changed." in refused.failure
    assert (refused.changed, refused.actions, run.cluster.writes) == (False, [], [])


@pytest.mark.parametrize(("check_mode", "left"), [(False, 0), (True, 1)])
def test_a_run_without_work_removes_the_lock_that_a_killed_run_has_left(run: Run, check_mode: bool, left: int) -> None:
    run.set_methods("LiveMigrate")
    path = leases.path_of("kubevirt")
    run.cluster.objects[path] = leases.new("kubevirt", "killed", "2026-03-01T12:00:00.000000Z")
    run.cluster.objects[path]["metadata"] |= {"uid": "1", "resourceVersion": "1"}
    done = run(check_mode=check_mode)
    assert (done.failure, done.changed, run.cluster.writes) == ("", False, [])
    assert len(run.cluster.leases) == left
    assert ("cluster.taken-over" in ids(done)) is not check_mode


def test_when_the_cluster_cannot_be_seen_that_is_said_to_be_the_cause(run: Run) -> None:
    many(run.cluster, 3)

    def go_away() -> None:
        if run.cluster.migrated:
            gone = {"reason": "ServiceUnavailable", "message": "nobody is here"}
            run.cluster.request = lambda *_how, **_more: Answer(503, gone)  # type: ignore[method-assign]

    run.cluster.each_second = go_away
    stopped = run(stall_timeout=60)
    assert ids(stopped)[0] == "workloads.stalled"
    assert "503" in stopped.failure and "nobody is here" in stopped.failure


# Pages


def as_planned(run: Run) -> Object:
    many(run.cluster, 40)
    run.cluster.add_vm("big", domain={"devices": {}, "cpu": {"cores": 4}})
    run.cluster.add_vm("local", migratable=False)
    return {"check_mode": True}


def marked(run: Run) -> Object:
    many(run.cluster, 4)
    run.cluster.vmi("vm-01")["metadata"]["labels"][MARK] = "skip"
    run.cluster.vmi("vm-02")["metadata"]["annotations"] = {WINDOW: "22:00-05:00"}
    run.cluster.vmi("vm-03")["metadata"]["annotations"] = {MARK: "tomorrow"}
    return {}


def with_failures(run: Run) -> Object:
    names = many(run.cluster, 12)
    run.cluster.add_vm("local", migratable=False)
    run.cluster.courses = {names[-1]: "fails"}
    return {}


def refused_twice(run: Run) -> Object:
    run.cluster.add_pod("stray", run.cluster.add_vm("db", volumes=[{"name": "d", "dataVolume": {"name": "disk"}}]))
    return {}


def stopped_at_the_canary(run: Run) -> Object:
    many(run.cluster, 5)
    run.cluster.courses = {"vm-00": "fails"}
    return {}


def stopped_by_the_budget(run: Run) -> Object:
    names = many(run.cluster, 9)
    run.cluster.courses = dict.fromkeys(names[1:], "fails")
    return {"failure_budget": 1}


def stopped_late(run: Run) -> Object:
    many(run.cluster, 5)
    run.cluster.courses = {"vm-00": "hangs"}
    return {"wait_timeout": 30}


def nothing_to_do(run: Run) -> Object:
    many(run.cluster, 3, image=NEW)
    run.set_methods("LiveMigrate")
    return {}


PAGES: dict[str, t.Callable[[Run], Object]] = {
    "planned": as_planned,
    "marked": marked,
    "with-failures": with_failures,
    "nothing-to-do": nothing_to_do,
    "refused-split-brain": refused_twice,
    "stopped-canary": stopped_at_the_canary,
    "stopped-budget": stopped_by_the_budget,
    "stopped-late": stopped_late,
}


@pytest.mark.parametrize("name", PAGES)
def test_the_page_and_what_is_said_of_a_failure(run: Run, name: str) -> None:
    outcome = run(**PAGES[name](run))
    assert bool(outcome.failure) is name.startswith(("refused", "stopped")), outcome.failure
    page = [*outcome.as_result()["page"], *(["", *outcome.failure.splitlines()] if outcome.failure else [])]
    assert all("\n" not in line for line in page), "one list item a line"
    assert "\n".join(page) + "\n" == (GOLDEN / f"workloads-{name}.txt").read_text()


def test_every_golden_text_is_of_a_page() -> None:
    assert {path.stem for path in GOLDEN.glob("workloads-*")} == {f"workloads-{name}" for name in PAGES}


def test_a_refused_migration_is_no_lost_answer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A conflict counts as made only where an answer was lost; else nobody would know why the migration is not there."""
    many(run.cluster, 2)
    create = Api.create

    def conflict(api: Api, path: str, body: t.Any) -> t.Any:
        if path == MIGRATIONS:
            raise Conflict("POST", path, 409, "AlreadyExists", "it exists")
        return create(api, path, body)

    monkeypatch.setattr(Api, "create", conflict)
    stopped = run()
    assert "it exists" in stopped.failure
    assert not run.cluster.migrated


@pytest.mark.parametrize(
    ("answer", "changed", "words"),
    [
        (
            Answer(500, {"message": "etcdserver: request timed out"}),
            True,
            "did not say whether the last change was stored",
        ),
        (Answer(403, {"reason": "Forbidden", "message": "no"}), False, "Nothing was changed."),
    ],
    ids=["lost", "refused"],
)
def test_a_change_whose_end_nobody_knows_counts_as_one(
    run: Run, monkeypatch: pytest.MonkeyPatch, answer: Answer, changed: bool, words: str
) -> None:
    many(run.cluster, 2)
    monkeypatch.setattr(run.cluster, "_patched", lambda _path, _operations: answer)
    stopped = run()
    assert (stopped.changed, words in stopped.failure) == (changed, True), stopped.failure


def refusing(run: Run, status: int, message: str, *, times: int = 99) -> None:
    """The server answers so to the next requests for a migration."""
    answered, left = run.cluster._posted, iter(range(times))

    def posted(collection: str, body: Object) -> Answer:
        if collection == MIGRATIONS and next(left, None) is not None:
            return Answer(status, {"reason": "Refused", "message": message})
        return answered(collection, body)

    run.cluster._posted = posted  # type: ignore[method-assign]


def test_a_migration_that_kubevirt_does_not_take_has_failed_with_its_word(run: Run) -> None:
    many(run.cluster, 2)
    refusing(run, 400, 'admission webhook "x" denied the request: the VMI is not migratable')
    stopped = run()
    assert "KubeVirt does not take the migration" in stopped.failure
    assert "the VMI is not migratable" in stopped.failure
    assert run.cluster.migrated == []


def test_a_migration_of_somebody_else_that_was_not_seen_yet_is_waited_for(run: Run) -> None:
    many(run.cluster, 2)
    refusing(run, 400, 'admission webhook "x" denied the request: in-flight migration detected', times=3)
    assert not run().failure
    assert run.cluster.outdated == []


def test_a_migration_that_nobody_lets_us_make_ends_the_run(run: Run) -> None:
    many(run.cluster, 2)
    refusing(run, 403, "user jo may not create migrations")
    stopped = run()
    assert "user jo may not create migrations" in stopped.failure
    assert run.cluster.migrated == []


def test_a_migration_whose_answer_was_lost_is_followed(run: Run) -> None:
    many(run.cluster, 2)
    answered = run.cluster._posted
    lost: list[str] = []

    def posted(collection: str, body: Object) -> Answer:
        answer = answered(collection, body)
        if collection == MIGRATIONS and not lost:
            lost.append(body["metadata"]["name"])
            return Answer(504, {"reason": "Timeout", "message": "the request did not complete"})
        return answer

    run.cluster._posted = posted  # type: ignore[method-assign]
    done = run()
    assert (done.failure, run.cluster.outdated) == ("", [])
    assert run.cluster.migrated == ["vm-00"], "asked for once; the rest is KubeVirt's"


def test_a_migration_that_somebody_deletes_has_failed(run: Run) -> None:
    many(run.cluster, 2)
    run.cluster.courses = dict.fromkeys(("vm-00", "vm-01"), "hangs")

    def delete() -> None:
        for path in [path for path in run.cluster.objects if path.startswith(MIGRATIONS)]:
            del run.cluster.objects[path]

    run.cluster.each_second = delete
    assert "its migration was deleted" in run().failure


def test_another_cluster_is_refused_before_it_is_looked_at(run: Run) -> None:
    many(run.cluster, 2)
    refused = run(expected_cluster_uid="9999")
    assert ids(refused) == ["cluster.wrong-uid"]
    assert (refused.state, run.cluster.writes) == ("unknown", [])


def test_what_another_run_has_done_before_is_not_done_again(run: Run) -> None:
    """It had the lock, and has moved all VMs when this run gets it."""
    many(run.cluster, 2)
    answered = run.cluster._posted

    def posted(collection: str, body: Object) -> Answer:
        if collection.endswith("/leases"):
            run.cluster._posted = answered  # type: ignore[method-assign]
            assert not run().failure
            run.cluster.writes.clear()
        return answered(collection, body)

    run.cluster._posted = posted  # type: ignore[method-assign]
    done = run()
    assert (done.failure, done.changed, done.actions, run.cluster.writes) == ("", False, [], [])


def test_without_an_operator_nothing_is_asked_of_the_control_plane(run: Run) -> None:
    del run.cluster.objects[CONTROLLER.replace("virt-controller", "virt-operator")]
    refused = run()
    assert ids(refused) == ["kubevirt.operator-absent"]
    assert run.cluster.writes == []


def test_a_run_that_is_stopped_before_its_first_write_has_changed_nothing(run: Run) -> None:
    many(run.cluster, 2)
    dry = run.cluster.request

    def interrupt(method: str, url: str, **how: t.Any) -> Answer:
        if "dryRun" in url or (method == "PATCH" and KUBEVIRT in url):
            raise Interrupted("SIGINT")
        return dry(method, url, **how)

    run.cluster.request = interrupt  # type: ignore[method-assign]
    stopped = run()
    assert "Nothing was changed." in stopped.failure
    assert (stopped.changed, run.cluster.writes) == (False, [])


def test_a_strategy_that_somebody_has_set_just_before_is_not_set_again(run: Run) -> None:
    def sets_it(line: str) -> None:
        if " set " in line:
            run.set_methods("LiveMigrate")
            del run.cluster.objects[KUBEVIRT]["metadata"]["annotations"][HELD_ANNOTATION]

    many(run.cluster, 3)
    run.at_line = sets_it
    done = run()
    assert (done.failure, run.cluster.outdated) == ("", [])
    assert "methods LiveMigrate" not in run.cluster.writes


def test_without_the_kinds_of_vms_nothing_is_to_be_moved(run: Run) -> None:
    answered = run.cluster.request

    def request(method: str, url: str, **how: t.Any) -> Answer:
        if "/virtualmachineinstance" in url and "?" in url and "limit=1" not in url:
            return Answer(404, {"reason": "NotFound", "message": "the server could not find the requested resource"})
        return answered(method, url, **how)

    run.set_methods("LiveMigrate")
    run.cluster.request = request  # type: ignore[method-assign]
    done = run(check_mode=True)
    assert (done.failure, done.changed, done.extra["rest"]) == ("", False, [])
