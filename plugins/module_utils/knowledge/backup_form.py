# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Objects as they are kept before a removal: such that applying them to a new KubeVirt brings them back.

What a server or a controller writes anew is left out: the status, what counts versions, finalizers, and owners, whose UIDs will be
others. What a guest would notice stays, or is written down where it was only implied:

* the UUID of its firmware. Before virt-controller began to write it into the VM, it followed from the VM's name; virt-api gives
  every VM that is created without one a random one (pkg/virt-api/webhooks/mutating-webhook/mutators/vm-mutator.go);
* the revisions of its instance type and preference, by the name of the ControllerRevision that holds them, which is kept as well;
* the templates of its DataVolumes: virt-controller adopts a DataVolume of that name that nobody controls, and CDI a PVC.
"""

from __future__ import annotations

import hashlib
import typing as t
import uuid
from collections.abc import Iterator, Mapping

from .guests import run_strategy
from .marks import is_made_by_virt_operator
from .user_kinds import USER_KINDS, VMS

Json = dict[str, t.Any]
Object = Mapping[str, t.Any]

APPLIED = "2-objects"
"""The folder of what is to be applied after a reinstall."""
KUBEVIRT = "1-kubevirt"
REFERENCE = "reference"
"""The folder of what is to be read only: applying it would begin something (a restore, a clone, an import), or is not needed."""

RUN_STRATEGY_BEFORE = "lifecycle.kubevirt.io/run-strategy-before-removal"
"""On a VM that we stopped: the run strategy that was asked for."""

_APPLIED = [(one.group, one.resource) for one in USER_KINDS if one.is_applied]
_BEFORE_VMS = _APPLIED.index((VMS.group, VMS.resource))
_ORDER = (*_APPLIED[:_BEFORE_VMS], ("apps", "controllerrevisions"), *_APPLIED[_BEFORE_VMS:])
"""What can be applied again, in the order in which it must be: of an instance type a VM needs the revision, or else the type."""

_NAMESPACE_OF_UUIDS = uuid.UUID("6a1a24a1-4061-4607-8bf4-a3963d0c5895")
"""pkg/virt-controller/watch/vm/firmware.go"""
_KEPT_METADATA = ("name", "namespace", "labels", "annotations")
_WRITTEN_ANNOTATIONS = frozenset(
    (
        "kubectl.kubernetes.io/last-applied-configuration",
        "kubevirt.io/latest-observed-api-version",
        "kubevirt.io/storage-observed-api-version",
        "kubevirt.io/vm-generation",
        "restore.kubevirt.io/lastRestoreUID",
        RUN_STRATEGY_BEFORE,
    )
)
# virt-api refuses a VirtualMachineInstance with some of them
# (pkg/virt-api/webhooks/validating-webhook/admitters/vmi-create-admitter.go).
_WRITTEN_LABELS = frozenset(
    (
        "kubevirt.io/created-by",
        "kubevirt.io/migrationJobUID",
        "kubevirt.io/migrationTargetNodeName",
        "kubevirt.io/nodeName",
        "kubevirt.io/outdatedLauncherImage",
        "kubevirt.io/schedulable",
    )
)
_LONGEST_NAME = 200


def folder_of(group: str, resource: str, live: Object) -> str:
    """The folder in a backup for an object of this kind; empty for one that is not kept, because another one brings it back."""
    if (group, resource) == ("kubevirt.io", "kubevirts"):
        return KUBEVIRT
    if (group, resource) == ("kubevirt.io", "virtualmachineinstancemigrations") or is_made_by_virt_operator(live):
        return ""
    is_controlled = bool(controller_of(live)) and group != "apps"
    if is_controlled and resource == "virtualmachineinstances":
        return ""
    if (group, resource) in _ORDER and not is_controlled:
        return f"{APPLIED}/{_ORDER.index((group, resource)) + 1:02}-{resource}"
    return f"{REFERENCE}/{resource}"


def controller_of(live: Object) -> str:
    """The kind and name of the object that makes this one; empty if there is none."""
    owners = live["metadata"].get("ownerReferences") or ()
    return next((f"{one['kind']} {one['name']}" for one in owners if one.get("controller")), "")


def file_name(live: Object) -> str:
    """The name of an object's file, which no other object of its kind has. It is no longer than every file system takes."""
    metadata = live["metadata"]
    # An underscore is in no name of an object.
    name = "_".join(filter(None, (metadata.get("namespace"), metadata["name"])))
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}_{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return f"{name}.json"


def restorable(live: Object) -> Json:
    """The object as it is to be applied to a new KubeVirt. It needs its apiVersion and kind."""
    kept = {key: value for key, value in live.items() if key not in ("metadata", "status")}
    if live["kind"] == "VirtualMachine":
        kept["spec"] = _spec_of_a_vm(live)
    metadata = {key: live["metadata"][key] for key in _KEPT_METADATA if live["metadata"].get(key)}
    for part, written in (("annotations", _WRITTEN_ANNOTATIONS), ("labels", _WRITTEN_LABELS)):
        left = {key: value for key, value in metadata.pop(part, {}).items() if key not in written}
        metadata |= {part: left} if left else {}
    return {"apiVersion": kept.pop("apiVersion"), "kind": kept.pop("kind"), "metadata": metadata, **kept}


def _spec_of_a_vm(vm: Object) -> Json:
    spec = {**vm["spec"], **_asked_to_run(vm)}
    for part in ("instancetype", "preference"):
        revision = _revision_of(vm, part)
        if revision:
            spec[part] = {**spec[part], "revisionName": revision}
    template = {**(spec.get("template") or {})}
    inner = {**(template.get("spec") or {})}
    domain = {**(inner.get("domain") or {})}
    firmware = {**(domain.get("firmware") or {})}
    firmware.setdefault("uuid", str(uuid.uuid5(_NAMESPACE_OF_UUIDS, vm["metadata"]["name"])))
    domain["firmware"] = firmware
    inner["domain"] = domain
    return {**spec, "template": {**template, "spec": inner}}


def _asked_to_run(vm: Object) -> Json:
    """What the VM said of running before we stopped it; nothing where we did not."""
    before = (vm["metadata"].get("annotations") or {}).get(RUN_STRATEGY_BEFORE)
    if not before or not is_halted(vm):
        return {}
    return {"running": True} if vm["spec"].get("running") is not None else {"runStrategy": before}


def is_halted(vm: Object) -> bool:
    """Whether the VM is asked not to run."""
    return run_strategy(vm) == "Halted"


def halting(vm: Object) -> list[Json]:
    """The JSON patch that asks the VM to stop, and writes down what was asked before."""
    metadata, spec = vm["metadata"], vm["spec"]
    annotations = {**(metadata.get("annotations") or {}), RUN_STRATEGY_BEFORE: run_strategy(vm)}
    is_old_way = spec.get("running") is not None
    return [
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {"op": "add", "path": "/metadata/annotations", "value": annotations},
        {"op": "replace", "path": "/spec/running", "value": False}
        if is_old_way
        else {"op": "replace", "path": "/spec/runStrategy", "value": "Halted"},
    ]


def revisions_of(vm: Object) -> Iterator[str]:
    """The names of the ControllerRevisions that hold the VM's instance type and preference, in its namespace."""
    yield from filter(None, (_revision_of(vm, part) for part in ("instancetype", "preference")))


def _revision_of(vm: Object, part: str) -> str:
    """From 1.4 on the name is in the status, unless a person wrote it into the spec; before, always in the spec."""
    asked = vm["spec"].get(part)
    if not asked:
        return ""
    reference = (vm.get("status") or {}).get(f"{part}Ref") or {}
    name: str = asked.get("revisionName") or (reference.get("controllerRevisionRef") or {}).get("name") or ""
    return name


def claims_of(machine: Object) -> set[str]:
    """The PersistentVolumeClaims that a VM or a standalone VMI names, in its namespace. A DataVolume's has the same name."""
    spec = machine["spec"]
    inner = (spec.get("template") or {}).get("spec") or spec
    named = {one["metadata"]["name"] for one in spec.get("dataVolumeTemplates") or ()}
    for volume in inner.get("volumes") or ():
        named |= {
            (volume.get("dataVolume") or {}).get("name"),
            (volume.get("persistentVolumeClaim") or {}).get("claimName"),
            (volume.get("memoryDump") or {}).get("claimName"),
            ((volume.get("ephemeral") or {}).get("persistentVolumeClaim") or {}).get("claimName"),
        }
    return {name for name in named if name}


def needed_objects(machine: Object) -> set[str]:
    """The Secrets, ConfigMaps and ServiceAccounts that a VM or a standalone VMI needs, as ``Kind namespace/name``."""
    spec = machine["spec"]
    inner = (spec.get("template") or {}).get("spec") or spec
    named = {("Secret", one["secret"].get("secretName")) for one in _propagated(inner) if one.get("secret")}
    for volume in inner.get("volumes") or ():
        cloud_init = {**(volume.get("cloudInitNoCloud") or {}), **(volume.get("cloudInitConfigDrive") or {})}
        named |= {
            ("Secret", (volume.get("secret") or {}).get("secretName")),
            ("Secret", (cloud_init.get("secretRef") or {}).get("name")),
            ("Secret", (cloud_init.get("networkDataSecretRef") or {}).get("name")),
            ("Secret", (((volume.get("sysprep") or {}).get("secret")) or {}).get("name")),
            ("Secret", (volume.get("containerDisk") or {}).get("imagePullSecret")),
            ("ConfigMap", (volume.get("configMap") or {}).get("name")),
            ("ConfigMap", (((volume.get("sysprep") or {}).get("configMap")) or {}).get("name")),
            ("ServiceAccount", (volume.get("serviceAccount") or {}).get("serviceAccountName")),
        }
    namespace = machine["metadata"]["namespace"]
    return {f"{kind} {namespace}/{name}" for kind, name in named if name}


def _propagated(inner: Object) -> Iterator[Object]:
    """Where the access credentials of a guest come from."""
    for one in inner.get("accessCredentials") or ():
        for how in one.values():
            yield (how or {}).get("source") or {}
