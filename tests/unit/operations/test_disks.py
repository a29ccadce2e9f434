# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Taking VMs away so that their disks stay: in which order, what stops it, and that a killed run is gone on with."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import Forbidden
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.backup_form import (
    RUN_STRATEGY_BEFORE,
    restorable,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import disks
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.disks import (
    AT_ONCE,
    KeepDisks,
    Kept,
    findings_about_disks,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.observe import Cluster as Which
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.observe import Facts
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.stopping import Stopped

from tests.support import moving
from tests.support.moving import VMIS, VMS, Answer, Killed, Seconds

Object = dict[str, t.Any]

CLAIMS = "/api/v1/namespaces/prod/persistentvolumeclaims"
DATA_VOLUMES = "/apis/cdi.kubevirt.io/v1beta1/namespaces/prod/datavolumes"
POOLS = "/apis/pool.kubevirt.io/v1beta1/namespaces/prod/virtualmachinepools"
REVISIONS = "/apis/apps/v1/namespaces/prod/controllerrevisions"
REPLICA_SETS = "/apis/kubevirt.io/v1/namespaces/prod/virtualmachineinstancereplicasets"
FACTS = Facts(
    Which("https://api.example:6443", "0000-1111"),
    api="/apis/kubevirt.io/v1",
    groups={"kubevirt.io": ["v1"], "cdi.kubevirt.io": ["v1beta1"], "pool.kubevirt.io": ["v1beta1", "v1alpha1"]},
)


class Cluster(moving.Cluster):
    """VMs with disks. As on a real cluster, what has owners goes with the last of them, unless that went with Orphan.

    Attributes:
        stays_up: VMs whose guests do not shut down.
        never_gone: Objects that finalizers hold.
        held_by_revisions: The garbage collector cannot take VMs out of their ControllerRevisions.
    """

    def __init__(self) -> None:
        super().__init__({})
        self.stays_up: set[str] = set()
        self.never_gone: set[str] = set()
        self.held_by_revisions = False
        self.most_on_their_way = 0

    def add_machine(self, name: str, *, strategy: str = "Always", running: bool | None = None) -> None:
        """A VM with a DataVolume and its claim."""
        owners = [owner("VirtualMachine", name, "kubevirt.io/v1", f"vm-{name}")]
        spec: Object = {"runStrategy": strategy} if running is None else {"running": running}
        template = {"spec": {"volumes": [{"dataVolume": {"name": name}}], "terminationGracePeriodSeconds": 180}}
        self._store(f"{VMS}/{name}", {"metadata": meta(name, uid=f"vm-{name}"), "spec": {**spec, "template": template}})
        self._store(f"{DATA_VOLUMES}/{name}", {"metadata": meta(name, uid=f"dv-{name}", ownerReferences=owners)})
        self.add_claim(name, [owner("DataVolume", name, "cdi.kubevirt.io/v1beta1", f"dv-{name}")])

    def add_claim(self, name: str, owners: t.Sequence[Object] = (), **more: t.Any) -> None:
        metadata = meta(name, uid=f"pvc-{name}", ownerReferences=[*owners], **more)
        self._store(f"{CLAIMS}/{name}", {"metadata": metadata, "spec": {"volumeName": f"pv-{name}"}})

    def add_vmi(self, name: str, **more: t.Any) -> None:
        status = {"phase": "Running", "nodeName": "n1"}
        spec = {"terminationGracePeriodSeconds": 180}
        self._store(
            f"{VMIS}/{name}", {"metadata": meta(name, uid=f"vmi-{name}", **more), "spec": spec, "status": status}
        )

    def names(self, collection: str) -> list[str]:
        return sorted(one["metadata"]["name"] for one in self._in(collection))

    def _patched(self, path: str, operations: t.Any) -> Answer:
        self.objects[path].setdefault("spec", {})
        answer = super()._patched(path, operations)
        self.writes.pop()
        if answer.status == 200:
            self.writes.append(f"patch {path.rsplit('/', 2)[1]} {path.rpartition('/')[2]}")
        return answer

    def _deleted(self, path: str, body: t.Any) -> Answer:
        one = self.objects.get(path)
        if one is None:
            return Answer(404, {"reason": "NotFound", "message": "gone"})
        if any(one["metadata"][part] != value for part, value in body["preconditions"].items()):
            return Answer(409, {"reason": "Conflict", "message": "another one"})
        how = body.get("propagationPolicy", "")
        self.writes.append(" ".join(filter(None, ("delete", *path.rsplit("/", 2)[1:], how))))
        if path.startswith(REVISIONS):
            return Answer(200, self.objects.pop(path))
        self.end(path, how)
        return Answer(200, one)

    def end(self, path: str, how: str) -> None:
        """Somebody deletes an object."""
        metadata = self.objects[path]["metadata"]
        metadata.setdefault("deletionTimestamp", "2026-03-01T12:00:00Z")
        metadata["finalizers"] = [
            "kubevirt.io/virtualMachineControllerFinalize",
            *(["orphan"] if how == "Orphan" else []),
        ]
        self._touch(self.objects[path])

    def second(self) -> None:
        self.seconds += 1
        self.most_on_their_way = max(
            self.most_on_their_way,
            sum(RUN_STRATEGY_BEFORE in (one["metadata"].get("annotations") or {}) for one in self._in(VMS)),
        )
        for path, one in list(self.objects.items()):
            name = one["metadata"]["name"]
            if path.startswith(VMIS) and name not in self.stays_up:
                vm = self.objects.get(f"{VMS}/{name}")
                if "deletionTimestamp" in one["metadata"]:
                    del self.objects[path]
                elif vm and (vm["spec"].get("runStrategy") == "Halted" or vm["spec"].get("running") is False):
                    self.end(path, "")
            elif path.startswith((VMS, POOLS, REPLICA_SETS)) and self._may_go(name, one):
                self._collect(path, one)
        self.each_second()

    def _may_go(self, name: str, one: Object) -> bool:
        is_ended = "deletionTimestamp" in one["metadata"]
        if self.held_by_revisions and f"{REVISIONS}/{name}" in self.objects:
            return False
        return is_ended and name not in self.never_gone and f"{VMIS}/{name}" not in self.objects

    def _collect(self, path: str, gone: Object) -> None:
        del self.objects[path]
        for other, one in list(self.objects.items()):
            owners = one["metadata"].get("ownerReferences") or []
            left = [owner for owner in owners if owner["uid"] != gone["metadata"]["uid"]]
            if left == owners:
                continue
            one["metadata"]["ownerReferences"] = left
            if not left and "orphan" not in gone["metadata"]["finalizers"]:
                self._collect(other, {"metadata": {**one["metadata"], "finalizers": []}})


def meta(name: str, **more: t.Any) -> Object:
    return {"name": name, "namespace": "prod", **more}


def owner(kind: str, name: str, version: str, uid: str) -> Object:
    return {"kind": kind, "name": name, "apiVersion": version, "uid": uid, "controller": True}


class Run:
    """One run after the other."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.said: list[str] = []
        self.keeping: KeepDisks | None = None

    def __call__(self, *vms: str, vmis: t.Sequence[str] = ()) -> list[Kept]:
        self.keeping = KeepDisks(self.cluster.api(), FACTS, self.cluster, self.said.append, 300)
        return self.keeping.run([f"prod/{name}" for name in vms], [f"prod/{name}" for name in vmis])

    def stopped(self, *vms: str, **more: t.Any) -> Stopped:
        with pytest.raises(Stopped) as caught:
            self(*vms, **more)
        return caught.value


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    cluster = Cluster()
    monkeypatch.setattr(disks, "Picture", type("Picture", (Seconds,), {"cluster": cluster}))
    return Run(cluster)


def test_a_vm_is_stopped_then_deleted_alone_and_its_disk_stays_as_it_was(run: Run) -> None:
    run.cluster.add_machine("db")
    run.cluster.add_vmi("db", ownerReferences=[owner("VirtualMachine", "db", "kubevirt.io/v1", "vm-db")])
    before = copy.deepcopy(run.cluster.objects)
    assert run("db") == [Kept("prod/db", "db", "pvc-db", "pv-db")]
    assert run.cluster.writes == ["patch virtualmachines db", "delete virtualmachines db Orphan"]
    assert run.cluster.names(VMS) == run.cluster.names(VMIS) == []
    assert run.cluster.objects[f"{CLAIMS}/db"] == before[f"{CLAIMS}/db"]
    assert run.cluster.objects[f"{DATA_VOLUMES}/db"]["metadata"]["ownerReferences"] == []
    assert run.said[-1] == "1 of 1 VMs gone, all their disks there"
    run.cluster.writes.clear()
    assert run("db") == []
    assert run.cluster.writes == []


@pytest.mark.parametrize(("how", "asked"), [({"strategy": "Manual"}, "Manual"), ({"running": True}, "Always")])
def test_what_was_asked_for_is_on_the_vm_until_it_is_gone(run: Run, how: Object, asked: str) -> None:
    run.cluster.add_machine("db", **how)
    before = restorable({**run.cluster.objects[f"{VMS}/db"], "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine"})
    run.cluster.never_gone.add("db")
    run.stopped("db")
    left = run.cluster.objects[f"{VMS}/db"]
    assert left["metadata"]["annotations"] == {RUN_STRATEGY_BEFORE: asked}
    assert restorable({**left, "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine"}) == before


def test_its_revisions_go_as_soon_as_it_does_or_it_never_would(run: Run) -> None:
    for name in ("db", "other"):
        run.cluster.add_machine(name)
        owners = [owner("VirtualMachine", name, "kubevirt.io/v1", f"vm-{name}")]
        run.cluster._store(f"{REVISIONS}/{name}", {"metadata": meta(name, uid=f"r-{name}", ownerReferences=owners)})
        run.cluster._store(f"{REVISIONS}/set-{name}", {"metadata": meta(f"set-{name}", uid=f"s-{name}")})
    run.cluster.held_by_revisions = True
    run("db")
    assert run.cluster.writes[-2:] == ["delete virtualmachines db Orphan", "delete controllerrevisions db"]
    assert run.cluster.names(REVISIONS) == ["other", "set-db", "set-other"]


def test_one_that_is_stopped_is_only_deleted(run: Run) -> None:
    run.cluster.add_machine("db", strategy="Halted")
    run("db")
    assert run.cluster.writes == ["delete virtualmachines db Orphan"]


def test_where_nobody_stops_them_they_are_deleted_as_they_run_and_let_go(run: Run) -> None:
    cluster = run.cluster
    cluster.add_machine("db")
    cluster.add_vmi("db", ownerReferences=[owner("VirtualMachine", "db", "kubevirt.io/v1", "vm-db")])
    cluster.stays_up, cluster.never_gone = {"db"}, {"db"}

    def unblock() -> None:
        """The finalizers of all that is being deleted."""
        if "deletionTimestamp" in cluster.objects.get(f"{VMS}/db", {"metadata": {}})["metadata"]:
            cluster._collect(f"{VMS}/db", cluster.objects[f"{VMS}/db"])
        elif "deletionTimestamp" in cluster.objects[f"{VMIS}/db"]["metadata"]:
            del cluster.objects[f"{VMIS}/db"]

    keeping = KeepDisks(cluster.api(), FACTS, cluster, run.said.append, 300)
    assert keeping.run(["prod/db"], (), unblock) == [Kept("prod/db", "db", "pvc-db", "pv-db")]
    assert cluster.writes == ["delete virtualmachines db Orphan", "delete virtualmachineinstances db"]
    assert cluster.names(VMS) == cluster.names(VMIS) == []
    assert keeping.gone == ["prod/db"]


def test_what_makes_vms_and_is_held_by_whom_nobody_brings_back_is_let_go_too(run: Run) -> None:
    cluster = run.cluster
    cluster.add_machine("pool-0", strategy="Halted")
    cluster._store(f"{POOLS}/pool", {"metadata": meta("pool", uid="pool")})

    def unblock() -> None:
        for path in (f"{POOLS}/pool", f"{VMS}/pool-0"):
            if "deletionTimestamp" in cluster.objects.get(path, {"metadata": {}})["metadata"]:
                cluster._collect(path, cluster.objects[path])

    keeping = KeepDisks(cluster.api(), FACTS, cluster, run.said.append, 300)
    assert [one.claim for one in keeping.run(["prod/pool-0"], (), unblock)] == ["pool-0"]
    assert cluster.writes == ["delete virtualmachinepools pool Orphan", "delete virtualmachines pool-0 Orphan"]


def test_so_many_at_once_and_no_more(run: Run) -> None:
    names = [f"vm-{number:03}" for number in range(3 * AT_ONCE)]
    for name in names:
        run.cluster.add_machine(name)
        run.cluster.add_vmi(name)
    assert len(run(*names)) == len(names)
    assert run.cluster.most_on_their_way == AT_ONCE
    assert run.cluster.seconds < 60


def test_it_is_told_how_far_it_is_and_what_it_waits_for_once_for_each_change(run: Run) -> None:
    for name in ("a", "b"):
        run.cluster.add_machine(name)
        run.cluster.add_vmi(name)
    run.cluster.stays_up = {"a"}
    run.stopped("a", "b")
    assert run.said == ["1 of 2 VMs gone, on their way: prod/a"]


def test_what_makes_vms_goes_before_them_and_leaves_them(run: Run) -> None:
    run.cluster.add_machine("pool-0")
    pool = run.cluster.objects[f"{VMS}/pool-0"]["metadata"]
    pool["ownerReferences"] = [owner("VirtualMachinePool", "pool", "pool.kubevirt.io/v1beta1", "pool")]
    run.cluster.add_vmi(
        "web", ownerReferences=[owner("VirtualMachineInstanceReplicaSet", "rs", "kubevirt.io/v1", "rs")]
    )
    run.cluster._store(f"{POOLS}/pool", {"metadata": meta("pool", uid="pool")})
    run.cluster._store(f"{REPLICA_SETS}/rs", {"metadata": meta("rs", uid="rs")})
    passing = run.cluster.pause

    def pause(seconds: float) -> None:
        passing(seconds)
        run.cluster.second()

    run.cluster.pause = pause  # type: ignore[method-assign]
    assert [one.claim for one in run("pool-0", vmis=["web"])] == ["pool-0"]
    assert run.cluster.writes == [
        "delete virtualmachinepools pool Orphan",
        "delete virtualmachineinstancereplicasets rs Orphan",
        "patch virtualmachines pool-0",
        "delete virtualmachines pool-0 Orphan",
        "delete virtualmachineinstances web",
    ]


def test_what_makes_vms_and_stays_stops_it_before_any_vm(run: Run) -> None:
    run.cluster.add_machine("pool-0")
    run.cluster._store(f"{POOLS}/pool", {"metadata": meta("pool", uid="pool")})
    [found] = run.stopped("pool-0").findings
    assert (found.id, found.object) == ("remove.vm-does-not-stop", "virtualmachinepools prod/pool")
    assert run.cluster.writes == ["delete virtualmachinepools pool Orphan"]


class TestOneThatDoesNotGo:
    def test_its_guest_does_not_shut_down(self, run: Run) -> None:
        for name in ("a", "b"):
            run.cluster.add_machine(name)
            run.cluster.add_vmi(name)
        run.cluster.stays_up = {"a"}
        run.cluster.end(f"{VMIS}/a", "")
        [found] = run.stopped("a", "b").findings
        assert (found.id, found.object) == ("remove.vm-does-not-stop", "VM prod/a")
        assert "its guest has not shut down on node n1; it is allowed 180 s (waited for 300 s)" in found.cause
        assert run.cluster.names(VMS) == ["a"]
        assert [one.vm for one in run.keeping.kept] == ["prod/b"]  # type: ignore[union-attr]

    def test_no_further_one_is_begun_then(self, run: Run) -> None:
        names = [f"vm-{number:03}" for number in range(AT_ONCE + 1)]
        for name in names:
            run.cluster.add_machine(name)
            run.cluster.add_vmi(name)
        run.cluster.stays_up = {*names}
        assert len(run.stopped(*names).findings) == AT_ONCE
        assert "patch virtualmachines vm-050" not in run.cluster.writes

    def test_virt_controller_does_nothing(self, run: Run) -> None:
        run.cluster.add_machine("a")
        run.cluster.add_vmi("a")
        run.cluster.stays_up = {"a"}
        [found] = run.stopped("a").findings
        assert "virt-controller has not begun to stop it" in found.cause

    def test_somebody_wants_it_to_run(self, run: Run) -> None:
        run.cluster.add_machine("a")
        run.cluster.add_vmi("a")
        run.cluster.stays_up = {"a"}

        def run_again() -> None:
            run.cluster.objects[f"{VMS}/a"]["spec"]["runStrategy"] = "Always"
            run.cluster._touch(run.cluster.objects[f"{VMS}/a"])

        run.cluster.each_second = run_again
        [found] = run.stopped("a").findings
        assert "its run strategy is Always again" in found.cause
        assert run.cluster.writes == ["patch virtualmachines a"]

    def test_a_finalizer_holds_it(self, run: Run) -> None:
        run.cluster.add_machine("a")
        run.cluster.never_gone.add("a")
        [found] = run.stopped("a").findings
        assert "held by kubevirt.io/virtualMachineControllerFinalize, orphan" in found.cause

    def test_the_garbage_collector_does_not_let_it_go(self, run: Run) -> None:
        run.cluster.add_machine("a")
        run.cluster.never_gone.add("a")

        def only_the_collector_holds_it() -> None:
            if "deletionTimestamp" in (metadata := run.cluster.objects[f"{VMS}/a"]["metadata"]):
                metadata["finalizers"] = ["orphan"]

        run.cluster.each_second = only_the_collector_holds_it
        [found] = run.stopped("a").findings
        assert "the garbage collector has not taken it out of all that it owns" in found.cause

    def test_it_changes_faster_than_it_can_be_deleted(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        run.cluster.add_machine("a", strategy="Halted")
        changed = Answer(409, {"reason": "Conflict", "message": "the object has been modified"})
        monkeypatch.setattr(Cluster, "_deleted", lambda *_a: changed)
        [found] = run.stopped("a").findings
        assert "it is stopped and changes faster than it can be deleted (waited for 300 s)" in found.cause

    def test_somebody_starts_it_between_the_look_and_the_deletion(self, run: Run) -> None:
        run.cluster.add_machine("a", strategy="Halted")
        answered = run.cluster.request

        def started(method: str, url: str, **options: t.Any) -> t.Any:
            if method == "GET" and url.endswith("/virtualmachines/a"):
                run.cluster.objects[f"{VMS}/a"]["spec"]["runStrategy"] = "Always"
            return answered(method, url, **options)

        run.cluster.request = started  # type: ignore[method-assign]
        [found] = run.stopped("a").findings
        assert "its run strategy is Always again" in found.cause
        assert not [one for one in run.cluster.writes if one.startswith("delete")]

    def test_it_is_not_deleted_twice_while_lists_lag_behind(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        run.cluster.add_machine("a", strategy="Halted")
        carry_out, late = run.cluster._deleted, []

        def later() -> None:
            if late and run.cluster.seconds > 3:
                carry_out(*late.pop())

        def deleted(path: str, body: t.Any) -> Answer:
            late.append((path, body))
            run.cluster.writes.append("asked for")
            return Answer(200, {})

        run.cluster._deleted, run.cluster.each_second = deleted, later  # type: ignore[method-assign]
        assert [one.claim for one in run("a")] == ["a"]
        assert run.cluster.writes == ["asked for", "delete virtualmachines a Orphan"]

    def test_the_server_does_not_let_us(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        run.cluster.add_machine("a")
        monkeypatch.setattr(Cluster, "_patched", lambda *_a: Answer(403, {"reason": "Forbidden", "message": "may not"}))
        with pytest.raises(Forbidden, match="may not"):
            run("a")

    def test_kubevirt_does_not_take_it(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        run.cluster.add_machine("a")
        message = (
            'admission webhook "virtualmachine-validator.kubevirt.io" denied the request: a restore is in progress'
        )
        monkeypatch.setattr(Cluster, "_patched", lambda *_a: Answer(403, {"reason": "Forbidden", "message": message}))
        [found] = run.stopped("a").findings
        assert "a restore is in progress" in found.cause


class TestADisk:
    def test_one_that_goes_with_the_vm_all_the_same_stops_it(self, run: Run) -> None:
        run.cluster.add_machine("a")
        run.cluster.add_machine("b", strategy="Halted")

        def delete_it() -> None:
            if f"{VMS}/b" not in run.cluster.objects:
                run.cluster.objects.pop(f"{CLAIMS}/b", None)

        run.cluster.each_second = delete_it
        found = run.stopped("a", "b").findings
        assert [(one.id, one.object) for one in found] == [("remove.disk-lost", "PersistentVolumeClaim prod/b")]
        assert "UID pvc-b, PersistentVolume pv-b" in found[0].evidence

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"uid": "another"}, "is another one now"),
            ({"deletionTimestamp": "2026-03-01T12:00:00Z"}, "is being deleted since 2026-03-01T12:00:00Z"),
            ({"ownerReferences": [owner("VirtualMachine", "a", "kubevirt.io/v1", "vm-a")]}, "still belongs to the VM"),
        ],
    )
    def test_one_that_is_not_as_it_was_stops_it(self, run: Run, change: Object, words: str) -> None:
        run.cluster.add_machine("a")

        def change_it() -> None:
            if f"{VMS}/a" not in run.cluster.objects:
                run.cluster.objects[f"{CLAIMS}/a"]["metadata"] |= change

        run.cluster.each_second = change_it
        [found] = run.stopped("a").findings
        assert (found.id, words in found.cause) == ("remove.disk-lost", True), found.cause

    def test_one_on_another_volume_stops_it(self, run: Run) -> None:
        run.cluster.add_machine("a")
        run.cluster.each_second = lambda: run.cluster.objects[f"{CLAIMS}/a"]["spec"].update(volumeName="other")
        [found] = run.stopped("a").findings
        assert "is on another PersistentVolume: it was pv-a and is other" in found.cause

    def test_a_data_volume_that_cdi_cleaned_up_is_no_loss(self, run: Run) -> None:
        run.cluster.add_machine("a")
        run.cluster.add_claim("a", [owner("VirtualMachine", "a", "kubevirt.io/v1", "vm-a")])
        del run.cluster.objects[f"{DATA_VOLUMES}/a"]
        assert [one.claim for one in run("a")] == ["a"]

    def test_one_that_the_vm_owns_and_does_not_name_is_looked_at_too(self, run: Run) -> None:
        run.cluster.add_machine("a")
        run.cluster.add_claim("tpm", [owner("VirtualMachine", "a", "kubevirt.io/v1", "vm-a")])
        assert [one.claim for one in run("a")] == ["a", "tpm"]
        assert run.cluster.objects[f"{CLAIMS}/tpm"]["metadata"]["ownerReferences"] == []

    @pytest.mark.parametrize(
        ("owners", "more", "words"),
        [
            (
                [owner("VirtualMachineExport", "x", "export.kubevirt.io/v1", "e")],
                {},
                "belongs to VirtualMachineExport x",
            ),
            ([], {"deletionTimestamp": "2026-03-01T12:00:00Z"}, "is being deleted since 2026-03-01T12:00:00Z"),
        ],
    )
    def test_one_that_would_not_stay_is_said_before_any_change(
        self, run: Run, owners: list[Object], more: Object, words: str
    ) -> None:
        run.cluster.add_machine("a")
        run.cluster.add_claim("a", owners, **more)
        [found] = run.stopped("a").findings
        assert (found.id, found.object) == ("remove.disk-would-not-stay", "PersistentVolumeClaim prod/a")
        assert words in found.cause
        assert run.cluster.writes == []
        assert findings_about_disks(run.cluster.api(), FACTS) == [found]

    def test_owners_that_stay_are_fine(self, run: Run) -> None:
        run.cluster.add_machine("a")
        run.cluster.add_claim(
            "a",
            [
                owner("Application", "shop", "app.k8s.io/v1", "app"),
                owner("OvirtVolumePopulator", "a", "forklift.cdi.kubevirt.io/v1beta1", "populator"),
            ],
        )
        assert findings_about_disks(run.cluster.api(), FACTS) == []


def test_of_a_vm_that_somebody_else_deleted_with_all_it_owns_the_disks_are_taken_out_first(run: Run) -> None:
    run.cluster.add_machine("a")
    run.cluster.add_vmi("a")
    run.cluster.end(f"{VMS}/a", "Background")
    run.cluster.end(f"{VMIS}/a", "")
    assert [one.claim for one in run("a")] == ["a"]
    assert run.cluster.writes == ["patch datavolumes a"]


def test_another_one_in_the_place_of_a_vm_is_left_alone_and_nobody_says_that_we_deleted_it(run: Run) -> None:
    run.cluster.add_machine("a")
    run.cluster.add_vmi("a")

    def replace() -> None:
        run.cluster.objects[f"{VMS}/a"]["metadata"]["uid"] = "the second one"
        run.cluster.objects[f"{DATA_VOLUMES}/a"]["metadata"]["ownerReferences"] = []

    run.cluster.each_second = replace
    run("a")
    assert run.keeping
    assert run.keeping.gone == []
    assert run.cluster.writes == ["patch virtualmachines a"]


def test_without_vms_nothing_is_asked(run: Run) -> None:
    asked: list[str] = []
    run.cluster.request = lambda method, url, **_options: asked.append(url)  # type: ignore[method-assign,assignment,return-value]
    assert (run(), asked) == ([], [])


def test_without_cdi_disks_stay_and_the_revisions_of_others_too(run: Run) -> None:
    run.cluster.add_machine("a")
    del run.cluster.objects[f"{DATA_VOLUMES}/a"]
    run.cluster.objects[f"{CLAIMS}/a"]["metadata"]["ownerReferences"] = []
    of_another = {"metadata": meta("other", ownerReferences=[owner("StatefulSet", "s", "apps/v1", "uid-s")])}
    run.cluster._store(f"{REVISIONS}/other", of_another)
    facts = dataclasses.replace(FACTS, groups={"kubevirt.io": ["v1"]})
    kept = KeepDisks(run.cluster.api(), facts, run.cluster, print, 300).run(["prod/a"])
    assert [one.claim for one in kept] == ["a"]
    assert (run.cluster.names(VMS), run.cluster.names(REVISIONS)) == ([], ["other"])


def test_killed_anywhere_and_run_again_it_comes_to_the_same_end(run: Run) -> None:
    for count in range(12):
        cluster = run.cluster
        cluster.objects.clear()
        cluster.writes.clear()
        names = ["a", "b", "c"]
        for name in names:
            cluster.add_machine(name)
            cluster.add_vmi(name)
        cluster.killed_after = count
        with contextlib.suppress(Killed):
            run(*names)
        cluster.killed_after = 10**9
        run(*names)
        assert cluster.names(VMS) == [], count
        assert cluster.names(CLAIMS) == names, count
        assert [one["metadata"].get("ownerReferences") for one in cluster._in(DATA_VOLUMES)] == [[], [], []], count
