# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is told of a wait: each change that matters, once, and few lines however large or restless the cluster is."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.rollout import Stage
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.hop import HopJudge
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.telling import CALM, GAP, Teller
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.waiting import Limits, wait_for

from tests.support.recording import ROLLOUTS, Recording

Scene = Callable[[int], Stage]


def told(scene: Scene, seconds: int) -> list[tuple[int, str]]:
    """The lines about a scene that is looked at each second, with the second."""
    lines: list[tuple[int, str]] = []
    now = 0
    teller = Teller(lambda line: lines.append((now, " ".join(line.split()))))
    for now in range(seconds):
        teller(scene(now), now)
    return lines


def handler(done: int, pods: int, reason: str = "", sort: str | None = None) -> Stage:
    rest = (("DaemonSet", pods - done),)
    return Stage("virt-handler", (2, "virt-handler"), reason, reason if sort is None else sort, pods, rest)


def controller(done: int = 0, reason: str = "") -> Stage:
    return Stage("virt-controller", (3, "virt-controller"), reason, reason, 2, (("Deployment", 2 - done),))


def status(reason: str) -> Stage:
    return Stage("KubeVirt", (9, ""), reason, reason.partition(":")[0])


def test_a_stage_its_pods_and_the_next_stage() -> None:
    def scene(now: int) -> Stage:
        return handler(now // 20, 3) if now < 60 else controller()

    assert told(scene, 100) == [
        (0, "virt-handler 0 of 3 pods new and ready"),
        (20, "virt-handler 1 of 3 pods new and ready"),
        (40, "virt-handler 2 of 3 pods new and ready, less than 1 min left"),
        (60, "virt-controller 0 of 2 pods new and ready"),
    ]


@pytest.mark.parametrize(("pods", "seconds", "most"), [(1000, 5000, 13), (1000, 30, 8), (20, 2000, 13), (10, 1000, 11)])
def test_many_pods_give_few_lines(pods: int, seconds: int, most: int) -> None:
    lines = told(lambda now: handler(pods * now // seconds, pods), seconds + 1)
    print(*lines, sep="\n")
    assert most - 3 <= len(lines) <= most
    assert lines[-1][1].startswith(f"virt-handler {pods} of {pods} pods")
    assert all(later - earlier >= GAP for (earlier, _a), (later, _b) in pairwise(lines))


def test_a_reason_is_told_when_it_lasts_and_not_again_for_the_next_pod() -> None:
    def scene(now: int) -> Stage:
        return handler(now // 30, 12, f"the pod on worker-{now // 30} is Pending", "Pending")

    said = [(now, line.partition("; ")[2]) for now, line in told(scene, 200) if ";" in line]
    assert said == [(int(CALM), "the pod on worker-0 is Pending"), (50, "the pod on worker-1 is Pending")]


def test_what_passes_at_once_is_not_told() -> None:
    def scene(now: int) -> Stage:
        return handler(1, 3, ("", "a container is not ready", "the pod is Pending")[now % 3])

    assert told(scene, 600) == [(0, "virt-handler 1 of 3 pods new and ready")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (handler(1, 3, "slow"), handler(1, 3, "slower")),
        (controller(1), handler(2, 3)),
        (handler(9, 12), handler(3, 12)),
        (status("a: 1"), controller(1)),
    ],
    ids=["two reasons", "a stage that comes back", "pods that are lost again", "the end and not"],
)
@pytest.mark.parametrize("period", [4, 12, 60, 300])
def test_what_swings_to_and_fro_is_told_less_and_less(one: Stage, other: Stage, period: int) -> None:
    seconds = 2 * 3600
    lines = told(lambda now: one if now // period % 2 == 0 else other, seconds)
    assert len(lines) <= 3 + 2 * math.log2(max(2, period / CALM))


def test_pods_that_are_lost_for_long_are_told_and_so_is_their_return() -> None:
    def scene(now: int) -> Stage:
        return handler(10 if now < 20 else 4 if now < 60 else 8, 12)

    assert told(scene, 100) == [
        (0, "virt-handler 10 of 12 pods new and ready"),
        (30, "virt-handler 4 of 12 pods new and ready"),
        (60, "virt-handler 8 of 12 pods new and ready"),
    ]


def test_a_message_with_a_time_in_it_is_one_reason() -> None:
    assert told(lambda now: status(f"DeploymentFailed: not now, at {now}"), 3600) == [
        (0, "KubeVirt DeploymentFailed: not now, at 0")
    ]


def test_the_recorded_hop() -> None:
    recording = Recording("1.7.0-to-1.8.4")
    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(f"{recording.now():3.0f} {line}")

    limits = Limits(600, 600, hold=15)
    waited = wait_for(recording, HopJudge("kubevirt", "v1.8.4"), limits, clock=recording, report=report)  # type: ignore[arg-type]
    print(*lines, sep="\n")
    assert waited.end == "done"
    assert lines == (ROLLOUTS / "1.7.0-to-1.8.4.txt").read_text().splitlines()
