# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What is wrong with the value of an option can be said before the cluster is asked."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Callable, Collection, Mapping, Sequence

from ..knowledge.findings import nearest_id, unknown_ids
from ..knowledge.manifest import check_checksum, check_namespace, check_registry
from ..knowledge.objects import check_name
from .outcome import InvalidOption

LONGEST = 7 * 24 * 3600
"""Seconds of a timeout; more is a mistake, such as milliseconds."""

_CHECKS: Mapping[str, Callable[[str], None]] = {
    "image_registry": check_registry,
    "manifest_checksum": check_checksum,
    "manifest_namespace": check_namespace,
    "name": check_name,
    "namespace": check_namespace,
}


def check_options(params: Mapping[str, t.Any], of_the_user: Collection[str] = ()) -> None:
    """Refuse values that no cluster could take. Empty text is the same as an option that is left out.

    Args:
        params: The options.
        of_the_user: The ids of the user's own risks and gates, which can be accepted too.

    Raises:
        InvalidOption: Names the option, its value, and what is possible.
    """
    for option, value in params.items():
        if option in _CHECKS and value:
            try:
                _CHECKS[option](value)
            except ValueError as error:
                raise InvalidOption(f"{option}: {error} Nothing was done.") from error
        if option.endswith("_timeout") and not 1 <= value <= LONGEST:
            raise InvalidOption(
                f"{option}: {value} is not a number of seconds from 1 to {LONGEST} (7 days). Nothing was done."
            )
    _check_ids(params.get("accept", ()), of_the_user)


def check_directory(option: str, path: str, *, otherwise: str) -> None:
    """Refuse a directory into which nothing could be written. Nothing is written for that.

    Args:
        option: Whose value it is.
        path: The directory; it need not exist, if the one that it would be in does.
        otherwise: What can be done instead of naming another one.

    Raises:
        InvalidOption: It can neither be written into nor made.
    """
    path = os.path.abspath(path)
    parent = path if os.path.isdir(path) else os.path.dirname(path)
    if os.path.exists(path) and not os.path.isdir(path):
        why, fix = "is not a directory", "Name one"
    elif not os.path.isdir(parent):
        why = f"cannot be made, because {parent} does not exist or is no directory"
        fix = "Make that, or name another"
    elif not os.access(parent, os.W_OK | os.X_OK):
        why, fix = f"cannot be used, because this user may not write into {parent}", "Name another directory"
    else:
        return
    raise InvalidOption(f"{option}: {path} {why}. Nothing was done. {fix}, or {otherwise}.")


def _check_ids(accept: Sequence[str], of_the_user: Collection[str]) -> None:
    unknown = unknown_ids(accept, also=of_the_user)
    if unknown:
        nearest = nearest_id(unknown[0], also=of_the_user)
        perhaps = f" Did you mean {nearest}?" if nearest else ""
        raise InvalidOption(
            f"accept: {unknown[0]!r} is no finding id.{perhaps} Nothing was done. Take the ids from the findings of a run, or from "
            "docs/findings/."
        )
