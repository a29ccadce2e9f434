# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What goes and what stays when KubeVirt is removed, for the result: kinds, numbers and names."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Sequence

from ..knowledge.marks import HOLDS_DATA
from .removal_plan import Seen, Wish
from .sweep import Left

Entry = dict[str, t.Any]


def inventory_of(seen: Seen, wish: Wish) -> dict[str, list[Entry]]:
    """All that goes and all that stays; and each disk that belongs to a VM."""
    held, leftovers, facts = seen.belongings, seen.leftovers, seen.facts
    disks = _entry("PersistentVolumeClaim", [disk.name for disk in held.disks])
    nodes = _entry("Node", [one.name for one in leftovers.nodes if one.is_dirty])
    namespace = _entry("Namespace", [facts.kubevirt_namespace] if facts.namespace else [])
    namespace_goes = wish.remove_namespace and not seen.foreign
    of_users = [entry for one in held.kinds for entry in _entry(one.kind.kind, one.names)]
    return {
        "goes": [
            *of_users,
            *([] if wish.keep_disks else disks),
            *_entry(
                "KubeVirt", [f"{facts.kubevirt_namespace}/{facts.kubevirt_metadata_name}"] if facts.kubevirt else []
            ),
            *_by_kind(leftovers.removable),
            *(nodes if wish.clean_nodes else []),
            *(namespace if namespace_goes else []),
        ],
        "stays": [
            *(disks if wish.keep_disks else []),
            *_by_kind(one for one in leftovers.users if one.object.partition(" ")[0] in HOLDS_DATA),
            *([] if wish.clean_nodes else nodes),
            *([] if namespace_goes else namespace),
        ],
        "disks": [disk.as_dict() for disk in held.disks],
    }


def _entry(kind: str, names: Sequence[str]) -> list[Entry]:
    return [{"kind": kind, "count": len(names), "names": [*names]}] if names else []


def _by_kind(those: Iterable[Left]) -> list[Entry]:
    names: dict[str, list[str]] = {}
    for one in those:
        kind, _space, name = one.object.partition(" ")
        names.setdefault(kind, []).append(name)
    return [entry for kind, of_the_kind in sorted(names.items()) for entry in _entry(kind, of_the_kind)]
