# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What can be said about a cluster: the catalogue of finding ids, and a finding.

Every finding id has a page under docs/findings/; its address is the finding's ``url``.
"""

from __future__ import annotations

import difflib
import typing as t
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass

Level = t.Literal["info", "warning", "blocker"]

DOCS = "https://github.com/kubevirt/kubevirt.lifecycle/blob/main/docs/findings"


@dataclass(frozen=True)
class Kind:
    """What is fixed for one finding id."""

    level: Level
    acceptable: bool
    summary: str


@dataclass(frozen=True)
class Finding:
    """One thing a person should know about one object, with its cause and what to do."""

    id: str
    level: Level
    object: str
    cause: str
    evidence: str
    fix: str
    url: str
    acceptable: bool

    def as_dict(self) -> dict[str, t.Any]:
        """The finding as modules return it."""
        return asdict(self)


def _blocker(summary: str, acceptable: bool = False) -> Kind:
    return Kind("blocker", acceptable, summary)


CATALOGUE: dict[str, Kind] = {
    "cluster.held": _blocker("Another run works on this cluster."),
    "cluster.lock-lost": _blocker("The run has lost its lock, and may not write any more."),
    "cluster.no-server-side-apply": _blocker("The Kubernetes version has no server-side apply."),
    "cluster.taken-over": Kind("info", True, "The lock of an earlier run that does not live any more was taken over."),
    "cluster.wrong-uid": _blocker("This is not the cluster that expected_cluster_uid names."),
    "kubernetes.too-new": Kind("warning", True, "Kubernetes is newer than what the wanted version is for."),
    "kubernetes.too-old": _blocker("The wanted version needs a newer Kubernetes.", acceptable=True),
    "kubevirt.absent": _blocker("There is no KubeVirt object in the cluster."),
    "kubevirt.deleting": _blocker("The KubeVirt object is being deleted."),
    "kubevirt.hybrid": _blocker("Images of one version run with the manifests of another."),
    "kubevirt.multiple": _blocker("There is more than one KubeVirt object."),
    "kubevirt.operator-absent": _blocker("There is no virt-operator Deployment beside the KubeVirt object."),
    "kubevirt.unhealthy": _blocker(
        "KubeVirt is unhealthy for a reason that this upgrade does not cure.", acceptable=True
    ),
    "leftover.api-service": Kind("warning", True, "An APIService of an earlier KubeVirt leads nowhere."),
    "leftover.temporary-webhook": Kind(
        "warning", True, "A webhook of an earlier update lets nobody create some objects."
    ),
    "leftover.webhook": _blocker("A webhook of KubeVirt asks a service of another installation.", acceptable=True),
    "manifest.lacks-stored-version": _blocker(
        "The manifest's CRD lacks a version in which KubeVirt objects may be stored."
    ),
    "manifest.namespace-differs": _blocker("The manifest is for another namespace than the KubeVirt object's."),
    "manifest.registry-differs": _blocker("The manifest's registry is not the running operator's.", acceptable=True),
    "manifest.version-differs": _blocker("The manifest is not of the wanted version."),
    "owner.argo-cd": _blocker("Argo CD manages KubeVirt here.", acceptable=True),
    "owner.fleet": _blocker("Rancher Fleet or Harvester manages KubeVirt here.", acceptable=True),
    "owner.flux": _blocker("Flux manages KubeVirt here.", acceptable=True),
    "owner.hco": _blocker("The HyperConverged Cluster Operator manages KubeVirt here.", acceptable=True),
    "owner.helm": _blocker("A Helm release manages KubeVirt here.", acceptable=True),
    "owner.kapp": _blocker("kapp manages KubeVirt here.", acceptable=True),
    "owner.ocm": _blocker("Open Cluster Management manages KubeVirt here.", acceptable=True),
    "owner.olm": _blocker("The Operator Lifecycle Manager manages KubeVirt here.", acceptable=True),
    "remove.add-ons-stay": Kind("warning", True, "Add-ons of KubeVirt stay, and may fail without it."),
    "remove.backup-failed": _blocker("The backup could not be written."),
    "remove.blocked-by-uninstall-strategy": _blocker(
        "spec.uninstallStrategy forbids to delete KubeVirt while VMs exist."
    ),
    "remove.confirmation-differs": _blocker("The phrase in confirm does not cover what is in the cluster."),
    "remove.crd-deleted-by-hand": Kind(
        "warning", True, "A CRD of KubeVirt is gone or going although the KubeVirt object is not."
    ),
    "remove.devices-left": Kind("info", True, "Kubelets show KubeVirt's devices until they restart."),
    "remove.disk-lost": _blocker("A disk did not stay when its VM was taken away."),
    "remove.disk-would-not-stay": _blocker("A disk would be deleted although only its VM is taken away."),
    "remove.earlier-backup": Kind("info", True, "An earlier backup has objects that the new one does not have."),
    "remove.foreign-api-service": Kind("warning", True, "An APIService that is not KubeVirt's leads nowhere."),
    "remove.foreign-objects": Kind("warning", True, "KubeVirt's namespace is kept, because others live in it."),
    "remove.left": _blocker("Something of KubeVirt could not be removed.", acceptable=True),
    "remove.not-all-read": Kind("warning", True, "Something that may block the deletion could not be read."),
    "remove.not-searched": _blocker("Some kinds could not be searched for what is left of KubeVirt.", acceptable=True),
    "remove.other-kubevirt": _blocker("The KubeVirt object is another one than name and namespace say."),
    "remove.phase-deploying": Kind("warning", True, "KubeVirt is to be removed before its installation has ended."),
    "remove.stalled": _blocker("The deletion of KubeVirt does not come to its end."),
    "remove.stuck-api-service": Kind(
        "warning", True, "An APIService of KubeVirt leads nowhere, and no namespace can be deleted."
    ),
    "remove.stuck-controller-gone": _blocker(
        "A finalizer of KubeVirt holds an object, and the part that takes it away is gone."
    ),
    "remove.stuck-crd": Kind("warning", True, "A CRD cannot go, because objects of its kind are left."),
    "remove.stuck-finalizer": Kind(
        "warning", True, "An object is in deletion for long, although the part of KubeVirt that ends it runs."
    ),
    "remove.stuck-foreign-finalizer": _blocker("A finalizer that is not KubeVirt's holds an object.", acceptable=True),
    "remove.stuck-handler-gone": _blocker(
        "A VM cannot be reported as ended, because no virt-handler runs on its node."
    ),
    "remove.stuck-install-job": _blocker("The Job that works out what to delete has failed or does not start."),
    "remove.stuck-namespace-terminating": _blocker(
        "KubeVirt's namespace is being deleted with the KubeVirt object in it, and the operator is gone."
    ),
    "remove.stuck-node-lost": _blocker("A VM cannot be reported as ended, because its node is lost.", acceptable=True),
    "remove.stuck-operator-gone": _blocker("The KubeVirt object is there, and its operator is not."),
    "remove.stuck-operator-not-ready": _blocker("virt-operator is there and has been without a ready pod for long."),
    "remove.stuck-webhook": _blocker("A webhook of KubeVirt is asked and nobody answers."),
    "remove.virt-api-gone": Kind("warning", True, "virt-api does not run."),
    "remove.vm-does-not-stop": _blocker("A VM, or what makes VMs, does not go."),
    "remove.vms-first": _blocker("The operator is so old that VMs should be deleted before KubeVirt.", acceptable=True),
    "remove.workloads-exist": _blocker(
        "People have VMs or other objects of KubeVirt, and nobody has said that they may go."
    ),
    "risk.customized-components": Kind("warning", True, "Patches of KubeVirt's parts may not fit the wanted version."),
    "risk.export-stored-versions": _blocker(
        "A CRD of exports stores a version that the wanted KubeVirt does not have."
    ),
    "risk.flavors-lost": _blocker("The wanted version deletes flavors and their preferences.", acceptable=True),
    "risk.install-strategies-pile-up": Kind(
        "warning", True, "Many old install strategies fill virt-operator's memory."
    ),
    "risk.instancetype-stored-versions": _blocker(
        "A CRD of instance types stores a version that the wanted KubeVirt does not have."
    ),
    "risk.no-control-plane-node": _blocker(
        "KubeVirt's control plane will run on control-plane nodes only, and none takes it.", acceptable=True
    ),
    "risk.node-not-ready": _blocker(
        "A node for VMs is not ready, and KubeVirt is never done updating then.", acceptable=True
    ),
    "risk.old-launchers-not-migratable": Kind("warning", True, "VMs that 1.6 started may fail to migrate."),
    "risk.operator-needs-control-plane-node": _blocker(
        "virt-operator will run on control-plane nodes only, and none takes it.", acceptable=True
    ),
    "risk.preferences-with-nulls": Kind(
        "warning", True, "Preferences have null fields, which the wanted version rejects."
    ),
    "risk.sidecar-containers-off": Kind("info", True, "VMs do not start where Kubernetes has sidecar containers off."),
    "risk.single-node": Kind(
        "warning", True, "VMs cannot be migrated to another node, and it is tried again and again."
    ),
    "risk.two-pods-for-one-vm": _blocker("A VM that migrates may run twice and lose its disk.", acceptable=True),
    "risk.vms-may-not-start": Kind("warning", True, "VMs may not start after the upgrade."),
    "upgrade.admission-refused": _blocker("The cluster's admission refuses objects or pods of KubeVirt."),
    "upgrade.certificate-untrusted": _blocker("A certificate is expired or of an unknown authority, and stays so."),
    "upgrade.container-not-created": _blocker("A container of KubeVirt cannot be created or started."),
    "upgrade.crash-loop": _blocker("A container of KubeVirt ends again and again."),
    "upgrade.deployment-failed": _blocker("virt-operator reports that it cannot deploy."),
    "upgrade.environment-set-by-hand": _blocker(
        "The operator's environment names images of another version, and the manifest leaves them.", acceptable=True
    ),
    "upgrade.hop-in-progress": _blocker("A hop to another version is in progress."),
    "upgrade.image-prefix-lost": _blocker("The operator would ask for an image without its prefix.", acceptable=True),
    "upgrade.image-pull": _blocker("An image of KubeVirt cannot be pulled."),
    "upgrade.images-in-environment": _blocker(
        "The operator's environment names images, which win over spec.imageTag.", acceptable=True
    ),
    "upgrade.install-job-failed": _blocker("The Job that works out what to install has failed for good."),
    "upgrade.install-job-loop": _blocker("What to install is worked out again and again, and cannot be read."),
    "upgrade.makes-hybrid": _blocker("The operator would run images of another version with its own manifests."),
    "upgrade.missing-permissions": _blocker(
        "The running operator lacks permissions that the wanted version needs.", acceptable=True
    ),
    "upgrade.no-leader": _blocker("virt-operator runs, but none of its pods leads."),
    "upgrade.node-lost": _blocker("A node is lost, and KubeVirt waits for its virt-handler."),
    "upgrade.operator-lacks-rights": _blocker("virt-operator lacks a permission of its own."),
    "upgrade.pinned": Kind("info", True, "spec.imageTag or spec.imageRegistry pins KubeVirt's version or registry."),
    "upgrade.pull-secret-missing": Kind("warning", True, "A secret for pulling images is named and does not exist."),
    "upgrade.quota-exceeded": _blocker("A quota leaves no room for pods of KubeVirt."),
    "upgrade.rbac-escalation": _blocker("virt-operator cannot grant permissions that it does not have."),
    "upgrade.stalled": _blocker("Nothing moved for longer than stall_timeout."),
    "upgrade.stored-version-dropped": _blocker("A CRD lacks a version in which its objects may be stored."),
    "upgrade.timeout": _blocker("The hop was not done within wait_timeout."),
    "upgrade.unknown-kinds": _blocker("The running operator cannot read the wanted version's manifests."),
    "upgrade.unschedulable": _blocker("No node takes a pod of KubeVirt."),
    "upgrade.virt-handler-failed": _blocker("The first new virt-handler does not come up."),
    "upgrade.webhook-unreachable": _blocker("A webhook cannot be asked, and virt-operator cannot go on."),
    "version.before-first-supported": _blocker("Updates are supported from v0.17.0 on."),
    "version.downgrade": _blocker("KubeVirt does not support going back to an older version."),
    "version.not-latest-patch": Kind("warning", True, "A later patch of the wanted minor is known."),
    "version.skips-minor": _blocker("KubeVirt supports only updates to the next minor version."),
    "version.unavailable": _blocker("The wanted release, or one on the way to it, cannot be had."),
    "version.unknown": _blocker("The running version cannot be told."),
    "version.withdrawn": _blocker("The wanted release was withdrawn by KubeVirt."),
    "workloads.budget-spent": _blocker("More VMs could not be moved than failure_budget allows."),
    "workloads.canary-failed": _blocker("The first VM of its class did not arrive well."),
    "workloads.control-plane-moves": _blocker(
        "VMs would be moved while KubeVirt's control plane is being rolled out.", acceptable=True
    ),
    "workloads.evict-destroys-vmi": _blocker(
        "Evicted VMs would be gone, because they belong to no VirtualMachine.", acceptable=True
    ),
    "workloads.evict-leaves-vm-down": _blocker("Evicted VMs would stay down by their run strategy.", acceptable=True),
    "workloads.eviction-left-to-others": Kind(
        "warning", True, "Evictions of VMs wait for a controller that is not KubeVirt's."
    ),
    "workloads.eviction-refused": Kind("warning", True, "VMs are asked to go again and again, and never let go."),
    "workloads.launchers-fall-behind": Kind(
        "warning", True, "VMs would run on launchers two or more minor versions old."
    ),
    "workloads.left-behind": Kind("warning", True, "VMs still run on an older launcher."),
    "workloads.live-migration-gate-off": _blocker(
        "This version has live migration behind a feature gate, and that is off.", acceptable=True
    ),
    "workloads.methods-held": Kind("warning", True, "An unfinished run holds the workload update methods empty."),
    "workloads.migrations-in-flight": _blocker("Live migrations are running.", acceptable=True),
    "workloads.needs-two-nodes": _blocker("Live migration needs two nodes that take VMs.", acceptable=True),
    "workloads.not-before-0-39": _blocker("KubeVirt moves VMs by itself from 0.39.0 on only."),
    "workloads.on-old-launchers": Kind("info", True, "VMs run on launchers of an older version."),
    "workloads.pending-changes-move": Kind(
        "warning", True, "VMs are moved for a pending change, although their launchers are up to date."
    ),
    "workloads.same-version-outdated": Kind(
        "warning", True, "Launchers of the running version count as outdated, because their image is named otherwise."
    ),
    "workloads.split-brain": _blocker("A VM runs in two launcher pods at once."),
    "workloads.stalled": _blocker("VMs were not moved in time."),
    "workloads.stay-old": Kind("warning", True, "VMs stay on launchers of an older version."),
    "workloads.strategy-withheld": Kind(
        "warning", True, "The asked methods are not set, because VMs are marked not to be moved."
    ),
}


def finding(id: str, *, object: str, cause: str, fix: str, evidence: str = "", level: Level | None = None) -> Finding:
    """A finding of the catalogue.

    Args:
        id: A key of ``CATALOGUE``; another one is a KeyError.
        object: The object it is about, as ``Kind namespace/name``.
        cause: Why it is so, one sentence.
        fix: A command or a sentence that a person can act on.
        evidence: What was seen, word for word where possible.
        level: Where it is not the catalogue's (a warning that an option turns into a blocker).
    """
    kind = CATALOGUE[id]
    return Finding(
        id=id,
        level=level or kind.level,
        object=object,
        cause=cause,
        evidence=evidence,
        fix=fix,
        url=page_of(id),
        acceptable=kind.acceptable,
    )


def page_of(id: str) -> str:
    """The address of the page about a finding of the catalogue."""
    return f"{DOCS}/{id}.md"


def unknown_ids(accept: Iterable[str], also: Collection[str] = ()) -> list[str]:
    """The ids in ``accept`` that neither the catalogue nor ``also``, the ids of the user's own rules, has."""
    return [id for id in accept if id not in CATALOGUE and id not in also]


def nearest_id(text: str, also: Collection[str] = ()) -> str:
    """The id of the catalogue, or of ``also``, that was probably meant; empty when none is like it."""
    return next(iter(difflib.get_close_matches(text.strip().lower(), [*CATALOGUE, *also], n=1)), "")


def blocking(findings: Iterable[Finding], accept: Sequence[str] = ()) -> list[Finding]:
    """The findings that stop the run: blockers that are not accepted, or that nobody can accept."""
    return [f for f in findings if f.level == "blocker" and not (f.acceptable and f.id in accept)]
