# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual machines for the lab: created, listed, moved, evicted."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Iterable, Mapping

import yaml

from kvlab import cdi, kubectl, manifests
from kvlab.lab import Lab
from kvlab.machines import DATA_VOLUME, MIXED, Object, Wish, disk, machine
from kvlab.processes import CommandFailed
from kvlab.waiting import NotYet, wait_for

COLUMNS = ("NAME", "KIND", "RUN STRATEGY", "EVICTION", "PHASE", "MIGRATABLE", "LAUNCHER", "NODE")


def create(lab: Lab, count: int, wish: Wish, namespace: str) -> list[str]:
    """Create *count* more VMs and wait until they run; their names: vm-1, vm-2 and so on, or after their kind."""
    prefix = "vm" if wish.kind == "migratable" else wish.kind
    return create_all(lab, dict.fromkeys(next_names(present(lab, namespace), count, prefix), wish), namespace)


def create_mixed(lab: Lab, times: int, namespace: str) -> list[str]:
    """Create the mixed set *times* times and wait until its VMs run; their names."""
    there = present(lab, namespace)
    wishes = {name: wish for prefix, wish in MIXED.items() for name in next_names(there, times, prefix)}
    return create_all(lab, wishes, namespace)


def create_all(lab: Lab, wishes: Mapping[str, Wish], namespace: str) -> list[str]:
    """Create VMs and wait until those run that shall; their names."""
    disks = [
        one for name, wish in wishes.items() if wish.access_mode for one in disk(name, namespace, wish.access_mode)
    ]
    if disks:
        kubectl.kubectl(lab, "apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(disks))
    template = yaml.safe_load((manifests.DATA / "vm.yaml").read_text(encoding="utf-8"))
    machines = yaml.safe_dump_all(machine(template, name, namespace, wish) for name, wish in wishes.items())
    kubectl.kubectl(lab, "create", "-f", "-", stdin=machines)
    for name, wish in wishes.items():
        if wish.disk == DATA_VOLUME:
            cdi.fill(lab, name, namespace)
    for name, wish in wishes.items():
        if wish.run_strategy == "Manual" and not wish.standalone:
            start(lab, name, namespace)
    names = [name for name, wish in wishes.items() if wish.run_strategy != "Halted"]
    if names:
        wait_for(f"{len(names)} VMs to run", lambda: _all_run(lab, names, namespace), 60 + 10 * len(names), poll=1)
    return list(wishes)


def start(lab: Lab, name: str, namespace: str) -> None:
    """Start a VM, as virtctl does."""
    path = f"/apis/subresources.kubevirt.io/v1/namespaces/{namespace}/virtualmachines/{name}/start"
    kubectl.kubectl(lab, "replace", "--raw", path, "-f", "-", stdin="{}")


def migrate(lab: Lab, name: str, namespace: str) -> str:
    """Migrate a VM and wait for the end of it; the migration's phase, Succeeded or Failed."""
    created = start_migration(lab, name, namespace)
    return wait_for(f"{created} to end", lambda: _ended(lab, created, namespace), 180)


def start_migration(lab: Lab, name: str, namespace: str) -> str:
    """Ask for the migration of a VM; the object, as kind/name."""
    migration = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstanceMigration",
        "metadata": {"generateName": f"{name}-", "namespace": namespace},
        "spec": {"vmiName": name},
    }
    return kubectl.kubectl(lab, "create", "-f", "-", "-o", "name", stdin=yaml.safe_dump(migration)).strip()


def evict(lab: Lab, name: str, namespace: str) -> str:
    """Evict the launcher pod of a VM, as a drain does; why that was refused, empty if it was not."""
    vmi = kubectl.get(lab, "vmi", name, "-n", namespace)
    pods = kubectl.get(lab, "pods", "-n", namespace, "-l", f"kubevirt.io/created-by={vmi['metadata']['uid']}")["items"]
    (pod,) = (
        pod["metadata"]["name"]
        for pod in pods
        if pod["status"]["phase"] == "Running" and pod["spec"]["nodeName"] == vmi["status"]["nodeName"]
    )
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction"
    try:
        kubectl.kubectl(lab, "create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
    except CommandFailed as failure:
        return failure.said
    return ""


def table(lab: Lab, namespace: str) -> str:
    """All VMs and standalone VMIs, a line each."""
    objects = kubectl.get(lab, "vm,vmi", "-n", namespace)["items"]
    lines = [COLUMNS, *rows(objects)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def rows(objects: list[Object]) -> list[tuple[str, ...]]:
    """A row for each VM and each VMI without one, as :data:`COLUMNS` says, by name."""
    by_kind: dict[str, dict[str, Object]] = {"VirtualMachine": {}, "VirtualMachineInstance": {}}
    for one in objects:
        by_kind[one["kind"]][one["metadata"]["name"]] = one
    machines, guests = by_kind["VirtualMachine"], by_kind["VirtualMachineInstance"]
    return [_row(name, machines.get(name), guests.get(name)) for name in sorted(machines | guests)]


def _row(name: str, vm: Object | None, vmi: Object | None) -> tuple[str, ...]:
    status = (vmi or {}).get("status", {})
    spec, labels = (
        (vm["spec"]["template"]["spec"], vm["spec"]["template"]["metadata"].get("labels", {}))
        if vm
        else ((vmi or {})["spec"], (vmi or {})["metadata"].get("labels", {}))
    )
    return (
        name,
        labels.get("lab/kind", "-"),
        vm["spec"].get("runStrategy", "-") if vm else "no VM",
        spec.get("evictionStrategy", "-"),
        status.get("phase", "no VMI"),
        migratable(status),
        status.get("launcherContainerImageVersion", "").rpartition(":")[2] or "-",
        status.get("nodeName", "-"),
    )


def migratable(status: Object) -> str:
    """yes, or the reason why not, of a VMI's status; a dash before it is known."""
    found = [one for one in status.get("conditions", []) if one["type"] == "LiveMigratable"]
    if not found:
        return "-"
    return "yes" if found[0]["status"] == "True" else str(found[0].get("reason", "no"))


def present(lab: Lab, namespace: str) -> list[str]:
    """The names of all VMs and VMIs."""
    return [one["metadata"]["name"] for one in kubectl.get(lab, "vm,vmi", "-n", namespace)["items"]]


def next_names(present: Iterable[str], count: int, prefix: str) -> list[str]:
    """The names of *count* further VMs, numbered after those that are there."""
    numbers = [int(match[1]) for name in present if (match := re.fullmatch(rf"{prefix}-(\d+)", name))]
    first = max(numbers, default=0) + 1
    return [f"{prefix}-{number}" for number in range(first, first + count)]


def _all_run(lab: Lab, names: list[str], namespace: str) -> bool:
    found = kubectl.get(lab, "vmi,vm", "-n", namespace)["items"]
    # of a VM and its VMI the VM counts, which comes later in the list and is the later to know
    states = {one["metadata"]["name"]: _state(one.get("status", {})) for one in found}
    if late := {name: states.get(name) for name in names if states.get(name) != "Running"}:
        raise NotYet(str(late))
    return True


def _state(status: Object) -> t.Any:
    return status.get("printableStatus") or status.get("phase", "")


def _ended(lab: Lab, migration: str, namespace: str) -> str:
    phase = kubectl.get(lab, migration, "-n", namespace).get("status", {}).get("phase", "")
    if phase not in ("Succeeded", "Failed"):
        raise NotYet(f"its phase is {phase or 'not set'}")
    return str(phase)
