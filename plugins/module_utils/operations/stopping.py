# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What stops a run that writes, whatever it is, as one kind of thing that can be told."""

from __future__ import annotations

from collections.abc import Callable

from ..cluster.api import HURRIED_TIMEOUT, Api
from ..cluster.errors import ClusterError
from ..cluster.interruption import Interrupted
from ..knowledge.findings import Finding
from .outcome import Outcome, mistake, told

IN_DOUBT = "The server did not say whether the last change was stored; the next run looks."


class Stopped(Exception):
    """The run cannot go on; the findings say why.

    Attributes:
        words: What no finding says.
        signal: The name of the signal that asked for the end; empty otherwise.
        in_doubt: It was a write that ended the run, and nobody knows whether the server carried that out.
    """

    def __init__(self, *findings: Finding, words: str = "", signal: str = "", in_doubt: bool = False) -> None:
        super().__init__(words)
        self.findings = findings
        self.words = words
        self.signal = signal
        self.in_doubt = in_doubt


def what_stopped(api: Api, work: Callable[[], None]) -> Stopped | None:
    """Do the work, and give what stopped it, a mistake of ours included: it must not hide what was changed.

    After a signal the server gets no more time than is there for cleaning up.
    """
    try:
        work()
    except Stopped as stopped:
        return stopped
    except ClusterError as error:
        return Stopped(words=str(error), in_doubt=error.in_doubt)
    except Interrupted as interrupted:
        api.hurried = HURRIED_TIMEOUT
        return Stopped(words=f"Stopped by {interrupted}.", signal=str(interrupted))
    except Exception as error:
        return Stopped(words=mistake(error))
    return None


def without_the_lock(outcome: Outcome, what: str, stopped: Stopped) -> Outcome:
    """The outcome of a run that could not begin, because it did not get the lock.

    Args:
        outcome: That of the plan.
        what: What could not begin, as the beginning of a sentence.
        stopped: Why.
    """
    words = [told(one) for one in stopped.findings] or [stopped.words]
    outcome.failure = "\n".join([f"{what} cannot begin.", *words, "Nothing was changed."])
    outcome.findings = [*stopped.findings, *outcome.findings]
    outcome.changed, outcome.diff, outcome.actions = False, [], []
    return outcome
