# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. A user's releases file: what can be had besides, or instead of, what the collection knows.

Described in docs/releases.md.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import replace

from .kubernetes_versions import KubernetesRange, KubernetesVersion, KubernetesVersionError
from .releases import KNOWN, Release, Releases
from .user_file import UserFileError, Wrong, composed, fields_of, items_of, mapping_of, text_of
from .versions import FIRST_SUPPORTED_MINOR, Version, before_first_supported, try_parse

if t.TYPE_CHECKING:
    import yaml

KEYS = ("add", "only", "kubernetes", "withdrawn")
_MINOR = re.compile(r"v?(?P<minor>[0-9]+\.[0-9]+)")


def parse(text: str, name: str) -> Releases:
    """The releases that there are, by what the collection knows and what ``text`` says.

    Args:
        text: YAML or JSON.
        name: What to call the file in an error message, such as its path.

    Raises:
        UserFileError: ``text`` is no releases file.
    """
    try:
        return _releases(composed(text, name))
    except Wrong as wrong:
        raise UserFileError(f"{wrong.place(name)}: {wrong.sentence}") from None


def _releases(root: yaml.Node | None) -> Releases:
    entries = fields_of(root, "a mapping with add, only, kubernetes or withdrawn", KEYS).values
    if "add" in entries and "only" in entries:
        raise Wrong(entries["only"], "either add (to what is known) or only (nothing but these)", "both")
    closed = "only" in entries
    withdrawn = {**KNOWN.withdrawn, **_withdrawn(entries.get("withdrawn"))}
    minors = {release.minor: release for release in KNOWN.minors}
    for minor, kubernetes in _ranges(entries.get("kubernetes")).items():
        minors[minor] = replace(minors.get(minor, Release(minor, (), kubernetes)), kubernetes=kubernetes)
    named = _versions(entries.get("only" if closed else "add"), minors)
    found = [
        _with_versions(
            release, named.get(minor, ()) if closed else [*release.versions, *named.get(minor, ())], withdrawn
        )
        for minor, release in minors.items()
    ]
    return Releases(tuple(sorted(found, key=lambda release: Version.parse(f"{release.minor}.0"))), withdrawn, closed)


def _with_versions(release: Release, versions: Iterable[Version], withdrawn: Mapping[str, str]) -> Release:
    left = tuple(sorted(version for version in set(versions) if str(version) not in withdrawn))
    return replace(release, versions=left)


def _versions(node: yaml.Node | None, minors: Mapping[str, Release]) -> dict[str, list[Version]]:
    """The named versions by their minor."""
    if node is None:
        return {}
    found: dict[str, list[Version]] = {}
    for item in items_of(node, "a list of versions such as [v1.8.4, v1.9.0]"):
        version = _version(item)
        if version.minor_line not in minors:
            hint = f"{version.minor_line}: {{min: 1.35, max: 1.37}}"
            raise Wrong(item, f"the Kubernetes versions of {version.minor_line} under kubernetes, such as {hint}")
        found.setdefault(version.minor_line, []).append(version)
    return found


def _ranges(node: yaml.Node | None) -> dict[str, KubernetesRange]:
    """The Kubernetes versions by KubeVirt's minor."""
    if node is None:
        return {}
    entries = mapping_of(node, "a mapping such as 1.10: {min: 1.35, max: 1.37}", _minor)
    return {minor: _range(value) for minor, value in entries.items()}


def _range(node: yaml.Node) -> KubernetesRange:
    expected = "min and max, such as {min: 1.35, max: 1.37}"
    ends = fields_of(node, expected, ("min", "max")).values
    if len(ends) < 2:
        raise Wrong(node, expected, f"only {', '.join(ends)}" if ends else "neither")
    low, high = _kubernetes(ends["min"]), _kubernetes(ends["max"])
    if low > high:
        raise Wrong(ends["max"], f"a max that is not before the min {low}")
    return KubernetesRange(low, high)


def _withdrawn(node: yaml.Node | None) -> dict[str, str]:
    """Why each was withdrawn, by its version."""
    if node is None:
        return {}
    entries = mapping_of(node, "a mapping such as v1.10.0: It loses disks, v1.10.1 mends that.", _version)
    for reason in entries.values():
        if not text_of(reason).strip():
            raise Wrong(reason, "the reason why it was withdrawn, one sentence")
    return {str(version): text_of(reason) for version, reason in entries.items()}


def _minor(node: yaml.Node) -> str:
    match = _MINOR.fullmatch(text_of(node))
    if match is None or before_first_supported(Version.parse(f"{match['minor']}.0")):
        raise Wrong(node, f"a minor release of KubeVirt from {FIRST_SUPPORTED_MINOR} on, such as 1.10")
    return match["minor"]


def _version(node: yaml.Node) -> Version:
    version = try_parse(text_of(node))
    if version is None or before_first_supported(version):
        raise Wrong(node, f"a version of KubeVirt from {FIRST_SUPPORTED_MINOR} on, such as v1.10.0")
    return version


def _kubernetes(node: yaml.Node) -> KubernetesVersion:
    try:
        return KubernetesVersion.parse(text_of(node))
    except KubernetesVersionError:
        raise Wrong(node, "a Kubernetes version such as 1.35") from None
