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
        words: What people call one of them.
    """

    group: str
    resource: str
    kind: str
    words: str

    @property
    def crd(self) -> str:
        """The name of its CRD."""
        return f"{self.resource}.{self.group}"


VMS = UserKind("kubevirt.io", "virtualmachines", "VirtualMachine", "VM")
VMIS = UserKind("kubevirt.io", "virtualmachineinstances", "VirtualMachineInstance", "VM instance")
MIGRATIONS = UserKind(
    "kubevirt.io", "virtualmachineinstancemigrations", "VirtualMachineInstanceMigration", "live migration"
)

# In the order in which a backup can be applied: what others refer to comes first.
USER_KINDS: tuple[UserKind, ...] = (
    UserKind(
        "instancetype.kubevirt.io",
        "virtualmachineclusterinstancetypes",
        "VirtualMachineClusterInstancetype",
        "instance type of the cluster",
    ),
    UserKind(
        "instancetype.kubevirt.io",
        "virtualmachineclusterpreferences",
        "VirtualMachineClusterPreference",
        "preference of the cluster",
    ),
    UserKind("instancetype.kubevirt.io", "virtualmachineinstancetypes", "VirtualMachineInstancetype", "instance type"),
    UserKind("instancetype.kubevirt.io", "virtualmachinepreferences", "VirtualMachinePreference", "preference"),
    UserKind(
        "flavor.kubevirt.io", "virtualmachineclusterflavors", "VirtualMachineClusterFlavor", "flavor of the cluster"
    ),
    UserKind("flavor.kubevirt.io", "virtualmachineflavors", "VirtualMachineFlavor", "flavor"),
    UserKind(
        "flavor.kubevirt.io",
        "virtualmachineclusterpreferences",
        "VirtualMachineClusterPreference",
        "preference of the cluster",
    ),
    UserKind("flavor.kubevirt.io", "virtualmachinepreferences", "VirtualMachinePreference", "preference"),
    UserKind("migrations.kubevirt.io", "migrationpolicies", "MigrationPolicy", "migration policy"),
    UserKind("kubevirt.io", "virtualmachineinstancepresets", "VirtualMachineInstancePreset", "preset"),
    VMS,
    VMIS,
    UserKind("kubevirt.io", "virtualmachineinstancereplicasets", "VirtualMachineInstanceReplicaSet", "replica set"),
    UserKind("pool.kubevirt.io", "virtualmachinepools", "VirtualMachinePool", "pool"),
    UserKind("template.kubevirt.io", "virtualmachinetemplates", "VirtualMachineTemplate", "template"),
    UserKind(
        "template.kubevirt.io",
        "virtualmachinetemplaterequests",
        "VirtualMachineTemplateRequest",
        "request for a template",
    ),
    UserKind("snapshot.kubevirt.io", "virtualmachinesnapshots", "VirtualMachineSnapshot", "snapshot"),
    UserKind(
        "snapshot.kubevirt.io",
        "virtualmachinesnapshotcontents",
        "VirtualMachineSnapshotContent",
        "content of a snapshot",
    ),
    UserKind("snapshot.kubevirt.io", "virtualmachinerestores", "VirtualMachineRestore", "restore"),
    UserKind("export.kubevirt.io", "virtualmachineexports", "VirtualMachineExport", "export"),
    UserKind("clone.kubevirt.io", "virtualmachineclones", "VirtualMachineClone", "clone"),
    UserKind("backup.kubevirt.io", "virtualmachinebackups", "VirtualMachineBackup", "backup"),
    UserKind("backup.kubevirt.io", "virtualmachinebackuptrackers", "VirtualMachineBackupTracker", "backup tracker"),
    UserKind("plugin.kubevirt.io", "plugins", "Plugin", "plugin"),
    MIGRATIONS,
)

CRD_GROUPS = frozenset({one.group for one in USER_KINDS})
"""The API groups of KubeVirt's own CRDs. Many other groups end with kubevirt.io, and are not KubeVirt's."""

FOREIGN_GROUPS = {
    "aaq.kubevirt.io": "Application-Aware Quota",
    "cdi.kubevirt.io": "CDI, the Containerized Data Importer",
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
