# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. One run at a time on a cluster: the Lease is taken, kept with a heartbeat, and removed.

A run that was killed leaves its Lease. The next run watches it, and takes it over when it has not changed for the time that it
names, as client-go does for leaders. A run that has lost its lock writes nothing any more.
"""

from __future__ import annotations

import copy
import getpass
import os
import socket
import threading
import typing as t
from collections.abc import Mapping

from ..cluster.api import HURRIED_TIMEOUT, Api, Json
from ..cluster.clock import Clock
from ..cluster.errors import ClusterError, Conflict, Forbidden, NotFound
from ..knowledge import leases
from ..knowledge.findings import Finding, finding
from .outcome import Report
from .stopping import Stopped

RENEW_EVERY = 8.0
"""Seconds between two heartbeats."""
RETRY_AFTER = 2.0
"""Seconds after a heartbeat that did not reach the server."""
REQUEST_TIMEOUT = 5.0
"""Seconds for each request of a heartbeat."""
LOOK_EVERY = 2.0
"""Seconds between two looks at another run's Lease."""
ATTEMPTS = 3
"""How often the Lease is taken or removed when somebody else changes it in between."""


class LockLost(Stopped, ClusterError):
    """Raised instead of sending a write."""


class Lock:
    """The lock of a cluster, as a context manager.

    Args:
        api: Its ``guard`` refuses every write once the lock is lost.
        namespace: The KubeVirt object's.
        clock: Time.
        report: Takes progress lines.
        holder: How this run calls itself.

    Attributes:
        findings: What happened when it was taken.
    """

    def __init__(self, api: Api, namespace: str, clock: Clock, report: Report, holder: str) -> None:
        self.findings: list[Finding] = []
        self._api = api
        self._quick = copy.copy(api)  # not stopped by the guard
        self._quick.hurried = REQUEST_TIMEOUT
        self._namespace = namespace
        self._path = leases.path_of(namespace)
        self._clock = clock
        self._report = report
        self._holder = holder
        self._since = ""
        self._lease: Json | None = None
        self._lost: Finding | None = None
        self._trouble = ""
        self._renewed = 0.0
        self._renewing = threading.Lock()
        self._left = threading.Event()

    def __enter__(self) -> Lock:
        """Take the lock.

        Raises:
            Stopped: Another run holds it, or it cannot be taken. Nothing was changed.
        """
        try:
            self._since, self._renewed = leases.micro_time(self._clock.utc()), self._clock.now()
            self._lease = self._taken()
        except BaseException as error:  # the Lease may be there although nobody has told us
            self._leave(error)
            raise
        self._api.guard = self._refuse_if_lost
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        self._leave(error)

    def _taken(self) -> Json:
        try:
            for _attempt in range(ATTEMPTS):
                lease = self._try_to_take()
                if lease is not None:
                    return lease
        except Forbidden as error:
            raise Stopped(
                words=f"{error.reason}: {error.message} While it is at work, a run holds a Lease, so that no second one writes to the same "
                f"cluster. Let the user create, get, update and delete leases.coordination.k8s.io in the namespace {self._namespace}."
            ) from error
        except ClusterError as error:
            raise Stopped(words=f"The lock, Lease {self._name}, cannot be taken: {error}") from error
        raise Stopped(words=f"Lease {self._name} changes faster than it can be taken. Find out who writes to it.")

    def _try_to_take(self) -> Json | None:
        """The Lease as ours; None where it has to be tried again."""
        asked = self._clock.now()
        try:
            lease = self._api.create(
                leases.collection(self._namespace), leases.new(self._namespace, self._holder, self._since)
            )
        except Conflict:
            other = self._api.get_or_none(self._path)
        else:
            self._renewed = asked
            return lease
        if other is None or self._is_ours(other):  # the latter where the server's answer was lost
            return other
        if self._has_gone(other):
            return None
        asked = self._clock.now()
        try:
            lease = self._api.replace(self._path, leases.taken_over(other, self._holder, self._since))
        except (Conflict, NotFound):
            return None
        self._renewed = asked
        held = leases.holding(other)
        self._report(f"took the lock over from {held.holder}, which did not answer for {held.seconds} s")
        self.findings.append(self._taken_over(held))
        return lease

    def _has_gone(self, other: Json) -> bool:
        """Whether the Lease of another run goes away while it is watched; False if it does not change at all.

        Raises:
            Stopped: It changes, so the other run lives.
        """
        held = leases.holding(other)
        self._report(
            f"{held.holder} holds the lock since {held.since}; if it does not answer within {held.seconds} s its lock is taken over"
        )
        until = self._clock.now() + held.seconds
        while self._clock.now() < until:
            self._clock.pause(LOOK_EVERY)
            now = self._api.get_or_none(self._path)
            if now is None:
                return True
            if _version(now) != _version(other):
                raise Stopped(self._held(leases.holding(now)))
        return False

    def _beat(self) -> None:
        """Renew the Lease until it is left or lost. Runs in a thread of its own."""
        pause = RENEW_EVERY
        while self._lost is None and not self._clock.wait(self._left, pause):
            pause = RENEW_EVERY if self._renew() else RETRY_AFTER

    def _renew(self) -> bool:
        """Whether the Lease is ours, with a new heartbeat."""
        with self._renewing:
            try:
                return self._renew_once() or self._renew_once()
            except Exception as error:  # whatever it is: the thread must go on, and the guard tells by the time
                self._trouble = str(error)
                return False

    def _renew_once(self) -> bool:
        if self._lease is None or self._lost is not None or self._left.is_set():
            return False
        asked = self._clock.now()
        try:
            self._lease = self._quick.replace(
                self._path, leases.renewed(self._lease, leases.micro_time(self._clock.utc()))
            )
        except (Conflict, NotFound):
            now = self._quick.get_or_none(self._path)
            if now is not None and self._is_ours(now):  # an earlier heartbeat, whose answer was lost
                self._lease = now
            else:
                self._lost = self._lost_to(now)
            return False
        self._renewed = asked
        return True

    def _refuse_if_lost(self) -> None:
        """Before every write. A heartbeat that comes late is good enough as long as nobody has the Lease."""
        is_late = self._clock.now() - self._renewed >= leases.SECONDS
        if is_late and not self._renew():
            self._lost = self._lost or self._unanswered()
        if self._lost is not None:
            raise LockLost(self._lost)

    def _leave(self, error: BaseException | None) -> None:
        """End the heartbeat and remove the Lease, if it is ours; what goes wrong with that is no failure of the run."""
        self._left.set()
        self._api.guard = lambda: None
        if _is_end(error):
            self._api.hurried = HURRIED_TIMEOUT
        if self._api.hurried:
            self._quick.hurried = HURRIED_TIMEOUT
        try:
            self._remove()
        except Exception:  # the next run takes it over
            return
        except BaseException:  # a signal just now
            self._api.hurried = self._quick.hurried = HURRIED_TIMEOUT
            self._remove()
            raise

    def _remove(self) -> None:
        if self._lost is not None:
            return
        lease = self._lease
        for attempt in range(1, ATTEMPTS + 1):
            try:
                lease = lease or self._quick.get_or_none(self._path)
                if lease is None or not self._is_ours(lease):
                    return
                metadata = lease["metadata"]
                self._quick.delete(self._path, uid=metadata["uid"], resource_version=metadata["resourceVersion"])
                return
            except Conflict:  # a heartbeat that was on its way
                lease = None
            except ClusterError as error:
                if isinstance(error, NotFound) or attempt == ATTEMPTS or self._api.hurried:
                    return
                self._clock.pause(RETRY_AFTER)

    def _is_ours(self, lease: Mapping[str, t.Any]) -> bool:
        return leases.is_held_by(lease, self._holder, self._since)

    @property
    def _name(self) -> str:
        return f"{self._namespace}/{leases.NAME}"

    def _held(self, held: leases.Holding) -> Finding:
        return finding(
            "cluster.held",
            object=f"Lease {self._name}",
            cause=f"Another run works on this cluster: {held.holder}, since {held.since}.",
            evidence=f"its last heartbeat, by its own clock: {held.heartbeat}",
            fix="Wait until that run has ended, then run again. If it hangs, end that process; a run that starts then takes its lock "
            f"over after {held.seconds} s.",
        )

    def _taken_over(self, held: leases.Holding) -> Finding:
        return finding(
            "cluster.taken-over",
            object=f"Lease {self._name}",
            cause=f"An earlier run, {held.holder}, has left its lock behind, and did not answer for {held.seconds} s.",
            evidence=f"held since {held.since}, last heartbeat {held.heartbeat}",
            fix="Nothing, if that run was killed. If it only hangs, end that process; it will write nothing any more.",
        )

    def _lost_to(self, lease: Json | None) -> Finding:
        if lease is None:
            return self._lost_because("Somebody has deleted it while this run was using it.", "")
        held = leases.holding(lease)
        return self._lost_because(
            f"Another run has it now: {held.holder}, since {held.since}.", f"last heartbeat {held.heartbeat}"
        )

    def _unanswered(self) -> Finding:
        return self._lost_because(
            f"It could not be renewed for {leases.SECONDS} s, so another run may have taken it over.", self._trouble
        )

    def _lost_because(self, cause: str, evidence: str) -> Finding:
        return finding(
            "cluster.lock-lost",
            object=f"Lease {self._name}",
            cause=f"{cause} Nothing more was written.",
            evidence=evidence,
            fix="See whether another run works on this cluster, and let it end. Then run the same again: it goes on from here.",
        )


