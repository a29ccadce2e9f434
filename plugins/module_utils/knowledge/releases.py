# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. KubeVirt's releases from the first that can be updated on.

Dates are those of the tagged commits of kubevirt/kubevirt. From 0.56 on, the Kubernetes versions are those of its
support matrix (docs/kubernetes-compatibility.md, and releases/k8s-support-matrix.md of kubevirt/sig-release). Before
0.49 they are what KubeVirt's own CI ran at the tag, which nobody promised; in between, the matrix and the CI together.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from .versions import Version


@dataclass(frozen=True)
class Release:
    """One minor release with its patches."""

    minor: str
    first: Version
    latest: Version
    latest_date: str
    kubernetes_min: str
    kubernetes_max: str


def _release(first: str, latest: str, latest_date: str, kubernetes_min: str, kubernetes_max: str) -> Release:
    version = Version.parse(first)
    return Release(version.minor_line, version, Version.parse(latest), latest_date, kubernetes_min, kubernetes_max)


RELEASES: tuple[Release, ...] = (
    _release("v0.17.0", "v0.17.4", "2019-06-25", "1.10", "1.13"),
    _release("v0.18.0", "v0.18.1", "2019-06-12", "1.11", "1.13"),
    _release("v0.19.0", "v0.19.0", "2019-07-04", "1.11", "1.13"),
    _release("v0.20.0", "v0.20.8", "2019-10-03", "1.11", "1.15"),
    _release("v0.21.0", "v0.21.0", "2019-09-07", "1.11", "1.15"),
    _release("v0.22.0", "v0.22.0", "2019-10-10", "1.11", "1.15"),
    _release("v0.23.0", "v0.23.3", "2020-01-16", "1.11", "1.15"),
    _release("v0.24.0", "v0.24.0", "2019-12-02", "1.11", "1.16"),
    _release("v0.25.0", "v0.25.0", "2020-01-03", "1.11", "1.17"),
    _release("v0.26.0", "v0.26.5", "2020-04-14", "1.11", "1.17"),
    _release("v0.27.0", "v0.27.0", "2020-03-04", "1.11", "1.17"),
    _release("v0.28.0", "v0.28.0", "2020-04-02", "1.13", "1.17"),
    _release("v0.29.0", "v0.29.2", "2020-05-25", "1.14", "1.17"),
    _release("v0.30.0", "v0.30.7", "2020-10-21", "1.14", "1.17"),
    _release("v0.31.0", "v0.31.0", "2020-07-01", "1.14", "1.18"),
    _release("v0.32.0", "v0.32.0", "2020-08-10", "1.14", "1.18"),
    _release("v0.33.0", "v0.33.0", "2020-09-13", "1.14", "1.18"),
    _release("v0.34.0", "v0.34.2", "2020-11-16", "1.14", "1.19"),
    _release("v0.35.0", "v0.35.0", "2020-11-01", "1.16", "1.19"),
    _release("v0.36.0", "v0.36.5", "2021-11-30", "1.16", "1.19"),
    _release("v0.37.0", "v0.37.3", "2021-10-14", "1.16", "1.19"),
    _release("v0.38.0", "v0.38.2", "2021-10-15", "1.16", "1.20"),
    _release("v0.39.0", "v0.39.2", "2021-10-19", "1.16", "1.20"),
    _release("v0.40.0", "v0.40.1", "2021-10-16", "1.16", "1.20"),
    _release("v0.41.0", "v0.41.4", "2021-10-13", "1.16", "1.21"),
    _release("v0.42.0", "v0.42.2", "2021-10-12", "1.16", "1.21"),
    _release("v0.43.0", "v0.43.1", "2021-10-12", "1.17", "1.21"),
    _release("v0.44.0", "v0.44.3", "2021-10-11", "1.17", "1.21"),
    _release("v0.45.0", "v0.45.1", "2021-10-13", "1.17", "1.21"),
    _release("v0.46.0", "v0.46.1", "2021-10-12", "1.17", "1.22"),
    _release("v0.47.1", "v0.47.1", "2021-11-10", "1.19", "1.22"),
    _release("v0.48.0", "v0.48.1", "2021-12-10", "1.19", "1.22"),
    _release("v0.49.0", "v0.49.1", "2022-08-23", "1.21", "1.23"),
    _release("v0.50.0", "v0.50.0", "2022-02-01", "1.21", "1.23"),
    _release("v0.51.0", "v0.51.0", "2022-02-28", "1.21", "1.23"),
    _release("v0.52.0", "v0.52.0", "2022-04-01", "1.21", "1.23"),
    _release("v0.53.0", "v0.53.2", "2022-06-14", "1.21", "1.23"),
    _release("v0.54.0", "v0.54.0", "2022-06-01", "1.21", "1.23"),
    _release("v0.55.0", "v0.55.2", "2022-09-27", "1.21", "1.23"),
    _release("v0.56.0", "v0.56.1", "2022-09-12", "1.22", "1.24"),
    _release("v0.57.0", "v0.57.1", "2022-09-14", "1.22", "1.24"),
    _release("v0.58.0", "v0.58.2", "2023-05-31", "1.22", "1.24"),
    _release("v0.59.0", "v0.59.2", "2023-06-19", "1.24", "1.26"),
    _release("v1.0.0", "v1.0.1", "2023-10-11", "1.25", "1.27"),
    _release("v1.1.0", "v1.1.1", "2023-12-21", "1.26", "1.28"),
    _release("v1.2.0", "v1.2.2", "2024-06-05", "1.27", "1.29"),
    _release("v1.3.0", "v1.3.1", "2024-08-22", "1.28", "1.30"),
    _release("v1.4.0", "v1.4.1", "2025-05-20", "1.29", "1.31"),
    _release("v1.5.0", "v1.5.3", "2025-09-24", "1.30", "1.32"),
    _release("v1.6.0", "v1.6.6", "2026-06-03", "1.31", "1.33"),
    _release("v1.7.0", "v1.7.4", "2026-06-01", "1.32", "1.34"),
    _release("v1.8.0", "v1.8.4", "2026-06-15", "1.33", "1.35"),
    _release("v1.9.0", "v1.9.0", "2026-07-27", "1.34", "1.36"),
)

WITHDRAWN: Mapping[str, str] = {
    "v0.47.0": "It prevented updates; v0.47.1 replaces it (kubevirt/kubevirt#6565, #6775).",
}

_BY_MINOR: t.Final = {release.minor: release for release in RELEASES}


def release_of(version: Version) -> Release | None:
    """The minor release that ``version`` belongs to; None where this table does not have it."""
    return _BY_MINOR.get(version.minor_line)


def latest_patch(version: Version) -> Version | None:
    """The latest known patch of ``version``'s minor; None where this table does not have the minor."""
    release = release_of(version)
    return release.latest if release else None


def next_minor(version: Version) -> Release | None:
    """The minor release after that of ``version``; None where this table does not have it."""
    minors = [release.minor for release in RELEASES]
    if version.minor_line not in minors:
        return None
    following = minors.index(version.minor_line) + 1
    return RELEASES[following] if following < len(RELEASES) else None


REGISTRY = "quay.io/kubevirt"
NAMESPACE = "kubevirt"
"""What KubeVirt's own manifests have, from v0.40 on."""


def manifest_url(version: Version) -> str:
    """Where KubeVirt publishes the operator's manifest of ``version``."""
    return f"https://github.com/kubevirt/kubevirt/releases/download/{version}/kubevirt-operator.yaml"
