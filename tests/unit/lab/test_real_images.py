# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The images with which guests really run, and what such a guest answers."""

from __future__ import annotations

import hashlib
import json
import tarfile
import typing as t
from pathlib import Path

import pytest
from kvlab import builds, debian, images, layers, manifests, node, real_images, real_vms
from kvlab.lab import REAL_GUEST_NODES, Lab
from yaml import safe_load


def of_archive(path: Path) -> tuple[dict[str, t.Any], dict[str, t.Any], list[bytes]]:
    """The manifest, the configuration and the layers of an image archive."""
    with tarfile.open(path) as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        config = json.load(archive.extractfile(manifest["Config"]))  # type: ignore[arg-type]
        content = [archive.extractfile(name).read() for name in manifest["Layers"]]  # type: ignore[union-attr]
    return manifest, config, content


def files_of(cpio: bytes) -> dict[str, tuple[int, bytes]]:
    """Name, mode and content of the entries of a cpio archive, as the kernel would find them."""
    found: dict[str, tuple[int, bytes]] = {}
    place = 0
    while place < len(cpio):
        assert cpio[place : place + 6] == b"070701"
        fields = [int(cpio[start : start + 8], 16) for start in range(place + 6, place + 110, 8)]
        size, name_size = fields[6], fields[11]
        name = cpio[place + 110 : place + 110 + name_size - 1].decode()
        start = (place + 110 + name_size + 3) // 4 * 4
        found[name] = (fields[1], cpio[start : start + size])
        place = (start + size + 3) // 4 * 4
    return found


def test_the_initrd_starts_the_guest_and_has_its_modules_in_order() -> None:
    files = files_of(real_images.initrd(b"program", [b"one", b"other"]))
    assert list(files) == ["modules", "modules/0.ko", "modules/1.ko", "init", "TRAILER!!!"]
    assert files["init"] == (0o100755, b"program")
    assert files["modules/1.ko"] == (0o100644, b"other")


def test_an_image_of_several_layers(tmp_path: Path) -> None:
    paths = [tmp_path / "system.tar", tmp_path / "own.tar"]
    for path in paths:
        with layers.written(path) as layer:
            layer.file(f"usr/bin/of-{path.stem}", b"program", 0o755)
    layers.pack(tmp_path / "image.tar", paths, ["one:1", "other:1"], {"Entrypoint": ["/usr/bin/of-own"]})
    manifest, config, content = of_archive(tmp_path / "image.tar")
    assert manifest["RepoTags"] == ["one:1", "other:1"]
    assert content == [path.read_bytes() for path in paths]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in content]
    assert config["config"]["Entrypoint"] == ["/usr/bin/of-own"]


def test_a_layer_has_folders_owners_and_capabilities(tmp_path: Path) -> None:
    path = tmp_path / "layer.tar"
    with layers.written(path) as layer:
        layer.folder("etc/libvirt/hooks", 107)
        layer.file("etc/libvirt/hooks/qemu", b"", 0o755, 107)
        layer.file("usr/bin/monitor", b"program", 0o755, capability=layers.NET_BIND_SERVICE)
    with tarfile.open(path) as archive:
        entries = {entry.name: entry for entry in archive}
    assert [*entries][:3] == ["etc", "etc/libvirt", "etc/libvirt/hooks"]
    assert [(entries[name].uid, entries[name].gid) for name in ("etc/libvirt", "etc/libvirt/hooks")] == [
        (0, 0),
        (107, 107),
    ]
    capability = entries["usr/bin/monitor"].pax_headers["SCHILY.xattr.security.capability"].encode()
    # struct vfs_cap_data, little-endian: version 2 with the effective bit, then permitted: number 10
    assert capability == (0x02000001).to_bytes(4, "little") + (1 << 10).to_bytes(4, "little") + bytes(12)


def test_virt_handler_and_virt_launcher_are_one_image_for_each_release() -> None:
    assert real_images.sets(["v1.7.0", "v1.8.4"]) == ("real-v1.7.0", "real-v1.8.4", "guest")
    assert [path.name for path in real_images.archives(["v1.8.4"])] == ["real-v1.8.4.tar", "guest.tar"]
    assert set(real_images.sets(builds.KUBEVIRT_VERSIONS)) < set(builds.SETS)
    assert set(builds.USUAL_VERSIONS) <= set(real_images.RELEASES)


@pytest.mark.parametrize("version", real_images.RELEASES)
def test_real_guests_are_run_by_a_releases_own_modules(version: str) -> None:
    def modules(name: str) -> set[str]:
        lines = (builds.SOURCES / name / "go.mod").read_text(encoding="utf-8").splitlines()
        replaced = {line.strip() for line in lines if " => " in line and "libnbd" not in line}
        return replaced | {line.strip() for line in lines if line.strip().startswith("kubevirt.io/kubevirt v")}

    assert modules(real_images.set_of(version)) == modules(builds.set_of(version))


