# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Lease of a run: what is written, and what can be read of one whoever wrote it."""

from __future__ import annotations

import datetime
import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import leases
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.leases import Holding

NOW, LATER = "2026-11-29T16:00:00.000000Z", "2026-11-29T16:00:08.123456Z"
UNKNOWN = Holding("somebody without a name", "an unknown time", "an unknown time", 30)


def test_a_new_one() -> None:
    lease = leases.new("kubevirt", "jo@desk pid 7", NOW)
    assert lease["metadata"] == {"name": "kubevirt-lifecycle", "namespace": "kubevirt"}
    assert lease["spec"] == {
        "holderIdentity": "jo@desk pid 7",
        "leaseDurationSeconds": 30,
        "acquireTime": NOW,
        "renewTime": NOW,
        "leaseTransitions": 0,
    }
    assert leases.path_of("kubevirt") == "/apis/coordination.k8s.io/v1/namespaces/kubevirt/leases/kubevirt-lifecycle"


def test_a_heartbeat_changes_only_its_time_and_keeps_what_makes_it_a_conflict() -> None:
    lease = {**leases.new("kubevirt", "jo", NOW), "metadata": {"uid": "1", "resourceVersion": "5"}}
    renewed = leases.renewed(lease, LATER)
    assert renewed == {**lease, "spec": {**lease["spec"], "renewTime": LATER}}
    assert lease["spec"]["renewTime"] == NOW


@pytest.mark.parametrize(("transitions", "afterwards"), [(0, 1), (4, 5), (None, 1), ("x", 1), (True, 1)])
def test_taking_over(transitions: t.Any, afterwards: int) -> None:
    other = {
        "metadata": {"uid": "1", "resourceVersion": "5"},
        "spec": {"leaseTransitions": transitions, "strategy": "x"},
    }
    taken = leases.taken_over(other, "jo", LATER)
    assert taken["metadata"] == other["metadata"]
    assert taken["spec"] == {**leases.new("kubevirt", "jo", LATER)["spec"], "leaseTransitions": afterwards}
    assert leases.is_held_by(taken, "jo", LATER)
    assert not leases.is_held_by(taken, "jo", NOW), "an earlier run of the same process number"
    assert not leases.is_held_by(other, "jo", LATER)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            leases.renewed(leases.new("kubevirt", "jo", NOW), LATER)["spec"],
            Holding("jo", "2026-11-29 16:00:00 UTC", "2026-11-29 16:00:08 UTC", 30),
        ),
        ({"leaseDurationSeconds": 15}, Holding(UNKNOWN.holder, UNKNOWN.since, UNKNOWN.heartbeat, 15)),
        ({"leaseDurationSeconds": 0, "holderIdentity": ""}, UNKNOWN),
        ({"leaseDurationSeconds": 10**9, "acquireTime": ["x"]}, UNKNOWN),
        ({"leaseDurationSeconds": "15", "renewTime": ""}, UNKNOWN),
        ({"acquireTime": "yesterday"}, Holding(UNKNOWN.holder, "yesterday", UNKNOWN.heartbeat, 30)),
        (None, UNKNOWN),
        ("x", UNKNOWN),
    ],
)
def test_who_holds_it(spec: t.Any, said: Holding) -> None:
    assert leases.holding({"metadata": {}, "spec": spec}) == said


def test_the_name_of_a_run() -> None:
    assert leases.identity("jo", "desk", 7) == "jo@desk pid 7"
    assert leases.identity("runner", "automation-job-42-x", 8, "42") == "runner@automation-job-42-x pid 8, AWX job 42"


def test_a_micro_time_is_in_utc() -> None:
    east = datetime.timezone(datetime.timedelta(hours=2))
    assert leases.micro_time(datetime.datetime(2026, 11, 29, 18, 0, 8, 123456, east)) == LATER
