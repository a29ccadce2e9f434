# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carrying out a plan: what is written in which order, and what is said and left behind when it stops on the way."""

from __future__ import annotations

import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import ManifestUnavailable
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.interruption import Interrupted
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import leases
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.workload_updates import (
    HELD_ANNOTATION,
    methods,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import observe, upgrade, waiting
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import InvalidOption, Outcome

World = t.Any  # tests/unit/operations/conftest.py
Server = t.Any
Object = dict[str, t.Any]

KUBEVIRT = "/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts/kubevirt"
DEPLOYMENT = "/apis/apps/v1/namespaces/kubevirt/deployments/virt-operator"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/kubevirt-operator"


class Ticking(Clock):
    """A second passes each time that somebody looks."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.pauses: list[float] = []
        self.on_pause: t.Callable[[], None] = lambda: None

    def now(self) -> float:
        self.seconds += 1
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.on_pause()


class Run:
    """One run against a world's server; the last one's outcome."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.clock = Ticking()
        self.said: list[str] = []
        self.at_line: t.Callable[[str], None] = lambda line: None
        self._server: Server | None = None

    @property
    def server(self) -> Server:
        if self._server is None:
            self._server = self.world.server()
        return self._server

    def __call__(self, check_mode: bool = False, **options: t.Any) -> Outcome:
        params = {option: spec.get("default") for option, spec in upgrade.ARGUMENT_SPEC.items()}
        params |= {"version": self.world.version, "manifest": self.world.manifests(self.folder), **options}
        api = self.server.api(check_mode=check_mode)
        return upgrade.run(api, params, check_mode=check_mode, clock=self.clock, report=self._told)

    def _told(self, line: str) -> None:
        self.said.append(line)
        self.at_line(line)

    @property
    def kubevirt(self) -> Object:
        kubevirt: Object = self.server.objects[KUBEVIRT]
        return kubevirt

    def deploys(self) -> None:
        """From now on virt-operator carries out what its Deployment asks for, at once."""

        def react(path: str) -> None:
            if path == DEPLOYMENT:
                self.server.objects[KUBEVIRT]["status"] = self.world.status("1.8-healthy")["status"]
                self.server.objects[KUBEVIRT]["metadata"]["generation"] = 4
                self.server.objects[DEPLOYMENT]["status"] |= {"readyReplicas": 2}

        for name in ("virt-api", "virt-controller"):
            self.server.objects[DEPLOYMENT.replace("virt-operator", name)] = operand(name, replicas=2)
        self.server.objects["/apis/apps/v1/namespaces/kubevirt/daemonsets/virt-handler"] = operand("virt-handler")
        self.server.after_write = react


def operand(name: str, **spec: int) -> Object:
    of_a_deployment = ("replicas", "updatedReplicas", "readyReplicas")
    of_a_daemonset = ("desiredNumberScheduled", "updatedNumberScheduled", "numberReady")
    counts = of_a_deployment if spec else of_a_daemonset
    labels = {"kubevirt.io": name, "app.kubernetes.io/managed-by": "virt-operator"}
    return {
        "metadata": {"name": name, "namespace": "kubevirt", "generation": 1, "labels": labels},
        "spec": spec,
        "status": {"observedGeneration": 1, **dict.fromkeys(counts, 2)},
    }


@pytest.fixture
def run(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(waiting, "LOOK_AGAIN", 0.01)
    return Run(world, tmp_path)


def test_a_hop_holds_the_methods_until_it_is_done(run: Run) -> None:
    run.world.set_methods("LiveMigrate")
    predicted = run(check_mode=True)
    assert (run.server.written, run.server.rehearsed) == ([], [])

    run.deploys()
    held_at_apply: list[list[str]] = []
    react = run.server.after_write

    def watch(path: str) -> None:
        if path == DEPLOYMENT:
            held_at_apply.append(methods(run.kubevirt))
        react(path)

    run.server.after_write = watch
    done = run()
    assert not done.failure
    assert run.server.rehearsed == [KUBEVIRT, DEPLOYMENT]
    assert run.server.written == [KUBEVIRT, DEPLOYMENT, KUBEVIRT]
    assert held_at_apply == [[]]
    assert methods(run.kubevirt) == ["LiveMigrate"]
    assert HELD_ANNOTATION not in run.kubevirt["metadata"]["annotations"]
    assert (done.changed, done.state) == (True, "healthy")
    for part in ("changed", "diff", "actions", "path", "from_version", "to_version"):
        assert getattr(done, part) == getattr(predicted, part), part

    run.server.written.clear()
    again = run()
    assert (again.changed, again.actions, again.diff, again.path, again.failure) == (False, [], [], [], "")
    assert run.server.written == []


def test_without_waiting_the_methods_stay_held_and_it_is_said(run: Run) -> None:
    run.world.set_methods("LiveMigrate")
    done = run(wait=False)
    assert run.server.written == [KUBEVIRT, DEPLOYMENT]
    assert not done.failure
    assert [one.id for one in done.findings] == ["workloads.methods-held"]
    [diff] = [one for one in done.diff if one["before_header"].startswith("KubeVirt")]
    assert (diff["before"], diff["after"]) == (
        {"workloadUpdateMethods": ["LiveMigrate"]},
        {"workloadUpdateMethods": []},
    )


def test_the_next_run_restores_what_a_killed_one_held(run: Run) -> None:
    run.world.set_methods("LiveMigrate", "Evict")
    run(wait=False)
    run.deploys()
    run.server.after_write(DEPLOYMENT)
    done = run()
    assert not done.failure
    assert methods(run.kubevirt) == ["LiveMigrate", "Evict"]
    assert [one["action"] for one in done.actions] == ["restore-workload-updates"]


def test_fields_of_another_tool_are_moved_before_the_object_is_applied(run: Run) -> None:
    entry = run.world.operator["metadata"]["managedFields"][0]
    entry |= {"manager": "kubectl-create", "operation": "Update"}
    run(wait=False)
    assert run.server.written == [DEPLOYMENT, DEPLOYMENT]


def test_methods_that_somebody_empties_before_the_dry_run_are_not_held(run: Run) -> None:
    run.world.set_methods("LiveMigrate")
    run.deploys()

    def report(line: str) -> None:
        if "every write once as a dry run" in line:
            run.kubevirt["spec"]["workloadUpdateStrategy"]["workloadUpdateMethods"] = []

    run.said = t.cast(t.Any, SimpleNamespace(append=report))
    done = run()
    assert not done.failure
    assert (run.server.rehearsed, run.server.written) == ([DEPLOYMENT], [DEPLOYMENT])


@pytest.mark.parametrize(("pin", "afterwards"), [("keep", "v1.8.4"), ("remove", None)])
def test_a_pin_is_moved_after_a_rehearsal(run: Run, pin: str, afterwards: str | None) -> None:
    run.world.kubevirt["spec"]["imageTag"] = "v1.7.0"
    run.world.kubevirt["status"]["operatorVersion"] = "v1.8.4"
    run.world.apply_operator("v1.8.4")
    run.world.rolled_out()
    done = run(pin=pin, wait=False)
    assert not done.failure
    assert (run.server.rehearsed, run.server.written) == ([KUBEVIRT], [KUBEVIRT])
    assert run.kubevirt["spec"].get("imageTag") == afterwards


def test_a_rejected_rehearsal_changes_nothing(run: Run) -> None:
    run.world.set_methods("LiveMigrate")
    run.server.refuses[DEPLOYMENT] = (403, "user may not patch deployments")
    stopped = run()
    assert run.server.written == []
    for words in ("Deployment kubevirt/virt-operator would be rejected", "may not patch", "Nothing was changed."):
        assert words in stopped.failure
    assert (stopped.changed, stopped.diff, stopped.actions) == (False, [], [])


def test_a_write_that_fails_on_the_way_says_what_is_changed_and_how_to_go_on_and_back(run: Run) -> None:
    run.world.set_methods("LiveMigrate")
    run.world.live[ROLE]["rules"].pop()
    run.server.refuses[DEPLOYMENT] = (422, "it is not valid, but only in the real write")
    stopped = run()
    assert run.server.written == [KUBEVIRT, ROLE]
    for words in (
        "The upgrade to v1.8.4 stopped.",
        "it is not valid",
        "Changed so far: KubeVirt kubevirt/kubevirt, ClusterRole kubevirt-operator.",
        "The workload update methods are held empty",
        "run the same again",
        "To go back (KubeVirt itself is still at v1.7.0)",
        "releases/download/v1.7.0/kubevirt-operator.yaml",
    ):
        assert words in stopped.failure
    assert stopped.changed
    assert [one["action"] for one in stopped.actions] == ["hold-workload-updates", "apply"]
    assert [one["before_header"] for one in stopped.diff] == [
        "KubeVirt kubevirt/kubevirt",
        "ClusterRole kubevirt-operator",
    ]
    assert methods(run.kubevirt) == []


def test_a_stall_after_the_operator_took_over_offers_no_way_back(run: Run) -> None:
    def begin(path: str) -> None:
        if path == DEPLOYMENT:
            run.kubevirt["status"] = run.world.status("1.8-updating")["status"]

    run.server.after_write = begin
    stopped = run(stall_timeout=5)
    assert [one.id for one in stopped.findings] == ["upgrade.stalled"]
    assert "Nothing moved for 5 s" in stopped.failure
    assert "there is no supported way back" in stopped.failure and "kubectl apply" not in stopped.failure
    assert stopped.state == "updating"


def test_what_fails_while_nothing_moves_comes_first(run: Run) -> None:
    words = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/4 nodes are available"}
    run.server.objects["/api/v1/namespaces/kubevirt/pods/virt-operator-1"] = {
        "metadata": {"namespace": "kubevirt", "name": "virt-operator-1", "labels": {"kubevirt.io": "virt-operator"}},
        "status": {"phase": "Pending", "conditions": [words]},
    }
    stopped = run(stall_timeout=5)
    assert [one.id for one in stopped.findings][:2] == ["upgrade.unschedulable", "upgrade.stalled"]
    assert stopped.failure.index("[upgrade.unschedulable]") < stopped.failure.index("[upgrade.stalled]")
    assert "To go on: do what is said above, then run the same again." in stopped.failure


def test_a_hop_that_stalls_late_offers_no_way_back_to_where_it_goes(run: Run) -> None:
    run.world.kubevirt = run.world.status("1.8-updating-all-applied")
    run.world.apply_operator("v1.8.4")
    run.world.rolled_out()
    run.world.live[ROLE]["rules"].pop()
    stopped = run(stall_timeout=5)
    assert "[upgrade.stalled]" in stopped.failure
    assert "To go back" not in stopped.failure


def test_a_failure_after_the_methods_were_restored_does_not_say_that_they_are_held(run: Run) -> None:
    run.world.set_methods("LiveMigrate")
    run.deploys()
    react = run.server.after_write

    def unready(path: str) -> None:
        react(path)
        if path == KUBEVIRT and HELD_ANNOTATION not in run.kubevirt["metadata"].get("annotations", {}):
            run.kubevirt["metadata"]["generation"] = 5

    run.server.after_write = unready
    stopped = run(stall_timeout=20)
    assert "not yet finished generation 5" in stopped.failure
    assert "held empty" not in stopped.failure
    assert methods(run.kubevirt) == ["LiveMigrate"]


def test_what_fails_for_too_long_ends_the_wait_and_the_same_again_is_no_advice(run: Run) -> None:
    def refused(path: str) -> None:
        if path == DEPLOYMENT:
            run.kubevirt["status"] = run.world.status("1.7-failed-rbac")["status"]

    run.server.after_write = refused
    stopped = run()
    assert [one.id for one in stopped.findings] == ["upgrade.rbac-escalation"]
    assert "To go on" not in stopped.failure and "VMs and their launchers were not touched." in stopped.failure


def test_a_hold_that_a_killed_run_left_is_ended_without_waiting(run: Run) -> None:
    run.world.kubevirt = run.world.status("1.8-healthy")
    run.world.set_methods(held='["LiveMigrate"]')
    run.world.apply_operator("v1.8.4")
    run.world.rolled_out()
    done = run(wait=False)
    assert (done.failure, run.server.written, methods(run.kubevirt)) == ("", [KUBEVIRT], ["LiveMigrate"])


class TestMigrationsInFlight:
    def test_they_stop_the_run_before_anything_else_is_changed(self, run: Run) -> None:
        run.world.set_methods("LiveMigrate")
        run.world.migrations = ["prod/a"]
        stopped = run(migration_drain_timeout=10)
        assert "[workloads.migrations-in-flight]" in stopped.failure and "prod/a" in stopped.failure
        assert "Nothing was changed." in stopped.failure
        assert run.server.written == [KUBEVIRT, KUBEVIRT], "held, and released"
        assert methods(run.kubevirt) == ["LiveMigrate"]
        assert (stopped.changed, stopped.diff) == (False, [])

    def test_they_can_be_accepted(self, run: Run) -> None:
        run.world.migrations = ["prod/a"]
        done = run(migration_drain_timeout=10, accept=["workloads.migrations-in-flight"], wait=False)
        assert not done.failure
        assert run.server.written == [DEPLOYMENT]

    def test_the_run_waits_for_them_also_when_only_the_operator_differs(self, run: Run) -> None:
        """Here it is the registry, which replaces every virt-handler of a cluster that has arrived."""
        run.world.kubevirt = run.world.status("1.8-healthy")
        run.world.apply_operator("v1.8.4")
        run.world.rolled_out()
        run.world.migrations = ["prod/a"]
        stopped = run(migration_drain_timeout=10, image_registry="r.example/kv")
        assert "[workloads.migrations-in-flight]" in stopped.failure
        assert run.server.written == []

    @pytest.mark.parametrize("seconds", [2, 5])
    def test_a_short_limit_is_no_trouble_when_there_is_none(self, run: Run, seconds: int) -> None:
        run.world.set_methods("LiveMigrate")
        assert not run(migration_drain_timeout=seconds, wait=False).failure


class TestBeforeTheFirstStep:
    def test_the_operator_gets_time_to_take_in_the_last_edit(self, run: Run) -> None:
        healthy = run.world.kubevirt["status"]
        run.world.kubevirt["status"] = run.world.status("1.8-degraded-node", {"v1.8.4": "v1.7.0"})["status"]
        run.world.kubevirt["metadata"]["generation"] = 99
        edited = run.server.objects[KUBEVIRT]

        def reconcile() -> None:
            if len(run.clock.pauses) == 3:
                edited["status"] = {**healthy, "observedGeneration": 99}

        run.clock.on_pause = reconcile
        assert not run(check_mode=True).failure
        assert len(run.clock.pauses) == 3

    def test_but_not_for_ever(self, run: Run) -> None:
        run.world.kubevirt = run.world.status("1.8-degraded-node", {"v1.8.4": "v1.7.0"})
        run.world.kubevirt["metadata"]["generation"] = 99
        assert "[kubevirt.unhealthy]" in run(check_mode=True).failure
        assert 0 < sum(run.clock.pauses) <= observe.CATCH_UP

    def test_another_cluster_is_refused_before_it_is_looked_at(self, run: Run) -> None:
        stopped = run(expected_cluster_uid="9999")
        assert "[cluster.wrong-uid]" in stopped.failure
        assert (stopped.state, stopped.changed) == ("unknown", False)
        assert run.server.written == []

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"version": "latest"}, "version: 'latest'"),
            ({"path": ["v1.7.4"]}, r"path: it ends at v1\.7\.4, and version is v1\.8\.4\. Let both be the same"),
            ({"version": "1.8"}, "version: '1.8'"),
            ({"accept": ["owner.argocd"]}, "accept: 'owner.argocd' is no finding id. Did you mean owner.argo-cd?"),
            ({"wait_timeout": 0}, "wait_timeout: 0"),
            ({"stall_timeout": -1}, "stall_timeout: -1"),
            ({"migration_drain_timeout": 0}, "migration_drain_timeout: 0"),
            ({"manifest_checksum": "md5:0"}, "manifest_checksum: The checksum 'md5:0'"),
            ({"image_registry": "https://r.example/kv"}, "image_registry: The registry 'https://r.example/kv'"),
            ({"manifest_namespace": "Not A Name"}, "manifest_namespace: The namespace 'Not A Name'"),
        ],
    )
    def test_options_that_cannot_be_used(self, run: Run, options: Object, words: str) -> None:
        with pytest.raises(InvalidOption, match=words):
            run(**options)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"manifest": "kind: List\n"}, "manifest: the given text cannot be used"),
            ({"manifest_checksum": "sha256:" + "0" * 64}, "its checksum is not sha256:000"),
        ],
    )
    def test_manifests_that_cannot_be_used(self, run: Run, options: Object, words: str) -> None:
        with pytest.raises(ManifestUnavailable, match=words):
            run(**options)
        assert run.server.written == []

    @pytest.mark.parametrize(
        ("version", "words"),
        [
            ("v1.7.99", r"v1\.7\.99 is not among the known releases; did you mean v1\.7\.\d\?"),
            ("v1.8.4", r"cannot be read: No such file or directory\. Give [^;]*, or the text\.$"),
        ],
    )
    def test_a_manifest_that_is_not_there_may_be_of_a_slip(self, run: Run, version: str, words: str) -> None:
        with pytest.raises(ManifestUnavailable, match=words):
            run(version=version, manifest="/nowhere/{version}/kubevirt-operator.yaml")


