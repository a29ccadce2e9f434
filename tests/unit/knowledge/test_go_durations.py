# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Durations as Go reads and writes them; the texts are those of Go's own tests where these are no longer than an hour."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import go_durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("5s", 5),
        ("30s", 30),
        ("1478s", 1478),
        ("5.s", 5),
        (".5s", 0.5),
        ("1.004s", 1.004),
        ("11us", 0.000011),
        ("12µs", 0.000012),
        ("12μs", 0.000012),
        ("1500ns", 0.000002),
        ("13ms", 0.013),
        ("1m", 60),
        ("1m0s", 60),
        ("90s", 90),
        ("1m30s", 90),
        ("30s1m", 90),
        ("1h", 3600),
        ("1h0m0s", 3600),
        ("39h9m14.425s", 39 * 3600 + 9 * 60 + 14.425),
    ],
)
def test_read(text: str, seconds: float) -> None:
    assert go_durations.parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "60", "1", "s", ".", "-", "-5s", "1 m", "1m ", "1M", "1min", "1d", "PT1M", "1m30", "1m-30s", "3000000h"],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write numbers with their units, such as 90s"):
        go_durations.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", "0s"),
        ("7us", "7µs"),
        ("1500us", "1.5ms"),
        ("1.5s", "1.5s"),
        ("60s", "1m0s"),
        ("1m", "1m0s"),
        ("90s", "1m30s"),
        ("90m", "1h30m0s"),
        ("1h", "1h0m0s"),
        ("36h0.25s", "36h0m0.25s"),
    ],
)
def test_written_as_go_writes_it(text: str, expected: str) -> None:
    assert go_durations.written(go_durations.parse(text)) == expected
    assert go_durations.parse(expected) == go_durations.parse(text)
