# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two guests that really run, and what their clients notice while KubeVirt is upgraded beneath them and they are moved.

The tests follow one another on one lab.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.guests import page
from tests.guests.stage import (
    GUESTS,
    LAUNCHER,
    Guest,
    Run,
    guests,
    handlers,
    is_at_rest,
    lab_with_guests,
    roll_out_again,
)
from tests.support.kubevirt import TO, assert_arrived, wait_until
from tests.support.lab import Lab, lab, worker_name
from tests.support.removal import Removal, phrase_of, restored, traces
from tests.support.vms import moved_by_kubevirt, moved_by_ours, vms

pytestmark = pytest.mark.full

# So that evicting a guest shuts it down instead of migrating it. Whether it can be migrated does not depend on that.
EVICTION_STRATEGY = "None"


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """A lab with KubeVirt 1.7.0 and two guests, and clients of them."""
    with lab_with_guests(worker_name("guests"), EVICTION_STRATEGY) as cluster:
        started = Run(cluster, "run")
        yield started
        started.close()


def test_the_control_plane_is_upgraded_beneath_the_guests(run: Run) -> None:
    before, handlers_before = guests(run.cluster), handlers(run.cluster)
    with run.phase(page.UPGRADE):
        run.play("upgrade", kubevirt_version=TO, kubevirt_manifest=lab("manifest", TO))
    assert_arrived(run.cluster, TO)
    assert len({*handlers_before.values(), *handlers(run.cluster).values()}) == 4, "virt-handler was not replaced"
    assert guests(run.cluster) == before
    assert [row.wrong for row in run.of(page.UPGRADE)] == [[], []]


def test_a_canary_then_the_other_one_are_moved_by_us(run: Run) -> None:
    wait_until(lambda: all(vm.is_outdated for vm in vms(run.cluster).values()), 120)
    before = guests(run.cluster)
    run.play_in_phases(
        {"canary": page.CANARY, "widen": page.WIDEN},
        "workloads",
        kubevirt_workload_methods=["LiveMigrate"],
        kubevirt_widen=[100],
        kubevirt_soak=10,
    )
    _assert_moved(run, before)
    assert moved_by_ours(run.cluster) == dict.fromkeys(GUESTS, 1)
    assert not moved_by_kubevirt(run.cluster)
    canary, widen = run.of(page.CANARY), run.of(page.WIDEN)
    assert [row.wrong for row in (*canary, *widen)] == [[]] * 4
    assert [len({*row.nodes}) for row in (*canary, *widen)] == [2, 1, 1, 2], "one moved in each"


def test_virt_handler_is_rolled_out_once_more(run: Run) -> None:
    before, handlers_before = guests(run.cluster), handlers(run.cluster)
    run.cluster.kubectl("patch", "kubevirt", "kubevirt", "-n", "kubevirt", "--type=merge", "-p", NO_METHODS)
    with run.phase(page.AGAIN):
        roll_out_again(run.cluster, 1)
    assert len({*handlers_before.values(), *handlers(run.cluster).values()}) == 4, "virt-handler was not replaced"
    assert guests(run.cluster) == before
    assert [row.wrong for row in run.of(page.AGAIN)] == [[], []]


def test_kubevirts_own_updater_moves_both(run: Run) -> None:
    before, ours = guests(run.cluster), moved_by_ours(run.cluster)
    with run.phase(page.UPDATER):
        run.play(
            "workloads",
            kubevirt_workload_methods=["LiveMigrate"],
            kubevirt_canary_max=0,
            kubevirt_widen=[],
            kubevirt_soak=0,
        )
    _assert_moved(run, before)
    assert moved_by_kubevirt(run.cluster) == dict.fromkeys(GUESTS, 1)
    assert moved_by_ours(run.cluster) == ours
    rows = run.of(page.UPDATER)
    assert [row.wrong for row in rows] == [[], []]
    assert all(len({*row.nodes}) == 2 for row in rows)


def test_an_eviction_starts_a_guest_anew_and_loses_nothing_else(run: Run) -> None:
    run.cluster.kubectl("patch", "kubevirt", "kubevirt", "-n", "kubevirt", "--type=merge", "-p", NO_METHODS)
    roll_out_again(run.cluster, 2)
    before = guests(run.cluster)
    with run.phase(page.EVICT, reboots=True):
        run.play("workloads", kubevirt_workload_methods=["Evict"])
        wait_until(lambda: {*guests(run.cluster)} == {*GUESTS}, 120)
        run.wait_for_answers()
    after = guests(run.cluster)
    for name in GUESTS:
        assert after[name].uid != before[name].uid
        assert after[name].address == before[name].address
        assert after[name].launcher == f"{LAUNCHER}:{TO}-rebuilt.2"
    assert is_at_rest(run.cluster)
    assert [row.wrong for row in run.of(page.EVICT)] == [[], []]


def test_kubevirt_is_removed_and_installed_again_and_the_guests_come_back(run: Run, tmp_path: Path) -> None:
    before, firmware = guests(run.cluster), firmware_of(run.cluster)
    removal = Removal(run.cluster, tmp_path, TO, {"remove_namespace": True})
    with run.phase(page.REMOVAL, reboots=True):
        refused = removal.run()
        assert refused.code and guests(run.cluster) == before, refused.message
        done = removal.run(confirm=phrase_of(refused))
        assert done.code == 0, done.message
        assert traces(run.cluster, but=()) == []
        lab("kubevirt", "install", TO, "--name", run.cluster.name)
        backup = Path(done.data["backup"]["path"])
        wait_until(lambda: restored(run.cluster, backup), 120)
        wait_until(lambda: {*guests(run.cluster)} == {*GUESTS}, 300)
        run.wait_for_answers()
    after = guests(run.cluster)
    assert {name: guest.address for name, guest in after.items()} == run.addresses
    assert {guest.launcher for guest in after.values()} == {f"{LAUNCHER}:{TO}"}
    assert firmware_of(run.cluster) == firmware
    assert [row.wrong for row in run.of(page.REMOVAL)] == [[], []]


def firmware_of(cluster: Lab) -> dict[str, str]:
    """The UUID by which each guest knows its machine."""
    found = cluster.get("vmi")["items"]
    return {one["metadata"]["name"]: one["spec"]["domain"]["firmware"]["uuid"] for one in found}


def test_the_table(run: Run) -> None:
    assert {row.phase for row in run.rows} == {
        page.UPGRADE,
        page.CANARY,
        page.WIDEN,
        page.AGAIN,
        page.UPDATER,
        page.EVICT,
        page.REMOVAL,
    }
    print(page.save_table())


NO_METHODS = '{"spec": {"workloadUpdateStrategy": {"workloadUpdateMethods": []}}}'


def _assert_moved(run: Run, before: Mapping[str, Guest]) -> None:
    """Each guest is the same VMI at the same address, on another launcher."""
    wait_until(lambda: is_at_rest(run.cluster))
    after = guests(run.cluster)
    for name in GUESTS:
        old, new = before[name], after[name]
        assert (new.uid, new.address) == (old.uid, old.address)
        assert new.launcher != old.launcher and new.pods != old.pods
