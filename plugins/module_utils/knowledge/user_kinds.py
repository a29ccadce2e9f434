# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The kinds of objects that people and their tools make with KubeVirt, and that go when it goes.

virt-operator deletes their CRDs first of all, and Kubernetes deletes the objects of a CRD with it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class UserKind:
    """A kind of objects.

    Attributes:
        group: Its API group.
        resource: What the API calls a collection of them.
        kind: Its name.
        is_applied: Whether an object is applied to a new KubeVirt to bring it back; with the others something would begin anew.
    """

    group: str
    resource: str
    kind: str
    is_applied: bool = True


VMS = UserKind("kubevirt.io", "virtualmachines", "VirtualMachine")
VMIS = UserKind("kubevirt.io", "virtualmachineinstances", "VirtualMachineInstance")
REPLICA_SETS = UserKind("kubevirt.io", "virtualmachineinstancereplicasets", "VirtualMachineInstanceReplicaSet")
POOLS = UserKind("pool.kubevirt.io", "virtualmachinepools", "VirtualMachinePool")
MAKERS = (POOLS, REPLICA_SETS)
"""The kinds that make VMs anew when these are deleted."""
MIGRATIONS = UserKind(
    "kubevirt.io", "virtualmachineinstancemigrations", "VirtualMachineInstanceMigration", is_applied=False
)

# In the order in which a backup can be applied: what others refer to comes first.
USER_KINDS: tuple[UserKind, ...] = (
    UserKind("instancetype.kubevirt.io", "virtualmachineclusterinstancetypes", "VirtualMachineClusterInstancetype"),
    UserKind("instancetype.kubevirt.io", "virtualmachineclusterpreferences", "VirtualMachineClusterPreference"),
    UserKind("instancetype.kubevirt.io", "virtualmachineinstancetypes", "VirtualMachineInstancetype"),
    UserKind("instancetype.kubevirt.io", "virtualmachinepreferences", "VirtualMachinePreference"),
    UserKind("flavor.kubevirt.io", "virtualmachineclusterflavors", "VirtualMachineClusterFlavor"),
    UserKind("flavor.kubevirt.io", "virtualmachineflavors", "VirtualMachineFlavor"),
    UserKind("flavor.kubevirt.io", "virtualmachineclusterpreferences", "VirtualMachineClusterPreference"),
    UserKind("flavor.kubevirt.io", "virtualmachinepreferences", "VirtualMachinePreference"),
    UserKind("migrations.kubevirt.io", "migrationpolicies", "MigrationPolicy"),
    UserKind("kubevirt.io", "virtualmachineinstancepresets", "VirtualMachineInstancePreset"),
    VMS,
    VMIS,
    REPLICA_SETS,
    POOLS,
    UserKind("template.kubevirt.io", "virtualmachinetemplates", "VirtualMachineTemplate"),
    UserKind(
        "template.kubevirt.io", "virtualmachinetemplaterequests", "VirtualMachineTemplateRequest", is_applied=False
    ),
    UserKind("snapshot.kubevirt.io", "virtualmachinesnapshots", "VirtualMachineSnapshot", is_applied=False),
    UserKind(
        "snapshot.kubevirt.io", "virtualmachinesnapshotcontents", "VirtualMachineSnapshotContent", is_applied=False
    ),
    UserKind("snapshot.kubevirt.io", "virtualmachinerestores", "VirtualMachineRestore", is_applied=False),
    UserKind("export.kubevirt.io", "virtualmachineexports", "VirtualMachineExport", is_applied=False),
    UserKind("clone.kubevirt.io", "virtualmachineclones", "VirtualMachineClone", is_applied=False),
    UserKind("backup.kubevirt.io", "virtualmachinebackups", "VirtualMachineBackup", is_applied=False),
    UserKind("backup.kubevirt.io", "virtualmachinebackuptrackers", "VirtualMachineBackupTracker", is_applied=False),
    UserKind("plugin.kubevirt.io", "plugins", "Plugin", is_applied=False),
    MIGRATIONS,
)

CDI = "cdi.kubevirt.io"
"""The API group of DataVolumes."""
FOREIGN_GROUPS = {
    "aaq.kubevirt.io": "Application-Aware Quota",
    CDI: "CDI, the Containerized Data Importer",
    "forklift.konveyor.io": "Forklift, the Migration Toolkit for Virtualization",
    "hco.kubevirt.io": "HCO, the HyperConverged Cluster Operator",
    "hostpathprovisioner.kubevirt.io": "the hostpath provisioner",
    "mtq.kubevirt.io": "Managed Tenant Quota",
    "networkaddonsoperator.network.kubevirt.io": "the Cluster Network Addons Operator",
    "ssp.kubevirt.io": "SSP, the operator of KubeVirt's templates",
}
"""The API groups of the add-ons that live beside KubeVirt, and what they are. None of them is touched."""


def kind_of(group: str, resource: str) -> UserKind | None:
    """The kind of this collection; None for one that no release so far has."""
    return next((one for one in USER_KINDS if (one.group, one.resource) == (group, resource)), None)
