# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What fails while a hop is waited for, the likely cause first.

This is the front: ``symptoms`` has what objects show, ``failing_pods`` and ``operator_failures`` what that means,
``standstill`` what is looked for once at the end, ``tolerance`` how long each may last.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable, Mapping, Sequence

from . import failing_pods
from .operator_failures import deletion, deployment_failure
from .standstill import strategy_loop
from .symptoms import Trouble, pods_that_count, troubles
from .tolerance import Failing, failing

Object = Mapping[str, t.Any]


def failures(
    kubevirt: Object,
    *,
    deployments: Sequence[Object],
    pods: Iterable[Object],
    strategy_loaded: bool,
    completed_jobs: int = 0,
    operator_is_to_come: bool = True,
    last_line_of: Callable[[Trouble], str] = lambda _crash: "",
) -> list[Failing]:
    """What fails now, the likely cause first.

    Args:
        kubevirt: The KubeVirt object.
        deployments: The Deployments that count, virt-operator's too.
        pods: The pods in its namespace.
        strategy_loaded: Whether virt-operator has read the target's install strategy.
        completed_jobs: How many Jobs that work it out were seen to complete.
        operator_is_to_come: Whether the Deployment virt-operator is of the wanted version.
        last_line_of: Gives the last line that a container which crashes has logged.
    """
    target = (kubevirt.get("status") or {}).get("targetDeploymentID")
    counting = pods_that_count(pods, target, strategy_loaded=strategy_loaded)
    found = [*troubles(counting)]
    crashes = failing_pods.crashes(found)
    of_the_parts = (
        failing_pods.image_pull_failure(found),
        failing_pods.not_created(found),
        failing_pods.crash_loop(crashes, last_line_of(crashes[0]) if crashes else ""),
        failing_pods.pods_refused(deployments),
        failing_pods.no_node(counting),
        strategy_loop(kubevirt["metadata"].get("namespace", ""), 0 if strategy_loaded else completed_jobs),
    )
    return [
        *filter(None, [deletion(kubevirt)]),
        *(failing(one) for one in of_the_parts if one),
        *filter(None, [deployment_failure(kubevirt, operator_is_to_come=operator_is_to_come)]),
    ]
