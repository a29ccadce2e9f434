# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run at a time on a cluster: taking the lock, keeping it, losing it and leaving it."""

from __future__ import annotations

import os
import threading
import typing as t

import pytest
import urllib3
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import Conflict
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.interruption import Interrupted
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import leases
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import lock as lock_module
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.lock import Lock, LockLost
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.stopping import Stopped

from tests.support.quick_clock import QuickClock

Server = t.Any  # tests/unit/operations/conftest.py
Object = dict[str, t.Any]

PATH = leases.path_of("kubevirt")
NOW = "2026-11-29T16:00:00.000000Z"
OBJECT = "/apis/apps/v1/namespaces/kubevirt/deployments/virt-operator"


class HandClock(QuickClock):
    """Heartbeats come when the test lets them."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 100.0
        self._beats = threading.Semaphore(0)
        self._idle = threading.Semaphore(0)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self._idle.release()
        while not self._beats.acquire(timeout=0.01):
            if event.is_set():
                return True
        return event.is_set()

    def beat(self) -> None:
        """One heartbeat, until the thread waits for the next one or has ended."""
        self._idle.acquire(timeout=10)
        self._beats.release()
        self._idle.acquire(timeout=0.5)
        self._idle.release()


class Case:
    """A server with a KubeVirt namespace, and runs that want its lock."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.leases = server.leases
        self.clock = HandClock()
        self.said: list[str] = []
        self.api = server.api()
        server.objects[OBJECT] = {"metadata": {"name": "virt-operator"}}

    def lock(self, holder: str = "me") -> Lock:
        return Lock(self.api, "kubevirt", self.clock, self.said.append, holder)

    def other(self, **spec: t.Any) -> Object:
        """Another run's Lease is there."""
        lease = leases.new("kubevirt", "other", NOW)
        self.leases.put(PATH, {**lease, "spec": {**lease["spec"], **spec}}, uid="uid-other")
        return t.cast(Object, self.leases.objects[PATH])

    def other_beats(self) -> None:
        self.leases.put(PATH, self.leases.objects[PATH])

    def write(self) -> None:
        self.api.apply(OBJECT, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "virt-operator"}})

    @property
    def holder(self) -> str | None:
        lease = self.leases.objects.get(PATH)
        return lease["spec"]["holderIdentity"] if lease else None


@pytest.fixture
def case(server: Server) -> Case:
    return Case(server)


def unreachable(*methods: str) -> t.Callable[[str], None]:
    def breaks(method: str) -> None:
        if method in methods:
            raise urllib3.exceptions.ProtocolError("connection reset")

    return breaks


