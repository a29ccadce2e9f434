# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/removal-outcomes.md has every state that a removal begins from, each was played, and none ended as it should not."""

from __future__ import annotations

import re

import pytest

from tests.support.removal_outcomes import HEAD, NOT_PLAYED, PAGE, STARTS, TABLE, WRONG, cases, table


def test_every_state_is_in_the_table() -> None:
    assert [row[:3] for row in _rows()] == [row[:3] for row in cases(table({}))]


@pytest.mark.parametrize("name", [start.name for start in STARTS])
def test_it_was_played(name: str) -> None:
    [row] = [row for row in _rows() if row[0] == name]
    assert len(row) == len(HEAD) and NOT_PLAYED not in row[3]


def test_none_ended_as_it_should_not() -> None:
    assert WRONG not in table_as_written()


def test_each_state_says_what_it_is() -> None:
    for start in STARTS:
        assert len(start.said) > 20, start.name
    assert len({start.name for start in STARTS}) == len(STARTS)


def test_a_finding_that_a_run_stopped_with_has_a_page() -> None:
    for row in _rows():
        for id in re.findall(r"`([a-z]+\.[a-z-]+)`", row[3]):
            assert (PAGE.parent / "findings" / f"{id}.md").exists(), id


def table_as_written() -> str:
    found = TABLE.search(PAGE.read_text())
    assert found
    return found[0]


def _rows() -> list[list[str]]:
    return [*cases(table_as_written())]
