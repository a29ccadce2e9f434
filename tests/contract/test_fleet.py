# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks on an inventory of clusters: who is begun, who is left alone, and what is said of it.

Nothing listens here: the collection's actions are replaced by ``tests/support/fleet/stand_in.py``, one file a cluster, because what is
tried is the order of things in ansible-playbook, the roles and the filters, and several clusters would be several API servers.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.support.fleet.fleet import FROM, TO, Fleet

LAST = 300
"""How many bytes of the output are looked at for a question."""


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """Six clusters."""
    return Fleet(tmp_path, 6)


def test_a_failure_stops_new_waves_and_not_its_own(fleet: Fleet) -> None:
    """ANSIBLE_STRATEGY=free would let all go on; the playbooks say by themselves which strategy they need."""
    fleet.set("c2", fails="The image cannot be pulled.")
    ran = fleet.run(kubevirt_serial=[1, 3, "100%"], env={"ANSIBLE_STRATEGY": "free"})
    assert ran.code == 2
    assert ran.upgraded[0] == "c0" and sorted(ran.upgraded) == ["c0", "c1", "c2", "c3"]
    assert {host: fleet.get(host)["version"] for host in ("c0", "c1", "c3", "c4", "c5")} == {
        **dict.fromkeys(("c0", "c1", "c3"), TO),
        **dict.fromkeys(("c4", "c5"), FROM),
    }
    assert list(ran.states.values()) == ["done", "done", "failed", "done", "not-begun", "not-begun"]
    assert [one["wave"] for one in ran.outcomes.values()] == [1, 2, 2, 2, 3, 3]
    assert "c2 failed, and kubevirt_wave_failure_budget is 0" in ran.outcomes["c4"]["message"]
    assert '"6 clusters: 3 done, 1 failed, 2 not-begun."' in ran.output
    assert ran.output.rindex("The image cannot be pulled.") > ran.output.rindex("fatal: [c2]")
    table = ran.output.index("6 clusters: 6 to do, 0 finished, 0 refused.")
    assert table < ran.output.index("wave by wave")

    fleet.set("c2", fails="")
    again = fleet.run(kubevirt_serial=[1, 3, "100%"])
    assert again.code == 0
    assert [call for call in again.calls if call.startswith("c0 ")] == ["c0 kubevirt_info"], (
        "a finished one costs one read"
    )
    assert sorted(again.upgraded) == ["c2", "c4", "c5"]
    assert list(again.states.values()) == ["unchanged", "unchanged", "done", "unchanged", "done", "done"]


def test_within_the_budget_the_next_wave_begins(fleet: Fleet) -> None:
    """All of the first wave fails, and c4 is not well any more after the soak."""
    fleet.set("c0", fails="It failed.")
    fleet.set("c4", state_after="degraded")
    fleet.inventory("c0", kubevirt_serial=[1, 4, 1])
    ran = fleet.run(kubevirt_wave_failure_budget=1, kubevirt_wave_soak=1)
    assert ran.code == 2
    assert list(ran.states.values()) == ["failed", "done", "done", "done", "failed", "not-begun"]
    assert ran.outcomes["c4"]["message"] == "It was well when its upgrade ended, and is not any more: It is degraded."
    assert "c0, c4 failed" in ran.outcomes["c5"]["message"]


@pytest.mark.parametrize(
    ("name", "module"), [("upgrade", "kubevirt_upgrade"), ("workloads", "kubevirt_workload_update")]
)
def test_a_cluster_that_is_not_worked_on_beside_the_others_of_its_wave(fleet: Fleet, name: str, module: str) -> None:
    """One whose kubeconfig is in the inventory, and so in the options, has a process of its own, as always."""
    for host in ("c1", "c2"):
        fleet.inventory(host, kubevirt_kubeconfig={"current-context": host})
    fleet.set("c2", fails="The image cannot be pulled.")
    for number in range(6):
        fleet.set(f"c{number}", outdated=2)
    ran = fleet.run(name, kubevirt_serial="100%", kubevirt_workload_methods=["LiveMigrate"])
    states = {**dict.fromkeys(("c0", "c1", "c3", "c4", "c5"), "done"), "c2": "failed" if name == "upgrade" else "done"}
    assert ran.states == states
    calls = [call.split()[0] for call in ran.calls if call.endswith(f" {module}")]
    assert sorted(calls) == ["c0", "c1", "c2", "c3", "c4", "c5"]
    assert set(calls[:2]) == {"c1", "c2"}, "the others are begun once all have asked"


