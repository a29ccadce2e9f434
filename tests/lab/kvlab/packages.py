# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Debian packages that the lab needs, installed when they are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kvlab.waiting import say

# package -> a program that tells whether it is there
NETWORK = {"iproute2": "ip"}
NODE = {"containerd": "containerd", "runc": "runc", "containernetworking-plugins": "/usr/lib/cni/bridge"}

# to compile C, also as a part of Go programs
COMPILER = {"gcc": "gcc", "libc6-dev": "gencat"}
DEBIAN_SYSTEMS = {"mmdebstrap": "mmdebstrap"}

POLICY = Path("/usr/sbin/policy-rc.d")


def ensure(wanted: dict[str, str]) -> None:
    """Install what is missing of *wanted*. The services of the packages are not started."""
    missing = [package for package, program in wanted.items() if not shutil.which(program)]
    if not missing:
        return
    say(f"installing the Debian packages {' '.join(missing)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with services_stay_off():
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
            subprocess.run(["apt-get", "-qq", *command], env=environment, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def services_stay_off() -> Iterator[None]:
    """Forbid package scripts to start services. A policy that is there already is somebody else's and stays."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
