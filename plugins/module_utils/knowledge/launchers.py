# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. virt-launchers: which are outdated, and what their images say."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

OUTDATED_LABEL = "kubevirt.io/outdatedLauncherImage"
"""virt-controller sets it on VMIs and their pods since v0.39 (pkg/virt-controller/watch/vmi/lifecycle.go)."""


def tag_of(image: str) -> str:
    """The tag of an image; empty where it has none, or is named by a digest alone. A port is none."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def launcher_image_of(virt_controller: Mapping[str, t.Any]) -> str:
    """The launcher image that Deployment virt-controller gives to VMs; empty where it does not say."""
    containers = (((virt_controller.get("spec") or {}).get("template") or {}).get("spec") or {}).get("containers") or ()
    for container in containers:
        words = [*(container.get("command") or ()), *(container.get("args") or ())]
        if "--launcher-image" in words[:-1]:
            return str(words[words.index("--launcher-image") + 1])
    return ""
