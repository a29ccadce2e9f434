# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each playbook under exactly its role of docs/rbac: it comes to its end, and it makes use of all that the role allows.

virt-operator, virt-controller and others are played; what they do is not asked of our account.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.contract.conftest import FROM, MIGRATIONS_CRD, TO, World
from tests.contract.test_image_tag import MISSING
from tests.contract.test_strategy import KINDS, node
from tests.contract.test_strategy import crd as kind_of_vms
from tests.contract.test_sweep import crd, made
from tests.faults.played import Played
from tests.faults.played_operator import LAUNCHER, PODS, Operator
from tests.faults.played_vms import NODES, Vms
from tests.faults.server import MERGE, Server
from tests.rbac.page import ACCOUNT
from tests.rbac.roles import GRANTING
from tests.support.accounts import account, permissions_of
from tests.support.kubevirt import KUBEVIRT
from tests.support.lab import Json
from tests.support.virt_controller import VirtController

OPTIONAL = {
    "hyperconvergeds.hco.kubevirt.io": crd("HyperConverged", "hco.kubevirt.io"),
    **{
        f"{kind.lower()}s.{group}.kubevirt.io": crd(kind, f"{group}.kubevirt.io", scope=scope)
        for group, kind, scope in (
            ("instancetype", "VirtualMachinePreference", "Namespaced"),
            ("instancetype", "VirtualMachineClusterPreference", "Cluster"),
            ("flavor", "VirtualMachineFlavor", "Namespaced"),
            ("flavor", "VirtualMachineClusterFlavor", "Cluster"),
            ("flavor", "VirtualMachinePreference", "Namespaced"),
            ("flavor", "VirtualMachineClusterPreference", "Cluster"),
        )
    },
}
"""CRDs that not every cluster has."""
LATER = [
    *("serviceaccount/kubevirt-operator", "role/kubevirt-operator", "rolebinding/kubevirt-operator-rolebinding"),
    *("clusterrole/kubevirt-operator", "clusterrole/kubevirt.io:operator", "clusterrolebinding/kubevirt-operator"),
    "priorityclass/kubevirt-cluster-critical",
]
"""What the manifest of an older release may not have had."""
PULL_SECRET = "pull"
GRANTED = {one for rule in GRANTING.rules for one in permissions_of(rule)}


@pytest.fixture
def settled(bare_world: World) -> Iterator[World]:
    """KubeVirt 1.7.0 that runs, with the kinds that virt-operator makes and those of add-ons, two VMs and what they need."""
    world, run = bare_world, bare_world.lab.kubectl
    world.install()
    kinds = [*OPTIONAL.values(), *(yaml.safe_load(kind_of_vms(kind, plural)) for kind, plural in KINDS.items())]
    kinds.append(yaml.safe_load(MIGRATIONS_CRD))
    world.lab.apply(*kinds)
    world.lab.wait_for("Established", *(f"crd/{one['metadata']['name']}" for one in kinds))
    world.lab.apply(*map(node, NODES), *(made("ServiceAccount", "default", where) for where in ("default", "kubevirt")))
    world.lab.apply(made("Secret", PULL_SECRET, "kubevirt"))
    asked = {"imagePullSecrets": [{"name": PULL_SECRET}]}
    world.patch(KUBEVIRT, {"spec": {**asked, "workloadUpdateStrategy": {"workloadUpdateMethods": ["LiveMigrate"]}}})
    server = Server(world.lab)
    run_operators_pod(server)
    operator = Operator(server)
    while operator.step():
        pass
    yield world
    Vms(server, "default").put(0)
    run("delete", "crd", *(one["metadata"]["name"] for one in kinds))
    run("delete", "node", *NODES)
    run("delete", "deployments,daemonsets,pods,secrets", "--all", "-n", "kubevirt", "--force", "--grace-period=0")
    world.remove()
    world.end_namespace(ACCOUNT)


def run_operators_pod(server: Server) -> None:
    """A pod of virt-operator, whose log is asked for where something goes wrong."""
    container = {"name": "virt-operator", "image": "none"}
    pod = made("Pod", "virt-operator", labels={"kubevirt.io": "virt-operator"}, spec={"containers": [container]})
    server.send("POST", PODS, pod)
    status = {"containerStatuses": [{**container, "imageID": "", "ready": True, "restartCount": 0}]}
    server.send("PATCH", f"{PODS}/virt-operator/status", {"status": status}, MERGE)


@contextmanager
def played(*steps: Callable[[], bool]) -> Iterator[None]:
    """Others at work."""
    them = [Played(step) for step in steps]
    for one in them:
        one.start()
    try:
        yield
    finally:
        for one in them:
            one.stop()


def upgrade(world: World, **more: t.Any) -> Json:
    """The variables of a playbook."""
    return {"kubevirt_version": TO, "kubevirt_manifest": str(world.manifests[TO]), **more}


def version(world: World) -> str:
    """What virt-operator says that it runs."""
    return str(world.lab.get(*KUBEVIRT)["status"]["observedKubeVirtVersion"])


