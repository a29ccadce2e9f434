# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All measurements, one after the other, and their table: python -m tests.bench [--save]

--save puts the table into docs/benchmarks.md.
"""

from __future__ import annotations

import signal
import sys
import time

from tests.bench import cpu, growth, lag, request_count, upgrade_time
from tests.bench.page import how_long, machine, put_into_page
from tests.bench.runs import FOLDER, lab_with_kubevirt, upgraded
from tests.bench.table import figures_table


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
    about += f" {how_long(started)}"
    return f"{about}\n\n{figures_table(measurements)}\n\n{growth.growth_table(growths)}\n"


def main(*options: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped by SIGTERM"))  # so that the labs go
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = tables()
    print(text)
    if "--save" in options:
        put_into_page("tables", text)


if __name__ == "__main__":
    main(*sys.argv[1:])
