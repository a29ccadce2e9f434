# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. One read of the VMs, and of what decides whether live migrations can work at all."""

from __future__ import annotations

from dataclasses import dataclass

from ..cluster.api import Api, Json
from ..cluster.errors import Forbidden, NotFound
from ..knowledge.cluster_facts import kubevirt_facts
from ..knowledge.guests import Guest, default_eviction_strategy, guest_of, run_strategies_of
from ..knowledge.versions import Version
from .observe import Facts
from .upgrade_wish import running_version

SCHEDULABLE = "kubevirt.io/schedulable=true"
"""virt-handler sets this label on its node, and keeps it current."""
GATES = {"LiveMigration", "SRIOVLiveMigration"}
GATE_UNTIL = Version(0, 56, 0)
"""From then on live migration is always on (pkg/virt-config/feature-gates.go)."""


@dataclass(frozen=True)
class GuestFacts:
    """The VMs of a cluster.

    Attributes:
        guests: All VirtualMachineInstances, by namespace and name.
        vm_nodes: How many nodes are ready to take VMs; None where nodes may not be read.
        gate_off: Live migration is behind a feature gate in this version, and that is off.
    """

    guests: tuple[Guest, ...] = ()
    vm_nodes: int | None = None
    gate_off: bool = False

    @property
    def can_migrate(self) -> bool:
        """Whether live migrations can work at all."""
        return not self.gate_off and (self.vm_nodes is None or self.vm_nodes > 1)


def guest_facts_of(api: Api, facts: Facts) -> GuestFacts:
    """The VMs as they are now. Of each only what a ``Guest`` holds is kept, for there may be ten thousand.

    Args:
        api: The cluster.
        facts: From ``observe``, with a KubeVirt object.
    """
    kubevirt = facts.kubevirt or {}
    default = default_eviction_strategy(kubevirt)
    try:
        run_strategies = run_strategies_of(api.objects(f"{facts.api}/virtualmachines"))
        guests = [guest_of(vmi, run_strategies, default) for vmi in api.objects(f"{facts.api}/virtualmachineinstances")]
    except NotFound:  # virt-operator makes the kinds
        guests = []
    return GuestFacts(
        guests=tuple(sorted(guests, key=lambda guest: (guest.namespace, guest.name))),
        vm_nodes=_vm_nodes(api),
        gate_off=_gate_off(facts, kubevirt),
    )


def _vm_nodes(api: Api) -> int | None:
    try:
        return sum(_is_ready(node) for node in api.objects("/api/v1/nodes", label_selector=SCHEDULABLE))
    except Forbidden:
        return None


def _is_ready(node: Json) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    is_ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return is_ready and not (node.get("spec") or {}).get("unschedulable")


def _gate_off(facts: Facts, kubevirt: Json) -> bool:
    version = running_version(facts)
    gates = kubevirt_facts(kubevirt, "")["feature_gates"] if kubevirt else []
    return version is not None and version < GATE_UNTIL and GATES.isdisjoint(gates)
