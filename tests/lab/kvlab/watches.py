# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many files the machine lets programs watch: too few by default for some labs side by side."""

from __future__ import annotations

from pathlib import Path

INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH = 1024
"""An apiserver takes 6, a node with KubeVirt some 20; the kernel's default is 128 for all of a user's programs."""


def allow_enough(setting: Path = INSTANCES) -> None:
    """Raise the limit where it is lower. It stays so until the machine restarts."""
    if int(setting.read_text(encoding="utf-8")) < ENOUGH:
        setting.write_text(f"{ENOUGH}\n", encoding="utf-8")
