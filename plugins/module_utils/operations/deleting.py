# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Deleting the very object that was seen, which others may write to at the same time."""

from __future__ import annotations

import contextlib

from ..cluster.api import Api
from ..cluster.errors import Conflict, NotFound
from .editing import ATTEMPTS


def delete_that_one(api: Api, path: str, uid: str) -> bool:
    """Delete the object at ``path`` if it still has this UID, and again where somebody else changes it just then.

    Returns:
        Whether we did, or may have done; False where it was gone, or another one has its name.

    Raises:
        ClusterError: The server refuses it or does not answer, or the object changes faster than it can be deleted.
    """
    for _attempt in range(ATTEMPTS - 1):
        with contextlib.suppress(Conflict):
            return _delete(api, path, uid)
        live = api.get_or_none(path)
        if live is None or live["metadata"]["uid"] != uid:
            return False
    return _delete(api, path, uid)


def _delete(api: Api, path: str, uid: str) -> bool:
    try:
        api.delete(path, uid=uid, propagation="Background")  # without it a Job leaves its pods
    except NotFound as error:
        return error.in_doubt
    return True
