# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The upgrade of many simulated clusters in one run, and its table: python -m tests.bench.fleet [--save] [--clusters 200]

It ends with 1 when a figure does not hold. --save puts the table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.bench.cpu import KUBERNETES_CORE
from tests.bench.fleet.budget import SERIAL, begun_too_late, budget, failing, waves
from tests.bench.fleet.fleet import Fleet, simulated
from tests.bench.fleet.waiting import Batch, Look, largest_batch, looking
from tests.bench.measured import Usage
from tests.bench.page import how_long, machine, put_into_page
from tests.bench.runs import FOLDER, play, play_file, program, say
from tests.bench.table import Figure, figures_table
from tests.support.kubevirt import TO
from tests.support.lab import Json

COMPARED = 5
"""How many clusters are upgraded with kubernetes.core too."""
SOAK = 10
"""Seconds after each wave, in which nothing happens here."""
CPU_GOAL, MEMORY_GOAL = 0.1, 20.0


@dataclass(frozen=True)
class Upgraded:
    """One run of the playbook upgrade over the fleet.

    Attributes:
        usage: What ansible-playbook took.
        batch: The most clusters that it has waited for at the same time.
        states: What became of each cluster, by the playbook's own report.
        written: The numbers of the clusters that were written to, by their API servers.
    """

    usage: Usage
    batch: Batch
    states: Sequence[str]
    written: Sequence[int]


def main(*arguments: str) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped by SIGTERM"))  # so that the API servers go
    asked = options(arguments)
    FOLDER.mkdir(parents=True, exist_ok=True)
    started, about = time.monotonic(), machine()
    figures = measured_figures(asked.clusters)
    text = f"{about} {how_long(started)}\n\n{figures_table(figures)}\n"
    print(text)
    if asked.save:
        put_into_page("fleet", text)
    return 0 if all(figure.is_met for figure in figures) else 1


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="bench-fleet", allow_abbrev=False)
    parser.add_argument("--clusters", type=int, default=200, help="how many (200; at least 20)")
    parser.add_argument("--save", action="store_true", help="put the table into docs/benchmarks.md")
    return parser.parse_args(arguments)


def measured_figures(count: int) -> list[Figure]:
    """Both runs."""
    names = [f"c{number:03}" for number in range(count)]
    compared = [f"core{number}" for number in range(COMPARED)]
    with simulated(FOLDER / "fleet", [*names, *compared], [names[number] for number in failing(count)]) as fleet:
        theirs = upgraded_with_kubernetes_core(fleet, compared)
        ours = upgraded(fleet, names)
    return figures_of(count, ours, theirs)


def upgraded(fleet: Fleet, names: Sequence[str]) -> Upgraded:
    """The whole fleet by our playbook."""
    count = len(names)
    report = fleet.folder / "report"
    variables = {
        "kubevirt_version": TO,
        "kubevirt_manifest": fleet.manifest,
        "kubevirt_serial": SERIAL,
        "kubevirt_wave_soak": SOAK,
        "kubevirt_wave_failure_budget": budget(count),
        "kubevirt_report_dir": str(report),
    }
    forks = max(map(len, waves(count)))
    inventory = fleet.inventory(names, "clusters")
    say(f"Upgrading {count} clusters in {len(waves(count))} waves of at most {forks}.")
    looks: list[Look] = []
    played = play(
        [
            program(),
            "kubevirt.lifecycle.upgrade",
            "-i",
            str(inventory),
            "--forks",
            str(forks),
            "-e",
            json.dumps(variables),
        ],
        code=2,
        beside=lambda pid: looking(pid, looks),
    )
    (fleet.folder / "output").write_text("\n".join(line.text for line in played.lines))
    hosts: Mapping[str, Json] = json.loads((report / "report.json").read_text())["hosts"]
    written = [number for number, name in enumerate(names) if fleet.writes(name)]
    return Upgraded(played.usage, largest_batch(looks, played.lines), [hosts[name]["state"] for name in names], written)


def upgraded_with_kubernetes_core(fleet: Fleet, names: Sequence[str]) -> Usage:
    """The same steps with the modules of kubernetes.core, all clusters at once."""
    say(f"Upgrading {len(names)} clusters with kubernetes.core.")
    inventory = fleet.inventory(names, "compared")
    forks = ("-i", str(inventory), "--forks", str(len(names)))
    return play_file(
        KUBERNETES_CORE, None, *forks, clusters="all", kubevirt_version=TO, kubevirt_manifest=fleet.manifest
    ).usage


def figures_of(count: int, ours: Upgraded, theirs: Usage) -> list[Figure]:
    """The table's rows."""
    done = ours.states.count("done")
    failed = [number for number, state in enumerate(ours.states) if state == "failed"]
    unexpected = [*(number for number in failed if number not in failing(count))]
    too_late = begun_too_late(count, failed, ours.written)
    assert len(failed) > budget(count), "the failure budget was not spent, so this shows nothing"
    each = ours.batch.mb / ours.batch.waiting
    per_cluster, of_theirs = ours.usage.cpu / done, theirs.cpu / COMPARED
    return [
        Figure("clusters in the run", count),
        Figure("made to fail", len(failing(count))),
        Figure("upgraded", done),
        Figure("failed", len(failed)),
        Figure("failed without being made to", len(unexpected), goal=0),
        Figure("not begun, since more than the failure budget had failed", ours.states.count("not-begun")),
        Figure("written to in waves after the budget was spent", len(too_late), goal=0),
        Figure("time of the run", ours.usage.seconds / 60, "min"),
        Figure("CPU of the run, for each cluster that was upgraded", per_cluster, "s"),
        Figure(f"CPU of the same steps with kubernetes.core, for each of {COMPARED} clusters", of_theirs, "s"),
        Figure("CPU for each cluster, ours ÷ kubernetes.core", per_cluster / of_theirs, goal=CPU_GOAL),
        Figure("clusters that are waited for at the same time, at most", ours.batch.waiting),
        Figure("PSS for each of them, ansible-playbook itself included", each, "MB", goal=MEMORY_GOAL),
    ]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
