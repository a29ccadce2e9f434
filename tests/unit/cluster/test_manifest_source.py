# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the operator's manifest comes from, and what is refused before or while it is read."""

from __future__ import annotations

import gzip
import typing as t
from pathlib import Path

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster import manifest_source
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import ManifestUnavailable
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.manifest_source import (
    is_text,
    is_url,
    read_manifest,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.manifest import MAX_BYTES

Server = t.Any  # tests/unit/cluster/conftest.py


def read(manifest: str, has_checksum: bool = False) -> bytes:
    return read_manifest(manifest, validate_certs=True, ca_path=None, has_checksum=has_checksum)


@pytest.mark.parametrize(
    ("manifest", "text", "url"),
    [
        ("kind: Namespace\n", True, False),
        ("# see https://example.com\nkind: Namespace", True, False),
        ("https://example.com/kubevirt-operator.yaml", False, True),
        ("/srv/kubevirt-operator.yaml", False, False),
        ("C:/x.yaml", False, False),
    ],
)
def test_what_the_option_holds(manifest: str, text: bool, url: bool) -> None:
    assert (is_text(manifest), is_url(manifest)) == (text, url)


def test_text() -> None:
    assert read("kind: Nämespace\n") == "kind: Nämespace\n".encode()


def test_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "o.yaml").write_bytes(b"kind: \xff")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read(str(tmp_path / "o.yaml")) == read("~/o.yaml") == b"kind: \xff"


def test_a_path_that_cannot_be_read(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ManifestUnavailable, match=f"manifest: the file {path} cannot be read: {words}"):
            read(str(path))
    with pytest.raises(ManifestUnavailable, match="cannot be read: embedded null byte"):
        read("a\0b")


def test_a_file_of_certificates_that_has_none_is_told_whatever_the_manifest_is(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for path, words in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "not a file"),
        (tmp_path / "empty", "no certificate"),
    ):
        with pytest.raises(ManifestUnavailable, match=f"manifest_ca_path: {path} cannot be used: .*{words}"):
            read_manifest("kind: Namespace\n", validate_certs=True, ca_path=str(path), has_checksum=False)


@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
def test_a_file_has_a_bound(tmp_path: Path, more: int, fits: bool) -> None:
    with (tmp_path / "big.yaml").open("wb") as file:
        file.truncate(MAX_BYTES + more)
    if fits:
        assert len(read(str(tmp_path / "big.yaml"))) == MAX_BYTES
    else:
        with pytest.raises(ManifestUnavailable, match="larger than 2 MiB"):
            read(str(tmp_path / "big.yaml"))


def test_an_address(server: Server) -> None:
    server.answer(b"kind: Namespace")
    assert read(f"{server.endpoint}/o.yaml", has_checksum=True) == b"kind: Namespace"


def test_an_address_without_protection_is_refused_before_it_is_asked(server: Server) -> None:
    server.answer(b"kind: Namespace")
    with pytest.raises(ManifestUnavailable, match="manifest_checksum"):
        read(f"{server.endpoint}/o.yaml")
    assert server.asked == []


def test_an_address_has_a_bound(server: Server) -> None:
    server.answer(b"x" * (MAX_BYTES + 1))
    with pytest.raises(ManifestUnavailable, match="larger than 2 MiB"):
        read(f"{server.endpoint}/o.yaml", has_checksum=True)


def test_an_address_has_a_bound_for_what_it_packs(server: Server) -> None:
    server.answer(gzip.compress(b"x" * 100 * MAX_BYTES), Content_Encoding="gzip")
    assert len(server.answers[0].body or b"") < MAX_BYTES
    with pytest.raises(ManifestUnavailable, match="larger than 2 MiB"):
        read(f"{server.endpoint}/o.yaml", has_checksum=True)


def test_an_address_whose_answer_trickles_has_a_bound(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_source, "LONGEST", 0.0)
    server.answer([b"kind: ", b"Namespace"])
    with pytest.raises(ManifestUnavailable, match="had not come to its end within 0 s"):
        read(f"{server.endpoint}/o.yaml", has_checksum=True)


def test_an_address_that_has_none(server: Server) -> None:
    server.answer(b"not found", 404)
    with pytest.raises(ManifestUnavailable, match=r"o\.yaml cannot be fetched: .*404.*mirror"):
        read(f"{server.endpoint}/o.yaml", has_checksum=True)


@pytest.mark.parametrize("scheme", ["ftp", "file", "oci", "s3"])
def test_other_schemes(scheme: str) -> None:
    with pytest.raises(ManifestUnavailable, match="neither https:// nor a path"):
        read(f"{scheme}://example.com/o.yaml", has_checksum=True)
