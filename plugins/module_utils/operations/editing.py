# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Editing the KubeVirt object, which others write to at the same time."""

from __future__ import annotations

import typing as t
from collections.abc import Callable

from ..cluster.api import Api, Json
from ..cluster.clock import Clock
from ..cluster.errors import ApiError, ClusterError, Conflict, Unreachable
from .observe import Facts

ATTEMPTS = 5
"""How often a write is made again from a fresh read when somebody else changed the object in between."""
WEBHOOK_PAUSE = 10.0
"""Seconds before an edit is tried again when virt-operator's webhook could not be asked."""


def edit_kubevirt(
    api: Api,
    facts: Facts,
    patch_of: Callable[[Json], list[dict[str, t.Any]] | None],
    clock: Clock,
    *,
    rehearse: bool = False,
) -> bool:
    """Patch the KubeVirt object as it is now, and again where somebody else was quicker; False when nothing is to be done.

    Args:
        api: The cluster.
        facts: From ``observe``, with a KubeVirt object.
        patch_of: Makes the patch from the object as it is; None when nothing is to be done.
        clock: Time.
        rehearse: The server checks all and stores nothing.
    """
    for attempt in range(1, ATTEMPTS + 1):
        patch = patch_of(api.get(facts.kubevirt_path))
        if patch is None:
            return False
        try:
            api.json_patch(facts.kubevirt_path, patch, rehearse=rehearse)
        except Conflict:
            continue
        except ApiError as error:
            # virt-operator's own; while its certificate is renewed it fails for a moment (kubevirt/kubevirt#4698, #15210)
            if not error.of_webhook or attempt == ATTEMPTS:
                raise
            clock.pause(WEBHOOK_PAUSE)
            continue
        return True
    raise ClusterError(f"{facts.kubevirt_name} changes faster than it can be written. Find out who writes to it.")


def is_in_doubt(error: ClusterError) -> bool:
    """Whether a write that ended with this error may have been carried out all the same."""
    if isinstance(error, ApiError):
        return error.status >= 500 and not error.of_webhook
    return isinstance(error, Unreachable)