class TestTaking:
    def test_it_is_there_within_and_gone_afterwards(self, case: Case) -> None:
        with case.lock() as lock:
            assert case.holder == "me"
            case.write()
        assert case.holder is None
        assert (lock.findings, case.said) == ([], [])
        case.write()

    def test_it_is_gone_after_a_failure_too(self, case: Case) -> None:
        with pytest.raises(KeyError), case.lock():
            raise KeyError
        assert case.holder is None

    def test_a_run_whose_heart_beats_holds_it(self, case: Case) -> None:
        case.other()
        case.clock.on_pause = case.other_beats
        with pytest.raises(Stopped) as stopped, case.lock():
            pytest.fail("taken")
        (held,) = stopped.value.findings
        assert (held.id, held.acceptable) == ("cluster.held", False)
        assert "other, since 2026-11-29 16:00:00 UTC" in held.cause
        assert "2026-11-29 16:00:00 UTC" in held.evidence
        assert case.holder == "other"
        assert case.clock.seconds == 100 + lock_module.LOOK_EVERY, "told as soon as it is seen"
        assert case.said == [
            "other holds the lock since 2026-11-29 16:00:00 UTC; if it does not answer within 30 s its lock is taken over"
        ]

    @pytest.mark.parametrize(("asked", "seconds"), [(30, 30), (10, 10), (None, 30)])
    def test_a_silent_one_is_taken_over(self, case: Case, asked: int | None, seconds: int) -> None:
        case.other(leaseDurationSeconds=asked)
        with case.lock() as lock:
            assert case.holder == "me"
            assert case.leases.objects[PATH]["spec"]["leaseTransitions"] == 1
            case.write()
        assert case.clock.seconds == 100 + seconds
        (taken,) = lock.findings
        assert (taken.id, taken.level) == ("cluster.taken-over", "info")
        assert "other" in taken.cause
        assert case.said[1] == f"took the lock over from other, which did not answer for {seconds} s"
        assert case.holder is None

    def test_the_clocks_of_two_machines_are_not_compared(self, case: Case) -> None:
        case.other(renewTime="1999-01-01T00:00:00.000000Z")
        case.clock.on_pause = case.other_beats
        with pytest.raises(Stopped), case.lock():
            pytest.fail("taken")

    def test_one_that_is_removed_meanwhile_is_free(self, case: Case) -> None:
        case.other()
        case.clock.on_pause = case.leases.objects.clear
        with case.lock() as lock:
            assert case.holder == "me"
        assert lock.findings == []

    def test_one_of_two_that_take_over_wins(self, case: Case) -> None:
        """Somebody else is quicker between the last look and the write, and lives."""
        case.other()
        case.leases.before = lambda method: case.other_beats() if method == "PUT" else None
        case.clock.on_pause = lambda: case.other_beats() if case.clock.seconds > 131 else None
        with pytest.raises(Stopped) as stopped, case.lock():
            pytest.fail("taken")
        assert stopped.value.findings[0].id == "cluster.held"
        assert case.holder == "other"

    def test_without_the_permission(self, case: Case) -> None:
        case.leases.refuses = {"POST": 403}
        with pytest.raises(Stopped) as stopped, case.lock():
            pytest.fail("taken")
        assert (
            "create, get, update and delete leases.coordination.k8s.io in the namespace kubevirt" in stopped.value.words
        )
        assert "user jo cannot" in stopped.value.words

    def test_without_an_answer_nothing_stays_behind(self, case: Case) -> None:
        """The server has made it, and the connection broke before it could say so."""
        case.leases.after = unreachable("POST")
        with pytest.raises(Stopped, match="cannot be taken"), case.lock():
            pytest.fail("taken")
        assert case.holder is None

    def test_a_takeover_whose_answer_is_lost_is_ours(self, case: Case) -> None:
        """As when the request is sent again and finds its own work."""

        def conflict(method: str) -> None:
            if method == "PUT":
                case.leases.after = lambda method: None
                raise Conflict("PUT", PATH, 409, "Conflict", "the object has been modified")

        case.other()
        case.leases.after = conflict
        with case.lock():
            assert case.holder == "me"
            assert case.clock.seconds == 130, "it did not wait for itself"
            case.write()
        assert case.holder is None

    def test_a_signal_while_it_is_taken_leaves_nothing_behind(self, case: Case) -> None:
        def interrupt(method: str) -> None:
            if method == "POST":
                raise Interrupted("SIGTERM")

        case.leases.after = interrupt
        with pytest.raises(Interrupted), case.lock():
            pytest.fail("taken")
        assert case.holder is None

    def test_a_lease_that_never_stays(self, case: Case) -> None:
        case.leases.refuses = {"POST": 409}
        with pytest.raises(Stopped, match="changes faster than it can be taken"), case.lock():
            pytest.fail("taken")


