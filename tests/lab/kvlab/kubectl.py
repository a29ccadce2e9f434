# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's own kubectl, from outside of the namespace."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from kvlab import builds
from kvlab.lab import Lab
from kvlab.processes import CommandFailed, run
from kvlab.waiting import NotYet


def command(lab: Lab, *arguments: str | Path) -> list[str | Path]:
    """The command line of kubectl as the lab's administrator."""
    return [builds.program("kubernetes", "kubectl"), f"--kubeconfig={lab.kubeconfig}", *arguments]


def kubectl(lab: Lab, *arguments: str | Path, stdin: str | None = None) -> str:
    """What kubectl prints."""
    return run(command(lab, *arguments), stdin=stdin)


def attempt(lab: Lab, *arguments: str | Path) -> str:
    """What kubectl prints; for conditions: its failure is a reason to try again."""
    try:
        return kubectl(lab, *arguments) or "done"
    except CommandFailed as failure:
        raise NotYet(failure.said) from failure


def get(lab: Lab, *arguments: str) -> dict[str, t.Any]:
    """An object, or a list of objects; for conditions, as :func:`attempt`."""
    return t.cast("dict[str, t.Any]", json.loads(attempt(lab, "get", *arguments, "-o", "json")))


def apply(lab: Lab, path: Path) -> None:
    """Server-side apply of a file."""
    kubectl(lab, "apply", "--server-side", "--force-conflicts", "-f", path)
