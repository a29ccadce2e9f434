# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The phrase by which a person says that VMs and disks of this very cluster may go.

It holds for at most so many: a run that was stopped on its way has deleted some of them, and is started again with the same phrase.
"""

from __future__ import annotations

import re
import typing as t

_PHRASE = re.compile(r"(?P<uid>[^\s:]+):(?P<vms>\d{1,9}) VMs:(?P<disks>\d{1,9}) disks")


class Counted(t.NamedTuple):
    """What is at stake: VMs, those without a VirtualMachine too, and disks that belong to VMs."""

    vms: int
    disks: int

    def __bool__(self) -> bool:
        """Whether anything is."""
        return bool(self.vms or self.disks)

    def __str__(self) -> str:
        """As the phrase says it."""
        return f"{self.vms} VMs:{self.disks} disks"


def phrase(cluster_uid: str, counted: Counted) -> str:
    """What to give as ``confirm``."""
    return f"{cluster_uid}:{counted}"


def check_phrase(given: str) -> None:
    """A ValueError if this can be the phrase of no cluster."""
    _parsed(given)


def difference(given: str, cluster_uid: str, counted: Counted) -> str:
    """What the phrase does not cover, as a clause; empty when it covers all that is there.

    Raises:
        ValueError: It is no phrase.
    """
    uid, named = _parsed(given)
    if uid != cluster_uid:
        return f"it is for the cluster with the UID {uid}, and this one has {cluster_uid}"
    more = [
        f"it is for {most} {what}, and there are {there}"
        for most, there, what in ((named.vms, counted.vms, "VMs"), (named.disks, counted.disks, "disks"))
        if there > most
    ]
    return "; ".join(more)


def _parsed(given: str) -> tuple[str, Counted]:
    match = _PHRASE.fullmatch(given)
    if match is None:
        raise ValueError(
            f"{given!r} is not of the form CLUSTER-UID:N VMs:N disks. Run without it: the refusal prints what to give."
        )
    return match["uid"], Counted(int(match["vms"]), int(match["disks"]))
