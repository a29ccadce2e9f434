# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual machines for the lab."""

from __future__ import annotations

import copy
import re
import typing as t
from collections.abc import Iterable

import yaml

from kvlab import kubectl, manifests
from kvlab.lab import Lab
from kvlab.waiting import NotYet, wait_for


def create(lab: Lab, count: int, namespace: str) -> list[str]:
    """Create *count* more VMs and wait until they run; their names."""
    present = [vm["metadata"]["name"] for vm in kubectl.get(lab, "vm", "-n", namespace)["items"]]
    names = next_names(present, count)
    template = yaml.safe_load((manifests.DATA / "vm.yaml").read_text(encoding="utf-8"))
    machines = yaml.safe_dump_all(machine(template, name, namespace) for name in names)
    kubectl.kubectl(lab, "create", "-f", "-", stdin=machines)
    wait_for(f"{count} VMs to run", lambda: _all_run(lab, names, namespace), 60 + 10 * count, poll=1)
    return names


def migrate(lab: Lab, name: str, namespace: str) -> str:
    """Migrate a VM and wait for the end of it; the migration's phase, Succeeded or Failed."""
    migration = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstanceMigration",
        "metadata": {"generateName": f"{name}-", "namespace": namespace},
        "spec": {"vmiName": name},
    }
    created = kubectl.kubectl(lab, "create", "-f", "-", "-o", "name", stdin=yaml.safe_dump(migration)).strip()
    return wait_for(f"{created} to end", lambda: _ended(lab, created, namespace), 180)


def machine(template: dict[str, t.Any], name: str, namespace: str) -> dict[str, t.Any]:
    """The VM *name* made from the lab's template."""
    made = copy.deepcopy(template)
    made["metadata"] |= {"name": name, "namespace": namespace}
    return made


def next_names(present: Iterable[str], count: int) -> list[str]:
    """The names of *count* further VMs: vm-1, vm-2 and so on, after those that are there."""
    numbers = [int(match[1]) for name in present if (match := re.fullmatch(r"vm-(\d+)", name))]
    first = max(numbers, default=0) + 1
    return [f"vm-{number}" for number in range(first, first + count)]


def _all_run(lab: Lab, names: list[str], namespace: str) -> bool:
    found = kubectl.get(lab, "vm", "-n", namespace)["items"]
    states = {vm["metadata"]["name"]: vm.get("status", {}).get("printableStatus", "") for vm in found}
    if late := {name: states.get(name) for name in names if states.get(name) != "Running"}:
        raise NotYet(str(late))
    return True


def _ended(lab: Lab, migration: str, namespace: str) -> str:
    phase = kubectl.get(lab, migration, "-n", namespace).get("status", {}).get("phase", "")
    if phase not in ("Succeeded", "Failed"):
        raise NotYet(f"its phase is {phase or 'not set'}")
    return str(phase)
