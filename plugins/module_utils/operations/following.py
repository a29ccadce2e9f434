# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Following KubeVirt's own updater: which VMs it still has to move, and which it cannot."""

from __future__ import annotations

from ..knowledge import migrations
from .scene import Scene, Vm
from .workload_plan import Wish, is_moved_by_kubevirt

GIVE_UP = 3
"""Failed migrations of one VM after which it counts as left: KubeVirt tries again and again, with longer and longer pauses."""


class Follower:
    """Keeps account of what KubeVirt's own updater does from now on.

    Args:
        scene: The VMs when it was let go.
        wish: What is asked for.
    """

    def __init__(self, scene: Scene, wish: Wish) -> None:
        self._wish = wish
        self._known = {one["metadata"]["uid"] for one in scene.migrations if migrations.has_failed(one)}
        self._reasons: dict[str, list[str]] = {}

    def look(self, scene: Scene) -> None:
        """Take in the migrations that have failed since."""
        for one in scene.migrations:
            uid, name = one["metadata"]["uid"], migrations.moved_by(one)
            if migrations.has_failed(one) and uid not in self._known:
                self._known.add(uid)
                vmi = scene.vmis_by_name.get(name)
                reason = migrations.failure_reason(one, vmi, scene.pods_of(vmi) if vmi else ())
                self._reasons.setdefault(name, []).append(reason)

    def failed(self, scene: Scene) -> dict[str, str]:
        """Why each VM whose last migration failed was not moved."""
        return {name: reasons[-1] for name, reasons in self._reasons.items() if self._is_left(name, scene)}

    def pending(self, scene: Scene) -> list[str]:
        """The VMs that are still to be moved."""
        return [name for name, vm in scene.vms.items() if vm.is_outdated and self._is_pending(vm)]

    def _is_pending(self, vm: Vm) -> bool:
        return len(self._reasons.get(vm.name, ())) < GIVE_UP and is_moved_by_kubevirt(vm, self._wish)

    @staticmethod
    def _is_left(name: str, scene: Scene) -> bool:
        vm = scene.vms.get(name)
        return vm is not None and vm.is_outdated
