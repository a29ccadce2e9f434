# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every cell of the matrices ends by itself, done or with what is the matter, and the same again arrives."""

from __future__ import annotations

import os

import pytest

from tests.faults.matrix import Cell, Kill, cells, is_short, kills
from tests.faults.play import Ending, play_all
from tests.support.lab import worker_name

STAGES = 2 * (os.cpu_count() or 1)
EVERYTHING: list[Cell | Kill] = [*cells(), *kills()]


@pytest.fixture(scope="session")
def endings(request: pytest.FixtureRequest) -> dict[str, Ending]:
    """Of all cells that this session asks for, played some at once: they mostly wait."""
    names = {item.callspec.id for item in request.session.items if hasattr(item, "callspec")}
    work = [one for one in EVERYTHING if one.key in names]
    found: dict[str, Ending] = {}
    play_all(work, worker_name("faults"), min(STAGES, len(work)), lambda ending: found.__setitem__(ending.key, ending))
    return found


@pytest.mark.parametrize(
    "key",
    [pytest.param(one.key, id=one.key, marks=[] if is_short(one) else [pytest.mark.full]) for one in EVERYTHING],
)
def test_it_ends_and_the_same_again_arrives(key: str, endings: dict[str, Ending]) -> None:
    ending = endings[key]
    print(ending)
    assert ending.wrong == []
