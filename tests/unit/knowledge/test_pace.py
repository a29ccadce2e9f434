# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a wait will still take: nothing is guessed before there is something to judge by, and nothing below zero."""

from __future__ import annotations

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.pace import Pace, in_words
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.rollout import Stage

OPERATOR, HANDLER, CONTROLLER = "virt-operator", "virt-handler", "virt-controller"


def stage(component: str, *rest: tuple[str, int]) -> Stage:
    return Stage(component, (0, component), "", "", pods=12, rest=rest)


def guesses(*looks: tuple[float, Stage]) -> list[float | None]:
    """What is guessed at each look."""
    pace, said = Pace(), []
    for now, one in looks:
        pace.look(one, now)
        said.append(pace.seconds_left(one, now))
    return said


def handler(left: int, *later: tuple[str, int]) -> Stage:
    return stage(HANDLER, ("DaemonSet", left), *later)


def operator(left: int, *later: tuple[str, int]) -> Stage:
    return stage(OPERATOR, ("Deployment", left), *later)


def migrations(left: int) -> Stage:
    return stage("", ("migration", left))


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([(0, handler(12))], [None]),
        ([(0, handler(12)), (60, handler(11))], [None, None]),
        ([(0, handler(12)), (60, handler(11)), (70, handler(10))], [None, None, 100]),
        ([(0, handler(12)), (60, handler(11)), (70, handler(1)), (71, handler(0))], [None, None, 1, None]),
        ([(0, operator(2)), (30, operator(1))], [None, 30]),
        ([(0, operator(2, ("DaemonSet", 3))), (30, operator(1, ("DaemonSet", 3)))], [None, None]),
        (
            [
                (0, operator(2)),
                (20, operator(1)),
                (40, operator(0)),
                (50, handler(3, ("Deployment", 2))),
                (55, handler(2, ("Deployment", 2))),
                (60, handler(1, ("Deployment", 2))),
                (65, stage(CONTROLLER, ("Deployment", 2))),
            ],
            [None, 20, None, None, None, 45, 40],
        ),
        ([(0, migrations(5)), (10, migrations(4)), (20, migrations(6)), (30, migrations(3))], [None, 40, 60, 45]),
        ([(0, operator(2)), (30, operator(1)), (60, operator(1)), (91, operator(1))], [None, 30, 30, None]),
        ([(0, Stage("KubeVirt", (9, ""), "", ""))], [None]),
    ],
    ids=[
        "nothing done yet",
        "the canary says nothing",
        "by those after the canary",
        "many at once, and the end",
        "a Deployment has no canary",
        "of a DaemonSet to come nothing is known",
        "by the Deployments before, for those to come",
        "more come in between",
        "none while it is much slower than before",
        "nothing to count",
    ],
)
def test_guesses(looks: list[tuple[float, Stage]], expected: list[float | None]) -> None:
    assert guesses(*looks) == expected


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than 1 min left"),
        (44, "less than 1 min left"),
        (45, "about 1 min left"),
        (100, "about 2 min left"),
        (89 * 60, "about 89 min left"),
        (90 * 60, "about 2 h left"),
        (5 * 3600, "about 5 h left"),
    ],
)
def test_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