def test_clusters_of_a_wave_may_have_other_hops_to_make(fleet: Fleet) -> None:
    """Ansible goes through the hops of one group of clusters, then through those of the next; each is worked on in its own turn."""
    for host in ("c1", "c4"):
        fleet.set(host, version="v1.6.2", stops=[FROM])
    fleet.set("c4", fails="The image cannot be pulled.")
    ran = fleet.run(kubevirt_serial="100%")
    assert ran.states == {**dict.fromkeys(("c0", "c1", "c2", "c3", "c5"), "done"), "c4": "failed"}
    assert {host: fleet.get(host)["version"] for host in ("c0", "c1", "c4")} == {"c0": TO, "c1": TO, "c4": "v1.6.2"}
    assert sorted(ran.upgraded) == ["c0", "c1", "c1", "c2", "c3", "c4", "c5"]


def test_a_mistake_in_the_work_for_one_cluster_is_its_failure_alone(fleet: Fleet) -> None:
    fleet.set("c2", breaks="It broke.")
    ran = fleet.run(kubevirt_serial="100%")
    assert ran.states == {**dict.fromkeys(("c0", "c1", "c3", "c4", "c5"), "done"), "c2": "failed"}
    assert ran.outcomes["c2"]["message"].startswith("The collection made a mistake: RuntimeError: It broke. (")


def test_outside_its_window_a_cluster_is_deferred(fleet: Fleet) -> None:
    now = datetime.now(timezone.utc)
    later, evening = (now + timedelta(hours=hours) for hours in (2, 4))
    fleet.inventory("c1", kubevirt_window=f"{later:%H:%M}-{evening:%H:%M}")
    fleet.inventory("c2", kubevirt_window=f"{evening:%H:%M}-{later:%H:%M}")
    ran = fleet.run(kubevirt_serial="100%")
    assert ran.code == 0
    assert ran.states == {**dict.fromkeys(("c0", "c2", "c3", "c4", "c5"), "done"), "c1": "deferred"}
    assert f"its window is from {later:%H:%M} to {evening:%H:%M} UTC" in ran.outcomes["c1"]["message"]
    assert fleet.get("c1")["version"] == FROM


@pytest.mark.parametrize("name", ["upgrade", "workloads", "remove"])
def test_clusters_must_be_told_apart(fleet: Fleet, name: str) -> None:
    fleet.inventory("c1", kubevirt_expected_cluster_uid="")
    fleet.inventory("c3", kubevirt_expected_cluster_uid="uid-2", kubevirt_window="at night")
    ran = fleet.run(name, kubevirt_workload_methods=["LiveMigrate"], kubevirt_hosts="kubevirt_clusters")
    assert (ran.code, ran.calls) == (2, [])
    assert "Of 6 hosts, these do not say which cluster they are: c1." in ran.output
    assert "c2 and c3 are the same cluster (uid uid-2)." in ran.output
    assert "kubevirt_window of c3: 'at night' is no window" in ran.output
    assert "Nothing was done." in ran.output


def test_status_prints_what_belongs_into_the_inventory(fleet: Fleet) -> None:
    fleet.inventory("c1", kubevirt_expected_cluster_uid="")
    ran = fleet.run("status")
    assert ran.code == 0
    assert '"    c1: {kubevirt_expected_cluster_uid: uid-1}"' in ran.output


def test_the_plan_of_the_fleet_is_one_table(fleet: Fleet) -> None:
    fleet.set("c1", version=TO)
    fleet.set("c2", blocker="kubevirt.unhealthy")
    fleet.set("c3", down={"unreachable": False})
    ran = fleet.run("plan")
    assert ran.code == 2
    assert '"c1    v1.8.4  v1.8.4  0     2    -      finished"' in ran.output
    assert '"c2    v1.7.0  v1.8.4  1     2    -      kubevirt.unhealthy"' in ran.output
    assert '"c3    -       -       0     -    -      c3 does not answer."' in ran.output
    assert ran.output.count("6 clusters: 3 to do, 1 finished, 2 refused.") == 1
    assert "To be mended first, or left out with --limit: c2, c3." in ran.output
    assert ran.upgraded == []


