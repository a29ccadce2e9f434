# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Editing the KubeVirt object, which others write to at the same time."""

from __future__ import annotations

import typing as t
from collections.abc import Callable

from ..cluster.api import Api, Json
from ..cluster.errors import ClusterError, Conflict
from .observe import Facts

ATTEMPTS = 5
"""How often a write is made again from a fresh read when somebody else changed the object in between."""


def edit_kubevirt(
    api: Api,
    facts: Facts,
    patch_of: Callable[[Json], list[dict[str, t.Any]] | None],
    *,
    rehearse: bool = False,
) -> bool:
    """Patch the KubeVirt object as it is now, and again where somebody else was quicker.

    Args:
        api: The cluster.
        facts: From ``observe``, with a KubeVirt object.
        patch_of: Makes the patch from the object as it is; None when nothing is to be done.
        rehearse: The server checks all and stores nothing.

    Returns:
        False when there was nothing to do. What a patch of ours has done whose answer was lost is ours.

    Raises:
        ClusterError: Its ``in_doubt`` says whether a patch may have been stored all the same.
    """
    unsure = False
    try:
        for _attempt in range(ATTEMPTS):
            patch = patch_of(api.get(facts.kubevirt_path))
            if patch is None:
                return unsure
            try:
                api.json_patch(facts.kubevirt_path, patch, rehearse=rehearse)
            except Conflict as error:
                unsure = unsure or error.in_doubt
                continue
            return True
        raise ClusterError(f"{facts.kubevirt_name} changes faster than it can be written. Find out who writes to it.")
    except ClusterError as error:
        error.in_doubt = error.in_doubt or unsure
        raise
