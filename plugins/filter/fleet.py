# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the playbooks ask about the clusters of a run. Each filter takes the variables of the hosts; what they mean is knowledge."""

from __future__ import annotations

import shlex
import sys
import typing as t
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.fleet_identity import (
    doubts_about,
    inventory_lines,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.fleet_plan import (
    fleet_page,
    forecast,
    is_finished,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.fleet_waves import (
    end_page,
    ended,
    outcomes,
    turns,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.redaction import redacted

Vars = Mapping[str, t.Any]
HostVars = Mapping[str, Vars]
EXPECTED = "kubevirt_expected_cluster_uid"
COUNTS = ("kubevirt_wave_failure_budget", "kubevirt_wave_soak")


def fleet_doubts(hostvars: HostVars, hosts: Sequence[str], waves: t.Any) -> list[str]:
    """Why nothing may be written."""
    sizes = waves if isinstance(waves, list) else [waves]
    counts = {name: set(_of_each(hostvars, hosts, name).values()) for name in COUNTS}
    return doubts_about(
        _of_each(hostvars, hosts, EXPECTED), _of_each(hostvars, hosts, "kubevirt_window"), sizes, counts
    )


def fleet_inventory(hostvars: HostVars, hosts: Sequence[str], look: str) -> list[str]:
    """What belongs into the inventory."""
    return inventory_lines(_uids(hostvars, hosts, look), _of_each(hostvars, hosts, EXPECTED))


def fleet_page_of(hostvars: HostVars, hosts: Sequence[str], look: str) -> list[str]:
    """The table of what a run would do."""
    forecasts = {host: hostvars[host]["kubevirt_forecast"] for host in hosts if "kubevirt_forecast" in hostvars[host]}
    return fleet_page(forecasts, _uids(hostvars, hosts, look))


def fleet_wave(
    hostvars: HostVars, hosts: Sequence[str], batch: Collection[str], budget: t.Any, now: datetime, is_asked: t.Any
) -> dict[str, t.Any]:
    """Whose turn it is."""
    return turns(hosts, batch, hostvars, budget=int(budget), now=now, is_asked=bool(is_asked), command=_this_command())


def fleet_ends(hostvars: HostVars, hosts: Sequence[str]) -> dict[str, t.Any]:
    """What became of every cluster."""
    return outcomes(hosts, hostvars)


class FilterModule:
    """The filters, each described in the file of its name beside this one."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """By name."""
        return {
            "fleet_doubts": fleet_doubts,
            "fleet_end_page": end_page,
            "fleet_ended": ended,
            "fleet_ends": fleet_ends,
            "fleet_finished": is_finished,
            "fleet_forecast": forecast,
            "fleet_inventory": fleet_inventory,
            "fleet_page": fleet_page_of,
            "fleet_wave": fleet_wave,
        }


def _of_each(hostvars: HostVars, hosts: Sequence[str], name: str) -> dict[str, str]:
    return {host: str(hostvars[host].get(name) or "") for host in hosts}


def _uids(hostvars: HostVars, hosts: Sequence[str], look: str) -> dict[str, str]:
    results = {host: hostvars[host].get(look) or {} for host in hosts}
    return {host: (one.get("cluster") or {}).get("uid", "") for host, one in results.items()}


def _this_command() -> str:
    return shlex.join(redacted([Path(sys.argv[0]).name, *sys.argv[1:]]))
