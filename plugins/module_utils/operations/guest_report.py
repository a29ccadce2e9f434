# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What happens to each VM, as modules return it."""

from __future__ import annotations

import typing as t
from collections import Counter
from collections.abc import Sequence

from ..knowledge.fates import Fate, fate_of, why
from ..knowledge.guests import Guest
from .guest_facts import GuestFacts


def report_of(vms: GuestFacts, methods: Sequence[str], most: int) -> dict[str, t.Any]:
    """Totals, and the VMs themselves, those with the worst fate first.

    Args:
        vms: From ``guest_facts_of``.
        methods: The workload update methods.
        most: How many VMs are listed.
    """
    order = list(Fate)
    fates = [(fate_of(guest, methods, can_migrate=vms.can_migrate), guest) for guest in vms.guests]
    fates.sort(key=lambda one: order.index(one[0]))  # and by name, which they are already
    counts = Counter(fate for fate, _guest in fates)
    launchers = Counter(_launcher(guest) for guest in vms.guests if guest.running)
    return {
        "total": len(fates),
        "to_be_moved": sum(guest.is_to_be_moved for guest in vms.guests),
        "by_fate": {fate.value: counts[fate] for fate in order if counts[fate]},
        "by_launcher": dict(sorted(launchers.items())),
        "listed": [_row(fate, guest) for fate, guest in fates[:most]],
        "left_out": max(0, len(fates) - most),
    }


def _launcher(guest: Guest) -> str:
    """The tag, which is the version; else the whole image, or that nobody knows."""
    return guest.launcher_tag or guest.launcher_image or "unknown"


def _row(fate: Fate, guest: Guest) -> dict[str, t.Any]:
    return {
        "namespace": guest.namespace,
        "name": guest.name,
        "fate": fate.value,
        "why": why(guest, fate),
        "launcher": _launcher(guest),
        "outdated": guest.outdated,
        "pending": list(guest.pending),
        "migratable": guest.migratable,
        "not_migratable": guest.not_migratable,
        "eviction_strategy": guest.eviction_strategy,
        "run_strategy": guest.run_strategy,
        "belongs_to": f"{guest.keeper.value} {guest.keeper_name}".strip(),
        "last_migration_failure": guest.migration_failure,
    }
