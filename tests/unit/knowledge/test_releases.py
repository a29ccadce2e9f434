# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of KubeVirt's releases holds together, and says of a version what it should."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import releases
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.releases import RELEASES, Release
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.versions import (
    FIRST_SUPPORTED_MINOR,
    Hop,
    Version,
    hop,
)


def test_from_the_first_supported_minor_on_none_is_missing() -> None:
    assert RELEASES[0].minor == FIRST_SUPPORTED_MINOR
    assert {hop(older.latest, newer.first) for older, newer in pairwise(RELEASES)} == {Hop.MINOR}


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.minor)
def test_release(release: Release) -> None:
    assert release.first.minor_line == release.latest.minor_line == release.minor
    assert release.first <= release.latest
    assert date(2019, 5, 1) < date.fromisoformat(release.latest_date) < date(2026, 9, 1)
    assert kubernetes(release.kubernetes_min) <= kubernetes(release.kubernetes_max)
    assert not {str(release.first), str(release.latest)} & releases.WITHDRAWN.keys()


def test_kubernetes_versions_only_rise_and_neighbours_share_one() -> None:
    for older, newer in pairwise(RELEASES):
        assert kubernetes(older.kubernetes_min) <= kubernetes(newer.kubernetes_min), newer
        assert kubernetes(newer.kubernetes_min) <= kubernetes(older.kubernetes_max), newer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v1.8.0", ("1.8", "v1.8.0", "v1.8.4", "2026-06-15", "1.33", "1.35")),
        ("v1.8.99", ("1.8", "v1.8.0", "v1.8.4", "2026-06-15", "1.33", "1.35")),
        ("v0.47.0", ("0.47", "v0.47.1", "v0.47.1", "2021-11-10", "1.19", "1.22")),
        ("v0.17.0-alpha.1", ("0.17", "v0.17.0", "v0.17.4", "2019-06-25", "1.10", "1.13")),
    ],
)
def test_release_of(text: str, expected: tuple[str, ...]) -> None:
    release = releases.release_of(Version.parse(text))
    assert release is not None
    assert expected == (
        release.minor,
        str(release.first),
        str(release.latest),
        release.latest_date,
        release.kubernetes_min,
        release.kubernetes_max,
    )
    assert releases.latest_patch(Version.parse(text)) == release.latest


@pytest.mark.parametrize("text", ["v0.16.3", "v1.99.0", "v2.8.0"])
def test_unknown_minor(text: str) -> None:
    assert releases.release_of(Version.parse(text)) is None
    assert releases.latest_patch(Version.parse(text)) is None


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("v1.8.4", "1.9"),
        ("v1.8.0-rc.1", "1.9"),
        ("v1.8.99", "1.9"),
        ("v0.59.2", "1.0"),
        ("v0.46.0", "0.47"),
        ("v0.17.0-alpha.1", "0.18"),
        ("v1.9.0", None),
        ("v1.99.0", None),
        ("v0.16.3", None),
    ],
)
def test_next_minor(text: str, following: str | None) -> None:
    release = releases.next_minor(Version.parse(text))
    assert (release and release.minor) == following
    if release:
        assert hop(Version.parse(text), release.latest) is Hop.MINOR


def test_withdrawn() -> None:
    assert list(releases.WITHDRAWN) == ["v0.47.0"]
    assert "v0.47.1" in releases.WITHDRAWN["v0.47.0"]


def test_manifest_url() -> None:
    expected = "https://github.com/kubevirt/kubevirt/releases/download/v1.9.0-rc.1/kubevirt-operator.yaml"
    assert releases.manifest_url(Version.parse("1.9.0-rc.1")) == expected


def kubernetes(minor: str) -> tuple[int, ...]:
    return tuple(map(int, minor.split(".")))
