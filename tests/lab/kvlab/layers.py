# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Container images of several layers, and layers with owners, links and capabilities."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import typing as t
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# The permitted and effective capability CAP_NET_BIND_SERVICE, as the kernel keeps it with a file (version 2).
NET_BIND_SERVICE = "\x01\x00\x00\x02" + "\x00\x04" + "\x00" * 14


class Layer:
    """A layer that is being written; the folders that its entries are in come by themselves."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self.archive = archive
        self.folders: set[str] = set()

    def folder(self, name: str, owner: int = 0, mode: int = 0o755) -> None:
        """Add a folder, once."""
        if name in self.folders:
            return
        self._parents(name)
        self.folders.add(name)
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, mode, owner, owner
        self.archive.addfile(entry)

    def file(self, name: str, content: bytes, mode: int = 0o644, owner: int = 0, capability: str = "") -> None:
        """Add a file."""
        self._parents(name)
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.uid, entry.gid = len(content), mode, owner, owner
        if capability:
            entry.pax_headers = {"SCHILY.xattr.security.capability": capability}
        self.archive.addfile(entry, io.BytesIO(content))

    def _parents(self, name: str) -> None:
        parent = str(Path(name).parent)
        if parent != ".":
            self.folder(parent)


@contextmanager
def written(path: Path) -> Iterator[Layer]:
    """Write a layer to *path*."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        yield Layer(archive)


def pack(path: Path, layers: Sequence[Path], names: Sequence[str], config: dict[str, t.Any]) -> None:
    """Write an image archive of *layers*, known by all of *names*."""
    wanted = {
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(layer)}" for layer in layers]},
    }
    manifest = [{"Config": "config.json", "RepoTags": list(names), "Layers": [layer.name for layer in layers]}]
    partial = path.with_suffix(".partial")
    with tarfile.open(partial, "w") as archive:
        for name, content in (("config.json", wanted), ("manifest.json", manifest)):
            data = json.dumps(content).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for layer in layers:
            archive.add(layer, layer.name)
    shutil.move(partial, path)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as content:
        for part in iter(lambda: content.read(1 << 20), b""):
            digest.update(part)
    return digest.hexdigest()
