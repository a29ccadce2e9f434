# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/benchmarks.md, and what stands above its tables."""

from __future__ import annotations

import os
import platform
import re
import time
from importlib.metadata import version

from tests.support.kubevirt import FROM, TO
from tests.support.lab import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"


def machine() -> str:
    """When and where this is measured."""
    versions = ", ".join(f"{package} {version(package)}" for package in ("ansible-core", "kubernetes"))
    return (
        f"{time.strftime('%Y-%m-%d')}, KubeVirt {FROM} to {TO}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before, "
        f"Python {platform.python_version()}, {versions}."
    )


def how_long(started: float) -> str:
    """How long it took since then, by the clock of ``time.monotonic()``."""
    return f"The run took {(time.monotonic() - started) / 60:.0f} minutes; load {os.getloadavg()[0]:.1f} after it."


def put_into_page(name: str, text: str) -> None:
    """Put what was measured between the page's markers of this name."""
    PAGE.write_text(with_part(PAGE.read_text(), name, text))


def with_part(page: str, name: str, text: str) -> str:
    """The page with the text between its markers of this name."""
    between = re.compile(rf"(?<=<!-- {name} -->\n).*(?=<!-- end of {name} -->)", re.DOTALL)
    assert between.search(page), f"the page has no markers of {name}"
    return between.sub(lambda _old: f"\n{text}\n", page)
