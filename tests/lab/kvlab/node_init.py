# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first process of a node: gives the node its own /run, /var/lib and /var/log, and collects ended orphans.

Runs alone, in new mount and pid namespaces: when it ends, the kernel ends every process of the node and drops its
mounts, so nothing of a node can be left behind. With the name of a node for real guests it is in new cgroup, ipc and
uts namespaces as well, and shows the node its own cgroups only.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """``node_init.py FOLDER [NAME]``; writes FOLDER/ready when processes may be started in the node."""
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    mount("-t", "tmpfs", "tmpfs", "/run")
    if names:
        socket.sethostname(names[0])
        show_own_var(folder / "var")
        show_own_cgroups()
    else:
        for name in ("lib", "log"):
            (folder / name).mkdir()
            mount("--bind", folder / name, f"/var/{name}")
    # Containers may ask for mounts that propagate.
    mount("--make-rshared", "/")
    (folder / "ready").touch()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel then collects ended children by itself
    while True:
        signal.pause()


def mount(*arguments: str | Path) -> None:
    """Run mount."""
    subprocess.run(["mount", *arguments], check=True)


def show_own_var(own: Path) -> None:
    """Give the node a /var with its *own* lib and log and the other folders of the machine's, and a relative /var/run.

    virt-handler looks at that as /proc/1/root/var/run: from there an absolute link leads into virt-handler's own root.
    """
    folders = [path for path in Path("/var").iterdir() if path.is_dir() and not path.is_symlink()]
    for path in folders:
        (own / path.name).mkdir(parents=True)
    (own / "run").symlink_to("../run")
    shared = [path for path in folders if path.name not in ("lib", "log")]
    for path in shared:
        mount("--bind", path, own / path.name)
    mount("--rbind", own, "/var")
    for path in shared:
        subprocess.run(["umount", own / path.name], check=True)


def show_own_cgroups() -> None:
    """Mount the cgroup hierarchies anew where they are: from within a cgroup namespace they begin at its root."""
    lines = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    hierarchies = {Path(line[1]): (line[2], line[3]) for line in lines if line[2] in ("cgroup", "cgroup2")}
    (top,) = {path.parent for path in hierarchies}
    # Not only covered: runc and kubelet take the first mount of a controller that they read of.
    subprocess.run(["umount", "--recursive", "--lazy", top], check=True)
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", top)
    present = {line.split()[0] for line in Path("/proc/cgroups").read_text(encoding="utf-8").splitlines()}
    for path, (kind, options) in hierarchies.items():
        path.mkdir()
        mount("-t", kind, *(["-o", controllers(options, present)] if kind == "cgroup" else []), kind, path)


def controllers(options: str, present: set[str]) -> str:
    """What says which cgroup v1 hierarchy is meant, of the mount options in /proc/mounts."""
    named = [option for option in options.split(",") if option.startswith("name=")]
    return ",".join(
        [*(option for option in options.split(",") if option in present), *(["none"] if named else []), *named]
    )


if __name__ == "__main__":
    main()
