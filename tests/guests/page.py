# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The phases of the runs with real guests, their table, and docs/real-guests.md, whose table and recorded run are generated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tests.bench.page import with_part
from tests.guests.record import HEADINGS, Row, from_json, table
from tests.support.kubevirt import FROM, TO
from tests.support.lab import ROOT

RESULTS = ROOT / "build" / "guests"
PAGE = ROOT / "docs" / "real-guests.md"

UPGRADE = f"upgrade of the control plane, {FROM} to {TO}"
DRAIN = f"drain of a node during the upgrade, {FROM} to {TO}"
CANARY = "canary"
WIDEN = "widening"
AGAIN = "virt-handler rolled out once more"
UPDATER = "KubeVirt's own updater"
EVICT = "Evict"
REMOVAL = "removal, and installation again"
PHASES = (UPGRADE, DRAIN, CANARY, WIDEN, AGAIN, UPDATER, EVICT, REMOVAL)

TOO_SLOW = "a migration that is too slow"
NO_TARGET = "a target launcher that cannot start"
NO_HANDLER = "virt-handler away from a node for five minutes"
KILLED = "a guest killed while it was moved"
MENDED = "moved, when nothing failed any more"
NODE_GONE = "the target's node gone"
FAILURES = (TOO_SLOW, NO_TARGET, NO_HANDLER, KILLED, MENDED, NODE_GONE)

RUNS = ("run", "failures", "gone")
"""The files of rows: the run of the proof, the one with a drain in the upgrade and then failures, and the one in which a node ends."""

_FOLDERS = re.compile(r"(?<==)~?/\S*/")
"""Folders of the machine on which it was run."""


def rows(phases: Sequence[str]) -> list[Row]:
    """What the runs until now have put down of these phases, in their order."""
    files = [file for run in RUNS if (file := RESULTS / f"{run}.json").exists()]
    found = [row for file in files for row in from_json(file.read_text()) if row.phase in phases]
    return sorted(found, key=lambda row: (phases.index(row.phase), row.guest))


def save_table() -> str:
    """Put the tables of all runs until now into build/guests/table.md, and return them."""
    text = "\n".join(table(found) for phases in (PHASES, FAILURES) if (found := rows(phases)))
    (RESULTS / "table.md").write_text(text)
    return text


def save_page() -> None:
    """Put the table and the recorded run into docs/real-guests.md.

    Raises:
        ValueError: Something was wrong in a phase.
    """
    found, failures = rows(PHASES), rows(FAILURES)
    wrong = [f"{row.phase}, {row.guest}: {'; '.join(row.wrong)}" for row in found if row.wrong]
    if wrong:
        raise ValueError(f"not as promised: {wrong}")
    text = PAGE.read_text()
    text = with_part(text, "table", table(found))
    text = with_part(text, "table of failures", table(failures))
    text = with_part(text, "run", f"```\n{_FOLDERS.sub('', (RESULTS / 'run.txt').read_text())}```\n")
    PAGE.write_text(text)


def documented(lines: Iterable[str]) -> list[list[str]]:
    """The cells of the rows of the tables in the page."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines if line.startswith("|")]
    return [cells for cells in rows if len(cells) == len(HEADINGS) and cells[0] != HEADINGS[0] and "--" not in cells[0]]
