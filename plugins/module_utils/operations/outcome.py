# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What every operation hands back."""

from __future__ import annotations

import traceback
import typing as t
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ..knowledge.findings import Finding, blocking

Report = Callable[[str], None]
"""Takes one line about the progress of a run, once for each change; ``phase()`` puts in front in which phase it is."""


class InvalidOption(ValueError):
    """An option's value cannot be used. The message names the option, the value and what is allowed."""


@dataclass
class Outcome:
    """The result of an operation.

    Attributes:
        failure: What went wrong, for the user; empty when all is well.
        extra: Keys that only this operation returns.
        page: Makes the page for people from the result.
        document: Makes the same as Markdown from the result and the failure.
    """

    cluster: dict[str, str]
    state: str
    changed: bool = False
    diff: list[dict[str, t.Any]] = field(default_factory=list)
    from_version: str | None = None
    to_version: str | None = None
    path: list[dict[str, t.Any]] = field(default_factory=list)
    actions: list[dict[str, str]] = field(default_factory=list)
    findings: Sequence[Finding] = ()
    elapsed: float = 0.0
    failure: str = ""
    extra: dict[str, t.Any] = field(default_factory=dict)
    page: Callable[[dict[str, t.Any]], list[str]] | None = None
    document: Callable[[dict[str, t.Any], str], str] | None = None

    def as_result(self) -> dict[str, t.Any]:
        """What the modules return, which is the same for every module but for ``extra`` and ``document``."""
        result = {
            "changed": self.changed,
            "diff": self.diff,
            "cluster": self.cluster,
            "state": self.state,
            "from_version": self.from_version,
            "to_version": self.to_version,
            "path": self.path,
            "actions": self.actions,
            "findings": [finding.as_dict() for finding in self.findings],
            "elapsed": round(self.elapsed, 1),
            **self.extra,
        }
        texts: dict[str, t.Any] = {"page": self.page(result) if self.page else []}
        if self.document:
            texts["markdown"] = self.document(result, self.failure)
        return {**result, **texts}


@dataclass(frozen=True)
class Action:
    """What every step of a plan has, and modules return of it.

    Attributes:
        action: What is done.
        object: What it is done to, for people.
        reason: Why.
    """

    action: str
    object: str
    reason: str


def actions_of(steps: Iterable[Action]) -> list[dict[str, str]]:
    """Steps as modules return them."""
    return [{"action": step.action, "object": step.object, "reason": step.reason} for step in steps]


def phase(report: Report, actions: Sequence[str], action: str) -> Report:
    """Reports lines as those of the phase of an action: which of how many, and the action's first word, in columns."""
    phases = list(dict.fromkeys(actions))
    start = f"{phases.index(action) + 1}/{len(phases)} {action.partition('-')[0]:<8}"
    return lambda line: report(f"{start} {line}")


def refusal(findings: Sequence[Finding], accept: Sequence[str]) -> str:
    """Why the run is refused, one paragraph per blocker; empty when nothing blocks."""
    stopping = blocking(findings, accept)
    if not stopping:
        return ""
    return "\n".join(["Refused before any change.", *(told(one) for one in stopping)])


def told(finding: Finding) -> str:
    """A finding as text."""
    lines = [f"[{finding.id}] {finding.object}: {finding.cause}"]
    if finding.evidence:
        lines.append(f"  Seen: {finding.evidence}")
    lines.append(f"  Do: {finding.fix}")
    if finding.level == "blocker" and finding.acceptable:
        lines.append(f"  Or go on all the same: accept: [{finding.id}]")
    if finding.url:
        lines.append(f"  More: {finding.url}")
    return "\n".join(lines)


def mistake(error: BaseException) -> str:
    """What to tell of an error that nobody expected: where it happened, and that it is not the user's."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"The collection made a mistake: {type(error).__name__}: {error} "
        f"({frame.filename.rpartition('/')[2]}, line {frame.lineno}). Please report it with this message."
    )


def listed(words: Iterable[str], most: int = 5) -> str:
    """The first few words, and how many more there are."""
    words = list(words)
    shown = ", ".join(words[:most])
    return shown if len(words) <= most else f"{shown} and {len(words) - most} more"
