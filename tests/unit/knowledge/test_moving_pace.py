# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many VMs are moved by when, how many at once, and what is told of it."""

from __future__ import annotations

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.moving_pace import (
    Limits,
    Progress,
    next_to_start,
    share_of,
)


@pytest.mark.parametrize(
    ("percent", "total", "expected"),
    [(5, 1000, 50), (5, 1, 1), (5, 21, 2), (25, 4, 1), (25, 5, 2), (100, 7, 7), (5, 0, 0), (250, 3, 3)],
)
def test_a_share_is_rounded_up(percent: int, total: int, expected: int) -> None:
    assert share_of(percent, total) == expected


WAITING = [("a", "n1"), ("b", "n1"), ("c", "n1"), ("d", "n2"), ("e", "n3"), ("f", "n4"), ("g", "n5")]


@pytest.mark.parametrize(
    ("sources", "of_ours", "failures_left", "limits", "expected"),
    [
        pytest.param([], 0, 9, Limits(), ["a", "b", "d", "e", "f"], id="two from a node, five in all"),
        pytest.param(["n1", "n2"], 2, 9, Limits(), ["a", "d", "e"], id="those that run count"),
        pytest.param(["n1", "n1", "n9"], 0, 9, Limits(), ["d", "e"], id="those of others count too"),
        pytest.param([], 0, 9, Limits(2, 1), ["a", "d"], id="limits of this cluster"),
        pytest.param(["n2"], 1, 2, Limits(), ["a"], id="no more than may fail"),
        pytest.param(["n9"], 0, 1, Limits(), ["a"], id="another's failure is not ours"),
        pytest.param(["n2"], 1, 1, Limits(), [], id="the next failure stops the run"),
        pytest.param(["n"] * 6, 0, 9, Limits(), [], id="more than the limit run"),
    ],
)
def test_what_can_be_started_now(
    sources: list[str], of_ours: int, failures_left: int, limits: Limits, expected: list[str]
) -> None:
    assert next_to_start(WAITING, sources, limits, of_ours=of_ours, failures_left=failures_left) == expected


def test_a_thousand_vms_give_a_dozen_lines_and_a_failure_is_told_at_once() -> None:
    progress = Progress(1000, 0.0)
    lines = [progress.line(done, 1 if done >= 501 else 0, done * 6.0) for done in range(1000)]
    told = [line for line in lines if line]
    assert len(told) == 10
    assert told[0] == "100 of 1000 VMs moved, 0 failed, 10.0 a minute, about 2 h left"
    assert lines[501].startswith("501 of 1000 VMs moved, 1 failed")


def test_few_vms_give_a_line_each_but_not_within_seconds() -> None:
    progress = Progress(4, 0.0)
    assert progress.line(1, 0, 1.0) == ""
    assert progress.line(1, 0, 12.0) == "1 of 4 VMs moved, 0 failed, 5.0 a minute, less than 1 min left"
    assert progress.line(4, 0, 13.0) == "4 of 4 VMs moved, 0 failed, 18.5 a minute"
