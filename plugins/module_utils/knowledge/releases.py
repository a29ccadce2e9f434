# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. KubeVirt's releases from the first that can be updated on: which there are, and for what.

``KNOWN`` is what this collection knows. A user's releases file adds to it or narrows it (``releases_file``), so that a
new KubeVirt needs no new collection.

From 0.56 on, the Kubernetes versions are those of its support matrix (docs/kubernetes-compatibility.md, and
releases/k8s-support-matrix.md of kubevirt/sig-release). Before 0.49 they are what KubeVirt's own CI ran at the tag,
which nobody promised; in between, the matrix and the CI together.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from .kubernetes_versions import KubernetesRange, KubernetesVersion
from .versions import Version, next_minor_line


@dataclass(frozen=True)
class Release:
    """One minor release.

    Attributes:
        minor: Such as 1.8.
        versions: What can be had of it, ascending; empty where a releases file leaves the minor out.
        kubernetes: The Kubernetes versions that it is for.
    """

    minor: str
    versions: tuple[Version, ...]
    kubernetes: KubernetesRange

    @cached_property
    def latest(self) -> Version | None:
        """The latest patch that can be had; a pre-release only where there is nothing else."""
        return max(self.versions, key=lambda version: (not version.prerelease, version), default=None)


@dataclass(frozen=True)
class Releases:
    """The releases that there are, for one run.

    Attributes:
        minors: Ascending.
        withdrawn: Why each withdrawn release was withdrawn, by its version.
        closed: Nothing but ``versions`` of the minors can be had. Otherwise later patches may have come out since.
    """

    minors: tuple[Release, ...]
    withdrawn: Mapping[str, str]
    closed: bool = False

    @cached_property
    def _by_minor(self) -> Mapping[str, Release]:
        return {release.minor: release for release in self.minors}

    def release_of(self, version: Version) -> Release | None:
        """The minor release that ``version`` belongs to; None where it is not known."""
        return self._by_minor.get(version.minor_line)

    def next_minor(self, version: Version) -> Release | None:
        """The minor release after that of ``version``; None where it is not known."""
        return self._by_minor.get(next_minor_line(version))

    def latest_patch(self, version: Version) -> Version | None:
        """The latest patch of ``version``'s minor that can be had; None where there is none."""
        release = self.release_of(version)
        return release.latest if release else None

    def kubernetes_of(self, version: Version) -> KubernetesRange | None:
        """The Kubernetes versions that ``version`` is for; None where its minor is not known."""
        release = self.release_of(version)
        return release.kubernetes if release else None

    def lists(self, version: Version) -> bool:
        """Whether ``version`` is named, and so surely exists."""
        release = self.release_of(version)
        return release is not None and version in release.versions

    def offers(self, version: Version) -> bool:
        """Whether ``version`` can be had, as far as is known."""
        if str(version) in self.withdrawn:
            return False
        return self.lists(version) or (not self.closed and self.release_of(version) is not None)

    def nearest(self, text: str, after: Version) -> Version | None:
        """The listed version later than ``after`` that ``text`` is most like, such as v1.8.4 for v1.84; None if none is."""
        later = {str(one): one for release in self.minors for one in release.versions if one > after}
        alike = difflib.get_close_matches(text, later, n=1)
        return later[alike[0]] if alike else None


WITHDRAWN: Mapping[str, str] = {
    "v0.47.0": "it prevented updates; v0.47.1 replaces it (kubevirt/kubevirt#6565, #6775).",
}

# From this minor on, the support matrix says which Kubernetes versions each is for.
_FIRST_PROMISED = (0, 56)


def _release(first: str, latest: str, kubernetes_min: str, kubernetes_max: str) -> Release:
    """A row of the table. Between the first and the latest patch of a minor KubeVirt left out no number."""
    low, high = Version.parse(first), Version.parse(latest)
    patches = [Version(low.major, low.minor, patch) for patch in range(low.patch, high.patch + 1)]
    versions = tuple(version for version in patches if str(version) not in WITHDRAWN)
    kubernetes = KubernetesRange(
        KubernetesVersion.parse(kubernetes_min),
        KubernetesVersion.parse(kubernetes_max),
        promised=(low.major, low.minor) >= _FIRST_PROMISED,
    )
    return Release(low.minor_line, versions, kubernetes)


