# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The faults: where each makes sense, how long it is there, and how a run may end that meets it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

READ, REHEARSAL, WRITE, WATCH = "read", "rehearsal", "write", "watch"
ANY = (READ, REHEARSAL, WRITE, WATCH)

DONE = "done"
# What a run says that ends without having arrived; the words are those of its message.
SILENT = r"does not answer|was closed|broke|not JSON|reset|[Tt]imed out|did not arrive|cut off|incomplete"
UNAVAILABLE = r"429|500|502|503|504"
LOGIN = r"401|log in"
OTHER_VMS = r"remove\.confirmation-differs"
"""An older answer may be about VMs that were others; a removal then stops before it deletes KubeVirt."""
DENIED = r"403|Forbidden|not allowed"
CHANGED = r"409|changes faster|Conflict|changed"
WEBHOOK = r"webhook"


@dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes:
        name: As the proxy knows it, and docs/fault-matrix.md tells of it.
        sorts: The sorts of phases where it makes sense.
        times: For how many requests it is there when it passes; 0 where it only makes sense as a lasting one.
        lasts: What it hits when it lasts: nothing but its phase, everything from then on, or it never lasts.
        reads_say: What a run may say that it ends with although the fault passes and only reads met it; empty: it must be done.
        writes_say: The same where writes met it.
        lasting_says: What a run must say that it ends with when the fault lasts.
    """

    name: str
    sorts: tuple[str, ...]
    times: int = 0
    lasts: t.Literal["", "phase", "everything"] = ""
    reads_say: str = ""
    writes_say: str = ""
    lasting_says: str = ""


FAULTS = (
    Fault("429", ANY, 2),
    Fault("500", ANY, 2, writes_say=UNAVAILABLE),
    Fault("503", ANY, 2, "everything", writes_say=UNAVAILABLE, lasting_says=UNAVAILABLE),
    Fault("reset before", ANY, 1, "everything", writes_say=SILENT, lasting_says=SILENT),
    Fault("reset after", ANY, 1, writes_say=SILENT, lasting_says=SILENT),
    Fault("slow", ANY, 2),
    Fault("hang", ANY, 1, "everything", writes_say=SILENT, lasting_says=SILENT),
    Fault("truncated", (READ, REHEARSAL, WRITE), 1, writes_say=SILENT, lasting_says=SILENT),
    Fault("401", ANY, 2, "everything", writes_say=LOGIN, lasting_says=LOGIN),
    Fault("403", ANY, 0, "phase", lasting_says=DENIED),
    Fault("409", (WRITE,), 1, "phase", writes_say=CHANGED, lasting_says=rf"{CHANGED}|lock-lost"),
    Fault("stale", (READ,), 2, reads_say=OTHER_VMS),
    Fault("watch closed", (WATCH,), 3, "phase"),
    Fault("410", (WATCH,), 3, "phase"),
    Fault("webhook", ("admitted",), 2, "phase", writes_say=WEBHOOK, lasting_says=WEBHOOK),
)
BY_NAME = {fault.name: fault for fault in FAULTS}
