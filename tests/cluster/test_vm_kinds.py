# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's kinds of VMs, under the real virt-controller and virt-api: how their migrations and evictions go.

Tests of workloads rest on this. All first migrations are started at once, so the tests of this file belong together.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime

import pytest
import yaml

from tests.support.kubevirt import FROM, KUBEVIRT, wait_until
from tests.support.lab import ROOT, Json, Lab, lab, lab_up, worker_name

NAME = worker_name("vm-kinds")
NO_LIMITS = {"parallelMigrationsPerCluster": 50, "parallelOutboundMigrationsPerNode": 50}
# name, kind, run strategy, eviction strategy, phase, migratable
LISTED = """
agent-1         migratable      Always          LiveMigrate            Running  yes
agent-lost-1    agent-lost      Always          LiveMigrate            Running  yes
blocked-1       not-migratable  Always          LiveMigrate            Running  DisksNotLiveMigratable
bridge-1        migratable      Always          None                   Running  InterfaceNotLiveMigratable
external-1      migratable      Always          External               Running  yes
failing-1       failing         Always          LiveMigrate            Running  yes
failing-once-1  failing-once    Always          LiveMigrate            Running  yes
if-possible-1   not-migratable  Always          LiveMigrateIfPossible  Running  DisksNotLiveMigratable
local-1         not-migratable  Always          None                   Running  DisksNotLiveMigratable
machine-1       migratable      Always          LiveMigrate            Running  yes
manual-1        not-migratable  Manual          None                   Running  DisksNotLiveMigratable
once-1          not-migratable  Once            None                   Running  DisksNotLiveMigratable
pinned-1        pinned          Always          LiveMigrate            Running  yes
plain-1         migratable      Always          LiveMigrate            Running  yes
rerun-1         not-migratable  RerunOnFailure  None                   Running  DisksNotLiveMigratable
shared-1        migratable      Always          LiveMigrateIfPossible  Running  yes
slow-1          slow            Always          LiveMigrate            Running  yes
standalone-1    not-migratable  no VM           None                   Running  DisksNotLiveMigratable
stuck-1         stuck           Always          LiveMigrate            Running  yes
vcpus-1         migratable      Always          LiveMigrate            Running  yes
"""
EVERYONE = [line.split()[0] for line in LISTED.split("\n") if line]
MOVING = ["plain-1", "agent-1", "vcpus-1", "machine-1", "shared-1", "agent-lost-1"]
# and how the second migration ends
FAILING = {"failing-1": "Failed", "failing-once-1": "Succeeded"}
LONG = ["slow-1", "stuck-1", "pinned-1"]
ENDED_WHEN_EVICTED = ["manual-1", "once-1", "rerun-1", "standalone-1"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Lab]:
    """A lab with KubeVirt 1.7.0 and the mixed set of VMs, without limits on how many migrations run at once."""
    with lab_up(NAME, "--release", FROM) as running:
        lab("kubevirt", "install", FROM, "--name", NAME)
        patch = json.dumps({"spec": {"configuration": {"migrations": NO_LIMITS}}})
        running.kubectl("patch", *KUBEVIRT, "--type=merge", "-p", patch)
        assert sorted(lab("vm", "create-mixed", "--name", NAME).split()) == EVERYONE
        yield running


@pytest.fixture(scope="module")
def before(cluster: Lab) -> dict[str, Json]:
    """The VMIs before the first migrations, which have been started when this returns."""
    found = guests(cluster)
    start_migrations(cluster, [*LONG, *MOVING, *FAILING], "first")
    return found


def guests(cluster: Lab) -> dict[str, Json]:
    """The VMIs by name."""
    return {one["metadata"]["name"]: one for one in cluster.get("vmi")["items"]}


def uid(vmi: Json) -> str:
    return str(vmi["metadata"]["uid"])


def node(vmi: Json) -> str:
    return str(vmi["status"]["nodeName"])


def conditions(vmi: Json) -> dict[str, str]:
    return {condition["type"]: condition["status"] for condition in vmi["status"].get("conditions", [])}


def launchers(cluster: Lab, name: str) -> list[str]:
    """The nodes of a VM's launchers that run and are not told to end."""
    pods = cluster.get("pods", "-l", "kubevirt.io=virt-launcher")["items"]
    return [
        pod["spec"]["nodeName"]
        for pod in pods
        if pod["metadata"]["annotations"]["kubevirt.io/domain"] == name
        and pod["status"]["phase"] == "Running"
        and "deletionTimestamp" not in pod["metadata"]
    ]


