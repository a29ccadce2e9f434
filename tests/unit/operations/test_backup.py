# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backup before a removal: what is in it, that it is whole, and that earlier ones are not forgotten."""

from __future__ import annotations

import dataclasses
import json
import stat
import typing as t
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.backup_form import restorable
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.backup import (
    BackUp,
    back_up,
    check_backup_dir,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.observe import Cluster as Which
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.observe import Facts
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import InvalidOption
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.stopping import Stopped

from tests.support.moving import Cluster

Object = dict[str, t.Any]

FACTS = Facts(
    Which("https://api.example:6443", "0000-1111"),
    api="/apis/kubevirt.io/v1",
    groups={"kubevirt.io": ["v1"], "cdi.kubevirt.io": ["v1beta1"]},
)
AT = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
NAME = "0000-1111-20260301T120000Z"


@dataclasses.dataclass(frozen=True)
class Resource:
    """As the server tells of a kind."""

    group: str
    version: str
    name: str
    kind: str
    verbs: tuple[str, ...] = ("get", "list")

    def path(self) -> str:
        return f"/apis/{self.group}/{self.version}/{self.name}"


RESOURCES = (
    Resource("kubevirt.io", "v1", "kubevirts", "KubeVirt"),
    Resource("kubevirt.io", "v1", "virtualmachines", "VirtualMachine"),
    Resource("kubevirt.io", "v1", "virtualmachineinstances", "VirtualMachineInstance"),
    Resource("snapshot.kubevirt.io", "v1beta1", "virtualmachinesnapshots", "VirtualMachineSnapshot"),
    Resource("instancetype.kubevirt.io", "v1beta1", "virtualmachineclusterinstancetypes", "VirtualMachineClusterInstancetype"),
    Resource("clone.kubevirt.io", "v1beta1", "virtualmachineclones", "VirtualMachineClone"),
    Resource("subresources.kubevirt.io", "v1", "expand-vm-spec", "Expand", ("create",)),
)  # fmt: skip


def owner(kind: str, name: str) -> Object:
    return {"apiVersion": "kubevirt.io/v1", "kind": kind, "name": name, "uid": f"uid-{name}", "controller": True}


class World:
    """A cluster with VMs, and where its backups go."""

    def __init__(self, folder: Path) -> None:
        self.cluster = Cluster({})
        self.folder = folder / "backups"
        self.add(
            "/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts/kubevirt",
            spec={"infra": {}},
            status={"phase": "Deployed"},
        )
        self.add_vm("db", status={"instancetypeRef": {"controllerRevisionRef": {"name": "db-small"}}})
        self.add_vm("pool-0", ownerReferences=[owner("VirtualMachinePool", "pool")])
        vmis = "/apis/kubevirt.io/v1/namespaces/shop/virtualmachineinstances"
        self.add(f"{vmis}/db", ownerReferences=[owner("VirtualMachine", "db")], spec={})
        self.add(f"{vmis}/alone", spec={"volumes": [{"secret": {"secretName": "key"}}]})
        self.add("/apis/snapshot.kubevirt.io/v1beta1/namespaces/shop/virtualmachinesnapshots/monday", spec={})
        of_the_operator = {"app.kubernetes.io/managed-by": "virt-operator"}
        types = "/apis/instancetype.kubevirt.io/v1beta1/virtualmachineclusterinstancetypes"
        self.add(f"{types}/u1.small", labels=of_the_operator, spec={})
        self.add(f"{types}/ours", spec={"cpu": {"guest": 1}})
        revisions = "/apis/apps/v1/namespaces/shop/controllerrevisions"
        for name in ("db-small", "revision-start-vm-1", "of-a-stateful-set"):
            self.add(f"{revisions}/{name}", ownerReferences=[owner("VirtualMachine", "db")], data={}, revision=0)
        for name in ("db", "other"):
            self.add(f"/apis/cdi.kubevirt.io/v1beta1/namespaces/shop/datavolumes/{name}", spec={})
            self.add(f"/api/v1/namespaces/shop/persistentvolumeclaims/{name}", spec={"volumeName": f"pv-{name}"})
        self.add(
            "/api/v1/namespaces/shop/persistentvolumeclaims/tpm",
            ownerReferences=[owner("VirtualMachine", "db")],
            spec={},
        )

    def add(self, path: str, **parts: t.Any) -> None:
        *_head, namespaces, namespace, _plural, name = path.split("/")
        metadata = {"name": name, "uid": f"uid-{name}"} | (
            {"namespace": namespace} if namespaces == "namespaces" else {}
        )
        metadata |= {part: parts.pop(part) for part in ("labels", "ownerReferences") if part in parts}
        self.cluster._store(path, {"metadata": metadata, **parts})

    def add_vm(self, name: str, **parts: t.Any) -> None:
        spec = {"runStrategy": "Always", "instancetype": {"name": "small"}}
        spec["template"] = {"spec": {"volumes": [{"dataVolume": {"name": name}}]}}  # type: ignore[assignment]
        self.add(f"/apis/kubevirt.io/v1/namespaces/shop/virtualmachines/{name}", spec=spec, **parts)

    def remove_vm(self, name: str) -> None:
        del self.cluster.objects[f"/apis/kubevirt.io/v1/namespaces/shop/virtualmachines/{name}"]

    def back_up(self, now: datetime = AT, facts: Facts = FACTS) -> BackUp:
        return back_up(self.cluster.api(), facts, RESOURCES, str(self.folder), now)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def files(backup: BackUp) -> dict[str, str]:
    where = Path(backup.path)
    return {str(file.relative_to(where)): file.read_text() for file in where.rglob("*") if file.is_file()}


def test_all_that_users_gave_is_in_the_order_in_which_it_is_applied(world: World) -> None:
    done = world.back_up()
    assert done.path == str(world.folder / NAME)
    written = files(done)
    assert sorted(written) == [
        "1-kubevirt/kubevirt_kubevirt.json",
        "2-objects/01-virtualmachineclusterinstancetypes/ours.json",
        "2-objects/11-controllerrevisions/shop_db-small.json",
        "2-objects/12-virtualmachines/shop_db.json",
        "2-objects/13-virtualmachineinstances/shop_alone.json",
        "README.txt",
        "needed-objects.txt",
        "reference/datavolumes/shop_db.json",
        "reference/persistentvolumeclaims/shop_db.json",
        "reference/persistentvolumeclaims/shop_tpm.json",
        "reference/virtualmachines/shop_pool-0.json",
        "reference/virtualmachinesnapshots/shop_monday.json",
    ]
    assert sum(done.counts.values()) == len(written) - 2
    assert written["needed-objects.txt"] == "Secret shop/key\n"
    assert "2 persistentvolumeclaims" in written["README.txt"]
    vm = json.loads(written["2-objects/12-virtualmachines/shop_db.json"])
    live = world.cluster.objects["/apis/kubevirt.io/v1/namespaces/shop/virtualmachines/db"]
    assert vm == restorable({**live, "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine"})
    assert vm["spec"]["instancetype"] == {"name": "small", "revisionName": "db-small"}
    assert done.findings == ()


def test_without_cdi_the_claims_are_in_it_all_the_same(world: World) -> None:
    done = files(world.back_up(facts=dataclasses.replace(FACTS, groups={"kubevirt.io": ["v1"]})))
    assert [name for name in done if "datavolumes" in name] == []
    assert len([name for name in done if "persistentvolumeclaims" in name]) == 2


def test_nobody_else_may_read_it(world: World) -> None:
    where = Path(world.back_up().path)
    modes = {stat.S_IMODE(one.stat().st_mode) for one in where.rglob("*") if one.is_file()}
    folders = {stat.S_IMODE(one.stat().st_mode) for one in (where, *where.rglob("*")) if one.is_dir()}
    assert (modes, folders) == ({0o600}, {0o700})


def test_without_kinds_there_is_only_what_tells_of_it(world: World) -> None:
    done = back_up(world.cluster.api(), FACTS, (), str(world.folder), AT)
    assert sorted(files(done)) == ["README.txt", "needed-objects.txt", "reference/persistentvolumeclaims/shop_tpm.json"]


class TestEarlierOnes:
    def test_what_a_killed_run_deleted_is_in_its_backup_and_that_is_said(self, world: World) -> None:
        first = world.back_up()
        before = files(first)
        world.remove_vm("db")
        world.add_vm("new")
        second = world.back_up(AT + timedelta(minutes=5))
        [found] = second.findings
        assert (found.id, found.object, found.level) == ("remove.earlier-backup", f"Directory {first.path}", "info")
        assert found.evidence == "controllerrevisions shop/db-small, virtualmachines shop/db"
        assert files(first) == before
        third = world.back_up(AT + timedelta(minutes=10))
        assert [one.object for one in third.findings] == [f"Directory {first.path}"]

    def test_the_latest_that_has_it_is_named(self, world: World) -> None:
        world.back_up()
        second = world.back_up(AT + timedelta(minutes=5))
        world.remove_vm("db")
        third = world.back_up(AT + timedelta(minutes=10))
        assert [one.object for one in third.findings] == [f"Directory {second.path}"]

    def test_one_that_is_not_whole_does_not_count(self, world: World) -> None:
        (world.folder / f"{NAME}.unfinished" / "2-objects" / "12-virtualmachines").mkdir(parents=True)
        (world.folder / f"{NAME}.unfinished" / "2-objects" / "12-virtualmachines" / "shop_old.json").touch()
        assert world.back_up(AT + timedelta(minutes=5)).findings == ()


class TestFailures:
    def test_one_in_the_same_second_is_not_overwritten(self, world: World) -> None:
        first = files(world.back_up())
        with pytest.raises(Stopped) as caught:
            world.back_up()
        assert [one.id for one in caught.value.findings] == ["remove.backup-failed"]
        assert {path: (world.folder / NAME / path).read_text() for path in first} == first

    def test_what_cannot_be_read_back_stops_it_and_is_not_called_whole(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Path, "read_bytes", lambda _path: b"")
        with pytest.raises(Stopped) as caught:
            world.back_up()
        [found] = caught.value.findings
        assert "does not hold what was written into it" in found.evidence
        assert [one.name for one in world.folder.iterdir()] == [f"{NAME}.unfinished"]


class TestTheDirectory:
    def test_one_that_can_be_made_or_written_into_is_fine(self, tmp_path: Path) -> None:
        for path in (tmp_path, tmp_path / "new"):
            check_backup_dir(str(path))
        assert [*tmp_path.iterdir()] == []

    @pytest.mark.parametrize(
        ("path", "words"),
        [
            (None, "it is not set"),
            ("", "it is not set"),
            ("backups", "is not an absolute path"),
            ("/no/such/parent", "/no/such does not exist"),
            (__file__, "is not a directory"),
        ],
    )
    def test_another_is_refused_with_what_to_do(self, path: str | None, words: str) -> None:
        with pytest.raises(InvalidOption) as caught:
            check_backup_dir(path)
        assert str(caught.value).startswith("backup_dir: ")
        assert words in str(caught.value)
        assert "backup: false" in str(caught.value)
