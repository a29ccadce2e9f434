# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image archive that containerd loads: one image with many names."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest
from kvlab import images


def test_one_image_with_all_names_and_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEVIRT_LIFECYCLE_CACHE", str(tmp_path / "cache"))
    for name in images.KUBEVIRT_PROGRAMS:
        (tmp_path / name).write_text(f"I am {name}", encoding="utf-8")
    images.pack_kubevirt(tmp_path, "v1.7.0")

    with tarfile.open(tmp_path / "cache/images/kubevirt-v1.7.0.tar") as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        config = json.load(archive.extractfile(manifest["Config"]))  # type: ignore[arg-type]
        layer_bytes = archive.extractfile(manifest["Layers"][0]).read()  # type: ignore[union-attr]
        with tarfile.open(fileobj=archive.extractfile(manifest["Layers"][0])) as layer:
            members = {member.name: member for member in layer}

    assert "quay.io/kubevirt/virt-operator:v1.7.0" in manifest["RepoTags"]
    assert len(manifest["RepoTags"]) == len(images.KUBEVIRT_PROGRAMS)
    assert config["config"]["User"] == "1001"
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer_bytes).hexdigest()}"]
    assert members["usr/bin/virt-api"].mode == 0o755
    assert members["tmp"].mode == 0o1777
