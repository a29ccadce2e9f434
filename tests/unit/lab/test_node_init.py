# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first process of a node mounts the cgroup hierarchies again."""

from __future__ import annotations

import pytest
from kvlab import node_init


@pytest.mark.parametrize(
    ("mounted", "asked"),
    [
        ("rw,nosuid,relatime,memory", "memory"),
        ("rw,relatime,cpu,cpuacct", "cpu,cpuacct"),
        ("rw,xattr,name=systemd", "none,name=systemd"),
    ],
)
def test_a_cgroup_hierarchy_is_mounted_again(mounted: str, asked: str) -> None:
    assert node_init.controllers(mounted, {"cpu", "cpuacct", "memory"}) == asked