def test_a_host_that_is_lost_counts_as_failed(fleet: Fleet) -> None:
    fleet.set("c0", down={"unreachable": True})
    ran = fleet.run(kubevirt_serial=1)
    assert ran.code != 0
    assert ran.upgraded == []
    assert "c0 failed, and kubevirt_wave_failure_budget is 0" in ran.outcomes["c1"]["message"]


def test_without_a_terminal_each_run_does_one_wave(fleet: Fleet) -> None:
    serial = [1, 2, 3]
    first = fleet.run(kubevirt_serial=serial, kubevirt_approve_waves=True)
    assert (first.code, first.upgraded) == (0, ["c0"])
    assert list(first.states.values()) == ["done", *["not-begun"] * 5]
    assert first.outcomes["c5"]["message"].startswith("Wave 2 was not approved. To go on: ansible-playbook -i ")
    second = fleet.run(kubevirt_serial=serial, kubevirt_approve_waves=True)
    assert (second.code, sorted(second.upgraded)) == (0, ["c1", "c2"])


def test_on_a_terminal_it_asks(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, 3)
    variables = {
        "kubevirt_version": TO,
        "kubevirt_wave_soak": 0,
        "kubevirt_approve_waves": True,
        "kubevirt_serial": [1, 2],
    }
    command = [*fleet.command("upgrade"), "-e", json.dumps(variables)]
    code, output = answered("ends the run here", "yes\n", command, fleet.environment())
    print(output)
    assert code == 0
    assert "Wave 2: c1, c2 (1 before without a failure)" in output
    assert {fleet.get(f"c{number}")["version"] for number in range(3)} == {TO}


def test_workloads_go_wave_by_wave_too(fleet: Fleet) -> None:
    for number in range(1, 6):
        fleet.set(f"c{number}", outdated=2)
    ran = fleet.run("workloads", kubevirt_workload_methods=["LiveMigrate"])
    assert ran.code == 0
    assert ran.states == {"c0": "unchanged", **{f"c{number}": "done" for number in range(1, 6)}}
    assert ran.outcomes["c1"]["vms"] == {"moved": 2, "left": 0}
    assert [call for call in ran.calls if call.startswith("c0 ")] == ["c0 kubevirt_info"]


def test_a_removal_goes_one_by_one_and_the_first_failure_stops_the_rest(fleet: Fleet) -> None:
    fleet.set("c1", fails="Something is left.")
    ran = fleet.run("remove", kubevirt_hosts="c0:c1:c2", env={"ANSIBLE_STRATEGY": "free"})
    assert ran.code == 2
    each = [f"{host} kubevirt_{name}" for host in ("c0", "c1") for name in ("info", "remove")]
    assert ran.calls == each
    assert "Something is left." in ran.output[ran.output.rindex("fatal: [c1]") :]
    nobody = fleet.run("remove")
    assert nobody.calls == [] and "kubevirt_hosts is missing" in nobody.output


def answered(question: str, answer: str, command: Sequence[str], env: Mapping[str, str]) -> tuple[int, str]:
    """The code and the output of a command that has a terminal, where the question is answered.

    Ansible throws away what was typed before it asks, so the answer is repeated until there is more output.
    """
    on_a_terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    with subprocess.Popen(
        [sys.executable, "-c", on_a_terminal, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(env)
    ) as process:
        assert process.stdin and process.stdout
        output = b""
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            if select.select([process.stdout], [], [], 2)[0]:
                part = os.read(process.stdout.fileno(), 65536)
                output += part
                if not part:
                    return process.wait(60), output.decode()
            elif question in output[-LAST:].decode(errors="replace"):
                os.write(process.stdin.fileno(), answer.encode())
        process.kill()
    raise AssertionError(f"no end after 600 s:\n{output.decode()}")
