# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The VMs, their launcher pods and their migrations at one moment."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from ..cluster.api import Api, Json
from ..cluster.watch import Source
from ..knowledge import migrations, split_brain
from ..knowledge.guest_classes import Candidate, GuestClass, class_of
from ..knowledge.guests import Guest, default_eviction_strategy, guest_of, run_strategies_of
from ..knowledge.launchers import launcher_image_of
from ..knowledge.moving_pace import PARALLEL_FROM_NODE, PARALLEL_IN_CLUSTER, Limits
from ..knowledge.split_brain import Double
from ..knowledge.update_marks import Mark, mark_of
from .hop import migrations_source
from .observe import Facts

Object = Mapping[str, t.Any]


@dataclass(frozen=True)
class Surroundings:
    """What stays as it is while VMs are moved.

    Attributes:
        deployment: ``status.observedDeploymentID`` of the KubeVirt object.
        launcher: The image of KubeVirt's launchers; empty where it is not known.
        limits: How many migrations KubeVirt lets run at once.
        default_eviction: The eviction strategy of VMs that have none of their own.
        machines: The metadata of each VirtualMachine, by namespace/name.
        run_strategies: The run strategy of each.
    """

    deployment: str
    launcher: str = ""
    limits: Limits = field(default_factory=Limits)
    default_eviction: str | None = None
    machines: Mapping[str, Object] = field(default_factory=dict)
    run_strategies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Vm:
    """A running VM, and what decides whether and when it is moved."""

    guest: Guest
    mark: Mark
    guest_class: GuestClass
    is_ready: bool
    has_agent: bool

    @property
    def name(self) -> str:
        """namespace/name."""
        return self.guest.full_name

    @property
    def is_outdated(self) -> bool:
        """Whether it runs on another launcher than KubeVirt's."""
        return self.guest.running and self.guest.outdated

    @property
    def can_be_migrated(self) -> bool:
        """Whether it is outdated, and a live migration would take it to the new launcher."""
        return self.is_outdated and self.guest.migratable

    def as_candidate(self) -> Candidate:
        """As ``canaries_of`` takes it."""
        return Candidate(self.name, self.guest_class, (self.is_ready, self.has_agent))


@dataclass(frozen=True)
class Scene:
    """One look at all of it. Lists are as the API returns them."""

    surroundings: Surroundings
    vmis: Sequence[Json]
    pods: Sequence[Json]
    migrations: Sequence[Json]
    known: dict[str, tuple[str, Vm]] = field(default_factory=dict)
    """From earlier scenes, by UID and with the resourceVersion: of thousands of VMs few change from one look to the next."""

    @cached_property
    def vms(self) -> dict[str, Vm]:
        """By namespace/name, in that order."""
        return {migrations.key_of(vmi): self._vm(vmi) for vmi in sorted(self.vmis, key=migrations.key_of)}

    def _vm(self, vmi: Json) -> Vm:
        uid, version = vmi["metadata"]["uid"], vmi["metadata"].get("resourceVersion", "")
        known = self.known.get(uid)
        if known is None or known[0] != version:
            known = self.known[uid] = (version, _vm_of(vmi, self.surroundings))
        return known[1]

    @cached_property
    def vmis_by_name(self) -> dict[str, Json]:
        """The VirtualMachineInstances themselves."""
        return {migrations.key_of(vmi): vmi for vmi in self.vmis}

    @cached_property
    def _pods_by_vmi(self) -> dict[str, list[Object]]:
        return split_brain.pods_by_vmi(self.pods)

    @cached_property
    def unfinished(self) -> dict[str, Json]:
        """The migration that is not finished, by the namespace/name of its VM."""
        return {migrations.moved_by(one): one for one in self.migrations if migrations.is_unfinished(one)}

    @cached_property
    def doubles(self) -> list[Double]:
        """The VMs that seem to run twice."""
        return split_brain.doubles(self.vmis, self.pods, self.migrations)

    @property
    def of_others(self) -> list[str]:
        """Namespace/name of the migrations that are not finished and not ours."""
        deployment = self.surroundings.deployment
        return [migrations.key_of(one) for one in self.unfinished.values() if not migrations.is_ours(one, deployment)]

    @property
    def sources(self) -> list[str]:
        """The node that each unfinished migration moves a VM away from."""
        return [self.vms[name].guest.node if name in self.vms else "" for name in self.unfinished]

    @property
    def moved_by_us(self) -> set[str]:
        """The VMs that a migration of ours took to the launcher of this KubeVirt."""
        return {migrations.moved_by(one) for one in self._our_successes() if self._is_up_to_date(one)}

    @property
    def proven(self) -> set[GuestClass]:
        """The classes of which a VM was migrated to the launcher of this KubeVirt; without a launcher where nobody noted its old one."""
        ours = {migrations.moved_by(one): migrations.origin_of(one) for one in self._our_successes()}
        return {
            class_of(vmi, ours.get(name, ""))
            for name, vmi in self.vmis_by_name.items()
            if not self.vms[name].guest.outdated and _was_migrated(vmi)
        }

    def pods_of(self, vmi: Object) -> list[Object]:
        """The launcher pods of a VirtualMachineInstance."""
        return self._pods_by_vmi.get(vmi["metadata"]["uid"], [])

    def _our_successes(self) -> Iterable[Json]:
        deployment = self.surroundings.deployment
        return (one for one in self.migrations if migrations.has_succeeded(one) and migrations.is_ours(one, deployment))

    def _is_up_to_date(self, migration: Object) -> bool:
        vm = self.vms.get(migrations.moved_by(migration))
        return vm is not None and not vm.guest.outdated


