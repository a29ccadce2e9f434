# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a manifest may come from, and what is changed in it before it is applied."""

from __future__ import annotations

import hashlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.contract.conftest import TO, World


@pytest.fixture(scope="module")
def address(world: World) -> Iterator[str]:
    """An https address of the folder with the manifests, with a certificate of the lab's own CA."""
    folder = world.manifests[TO].parent
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki(world) / "apiserver.crt", pki(world) / "apiserver.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_address[1]}/{world.manifests[TO].name}"
    server.shutdown()
    server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """No line for each request."""

    def log_message(self, *_arguments: object) -> None:
        pass


def pki(world: World) -> Path:
    return world.lab.kubeconfig.parent / "pki"


def test_as_text(world: World) -> None:
    result = world.upgrade(manifest=world.manifests[TO].read_text(), check=True)
    assert (result.code, result.data["changed"]) == (0, True), result.message


def test_with_its_checksum(world: World) -> None:
    data = world.manifests[TO].read_bytes()
    for name in ("sha256", "sha512"):
        result = world.upgrade(manifest_checksum=f"{name}:{hashlib.new(name, data).hexdigest()}", check=True)
        assert result.code == 0, result.message


def test_from_an_address_with_a_private_ca(world: World, address: str) -> None:
    refused = world.upgrade(manifest=address, check=True)
    assert refused.code != 0
    assert "cannot be fetched" in refused.message and "manifest_ca_path" in refused.message
    trusted = world.upgrade(manifest=address, manifest_ca_path=str(pki(world) / "ca.crt"), check=True)
    assert (trusted.code, trusted.data["changed"]) == (0, True), trusted.message


def test_from_an_address_without_checking_its_certificate(world: World, address: str) -> None:
    result = world.upgrade(manifest=address, manifest_validate_certs=False, check=True)
    assert result.code == 0, result.message


def test_from_an_address_that_has_none(world: World, address: str) -> None:
    result = world.upgrade(manifest=f"{address}-not", manifest_validate_certs=False, check=True)
    assert result.code != 0
    assert f"{address}-not cannot be fetched" in result.message and "404" in result.message


def test_with_another_registry(world: World) -> None:
    result = world.upgrade(image_registry="registry.example.com/mirror", check=True)
    assert result.code == 0, result.message
    (operator,) = [one for one in result.data["diff"] if one["after_header"] == "Deployment kubevirt/virt-operator"]
    assert "quay.io/kubevirt/virt-operator:v1.7.0" in str(operator["before"])
    assert "registry.example.com/mirror/virt-operator:v1.8.4" in str(operator["after"])
    assert "quay.io" not in str(operator["after"])


def test_for_the_namespace_of_kubevirt(world: World, tmp_path: Path) -> None:
    other = tmp_path / "operator.yaml"
    text = world.manifests[TO].read_text()
    other.write_text(
        text.replace("namespace: kubevirt", "namespace: virt").replace("  name: kubevirt\n", "  name: virt\n")
    )
    result = world.upgrade(manifest=str(other), manifest_namespace="kubevirt", check=True)
    plain = world.upgrade(check=True)
    assert result.code == 0, result.message
    assert result.data["diff"] == plain.data["diff"]
