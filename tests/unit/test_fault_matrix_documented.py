# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/fault-matrix.md has the cells that the matrices have: ``make faults`` was run since the last one was added."""

from __future__ import annotations

import re

import pytest

from tests.faults.page import NOT_PLAYED, PAGE, TABLES, WRONG, tables
from tests.faults.scenarios import SCENARIOS

PLACEHOLDER = "x"


def test_the_tables_have_the_cells_of_the_matrices() -> None:
    written, of_today = _shape(_tables()), _shape(tables({}))
    assert written == of_today


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_cell_was_played(name: str) -> None:
    parts = [part for part in _tables().split("### ") if part.startswith(f"{name}:")]
    assert len(parts) == 3
    assert not any(NOT_PLAYED in part for part in parts)


def test_no_cell_ended_as_it_should_not() -> None:
    assert WRONG not in _tables()


def _tables() -> str:
    found = TABLES.search(PAGE.read_text())
    assert found
    return found[0]


def _shape(text: str) -> list[list[str]]:
    """Each line's first column, and for the others only whether there is a cell."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [
        [row[0].strip(), *(PLACEHOLDER if value.strip() else "" for value in row[1:])]
        for row in rows
        if not re.match(r"\s*---", row[0])
    ]
