# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How cost grows with the number of VMs, on an API server alone with copies of a real VM.

Each size has so many VMIs on old launchers, and a tenth as many finished migrations. kubevirt_info runs as a module in a process
of its own, and in the playbook status. The upgrade is a real one without its wait, which nobody would end here; the wait
watches no VMs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from kubernetes import client, config

from tests.bench.measured import Usage, measured, usage_in
from tests.bench.request_count import goal as goal_of_requests
from tests.bench.runs import FOLDER, play, say
from tests.bench.table import Figure, markdown, worded
from tests.contract.conftest import FROM, TO, World
from tests.support.lab import COLLECTIONS, ROOT, Json, Lab, lab_up, playbook_environment

SIZES = (50, 500, 5000)
VMIS_PER_MIGRATION = 10
KINDS = ("virtualmachines", "virtualmachineinstances", "virtualmachineinstancemigrations")
OUTDATED = "kubevirt.io/outdatedLauncherImage"
GOAL_SECONDS, GOAL_MB = 5.0, 200.0


@dataclass(frozen=True)
class Models:
    """What copies are made of: the CRDs of a real KubeVirt, and one of its running VMIs."""

    crds: list[Json]
    vmi: Json


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    usage: Usage
    requests: int


@dataclass(frozen=True)
class Growth:
    """What the runs took with so many VMIs."""

    vmis: int
    info: Cost
    status: Cost
    upgrade: Cost


def models_of(running: Lab) -> Models:
    """From a lab with KubeVirt and VMs."""
    crds = [running.get("crd", f"{kind}.kubevirt.io") for kind in KINDS]
    return Models([without_history(crd) for crd in crds], without_history(running.get("vmi", "vm-1")))


def without_history(seen: Json) -> Json:
    """The object as it could be created elsewhere."""
    kept = {"name", "namespace", "labels", "annotations"}
    metadata = {key: value for key, value in seen["metadata"].items() if key in kept}
    made = {**seen, "metadata": metadata}
    if seen["kind"] == "CustomResourceDefinition":
        del made["status"]
    return made


def growth(models: Models) -> list[Growth]:
    """One lab that gets more and more VMs."""
    say("Starting the lab bench-scale.")
    with lab_up("bench-scale", "--api-only") as running:
        world = World(running)
        world.install()
        running.apply(*models.crds)
        for crd in models.crds:
            running.wait_for("Established", f"crd/{crd['metadata']['name']}")
        # The first upgrade takes over the fields of kubectl, which is not repeated.
        there_and_back(world)
        return [cost_of_size(world, models.vmi, *size) for size in zip((0, *SIZES), SIZES, strict=False)]


def cost_of_size(world: World, vmi: Json, present: int, size: int) -> Growth:
    """What all runs take once there are so many VMIs."""
    say(f"Measuring with {size} VMIs.")
    create(world.lab, [copy for number in range(present, size) for copy in copies(vmi, number)])
    return Growth(size, info(world, size), status(world), there_and_back(world))


def info(world: World, size: int) -> Cost:
    """Of kubevirt_info, which must have seen all VMIs; the middle one of three runs."""
    costs = sorted((info_once(world, size) for _time in range(3)), key=lambda cost: cost.usage.seconds)
    return costs[1]


def info_once(world: World, size: int) -> Cost:
    position = world.lab.audit_position()
    result, usage = module(world.lab, "kubevirt_info", {})
    seen = result["workloads"]
    assert (seen["vmis"], seen["outdated"]) == (size, size), seen
    return Cost(usage, len(world.lab.audited(position)))


def status(world: World) -> Cost:
    """Of the playbook that shows how KubeVirt is doing."""
    position = world.lab.audit_position()
    usage = play(world.lab.playbook_command("status")).usage
    return Cost(usage, len(world.lab.audited(position)))


def copies(vmi: Json, number: int) -> Iterator[Json]:
    """A VMI on an old launcher, and for every so many a finished migration of it."""
    name = f"vm-{number}"
    labels = {**vmi["metadata"].get("labels", {}), OUTDATED: ""}
    yield {**vmi, "metadata": {**vmi["metadata"], "name": name, "labels": labels}}
    if number % VMIS_PER_MIGRATION == 0:
        yield {
            "apiVersion": vmi["apiVersion"],
            "kind": "VirtualMachineInstanceMigration",
            "metadata": {"name": name, "namespace": vmi["metadata"]["namespace"]},
            "spec": {"vmiName": name},
            "status": {"phase": "Succeeded", "migrationState": vmi["status"].get("migrationState", {})},
        }


def create(running: Lab, objects: Sequence[Json]) -> None:
    """Many objects, by several at once."""
    api = client.CustomObjectsApi(config.new_client_from_config(str(running.kubeconfig)))

    def create_one(one: Json) -> None:
        group, version = one["apiVersion"].split("/")
        where = (group, version, one["metadata"]["namespace"], f"{one['kind'].lower()}s")
        created = api.create_namespaced_custom_object(*where, one)
        if "status" in one and "status" not in created:  # it has to be written by itself
            status = {**created, "status": one["status"]}
            api.replace_namespaced_custom_object_status(*where, one["metadata"]["name"], status)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(create_one, objects))


def there_and_back(world: World) -> Cost:
    """What an upgrade takes that does not wait; afterwards everything is as it was."""
    position = world.lab.audit_position()
    usage = upgrade(world, TO)
    cost = Cost(usage, len(world.lab.audited(position)))
    upgrade(world, FROM)
    return cost


def upgrade(world: World, version: str) -> Usage:
    wish = {"version": version, "manifest": str(world.manifests[version]), "wait": False}
    result, usage = module(world.lab, "kubevirt_upgrade", wish)
    assert result["changed"], result
    return usage


def module(running: Lab, name: str, params: Json) -> tuple[Json, Usage]:
    """Run a module in a process of its own, as Ansible does; its result, and what it took."""
    usage = FOLDER / "usage.json"
    arguments = {"ANSIBLE_MODULE_ARGS": {"kubeconfig": str(running.kubeconfig), **params}}
    done = subprocess.run(
        measured(usage, [sys.executable, str(ROOT / "plugins" / "modules" / f"{name}.py")]),
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        input=json.dumps(arguments),
        env={**playbook_environment(), "PYTHONPATH": str(COLLECTIONS)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout), usage_in(usage)


def figures(growths: Sequence[Growth]) -> list[Figure]:
    """Of the largest size."""
    last = growths[-1]
    return [
        Figure(f"kubevirt_info over {last.vmis} VMIs", last.info.usage.seconds, "s", goal=GOAL_SECONDS),
        Figure("its peak memory", last.info.usage.peak_mb, "MB", goal=GOAL_MB),
        Figure(
            f"requests of an upgrade without its wait, {last.vmis} VMIs",
            last.upgrade.requests,
            goal=goal_of_requests(last.vmis + last.vmis // VMIS_PER_MIGRATION),
        ),
    ]


def growth_table(growths: Sequence[Growth]) -> str:
    """What each size takes."""
    whats = ("kubevirt_info, module", "playbook status", "kubevirt_upgrade, module, without its wait")
    rows = [
        (
            what,
            growth.vmis,
            worded(cost.usage.seconds, "s"),
            worded(cost.usage.cpu, "s"),
            worded(cost.usage.peak_mb, "MB"),
            cost.requests,
        )
        for position, what in enumerate(whats)
        for growth in growths
        for cost in [(growth.info, growth.status, growth.upgrade)[position]]
    ]
    return markdown(("run", "VMIs", "time", "CPU", "peak memory", "requests"), rows)
