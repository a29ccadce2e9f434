# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a command and write down what it took: python -m tests.bench.measured FILE COMMAND…

A small process of its own, because the peak memory of a process begins with that of the one that started it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """What a command took: seconds of time, seconds of CPU with all its children, and MB of its largest process."""

    seconds: float
    cpu: float
    peak_mb: float


def measured(file: Path, command: list[str]) -> list[str]:
    """The command that runs ``command`` and writes its usage to ``file``."""
    return [sys.executable, "-m", "tests.bench.measured", str(file), *command]


def usage_in(file: Path) -> Usage:
    """What the measured command took."""
    return Usage(**json.loads(file.read_text()))


def main(file: str, *command: str) -> int:
    started = time.monotonic()
    process = subprocess.Popen(command)
    _pid, status, used = os.wait4(process.pid, 0)
    usage = Usage(time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
    Path(file).write_text(json.dumps(asdict(usage)))
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
