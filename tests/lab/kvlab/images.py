# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Container images made of one layer: static programs and what they need around them. No registry is needed."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from kvlab import cache

PAUSE = "kubevirt-lifecycle.invalid/pause:1"
KUBEVIRT_REGISTRY = "quay.io/kubevirt"
KUBEVIRT_PROGRAMS = ("virt-operator", "virt-api", "virt-controller")
USER = 1001
"""The user of KubeVirt's published images."""


def folder() -> Path:
    """Where the images lie, ready to be imported."""
    return cache.directory("images")


def pack_pause(programs: Path) -> None:
    """The image of the container that holds a pod's namespaces."""
    pack(folder() / "pause.tar", [programs / "pause"], [PAUSE], ["/usr/bin/pause"])


def pack_kubevirt(programs: Path, version: str) -> None:
    """One image with KubeVirt's programs; it gets the names of all their published images."""
    names = [f"{KUBEVIRT_REGISTRY}/{name}:{version}" for name in KUBEVIRT_PROGRAMS]
    pack(folder() / f"kubevirt-{version}.tar", [programs / name for name in KUBEVIRT_PROGRAMS], names)


def pack(path: Path, programs: list[Path], names: list[str], entrypoint: list[str] | None = None) -> None:
    """Write an image archive with *programs* in /usr/bin, known by all of *names*."""
    layer = _layer(programs)
    diff_id = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"User": str(USER), "Env": ["PATH=/usr/bin"], "Entrypoint": entrypoint},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        }
    ).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": names, "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as archive:
        for name, content in (("config.json", config), ("layer.tar", layer), ("manifest.json", manifest)):
            _add(archive, name, content)


def _layer(programs: list[Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for directory, mode in (("etc", 0o755), ("usr", 0o755), ("usr/bin", 0o755), ("tmp", 0o1777)):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            layer.addfile(entry)
        _add(layer, "etc/passwd", f"nonroot:x:{USER}:{USER}::/tmp:/bin/false\n".encode())
        for program in programs:
            _add(layer, f"usr/bin/{program.name}", program.read_bytes(), 0o755)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
