# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Which VMs' launchers are outdated, and which live migrations are not finished."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping

OUTDATED_LABEL = "kubevirt.io/outdatedLauncherImage"
"""virt-controller sets it on VMIs and their pods since v0.39 (pkg/virt-controller/watch/vmi/lifecycle.go)."""


def unfinished_migrations(migrations: Iterable[Mapping[str, t.Any]]) -> list[str]:
    """Namespace/name of the VirtualMachineInstanceMigrations that have neither succeeded nor failed.

    Live migrations in flight fail when the control plane is updated (docs/updates.md of kubevirt/kubevirt).
    """
    return [
        f"{migration['metadata']['namespace']}/{migration['metadata']['name']}"
        for migration in migrations
        if (migration.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    ]


def tag_of(image: str) -> str:
    """The tag of an image; empty where it has none, or is named by a digest alone."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def launcher_image_of(virt_controller: Mapping[str, t.Any]) -> str:
    """The launcher image that Deployment virt-controller gives to VMs; empty where it does not say."""
    containers = (((virt_controller.get("spec") or {}).get("template") or {}).get("spec") or {}).get("containers") or ()
    for container in containers:
        words = [*(container.get("command") or ()), *(container.get("args") or ())]
        if "--launcher-image" in words[:-1]:
            return str(words[words.index("--launcher-image") + 1])
    return ""