def sources(facts: Facts) -> list[Source]:
    """The collections that a scene is made of."""
    return [
        Source("vmis", f"{facts.api}/virtualmachineinstances", keep=_without_managers),
        Source("pods", "/api/v1/pods", label_selector="kubevirt.io=virt-launcher", keep=_of_a_pod),
        replace(migrations_source(facts), keep=_without_managers),
    ]


def surroundings_of(api: Api, facts: Facts) -> Surroundings:
    """What stays as it is while VMs are moved, as it is now."""
    kubevirt = facts.kubevirt or {}
    controller = api.get_or_none(f"/apis/apps/v1/namespaces/{facts.kubevirt_namespace}/deployments/virt-controller")
    machines = api.list_or_empty(f"{facts.api}/virtualmachines")
    configured = ((kubevirt.get("spec") or {}).get("configuration") or {}).get("migrations") or {}
    return Surroundings(
        deployment=(kubevirt.get("status") or {}).get("observedDeploymentID") or "unknown",
        launcher=launcher_image_of(controller or {}),
        limits=Limits(
            in_cluster=configured.get("parallelMigrationsPerCluster") or PARALLEL_IN_CLUSTER,
            from_node=configured.get("parallelOutboundMigrationsPerNode") or PARALLEL_FROM_NODE,
        ),
        default_eviction=default_eviction_strategy(kubevirt),
        machines={migrations.key_of(machine): machine["metadata"] for machine in machines},
        run_strategies=run_strategies_of(machines),
    )


def scene_of(api: Api, facts: Facts, surroundings: Surroundings) -> Scene:
    """A scene by one read."""
    lists = {one.name: _read(api, one) for one in sources(facts)}
    return Scene(surroundings, lists["vmis"], lists["pods"], lists["migrations"])


def _read(api: Api, source: Source) -> list[Json]:
    """The kinds are made by virt-operator, so that they may not be there yet."""
    keep = source.keep or dict
    return [keep(one) for one in api.objects_if_served(source.path, label_selector=source.label_selector)]


def _without_managers(live: Json) -> Json:
    """Nearly half of an object says who wrote which field."""
    return {**live, "metadata": {key: value for key, value in live["metadata"].items() if key != "managedFields"}}


def _of_a_pod(pod: Json) -> Json:
    """Whose it is, where, and how it is; the definition of a launcher pod is long, and of no use here."""
    status = pod.get("status") or {}
    containers = {
        key: [{"state": one.get("state")} for one in status.get(key) or ()]
        for key in ("initContainerStatuses", "containerStatuses")
    }
    metadata = {key: value for key, value in pod["metadata"].items() if key not in ("managedFields", "annotations")}
    return {
        "metadata": metadata,
        "spec": {"nodeName": (pod.get("spec") or {}).get("nodeName")},
        "status": {
            "phase": status.get("phase"),
            "conditions": status.get("conditions"),
            **containers,
        },
    }


def _vm_of(vmi: Object, around: Surroundings) -> Vm:
    guest = guest_of(vmi, around.run_strategies, around.default_eviction)
    return Vm(
        guest=guest,
        mark=mark_of(vmi["metadata"], around.machines.get(f"{guest.namespace}/{guest.keeper_name}")),
        guest_class=class_of(vmi, guest.launcher_image),
        is_ready=migrations.condition_of(vmi, "Ready") == "True",
        has_agent=migrations.condition_of(vmi, "AgentConnected") == "True",
    )


def _was_migrated(vmi: Object) -> bool:
    state = (vmi.get("status") or {}).get("migrationState") or {}
    return bool(state.get("completed")) and not state.get("failed")
