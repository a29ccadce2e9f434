# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pieces of Debian for the lab's images: made by mmdebstrap once, then kept in the cache.

The packages come from where apt gets them on this machine.
"""

from __future__ import annotations

import hashlib
import subprocess
import time
from pathlib import Path

from kvlab import cache, packages
from kvlab.processes import run
from kvlab.waiting import say

SUITE = "trixie"
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")


def system(name: str, wanted: tuple[str, ...], commands: tuple[str, ...]) -> Path:
    """A tar file with a small Debian system that has the *wanted* packages.

    *commands* are for a shell that has the system's folder as ``$1``.
    """
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    options += [f"--customize-hook={command}" for command in commands]
    return _made(name, ["--variant=essential", f"--include={','.join(wanted)}", *options])


def unpacked(name: str, package: str) -> Path:
    """A tar file with the files of a package and of what it depends on. None of them is set up."""
    return _made(name, ["--variant=extract", f"--include={package}"])


def _made(name: str, arguments: list[str]) -> Path:
    known_by = hashlib.sha256(repr((SUITE, arguments)).encode()).hexdigest()[:12]
    path = cache.directory("debian") / f"{name}-{known_by}.tar"
    with cache.locked(f"debian-{name}"):
        if not path.exists():
            packages.ensure(packages.DEBIAN_SYSTEMS)
            _make(path, arguments)
            for older in set(path.parent.glob(f"{name}-*.tar")) - {path}:
                older.unlink()
    return path


def _make(path: Path, arguments: list[str]) -> None:
    say(f"making {path.name} of Debian packages")
    started = time.monotonic()
    partial = path.with_suffix(".partial")
    options = ["--mode=root", "--format=tar", '--aptopt=APT::Install-Recommends "false"', *arguments]
    done = subprocess.run(
        ["mmdebstrap", *options, SUITE, partial, *_mirror()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        partial.unlink(missing_ok=True)
        raise SystemExit(f"{done.stdout}\nmmdebstrap failed for {path.name}; its words are above")
    partial.rename(path)
    say(f"  made {path.name} in {time.monotonic() - started:.0f} s")


def _mirror() -> list[str]:
    """The mirror of Debian that this machine's apt uses; where there is none, mmdebstrap takes its own."""
    of_debian = ["Created-By: Packages", "Origin: Debian", "Label: Debian"]
    return run(["apt-get", "indextargets", "--format=$(REPO_URI)", *of_debian]).split()[:1]
