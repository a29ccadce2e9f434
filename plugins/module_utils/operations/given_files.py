# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What options name by a path, an address or a text: manifests, and files of releases, risks and gates."""

from __future__ import annotations

import functools
import os
import threading
import typing as t
from collections.abc import Callable, Mapping, Sequence

from ..cluster.errors import ManifestUnavailable
from ..cluster.manifest_source import is_path, is_text, read_given_text, read_manifest
from ..knowledge import releases, releases_file
from ..knowledge.gates import Gate
from ..knowledge.known_risks import KNOWN
from ..knowledge.manifest import Manifest, ManifestError, checksum_matches, parse, with_namespace, with_registry
from ..knowledge.releases import Releases
from ..knowledge.risks import Risk
from ..knowledge.rule_files import check_ids, parse_gates, parse_risks
from ..knowledge.user_file import UserFileError
from ..knowledge.versions import Version
from .outcome import InvalidOption

Params = Mapping[str, t.Any]
T = t.TypeVar("T")

MANIFEST_OPTIONS: dict[str, t.Any] = {
    "manifest": {"type": "str"},
    "manifest_checksum": {"type": "str"},
    "manifest_validate_certs": {"type": "bool", "default": True},
    "manifest_ca_path": {"type": "path"},
    "manifest_namespace": {"type": "str"},
    "image_registry": {"type": "str"},
}
"""What ``load_manifest`` asks of an operation's options."""

_READING = threading.Lock()

PLACE_OF_THE_VERSION = "{version}"
FILE_OF_A_RELEASE = "kubevirt-operator.yaml"


def load_releases(params: Params) -> Releases:
    """Which releases there are, by what is known and what the option ``releases`` says.

    Raises:
        InvalidOption: The file is no releases file.
        ManifestUnavailable: It cannot be read.
    """
    return _parsed(params, "releases", releases_file.parse) or releases.KNOWN


def load_risks(params: Params) -> tuple[Risk, ...]:
    """The collection's risks and the user's.

    Raises:
        InvalidOption: The file is no file of risks.
        ManifestUnavailable: It cannot be read.
    """
    return *KNOWN, *(_parsed(params, "risks", parse_risks) or ())


def load_gates(params: Params) -> tuple[Gate, ...]:
    """The user's gates; errors as for ``load_risks``."""
    return _parsed(params, "gates", parse_gates) or ()


def check_ids_of_both(risks: Sequence[Risk], gates: Sequence[Gate]) -> None:
    """Refuses an id that a risk and a gate have both.

    Raises:
        InvalidOption: There is one.
    """
    try:
        check_ids([*(risk.rule for risk in risks), *(gate.rule for gate in gates)])
    except UserFileError as error:
        raise InvalidOption(f"gates: {error}") from error


def _parsed(params: Params, option: str, parse_file: Callable[[str, str], T]) -> T | None:
    given = params[option]
    if not given:
        return None
    try:
        return parse_file(read_given_text(option, given), "the given text" if is_text(given) else given)
    except UserFileError as error:
        raise InvalidOption(f"{option}: {error}") from error


def load_manifest(params: Params, version: Version, *, is_one_of_several: bool) -> Manifest:
    """The manifest of one hop, with the registry and namespace that it will be applied with.

    Args:
        params: The options.
        version: Where the hop ends.
        is_one_of_several: The path has more hops, so one file cannot serve them all.

    Raises:
        InvalidOption: The option names one manifest for several hops.
        ManifestUnavailable: It cannot be read, has another checksum, or is not kubevirt-operator.yaml.
    """
    origin = _origin(params["manifest"], version, is_one_of_several)
    checksum = params["manifest_checksum"]
    if checksum and is_one_of_several:
        raise InvalidOption(
            f"manifest_checksum: {checksum} is for one manifest, and there are several hops. Leave it out, or ask for one hop at a time."
        )
    data = read_manifest(
        origin,
        validate_certs=params["manifest_validate_certs"],
        ca_path=params["manifest_ca_path"],
        has_checksum=bool(checksum),
    )
    name = "the given text" if is_text(origin) else origin
    try:
        if checksum and not checksum_matches(data, checksum):
            raise ManifestError(f"its checksum is not {checksum}. Get the file again, or correct manifest_checksum.")
        with _READING:
            manifest = _manifest_in(data)
        if params["image_registry"]:
            manifest = with_registry(manifest, params["image_registry"])
        if params["manifest_namespace"]:
            manifest = with_namespace(manifest, params["manifest_namespace"])
    except ManifestError as error:
        raise ManifestUnavailable(f"manifest: {name} cannot be used: {error}") from error
    return manifest


@functools.lru_cache(maxsize=4)
def _manifest_in(data: bytes) -> Manifest:
    """The manifest in a file; the clusters of a wave have the same one, and nothing else takes them as long to read."""
    return parse(data.decode("utf-8", errors="replace"))


def _origin(given: str | None, version: Version, is_one_of_several: bool) -> str:
    if not given:
        return releases.manifest_url(version)
    if is_text(given):
        names_each = False
    else:
        names_each = PLACE_OF_THE_VERSION in given
        given = given.replace(PLACE_OF_THE_VERSION, str(version))
        if is_path(given) and os.path.isdir(os.path.expanduser(given)):
            given = os.path.join(given, *([] if names_each else [str(version)]), FILE_OF_A_RELEASE)
            names_each = True
    if is_one_of_several and not names_each:
        raise InvalidOption(
            f"manifest: {'the given text' if is_text(given) else given} is one manifest, and there are several hops. Give a folder with "
            f"{version}/{FILE_OF_A_RELEASE} and so on, or a path or address with {PLACE_OF_THE_VERSION} in it."
        )
    return given