_RELEASES = (
    _release("v0.17.0", "v0.17.4", "1.10", "1.13"),
    _release("v0.18.0", "v0.18.1", "1.11", "1.13"),
    _release("v0.19.0", "v0.19.0", "1.11", "1.13"),
    _release("v0.20.0", "v0.20.8", "1.11", "1.15"),
    _release("v0.21.0", "v0.21.0", "1.11", "1.15"),
    _release("v0.22.0", "v0.22.0", "1.11", "1.15"),
    _release("v0.23.0", "v0.23.3", "1.11", "1.15"),
    _release("v0.24.0", "v0.24.0", "1.11", "1.16"),
    _release("v0.25.0", "v0.25.0", "1.11", "1.17"),
    _release("v0.26.0", "v0.26.5", "1.11", "1.17"),
    _release("v0.27.0", "v0.27.0", "1.11", "1.17"),
    _release("v0.28.0", "v0.28.0", "1.13", "1.17"),
    _release("v0.29.0", "v0.29.2", "1.14", "1.17"),
    _release("v0.30.0", "v0.30.7", "1.14", "1.17"),
    _release("v0.31.0", "v0.31.0", "1.14", "1.18"),
    _release("v0.32.0", "v0.32.0", "1.14", "1.18"),
    _release("v0.33.0", "v0.33.0", "1.14", "1.18"),
    _release("v0.34.0", "v0.34.2", "1.14", "1.19"),
    _release("v0.35.0", "v0.35.0", "1.16", "1.19"),
    _release("v0.36.0", "v0.36.5", "1.16", "1.19"),
    _release("v0.37.0", "v0.37.3", "1.16", "1.19"),
    _release("v0.38.0", "v0.38.2", "1.16", "1.20"),
    _release("v0.39.0", "v0.39.2", "1.16", "1.20"),
    _release("v0.40.0", "v0.40.1", "1.16", "1.20"),
    _release("v0.41.0", "v0.41.4", "1.16", "1.21"),
    _release("v0.42.0", "v0.42.2", "1.16", "1.21"),
    _release("v0.43.0", "v0.43.1", "1.17", "1.21"),
    _release("v0.44.0", "v0.44.3", "1.17", "1.21"),
    _release("v0.45.0", "v0.45.1", "1.17", "1.21"),
    _release("v0.46.0", "v0.46.1", "1.17", "1.22"),
    _release("v0.47.1", "v0.47.1", "1.19", "1.22"),
    _release("v0.48.0", "v0.48.1", "1.19", "1.22"),
    _release("v0.49.0", "v0.49.1", "1.21", "1.23"),
    _release("v0.50.0", "v0.50.0", "1.21", "1.23"),
    _release("v0.51.0", "v0.51.0", "1.21", "1.23"),
    _release("v0.52.0", "v0.52.0", "1.21", "1.23"),
    _release("v0.53.0", "v0.53.2", "1.21", "1.23"),
    _release("v0.54.0", "v0.54.0", "1.21", "1.23"),
    _release("v0.55.0", "v0.55.2", "1.21", "1.23"),
    _release("v0.56.0", "v0.56.1", "1.22", "1.24"),
    _release("v0.57.0", "v0.57.1", "1.22", "1.24"),
    _release("v0.58.0", "v0.58.2", "1.22", "1.24"),
    _release("v0.59.0", "v0.59.2", "1.24", "1.26"),
    _release("v1.0.0", "v1.0.1", "1.25", "1.27"),
    _release("v1.1.0", "v1.1.1", "1.26", "1.28"),
    _release("v1.2.0", "v1.2.2", "1.27", "1.29"),
    _release("v1.3.0", "v1.3.1", "1.28", "1.30"),
    _release("v1.4.0", "v1.4.1", "1.29", "1.31"),
    _release("v1.5.0", "v1.5.3", "1.30", "1.32"),
    _release("v1.6.0", "v1.6.6", "1.31", "1.33"),
    _release("v1.7.0", "v1.7.4", "1.32", "1.34"),
    _release("v1.8.0", "v1.8.4", "1.33", "1.35"),
    _release("v1.9.0", "v1.9.0", "1.34", "1.36"),
)

KNOWN = Releases(_RELEASES, WITHDRAWN)


REGISTRY = "quay.io/kubevirt"
NAMESPACE = "kubevirt"
"""What KubeVirt's own manifests have, from v0.40 on."""


def manifest_url(version: Version) -> str:
    """Where KubeVirt publishes the operator's manifest of ``version``."""
    return f"https://github.com/kubevirt/kubevirt/releases/download/{version}/kubevirt-operator.yaml"
