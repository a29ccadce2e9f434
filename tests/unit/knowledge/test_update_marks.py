# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What owners write on their VMs, and when such a VM may be moved."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.update_marks import (
    MARK,
    NONE,
    WINDOW,
    Mark,
    mark_of,
)

Metadata = dict[str, t.Any]


def at(text: str) -> datetime:
    hour, minute = map(int, text.split(":"))
    return datetime(2026, 3, 1, hour, minute, tzinfo=timezone.utc)


def annotated(**values: str) -> Metadata:
    return {"annotations": {{"mark": MARK, "window": WINDOW}[key]: value for key, value in values.items()}}


@pytest.mark.parametrize(
    ("vmi", "vm", "expected"),
    [
        ({}, None, NONE),
        ({}, {"labels": None, "annotations": None}, NONE),
        ({"labels": {MARK: "skip"}}, None, Mark(skip=True)),
        ({}, {"labels": {MARK: "last"}}, Mark(last=True)),
        (annotated(mark="last"), annotated(mark="skip"), Mark(last=True)),
        ({"labels": {MARK: "last"}}, annotated(mark="skip"), Mark(last=True)),
        (annotated(mark="Skip"), None, Mark(unreadable=f"{MARK}: Skip")),
        (annotated(window="9-17"), None, Mark(unreadable=f"{WINDOW}: 9-17")),
        (annotated(window="09:00-09:00"), None, Mark(unreadable=f"{WINDOW}: 09:00-09:00")),
        (annotated(window="24:00-05:00"), None, Mark(unreadable=f"{WINDOW}: 24:00-05:00")),
        ({"labels": {WINDOW: "09:00-10:00"}}, None, NONE),
    ],
)
def test_a_mark_is_read_from_the_instance_first(vmi: Metadata, vm: Metadata | None, expected: Mark) -> None:
    assert mark_of(vmi, vm) == expected


@pytest.mark.parametrize(
    ("window", "now", "may_move"),
    [
        ("22:00-05:00", "22:00", True),
        ("22:00-05:00", "23:59", True),
        ("22:00-05:00", "00:00", True),
        ("22:00-05:00", "04:59", True),
        ("22:00-05:00", "05:00", False),
        ("22:00-05:00", "21:59", False),
        ("09:30-10:00", "09:30", True),
        ("09:30-10:00", "10:00", False),
        ("09:30-10:00", "09:29", False),
    ],
)
def test_a_window_may_go_past_midnight(window: str, now: str, may_move: bool) -> None:
    assert bool(mark_of(annotated(window=window), None).keeps_it(at(now))) is not may_move


def test_skip_and_last_with_a_window() -> None:
    skipped = mark_of(annotated(mark="skip", window="22:00-05:00"), None)
    assert "skip" in skipped.keeps_it(at("23:00"))
    last = mark_of(annotated(mark="last", window="22:00-05:00"), None)
    assert last.last and not last.keeps_it(at("23:00"))
    assert last.keeps_it(at("12:00")) == "it may be moved from 22:00 to 05:00 UTC only"


def test_a_mark_that_means_nothing_leaves_the_vm_alone_and_says_so() -> None:
    assert f"{MARK}: later" in mark_of(annotated(mark="later"), None).keeps_it(at("12:00"))


def test_only_what_is_marked_counts_as_marked() -> None:
    assert not NONE.is_set
    assert mark_of(annotated(window="22:00-05:00"), None).is_set