def test_a_node_knows_its_images_by_digest_too(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = """\
REF                     TYPE                                DIGEST      SIZE     PLATFORMS   LABELS
host.invalid/guest:1    application/vnd.oci.image.manifest  sha256:0123 17.3 MiB linux/amd64 -
host.invalid/known:1    application/vnd.oci.image.manifest  sha256:4567 17.3 MiB linux/amd64 -
host.invalid/known@sha256:4567 application/vnd.oci.image.manifest sha256:4567 17.3 MiB linux/amd64 -
sha256:89ab             application/vnd.oci.image.manifest  sha256:0123 17.3 MiB linux/amd64 -
"""
    asked: list[list[str]] = []

    def run(argv: list[str]) -> str:
        asked.append(argv[argv.index("images") + 1 :])
        return listing

    monkeypatch.setattr(node, "run", run)
    monkeypatch.setattr(node.Node, "within", lambda _node, argv: list(argv))
    node.name_by_digest(node.for_real_guests(Lab("real"))[0])
    assert asked == [["ls"], ["tag", "host.invalid/guest:1", "host.invalid/guest@sha256:0123"]]


def test_packages_come_from_where_apt_gets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "run", lambda _argv: "http://mirror.invalid/debian/\nhttp://mirror.invalid/debian/\n")
    assert debian._mirror() == ["http://mirror.invalid/debian/"]
    monkeypatch.setattr(debian, "run", lambda _argv: "")
    assert debian._mirror() == []


def test_a_real_guest_boots_our_image_on_a_node_for_real_guests() -> None:
    vm = real_vms.machine("guest-1", "other")
    assert vm["metadata"] == {"name": "guest-1", "namespace": "other"}
    spec = vm["spec"]["template"]["spec"]
    boot = spec["domain"]["firmware"]["kernelBoot"]["container"]
    assert boot["image"] == real_images.GUEST
    nodes = safe_load((manifests.DATA / "real-guest-nodes.yaml").read_text(encoding="utf-8"))["items"]
    assert {one["metadata"]["name"] for one in nodes} == set(REAL_GUEST_NODES)
    for one in nodes:
        assert spec["nodeSelector"].items() <= one["metadata"]["labels"].items()
        assert {taint["key"] for taint in one["spec"]["taints"]} == {
            toleration["key"] for toleration in spec["tolerations"]
        }


def test_what_a_guest_answers_is_taken_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    status = {"status": {"interfaces": [{"ipAddress": "10.98.1.9"}]}}
    monkeypatch.setattr(real_vms.kubectl, "get", lambda *_arguments: status)
    said = json.dumps({"boot_id": "one", "uptime": 3.5, "counter": 2, "requests": 1, "address": "10.0.2.2"})
    asked: list[t.Any] = []
    monkeypatch.setattr(real_vms, "run", lambda argv: asked.extend(argv) or said)
    assert real_vms.ask(Lab("real"), "guest-1", "default") == ("one", 3.5, 2)
    assert asked[-1] == "http://10.98.1.9:8080/"


def test_the_image_of_the_guest_has_a_kernel_and_an_initrd_that_qemu_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBEVIRT_LIFECYCLE_CACHE", str(tmp_path / "cache"))
    package = tmp_path / "kernel.tar"
    with layers.written(package) as layer:
        layer.file("boot/vmlinuz-6.1-cloud", b"kernel")
        for module in reversed(real_images.GUEST_MODULES):
            layer.file(f"usr/lib/modules/6.1-cloud/kernel/{module}.ko", module.encode())
        layer.file("usr/lib/modules/6.1-cloud/kernel/other.ko", b"other")
    monkeypatch.setattr(debian, "unpacked", lambda _name, _package: package)
    (tmp_path / "guest").write_bytes(b"program")
    real_images.pack_guest(tmp_path / "guest")
    manifest, _config, _layers = of_archive(images.folder() / "guest.tar")
    assert manifest["RepoTags"] == [real_images.GUEST]
    with (
        tarfile.open(images.folder() / "guest.tar") as archive,
        tarfile.open(fileobj=archive.extractfile(manifest["Layers"][0])) as layer_content,
    ):
        kernel, initrd = layer_content.getmember("boot/vmlinuz"), layer_content.getmember("boot/initrd")
        files = files_of(layer_content.extractfile(initrd).read())  # type: ignore[union-attr]
    assert kernel.uid == initrd.uid == real_images.QEMU_USER
    assert [files[f"modules/{number}.ko"][1].decode() for number in range(3)] == list(real_images.GUEST_MODULES)
