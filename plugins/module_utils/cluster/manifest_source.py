# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Reading what an option names or says: kubevirt-operator.yaml, or a user's file."""

from __future__ import annotations

import os
import time
import typing as t

from ansible.module_utils.urls import open_url

from ..knowledge.manifest import MAX_BYTES
from .certificates import why_no_ca, why_no_file
from .errors import ManifestUnavailable

TIMEOUT = 60
"""Seconds until an answer begins, and until it goes on."""
LONGEST = 300.0
"""Seconds for all of a manifest, which has less than half a MiB."""


def is_text(manifest: str) -> bool:
    """Whether the option holds the manifest itself."""
    return "\n" in manifest


def is_url(manifest: str) -> bool:
    """Whether the option holds an address."""
    return "://" in manifest and not is_text(manifest)


def is_path(manifest: str) -> bool:
    """Whether the option holds the name of a file."""
    return not is_text(manifest) and not is_url(manifest)


def read_manifest(manifest: str, *, validate_certs: bool, ca_path: str | None, has_checksum: bool) -> bytes:
    """The bytes of the manifest.

    Args:
        manifest: The text itself, an address (https; http only with a checksum), or a path.
        validate_certs: Whether the address's certificate is checked.
        ca_path: A file of CA certificates for the address.
        has_checksum: Whether the caller will compare a checksum.

    Raises:
        ManifestUnavailable: It cannot be read, or is larger than 2 MiB.
    """
    if ca_path:
        _check_ca(ca_path)
    if is_text(manifest):
        return manifest.encode()
    if is_url(manifest):
        return _downloaded(manifest, validate_certs=validate_certs, ca_path=ca_path, has_checksum=has_checksum)
    return _from_disk("manifest", manifest, "Give a path that exists, an https address, or the text.")


def read_given_text(option: str, given: str) -> str:
    """What an option says, itself or in the file that it names.

    Raises:
        ManifestUnavailable: The file cannot be read, or is larger than 2 MiB.
    """
    if is_text(given):
        return given
    fix = "Give the path of a file that exists, or the text."
    if is_url(given):
        raise ManifestUnavailable(f"{option}: {given} is an address, and none is fetched. {fix}")
    return _from_disk(option, given, fix).decode("utf-8", errors="replace")


def _check_ca(ca_path: str) -> None:
    path = os.path.expanduser(ca_path)
    reason = why_no_file(path) or why_no_ca(path)
    if reason:
        raise ManifestUnavailable(
            f"manifest_ca_path: {ca_path} cannot be used: {reason}. Give a file of CA certificates, or leave it out."
        )


def _downloaded(url: str, *, validate_certs: bool, ca_path: str | None, has_checksum: bool) -> bytes:
    scheme = url.split("://", 1)[0].lower()
    if scheme not in ("https", "http"):
        raise ManifestUnavailable(
            f"manifest: {url} is neither https:// nor a path. Give an https address, a path, or the text."
        )
    _refuse_unprotected(url, url, has_checksum)
    try:
        with open_url(
            url, timeout=TIMEOUT, validate_certs=validate_certs, ca_path=ca_path, follow_redirects="safe"
        ) as answer:
            data = _received(answer)
            final = answer.geturl()
    except Exception as error:  # open_url raises its own, urllib's, ssl's and socket's errors
        raise ManifestUnavailable(
            f"manifest: {url} cannot be fetched: {error}. Check the version and the network, or give manifest as a path or a "
            "mirror's address (manifest_ca_path for a private CA)."
        ) from error
    _refuse_unprotected(url, final, has_checksum)
    return _bounded("manifest", data, url)


def _received(answer: t.Any) -> bytes:
    """What has come, no more than tells that it is too much. ``TIMEOUT`` alone does not end an answer that trickles."""
    data, ends = b"", time.monotonic() + LONGEST
    while len(data) <= MAX_BYTES and (piece := answer.read1(1 << 16)):
        data += piece
        if time.monotonic() > ends:
            raise TimeoutError(f"it had not come to its end within {LONGEST:.0f} s")
    return data


def _refuse_unprotected(url: str, final: str, has_checksum: bool) -> None:
    """http, at the given address or behind a redirect."""
    if final.lower().startswith("http://") and not has_checksum:
        raise ManifestUnavailable(
            f"manifest: {url} could be changed on its way. Use https, or give manifest_checksum too."
        )


def _from_disk(option: str, path: str, fix: str) -> bytes:
    try:
        with open(os.path.expanduser(path), "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # the latter for a character that no path can have
        reason = error.strerror if isinstance(error, OSError) else error
        raise ManifestUnavailable(f"{option}: the file {path} cannot be read: {reason}. {fix}") from error
    return _bounded(option, data, path)


def _bounded(option: str, data: bytes, origin: str) -> bytes:
    if len(data) > MAX_BYTES:
        raise ManifestUnavailable(
            f"{option}: {origin} is larger than {MAX_BYTES // 1024 // 1024} MiB, so it is not what is meant. Check what it names."
        )
    return data