class TestKeeping:
    def test_the_heart_beats(self, case: Case) -> None:
        with case.lock():
            first = case.leases.objects[PATH]
            case.clock.beat()
            second = case.leases.objects[PATH]
            assert second["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
            assert second["spec"]["renewTime"] > first["spec"]["renewTime"]
            assert second["spec"]["acquireTime"] == first["spec"]["acquireTime"]

    def test_a_heartbeat_whose_answer_is_lost_is_no_loss(self, case: Case) -> None:
        with case.lock():
            case.leases.after = unreachable("PUT")
            case.clock.beat()
            case.leases.after = lambda method: None
            case.clock.beat()
            case.clock.seconds += 29
            case.write()
        assert case.holder is None

    def test_a_server_that_was_away_is_no_loss_once_it_is_back(self, case: Case) -> None:
        """Nobody could take the Lease meanwhile, and the write is what finds out."""
        with case.lock():
            case.clock.seconds += 300
            case.write()
        assert case.server.written == [OBJECT]

    def test_without_a_heartbeat_for_the_whole_time_nothing_is_written_any_more(self, case: Case) -> None:
        with case.lock():
            case.leases.before = unreachable("PUT", "GET")
            case.clock.beat()
            case.clock.seconds += 29
            case.write()
            case.clock.seconds += 1
            with pytest.raises(LockLost) as lost:
                case.write()
            case.leases.before = lambda method: None
            with pytest.raises(LockLost):
                case.write()
        (finding,) = lost.value.findings
        assert finding.id == "cluster.lock-lost"
        assert "could not be renewed for 30 s" in finding.cause and "connection reset" in finding.evidence
        assert case.server.written == [OBJECT]
        assert case.holder == "me", "a lost lock is left alone"

    @pytest.mark.parametrize("by_heartbeat", [True, False])
    def test_taken_over_by_another_run(self, case: Case, by_heartbeat: bool) -> None:
        with case.lock():
            case.leases.put(PATH, leases.taken_over(case.leases.objects[PATH], "other", NOW))
            if by_heartbeat:
                case.clock.beat()
            else:
                case.clock.seconds += 30
            with pytest.raises(LockLost) as lost:
                case.write()
        assert "Another run has it now: other, since 2026-11-29 16:00:00 UTC" in lost.value.findings[0].cause
        assert case.server.written == []
        assert case.holder == "other"

    def test_deleted_by_hand(self, case: Case) -> None:
        with case.lock():
            case.leases.objects.clear()
            case.clock.beat()
            with pytest.raises(LockLost) as lost:
                case.write()
        assert "Somebody has deleted it" in lost.value.findings[0].cause
        assert case.leases.objects == {}

    def test_rehearsals_need_no_lock(self, case: Case) -> None:
        with case.lock():
            case.leases.objects.clear()
            case.clock.beat()
            case.api.apply(OBJECT, {}, rehearse=True)
        assert case.server.rehearsed == [OBJECT]


class TestLeaving:
    def test_a_takeover_that_nobody_has_noticed_is_left_alone(self, case: Case) -> None:
        with case.lock():
            case.leases.put(PATH, leases.taken_over(case.leases.objects[PATH], "other", NOW))
        assert case.holder == "other"

    def test_a_heartbeat_on_its_way_is_no_obstacle(self, case: Case) -> None:
        with case.lock():
            case.leases.put(PATH, leases.renewed(case.leases.objects[PATH], NOW))
        assert case.holder is None

    def test_what_goes_wrong_then_does_not_hide_the_runs_own_failure(self, case: Case) -> None:
        with pytest.raises(KeyError), case.lock():
            case.leases.before = unreachable("DELETE", "GET")
            raise KeyError

    def test_a_mistake_of_ours_does_not_hide_what_the_run_did(self, case: Case) -> None:
        def mistake(method: str) -> None:
            raise ValueError(method)

        with case.lock():
            case.leases.before = mistake
        assert case.holder == "me", "the next run takes it over"

    def test_a_lease_that_changes_all_the_time_is_left_to_the_next_run(self, case: Case) -> None:
        def renewed(method: str) -> None:
            if method == "DELETE":
                case.leases.put(PATH, case.leases.objects[PATH])

        with case.lock():
            case.leases.asked.clear()
            case.leases.before = renewed
        assert case.leases.asked.count("DELETE") == lock_module.ATTEMPTS
        assert case.holder == "me"

    def test_a_server_that_stumbles_is_asked_again(self, case: Case) -> None:
        def stumble(method: str) -> None:
            case.leases.before = lambda method: None
            raise urllib3.exceptions.ProtocolError("connection reset")

        with case.lock():
            case.leases.before = stumble
        assert case.holder is None

    @pytest.mark.parametrize("end", [Interrupted("SIGTERM"), KeyboardInterrupt()])
    def test_after_a_signal_it_is_asked_once_and_in_a_hurry(self, case: Case, end: BaseException) -> None:
        with pytest.raises(type(end)), case.lock():
            case.leases.asked.clear()
            case.leases.before = unreachable("DELETE")
            raise end
        assert case.leases.asked == ["DELETE"]
        assert case.api.hurried == 1.0
        assert case.clock.seconds == 100

    def test_a_signal_while_it_is_left(self, case: Case) -> None:
        def interrupt(method: str) -> None:
            case.leases.before = lambda method: None
            raise Interrupted("SIGINT")

        with pytest.raises(Interrupted), case.lock():
            case.leases.before = interrupt
        assert case.holder is None


@pytest.mark.parametrize(
    ("environment", "job"),
    [
        ({}, ""),
        ({"AWX_JOB_ID": "42"}, "42"),
        ({"JOB_ID": "7", "AWX_HOST": "https://awx"}, "7"),
        ({"JOB_ID": "of another tool"}, ""),
    ],
)
def test_the_job_of_awx(environment: dict[str, str], job: str) -> None:
    assert lock_module._job(environment) == job


def test_this_run_names_its_process() -> None:
    assert "pid " in lock_module.this_run() and "@" in lock_module.this_run()


def test_a_run_whose_user_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 1000680000")

    monkeypatch.setattr(lock_module.getpass, "getuser", nameless)
    assert lock_module.this_run().startswith(f"uid {os.getuid()}@")
