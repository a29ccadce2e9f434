#!/usr/bin/python
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Upgrade KubeVirt's control plane, and plan the way to a version over several hops."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubevirt_upgrade
short_description: Plan an upgrade of the control plane of KubeVirt, and make its first hop
version_added: 0.1.0
description:
  - Finds the way to the wanted version over every minor version in between, and makes the first hop of it. The role
    P(kubevirt.lifecycle.kubevirt_upgrade#role) makes them all.
  - Applies the operator's manifest of the hop's version by server-side apply, follows the roll-out by watching, and is done when
    the KubeVirt object and all of its parts say so, for 15 seconds.
  - Running virtual machines are not touched. They stay on the virt-launcher that started them until they are moved or restarted.
  - Everything that speaks against the upgrade is found and named before the first change.
  - The workload update methods of the KubeVirt object are emptied before the first change and put back at the end, because
    migrations that race with the roll-out of virt-handler can end virtual machines.
  - A run that was stopped at any point can simply be started again; it goes on from the state of the cluster.
  - While it works it holds a Lease beside the KubeVirt object, so that two runs do not work on the same cluster. One that a killed run
    left is taken over after 30 seconds. The user needs create, get, update and delete of C(leases.coordination.k8s.io) in that namespace.
author:
  - The kubevirt.lifecycle maintainers (@kubevirt)
requirements:
  - jmespath
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - kubevirt.lifecycle.attributes
attributes:
  check_mode:
    support: full
    details: Sends no request that writes, not even a dry run, and predicts the same changes that a run makes.
  diff_mode:
    support: full
    details: The schema of a CustomResourceDefinition is shown as its size and checksum.
  idempotent:
    support: full
options:
  version:
    description:
      - The version to go to, for example V(v1.8.4).
      - KubeVirt supports a later patch of the running minor version, and the next minor version; nothing else. To a version further
        on leads a path of several hops, which RV(path) names. One run makes the first of them.
    type: str
    required: true
  path:
    description:
      - The versions to stop at on the way, in their order, the last one being O(version). Those that are behind the running version
        are left out, so that a run can be repeated.
      - The default is the latest patch of every minor version in between.
    type: list
    elements: str
    default: []
  releases:
    description:
      - A file that says which releases of KubeVirt there are besides, or instead of, those that this collection knows; or its text.
        See U(https://github.com/kubevirt/kubevirt.lifecycle/blob/main/docs/releases.md).
    type: str
  risks:
    description:
      - A file of risks besides those that the collection knows; or its text.
        See U(https://github.com/kubevirt/kubevirt.lifecycle/blob/main/docs/risks.md).
    type: str
  gates:
    description:
      - A file of gates, which are conditions of your own on objects in the cluster; or its text. See the same page.
    type: str
  method:
    description:
      - How to update the control plane.
      - V(operator) applies the manifest of the wanted version, and KubeVirt follows its operator.
      - V(image_tag) moves C(spec.imageTag) of the KubeVirt object only, and the running operator brings KubeVirt there. The manifest is
        read to compare the permissions. Most steps to a later minor version need permissions that the running operator does not have,
        and operators of 0.58.1 to 1.6 install their own manifests with the other version's images; both are refused.
      - V(auto) is V(image_tag) where C(spec.imageTag) holds KubeVirt behind an operator that is new enough already, and V(operator)
        elsewhere.
    type: str
    choices:
      - auto
      - operator
      - image_tag
    default: auto
  pin:
    description:
      - What becomes of C(spec.imageTag), where it is set. V(keep) sets it to the wanted version, once the operator of that version works.
        V(remove) takes it away, so that KubeVirt follows its operator.
      - C(spec.imageRegistry) stays as it is.
    type: str
    choices:
      - keep
      - remove
    default: keep
  manifest:
    description:
      - The C(kubevirt-operator.yaml) of that version, as a path, an C(https://) address, or its text.
      - For a path of several hops, a path or address with C({version}) in it, or a folder with C(v1.8.4/kubevirt-operator.yaml) and
        so on. All are read and checked before the first write.
      - A path is looked up on the controller, relative ones where Ansible looks for files. The file may be vaulted.
      - The default is the address of KubeVirt's own release.
    type: str
  manifest_checksum:
    description: What the manifest's checksum must be, as V(sha256:<hex>) or V(sha512:<hex>). Only for a path of one hop.
    type: str
  manifest_validate_certs:
    description: Whether the certificate of the manifest's address is checked.
    type: bool
    default: true
  manifest_ca_path:
    description: A file of CA certificates for the manifest's address.
    type: path
  manifest_namespace:
    description: The namespace of KubeVirt, where the manifest names another one. The manifest is changed accordingly.
    type: str
  image_registry:
    description:
      - Where the images come from, for example V(registry.example.com/kubevirt). The image and every image variable of the
        operator are changed accordingly.
      - Without it, a manifest whose registry is not that of the running operator is refused.
    type: str
  strict_patches:
    description: Refuse a version that is not the latest known patch of its minor version. Otherwise that is a warning.
    type: bool
    default: false
  workload_methods_after:
    description:
      - Whether the workload update methods are put back when the hop is done (V(restore)), or stay empty (V(leave_empty)).
    type: str
    choices:
      - restore
      - leave_empty
    default: restore
  accept:
    description:
      - Ids of findings that must not stop the run. Each id is one decision; there is no way to accept everything.
      - An id that does not exist is an error, one that is not raised here is not, so that many clusters can share a list.
    type: list
    elements: str
    default: []
  wait:
    description:
      - Whether to wait until the hop is done.
      - Without waiting, the workload update methods stay held until a later run finishes. Where the version is pinned, the operator's
        roll-out is waited for all the same, because the pin can be moved only then.
    type: bool
    default: true
  wait_timeout:
    description: For how long to wait at most, in seconds.
    type: int
    default: 3600
  stall_timeout:
    description: For how long nothing may move (no pod gets ready, no condition changes, no image arrives), in seconds.
    type: int
    default: 900
  migration_drain_timeout:
    description: For how long to wait for live migrations that are running before the upgrade starts, in seconds.
    type: int
    default: 600
  bundle_dir:
    description:
      - A directory for a bundle, where the upgrade stops after it has begun. The bundle is a new directory in it, named by the
        cluster's UID and the time, which only this user can read. It holds the result, the findings as Markdown, the objects, events,
        versions and nodes, and the ends of the logs of virt-operator and of containers that are not ready. Secrets are removed.
      - It is written on the machine where the module runs. That is the controller only if the connection is V(local). A relative
        path begins at the working directory there.
      - The directory is made if it does not exist, but not those above it. One that cannot be used is an error before the first write.
      - No bundle is written in check mode, nor where the upgrade is refused before any change.
    type: path
seealso:
  - module: kubevirt.lifecycle.kubevirt_info
"""

EXAMPLES = r"""
- name: Upgrade to the next minor version
  kubevirt.lifecycle.kubevirt_upgrade:
    version: v1.8.4

- name: See the whole way, and what speaks against each hop
  kubevirt.lifecycle.kubevirt_upgrade:
    version: v1.9.0
    risks: risks.yml
    gates: gates.yml
  check_mode: true
  diff: true

- name: Follow the operator, which was upgraded already, and no longer pin the version
  kubevirt.lifecycle.kubevirt_upgrade:
    version: v1.8.4
    method: image_tag
    pin: remove

- name: Upgrade without access to the internet
  kubevirt.lifecycle.kubevirt_upgrade:
    version: v1.8.4
    manifest: /srv/kubevirt/v1.8.4/kubevirt-operator.yaml
    image_registry: registry.example.com/kubevirt

- name: Upgrade, and keep what shows why if it stops on its way
  kubevirt.lifecycle.kubevirt_upgrade:
    version: v1.8.4
    bundle_dir: /var/tmp/kubevirt

- name: Upgrade one cluster of a kubeconfig, and be sure that it is the right one
  kubevirt.lifecycle.kubevirt_upgrade:
    version: v1.8.4
    kubeconfig: ~/.kube/config
    context: berlin
    expected_cluster_uid: 6b6e7f9e-2f0f-4f59-9f0a-0f4b8f4a1c7e
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
  sample: healthy
from_version:
  description: The version that was deployed before.
  returned: when the cluster was read
  type: str
  sample: v1.7.0
to_version:
  description: The version that was asked for.
  returned: when the cluster was read
  type: str
  sample: v1.8.4
path:
  description:
    - The hops to the wanted version; empty when KubeVirt is there already. One run makes the first. A blocker of a later hop stops the
      run as well, as long as it is not accepted.
  returned: when the cluster was read
  type: list
  elements: dict
  contains:
    from:
      description: The version before the hop.
      type: str
    to:
      description: The version after it.
      type: str
    method:
      description: How it is made, V(operator) or V(image_tag); see O(method).
      type: str
    why:
      description: Why the path stops at this version.
      type: str
    kubernetes:
      description: What Kubernetes needs first, or why it does not fit; empty when it fits.
      type: str
    findings:
      description: What was found for this hop.
      type: list
      elements: dict
    projected:
      description: Whether the findings were made before the hops in front of this one.
      type: bool
actions:
  description: The steps in their order.
  returned: when the cluster was read
  type: list
  elements: dict
  contains:
    action:
      description:
        - V(hold-workload-updates), V(drain-migrations), V(apply), V(wait-operator), V(set-image-tag), V(remove-image-tag), V(wait) or
          V(restore-workload-updates).
      type: str
    object:
      description: The object.
      type: str
    reason:
      description: Why.
      type: str
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
next:
  description: The command that goes on from here; empty when nothing is left to do, or when the run was refused.
  returned: when the cluster was read
  type: str
  sample: ansible-playbook kubevirt.lifecycle.upgrade -e kubevirt_version=v1.8.4
failure:
  description: What made the run fail, small enough to be handed on; empty when it did not.
  returned: when the cluster was read
  type: dict
  contains:
    id:
      description: The id of the finding; empty where there is none, such as for a write that the API server rejected.
      type: str
    object:
      description: The object that it is about.
      type: str
    cause:
      description: Why it is so.
      type: str
    fix:
      description: What to do.
      type: str
    url:
      description: The finding's page.
      type: str
objects:
  description:
    - The objects that show why an upgrade stopped that had begun, the one of the failing finding first; empty elsewhere. These are the
      KubeVirt object, Deployment virt-operator, operands and pods that are not ready, Jobs that have failed, and the latest events
      of type Warning in their namespace.
    - At most 20, each of at most 3000 characters of JSON; C(trimmed) says what is left out of a larger one. Secrets are removed.
  returned: when the cluster was read
  type: list
  elements: dict
bundle:
  description: The directory that was written into O(bundle_dir); empty when there is none.
  returned: when the cluster was read
  type: str
  sample: /var/tmp/kubevirt/6b6e7f9e-20260131T021500Z
unread:
  description: What could not be read for RV(objects) and RV(bundle), or not be written, and why.
  returned: when the cluster was read
  type: list
  elements: str
page:
  description: The same for people, as lines of text.
  returned: when the cluster was read
  type: list
  elements: str
markdown:
  description: The same as a document in Markdown, for a ticket or a review.
  returned: when the cluster was read
  type: str
elapsed:
  description: How long it took, in seconds.
  returned: when the cluster was read
  type: float
"""

from ansible_collections.kubevirt.lifecycle.plugins.module_utils.module_run import run_as_module
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import upgrade


def main() -> None:
    """Run the operation with the module's options."""
    run_as_module(upgrade.ARGUMENT_SPEC, upgrade.run)


if __name__ == "__main__":
    main()
