# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""VMs are taken away so that their disks stay, KubeVirt goes, and with the backup the VMs come back with these disks.

The real virt-controller stops, adopts and lets go, and the real garbage collector takes VMs out of what they own. CDI is the lab's.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.api import Api
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.connection import connect
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.backup import back_up
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.disks import (
    KeepDisks,
    findings_about_disks,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.observe import cluster_of, observe
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.served import Resource, served_resources

from tests.support.kubevirt import TO, wait_until
from tests.support.lab import ROOT, Json, Lab, lab, lab_up, worker_name
from tests.support.removal import restored

NAME = worker_name("disks")
WITH_DISKS = ["vm-1", "vm-2"]
ALL = ["db", "pool-0", *WITH_DISKS]
"""The VMs; each has a VMI, and there are two VMIs more."""
KINDS = {
    "kubevirt.io": ("kubevirts", "virtualmachines", "virtualmachineinstances", "virtualmachineinstancereplicasets"),
    "pool.kubevirt.io": ("virtualmachinepools",),
    "instancetype.kubevirt.io": ("virtualmachineclusterinstancetypes",),
}

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def cluster() -> Iterator[Lab]:
    """A lab with KubeVirt and VMs: with DataVolumes, of an instance type, of a pool, of a replica set, of nobody."""
    with lab_up(NAME, "--release", TO) as running:
        lab("cdi", "--name", NAME)
        lab("kubevirt", "install", TO, "--name", NAME)
        lab("vm", "create", "2", "--disk", "data-volume", "--name", NAME)
        lab("vm", "create", "1", "--standalone", "--kind", "not-migratable", "--name", NAME)
        running.apply(instance_type(), vm_of_an_instance_type(), pool(), replica_set())
        wait_until(lambda: phases(running) == dict.fromkeys(ALL, "Running") and len(vmis(running)) == len(ALL) + 2, 300)
        yield running


def template() -> Json:
    """The lab's VM."""
    return t.cast(Json, yaml.safe_load((ROOT / "tests/lab/data/vm.yaml").read_text()))


def instance_type() -> Json:
    spec = {"cpu": {"guest": 1}, "memory": {"guest": "128Mi"}}
    return {
        "apiVersion": "instancetype.kubevirt.io/v1beta1",
        "kind": "VirtualMachineClusterInstancetype",
        "metadata": {"name": "ours"},
        "spec": spec,
    }


def vm_of_an_instance_type() -> Json:
    vm = template()
    vm["metadata"] = {"name": "db", "namespace": "default"}
    vm["spec"]["instancetype"] = {"name": "ours"}
    del vm["spec"]["template"]["spec"]["domain"]["memory"]
    return vm


def pool() -> Json:
    labels = {"lab/pool": "pool"}
    vm = template()
    vm["spec"]["template"]["metadata"]["labels"] |= labels
    spec = {"replicas": 1, "selector": {"matchLabels": labels}}
    spec["virtualMachineTemplate"] = {"metadata": {"labels": labels}, "spec": vm["spec"]}
    return {
        "apiVersion": "pool.kubevirt.io/v1beta1",
        "kind": "VirtualMachinePool",
        "metadata": {"name": "pool", "namespace": "default"},
        "spec": spec,
    }


def replica_set() -> Json:
    labels = {"lab/set": "set"}
    guest = template()["spec"]["template"]
    guest["metadata"]["labels"] |= labels
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstanceReplicaSet",
        "metadata": {"name": "set", "namespace": "default"},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": guest},
    }


def phases(cluster: Lab) -> dict[str, str]:
    """What is written of each VM."""
    return {
        one["metadata"]["name"]: one.get("status", {}).get("printableStatus", "") for one in cluster.get("vm")["items"]
    }


def vmis(cluster: Lab) -> dict[str, Json]:
    """The VMIs that run."""
    found = cluster.get("vmi")["items"]
    return {one["metadata"]["name"]: one for one in found if one.get("status", {}).get("phase") == "Running"}


def claims(cluster: Lab) -> dict[str, tuple[str, str]]:
    """UID and volume of each claim."""
    found = cluster.get("pvc")["items"]
    return {one["metadata"]["name"]: (one["metadata"]["uid"], one["spec"]["volumeName"]) for one in found}


def owners(cluster: Lab, kind: str) -> dict[str, list[str]]:
    """The kinds of the owners of each object of a kind."""
    found = cluster.get(kind)["items"]
    return {
        one["metadata"]["name"]: [owner["kind"] for owner in one["metadata"].get("ownerReferences", [])]
        for one in found
    }


def uuids(cluster: Lab) -> dict[str, str]:
    """The UUID of the firmware of each guest, but for that of the pool's VM, which the pool makes anew."""
    running = vmis(cluster)
    return {name: running[name]["spec"]["domain"]["firmware"]["uuid"] for name in ALL if name != "pool-0"}


def revision(cluster: Lab) -> str:
    """The ControllerRevision of the VM that has an instance type."""
    status = cluster.get("vm", "db")["status"]
    return str(status["instancetypeRef"]["controllerRevisionRef"]["name"])


def resources(api: Api) -> list[Resource]:
    """The kinds that users have objects of here."""
    served, _unread = served_resources(api, KINDS)
    return [one for one in served if one.name in KINDS.get(one.group, ())]


def test_vms_go_and_come_back_with_their_disks(cluster: Lab, tmp_path: Path) -> None:
    api = connect({"kubeconfig": str(cluster.kubeconfig)}, check_mode=False, clock=Clock())
    facts = observe(api, cluster_of(api))
    disks, guests, revision_before = claims(cluster), uuids(cluster), revision(cluster)
    without_vm = sorted(vmis(cluster).keys() - {*ALL})
    assert owners(cluster, "datavolume") == {name: ["VirtualMachine"] for name in WITH_DISKS}
    assert {*WITH_DISKS} < {*disks}

    kept = back_up(api, facts, resources(api), str(tmp_path), Clock().utc())
    print((Path(kept.path) / "README.txt").read_text())
    assert (kept.counts["virtualmachines"], kept.counts["datavolumes"], kept.counts["persistentvolumeclaims"]) == (
        4,
        2,
        3,
    )

    assert findings_about_disks(api, facts) == []
    vms, others = ([f"default/{name}" for name in names] for names in (ALL, without_vm))
    done = KeepDisks(api, facts, Clock(), print, 300).run(vms, others)
    assert {one.claim: (one.uid, one.volume) for one in done} == disks
    assert claims(cluster) == disks
    assert owners(cluster, "datavolume") == {name: [] for name in WITH_DISKS}
    assert (phases(cluster), cluster.get("vmi")["items"]) == ({}, [])
    assert cluster.get("vmpool,vmirs")["items"] == [], "nothing makes VMs again"
    assert KeepDisks(api, facts, Clock(), print, 300).run(vms, others) == [], "nothing is left to do"

    lab("kubevirt", "uninstall", "--name", NAME)
    assert claims(cluster) == disks
    lab("kubevirt", "install", TO, "--name", NAME)
    wait_until(lambda: restored(cluster, Path(kept.path)), 120)
    wait_until(lambda: phases(cluster) == dict.fromkeys(ALL, "Running") and len(vmis(cluster)) == len(ALL) + 2, 300)
    assert claims(cluster) == disks
    assert owners(cluster, "datavolume") == {name: ["VirtualMachine"] for name in WITH_DISKS}, "adopted"
    assert uuids(cluster) == guests
    assert revision(cluster) == revision_before
