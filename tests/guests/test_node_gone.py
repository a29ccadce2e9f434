# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node ends while a guest is moved to it and another one runs there. It does not come back, so this has a lab of its own."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.guests import page
from tests.guests.moves import CANARY, OTHER, SLOW, moving, other_node, slow_migrations
from tests.guests.stage import Run, guests, lab_with_guests, launchers, roll_out_again
from tests.support.kubevirt import TO
from tests.support.lab import Lab, worker_name
from tests.support.vms import migrations_asked_for, told

pytestmark = pytest.mark.full

COPIED_FOR = 5.0
"""Seconds for which memory has been copied when the node ends."""
LOOKED_AT_FOR = 60.0
"""Seconds after the run in which nobody may be started twice. Kubernetes takes a node for gone after 40."""


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """A lab with a guest on each node, KubeVirt having gone on to another launcher."""
    with lab_with_guests(worker_name("gone"), "LiveMigrate", TO) as cluster:
        started = Run(cluster, "gone")
        roll_out_again(cluster, 1)
        yield started
        started.close()
        print(page.save_table())


def test_the_targets_node_ends(run: Run) -> None:
    before, position = guests(run.cluster), run.cluster.audit_position()
    kept, gone = before[CANARY].node, other_node(before[CANARY].node)
    assert before[OTHER].node == gone
    with slow_migrations(run), run.phase(page.NODE_GONE):
        with moving(run.cluster, migration_timeout=120) as future:
            time.sleep(COPIED_FOR)
            assert not future.done(), told(future.result())
            state = run.cluster.get("vmi", CANARY)["status"]["migrationState"]
            assert state.get("migrationPolicyName") == SLOW["metadata"]["name"], state
            kill_node(run.cluster, gone)
            stopped = future.result()
        assert stopped.code != 0
        assert stopped.finding_ids[0] == "workloads.canary-failed", told(stopped)
        run.tell(f"      {stopped.finding_ids[0]}: {stopped.data['failures'][0]['reason']}")
        assert [one["vm"] for one in stopped.data["failures"]] == [f"default/{CANARY}"], told(stopped)
        assert len(migrations_asked_for(run.cluster, position)) == 1, "that of the canary, and no other"
        time.sleep(LOOKED_AT_FOR)
        # Nobody knows of what is on a node that does not answer, so its pods count as running.
        assert launchers(run.cluster, OTHER) == list(before[OTHER].pods)
        assert [pod for pod in launchers(run.cluster, CANARY) if node_of(run.cluster, pod) == kept] == list(
            before[CANARY].pods
        )
    canary, other = run.of(page.NODE_GONE)
    assert canary.wrong == [], "the guest whose target is gone goes on"
    assert other.boots == 1, "the guest of the node that is gone has been started elsewhere"


def node_of(cluster: Lab, pod: str) -> str:
    """On which node a pod is."""
    return str(cluster.get("pod", pod)["spec"]["nodeName"])


def kill_node(cluster: Lab, node: str) -> None:
    """End all that runs on a node: the process that holds its namespaces, as the lab has put it down."""
    record = json.loads((cluster.kubeconfig.parent / "pids" / f"{node}-init.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)
