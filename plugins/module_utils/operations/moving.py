# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Moving VMs one by one, by live migrations of our own: start, follow, verify.

A run that was killed leaves its migrations; the next run finds them by their label and follows them.
"""

from __future__ import annotations

import contextlib
import secrets
import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..cluster.api import Api
from ..cluster.clock import Clock
from ..cluster.errors import ApiError, Conflict, NotFound
from ..knowledge import migrations
from ..knowledge.moving_pace import Progress, next_to_start
from .observe import Facts
from .outcome import Report
from .scene import Scene

ARRIVAL = 120.0
"""Seconds that a VM gets, after its migration succeeded, until all is as it was before: its old pod gone, its agent connected."""
SEEN = 30.0
"""Seconds until a migration that was made must be seen."""

ENDED = "its guest ended while it was migrated: the VirtualMachineInstance is Failed"

Object = Mapping[str, t.Any]


@dataclass
class Flight:
    """One VM under way.

    Attributes:
        uid: That of its VirtualMachineInstance.
        node: Where it set off.
        migration: The migration's namespace/name.
        began: When it began for us, in seconds of the clock.
        was_ready: It was Ready before.
        had_agent: Its guest agent was connected before.
        landed: When its migration succeeded.
    """

    uid: str
    node: str
    migration: str
    began: float
    was_ready: bool
    had_agent: bool
    landed: float | None = None


class Mover:
    """Moves VMs, and keeps account of those that were moved and those that failed.

    Args:
        api: The cluster.
        facts: From ``observe``.
        look: Waits for a change, and gives the next scene; raises where the run must stop.
        clock: Time.
        migration_timeout: Seconds for one migration.

    Attributes:
        moved: The VMs that arrived well, namespace/name.
        failed: Why each of the others did not.
        asked_for: How many migrations this run has made.
    """

    def __init__(
        self, api: Api, facts: Facts, look: Callable[[], Scene], *, clock: Clock, migration_timeout: float
    ) -> None:
        self.moved: set[str] = set()
        self.failed: dict[str, str] = {}
        self.asked_for = 0
        self._api = api
        self._facts = facts
        self._look = look
        self._clock = clock
        self._migration_timeout = migration_timeout
        self._flights: dict[str, Flight] = {}

    @property
    def movement(self) -> tuple[int, int, int]:
        """Changes whenever a VM sets off, arrives or fails."""
        return len(self.moved), len(self.failed), len(self._flights)

    @property
    def under_way(self) -> list[str]:
        """The VMs that were not followed to the end."""
        return sorted(self._flights)

    def move(self, names: Sequence[str], *, may_fail: int, report: Report) -> None:
        """Move these VMs, in their order; at once as many as KubeVirt lets run, and no more than may still fail.

        When one more than ``may_fail`` failed it ends, and no migration of ours runs. Migrations that an earlier run of ours
        left are followed too. With ``may_fail=0`` the VMs are moved one after the other.
        """
        allowed = len(self.failed) + may_fail
        moved, failed = len(self.moved), len(self.failed)
        progress = Progress(len(names), self._clock.now())
        waiting = [*names]
        scene = self._look()
        self._adopt(scene)
        while self._flights or (waiting and len(self.failed) <= allowed):
            self._judge(scene)
            waiting = [name for name in waiting if self._is_to_be_moved(name, scene)]
            self._start(waiting, scene, allowed + 1 - len(self.failed))
            line = progress.line(len(self.moved) - moved, len(self.failed) - failed, self._clock.now())
            if line:
                report(line)
            scene = self._look()

    def _adopt(self, scene: Scene) -> None:
        """Follow the migrations that an earlier run of ours left."""
        for name, migration in scene.unfinished.items():
            if name in scene.vms and migrations.is_ours(migration, scene.surroundings.deployment):
                self._follow(name, migrations.key_of(migration), scene)

    def _is_to_be_moved(self, name: str, scene: Scene) -> bool:
        """Not if it moved, failed or went away meanwhile, or its owner has written a mark."""
        vm = scene.vms.get(name)
        is_known = name in self.moved or name in self.failed or name in self._flights
        return not is_known and vm is not None and vm.can_be_migrated and not vm.mark.keeps_it(self._clock.utc())

    def _start(self, waiting: Sequence[str], scene: Scene, failures_left: int) -> None:
        free = [(name, scene.vms[name].guest.node) for name in waiting if name not in scene.unfinished]
        fresh = [flight for name, flight in self._flights.items() if name not in scene.unfinished]
        running = [*scene.sources, *(flight.node for flight in fresh if flight.landed is None)]
        for name in next_to_start(
            free, running, scene.surroundings.limits, of_ours=len(self._flights), failures_left=failures_left
        ):
            self._ask_for(name, scene)

    def _ask_for(self, name: str, scene: Scene) -> None:
        vmi = scene.vmis_by_name[name]
        body = migrations.migration_for(vmi, scene.surroundings.deployment, secrets.token_hex(5))
        namespace = body["metadata"]["namespace"]
        try:
            self._api.create(f"{self._facts.api}/namespaces/{namespace}/virtualmachineinstancemigrations", body)
        except Conflict as error:
            if not error.in_doubt:  # else it is there, and the answer to the first attempt was lost
                raise
        except ApiError as error:
            if "denied the request" not in error.message:  # an admission webhook's word
                raise
            if "in-flight migration" in error.message:  # somebody else's, not seen yet
                return
            self.failed[name] = f"KubeVirt does not take the migration: {error.message}"
            return
        self.asked_for += 1
        self._follow(name, migrations.key_of(body), scene)

    def _follow(self, name: str, migration: str, scene: Scene) -> None:
        vm = scene.vms[name]
        self._flights[name] = Flight(
            vm.guest.uid, vm.guest.node, migration, self._clock.now(), vm.is_ready, vm.has_agent
        )

    def _judge(self, scene: Scene) -> None:
        """Take in which flights have ended, and how."""
        by_name = {migrations.key_of(one): one for one in scene.migrations}
        for name, flight in list(self._flights.items()):
            vm, migration = scene.vms.get(name), by_name.get(flight.migration)
            if vm is None or vm.guest.uid != flight.uid or not vm.guest.running:
                del self._flights[name]
                vmi = scene.vmis_by_name.get(name)
                if vmi and vmi["metadata"]["uid"] == flight.uid and migrations.guest_has_failed(vmi):
                    self.failed[name] = ENDED
                continue  # else its owner stopped or restarted it
            ended = self._end_of(flight, scene.vmis_by_name[name], migration, scene)
            if ended is None:
                continue
            del self._flights[name]
            if ended:
                self.failed[name] = ended
            else:
                self.moved.add(name)

    def _end_of(self, flight: Flight, vmi: Object, migration: Object | None, scene: Scene) -> str | None:
        """None while it is under way; empty when the VM arrived well; else why it failed."""
        now = self._clock.now()
        if migration is None:
            return "its migration was deleted" if now - flight.began > SEEN else None
        pods = scene.pods_of(vmi)
        if migrations.has_failed(migration):
            return migrations.failure_reason(migration, vmi, pods)
        if migrations.has_succeeded(migration):
            launcher = scene.surroundings.launcher
            missing = migrations.not_arrived(
                vmi, pods, launcher=launcher, was_ready=flight.was_ready, had_agent=flight.had_agent
            )
            if not missing:
                return ""
            flight.landed = now if flight.landed is None else flight.landed
            return f"its migration succeeded, but {missing[0]}" if now - flight.landed > ARRIVAL else None
        if now - flight.began <= self._migration_timeout:
            return None
        self._call_off(migration)
        reason = self._handler_missing(flight, vmi) or migrations.failure_reason(migration, vmi, pods)
        return f"it did not arrive within {self._migration_timeout} s, and its migration was called off ({reason})"

    def _handler_missing(self, flight: Flight, vmi: Object) -> str:
        """On which of its two nodes no virt-handler is ready, without which a migration neither begins nor ends there."""
        target = ((vmi.get("status") or {}).get("migrationState") or {}).get("targetNode")
        pods = self._api.objects(
            f"/api/v1/namespaces/{self._facts.kubevirt_namespace}/pods", label_selector="kubevirt.io=virt-handler"
        )
        ready = {pod["spec"].get("nodeName") for pod in pods if migrations.condition_of(pod, "Ready") == "True"}
        without = [node for node in (flight.node, target) if node and node not in ready]
        return f"virt-handler is not ready on node {without[0]}" if without else ""

    def _call_off(self, migration: Object) -> None:
        """Delete the migration, which ends it; the VM stays where it is."""
        metadata = migration["metadata"]
        namespaced = f"{self._facts.api}/namespaces/{metadata['namespace']}/virtualmachineinstancemigrations"
        with contextlib.suppress(NotFound, Conflict):
            self._api.delete(f"{namespaced}/{metadata['name']}", uid=metadata["uid"])
