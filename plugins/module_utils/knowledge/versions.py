# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. KubeVirt's versions, their order, and the hop from one to another."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from enum import Enum
from functools import total_ordering

_VERSION = re.compile(
    r"v?(?P<major>[0-9]+)\.(?P<minor>[0-9]+)\.(?P<patch>[0-9]+)"
    r"(?:-(?P<prerelease>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
)
# What hack/version.sh adds to the tag that `git describe` finds: "-12-gabcdef0" or "-12+abcdef01234567" for commits
# after a release, "+abcdef01234567" for those after a pre-release, "-dirty" for an unclean tree.
_BUILD = re.compile(r"(?:-[0-9]+(?:-g[0-9a-f]+)?)?(?:\+[0-9A-Za-z.-]+?)?(?:-dirty)?$")

FIRST_SUPPORTED_MINOR = "0.17"


class VersionError(ValueError):
    """The text is not a KubeVirt version."""


@total_ordering
@dataclass(frozen=True)
class Version:
    """A released or pre-released version, in the order of semver.org."""

    major: int
    minor: int
    patch: int
    prerelease: str = ""

    @classmethod
    def parse(cls, text: str) -> Version:
        """The version that ``text`` names, with or without the leading v.

        Commits after a tag, the commit's hash and "dirty" are not kept: v1.7.0-12-gabcdef0 is v1.7.0.

        Raises:
            VersionError: ``text`` is none, such as "latest", a digest, or the v0.0.0-master+$Format:%h$ that a binary
                built without KubeVirt's build scripts reports (staging/src/kubevirt.io/client-go/version/base.go).
        """
        match = _VERSION.fullmatch(_BUILD.sub("", text, count=1))
        if match is None:
            raise VersionError(
                f"{text!r} is not a KubeVirt version; write it as v1.8.4, or with a pre-release as v1.9.0-rc.1."
            )
        return cls(int(match["major"]), int(match["minor"]), int(match["patch"]), match["prerelease"] or "")

    @property
    def minor_line(self) -> str:
        """The minor release that it belongs to, such as 1.8."""
        return f"{self.major}.{self.minor}"

    @property
    def release(self) -> tuple[int, int, int]:
        """Without the pre-release, where builds of one's own say what they are."""
        return self.major, self.minor, self.patch

    def __str__(self) -> str:
        suffix = f"-{self.prerelease}" if self.prerelease else ""
        return f"v{self.major}.{self.minor}.{self.patch}{suffix}"

    def __lt__(self, other: Version) -> bool:
        return self._order < other._order

    @property
    def _order(self) -> tuple[t.Any, ...]:
        return self.major, self.minor, self.patch, not self.prerelease, _prerelease_order(self.prerelease)


def _prerelease_order(prerelease: str) -> list[tuple[bool, int, str]]:
    """Numbers by value and before words, words by letter."""
    return [
        (False, int(part), "") if part.isdigit() else (True, 0, part) for part in prerelease.split(".") if prerelease
    ]


def try_parse(text: str | None) -> Version | None:
    """The version that ``text`` names, or None."""
    try:
        return Version.parse(text or "")
    except VersionError:
        return None


class Hop(str, Enum):
    """How far it is from one version to another."""

    NONE = "none"
    PATCH = "patch"
    MINOR = "minor"
    SKIP = "skip"
    DOWNGRADE = "downgrade"


def hop(from_version: Version, to_version: Version) -> Hop:
    """How far it is. KubeVirt supports PATCH and MINOR (docs/cluster_admin/updating_and_deletion of its user guide)."""
    if from_version == to_version:
        return Hop.NONE
    if to_version < from_version:
        return Hop.DOWNGRADE
    if from_version.minor_line == to_version.minor_line:
        return Hop.PATCH
    return Hop.MINOR if to_version.minor_line == next_minor_line(from_version) else Hop.SKIP


def next_minor_line(version: Version) -> str:
    """The minor release that follows that of ``version``, such as 1.9 for v1.8.4."""
    # 1.0 followed 0.59. Nobody knows yet which minor a 2.0 will follow.
    return "1.0" if version.minor_line == "0.59" else f"{version.major}.{version.minor + 1}"


def before_first_supported(version: Version) -> bool:
    """Whether KubeVirt never supported an update from this version.

    The pre-releases of 0.17 are supported: the user guide's example is v0.17.0-alpha.1 to v0.17.0.
    """
    major, minor = FIRST_SUPPORTED_MINOR.split(".")
    return (version.major, version.minor) < (int(major), int(minor))
