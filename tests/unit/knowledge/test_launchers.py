# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which launcher VMs get."""

from __future__ import annotations

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import launchers


@pytest.mark.parametrize(
    ("containers", "image"),
    [
        ([{"command": ["virt-controller"], "args": ["--launcher-image", "virt-launcher:v1.8.4", "-v", "2"]}], "virt-launcher:v1.8.4"),
        ([{"name": "proxy"}, {"command": ["virt-controller", "--launcher-image", "virt-launcher:v1.7.0"]}], "virt-launcher:v1.7.0"),
        ([{"args": ["--launcher-image"]}], ""),
        (None, ""),
    ],
)  # fmt: skip
def test_the_launcher_that_virt_controller_gives(containers: list[dict[str, object]] | None, image: str) -> None:
    deployment = {"spec": {"template": {"spec": {"containers": containers}}}}
    assert launchers.launcher_image_of(deployment) == image
