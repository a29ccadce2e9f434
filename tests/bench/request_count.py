# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many requests an upgrade makes, by the API server's own record."""

from __future__ import annotations

from tests.bench.runs import VMS, Hop
from tests.bench.table import Figure

GOAL, OBJECTS_PER_REQUEST = 150, 500


def figures(hop: Hop) -> list[Figure]:
    """Watches, which stay open, apart from the rest."""
    watches = [event for event in hop.requests if event["verb"] == "watch"]
    others = [event for event in hop.requests if event["verb"] != "watch"]
    dry = [event for event in others if "dryRun=" in event["requestURI"]]
    assert others, "the API server's record has nothing of us"
    return [
        Figure("requests of an upgrade, without watches", len(others), goal=goal(VMS)),
        Figure("of these, dry runs", len(dry)),
        Figure("watches of an upgrade", len(watches)),
    ]


def goal(objects: int) -> int:
    """The most requests where so many objects of VMs are listed."""
    return GOAL + objects // OBJECTS_PER_REQUEST
