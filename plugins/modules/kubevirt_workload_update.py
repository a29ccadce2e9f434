#!/usr/bin/python
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Move running VMs to the launcher of the KubeVirt that runs: first one of each class, then more, then all."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubevirt_workload_update
short_description: Move running virtual machines to the virt-launcher of the running KubeVirt, and prove it on one first
version_added: 0.1.0
description:
  - Migrates one virtual machine of each class first, one after the other, and verifies each. A class is virtual machines with the same CPU
    model, machine type, old launcher, sorts of disks and networks, and one or several vCPUs. One that does not arrive well stops
    everything, with the reason that KubeVirt gives.
  - Then migrates small shares of them, then sets the wanted strategy, by which KubeVirt's own updater does the rest, and follows that.
  - Meanwhile KubeVirt's own updater is held still. The wanted strategy stands in the end, also when a run was killed and started again.
  - A virtual machine that runs in two places at once stops all writes.
  - Marks on virtual machines say that one is skipped, goes last, or is moved in a window of the day only. See
    U(https://github.com/kubevirt/kubevirt.lifecycle/blob/main/docs/guide/workloads.md).
  - The control plane must be at rest; it is not touched.
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
    details: Sends no request that writes, and predicts the steps of a run. Whether a virtual machine arrives cannot be predicted.
  diff_mode:
    support: full
    details: Shows the strategy before and after.
  idempotent:
    support: full
options:
  methods:
    description:
      - How virtual machines are moved. V(LiveMigrate) migrates those that can be migrated. V(Evict) shuts virtual machines down; their
        VirtualMachine starts them again if its run strategy is Always. With both, those that can be migrated are migrated, and the others
        are evicted.
      - With V(Evict) alone no canary is tried, because there is nothing to migrate.
    type: list
    elements: str
    required: true
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
  canary_max:
    description:
      - How many classes are tried on one virtual machine each, the largest first. RV(unproven) names the others.
      - A class of which a virtual machine was migrated already needs none.
    type: int
    default: 10
  widen:
    description:
      - The shares that are migrated after the canaries, in percent of the virtual machines that can be migrated, before KubeVirt's own
        updater does the rest.
    type: list
    elements: int
    default: [5, 25]
  soak:
    description: For how long to watch after each stage before the next one, in seconds.
    type: int
    default: 60
  failure_budget:
    description:
      - How many virtual machines may fail to be moved. One more stops the run and leaves the methods empty.
      - While the module migrates them by itself, exactly one more has failed then. When KubeVirt's own updater is at work, up to
        C(parallelMigrationsPerCluster) more may fail until it stops.
    type: int
    default: 3
  gates:
    description:
      - A file of gates, which are conditions of your own on objects in the cluster; or its text. They must hold before the first virtual
        machine is moved and after each canary.
        See U(https://github.com/kubevirt/kubevirt.lifecycle/blob/main/docs/risks.md).
    type: str
  accept:
    description:
      - Ids of findings that must not stop the run. Each id is one decision; there is no way to accept everything.
      - An id that does not exist is an error, one that is not raised here is not, so that many clusters can share a list.
    type: list
    elements: str
    default: []
  wait:
    description: Whether to follow KubeVirt's own updater to the end. What the module migrates by itself is always followed.
    type: bool
    default: true
  wait_timeout:
    description: For how long all of it may take at most, in seconds.
    type: int
    default: 86400
  stall_timeout:
    description: For how long nothing may move (no migration begins, changes or ends, no virtual machine arrives), in seconds.
    type: int
    default: 900
  migration_timeout:
    description:
      - For how long one migration may take, in seconds. One that takes longer is called off, and its virtual machine has failed.
      - It is also for how long to wait for migrations that others have started.
    type: int
    default: 900
seealso:
  - module: kubevirt.lifecycle.kubevirt_workload_strategy
  - module: kubevirt.lifecycle.kubevirt_upgrade
"""

EXAMPLES = r"""
- name: Move what can be migrated, and list the rest
  kubevirt.lifecycle.kubevirt_workload_update:
    methods: [LiveMigrate]

- name: Move what can be migrated, and restart the rest, five every two minutes
  kubevirt.lifecycle.kubevirt_workload_update:
    methods: [LiveMigrate, Evict]
    batch_eviction_size: 5
    batch_eviction_interval: 2m

- name: See which virtual machines would go first, and which would be left
  kubevirt.lifecycle.kubevirt_workload_update:
    methods: [LiveMigrate]
  check_mode: true
  register: moving

- name: Move carefully
  kubevirt.lifecycle.kubevirt_workload_update:
    methods: [LiveMigrate]
    widen: [1, 5, 20, 50]
    soak: 600
    failure_budget: 0
    gates: gates.yml
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
  description: The version of KubeVirt's control plane.
  returned: when the cluster was read
  type: str
  sample: v1.8.4
to_version:
  description: The same; this module does not change it.
  returned: when the cluster was read
  type: str
  sample: v1.8.4
path:
  description: Empty; it is there because all modules return it.
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
      description:
        - V(hold-workload-updates), V(drain-migrations), V(canary), V(widen), V(set-strategy), V(leave-methods-empty) or
          V(follow-updates).
      type: str
    object:
      description: The object.
      type: str
    reason:
      description: Why.
      type: str
strategy:
  description: C(spec.workloadUpdateStrategy) as it is in the end.
  returned: when the virtual machines were read
  type: dict
vms:
  description: How many virtual machines there are.
  returned: when the virtual machines were read
  type: dict
  contains:
    running:
      description: Those that run.
      type: int
    outdated:
      description: Those of them that are on an older launcher, at the end.
      type: int
    marked:
      description: Those of them that carry a mark.
      type: int
canaries:
  description: The virtual machines that go first, as namespace/name.
  returned: when the virtual machines were read
  type: list
  elements: str
unproven:
  description: The classes that get no canary because there are more than O(canary_max).
  returned: when the virtual machines were read
  type: list
  elements: str
moved:
  description: How many virtual machines are on a launcher of the running KubeVirt now that were not when the run began.
  returned: when the virtual machines were read
  type: int
rate:
  description: How many that were a minute.
  returned: when the virtual machines were read
  type: float
failures:
  description: The virtual machines that could not be moved.
  returned: when the virtual machines were read
  type: list
  elements: dict
  contains:
    vm:
      description: Namespace/name.
      type: str
    reason:
      description: Why, in KubeVirt's own words where it gives any.
      type: str
rest:
  description: The virtual machines that stay on an older launcher; in check mode those that would.
  returned: when the virtual machines were read
  type: list
  elements: dict
  contains:
    vm:
      description: Namespace/name.
      type: str
    reason:
      description: Why.
      type: str
    fix:
      description: What to do.
      type: str
    restart:
      description: Whether only a restart brings it to the new launcher.
      type: bool
cold_restart:
  description: Those of them that only a restart helps, for their owners.
  returned: when the virtual machines were read
  type: list
  elements: dict
  contains:
    vm:
      description: Namespace/name.
      type: str
    reason:
      description: Why it cannot be migrated.
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
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import workload_update


def main() -> None:
    """Run the operation with the module's options."""
    run_as_module(workload_update.ARGUMENT_SPEC, workload_update.run)


if __name__ == "__main__":
    main()
