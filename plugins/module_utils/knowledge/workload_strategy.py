# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. spec.workloadUpdateStrategy of the KubeVirt object: how virt-controller moves VMs by itself.

The field and its parts are those of staging/src/kubevirt.io/api/core/v1/types.go, from 0.39.0 on. The user guide once
called them batchEvictSize and batchEvictInterval, which an API server drops without a word.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from . import go_durations
from .versions import Version

LIVE_MIGRATE = "LiveMigrate"
EVICT = "Evict"
METHODS = (LIVE_MIGRATE, EVICT)
SINCE = Version(0, 39, 0)
DEFAULT_BATCH_SIZE = 10
DEFAULT_BATCH_INTERVAL = timedelta(minutes=1)

Object = Mapping[str, t.Any]
Patch = list[dict[str, t.Any]]

_PATH = "/spec/workloadUpdateStrategy"
_METHODS, _SIZE, _INTERVAL = "workloadUpdateMethods", "batchEvictionSize", "batchEvictionInterval"


@dataclass(frozen=True)
class Asked:
    """What is wanted of the strategy.

    Attributes:
        methods: ``LiveMigrate``, ``Evict``, both, or none.
        batch_size: How many VMs are evicted at a time; None leaves what is there.
        batch_interval: The time from one batch to the next; None leaves what is there.
    """

    methods: tuple[str, ...]
    batch_size: int | None = None
    batch_interval: timedelta | None = None


def strategy_of(kubevirt: Object) -> Object | None:
    """What is there; None where it is nothing. virt-operator writes a strategy that was removed back as an empty one."""
    return (kubevirt.get("spec") or {}).get("workloadUpdateStrategy") or None


def methods_of(strategy: Object | None) -> tuple[str, ...]:
    """The methods of a strategy."""
    return tuple((strategy or {}).get(_METHODS) or ())


def batch_size_of(strategy: Object | None) -> int:
    """How many VMs are evicted at a time."""
    size = (strategy or {}).get(_SIZE)
    return DEFAULT_BATCH_SIZE if size is None else int(size)


def batch_interval_of(strategy: Object | None) -> timedelta:
    """The time from one batch of evictions to the next; KubeVirt's default where it cannot be read."""
    interval = _interval(strategy)
    return DEFAULT_BATCH_INTERVAL if interval is None else interval


def wanted_strategy(now: Object | None, asked: Asked) -> Object | None:
    """``now`` with what is asked for, and everything else kept. It is ``now`` itself where that means the same already.

    The order of the methods means nothing, a missing list is an empty one, and 60s are 1m0s.
    """
    wanted = dict(now or {})
    if set(methods_of(now)) != set(asked.methods):
        wanted[_METHODS] = list(asked.methods)
    if asked.batch_size is not None:
        wanted[_SIZE] = asked.batch_size
    if asked.batch_interval is not None and _interval(now) != asked.batch_interval:
        wanted[_INTERVAL] = go_durations.written(asked.batch_interval)
    return now if wanted == dict(now or {}) else wanted


def strategy_patch(kubevirt: Object, wanted: Object | None) -> Patch:
    """Makes the strategy ``wanted``; None removes it. Fails as a conflict when somebody changes the object at the same time."""
    patch: Patch = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": kubevirt["metadata"]["resourceVersion"]}
    ]
    if wanted is None:
        return [*patch, {"op": "remove", "path": _PATH}]
    if kubevirt.get("spec") is None:
        patch.append({"op": "add", "path": "/spec", "value": {}})
    return [*patch, {"op": "add", "path": _PATH, "value": dict(wanted)}]


def in_words(strategy: Object | None) -> str:
    """The strategy for people; with its batches where there are evictions, or where somebody set them."""
    methods = " and ".join(methods_of(strategy)) or "no methods (running VMs stay on the launcher that started them)"
    if EVICT in methods_of(strategy) or {_SIZE, _INTERVAL} & set(strategy or {}):
        return (
            f"{methods}, {batch_size_of(strategy)} evictions every {go_durations.written(batch_interval_of(strategy))}"
        )
    return methods


def _interval(strategy: Object | None) -> timedelta | None:
    try:
        return go_durations.parse((strategy or {}).get(_INTERVAL) or "")
    except ValueError:
        return None
