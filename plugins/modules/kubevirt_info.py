#!/usr/bin/python
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What KubeVirt in a cluster is and how it is doing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubevirt_info
short_description: Show the version and the state of KubeVirt in a cluster
version_added: 0.1.0
description:
  - Finds the KubeVirt object in any namespace and says what is deployed, how it is doing, who manages it, and how many
    virtual machines run on launchers of an older version.
  - Reads only.
author:
  - The kubevirt.lifecycle maintainers (@kubevirt)
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - kubevirt.lifecycle.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: Nothing is changed.
  idempotent:
    support: full
options:
  name:
    description: Look only for the KubeVirt object of this name.
    type: str
  namespace:
    description: Look only in this namespace.
    type: str
seealso:
  - module: kubevirt.lifecycle.kubevirt_upgrade
"""

EXAMPLES = r"""
- name: See how KubeVirt is doing
  kubevirt.lifecycle.kubevirt_info:
  register: kubevirt

- name: Stop unless it is healthy
  ansible.builtin.assert:
    that: kubevirt.state == 'healthy'
    fail_msg: "{{ kubevirt.explanation }}"

- name: Look at one cluster of a kubeconfig, and be sure that it is the right one
  kubevirt.lifecycle.kubevirt_info:
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
kubernetes_version:
  description: The version of its API server.
  returned: success
  type: str
  sample: v1.34.4
state:
  description:
    - V(absent), V(installing), V(healthy), V(updating), V(degraded), V(failed) or V(deleting).
    - Told from the conditions of every KubeVirt since 0.17.
  returned: success
  type: str
  sample: healthy
explanation:
  description: One sentence on why the state is what it is.
  returned: success
  type: str
from_version:
  description: The version that is deployed.
  returned: success
  type: str
  sample: v1.7.0
to_version:
  description: The version that the operator works towards.
  returned: success
  type: str
  sample: v1.8.4
kubevirts:
  description: All KubeVirt objects that were found. More than one is an error in the cluster.
  returned: success
  type: list
  elements: str
  sample: ["KubeVirt kubevirt/kubevirt"]
kubevirt:
  description: What the KubeVirt object and its operator say; empty unless there is exactly one.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    namespace:
      description: Its namespace.
      type: str
    phase:
      description: Its phase. It stays Deployed during an update.
      type: str
    operator_version:
      description: The version of the virt-operator that leads.
      type: str
    operator_declared_version:
      description: The version that Deployment virt-operator asks for.
      type: str
    observed_version:
      description: The version that was deployed last.
      type: str
    target_version:
      description: The version that is to be deployed.
      type: str
    observed_registry:
      description: Where the deployed images come from.
      type: str
    target_registry:
      description: Where the images to be deployed come from.
      type: str
    operator_registry:
      description: Where the operator's own image comes from.
      type: str
    image_tag:
      description: The version that spec.imageTag pins.
      type: str
    image_registry:
      description: The registry that spec.imageRegistry pins.
      type: str
    uninstall_strategy:
      description: What spec.uninstallStrategy says, or its default.
      type: str
    workload_update_strategy:
      description: What spec.workloadUpdateStrategy says.
      type: dict
    held_workload_update_methods:
      description: The methods that an unfinished run remembered; null when none is unfinished.
      type: list
      elements: str
    conditions:
      description: Its conditions.
      type: list
      elements: dict
workloads:
  description: How many virtual machines there are.
  returned: success
  type: dict
  contains:
    vms:
      description: VirtualMachine objects.
      type: int
    vmis:
      description: VirtualMachineInstance objects, which are the running ones.
      type: int
    outdated:
      description: VirtualMachineInstances whose launcher is of an older version.
      type: int
owners:
  description: Tools that manage KubeVirt here, by the marks that they leave.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The id of the finding that an upgrade would raise.
      type: str
    name:
      description: The tool.
      type: str
    object:
      description: The object with the mark.
      type: str
    mark:
      description: The mark.
      type: str
    change_there:
      description: Where to change KubeVirt's version instead.
      type: str
findings:
  description: What a person should know.
  returned: success
  type: list
  elements: dict
path:
  description: Always empty; the key is there because all modules return it.
  returned: success
  type: list
  elements: dict
actions:
  description: Always empty; the key is there because all modules return it.
  returned: success
  type: list
  elements: dict
page:
  description: The same for people, as lines of text.
  returned: success
  type: list
  elements: str
elapsed:
  description: How long it took, in seconds.
  returned: success
  type: float
"""

from ansible_collections.kubevirt.lifecycle.plugins.module_utils.module_run import run_as_module
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import info


def main() -> None:
    """Run the operation with the module's options."""
    run_as_module(info.ARGUMENT_SPEC, info.run)


if __name__ == "__main__":
    main()
