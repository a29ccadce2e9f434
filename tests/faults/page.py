# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/fault-matrix.md: its generated tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from tests.faults.faults import FAULTS
from tests.faults.matrix import Cell, Kill, cells, kills
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.support.lab import ROOT, Json

PAGE = ROOT / "docs" / "fault-matrix.md"
TABLES = re.compile(r"(?<=<!-- tables -->\n).*(?=<!-- end of tables -->)", re.DOTALL)
NO_CELL, NOT_PLAYED, WRONG = "", "not played", "**wrong**"
MOMENTS = ("before", "after", "during")
_LIMITS = (10, 60, 120, 240, 480)
_STATUS = re.compile(r"answered with (\d{3}) (\w+)")


def save(endings: Mapping[str, Json]) -> None:
    """Put the tables of these endings, by the key of their cell, into the page."""
    PAGE.write_text(TABLES.sub(lambda _old: f"\n{tables(endings)}\n", PAGE.read_text()))


def tables(endings: Mapping[str, Json]) -> str:
    """All tables as Markdown."""
    return "\n".join(part for scenario in SCENARIOS.values() for part in _of_scenario(scenario, endings))


def _of_scenario(scenario: Scenario, endings: Mapping[str, Json]) -> Iterator[str]:
    mine = [cell for cell in cells() if cell.scenario is scenario]
    for lasting, title in ((False, "faults that pass"), (True, "faults that last")):
        by_place = {(cell.phase.name, cell.fault.name): cell for cell in mine if cell.lasting is lasting}
        faults = [fault.name for fault in FAULTS if any(name == fault.name for _phase, name in by_place)]
        rows = [
            [phase, *(_cell(by_place.get((phase, fault)), endings) for fault in faults)]
            for phase in scenario.phases
            if any(name == phase for name, _fault in by_place)
        ]
        yield f"### {scenario.name}: {title}\n\n{_markdown(['phase', *faults], rows)}\n"
    killed: dict[tuple[str, str], Kill] = {
        (kill.at, kill.moment): kill for kill in kills() if kill.scenario is scenario
    }
    rows = [
        [phase, *(_cell(killed.get((phase, moment)), endings) for moment in MOMENTS)]
        for phase in scenario.phases
        if any(at == phase for at, _moment in killed)
    ]
    heads = ["killed at", "before the server has it", "after it was done, before we hear", "while it waits"]
    yield f"### {scenario.name}: SIGKILL, and the same command again\n\n{_markdown(heads, rows)}\n"


def _cell(one: Cell | Kill | None, endings: Mapping[str, Json]) -> str:
    if one is None:
        return NO_CELL
    ending = endings.get(one.key)
    if ending is None:
        return NOT_PLAYED
    if ending["wrong"]:
        return WRONG
    return f"{_said(ending)}, {_within(ending['seconds'])}"


def _said(ending: Json) -> str:
    if ending["end"] != "failed":
        return str(ending["end"])
    status = _STATUS.search(ending["says"])
    if status:
        return f"says {status[1]} {status[2]}"
    if re.fullmatch(r"[a-z]+\.[a-z0-9-]+", ending["says"]):
        return f"says `{ending['says']}`"
    return (
        "says that the API server does not answer"
        if "does not answer" in ending["says"]
        else f"says: {ending['says'][:60]}"
    )


def _within(seconds: float) -> str:
    """Roughly, so that the page changes only when something else does."""
    return next((f"< {limit} s" for limit in _LIMITS if seconds < limit), "longer")


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
