# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks that move VMs: upgrade.yml at the end of its way, and workloads.yml, killed at its steps and run again."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

import pytest

from tests.support.killing import kill_when
from tests.support.kubevirt import FROM, TO, wait_until
from tests.support.lab import Lab, lab, lab_up, worker_name
from tests.support.vms import (
    forget_migrations,
    is_held,
    make_old,
    methods,
    migrations,
    moved_by_kubevirt,
    moved_by_ours,
    on_new_launcher,
    set_methods,
    told,
    uids,
    unfinished,
)

pytestmark = pytest.mark.full

NAME = worker_name("workloads-killed")
CANARIES = 2
EVERYONE = {f"vm-{number}" for number in range(1, 9)}
ASKED: dict[str, t.Any] = {
    "kubevirt_workload_methods": ["LiveMigrate"],
    "kubevirt_widen": [60],
    "kubevirt_soak": 5,
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Lab]:
    """A lab with KubeVirt and eight VMs of two classes, whose migrations take long enough to be killed in."""
    with lab_up(NAME) as running:
        lab("kubevirt", "install", FROM, "--name", NAME)
        lab("vm", "create", "6", "--migration-seconds", "6", "--name", NAME)
        lab("vm", "create", "2", "--migration-seconds", "6", "--cpu-model", "Haswell", "--name", NAME)
        yield running


@pytest.fixture
def old(cluster: Lab) -> dict[str, str]:
    """All VMs on old launchers, and nobody has moved them yet. Their UIDs."""
    set_methods(cluster)
    forget_migrations(cluster)
    make_old(cluster, EVERYONE)
    return uids(cluster)


def assert_all_moved(cluster: Lab, before: dict[str, str]) -> None:
    """Each by exactly one migration, whoever asked for it; and what was asked for stands."""
    assert on_new_launcher(cluster) == EVERYONE
    assert uids(cluster) == before
    ours, updaters = moved_by_ours(cluster), moved_by_kubevirt(cluster)
    print(f"moved by ours: {ours}; by KubeVirt's updater: {updaters}")
    assert ours + updaters == dict.fromkeys(EVERYONE, 1)
    assert len(ours) >= 5 and updaters
    assert (methods(cluster), is_held(cluster)) == (["LiveMigrate"], False)
    assert not cluster.succeeds("get", "lease", "kubevirt-lifecycle", "-n", "kubevirt")


def test_an_upgrade_moves_the_vms_at_its_end(cluster: Lab) -> None:
    before = uids(cluster)
    done = cluster.playbook(
        "upgrade",
        kubevirt_version=TO,
        kubevirt_manifest=lab("manifest", TO),
        kubevirt_workloads="at_the_end",
        **ASKED,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 moved" in done.stdout, done.stdout
    assert_all_moved(cluster, before)


@pytest.mark.parametrize(("step", "moved_before"), [("canary", 1), ("widen", CANARIES + 2)], ids=["canary", "widen"])
def test_a_run_that_was_killed_is_carried_on(cluster: Lab, old: dict[str, str], step: str, moved_before: int) -> None:
    kill_when(
        lambda: len(moved_by_ours(cluster)) >= moved_before and unfinished(cluster) != [],
        cluster.playbook_command("workloads", **ASKED),
    )
    print(f"killed at {step}: {moved_by_ours(cluster)}, under way {unfinished(cluster)}")
    assert (methods(cluster), is_held(cluster)) == ([], True)
    assert not moved_by_kubevirt(cluster)

    done = cluster.playbook("workloads", **ASKED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_all_moved(cluster, old)


def test_killed_while_kubevirts_updater_is_at_work(cluster: Lab, old: dict[str, str]) -> None:
    kill_when(lambda: bool(moved_by_kubevirt(cluster)), cluster.playbook_command("workloads", **ASKED))
    assert (methods(cluster), is_held(cluster)) == (["LiveMigrate"], False)
    done = cluster.playbook("workloads", **ASKED)
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until(lambda: on_new_launcher(cluster) == EVERYONE)
    assert_all_moved(cluster, old)


def test_a_spent_budget_stops_kubevirts_updater_and_virt_handler_stays_as_it_is(
    cluster: Lab, old: dict[str, str]
) -> None:
    """Methods are emptied while migrations run; those go on, for nothing of the control plane is rolled out anew."""
    handler = ("daemonset", "virt-handler", "-n", "kubevirt")
    template = cluster.get(*handler)["spec"]["template"]
    cluster.kubectl("label", "vmi", "vm-6", "lab/migration=fails")
    stopped = cluster.module(
        "kubevirt_workload_update", {"methods": ["LiveMigrate"], "widen": [1], "soak": 0, "failure_budget": 0}
    )
    assert stopped.finding_ids[0] == "workloads.budget-spent", told(stopped)
    assert stopped.data["failures"] == [{"vm": "default/vm-6", "reason": "the lab was told to let it fail"}]
    assert (methods(cluster), is_held(cluster)) == ([], False)
    wait_until(lambda: unfinished(cluster) == [], 120)
    assert cluster.get(*handler)["spec"]["template"] == template
    assert uids(cluster) == old
    ended = {one["status"]["phase"] for one in migrations(cluster) if one["spec"]["vmiName"] != "vm-6"}
    assert ended == {"Succeeded"}
    assert moved_by_kubevirt(cluster)["vm-6"] == 1
