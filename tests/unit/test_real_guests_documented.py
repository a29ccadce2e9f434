# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/real-guests.md has the tables of a run in which every phase went as promised."""

from __future__ import annotations

import pytest

from tests.guests import page
from tests.guests.page import EVICT, FAILURES, KILLED, NODE_GONE, PAGE, PHASES, REMOVAL


@pytest.mark.parametrize("phase", [*PHASES, *FAILURES])
def test_a_phase_was_recorded_for_both_guests(phase: str) -> None:
    rows = [cells for cells in page.documented(PAGE.read_text().splitlines()) if cells[0] == phase]
    assert [cells[1] for cells in rows] == ["guest-1", "guest-2"]


def test_no_guest_was_started_anew_and_no_connection_broke_where_it_must_not() -> None:
    rows = page.documented(PAGE.read_text().splitlines())
    may = {EVICT, REMOVAL, KILLED, NODE_GONE}
    assert {(cells[3], cells[4]) for cells in rows if cells[0] not in may} <= {("unchanged", "0")}
    assert {cells[3] for cells in rows if cells[0] in (EVICT, REMOVAL)} <= {"1 new"}
