# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/removal-outcomes.md has every state that a removal begins from, each was played, and none ended as it should not."""

from __future__ import annotations

import re

import pytest

from tests.support.removal_outcomes import HEAD, NOT_PLAYED, PAGE, STARTS, TABLE, WRONG, cases, table

WRITTEN = TABLE.search(PAGE.read_text())


def test_every_state_is_in_the_table() -> None:
    assert [row[:3] for row in _rows()] == [row[:3] for row in cases(table({}))]


@pytest.mark.xfail(reason="not every state was played yet", strict=True)
def test_every_state_was_played_and_ended_well() -> None:
    for row in _rows():
        told = " ".join(row[3:])
        assert len(row) == len(HEAD) and NOT_PLAYED not in told and WRONG not in told, row


def test_each_state_says_what_it_is() -> None:
    for start in STARTS:
        assert len(start.said) > 20, start.name
    assert len({start.name for start in STARTS}) == len(STARTS)


def test_a_finding_that_a_run_stopped_with_has_a_page() -> None:
    for row in _rows():
        for id in re.findall(r"`([a-z]+\.[a-z-]+)`", row[3]):
            assert (PAGE.parent / "findings" / f"{id}.md").exists(), id


def _rows() -> list[list[str]]:
    assert WRITTEN
    return [*cases(WRITTEN[0])]
