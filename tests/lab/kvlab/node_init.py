# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first process of a node: gives the node its own /run, /var/lib and /var/log, and collects ended orphans.

Runs alone, in new mount and pid namespaces: when it ends, the kernel ends every process of the node and drops its
mounts, so nothing of a node can be left behind.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """``node_init.py FOLDER``; writes FOLDER/ready when processes may be started in the node."""
    folder = Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    for name in ("lib", "log"):
        (folder / name).mkdir()
        subprocess.run(["mount", "--bind", folder / name, f"/var/{name}"], check=True)
    # Containers may ask for mounts that propagate.
    subprocess.run(["mount", "--make-rshared", "/"], check=True)
    (folder / "ready").touch()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel then collects ended children by itself
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
