#!/usr/bin/python
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How KubeVirt moves running VMs to new launchers by itself, and what that means for each VM."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubevirt_workload_strategy
short_description: Say how KubeVirt moves running virtual machines to new launchers by itself
version_added: 0.1.0
description:
  - Sets C(spec.workloadUpdateStrategy) of the KubeVirt object, which is how KubeVirt itself moves running virtual machines to the
    virt-launcher of its version; or removes it.
  - Says of each virtual machine what will happen to it under the wanted methods, and why, before anything is changed. With
    C(check_mode) it is a report that changes nothing.
  - From KubeVirt 0.39.0 on. Fields of the strategy that this collection does not know are kept.
  - Virtual machines that would not come back after an eviction stop it; their findings can be accepted by name.
  - It does not wait until the virtual machines are moved.
author:
  - The kubevirt.lifecycle maintainers (@kubevirt)
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - kubevirt.lifecycle.attributes
attributes:
  check_mode:
    support: full
    details: Sends no request that writes, not even a dry run, and predicts the same changes that a run makes.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) makes the strategy what the other options say. V(absent) removes it, and KubeVirt moves nothing by itself.
    type: str
    choices:
      - present
      - absent
    default: present
  methods:
    description:
      - How virtual machines are moved. V(LiveMigrate) migrates those that can be migrated. V(Evict) shuts virtual machines down; their
        VirtualMachine starts them again if its run strategy is Always. With both, those that can be migrated are migrated, and the others
        are evicted. With V(Evict) alone all are evicted.
      - An empty list stands for no method. Virtual machines then stay on the virt-launcher that started them.
      - Required with O(state=present). The order means nothing.
    type: list
    elements: str
    choices:
      - LiveMigrate
      - Evict
    aliases:
      - workloadUpdateMethods
      - workload_update_methods
  batch_eviction_size:
    description:
      - How many virtual machines are evicted at a time, at least 1. KubeVirt's default is 10.
      - Without it, what is there stays.
    type: int
    aliases:
      - batchEvictionSize
      - batchEvictSize
      - batch_evict_size
  batch_eviction_interval:
    description:
      - The time from one batch of evictions to the next, for example V(90s), V(1m30s) or V(1h). KubeVirt's default is V(1m0s).
      - Without it, what is there stays.
    type: str
    aliases:
      - batchEvictionInterval
      - batchEvictInterval
      - batch_evict_interval
  name:
    description: Look only for the KubeVirt object of this name.
    type: str
  namespace:
    description: Look only in this namespace.
    type: str
  accept:
    description:
      - Ids of findings that must not stop the run. Each id is one decision; there is no way to accept everything.
      - An id that does not exist is an error, one that is not raised here is not, so that many clusters can share a list.
    type: list
    elements: str
    default: []
  list_vms:
    description: How many virtual machines RV(vms.listed) holds at most. The totals are of all.
    type: int
    default: 100
  wait:
    description: Whether to wait until virt-operator has taken the change in, for a minute at most. It replaces no pod for it.
    type: bool
    default: true
seealso:
  - module: kubevirt.lifecycle.kubevirt_upgrade
  - module: kubevirt.lifecycle.kubevirt_info
"""

EXAMPLES = r"""
- name: Migrate what can be migrated, and leave the rest
  kubevirt.lifecycle.kubevirt_workload_strategy:
    methods: [LiveMigrate]

- name: Migrate what can be migrated, and restart the rest, five every two minutes
  kubevirt.lifecycle.kubevirt_workload_strategy:
    methods: [LiveMigrate, Evict]
    batch_eviction_size: 5
    batch_eviction_interval: 2m

- name: See what would happen to each virtual machine
  kubevirt.lifecycle.kubevirt_workload_strategy:
    methods: [LiveMigrate, Evict]
    list_vms: 1000
  check_mode: true
  register: strategy

- name: Show it
  ansible.builtin.debug:
    var: strategy.page

- name: Stop moving virtual machines
  kubevirt.lifecycle.kubevirt_workload_strategy:
    methods: []

