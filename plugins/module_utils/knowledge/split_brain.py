# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Whether one VM runs twice: two launcher pods of one VMI that no live migration accounts for.

Two guests on one disk destroy it (kubevirt/kubevirt#15373). While a VM migrates two of its launcher pods run, and for
moments afterwards; that is not meant here.
"""

from __future__ import annotations

import typing as t
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .migrations import JOB_LABEL, has_failed, is_unfinished, key_of, moved_by, running_pods

Object = Mapping[str, t.Any]

GRACE = 60.0
"""Seconds that the other pod of a migration that is over gets to end."""

_CREATED_BY = "kubevirt.io/created-by"
_CLAIMS = {"persistentVolumeClaim": "claimName", "dataVolume": "name"}


@dataclass(frozen=True)
class Double:
    """More running launcher pods of one VMI than there should be.

    Attributes:
        vmi: ``namespace/name``.
        pods: Each running launcher pod with its node, ``name on node``.
        volumes: The claims that both write to.
        may_pass: They are the two ends of a migration that is over, of which one usually ends within seconds.
    """

    vmi: str
    pods: tuple[str, ...]
    volumes: tuple[str, ...]
    may_pass: bool


def doubles(vmis: Iterable[Object], pods: Iterable[Object], migrations: Iterable[Object]) -> list[Double]:
    """Every VMI that seems to run twice.

    Args:
        vmis: All VirtualMachineInstances.
        pods: All launcher pods.
        migrations: All VirtualMachineInstanceMigrations.
    """
    of_vmi = pods_by_vmi(running_pods(pods))
    known = [*migrations]
    under_way = {moved_by(one) for one in known if is_unfinished(one)}
    failed = {one["metadata"]["uid"] for one in known if has_failed(one)}
    found = []
    for vmi in vmis:
        running = of_vmi.get(vmi["metadata"]["uid"], [])
        migrates = key_of(vmi) in under_way or _is_migrating(vmi)
        if len(running) > (2 if migrates else 1):
            may_pass = len(running) == 2 and not migrates and _are_ends(running, vmi, failed)
            found.append(_double(vmi, running, may_pass))
    return found


def pods_by_vmi(pods: Iterable[Object]) -> dict[str, list[Object]]:
    """Launcher pods by the UID of their VMI."""
    found: dict[str, list[Object]] = {}
    for pod in pods:
        found.setdefault((pod["metadata"].get("labels") or {}).get(_CREATED_BY, ""), []).append(pod)
    return found


def _double(vmi: Object, running: Sequence[Object], may_pass: bool) -> Double:
    pods = (f"{pod['metadata']['name']} on {(pod.get('spec') or {}).get('nodeName')}" for pod in running)
    return Double(key_of(vmi), tuple(sorted(pods)), tuple(_claims(vmi)), may_pass)


def _are_ends(running: Sequence[Object], vmi: Object, failed: Collection[str]) -> bool:
    """Whether these are source and target of the VMI's last migration, or one is the target of a failed one."""
    state = (vmi.get("status") or {}).get("migrationState") or {}
    if {pod["metadata"]["name"] for pod in running} == {state.get("sourcePod"), state.get("targetPod")}:
        return True
    return any((pod["metadata"].get("labels") or {}).get(JOB_LABEL) in failed for pod in running)


def _is_migrating(vmi: Object) -> bool:
    state = (vmi.get("status") or {}).get("migrationState") or {}
    return bool(state.get("targetPod")) and not state.get("completed") and not state.get("endTimestamp")


def _claims(vmi: Object) -> Iterable[str]:
    for volume in (vmi.get("spec") or {}).get("volumes") or ():
        for kind, field in _CLAIMS.items():
            if kind in volume:
                yield str(volume[kind][field])
