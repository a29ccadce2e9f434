# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All measurements, one after the other, and their table: python -m tests.bench [--save]

--save puts the table into docs/benchmarks.md.
"""

from __future__ import annotations

import os
import platform
import re
import signal
import sys
import time
from importlib.metadata import version

from tests.bench import cpu, growth, lag, request_count, upgrade_time
from tests.bench.runs import FOLDER, lab_with_kubevirt, upgraded
from tests.bench.table import figures_table
from tests.support.kubevirt import FROM, TO
from tests.support.lab import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
TABLES = re.compile(r"(?<=<!-- tables -->\n).*(?=<!-- end of tables -->)", re.DOTALL)


def tables() -> str:
    """What was measured, as Markdown."""
    started, about = time.monotonic(), machine()
    with lab_with_kubevirt("bench") as running:
        models = growth.models_of(running)
        hop = upgraded(running)
    growths = growth.growth(models)
    measurements = [
        *upgrade_time.figures(hop),
        *request_count.figures(hop),
        *lag.figures(hop),
        *cpu.figures(hop),
        *growth.figures(growths),
    ]
    about += f" The run took {(time.monotonic() - started) / 60:.0f} minutes; load {os.getloadavg()[0]:.1f} after it."
    return f"{about}\n\n{figures_table(measurements)}\n\n{growth.growth_table(growths)}\n"


def machine() -> str:
    """When and where this is measured."""
    versions = ", ".join(f"{package} {version(package)}" for package in ("ansible-core", "kubernetes"))
    return (
        f"{time.strftime('%Y-%m-%d')}, KubeVirt {FROM} to {TO}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before, "
        f"Python {platform.python_version()}, {versions}."
    )


def save(text: str) -> None:
    """Put the tables into the page."""
    page = PAGE.read_text()
    PAGE.write_text(TABLES.sub(lambda _old: f"\n{text}\n", page))


def main(*options: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped by SIGTERM"))  # so that the labs go
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = tables()
    print(text)
    if "--save" in options:
        save(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
