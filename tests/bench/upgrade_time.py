# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long the upgrade takes, against how long KubeVirt itself takes: from our write of virt-operator to KubeVirt's own "done"."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import parse_qs, urlparse

from tests.bench.runs import Hop
from tests.bench.table import Figure
from tests.bench.watcher import Event
from tests.support.kubevirt import TO
from tests.support.lab import Json

HOLD = 15.0
"""For so many seconds the upgrade looks on after all is done."""
GOAL = 1.05
DONE = {"Available": "True", "Progressing": "False", "Degraded": "False", "Created": "True"}


def figures(hop: Hop) -> list[Figure]:
    """Of the task alone, and of the whole playbook with its start and the look at the cluster before."""
    own = done_for_good(hop.events) - applied(hop.requests)
    task, playbook = seconds_of_task(hop) - HOLD, hop.played.usage.seconds - HOLD
    return [
        Figure("from the write of virt-operator to KubeVirt's own done", own, "s"),
        Figure("task kubevirt_upgrade, without the hold", task, "s"),
        Figure("whole playbook, without the hold", playbook, "s"),
        Figure("task ÷ KubeVirt's own time", task / own, goal=GOAL),
        Figure("whole playbook ÷ KubeVirt's own time", playbook / own, goal=GOAL),
    ]


def applied(requests: Sequence[Json]) -> float:
    """When the API server got the manifest's virt-operator."""
    (write,) = [event for event in requests if is_the_write(event)]
    return datetime.fromisoformat(write["requestReceivedTimestamp"].replace("Z", "+00:00")).timestamp()


def is_the_write(event: Json) -> bool:
    """Whether it is the server-side apply of virt-operator, and not its dry run or the move of fields before it."""
    address = urlparse(event["requestURI"])
    asked = parse_qs(address.query)
    return (
        event["verb"] == "patch"
        and address.path.endswith("/deployments/virt-operator")
        and "force" in asked
        and "dryRun" not in asked
    )


def done_for_good(events: Sequence[Event]) -> float:
    """When the watcher saw that KubeVirt had become done, for the last time."""
    since: float | None = None
    for event in events:
        if event.source == "kubevirt":
            since = (since or event.at) if is_done(event.object) else None
    assert since is not None, "the watcher never saw that KubeVirt was done"
    return since


def is_done(kubevirt: Json) -> bool:
    """Whether KubeVirt says of itself that it is wholly at the new version."""
    status = kubevirt.get("status", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    return (
        {type: conditions.get(type, {}).get("status") for type in DONE} == DONE
        and conditions["Available"].get("reason") == "AllComponentsReady"
        and status.get("observedKubeVirtVersion") == status.get("targetKubeVirtVersion") == TO
        and status.get("observedGeneration") == kubevirt["metadata"]["generation"]
    )


def seconds_of_task(hop: Hop) -> float:
    """From the headline of the task to that of the next one."""
    headlines = [line for line in hop.played.lines if line.text.startswith(("TASK [", "PLAY RECAP"))]
    number = next(i for i, line in enumerate(headlines) if "kubevirt_upgrade : Upgrade KubeVirt" in line.text)
    return headlines[number + 1].at - headlines[number].at
