# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From which states KubeVirt is removed, what became of each on the lab, and docs/removal-outcomes.md, which tells of it.

The outcomes of this machine are kept in build/, so that a case can be played alone; the page has those of all cases.
"""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field

from tests.support import broken
from tests.support.kubevirt import FROM, TO
from tests.support.lab import ROOT, Json, Lab

PAGE = ROOT / "docs" / "removal-outcomes.md"
OUTCOMES = ROOT / "build" / "removal" / "outcomes.json"
TABLE = re.compile(r"(?<=<!-- table -->\n).*(?=<!-- end of table -->)", re.DOTALL)
HEAD = ("start", "what is broken", "KubeVirt", "what the runs did", "what they mended")
NOT_PLAYED, WRONG = "not played", "**wrong**"
ISSUE = re.compile(r"(?<![\w/-])#(\d+)")
ELSEWHERE = re.compile(r"([\w-]+/[\w-]+)#(\d+)")
_LIMITS = (60, 120, 300, 600, 1200)

Make = Callable[[Lab], None]
Play = t.Literal["plain", "killed", "twice"]


@dataclass(frozen=True)
class Start:
    """A state to begin from.

    Attributes:
        make: Makes it, and says in its docstring what it is.
        mend: What a person does where the removal says that it is for a person to do.
        mended: The same in words.
        release: Of KubeVirt.
        vms: How many VMs there are.
        play: How the module is run.
    """

    name: str
    make: Make
    mend: Make | None = None
    mended: str = ""
    release: str = TO
    vms: int = 2
    play: Play = "plain"
    words: str = ""

    @property
    def said(self) -> str:
        """What it is, in words."""
        return self.words or " ".join((self.make.__doc__ or "").replace("``", "`").split())


LET_GO = "the other tool lets go"
STARTS = (
    Start("operator deleted first", broken.operator_deleted_first),
    Start("namespace deleted first", broken.namespace_deleted_first),
    Start("everything deleted at once", broken.everything_deleted_at_once),
    Start("dangling webhooks", broken.webhooks_left),
    Start("dangling APIService", broken.api_service_left, vms=0),
    Start("KubeVirt object stuck", broken.kubevirt_stuck),
    Start("virt-api gone", broken.virt_api_gone),
    Start("virt-controller gone", broken.virt_controller_gone),
    Start("VM finalizers stuck", broken.vm_finalizers_stuck),
    Start("VMI on a lost node", broken.vmi_on_a_lost_node, broken.lost_node_is_back, "the node answers again"),
    Start("foreign finalizer", broken.foreign_finalizer, broken.foreign_finalizer_lets_go, LET_GO),
    Start(
        "strategy Job failing",
        broken.strategy_job_failing,
        broken.strategy_job_can_pull,
        "the right imageTag is named and the Job deleted",
    ),
    Start("phase Deploying", broken.phase_deploying, vms=0),
    Start("CRD deleted by hand", broken.crd_deleted_by_hand),
    Start(
        "half-done earlier run",
        broken.nothing_wrong,
        play="killed",
        words="The run before was killed by SIGKILL: at the backup, and after the first write of each step that writes.",
    ),
    Start("two removals at once", broken.nothing_wrong, play="twice", words="Two runs begin at the same moment."),
    Start(
        "foreign finalizer while deleting",
        broken.foreign_finalizer_while_deleting,
        broken.instancetype_is_let_go,
        LET_GO,
        vms=0,
    ),
    Start("CRD missing", broken.crd_missing),
    Start("operator deleted first, 1.7", broken.operator_deleted_first, release=FROM),
)


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        what: How it was run, and what was done before it.
        end: ``removed``, ``stopped`` or ``killed``.
        says: The findings that stopped it.
        mended: What it repaired.
    """

    what: str
    end: str
    says: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass
class Outcome:
    """What became of a start.

    Attributes:
        wrong: What should have been otherwise.
    """

    start: str
    runs: list[Run] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def save(outcome: Outcome) -> None:
    """Keep it, and put all that are kept into the page."""
    known = played()
    known[outcome.start] = asdict(outcome)
    OUTCOMES.parent.mkdir(parents=True, exist_ok=True)
    OUTCOMES.write_text(json.dumps(known, indent=1))
    PAGE.write_text(TABLE.sub(lambda _old: f"\n{table(known)}\n", PAGE.read_text()))


def played() -> dict[str, Json]:
    """The outcomes of this machine."""
    known: dict[str, Json] = json.loads(OUTCOMES.read_text()) if OUTCOMES.exists() else {}
    return known


def table(outcomes: Mapping[str, Json]) -> str:
    """All starts as Markdown."""
    rows = [_row(start, outcomes.get(start.name)) for start in STARTS]
    return "\n".join(f"| {' | '.join(line)} |" for line in [HEAD, ["---"] * len(HEAD), *rows])


def _row(start: Start, outcome: Json | None) -> list[str]:
    first = [start.name, _linked(start.said), start.release]
    if outcome is None:
        return [*first, NOT_PLAYED, ""]
    if outcome["wrong"]:
        return [*first, WRONG, ""]
    mended = dict.fromkeys(one for run in outcome["runs"] for one in run["mended"])
    return [
        *first,
        "<br>".join(map(_run_in_words, outcome["runs"])),
        ", ".join(mended) or "nothing",
    ]


def _run_in_words(run: Json) -> str:
    says = f", says {', '.join(f'`{one}`' for one in run['says'])}" if run["says"] else ""
    return f"{run['what']}: {run['end']}{says}{_within(run)}"


def _within(run: Json) -> str:
    """Roughly, so that the page changes only when something else does."""
    if run["end"] == "killed":
        return ""
    limit = next((limit for limit in _LIMITS if run["seconds"] < limit), None)
    return f", < {limit} s" if limit else ", longer"


def _linked(text: str) -> str:
    url = "https://github.com/{}/issues/{}"
    text = ELSEWHERE.sub(lambda one: f"[{one[0]}]({url.format(one[1], one[2])})", text)
    return ISSUE.sub(lambda one: f"[{one[0]}]({url.format('kubevirt/kubevirt', one[1])})", text)


def cases(text: str) -> Iterator[list[str]]:
    """The rows of a written table."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith(("| ---", f"| {HEAD[0]} |")):
            yield [value.strip() for value in line.strip("|").split(" | ")]
