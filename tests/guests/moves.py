# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Moving guests in a way that something can happen to them meanwhile."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from tests.guests.stage import GUESTS, NODES, Run, ask
from tests.support.kubevirt import wait_until
from tests.support.lab import Lab, Result
from tests.support.vms import migrations, told

CANARY, OTHER = GUESTS
SLOW = {
    "apiVersion": "migrations.kubevirt.io/v1alpha1",
    "kind": "MigrationPolicy",
    "metadata": {"name": "slow"},
    "spec": {
        "selectors": {"namespaceSelector": {"kubernetes.io/metadata.name": "default"}},
        "bandwidthPerMigration": "1Mi",
    },
}


def move(cluster: Lab, **params: t.Any) -> Result:
    """Move the guests, with no failure allowed."""
    asked = {"methods": ["LiveMigrate"], "widen": [100], "soak": 3, "failure_budget": 0, **params}
    return cluster.module("kubevirt_workload_update", asked)


@contextmanager
def slow_migrations(run: Run) -> Iterator[None]:
    """The canary changes its memory faster than a policy lets it be copied, so its migration does not come to an end."""
    run.cluster.apply(SLOW)
    ask(run.cluster, run.addresses[CANARY], "/write?mebibytes=32")
    try:
        yield
    finally:
        ask(run.cluster, run.addresses[CANARY], "/write?mebibytes=0")
        run.cluster.kubectl("delete", "migrationpolicy", "slow")


@contextmanager
def moving(cluster: Lab, **params: t.Any) -> Iterator[Future[Result]]:
    """A run under way, as soon as the canary's memory is being copied."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(move, cluster, **params)
        wait_until(lambda: future.done() or is_copied(cluster), 120)
        assert not future.done(), told(future.result())
        yield future


def is_copied(cluster: Lab) -> bool:
    """Whether a migration of ours has got as far as copying memory."""
    return any(one.get("status", {}).get("phase") == "Running" for one in migrations(cluster))


def other_node(node: str) -> str:
    return next(one for one in NODES if one != node)
