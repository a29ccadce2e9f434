# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The images of real guests: KubeVirt's parts that run QEMU, on a small Debian, and a guest of the lab's own."""

from __future__ import annotations

import lzma
import re
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from kvlab import cache, debian, images, layers
from kvlab.processes import run

RELEASES = ("v1.7.0", "v1.8.4")
"""The KubeVirt releases that can run real guests here."""
GUEST_SET = "guest"
GUEST = "kubevirt-lifecycle.invalid/guest:1"
PARTS = ("virt-handler", "virt-launcher")
QEMU_USER = 107
"""The user that KubeVirt lets QEMU run as."""

SYSTEM_PACKAGES = (
    "iproute2",
    "libvirt-clients",
    "libvirt-daemon",
    "libvirt-daemon-driver-qemu",
    "libvirt-daemon-log",
    "nftables",
    "ovmf",
    "qemu-system-x86",
    "qemu-utils",
    "seabios",
    "xorriso",
)
SYSTEM_COMMANDS = (
    f'echo "qemu:x:{QEMU_USER}:{QEMU_USER}::/home/qemu:/bin/bash" >> "$1/etc/passwd"',
    f'echo "qemu:x:{QEMU_USER}:" >> "$1/etc/group"',
    # virt-handler looks in there as /proc/PID/root/var/run: an absolute link would lead it into its own root.
    'ln -sfn ../run "$1/var/run"',
    'rm -f "$1/usr/bin/qemu-system-i386" "$1/usr/bin/qemu-system-x86_64-microvm"',
)
VIRTQEMUD = """\
#!/bin/sh
# Debian has libvirt's daemon for all drivers, KubeVirt wants the one for QEMU: the same, at another socket.
folder="${XDG_RUNTIME_DIR:-/run}/libvirt"
mkdir -p "$folder"
ln -sfn libvirt-sock "$folder/virtqemud-sock"
exec /usr/sbin/libvirtd "$@"
"""
KERNEL_PACKAGE = "linux-image-cloud-amd64"
GUEST_MODULES = ("failover", "net_failover", "virtio_net")
"""What the guest needs of the kernel's modules, each after those that it needs."""


def set_of(version: str) -> str:
    """The build set of a KubeVirt release."""
    return f"real-{version}"


def sets(releases: Iterable[str]) -> tuple[str, ...]:
    """The build sets that real guests of these releases need; a release that cannot have any needs none."""
    return (*(set_of(version) for version in releases if version in RELEASES), GUEST_SET)


def archives(releases: Iterable[str]) -> list[Path]:
    """The image archives of those sets."""
    return [images.folder() / f"{name}.tar" for name in sets(releases)]


def pack_release(programs: Path, module: Path, version: str) -> None:
    """One image for virt-handler and virt-launcher, of the *programs* and of files of KubeVirt's *module*."""
    names = [f"{images.KUBEVIRT_REGISTRY}/{part}:{version}" for part in PARTS]
    run(["gcc", "-O2", "-static", "-o", programs / "container-disk", module / "cmd/container-disk-v2alpha/main.c"])
    system = debian.system("qemu", SYSTEM_PACKAGES, SYSTEM_COMMANDS)
    with tempfile.TemporaryDirectory(dir=cache.directory()) as folder:
        own = Path(folder) / "kubevirt.tar"
        with layers.written(own) as layer:
            _add_kubevirt(layer, programs, module / "cmd/virt-launcher")
        config = {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "Entrypoint": ["/usr/bin/virt-launcher"]}
        layers.pack(images.folder() / f"{set_of(version)}.tar", [system, own], names, config)


def _add_kubevirt(layer: layers.Layer, programs: Path, launcher: Path) -> None:
    """What KubeVirt's own build adds to its base image for virt-launcher, and the programs of virt-handler."""
    for program in sorted(programs.iterdir()):
        if program.name.startswith("."):
            continue
        capability = layers.NET_BIND_SERVICE if program.name == "virt-launcher-monitor" else ""
        layer.file(f"usr/bin/{program.name}", program.read_bytes(), 0o755, capability=capability)
    layer.file("usr/bin/node-labeller.sh", (launcher / "node-labeller/node-labeller.sh").read_bytes(), 0o755)
    layer.file("usr/sbin/virtqemud", VIRTQEMUD.encode(), 0o755)
    for name in ("qemu.conf", "virtqemud.conf"):
        layer.file(f"etc/libvirt/{name}", (launcher / name).read_bytes())
    layer.file("etc/nsswitch.conf", (launcher / "nsswitch.conf").read_bytes())
    layer.folder("etc/libvirt/hooks", QEMU_USER)
    layer.file("etc/libvirt/hooks/qemu", (launcher / "qemu").read_bytes(), 0o755, QEMU_USER)


def pack_guest(program: Path) -> None:
    """The image that a guest boots from: Debian's kernel, and an initrd whose only program is ours."""
    kernel, modules = _kernel(debian.unpacked("kernel", KERNEL_PACKAGE))
    with tempfile.TemporaryDirectory(dir=cache.directory()) as folder:
        own = Path(folder) / "guest.tar"
        with layers.written(own) as layer:
            layer.file("boot/vmlinuz", kernel, 0o444, QEMU_USER)
            layer.file("boot/initrd", initrd(program.read_bytes(), modules), 0o444, QEMU_USER)
        layers.pack(images.folder() / f"{GUEST_SET}.tar", [own], [GUEST], {})


def _kernel(package: Path) -> tuple[bytes, list[bytes]]:
    """The kernel in a tar file with its package, and its modules for the guest."""
    found: dict[str, bytes] = {}
    with tarfile.open(package) as archive:
        for entry in archive:
            name = Path(entry.name).name.partition(".ko")[0]
            if re.fullmatch(r"(\./)?boot/vmlinuz-.*", entry.name):
                name = "vmlinuz"
            elif ".ko" not in entry.name or name not in GUEST_MODULES:
                continue
            content = archive.extractfile(entry)
            assert content
            found[name] = lzma.decompress(content.read()) if entry.name.endswith(".xz") else content.read()
    return found["vmlinuz"], [found[name] for name in GUEST_MODULES]


def initrd(program: bytes, modules: Iterable[bytes]) -> bytes:
    """A file system in memory with *program* as its first process, and the modules that it loads, in order."""
    entries = [("modules", 0o40755, b"")]
    entries += [(f"modules/{number}.ko", 0o100644, module) for number, module in enumerate(modules)]
    entries += [("init", 0o100755, program), ("TRAILER!!!", 0, b"")]
    return b"".join(_cpio(number, *entry) for number, entry in enumerate(entries, 1))


def _cpio(number: int, name: str, mode: int, content: bytes) -> bytes:
    """An entry of a cpio archive, in the form that the kernel reads."""
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields) + path
    return header + bytes(-len(header) % 4) + content + bytes(-len(content) % 4)