def start_migrations(cluster: Lab, names: Iterable[str], which: str) -> None:
    kind = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstanceMigration"}
    wanted = [kind | {"metadata": {"name": f"{name}-{which}"}, "spec": {"vmiName": name}} for name in names]
    cluster.kubectl("create", "-f", "-", stdin=yaml.safe_dump_all(wanted))


def migration(cluster: Lab, name: str, which: str = "first") -> Json:
    """The status of a migration."""
    found: Json = cluster.get("vmim", f"{name}-{which}").get("status", {})
    return found


def ended_migration(cluster: Lab, name: str, which: str = "first", seconds: float = 120) -> Json:
    """The status of a migration when it has ended and virt-controller has put down how."""
    wait_until(lambda: "endTimestamp" in migration(cluster, name, which).get("migrationState", {}), seconds)
    return migration(cluster, name, which)


def evict(name: str) -> str:
    """Evict a VM's launcher; what is said to it."""
    command = [sys.executable, "tests/lab", "vm", "evict", name, "--name", NAME]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert done.stdout, done.stderr
    return done.stdout.strip()


def is_down(cluster: Lab, name: str) -> bool:
    """No launcher runs, and the VMI has ended by itself or is not there any more."""
    found = guests(cluster).get(name)
    return not launchers(cluster, name) and (found is None or found["status"]["phase"] == "Succeeded")


def test_the_vms_are_as_told(cluster: Lab, before: dict[str, Json]) -> None:
    listed = lab("vm", "list", "--name", NAME).splitlines()
    print("\n".join(listed))
    told = [line.split() for line in LISTED.split("\n") if line]
    assert [line.split()[:-2] for line in listed[1:]] == told
    assert {line.split()[-2] for line in listed[1:]} <= {FROM, "-"}
    assert conditions(before["agent-1"])["AgentConnected"] == "True"
    assert "AgentConnected" not in conditions(before["plain-1"])
    cpu = before["vcpus-1"]["spec"]["domain"]["cpu"]
    assert (cpu["cores"], cpu["model"]) == (2, "Haswell")
    assert before["machine-1"]["spec"]["domain"]["machine"]["type"] == "pc-q35-rhel9.4.0"


def test_a_migration_whose_target_finds_no_node_waits_for_one(cluster: Lab, before: dict[str, Json]) -> None:
    """Early, because virt-controller lets it fail after 5 minutes."""
    wait_until(lambda: migration(cluster, "pinned-1").get("phase") == "Scheduling")
    assert launchers(cluster, "pinned-1") == [node(before["pinned-1"])]


@pytest.mark.parametrize("name", MOVING)
def test_a_migratable_vm_moves(cluster: Lab, before: dict[str, Json], name: str) -> None:
    status = ended_migration(cluster, name)
    after = guests(cluster)[name]
    assert status["phase"] == "Succeeded"
    assert uid(after) == uid(before[name])
    assert node(after) != node(before[name])
    wait_until(lambda: launchers(cluster, name) == [node(after)])
    wait_until(lambda: conditions(guests(cluster)[name])["Ready"] == "True")
    lost = {"AgentConnected"} if name == "agent-lost-1" else set()
    assert set(conditions(before[name])) - set(conditions(guests(cluster)[name])) == lost


@pytest.mark.parametrize(("name", "second"), list(FAILING.items()))
def test_a_failed_migration_says_why_and_the_vm_stays(
    cluster: Lab, before: dict[str, Json], name: str, second: str
) -> None:
    status = ended_migration(cluster, name)
    assert status["phase"] == "Failed"
    assert status["migrationState"]["failureReason"] == "the lab was told to let it fail"
    assert node(guests(cluster)[name]) == node(before[name])
    wait_until(lambda: launchers(cluster, name) == [node(before[name])])

    start_migrations(cluster, [name], "second")
    assert ended_migration(cluster, name, "second")["phase"] == second
    after = guests(cluster)[name]
    assert uid(after) == uid(before[name])
    assert (node(after) == node(before[name])) == (second == "Failed")


