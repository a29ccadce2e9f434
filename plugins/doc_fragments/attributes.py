# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Documentation that the modules share."""

from __future__ import annotations


class ModuleDocFragment:
    """What every module of the collection needs, takes and promises."""

    DOCUMENTATION = r"""
options:
  expected_cluster_uid:
    description:
      - The UID of the namespace C(kube-system) of the cluster that is meant. In any other cluster nothing is done.
      - Every result has it as RV(ignore:cluster.uid).
    type: str
requirements:
  - python >= 3.10
  - kubernetes >= 28.1 (not 36.0.0)
notes:
  - The cluster is named by the authentication options, or by the C(K8S_AUTH_*) environment variables, or by the default
    kubeconfig, never by a mixture. Options together with variables are an error, because they could name two clusters.
  - O(kubeconfig) is looked up on the controller, a relative path where Ansible looks for files, and may be vaulted. Where the
    controller does not have it, it is a path on the target.
  - With the connection P(ansible.builtin.local#connection), as the same user and not asynchronous, it runs in the controller's own
    process and shows a line for each change. Otherwise it runs as any module, with the same result.
attributes:
  check_mode:
    description: Predicts what a run would change, and changes nothing.
  diff_mode:
    description: Shows what differs, before and after.
  idempotent:
    description: A second run changes nothing.
  action_group:
    description: Use C(group/kubevirt.lifecycle.all) in C(module_defaults) to set the authentication options of all modules.
    support: full
    membership:
      - kubevirt.lifecycle.all
"""
