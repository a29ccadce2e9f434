# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Risks and gates: when they raise a finding, and what is in it."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import (
    Finding,
    blocking,
    unknown_ids,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.gates import Gate, Selection
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.rules import Rule

RULE = Rule(
    id="user.no-backup",
    level="blocker",
    acceptable=True,
    message="There may be no backup.",
    fix="Make one.",
    condition="length(items) == `0`",
    url="https://example.com/backup",
    place="gates.yml, line 3",
)
NAMES = "items[].metadata.name"


def gate(**changes: t.Any) -> Gate:
    return Gate(replace(RULE, **changes), Selection("velero.io/v1", "Backup"))


def items(*names: str) -> list[dict[str, t.Any]]:
    return [{"metadata": {"name": name}} for name in names]


def test_the_finding_has_all_that_the_rule_says() -> None:
    assert gate().finding([]) == Finding(
        id="user.no-backup",
        level="blocker",
        object="Backup",
        cause="There may be no backup.",
        evidence="",
        fix="Make one.",
        url="https://example.com/backup",
        acceptable=True,
    )


def test_when_raises_it_if_true_and_require_if_false() -> None:
    assert gate().finding(items("a")) is None
    assert gate(raised_when=False).finding([]) is None
    assert gate(raised_when=False).finding(items("a")) is not None


@pytest.mark.parametrize(
    ("names", "object", "evidence"),
    [
        ([], "Backup", ""),
        (["a"], "a", ""),
        (["a", "b", "c"], "a, b, c", ""),
        (["a", "b", "c", "d"], "a, b, c and 1 more", "a, b, c, d"),
        ([f"n{i}" for i in range(22)], "n0, n1, n2 and 19 more", ", ".join(f"n{i}" for i in range(20)) + " and 2 more"),
    ],
)
def test_the_first_of_the_affected_objects_are_named(names: list[str], object: str, evidence: str) -> None:
    found = gate(condition="`true`", affected=NAMES).finding(items(*names))
    assert found and (found.object, found.evidence) == (object, evidence)


@pytest.mark.parametrize(
    "changes", [{"condition": "items[0].spec.ok"}, {"affected": "items"}, {"condition": "sum(items)"}]
)
@pytest.mark.parametrize(("level", "expected"), [("info", "warning"), ("warning", "warning"), ("blocker", "blocker")])
def test_an_expression_that_gives_no_answer_is_a_finding(changes: dict[str, str], level: str, expected: str) -> None:
    found = gate(**{"condition": "`true`", **changes}, level=level).finding(items("a"))
    assert found and (found.id, found.level, found.acceptable) == ("user.no-backup", expected, True)
    assert found.cause == "It cannot be told whether this applies here: There may be no backup."
    assert found.evidence and "gates.yml, line 3" in found.fix


def test_objects_that_could_not_be_read_are_a_finding() -> None:
    found = gate().unread("backups.velero.io is forbidden")
    assert (found.object, found.evidence, found.level) == ("Backup", "backups.velero.io is forbidden", "blocker")


@pytest.mark.parametrize(
    ("selection", "text"),
    [
        (Selection("v1", "Node"), "Node"),
        (
            Selection("apps/v1", "Deployment", "backup", "app=velero"),
            "Deployment in namespace backup with labels app=velero",
        ),
    ],
)
def test_how_a_selection_is_named(selection: Selection, text: str) -> None:
    assert str(selection) == text


def test_a_users_finding_can_be_accepted_by_its_id() -> None:
    found = gate().finding([])
    assert found and blocking([found]) == [found] and blocking([found], ["user.no-backup"]) == []
    assert unknown_ids(["user.no-backup", "user.nobackup", "owner.hco"], also=["user.no-backup"]) == ["user.nobackup"]
