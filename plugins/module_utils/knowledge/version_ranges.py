# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Ranges of KubeVirt versions, such as ``>=1.6, <v1.7.2``."""

from __future__ import annotations

import operator
import re
import typing as t
from collections.abc import Callable
from dataclasses import dataclass

from .versions import Version, VersionError

_PART = re.compile(r"(?P<comparison><=|>=|<|>|=|)\s*(?P<version>[^\s<>=]+)")
_MINOR = re.compile(r"v?(?P<major>[0-9]+)\.(?P<minor>[0-9]+)")
_COMPARISONS: t.Final[dict[str, Callable[[t.Any, t.Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}


class VersionRangeError(ValueError):
    """The text is not a range of versions."""


@dataclass(frozen=True)
class VersionRange:
    """The versions for which all comparisons hold; without any comparison, every version.

    A minor release stands for all of its versions with their pre-releases: ``1.6`` is every 1.6.z, ``<1.7`` ends before
    v1.7.0-rc.0. A full version stands for itself.
    """

    text: str = ""
    comparisons: tuple[tuple[str, Version | tuple[int, int]], ...] = ()

    @classmethod
    def parse(cls, text: str) -> VersionRange:
        """The range that ``text`` names.

        Raises:
            VersionRangeError: A part of it is neither a version nor a minor release with a comparison.
        """
        return cls(text, tuple(_comparison(part.strip()) for part in text.split(",")))

    def __contains__(self, version: Version) -> bool:
        return all(_holds(version, comparison, bound) for comparison, bound in self.comparisons)


ANY_VERSION = VersionRange()


def _comparison(part: str) -> tuple[str, Version | tuple[int, int]]:
    match = _PART.fullmatch(part)
    if match is None:
        raise VersionRangeError(f"{part!r} is not a version with or without a comparison, such as 1.6 or <v1.7.2")
    minor = _MINOR.fullmatch(match["version"])
    if minor:
        return match["comparison"], (int(minor["major"]), int(minor["minor"]))
    try:
        return match["comparison"], Version.parse(match["version"])
    except VersionError:
        raise VersionRangeError(
            f"{match['version']!r} is neither a minor such as 1.6 nor a version such as v1.6.2"
        ) from None


def _holds(version: Version, comparison: str, bound: Version | tuple[int, int]) -> bool:
    mine = version if isinstance(bound, Version) else (version.major, version.minor)
    return _COMPARISONS[comparison](mine, bound)
