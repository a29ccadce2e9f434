# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plays the matrices and writes docs/fault-matrix.md: python -m tests.faults [--missing | WORD…]

With words, only the cells whose name has one of them; with --missing those that were not played yet or went wrong. The others
stay as they were played last, on this machine.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading

from tests.faults.matrix import Cell, Kill, cells, kills
from tests.faults.page import save
from tests.faults.play import Ending, play_all
from tests.faults.stage import FOLDER
from tests.support.lab import Json

STAGES = 3 * (os.cpu_count() or 1)
ENDINGS = FOLDER / "endings.json"


def main(*words: str) -> int:
    """0 when every cell ended as it should."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped by SIGTERM"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    everything: list[Cell | Kill] = [*cells(), *kills()]
    known: dict[str, Json] = json.loads(ENDINGS.read_text()) if ENDINGS.exists() else {}
    work = [one for one in everything if not words or any(word in one.key for word in words)]
    if words == ("--missing",):
        work = [one for one in everything if one.key not in known or known[one.key]["wrong"]]
    writing = threading.Lock()
    played: list[Ending] = []

    def note(ending: Ending) -> None:
        with writing:
            played.append(ending)
            known[ending.key] = ending.as_dict()
            ENDINGS.write_text(json.dumps(known, indent=1))
            print(
                f"{len(played)}/{len(work)} {ending.key}: {ending.end} {ending.says} ({ending.seconds:.0f} s)",
                flush=True,
            )
            for wrong in ending.wrong:
                print(f"    WRONG: {wrong}", flush=True)

    play_all(work, "faults", min(STAGES, len(work)), note)
    save(known)
    return 1 if any(ending.wrong for ending in played) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
