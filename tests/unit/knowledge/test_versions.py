# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""KubeVirt's versions, their order, and the hop from one to another."""

from __future__ import annotations

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import versions
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.versions import Hop, Version


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v1.8.4", Version(1, 8, 4)),
        ("1.8.4", Version(1, 8, 4)),
        ("v0.17.0-alpha.1", Version(0, 17, 0, "alpha.1")),
        ("v1.9.0-rc.1", Version(1, 9, 0, "rc.1")),
        ("v1.7.0-dirty", Version(1, 7, 0)),
        ("v1.7.0-12-gabcdef0", Version(1, 7, 0)),
        ("v1.7.0-12+abcdef01234567", Version(1, 7, 0)),
        ("v1.7.0-12+abcdef01234567-dirty", Version(1, 7, 0)),
        ("v1.9.0-rc.1-dirty", Version(1, 9, 0, "rc.1")),
        ("v1.9.0-beta.0-12-gabcdef0", Version(1, 9, 0, "beta.0")),
        ("v1.9.0-beta.0.12+abcdef01234567", Version(1, 9, 0, "beta.0.12")),
        ("v1.8.4+build.5", Version(1, 8, 4)),
    ],
)
def test_parse(text: str, expected: Version) -> None:
    assert Version.parse(text) == expected
    assert versions.try_parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "latest",
        "1.8",
        "v1",
        "v1.8.x",
        "v1.8.4-",
        "v1.8.4 ",
        "release-1.8",
        "sha256:0b1c",
        "v0.0.0-master+$Format:%h$",
    ],
)
def test_parse_refuses_what_is_no_version(text: str) -> None:
    with pytest.raises(versions.VersionError) as raised:
        Version.parse(text)
    assert repr(text) in str(raised.value)
    assert "v1.8.4" in str(raised.value)
    assert versions.try_parse(text) is None


def test_no_text_is_no_version() -> None:
    assert versions.try_parse(None) is None


@pytest.mark.parametrize("text", ["v1.8.4", "v0.17.0-alpha.1", "v1.10.0-rc.0"])
def test_text_of_a_version(text: str) -> None:
    assert str(Version.parse(text)) == text


def test_minor_line() -> None:
    assert Version.parse("v1.10.3-rc.1").minor_line == "1.10"


def test_order_is_that_of_semver() -> None:
    prereleases = ["alpha", "alpha.1", "alpha.beta", "beta", "beta.2", "beta.11", "rc.1"]  # the example of semver.org
    ascending = ["v0.59.2", *(f"v1.0.0-{name}" for name in prereleases), "v1.0.0", "v1.0.1", "v1.2.0", "v1.10.0"]
    assert [str(version) for version in sorted(map(Version.parse, reversed(ascending)))] == ascending


def test_later_is_greater() -> None:
    assert Version.parse("v1.10.0") > Version.parse("v1.9.9")
    assert Version.parse("v1.8.4") >= Version.parse("1.8.4")


@pytest.mark.parametrize(
    ("from_version", "to_version", "expected"),
    [
        ("v1.8.4", "v1.8.4", Hop.NONE),
        ("v1.8.4", "v1.8.4+build", Hop.NONE),
        ("v1.8.0", "v1.8.4", Hop.PATCH),
        ("v0.17.0-alpha.1", "v0.17.0", Hop.PATCH),
        ("v1.9.0-rc.0", "v1.9.0-rc.1", Hop.PATCH),
        ("v1.7.4", "v1.8.4", Hop.MINOR),
        ("v1.9.0", "v1.10.0", Hop.MINOR),
        ("v1.8.4", "v1.9.0-rc.1", Hop.MINOR),
        ("v0.59.2", "v1.0.1", Hop.MINOR),
        ("v0.58.2", "v1.0.1", Hop.SKIP),
        ("v0.59.2", "v1.1.0", Hop.SKIP),
        ("v0.60.0", "v1.0.0", Hop.SKIP),
        ("v1.6.6", "v1.8.4", Hop.SKIP),
        ("v1.9.0", "v2.0.0", Hop.SKIP),
        ("v1.8.4", "v1.8.3", Hop.DOWNGRADE),
        ("v1.8.0", "v1.7.4", Hop.DOWNGRADE),
        ("v1.0.0", "v0.59.2", Hop.DOWNGRADE),
        ("v1.9.0", "v1.9.0-rc.1", Hop.DOWNGRADE),
    ],
)
def test_hop(from_version: str, to_version: str, expected: Hop) -> None:
    assert versions.hop(Version.parse(from_version), Version.parse(to_version)) is expected


@pytest.mark.parametrize(
    ("text", "following"), [("v1.8.4", "1.9"), ("v1.9.0", "1.10"), ("v0.59.2", "1.0"), ("v0.9.1", "0.10")]
)
def test_next_minor_line(text: str, following: str) -> None:
    assert versions.next_minor_line(Version.parse(text)) == following


def test_names_of_hops() -> None:
    assert [hop.value for hop in Hop] == ["none", "patch", "minor", "skip", "downgrade"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("v0.16.3", True), ("v0.9.0", True), ("v0.17.0-alpha.1", False), ("v0.17.0", False), ("v1.0.0", False)],
)
def test_before_first_supported(text: str, expected: bool) -> None:
    assert versions.before_first_supported(Version.parse(text)) is expected