- name: Evict although some virtual machines will stay down
  kubevirt.lifecycle.kubevirt_workload_strategy:
    methods: [LiveMigrate, Evict]
    accept: [workloads.evict-leaves-vm-down]

- name: Remove the strategy
  kubevirt.lifecycle.kubevirt_workload_strategy:
    state: absent
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
  description: The version of KubeVirt.
  returned: when the cluster was read
  type: str
  sample: v1.8.4
to_version:
  description: The same; the key is there because all modules return it.
  returned: when the cluster was read
  type: str
  sample: v1.8.4
strategy_before:
  description: The strategy before; empty where there was none.
  returned: when the KubeVirt object was looked for
  type: dict
  sample: {workloadUpdateMethods: [LiveMigrate]}
strategy:
  description: The strategy that was asked for, with what is kept of the one before; empty for none.
  returned: when the KubeVirt object was looked for
  type: dict
  sample: {workloadUpdateMethods: [LiveMigrate, Evict], batchEvictionSize: 5, batchEvictionInterval: 2m0s}
vms:
  description: What happens to the running virtual machines under the methods that were asked for.
  returned: when the KubeVirt object was looked for
  type: dict
  contains:
    total:
      description: How many VirtualMachineInstances there are.
      type: int
    to_be_moved:
      description: How many of them KubeVirt wants to move, because their launcher is outdated or a change is pending.
      type: int
    by_fate:
      description: How many have each fate, see RV(vms.listed[].fate); those that none has are left out.
      type: dict
      sample: {stays-old: 2, migrated: 31}
    by_launcher:
      description: How many run on each launcher, by the tag of its image.
      type: dict
      sample: {v1.7.0: 33, v1.8.4: 5}
    left_out:
      description: How many are not in RV(vms.listed).
      type: int
    listed:
      description: The virtual machines, those with the worst fate first, up to O(list_vms).
      type: list
      elements: dict
      contains:
        namespace:
          description: The namespace.
          type: str
        name:
          description: The name.
          type: str
        fate:
          description:
            - What happens to it. V(destroyed), V(left-down) and V(restarted) are evicted; V(destroyed) belongs to no VirtualMachine,
              V(left-down) is not started again by its run strategy.
            - V(eviction-refused) is asked to go again and again and never let go. V(left-to-others) has the eviction strategy External.
              V(cannot-migrate) is to be migrated, which cannot work in this cluster.
            - V(stays-old) is left as it is. V(migrated) is migrated, V(migrated-by-eviction) too, because its eviction strategy turns
              an eviction into a migration. V(migrating) is under way, V(up-to-date) and V(not-running) have nothing before them.
          type: str
        why:
          description: Why; empty where the fate says it all.
          type: str
        launcher:
          description: The tag of its launcher's image, which is the version; the whole image where it has no tag.
          type: str
        outdated:
          description: Whether KubeVirt counts its launcher as outdated.
          type: bool
        pending:
          description: Conditions for which KubeVirt moves it whatever its launcher is.
          type: list
          elements: str
        migratable:
          description: Whether it says that it can be migrated.
          type: bool
        not_migratable:
          description: Why it cannot be migrated; empty when it can.
          type: str
        eviction_strategy:
          description: Its own eviction strategy, or that of KubeVirt's configuration.
          type: str
        run_strategy:
          description: The run strategy of its VirtualMachine; empty without one.
          type: str
        belongs_to:
          description: The object that it belongs to; empty for one of its own.
          type: str
        last_migration_failure:
          description: Why its last live migration failed; empty when it did not.
          type: str
path:
  description: Always empty; the key is there because all modules return it.
  returned: when the cluster was read
  type: list
  elements: dict
actions:
  description: The steps in their order.
  returned: when the cluster was read
  type: list
  elements: dict
  contains:
    action:
      description: V(set-strategy), V(remove-strategy) or V(wait).
      type: str
    object:
      description: The object.
      type: str
    reason:
      description: Why.
      type: str
findings:
  description: What a person should know.
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
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import workload_strategy


def main() -> None:
    """Run the operation with the module's options."""
    run_as_module(workload_strategy.ARGUMENT_SPEC, workload_strategy.run)


if __name__ == "__main__":
    main()
