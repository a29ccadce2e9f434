# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. For how long, and after what, a request is sent again. Reads and writes follow the same rule.

An API server, what stands in front of it, and the webhooks behind it restart while a control plane is upgraded; that passes.
"""

from __future__ import annotations

import random

from .clock import Clock
from .errors import ApiError, AuthError, ClusterError, NotSent, OldAnswer, Unauthorized, Unreachable

PATIENCE = 120.0
"""Seconds for all attempts of one request together."""
LAST_PATIENCE = 10.0
"""Seconds for a request to a server that has been away for longer than ``PATIENCE`` already."""
LOGIN_PATIENCE = 30.0
"""Seconds for a new token or certificate to come, after a login is not taken any more."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds between two attempts."""
LONGEST_RETRY_AFTER = 30.0
"""Seconds that a server may ask us to wait."""
BUSY = frozenset({500, 502, 503, 504})


class Patience:
    """The patience with one request.

    Args:
        clock: Measures, and makes the pauses.
        seconds: For all attempts together; with 0 there is only one.
        repeatable: Whether the request may be sent again although the server may have carried it out: it reads, or it has a
            precondition that does not hold a second time.
    """

    def __init__(self, clock: Clock, seconds: float = PATIENCE, *, repeatable: bool) -> None:
        self._clock = clock
        self._ends = clock.now() + seconds
        self._seconds = seconds
        self._login_ends: float | None = None
        self._repeatable = repeatable
        self._attempts = 0
        self.in_doubt = False
        """Whether an attempt so far may have been carried out."""

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return max(self._ends - self._clock.now(), 0.0)

    def bear(self, error: ClusterError, *, may_pass: bool = True) -> None:
        """Pause until the next attempt; raises ``error`` where there is to be none, because it cannot pass or the patience ends."""
        self._attempts += 1
        self.in_doubt = self.in_doubt or is_unclear(error)
        pause = _pause(self._attempts, error)
        if not may_pass or self._clock.now() + pause >= self._end_after(error):
            raise error
        self._clock.pause(pause)

    def _end_after(self, error: ClusterError) -> float:
        """When the attempts after this error end; in the past where it is not borne at all."""
        if isinstance(error, (Unauthorized, AuthError)):
            if self._login_ends is None:
                self._login_ends = self._clock.now() + min(LOGIN_PATIENCE, self._seconds)
            return min(self._login_ends, self._ends)
        is_borne = _was_not_done(error) or (self._repeatable and _passes(error))
        return self._ends if is_borne else float("-inf")


def is_unclear(error: ClusterError) -> bool:
    """Whether the server may have carried out what ended so."""
    if isinstance(error, ApiError):
        return error.status >= 500 and not error.of_webhook
    return isinstance(error, Unreachable) and not isinstance(error, NotSent)


def is_away(error: ClusterError) -> bool:
    """Whether it is the server that does not answer, or nothing but that it cannot."""
    if isinstance(error, ApiError):
        return error.status in BUSY and not error.of_webhook
    return isinstance(error, Unreachable)


def _was_not_done(error: ClusterError) -> bool:
    """It passes by itself, and nothing was stored, so that every request may be sent again.

    While virt-operator and virt-api roll, or their certificates are renewed, their webhooks cannot be asked for a moment
    (kubevirt/kubevirt#4698, #15210).
    """
    return isinstance(error, NotSent) or (isinstance(error, ApiError) and (error.status == 429 or error.of_webhook))


def _passes(error: ClusterError) -> bool:
    return is_away(error) or isinstance(error, OldAnswer)


def _pause(attempt: int, error: ClusterError) -> float:
    """Longer each time; not the same for all, so that the hosts of a fleet do not come back together."""
    asked = error.retry_after if isinstance(error, ApiError) else None
    if asked and asked.isdigit() and int(asked) > 0:
        return min(float(asked), LONGEST_RETRY_AFTER)
    spread = random.uniform(0.5, 1.0)  # nosec B311
    return max(min(0.5 * 2.0 ** min(attempt, 10), LONGEST_PAUSE) * spread, SHORTEST_PAUSE)
