# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ranges of versions: which versions they hold, and which texts are none."""

from __future__ import annotations

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.version_ranges import (
    ANY_VERSION,
    VersionRange,
    VersionRangeError,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.versions import Version


@pytest.mark.parametrize(
    ("text", "within", "outside"),
    [
        ("1.6", ["v1.6.0-rc.1", "v1.6.0", "v1.6.99"], ["v1.5.3", "v1.7.0-alpha.0", "v0.6.0"]),
        ("v1.6", ["v1.6.2"], ["v1.7.0"]),
        ("v1.6.0", ["v1.6.0"], ["v1.6.0-rc.1", "v1.6.1"]),
        ("= 1.6.0", ["v1.6.0"], ["v1.6.1"]),
        ("<1.7", ["v0.17.0", "v1.6.99"], ["v1.7.0-rc.0", "v1.7.0", "v1.10.0"]),
        ("<=1.7", ["v1.7.99"], ["v1.8.0-rc.0"]),
        (">1.7", ["v1.8.0-alpha.0", "v2.0.0"], ["v1.7.99"]),
        (">=1.10", ["v1.10.0-rc.0", "v1.11.0"], ["v1.9.9", "v1.1.0"]),
        (">=v1.6.1,<v1.6.3", ["v1.6.1", "v1.6.2"], ["v1.6.0", "v1.6.3"]),
        (" >= 0.59 ,  < v1.1.0 ", ["v0.59.0", "v1.0.1", "v1.1.0-rc.1"], ["v0.58.2", "v1.1.0"]),
    ],
)
def test_range(text: str, within: list[str], outside: list[str]) -> None:
    versions = VersionRange.parse(text)
    assert [one for one in within if Version.parse(one) not in versions] == []
    assert [one for one in outside if Version.parse(one) in versions] == []


def test_any_version() -> None:
    assert Version.parse("v0.17.0") in ANY_VERSION and Version.parse("v9.9.9-rc.1") in ANY_VERSION


@pytest.mark.parametrize(
    "text", ["", " ", "1", "latest", ">=", "1.6,", "<>1.6", "=>1.6", "1.6 1.7", "1.6-1.7", "1.6.x", "~1.6"]
)
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(VersionRangeError, match="such as"):
        VersionRange.parse(text)
