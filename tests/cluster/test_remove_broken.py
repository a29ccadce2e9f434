# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""KubeVirt is removed from every state in which removals are known to get stuck, and installed again right after.

The cases follow one another on one lab; each begins with the installation that proves the removal of the one before. What became
of them is in docs/removal-outcomes.md.
"""

from __future__ import annotations

import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.install import install_sparingly
from tests.support.kubevirt import KUBEVIRT, TO
from tests.support.lab import Json, Lab, Result, lab, mutating, worker_name
from tests.support.removal import UNARMED, Reached, Removal, has_backup, phrase_of, repaired, traces, wrote
from tests.support.removal_outcomes import STARTS, Outcome, Run, Start, save

pytestmark = pytest.mark.full

NAME = worker_name("remove-broken")


FEWEST_KILLS = 4


class Bench:
    """A lab on which one case follows the other."""

    def __init__(self) -> None:
        self.cluster: Lab | None = None
        self._installed = ""

    def ready(self, start: Start) -> Lab:
        """KubeVirt as the case wants it, with its VMs."""
        if not self.cluster:
            lab("up", "--name", NAME)
            lab("cdi", "--name", NAME)
            self.cluster = Lab.of(NAME)
        if self._installed != start.release:
            if self._installed:
                lab("kubevirt", "uninstall", "--name", NAME)
            self.install(start.release)
        if start.vms:
            lab("vm", "create", str(start.vms), "--disk", "data-volume", "--name", NAME)
        self._installed = ""
        return self.cluster

    def install(self, release: str) -> None:
        assert self.cluster
        install_sparingly(self.cluster, release)
        self._installed = release

    def throw_away(self) -> None:
        """Nothing of a case that went wrong shall be in the next one's way."""
        lab("down", "--name", NAME)
        self.cluster, self._installed = None, ""


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.throw_away()


@pytest.mark.parametrize("start", [pytest.param(start, id=start.name.replace(" ", "-")) for start in STARTS])
def test_kubevirt_is_removed_from(start: Start, bench: Bench, tmp_path: Path) -> None:
    cluster = bench.ready(start)
    outcome = Outcome(start.name)
    try:
        claims = claims_of(cluster)
        start.make(cluster)
        PLAYS[start.play](Removal(cluster, tmp_path, start.release), start, outcome)
        left = traces(cluster)
        if left:
            outcome.wrong.append(f"left: {left}")
        if claims_of(cluster) != claims:
            outcome.wrong.append(f"of the disks {claims} there are {claims_of(cluster)}")
        if not outcome.wrong:
            bench.install(TO)
    except Exception as error:
        outcome.wrong.append(f"{type(error).__name__}: {error}")
        raise
    finally:
        print(outcome)
        save(outcome)
        if outcome.wrong:
            bench.throw_away()
    assert outcome.wrong == []


def claims_of(cluster: Lab) -> dict[str, str]:
    """The UIDs of all PersistentVolumeClaims."""
    return {one["metadata"]["name"]: one["metadata"]["uid"] for one in cluster.get("pvc")["items"]}


def play_plainly(removal: Removal, start: Start, outcome: Outcome) -> None:
    """As by default; then, where that stopped, after what a person does, and with more allowed."""
    done = noted(outcome, "as by default", lambda: agreed_to(removal, outcome))
    if done.code and start.mend:
        start.mend(removal.cluster)
        done = noted(outcome, f"when {start.mended}", removal.armed)
    if done.code:
        done = noted(outcome, "with `repair: finalizers`", lambda: removal.armed(repair="finalizers"))
    ends_well(removal, done, outcome)


def agreed_to(removal: Removal, outcome: Outcome) -> Result:
    """A run without the phrase, which writes nothing while there is something to lose; and then one with it."""
    position = removal.cluster.audit_position()
    first = removal.run()
    if not UNARMED & {*first.finding_ids}:
        return first
    assert first.code, first.message
    written = mutating(removal.cluster.audited(position))
    if written:
        outcome.wrong.append(f"without the phrase it wrote {written}")
    return removal.armed(confirm=phrase_of(first))


def play_killed(removal: Removal, _start: Start, outcome: Outcome) -> None:
    """The same command again and again, killed one step later each time."""
    confirm = removal.phrase()
    removal.options["remove_namespace"] = True
    for step, reached in steps(removal.backups).items():
        if not removal.killed_when(reached, confirm=confirm):
            break  # it was quicker than the look at it
        outcome.runs.append(Run(f"at {step}", "killed"))
    done = noted(outcome, "at last", lambda: removal.run(confirm=confirm))
    if len(outcome.runs) <= FEWEST_KILLS:
        outcome.wrong.append(f"killed only at {outcome.runs}")
    ends_well(removal, done, outcome)


def steps(backups: Path) -> dict[str, Reached]:
    """Each step that a run can be killed in, and how it is known that it is there."""
    return {
        "the backup": has_backup(backups),
        "the first VM's stop": wrote("patch", "virtualmachines"),
        "the first VM's deletion": wrote("delete", "virtualmachines"),
        "the KubeVirt object's deletion": wrote("delete", "kubevirts"),
        "the operator's deletion": wrote("delete", "deployments"),
        "the first node": wrote("patch", "nodes"),
        "the namespace's deletion": wrote("delete", "namespaces"),
    }


def play_twice(removal: Removal, _start: Start, outcome: Outcome) -> None:
    """Both at once. One of them may say that the other is at work; none may fail otherwise."""
    confirm = removal.phrase()
    begun = time.monotonic()
    both = removal.at_once(confirm=confirm)
    for number, done in enumerate(both, 1):
        outcome.runs.append(run_of(f"run {number} of 2", done, time.monotonic() - begun))
    done = noted(outcome, "then", removal.armed)
    ends_well(removal, done, outcome)
    if all(one.code for one in both):
        outcome.wrong.append("both failed")


PLAYS = {"plain": play_plainly, "killed": play_killed, "twice": play_twice}


def noted(outcome: Outcome, what: str, run: t.Callable[[], Result]) -> Result:
    """A run, which is in the outcome afterwards."""
    begun = time.monotonic()
    done = run()
    print(f"--- {what}: {done.code}\n{done.message}")
    print([{key: value for key, value in one.items() if key != "url"} for one in done.data.get("findings", [])])
    print(done.data.get("actions"))
    outcome.runs.append(run_of(what, done, time.monotonic() - begun))
    return done


def run_of(what: str, done: Result, seconds: float) -> Run:
    says = dict.fromkeys(
        one["id"] for one in done.data.get("findings", []) if done.code and f"[{one['id']}]" in done.message
    )
    return Run(what, "stopped" if done.code else "removed", tuple(says), tuple(repaired(done)), round(seconds, 1))


def ends_well(removal: Removal, done: Result, outcome: Outcome) -> None:
    """It was removed, and the same again has nothing to do."""
    if done.code:
        outcome.wrong.append(f"at the end: {done.message}")
        return
    again: Json = removal.run().data
    if again.get("failed") or again["changed"]:
        outcome.wrong.append(f"once more: {again.get('msg')} {again.get('actions')}")
    if removal.cluster.succeeds("get", *KUBEVIRT):
        outcome.wrong.append("the KubeVirt object is there")
