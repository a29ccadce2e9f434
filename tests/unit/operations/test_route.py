# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hops of a run, and what speaks against each of them."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import releases_file
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.versions import Version
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.observe import Workloads
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import InvalidOption

World = t.Any  # tests/unit/operations/conftest.py

FALL_BEHIND = "workloads.launchers-fall-behind"


@pytest.fixture
def old(world: World) -> World:
    """KubeVirt v1.6.0, and v1.9.0 is wanted."""
    world.kubevirt = world.status("1.8-healthy", {"v1.8.4": "v1.6.0"})
    world.apply_operator("v1.6.0")
    world.rolled_out()
    world.version = "v1.9.0"
    return world


def ids(path: list[dict[str, t.Any]]) -> list[list[str]]:
    return [[one["id"] for one in hop["findings"]] for hop in path]


def test_every_minor_the_latest_patch_of_each_and_only_the_first_is_not_projected(old: World) -> None:
    path = old.path()
    assert [(hop["from"], hop["to"]) for hop in path] == [
        ("v1.6.0", "v1.7.4"),
        ("v1.7.4", "v1.8.4"),
        ("v1.8.4", "v1.9.0"),
    ]
    assert [hop["projected"] for hop in path] == [False, True, True]
    assert all(hop["why"] and hop["method"] == "operator" for hop in path)


def test_by_image_tag_each_hop_says_what_the_operator_cannot_do(old: World) -> None:
    path = old.path(method="image_tag")
    assert [hop["method"] for hop in path] == ["image_tag"] * 3
    assert [one[0] for one in ids(path)] == ["upgrade.makes-hybrid"] * 3


def test_a_path_of_ones_own(old: World) -> None:
    stops = tuple(map(Version.parse, ("v1.7.0", "v1.8.1", "v1.9.0")))
    assert [hop["to"] for hop in old.path(path=stops)] == ["v1.7.0", "v1.8.1", "v1.9.0"]
    with pytest.raises(InvalidOption, match=r"path: The path goes from v1\.8\.1 to v1\.7\.0"):
        old.path(path=tuple(map(Version.parse, ("v1.8.1", "v1.7.0"))))


@pytest.mark.parametrize(
    ("kubernetes", "expected"),
    [
        ("v1.33.9", [[], [FALL_BEHIND], ["kubernetes.too-old", FALL_BEHIND]]),
        ("v1.34.4+k3s1", [[], [FALL_BEHIND], [FALL_BEHIND]]),
        ("v1.36.0", [["kubernetes.too-new"], ["kubernetes.too-new", FALL_BEHIND], [FALL_BEHIND]]),
        ("odd", [[], [FALL_BEHIND], [FALL_BEHIND]]),
    ],
)
def test_kubernetes_is_named_at_the_hop_that_it_does_not_fit(
    old: World, kubernetes: str, expected: list[list[str]]
) -> None:
    old.kubernetes = kubernetes
    assert ids(old.path()) == expected


def test_launchers_fall_behind_only_where_vms_run(old: World) -> None:
    old.workloads = Workloads()
    assert ids(old.path()) == [[], [], []]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("only: [v1.7.0, v1.8.4, v1.9.0]", ["v1.7.0", "v1.8.4", "v1.9.0"]),
        ("only: [v1.8.4, v1.9.0]", []),
        ("withdrawn: {v1.9.0: It loses disks}", []),
    ],
)
def test_a_releases_file_decides_what_there_is(old: World, text: str, expected: list[str]) -> None:
    found = old.path(releases=releases_file.parse(text, "releases.yml"))
    assert [hop["to"] for hop in found] == (expected or ["v1.9.0"])
    if not expected:
        [refusal] = [one for one in found[0]["findings"] if one["id"] in ("version.unavailable", "version.withdrawn")]
        assert refusal["level"] == "blocker" and not refusal["acceptable"]
