# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One VM that runs twice is told from one that migrates."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.split_brain import Double, doubles

Object = dict[str, t.Any]

OVER = {"sourcePod": "a", "targetPod": "b", "completed": True, "endTimestamp": "2026-03-01T00:00:00Z"}


def vmi(**state: t.Any) -> Object:
    volumes = [
        {"name": "root", "dataVolume": {"name": "disk"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "cloud", "cloudInitNoCloud": {}},
    ]
    return {
        "metadata": {"namespace": "prod", "name": "db", "uid": "vmi-1"},
        "spec": {"volumes": volumes},
        "status": {"migrationState": state} if state else {},
    }


def pod(name: str, *, job: str = "", phase: str = "Running", of: str = "vmi-1") -> Object:
    labels = {"kubevirt.io/created-by": of} | ({"kubevirt.io/migrationJobUID": job} if job else {})
    return {
        "metadata": {"namespace": "prod", "name": name, "labels": labels},
        "spec": {"nodeName": f"node-{name}"},
        "status": {"phase": phase},
    }


def migration(phase: str, uid: str = "job-1", name: str = "db") -> Object:
    return {
        "metadata": {"namespace": "prod", "name": "m", "uid": uid},
        "spec": {"vmiName": name},
        "status": {"phase": phase},
    }


CASES: dict[str, tuple[Object, list[Object], list[Object], bool | None]] = {
    "one pod": (vmi(), [pod("a")], [], None),
    "the pod of an earlier instance of the same name": (vmi(), [pod("a"), pod("b", of="vmi-0")], [], None),
    "one that has ended": (vmi(**OVER), [pod("a", phase="Succeeded"), pod("b", job="job-1")], [migration("Succeeded")], None),
    "one that is to start": (vmi(), [pod("a"), pod("b", job="job-1", phase="Pending")], [], None),
    "a migration under way": (vmi(), [pod("a"), pod("b", job="job-1")], [migration("Running")], None),
    "a migration whose object is gone, under way": (vmi(sourcePod="a", targetPod="b"), [pod("a"), pod("b")], [], None),
    "a third pod while it migrates": (
        vmi(),
        [pod("a"), pod("b", job="job-1"), pod("c")],
        [migration("Running")],
        False,
    ),
    "the source has not ended yet": (vmi(**OVER), [pod("a"), pod("b", job="job-1")], [migration("Succeeded")], True),
    "the target of a failed migration has not ended yet": (vmi(), [pod("a"), pod("b", job="job-1")], [migration("Failed")], True),
    "two pods and no migration ever": (vmi(), [pod("a"), pod("c")], [], False),
    "another pod long after a migration": (vmi(**OVER), [pod("b", job="job-1"), pod("c")], [migration("Succeeded")], False),
    "three pods after a migration": (vmi(**OVER), [pod("a"), pod("b"), pod("c")], [], False),
    "somebody else migrates": (vmi(), [pod("a"), pod("c")], [migration("Running", name="web")], False),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_vm_that_runs_twice_is_told_from_one_that_migrates(name: str) -> None:
    guest, pods, migrations, may_pass = CASES[name]
    found = doubles([guest], pods, migrations)
    assert [one.may_pass for one in found] == ([] if may_pass is None else [may_pass])


def test_it_names_pods_nodes_and_volumes() -> None:
    assert doubles([vmi()], [pod("c"), pod("a")], []) == [
        Double("prod/db", ("a on node-a", "c on node-c"), ("disk", "claim"), False)
    ]
