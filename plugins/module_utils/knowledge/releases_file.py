# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. A user's releases file: what can be had besides, or instead of, what the collection knows.

YAML or JSON, described in docs/releases.md. The YAML nodes are read, not the values that YAML makes of them: they have
lines for the error messages, and 1.10 stays 1.10 there, where its value is the number 1.1.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from .kubernetes_versions import KubernetesRange, KubernetesVersion, KubernetesVersionError
from .releases import KNOWN, Release, Releases
from .versions import FIRST_SUPPORTED_MINOR, Version, before_first_supported, try_parse

try:
    import yaml
except ImportError:  # said when a releases file is to be read
    yaml = None  # type: ignore[assignment]

KEYS = ("add", "only", "kubernetes", "withdrawn")
_MINOR = re.compile(r"v?(?P<minor>[0-9]+\.[0-9]+)")

_Key = t.TypeVar("_Key", bound=t.Hashable)


class ReleasesFileError(ValueError):
    """What is wrong with a releases file: the file, the line, what is expected there and what was found."""


class _Wrong(Exception):
    """A node is not what is expected; ``found`` where that is not its own text."""

    def __init__(self, node: yaml.Node | None, expected: str, found: str | None = None) -> None:
        line = f", line {node.start_mark.line + 1}" if node else ""
        super().__init__(f"{line}: expected {expected}; found {found or _described(node)}.")


def parse(text: str, name: str) -> Releases:
    """The releases that there are, by what the collection knows and what ``text`` says.

    Args:
        text: YAML or JSON.
        name: What to call the file in an error message, such as its path.

    Raises:
        ReleasesFileError: ``text`` is no releases file.
    """
    if yaml is None:
        raise ReleasesFileError(f"{name}: the Python library PyYAML is missing, so it cannot be read; install it.")
    try:
        # The loader in C would be quicker, and crashes the process on deeply nested text.
        return _releases(yaml.compose(_spaced(text), Loader=yaml.SafeLoader))
    except _Wrong as wrong:
        raise ReleasesFileError(f"{name}{wrong}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or " ".join(str(error).split())
        raise ReleasesFileError(f"{name}{line}: expected YAML or JSON; found an error: {reason}.") from None


def _spaced(text: str) -> str:
    """The text, if it is JSON, without tabs: JSON allows them between its parts, and only there; the loader does not."""
    return text.replace("\t", " ") if text.lstrip().startswith("{") else text


def _releases(root: yaml.Node | None) -> Releases:
    entries = _mapping(root, f"a mapping with {_or(KEYS)}", lambda key: _one_of(KEYS, key))
    if "add" in entries and "only" in entries:
        raise _Wrong(entries["only"], "either add (to what is known) or only (nothing but these)", "both")
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
    now = replace(release, versions=left)
    return now if now.latest == release.latest else replace(now, latest_date="")


def _versions(node: yaml.Node | None, minors: Mapping[str, Release]) -> dict[str, list[Version]]:
    """The named versions by their minor."""
    if node is None:
        return {}
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        raise _Wrong(node, "a list of versions such as [v1.8.4, v1.9.0]")
    found: dict[str, list[Version]] = {}
    for item in node.value:
        version = _version(item)
        if version.minor_line not in minors:
            hint = f"{version.minor_line}: {{min: 1.35, max: 1.37}}"
            raise _Wrong(item, f"the Kubernetes versions of {version.minor_line} under kubernetes, such as {hint}")
        found.setdefault(version.minor_line, []).append(version)
    return found


def _ranges(node: yaml.Node | None) -> dict[str, KubernetesRange]:
    """The Kubernetes versions by KubeVirt's minor."""
    if node is None:
        return {}
    entries = _mapping(node, "a mapping such as 1.10: {min: 1.35, max: 1.37}", _minor)
    return {minor: _range(value) for minor, value in entries.items()}


def _range(node: yaml.Node) -> KubernetesRange:
    expected = "min and max, such as {min: 1.35, max: 1.37}"
    ends = _mapping(node, expected, lambda key: _one_of(("min", "max"), key))
    if len(ends) < 2:
        raise _Wrong(node, expected, f"only {', '.join(ends)}" if ends else "neither")
    low, high = _kubernetes(ends["min"]), _kubernetes(ends["max"])
    if low > high:
        raise _Wrong(ends["max"], f"a max that is not before the min {low}")
    return KubernetesRange(low, high)


def _withdrawn(node: yaml.Node | None) -> dict[str, str]:
    """Why each was withdrawn, by its version."""
    if node is None:
        return {}
    entries = _mapping(node, "a mapping such as v1.10.0: It loses disks, v1.10.1 mends that.", _version)
    for reason in entries.values():
        if not isinstance(reason, yaml.ScalarNode) or not reason.value:
            raise _Wrong(reason, "the reason why it was withdrawn, one sentence")
    return {str(version): str(reason.value) for version, reason in entries.items()}


def _mapping(node: yaml.Node | None, expected: str, key_of: Callable[[yaml.Node], _Key]) -> dict[_Key, yaml.Node]:
    """The values by what ``key_of`` makes of their keys. YAML itself would let the last of two equal keys win."""
    if not isinstance(node, yaml.MappingNode):
        raise _Wrong(node, expected)
    found: dict[_Key, yaml.Node] = {}
    for key_node, value in node.value:
        key = key_of(key_node)
        if key in found:
            raise _Wrong(key_node, "each key once", f"{_described(key_node)} a second time")
        found[key] = value
    return found


def _one_of(names: Sequence[str], node: yaml.Node) -> str:
    if _text(node) not in names:
        raise _Wrong(node, _or(names))
    return _text(node)


def _minor(node: yaml.Node) -> str:
    match = _MINOR.fullmatch(_text(node))
    if match is None or before_first_supported(Version.parse(f"{match['minor']}.0")):
        raise _Wrong(node, f"a minor release of KubeVirt from {FIRST_SUPPORTED_MINOR} on, such as 1.10")
    return match["minor"]


def _version(node: yaml.Node) -> Version:
    version = try_parse(_text(node))
    if version is None or before_first_supported(version):
        raise _Wrong(node, f"a version of KubeVirt from {FIRST_SUPPORTED_MINOR} on, such as v1.10.0")
    return version


def _kubernetes(node: yaml.Node) -> KubernetesVersion:
    try:
        return KubernetesVersion.parse(_text(node))
    except KubernetesVersionError:
        raise _Wrong(node, "a Kubernetes version such as 1.35") from None


def _text(node: yaml.Node) -> str:
    """The text of a value as it was written; empty for a list or a mapping."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _described(node: yaml.Node | None) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "a list" if node.value else "an empty list"
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return repr(_text(node)) if node and _text(node) else "nothing"


def _or(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
