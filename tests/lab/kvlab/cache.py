# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the lab keeps its files. Nothing of the lab lies outside this folder."""

from __future__ import annotations

import fcntl
import os
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A node gets its own of these, so the cache cannot be there.
HIDDEN_ON_NODES = ("/proc", "/run", "/var/lib", "/var/log")


def root() -> Path:
    """The cache: ``$KUBEVIRT_LIFECYCLE_CACHE`` or ``~/.cache/kubevirt-lifecycle``."""
    chosen = os.environ.get("KUBEVIRT_LIFECYCLE_CACHE")
    path = Path(chosen) if chosen else Path.home() / ".cache" / "kubevirt-lifecycle"
    path = path.resolve()
    if any(path.is_relative_to(Path(hidden).resolve()) for hidden in HIDDEN_ON_NODES):
        raise SystemExit(f"the cache cannot be in {path}: the lab's node has its own {', '.join(HIDDEN_ON_NODES)}")
    return path


def directory(*parts: str) -> Path:
    """A folder in the cache, made if it is not there."""
    path = root().joinpath(*parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def locked(name: str) -> Iterator[t.TextIO]:
    """Hold the lock *name*, so that two commands do not do the same work at once. A killed holder frees it."""
    with open(directory("locks") / name, "w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
