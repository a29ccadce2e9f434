# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of KubeVirt's releases holds together, and says of a version what it should."""

from __future__ import annotations

from itertools import pairwise

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import releases
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.kubernetes_versions import (
    KubernetesRange,
    KubernetesVersion,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.releases import KNOWN, Release, Releases
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.versions import (
    FIRST_SUPPORTED_MINOR,
    Hop,
    Version,
    hop,
)

PATCHES_SINCE = {"0.47": 1}
"""The first patch of a minor, where it is not the .0."""


def v(text: str) -> Version:
    return Version.parse(text)


def test_from_the_first_supported_minor_on_none_is_missing() -> None:
    assert KNOWN.minors[0].minor == FIRST_SUPPORTED_MINOR
    assert len(KNOWN.minors) == 53
    assert {hop(older.versions[-1], newer.versions[0]) for older, newer in pairwise(KNOWN.minors)} == {Hop.MINOR}


@pytest.mark.parametrize("release", KNOWN.minors, ids=lambda release: release.minor)
def test_release(release: Release) -> None:
    first = PATCHES_SINCE.get(release.minor, 0)
    assert [version.patch for version in release.versions] == list(range(first, first + len(release.versions)))
    assert {version.minor_line for version in release.versions} == {release.minor}
    assert release.latest == release.versions[-1]
    assert release.kubernetes.min <= release.kubernetes.max
    assert not {str(version) for version in release.versions} & KNOWN.withdrawn.keys()


def test_kubernetes_versions_only_rise_and_neighbours_share_one() -> None:
    for older, newer in pairwise(KNOWN.minors):
        assert older.kubernetes.min <= newer.kubernetes.min, newer
        assert older.kubernetes.max <= newer.kubernetes.max, newer
        assert older.kubernetes.shared_with(newer.kubernetes), newer


def test_kubernetes_versions_are_promised_from_the_first_support_matrix_on() -> None:
    promised = [release.minor for release in KNOWN.minors if release.kubernetes.promised]
    assert promised[:5] == ["0.56", "0.57", "0.58", "0.59", "1.0"]
    assert len(promised) == 14


@pytest.mark.parametrize(
    ("text", "minor", "latest", "kubernetes"),
    [
        ("v1.8.0", "1.8", "v1.8.4", "1.33 to 1.35"),
        ("v1.8.99", "1.8", "v1.8.4", "1.33 to 1.35"),
        ("v0.47.0", "0.47", "v0.47.1", "1.19 to 1.22"),
        ("v0.17.0-alpha.1", "0.17", "v0.17.4", "1.10 to 1.13"),
    ],
)
def test_release_of(text: str, minor: str, latest: str, kubernetes: str) -> None:
    release = KNOWN.release_of(v(text))
    assert release is not None
    assert (release.minor, str(release.latest)) == (minor, latest)
    assert str(KNOWN.kubernetes_of(v(text))) == kubernetes
    assert KNOWN.latest_patch(v(text)) == release.latest


@pytest.mark.parametrize("text", ["v0.16.3", "v1.99.0", "v2.8.0"])
def test_unknown_minor(text: str) -> None:
    assert KNOWN.release_of(v(text)) is None
    assert KNOWN.latest_patch(v(text)) is None
    assert KNOWN.kubernetes_of(v(text)) is None
    assert not KNOWN.offers(v(text))
    assert not KNOWN.lists(v(text))


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
        ("v0.60.0", None),
    ],
)
def test_next_minor(text: str, following: str | None) -> None:
    release = KNOWN.next_minor(v(text))
    assert (release and release.minor) == following
    if release and release.latest:
        assert hop(v(text), release.latest) is Hop.MINOR


@pytest.mark.parametrize(
    ("text", "listed", "offered"),
    [
        ("v1.8.2", True, True),
        ("v1.8.4", True, True),
        ("v1.8.5", False, True),  # may have come out since
        ("v1.9.0-rc.1", False, True),
        ("v0.47.1", True, True),
        ("v0.47.0", False, False),  # withdrawn
        ("v1.10.0", False, False),
    ],
)
def test_what_can_be_had(text: str, listed: bool, offered: bool) -> None:
    assert (KNOWN.lists(v(text)), KNOWN.offers(v(text))) == (listed, offered)


def test_nothing_but_the_listed_can_be_had_where_the_list_is_closed() -> None:
    closed = Releases(KNOWN.minors, KNOWN.withdrawn, closed=True)
    assert closed.offers(v("v1.8.4"))
    assert not closed.offers(v("v1.8.5"))


@pytest.mark.parametrize(
    ("versions", "latest"),
    [
        (["v1.9.0-rc.0", "v1.9.0-rc.1"], "v1.9.0-rc.1"),
        (["v1.9.0", "v1.9.1-rc.0"], "v1.9.0"),
        (["v1.9.9", "v1.9.10"], "v1.9.10"),
        ([], None),
    ],
)
def test_the_latest_is_a_prerelease_only_where_there_is_nothing_else(versions: list[str], latest: str | None) -> None:
    kubernetes = KubernetesRange(KubernetesVersion(1, 34), KubernetesVersion(1, 36))
    release = Release("1.9", tuple(map(v, versions)), kubernetes)
    assert release.latest == (v(latest) if latest else None)


@pytest.mark.parametrize(
    ("text", "after", "nearest"),
    [
        ("1.84", "v1.7.4", "v1.8.4"),
        ("v1.80.4", "v1.7.4", "v1.8.4"),
        ("v1,8.3", "v1.7.4", "v1.8.3"),
        ("v1.10.0", "v1.8.4", "v1.9.0"),  # v1.1.0 is more alike, but behind
        ("latest", "v1.7.4", None),
        ("v1.10.0", "v1.9.0", None),
    ],
)
def test_nearest(text: str, after: str, nearest: str | None) -> None:
    assert KNOWN.nearest(text, v(after)) == (v(nearest) if nearest else None)


def test_withdrawn() -> None:
    assert list(releases.WITHDRAWN) == ["v0.47.0"]
    assert "v0.47.1" in releases.WITHDRAWN["v0.47.0"]


def test_manifest_url() -> None:
    expected = "https://github.com/kubevirt/kubevirt/releases/download/v1.9.0-rc.1/kubevirt-operator.yaml"
    assert releases.manifest_url(v("1.9.0-rc.1")) == expected