@pytest.mark.parametrize(
    ("name", "said"), [("blocked-1", "PVC blocked-1 is not shared"), ("bridge-1", "does not use masquerade")]
)
def test_virt_api_refuses_to_migrate_what_cannot(cluster: Lab, name: str, said: str) -> None:
    with pytest.raises(AssertionError, match=f"Cannot migrate VMI.*{said}"):
        start_migrations(cluster, [name], "first")


@pytest.mark.parametrize("name", ["plain-1", "shared-1"])
def test_an_evicted_vm_that_can_migrate_does(cluster: Lab, before: dict[str, Json], name: str) -> None:
    left = node(guests(cluster)[name])
    assert evict(name).endswith(f'Eviction triggered evacuation of VMI "default/{name}"')
    wait_until(lambda: node(guests(cluster)[name]) != left)
    wait_until(lambda: launchers(cluster, name) == [node(guests(cluster)[name])])
    assert uid(guests(cluster)[name]) == uid(before[name])


def test_an_eviction_of_what_cannot_migrate_is_refused(cluster: Lab, before: dict[str, Json]) -> None:
    said = evict("blocked-1")
    assert said.endswith("VMI blocked-1 is configured with an eviction strategy but is not live-migratable")
    assert launchers(cluster, "blocked-1") == [node(before["blocked-1"])]


def test_an_eviction_is_left_to_an_external_controller(cluster: Lab, before: dict[str, Json]) -> None:
    assert "Eviction triggered evacuation" in evict("external-1")
    marked = guests(cluster)["external-1"]["status"]["evacuationNodeName"]
    assert launchers(cluster, "external-1") == [marked] == [node(before["external-1"])]


@pytest.mark.parametrize("name", ["local-1", "bridge-1", "if-possible-1"])
def test_an_evicted_vm_that_always_runs_starts_again(cluster: Lab, before: dict[str, Json], name: str) -> None:
    assert evict(name) == "evicted"

    def anew() -> bool:
        vmi = guests(cluster).get(name)
        return bool(vmi and uid(vmi) != uid(before[name]) and vmi["status"].get("phase") == "Running")

    wait_until(anew)
    wait_until(lambda: len(launchers(cluster, name)) == 1)


@pytest.mark.parametrize("name", ENDED_WHEN_EVICTED)
def test_an_evicted_guest_shuts_down(cluster: Lab, before: dict[str, Json], name: str) -> None:
    """That it stays so is looked at in the end."""
    assert evict(name) == "evicted"
    wait_until(lambda: is_down(cluster, name))


def test_long_migrations_go_on_while_others_end(cluster: Lab, before: dict[str, Json]) -> None:
    slow = ended_migration(cluster, "slow-1", seconds=180)
    start, end = (datetime.fromisoformat(slow["migrationState"][f"{key}Timestamp"][:-1]) for key in ("start", "end"))
    assert slow["phase"] == "Succeeded"
    assert (end - start).total_seconds() >= 60
    assert migration(cluster, "stuck-1")["phase"] == "Running"
    assert len(launchers(cluster, "stuck-1")) == 2
    assert launchers(cluster, "pinned-1") == [node(before["pinned-1"])]


def test_a_migration_is_called_off_by_deleting_it(cluster: Lab, before: dict[str, Json]) -> None:
    for name in ("stuck-1", "pinned-1"):
        cluster.kubectl("delete", "vmim", f"{name}-first", "--timeout=60s")
        wait_until(lambda name=name: launchers(cluster, name) == [node(before[name])])  # type: ignore[misc]
        after = guests(cluster)[name]
        assert (uid(after), after["status"]["phase"]) == (uid(before[name]), "Running")
    assert guests(cluster)["stuck-1"]["status"]["migrationState"]["abortStatus"] == "Succeeded"


def test_who_was_shut_down_stays_down_and_nobody_else_is(cluster: Lab) -> None:
    print(lab("vm", "list", "--name", NAME))
    phases = {name: vmi["status"]["phase"] for name, vmi in guests(cluster).items()}
    ended = {"manual-1": "Succeeded", "once-1": "Succeeded", "standalone-1": "Succeeded"}
    running = dict.fromkeys(set(EVERYONE) - set(ENDED_WHEN_EVICTED), "Running")
    assert phases == ended | running
    machines = {one["metadata"]["name"]: one["status"]["printableStatus"] for one in cluster.get("vm")["items"]}
    assert {name for name, status in machines.items() if status != "Running"} == set(ENDED_WHEN_EVICTED) & set(machines)