def remove_left_lock(api: Api, namespace: str, clock: Clock, report: Report) -> list[Finding]:
    """Remove the Lease that a killed run has left, for a run that has nothing to do and needs none; the findings say so.

    A Lease whose holder lives is none of this run's business, and neither is one that it may not read.
    """
    try:
        if api.get_or_none(leases.path_of(namespace)) is None:
            return []
        with Lock(api, namespace, clock, report, this_run()) as lock:
            return lock.findings
    except (ClusterError, Stopped):
        return []


def this_run() -> str:
    """How this run calls itself, so that a person finds its process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        user = f"uid {os.getuid()}"
    return leases.identity(user, socket.gethostname(), os.getpid(), _job(os.environ))


def _job(environment: Mapping[str, str]) -> str:
    """The number of the job of AWX or Automation Controller. Their own JOB_ID has a name that others use too."""
    for name in ("AWX_JOB_ID", "TOWER_JOB_ID", *(["JOB_ID"] if "AWX_HOST" in environment else [])):
        if environment.get(name):
            return environment[name]
    return ""


def _version(lease: Mapping[str, t.Any]) -> tuple[t.Any, t.Any]:
    return lease["metadata"].get("uid"), lease["metadata"].get("resourceVersion")


def _is_end(error: BaseException | None) -> bool:
    """Whether the run ends by a signal, or by its task's ``timeout``."""
    return error is not None and not isinstance(error, Exception)
