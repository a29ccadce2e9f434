# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose finalizers are whose, and the patch that takes KubeVirt's away."""

from __future__ import annotations

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.finalizers import (
    FINALIZERS,
    foreign,
    owner_of,
    removers_of,
    stripping_patch,
)

VM = "kubevirt.io/virtualMachineControllerFinalize"
SOURCE = "snapshot.kubevirt.io/snapshot-source-protection"
CRD = "kubevirt.io/virtOperatorFinalizer"
STRANGER = "virtualization.deckhouse.io/vm-cleanup"


@pytest.mark.parametrize(
    ("finalizer", "kind", "remover", "since"),
    [
        ("foregroundDeleteKubeVirt", "KubeVirt", "virt-operator", ""),
        ("kubevirt.io/foregroundDeleteKubeVirt", "KubeVirt", "virt-operator", "v1.9.0"),
        (CRD, "CustomResourceDefinition", "virt-operator", "v0.49.1"),
        ("foregroundDeleteVirtualMachine", "VirtualMachineInstance", "virt-controller", ""),
        ("kubevirt.io/foregroundDeleteVirtualMachine", "VirtualMachineInstance", "virt-controller", "v1.7.0"),
        (VM, "VirtualMachine", "virt-controller", "v0.44.0"),
        ("kubevirt.io/migrationJobFinalize", "VirtualMachineInstanceMigration", "virt-controller", ""),
        ("snapshot.kubevirt.io/vmsnapshot-protection", "VirtualMachineSnapshot", "virt-controller", "v0.31.0"),
        (
            "snapshot.kubevirt.io/vmsnapshotcontent-protection",
            "VirtualMachineSnapshotContent",
            "virt-controller",
            "v0.31.0",
        ),
        ("snapshot.kubevirt.io/vmrestore-protection", "VirtualMachineRestore", "virt-controller", "v0.34.0"),
        (SOURCE, "VirtualMachine", "virt-controller", "v0.31.0"),
        ("backup.kubevirt.io/vmbackup-protection", "VirtualMachineBackup", "virt-controller", "v1.8.0"),
        ("pool.kubevirt.io/finalizer", "VirtualMachinePool", "virt-controller", "v1.7.0"),
        (
            *("synchronization.kubevirt.io/migrationFinalizer", "VirtualMachineInstanceMigration"),
            *("virt-synchronization-controller", "v1.6.0"),
        ),
    ],
)
def test_who_takes_a_finalizer_of_kubevirt_away(finalizer: str, kind: str, remover: str, since: str) -> None:
    found = FINALIZERS[finalizer]
    assert kind in found.on
    assert (found.remover, found.since) == (remover, since)


@pytest.mark.parametrize(
    ("finalizer", "owner"),
    [
        (STRANGER, "Deckhouse Virtualization"),
        ("machine.cluster.x-k8s.io", "Cluster API (CAPK keeps its machines' VMs with it)"),
        ("velero.io/restore", "Velero"),
        ("resources-finalizer.argocd.argoproj.io", "Argo CD"),
        ("wrangler.cattle.io/VMController.CleanupPVC", "Rancher"),
        ("harvesterhci.io/VMController", "Harvester"),
        ("cdi.kubevirt.io/dataVolumeFinalizer", "CDI, the Containerized Data Importer"),
        ("example.com/mine", "a controller of example.com"),
        ("something", "a controller that its name does not tell"),
        ("foregroundDeletion", "Kubernetes itself"),
        (VM, "KubeVirt's virt-controller"),
        ("kubevirt.io/fromTheFuture", "KubeVirt or an add-on of it, of a version that this collection does not know"),
    ],
)
def test_whose_a_finalizer_probably_is(finalizer: str, owner: str) -> None:
    assert owner_of(finalizer) == owner


def test_finalizers_are_sorted_by_whose_they_are() -> None:
    both = [VM, "orphan", STRANGER, CRD]
    assert removers_of(both) == {"virt-controller": [VM], "virt-operator": [CRD]}
    assert foreign(both) == [STRANGER]


def test_the_patch_takes_only_what_is_named_at_that_version_and_from_the_back() -> None:
    live = {"metadata": {"resourceVersion": "7", "finalizers": [VM, STRANGER, SOURCE]}}
    assert stripping_patch(live, [VM, SOURCE]) == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "remove", "path": "/metadata/finalizers/2"},
        {"op": "remove", "path": "/metadata/finalizers/0"},
    ]


def test_there_is_no_patch_where_it_is_gone_already() -> None:
    assert stripping_patch({"metadata": {"resourceVersion": "7"}}, [VM]) is None


def test_a_foreign_finalizer_is_never_taken_away() -> None:
    with pytest.raises(ValueError, match="deckhouse"):
        stripping_patch({"metadata": {"resourceVersion": "7", "finalizers": [STRANGER]}}, [STRANGER])