LEASE = leases.path_of("kubevirt")
NOW = "2026-11-29T16:00:00.000000Z"


class TestTheLock:
    """Who may work on the cluster, and what is true once that is known."""

    def test_is_taken_only_by_a_run_with_something_to_do(self, run: Run) -> None:
        run(check_mode=True)
        assert run.server.leases.asked == []
        run.deploys()
        run()
        assert [method for method in run.server.leases.asked if method != "PUT"] == ["POST", "DELETE"]
        assert run.server.leases.objects == {}
        run.server.leases.asked.clear()
        run()
        assert run.server.leases.asked == ["GET"]

    def test_another_run_holds_it(self, run: Run) -> None:
        run.server.leases.put(LEASE, leases.new("kubevirt", "other", NOW), uid="1")
        run.clock.on_pause = lambda: run.server.leases.put(LEASE, run.server.leases.objects[LEASE])
        stopped = run()
        assert stopped.findings[0].id == "cluster.held"
        for words in ("cannot begin", "[cluster.held]", "other, since 2026-11-29 16:00:00 UTC", "Nothing was changed."):
            assert words in stopped.failure
        assert (stopped.changed, stopped.diff, stopped.actions, stopped.extra["next"]) == (False, [], [], "")
        assert (run.server.written, run.server.rehearsed) == ([], [])

    def test_the_one_of_a_killed_run_is_taken_over(self, run: Run) -> None:
        run.server.leases.put(LEASE, leases.new("kubevirt", "other", NOW), uid="1")
        done = run(wait=False)
        assert not done.failure
        assert [one.id for one in done.findings] == ["cluster.taken-over"]
        assert run.server.leases.objects == {}

    def test_without_the_permission_it_says_which(self, run: Run) -> None:
        run.server.leases.refuses = {"POST": 403}
        stopped = run()
        assert "create, get, update and delete leases.coordination.k8s.io" in stopped.failure
        assert "Nothing was changed." in stopped.failure
        assert not stopped.changed and run.server.written == []

    def test_what_another_run_has_done_before_is_not_done_again(self, run: Run) -> None:
        """It ended between the first look and the lock."""
        run(wait=False)
        run.deploys()
        finished = dict(run.server.objects)
        run._server = None
        run.deploys()
        react = run.server.after_write

        def finish(method: str) -> None:
            if method == "POST":
                run.server.objects.update(finished)
                react(DEPLOYMENT)

        run.server.leases.after = finish
        done = run()
        assert (done.failure, done.changed, done.actions, done.diff) == ("", False, [], [])
        assert done.from_version == "v1.8.4"
        assert run.server.written == []
        assert run.server.leases.objects == {}

    @pytest.mark.parametrize(("lives", "ids", "left"), [(False, ["cluster.taken-over"], []), (True, [], [LEASE])])
    def test_a_run_without_work_removes_the_one_that_a_killed_run_has_left(
        self, run: Run, lives: bool, ids: list[str], left: list[str]
    ) -> None:
        run(wait=False)
        run.deploys()
        run.server.after_write(DEPLOYMENT)
        run.server.leases.asked.clear()
        run.server.leases.put(LEASE, leases.new("kubevirt", "killed", NOW), uid="1")
        if lives:
            beat = run.server.leases.objects[LEASE]
            run.clock.on_pause = lambda: run.server.leases.put(LEASE, beat)
        run(check_mode=True)
        assert run.server.leases.asked == []
        done = run()
        assert (done.failure, done.changed) == ("", False)
        assert [one.id for one in done.findings if one.id.startswith("cluster.")] == ids
        assert list(run.server.leases.objects) == left

    def test_what_speaks_against_it_meanwhile_counts(self, run: Run) -> None:
        def delete(method: str) -> None:
            run.kubevirt["metadata"]["deletionTimestamp"] = NOW

        run.server.leases.after = delete
        stopped = run()
        assert "Refused before any change." in stopped.failure and "[kubevirt.deleting]" in stopped.failure
        assert (stopped.changed, stopped.actions, run.server.written) == (False, [], [])
        assert run.server.leases.objects == {}

    def test_the_manifest_is_read_once(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        read: list[t.Any] = []
        load = upgrade.load_manifest

        def reading(*args: t.Any, **options: t.Any) -> t.Any:
            read.append(args)
            return load(*args, **options)

        monkeypatch.setattr(upgrade, "load_manifest", reading)
        run(wait=False)
        assert len(read) == 1

    def test_a_run_that_has_lost_it_stops_before_its_next_write(self, run: Run) -> None:
        run.world.set_methods("LiveMigrate")

        def take_over(path: str) -> None:
            if path == KUBEVIRT:
                lease = leases.taken_over(run.server.leases.objects[LEASE], "other", NOW)
                run.server.leases.put(LEASE, lease)
                run.clock.seconds += leases.SECONDS

        run.server.after_write = take_over
        stopped = run()
        assert stopped.findings[0].id == "cluster.lock-lost"
        for words in (
            "Another run has it now: other",
            "Changed so far: KubeVirt kubevirt/kubevirt.",
            "run the same again",
        ):
            assert words in stopped.failure
        assert run.server.written == [KUBEVIRT]
        assert run.server.leases.objects[LEASE]["spec"]["holderIdentity"] == "other"


class TestASignal:
    """What a run says then, without asking the server anything more than to remove the Lease."""

    def test_on_the_way(self, run: Run) -> None:
        run.world.set_methods("LiveMigrate")
        run.world.live[ROLE]["rules"].pop()
        reads: list[str] = []
        request = run.server.request

        def interrupt(path: str) -> None:
            if path == ROLE:
                run.server.request = lambda method, url, **how: reads.append(method) or request(method, url, **how)
                raise Interrupted("SIGTERM")

        run.server.after_write = interrupt
        stopped = run()
        for words in (
            "The upgrade to v1.8.4 stopped.",
            "Stopped by SIGTERM.",
            "Changed so far: KubeVirt kubevirt/kubevirt, ClusterRole kubevirt-operator.",
            "The server did not say whether ClusterRole kubevirt-operator was changed",
            "The workload update methods are held empty",
            "run the same again",
        ):
            assert words in stopped.failure
        assert (stopped.changed, stopped.state) == (True, "unknown")
        assert reads == ["DELETE"]
        assert run.server.leases.objects == {}
        assert run.said[-1].endswith("Changed so far: KubeVirt kubevirt/kubevirt, ClusterRole kubevirt-operator.")
        assert "stopped by SIGTERM. What was done stays done. To go on" in run.said[-1]

    def test_while_it_waits(self, run: Run) -> None:
        begun: list[str] = []

        def interrupt(line: str) -> None:
            if "wait" in line and DEPLOYMENT in run.server.written:
                begun.append(line)
                if len(begun) == 2:  # what it waits for
                    raise Interrupted("SIGTERM")

        run.at_line = interrupt
        stopped = run()
        assert "Changed so far: Deployment kubevirt/virt-operator." in stopped.failure
        assert "did not say" not in stopped.failure
        assert run.server.leases.objects == {}

    def test_before_the_first_write(self, run: Run) -> None:
        refuse = run.server.request

        def interrupt(method: str, url: str, **how: t.Any) -> t.Any:
            if "dryRun" in url:
                run.server.request = refuse
                raise Interrupted("SIGINT")
            return refuse(method, url, **how)

        run.server.request = interrupt
        stopped = run()
        assert "Stopped by SIGINT.\nNothing was changed." in stopped.failure
        assert not stopped.changed and run.server.leases.objects == {}

    def test_the_end_of_a_tasks_timeout_passes_and_removes_the_lease(self, run: Run) -> None:
        def time_out(path: str) -> None:
            raise KeyboardInterrupt  # no Exception either

        run.server.after_write = time_out
        with pytest.raises(KeyboardInterrupt):
            run()
        assert run.server.leases.objects == {}
