# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's kinds of VMs, under the real virt-controller and virt-api: how their migrations and evictions go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from kvlab import kubectl, vms
from kvlab.lab import Lab
from kvlab.machines import MIXED
from kvlab.waiting import NotYet, wait_for

TOOL = [sys.executable, str(Path(__file__).parent)]
NAMESPACE = "default"
# All migrations of this file run at once.
NO_LIMITS = {"parallelMigrationsPerCluster": 50, "parallelOutboundMigrationsPerNode": 50}

Object = dict[str, t.Any]


def tool(*arguments: str) -> str:
    """What a command of the lab prints."""
    done = subprocess.run([*TOOL, *arguments], capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab with KubeVirt 1.7.0 and the mixed set of VMs."""
    made = Lab("-".join(filter(None, ("test-of-vm-kinds", os.environ.get("PYTEST_XDIST_WORKER")))))
    tool("up", "--name", made.name, "--release", "v1.7.0")
    tool("kubevirt", "install", "v1.7.0", "--name", made.name)
    limits = json.dumps({"spec": {"configuration": {"migrations": NO_LIMITS}}})
    kubectl.kubectl(made, "patch", "kubevirt", "kubevirt", "-n", "kubevirt", "--type=merge", "-p", limits)
    names = tool("vm", "create-mixed", "--name", made.name).split()
    assert names == [f"{name}-1" for name in MIXED]
    yield made
    tool("down", "--name", made.name)


def vmi(lab: Lab, name: str) -> Object:
    return kubectl.get(lab, "vmi", f"{name}-1", "-n", NAMESPACE)


def conditions(one: Object) -> dict[str, str]:
    return {condition["type"]: condition["status"] for condition in one["status"].get("conditions", [])}


def running_launchers(lab: Lab, name: str) -> list[str]:
    """The nodes of the VM's launchers that run and are not told to end."""
    pods = kubectl.get(lab, "pods", "-n", NAMESPACE, "-l", f"vm.kubevirt.io/name={name}-1")["items"]
    return [
        pod["spec"]["nodeName"]
        for pod in pods
        if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
    ]


def soon(what: str, condition: Callable[[], bool]) -> None:
    def holds() -> bool:
        if not condition():
            raise NotYet("not so")
        return True

    wait_for(what, holds, 60, poll=0.5)


def migration_status(lab: Lab, migration: str) -> Object:
    return t.cast(Object, kubectl.get(lab, migration, "-n", NAMESPACE).get("status", {}))


def ended(lab: Lab, migration: str, seconds: float = 60) -> Object:
    """The status of a migration that has ended and of which virt-controller has kept the state."""

    def status() -> Object:
        found = migration_status(lab, migration)
        if found.get("phase") not in ("Succeeded", "Failed") or "endTimestamp" not in found.get("migrationState", {}):
            raise NotYet(json.dumps(found))
        return found

    return wait_for(f"{migration} to end", status, seconds)


def migrate(lab: Lab, name: str) -> Object:
    return ended(lab, vms.start_migration(lab, f"{name}-1", NAMESPACE))


@pytest.fixture(scope="module")
def long_migrations(lab: Lab) -> dict[str, str]:
    """Those that take their time are started first, and looked at last."""
    return {name: vms.start_migration(lab, f"{name}-1", NAMESPACE) for name in ("slow", "stuck", "pinned")}


def test_the_vms_are_as_told(lab: Lab, long_migrations: dict[str, str]) -> None:
    rows = {line.split()[0]: line for line in tool("vm", "list", "--name", lab.name).splitlines()[1:]}
    print("\n".join(rows.values()))
    assert sorted(rows) == sorted(f"{name}-1" for name in MIXED)
    reasons = {"not-migratable": "DisksNotLiveMigratable", "bridge": "InterfaceNotLiveMigratable"}
    for name, wish in MIXED.items():
        run_strategy = "no VM" if wish.standalone else wish.run_strategy
        migratable = reasons.get(wish.kind) or reasons.get(wish.network) or "yes"
        said = rows[f"{name}-1"].split("  ")
        words = [word.strip() for word in said if word]
        assert words[1:5] == [wish.kind, run_strategy, wish.eviction_strategy, "Running"], name
        assert words[5:7] == [migratable, "v1.7.0"], name
    assert conditions(vmi(lab, "agent"))["AgentConnected"] == "True"
    assert "AgentConnected" not in conditions(vmi(lab, "plain"))
    domain = vmi(lab, "vcpus")["spec"]["domain"]
    assert (domain["cpu"]["cores"], domain["cpu"]["model"]) == (2, "Haswell")
    assert vmi(lab, "machine")["spec"]["domain"]["machine"]["type"] == "pc-q35-rhel9.4.0"


@pytest.mark.parametrize("name", ["plain", "agent", "vcpus", "machine", "shared", "agent-lost"])
def test_a_migratable_vm_moves(lab: Lab, name: str) -> None:
    before = vmi(lab, name)
    status = migrate(lab, name)
    after = vmi(lab, name)
    assert status["phase"] == "Succeeded"
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["nodeName"] != before["status"]["nodeName"]
    soon("one launcher", lambda: running_launchers(lab, name) == [after["status"]["nodeName"]])
    lost = {"AgentConnected"} if name == "agent-lost" else set()
    soon("the guest to be ready", lambda: conditions(vmi(lab, name))["Ready"] == "True")
    assert set(conditions(before)) - set(conditions(vmi(lab, name))) == lost


@pytest.mark.parametrize(("name", "phases"), [("failing", ["Failed"] * 2), ("failing-once", ["Failed", "Succeeded"])])
def test_a_failing_migration_says_why_and_the_vm_stays(lab: Lab, name: str, phases: list[str]) -> None:
    before = vmi(lab, name)
    for phase in phases:
        status = migrate(lab, name)
        assert status["phase"] == phase
        if phase == "Failed":
            assert status["migrationState"]["failureReason"] == "the lab was told to let it fail"
            assert vmi(lab, name)["status"]["nodeName"] == before["status"]["nodeName"]
    soon("one launcher", lambda: running_launchers(lab, name) == [vmi(lab, name)["status"]["nodeName"]])
    assert vmi(lab, name)["metadata"]["uid"] == before["metadata"]["uid"]


@pytest.mark.parametrize(
    ("name", "said"), [("blocked", "PVC blocked-1 is not shared"), ("bridge", "does not use masquerade")]
)
def test_virt_api_refuses_to_migrate_what_cannot(lab: Lab, name: str, said: str) -> None:
    with pytest.raises(Exception, match=said):
        vms.start_migration(lab, f"{name}-1", NAMESPACE)


@pytest.mark.parametrize("name", ["plain", "shared"])
def test_an_evicted_vm_that_can_migrate_does(lab: Lab, name: str) -> None:
    before = vmi(lab, name)
    refusal = vms.evict(lab, f"{name}-1", NAMESPACE)
    assert f'Eviction triggered evacuation of VMI "{NAMESPACE}/{name}-1"' in refusal
    soon("it to move", lambda: vmi(lab, name)["status"]["nodeName"] != before["status"]["nodeName"])
    assert vmi(lab, name)["metadata"]["uid"] == before["metadata"]["uid"]
    soon("one launcher", lambda: running_launchers(lab, name) == [vmi(lab, name)["status"]["nodeName"]])


def test_an_eviction_of_what_cannot_migrate_is_refused(lab: Lab) -> None:
    before = vmi(lab, "blocked")
    refusal = vms.evict(lab, "blocked-1", NAMESPACE)
    assert "VMI blocked-1 is configured with an eviction strategy but is not live-migratable" in refusal
    assert vmi(lab, "blocked")["metadata"]["uid"] == before["metadata"]["uid"]


def test_an_eviction_is_left_to_an_external_controller(lab: Lab) -> None:
    before = vmi(lab, "external")
    assert "Eviction triggered evacuation" in vms.evict(lab, "external-1", NAMESPACE)
    after = vmi(lab, "external")
    assert after["status"]["evacuationNodeName"] == after["status"]["nodeName"] == before["status"]["nodeName"]


@pytest.mark.parametrize("name", ["local", "bridge", "if-possible"])
def test_an_evicted_vm_that_always_runs_starts_again(lab: Lab, name: str) -> None:
    before = vmi(lab, name)
    assert vms.evict(lab, f"{name}-1", NAMESPACE) == ""

    def anew() -> bool:
        now = vmi(lab, name)
        return bool(now["metadata"]["uid"] != before["metadata"]["uid"] and now["status"].get("phase") == "Running")

    soon("it to run again", anew)
    soon("one launcher", lambda: len(running_launchers(lab, name)) == 1)


@pytest.mark.parametrize("name", ["manual", "once", "rerun", "standalone"])
def test_an_evicted_guest_shuts_down(lab: Lab, name: str) -> None:
    """That it stays so is looked at in the end."""
    assert vms.evict(lab, f"{name}-1", NAMESPACE) == ""
    soon("it to be down", lambda: is_down(lab, name))


def is_down(lab: Lab, name: str) -> bool:
    """No launcher, and the VMI has ended by itself or is not there any more."""
    found = kubectl.get(lab, "vmi", "-n", NAMESPACE, f"--field-selector=metadata.name={name}-1")["items"]
    return running_launchers(lab, name) == [] and all(one["status"]["phase"] == "Succeeded" for one in found)


def test_long_migrations_go_on_while_others_end(lab: Lab, long_migrations: dict[str, str]) -> None:
    slow = ended(lab, long_migrations["slow"], seconds=120)
    assert slow["phase"] == "Succeeded"
    assert took(slow["migrationState"]) >= 60
    assert migration_status(lab, long_migrations["stuck"])["phase"] == "Running"
    assert migration_status(lab, long_migrations["pinned"])["phase"] == "Scheduling"
    assert len(running_launchers(lab, "stuck")) == 2
    assert len(running_launchers(lab, "pinned")) == 1


def test_a_stuck_migration_is_called_off_by_deleting_it(lab: Lab, long_migrations: dict[str, str]) -> None:
    before = vmi(lab, "stuck")
    for name in ("stuck", "pinned"):
        kubectl.kubectl(lab, "delete", long_migrations[name], "-n", NAMESPACE, "--timeout=60s")
    assert vmi(lab, "stuck")["status"]["migrationState"]["abortStatus"] == "Succeeded"
    for name in ("stuck", "pinned"):
        soon("one launcher", lambda name=name: len(running_launchers(lab, name)) == 1)  # type: ignore[misc]
    after = vmi(lab, "stuck")
    for one in (before, after):
        assert one["status"]["phase"] == "Running"
    assert (after["metadata"]["uid"], after["status"]["nodeName"]) == (
        before["metadata"]["uid"],
        before["status"]["nodeName"],
    )


def test_who_was_shut_down_stays_down_and_nobody_else_is(lab: Lab) -> None:
    down = {"manual", "once", "rerun", "standalone"}
    print(tool("vm", "list", "--name", lab.name))
    assert {name for name in MIXED if is_down(lab, name)} == down
    for name in MIXED.keys() - down:
        assert vmi(lab, name)["status"]["phase"] == "Running", name


def took(state: Object) -> float:
    """How long a migration took, in seconds."""
    start, end = (
        datetime.fromisoformat(state[key].replace("Z", "+00:00")) for key in ("startTimestamp", "endTimestamp")
    )
    return (end - start).total_seconds()
