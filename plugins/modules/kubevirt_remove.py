#!/usr/bin/python
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Remove KubeVirt: everything of it gone, and nothing of its users lost by accident."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubevirt_remove
short_description: Remove KubeVirt from a cluster, with what people made with it backed up and their disks kept
version_added: 0.1.0
description:
  - Lists all that would go and all that stays. As long as people have anything there, such as virtual machines, it is refused, and
    the refusal says which phrase to give as O(confirm).
  - Then writes the manifests of all of that into a directory, repairs what would keep the deletion from ending, takes the virtual machines
    away without their disks, deletes the KubeVirt object and waits until virt-operator has deleted what it made, deletes what that
    leaves behind, the operator, and KubeVirt's marks on nodes. In the end every kind of the cluster is searched for what is left.
  - A run that was stopped is started again with the same options, and goes on. Where nothing of KubeVirt is there, nothing is changed.
  - What belongs to CDI, HCO, SSP and other neighbours is not touched. Finalizers that are not KubeVirt's are named, never taken away.
  - See U(https://github.com/kubevirt/kubevirt.lifecycle/blob/main/docs/guide/removal.md).
author:
  - The kubevirt.lifecycle maintainers (@kubevirt)
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - kubevirt.lifecycle.attributes
attributes:
  check_mode:
    support: full
    details:
      - Sends no request that writes, and names every object that the module deletes itself. Of what virt-operator deletes it says by which
        marks. What repair will be needed while the deletion is under way cannot be predicted.
  diff_mode:
    support: full
    details: Shows the objects that the module deletes itself.
  idempotent:
    support: full
options:
  confirm:
    description:
      - The phrase that a refused run prints, V(<UID of namespace kube-system>:<n> VMs:<n> disks). By it a person says that so many virtual
        machines, those without a VirtualMachine too, and so many disks of this very cluster may go, with all else in RV(inventory).
      - It holds for at most so many, so that a run that was stopped on its way goes on with the same one. It is checked again just before
        the KubeVirt object is deleted.
    type: str
  disks:
    description:
      - V(keep) stops each virtual machine and deletes it without its DataVolumes and PersistentVolumeClaims, and verifies that these stay.
      - V(remove) lets Kubernetes delete the disks with the virtual machines that own them.
    type: str
    choices:
      - keep
      - remove
    default: keep
  backup:
    description: Whether the manifests of all objects of users are written into O(backup_dir) before anything is removed.
    type: bool
    default: true
  backup_dir:
    description:
      - A directory for the backup, on the machine where the module runs; in an execution environment a mounted one. Each run makes a
        directory of its own in it, with a text that says how to bring everything back.
      - Required, unless O(backup=false).
    type: path
  repair:
    description:
      - What may be done about causes that keep the deletion from ending.
      - V(report) only names them.
      - V(safe) brings back the operator of the same version, and removes webhooks and APIServices of KubeVirt that nobody answers for, and
        install-strategy Jobs that have failed.
      - V(finalizers) also takes KubeVirt's own finalizers away, where the part that should do so is gone for good or cannot work.
    type: str
    choices:
      - report
      - safe
      - finalizers
    default: safe
  remove_namespace:
    description: Whether KubeVirt's namespace is deleted too, if nothing else lives in it.
    type: bool
    default: false
  clean_nodes:
    description: Whether nodes lose the labels and annotations that KubeVirt left on them.
    type: bool
    default: true
  manifest:
    description:
      - The C(kubevirt-operator.yaml) of the version that is to be removed, as a path, an C(https://) address, or its text. It is needed
        only where the operator has to be brought back.
      - A path is looked up on the controller, relative ones where Ansible looks for files. The file may be vaulted.
      - The default is the address of KubeVirt's own release.
    type: str
  manifest_checksum:
    description: What the manifest's checksum must be, as V(sha256:<hex>) or V(sha512:<hex>).
    type: str
  manifest_validate_certs:
    description: Whether the certificate of the manifest's address is checked.
    type: bool
    default: true
  manifest_ca_path:
    description: A file of CA certificates for the manifest's address.
    type: path
  image_registry:
    description:
      - Where the images come from if the operator has to be brought back, for example V(registry.example.com/kubevirt).
      - Without it, where those came from that ran before.
    type: str
  name:
    description: The name that the KubeVirt object must have. Where it has another one, the run is refused.
    type: str
  namespace:
    description:
      - The namespace that the KubeVirt object must be in. Where it is in another one, the run is refused.
      - Where there is no KubeVirt object any more, the namespace that its parts are in, or were. The default is where virt-operator is,
        or else V(kubevirt).
    type: str
  accept:
    description:
      - Ids of findings that must not stop the run. Each id is one decision; there is no way to accept everything.
      - An id that does not exist is an error, one that is not raised here is not, so that many clusters can share a list.
    type: list
    elements: str
    default: []
  wait_timeout:
    description: For how long the deletion of the KubeVirt object may take at most, in seconds.
    type: int
    default: 3600
  stall_timeout:
    description: For how long nothing may move (no object goes, and nothing can be repaired), in seconds.
    type: int
    default: 900
  vm_stop_timeout:
    description: For how long a virtual machine may take to stop, and then again to be gone, in seconds.
    type: int
    default: 300
seealso:
  - module: kubevirt.lifecycle.kubevirt_info
  - module: kubevirt.lifecycle.kubevirt_upgrade
"""

EXAMPLES = r"""
- name: See what would go and what would stay
  kubevirt.lifecycle.kubevirt_remove:
    backup_dir: /srv/backup
  check_mode: true
  register: removal
  failed_when: removal.inventory is not defined

- name: Remove KubeVirt from a cluster on which people have nothing
  kubevirt.lifecycle.kubevirt_remove:
    backup_dir: /srv/backup

- name: Remove it with its virtual machines, and keep their disks
  kubevirt.lifecycle.kubevirt_remove:
    backup_dir: /srv/backup
    confirm: "6b6e7f9e-2f0f-4f59-9f0a-0f4b8f4a1c7e:12 VMs:14 disks"

- name: Remove everything, the disks and the namespace too
  kubevirt.lifecycle.kubevirt_remove:
    backup: false
    disks: remove
    remove_namespace: true
    confirm: "6b6e7f9e-2f0f-4f59-9f0a-0f4b8f4a1c7e:12 VMs:14 disks"

- name: Finish a removal that hangs because somebody deleted the operator first
  kubevirt.lifecycle.kubevirt_remove:
    backup_dir: /srv/backup
    repair: finalizers
    manifest: /srv/kubevirt/v1.8.4/kubevirt-operator.yaml
"""

RETURN = r"""
cluster:
  description: Which cluster answered.
  returned: when the cluster was read
  type: dict
  contains:
    endpoint:
      description: The address of its API server.
      type: str
    uid:
      description: The UID of its namespace kube-system, which stands for the cluster.
      type: str
state:
  description: The state of KubeVirt at the end, or in check mode now; see M(kubevirt.lifecycle.kubevirt_info).
  returned: when the cluster was read
  type: str
  sample: absent
from_version:
  description: The version of KubeVirt's control plane before.
  returned: when the cluster was read
  type: str
  sample: v1.8.4
to_version:
  description: Nothing; it is there because all modules return it.
  returned: when the cluster was read
  type: str
path:
  description: Empty; it is there because all modules return it.
  returned: when the cluster was read
  type: list
  elements: dict
actions:
  description: The steps in their order; in a run that stopped, those that were done.
  returned: when the cluster was read
  type: list
  elements: dict
  contains:
    action:
      description:
        - V(back-up), V(repair), V(wait-installed), V(delete-maker), V(stop-vm), V(delete-vm), V(delete-kubevirt), V(wait-deleted),
          V(delete-leftover), V(delete-operator), V(clean-node), V(delete-namespace) or V(prove).
      type: str
    object:
      description: The object.
      type: str
    reason:
      description: Why, or how.
      type: str
inventory:
  description: All that goes and all that stays, as it was before.
  returned: when KubeVirt was looked at
  type: dict
  contains:
    goes:
      description: The kinds of objects that go, those of users first.
      type: list
      elements: dict
      contains:
        kind:
          description: The kind.
          type: str
        count:
          description: How many there are.
          type: int
        names:
          description: Their names, as namespace/name where the kind has namespaces.
          type: list
          elements: str
    stays:
      description: The same of what stays.
      type: list
      elements: dict
    disks:
      description: The disks that belong to virtual machines, so that Kubernetes deletes them with these.
      type: list
      elements: dict
      contains:
        claim:
          description: The PersistentVolumeClaim, as namespace/name.
          type: str
        data_volume:
          description: The DataVolume, if there is one.
          type: str
        owner:
          description: What owns it.
          type: str
        uid:
          description: The UID of the PersistentVolumeClaim.
          type: str
        volume:
          description: The PersistentVolume.
          type: str
confirm:
  description: The phrase to give as O(confirm), if what is in the inventory may go. Empty where none is needed.
  returned: when KubeVirt was looked at
  type: str
  sample: "6b6e7f9e-2f0f-4f59-9f0a-0f4b8f4a1c7e:12 VMs:14 disks"
backup:
  description: The backup that this run has written. Empty where it wrote none.
  returned: when KubeVirt was looked at
  type: dict
  contains:
    path:
      description: Its directory.
      type: str
    counts:
      description: How many objects of each kind are in it.
      type: dict
kept:
  description: The disks of virtual machines that this run has taken away. They were verified to be there, and the same as before.
  returned: when KubeVirt was looked at
  type: list
  elements: dict
  contains:
    vm:
      description: Whose it was, as namespace/name.
      type: str
    claim:
      description: The PersistentVolumeClaim, as namespace/name.
      type: str
    uid:
      description: Its UID.
      type: str
    volume:
      description: Its PersistentVolume.
      type: str
removed:
  description: What this run has deleted itself, and the nodes that it has cleaned.
  returned: when KubeVirt was looked at
  type: list
  elements: str
left:
  description: What the search at the end found of KubeVirt.
  returned: when KubeVirt was looked at
  type: list
  elements: dict
  contains:
    object:
      description: The object.
      type: str
    reason:
      description: Why it is still there.
      type: str
stays:
  description: What stays because the options say so, because a person set it, or because others use it.
  returned: when KubeVirt was looked at
  type: list
  elements: dict
  contains:
    object:
      description: The object.
      type: str
    reason:
      description: Why it stays.
      type: str
searched:
  description: How far the search at the end went.
  returned: when the run came to its end
  type: dict
  contains:
    kinds:
      description: How many kinds of objects were searched.
      type: int
    requests:
      description: How many requests that took.
      type: int
findings:
  description: What a person should know; in a failed run the cause first.
  returned: when the cluster was read
  type: list
  elements: dict
  contains:
    id:
      description: The stable id, for O(accept) and for the documentation.
      type: str
    level:
      description: V(info), V(warning) or V(blocker).
      type: str
    object:
      description: The object that it is about.
      type: str
    cause:
      description: Why it is so.
      type: str
    evidence:
      description: What was seen.
      type: str
    fix:
      description: What to do.
      type: str
    url:
      description: Its page.
      type: str
    acceptable:
      description: Whether O(accept) can name it.
      type: bool
page:
  description: The same for people, as lines of text.
  returned: when the cluster was read
  type: list
  elements: str
elapsed:
  description: How long it took, in seconds.
  returned: when the cluster was read
  type: float
"""

from ansible_collections.kubevirt.lifecycle.plugins.module_utils.module_run import run_as_module
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import remove


def main() -> None:
    """Run the operation with the module's options."""
    run_as_module(remove.ARGUMENT_SPEC, remove.run)


if __name__ == "__main__":
    main()