def test_status(settled: World, tmp_path: Path) -> None:
    with account(settled.lab, tmp_path, "status") as it:
        assert "State       healthy" in it.playbook("status")
        assert it.refused() == []
        assert it.unused() == set()


def test_plan(settled: World, tmp_path: Path) -> None:
    with account(settled.lab, tmp_path, "plan") as it:
        for method in ("auto", "image_tag"):
            said = it.playbook("plan", **upgrade(settled, kubevirt_method=method, kubevirt_accept=[MISSING]))
            assert f"{FROM} -> {TO}" in said
        assert it.refused() == []
        assert it.unused() == set()


def test_upgrade(settled: World, tmp_path: Path) -> None:
    """The first run stops, and says why; the second goes on, and the third has nothing to do."""
    settled.lab.kubectl("delete", *LATER, "-n", "kubevirt")
    settled.lab.kubectl("label", "namespace", "kubevirt", "kubevirt.io-")
    with account(settled.lab, tmp_path, "upgrade") as it:
        it.playbook("plan", **upgrade(settled, kubevirt_method="image_tag", kubevirt_accept=[MISSING]))
        hop = {"version": TO, "manifest": str(settled.manifests[TO]), "stall_timeout": 3}
        stopped = it.module("kubevirt_upgrade", {**hop, "bundle_dir": str(tmp_path)})
        assert "upgrade.stalled" in stopped.finding_ids, stopped.message
        with played(Operator(Server(settled.lab)).step):
            it.playbook("upgrade", **upgrade(settled))
        again = it.module("kubevirt_upgrade", hop)
        assert again.data["changed"] is False, again.message
        assert version(settled) == TO
        assert it.refused() == []
        assert it.unused() == GRANTED


def test_upgrade_by_image_tag(settled: World, tmp_path: Path) -> None:
    """The same without a right to the manifest's objects: an upgrade that would apply it is refused before the first change."""
    hop: Json = {"version": TO, "manifest": str(settled.manifests[TO]), "stall_timeout": 3, "bundle_dir": str(tmp_path)}
    with account(settled.lab, tmp_path, "upgrade-image-tag") as it:
        by_manifest = it.module("kubevirt_upgrade", hop)
        assert "403 Forbidden" in by_manifest.message and "Nothing was changed." in by_manifest.message
        refused = it.refused()
        assert refused and all("dryRun=All" in one for one in refused)
        hop |= {"method": "image_tag", "accept": [MISSING]}
        stopped = it.module("kubevirt_upgrade", hop)
        assert "upgrade.stalled" in stopped.finding_ids, stopped.message
        with played(Operator(Server(settled.lab)).step):
            it.playbook("upgrade", **upgrade(settled, kubevirt_method="image_tag", kubevirt_accept=[MISSING]))
        again = it.module("kubevirt_upgrade", hop)
        assert again.data["changed"] is False, again.message
        assert version(settled) == TO
        assert it.refused() == refused
        assert it.unused() == set()


@pytest.mark.parametrize("verb", ["escalate", "bind"])
def test_nobody_gives_what_he_may_not(settled: World, tmp_path: Path, verb: str) -> None:
    """Without one of the two verbs the account cannot apply a manifest, and that shows before the first change."""
    settled.lab.kubectl("delete", "clusterrolebinding", "kubevirt-operator")
    before = settled.fingerprint()
    with account(settled.lab, tmp_path, "upgrade", without=(verb, "clusterroles")) as it:
        refused = it.module(
            "kubevirt_upgrade", {"version": TO, "manifest": str(settled.manifests[TO]), "stall_timeout": 3}
        )
    assert "attempting to grant RBAC permissions not currently held" in refused.message, refused.message
    assert "Nothing was changed." in refused.message
    assert settled.fingerprint().items() >= before.items()


def test_workloads(settled: World, tmp_path: Path) -> None:
    """A VM whose migration hangs, and then all are moved; the strategy alone can be set too."""
    server = Server(settled.lab)
    vms = Vms(server, "default")
    vms.put(3)
    operator, mover = Operator(server), VirtController(vms, f"{LAUNCHER}:{FROM}")
    with account(settled.lab, tmp_path, "workloads") as it:
        with played(operator.step):
            declared = it.module("kubevirt_workload_strategy", {"methods": ["Evict"]})
            assert declared.data["changed"], declared.message
            stopped = it.module("kubevirt_workload_update", {"methods": ["LiveMigrate"], "migration_timeout": 3})
            assert "workloads.canary-failed" in stopped.finding_ids, stopped.message
        with played(operator.step, mover.step):
            for _again in range(2):
                said = it.playbook("workloads", kubevirt_workload_methods=["LiveMigrate"], kubevirt_soak=0)
        assert "changed=0" in said, said
        assert {one["launcher"] for one in vms.as_they_are().values()} == {f"{LAUNCHER}:{FROM}"}
        assert it.refused() == []
        assert it.unused() == set()
