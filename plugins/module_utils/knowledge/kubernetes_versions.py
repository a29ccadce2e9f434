# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Kubernetes' minor versions, and the range of them that a KubeVirt release is for."""

from __future__ import annotations

import re
from dataclasses import dataclass

# As in GET /version: gitVersion is v1.34.4, v1.27.3+rke2r1 or v1.30.5-gke.100; minor may be 27+.
_VERSION = re.compile(r"v?(?P<major>[0-9]+)\.(?P<minor>[0-9]+)(?:[.+-].*)?")


class KubernetesVersionError(ValueError):
    """The text is not a Kubernetes version."""


@dataclass(frozen=True, order=True)
class KubernetesVersion:
    """A minor version. KubeVirt's support matrix knows no patches."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> KubernetesVersion:
        """The minor version of ``text``, such as 1.34 or v1.34.4+k3s1.

        Raises:
            KubernetesVersionError: ``text`` is none.
        """
        match = _VERSION.fullmatch(text)
        if match is None:
            raise KubernetesVersionError(f"{text!r} is not a Kubernetes version; write it as 1.34 or v1.34.4.")
        return cls(int(match["major"]), int(match["minor"]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True)
class KubernetesRange:
    """The versions from ``min`` to ``max``, both included.

    Attributes:
        min: The oldest.
        max: The newest.
        promised: KubeVirt's support matrix says so; otherwise they are what its CI ran.
    """

    min: KubernetesVersion
    max: KubernetesVersion
    promised: bool = True

    def shared_with(self, other: KubernetesRange) -> KubernetesRange | None:
        """What is in both; None where nothing is."""
        low, high = max(self.min, other.min), min(self.max, other.max)
        return KubernetesRange(low, high, self.promised and other.promised) if low <= high else None

    def __str__(self) -> str:
        return str(self.min) if self.min == self.max else f"{self.min} to {self.max}"
