# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Which finalizers KubeVirt sets, which of its parts takes each away, and whose the others are."""

from __future__ import annotations

import typing as t
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

OPERATOR, CONTROLLER, HANDLER = "virt-operator", "virt-controller", "virt-handler"
SYNCHRONIZATION = "virt-synchronization-controller"


@dataclass(frozen=True)
class Finalizer:
    """A finalizer of KubeVirt.

    Attributes:
        on: The kinds that it is on.
        remover: The part of KubeVirt that takes it away.
        since: The first version that sets it; empty where all do.
    """

    on: tuple[str, ...]
    remover: str
    since: str = ""


# From staging/src/kubevirt.io/api/core/v1/types.go, pkg/virt-operator/util/client.go, pkg/storage/snapshot, pkg/storage/cbt,
# staging/src/kubevirt.io/api/pool and pkg/synchronization-controller.
FINALIZERS: Mapping[str, Finalizer] = {
    "foregroundDeleteKubeVirt": Finalizer(("KubeVirt",), OPERATOR),
    "kubevirt.io/foregroundDeleteKubeVirt": Finalizer(("KubeVirt",), OPERATOR, "v1.9.0"),
    "kubevirt.io/virtOperatorFinalizer": Finalizer(("CustomResourceDefinition",), OPERATOR, "v0.49.1"),
    # virt-handler must have said that the guest has ended, and all pods must be gone, before virt-controller does it.
    "foregroundDeleteVirtualMachine": Finalizer(("VirtualMachineInstance",), CONTROLLER),
    "kubevirt.io/foregroundDeleteVirtualMachine": Finalizer(("VirtualMachineInstance",), CONTROLLER, "v1.7.0"),
    "kubevirt.io/virtualMachineControllerFinalize": Finalizer(
        ("VirtualMachine", "VirtualMachineInstance"), CONTROLLER, "v0.44.0"
    ),
    "kubevirt.io/migrationJobFinalize": Finalizer(("VirtualMachineInstanceMigration",), CONTROLLER),
    "synchronization.kubevirt.io/migrationFinalizer": Finalizer(
        ("VirtualMachineInstanceMigration",), SYNCHRONIZATION, "v1.6.0"
    ),
    "pool.kubevirt.io/finalizer": Finalizer(("VirtualMachinePool", "VirtualMachine"), CONTROLLER, "v1.7.0"),
    "snapshot.kubevirt.io/vmsnapshot-protection": Finalizer(("VirtualMachineSnapshot",), CONTROLLER, "v0.31.0"),
    "snapshot.kubevirt.io/vmsnapshotcontent-protection": Finalizer(
        ("VirtualMachineSnapshotContent",), CONTROLLER, "v0.31.0"
    ),
    "snapshot.kubevirt.io/snapshot-source-protection": Finalizer(("VirtualMachine",), CONTROLLER, "v0.31.0"),
    "snapshot.kubevirt.io/vmrestore-protection": Finalizer(("VirtualMachineRestore",), CONTROLLER, "v0.34.0"),
    "backup.kubevirt.io/vmbackup-protection": Finalizer(("VirtualMachineBackup",), CONTROLLER, "v1.8.0"),
}

# Kubernetes' own: they go by themselves when what they wait for has gone.
OF_KUBERNETES = frozenset(
    {
        *("foregroundDeletion", "orphan", "kubernetes"),
        *("customresourcecleanup.apiextensions.k8s.io", "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"),
    }
)

# By the end of the finalizer's domain; the longest that fits counts.
_OWNERS: Mapping[str, str] = {
    "argocd.argoproj.io": "Argo CD",
    "cattle.io": "Rancher",
    "cdi.kubevirt.io": "CDI, the Containerized Data Importer",
    "cluster.x-k8s.io": "Cluster API (CAPK keeps its machines' VMs with it)",
    "deckhouse.io": "Deckhouse Virtualization",
    "fluxcd.io": "Flux",
    "forklift.konveyor.io": "Forklift, the Migration Toolkit for Virtualization",
    "harvesterhci.io": "Harvester",
    "hco.kubevirt.io": "HCO, the HyperConverged Cluster Operator",
    "kubevirt.io": "KubeVirt or an add-on of it, of a version that this collection does not know",
    "k8s.ovn.org": "OVN-Kubernetes",
    "longhorn.io": "Longhorn",
    "open-cluster-management.io": "Open Cluster Management",
    "ssp.kubevirt.io": "SSP, the operator of KubeVirt's templates",
    "velero.io": "Velero",
    "kubernetes.io": "Kubernetes or a driver for it",
    "k8s.io": "Kubernetes or a driver for it",
}


def removers_of(finalizers: Iterable[str]) -> dict[str, list[str]]:
    """Those of KubeVirt's among these finalizers, by the part that takes them away."""
    found: dict[str, list[str]] = {}
    for one in finalizers:
        if one in FINALIZERS:
            found.setdefault(FINALIZERS[one].remover, []).append(one)
    return found


def foreign(finalizers: Iterable[str]) -> list[str]:
    """Those that are neither KubeVirt's nor Kubernetes' own."""
    return [one for one in finalizers if one not in FINALIZERS and one not in OF_KUBERNETES]


def stripping_patch(live: Mapping[str, t.Any], finalizers: Collection[str]) -> list[dict[str, t.Any]] | None:
    """The JSON patch that takes these finalizers of KubeVirt's from an object as it is now, and leaves the others; None where it has none.

    Raises:
        ValueError: One of them is not KubeVirt's.
    """
    if strangers := [one for one in finalizers if one not in FINALIZERS]:
        raise ValueError(f"{', '.join(strangers)} is not KubeVirt's")
    metadata = live["metadata"]
    places = [place for place, one in enumerate(metadata.get("finalizers") or ()) if one in finalizers]
    if not places:
        return None
    return [
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        *({"op": "remove", "path": f"/metadata/finalizers/{place}"} for place in reversed(places)),
    ]


def owner_of(finalizer: str) -> str:
    """Who takes this finalizer away, as far as its name tells."""
    if finalizer in FINALIZERS:
        return f"KubeVirt's {FINALIZERS[finalizer].remover}"
    if finalizer in OF_KUBERNETES:
        return "Kubernetes itself"
    domain = finalizer.partition("/")[0]
    if "." not in domain:
        return "a controller that its name does not tell"
    known = [end for end in _OWNERS if domain == end or domain.endswith(f".{end}")]
    return _OWNERS[max(known, key=len)] if known else f"a controller of {domain}"
