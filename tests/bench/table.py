# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Figures, and how they are printed."""

from __future__ import annotations

import typing as t
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """Something measured, and the most that it should be."""

    name: str
    value: float
    unit: str = ""
    goal: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether it is no more than it should be."""
        return self.goal is None or self.value <= self.goal

    @property
    def row(self) -> tuple[str, str, str, str]:
        if self.goal is None:
            return (self.name, worded(self.value, self.unit), "", "")
        met = "met" if self.is_met else "**not met**"
        return (self.name, worded(self.value, self.unit), f"at most {worded(self.goal, self.unit)}", met)


def worded(value: float, unit: str = "") -> str:
    """A number with as many digits as say something."""
    digits = 3 if value < 1 else 2 if value < 10 else 1
    number = str(int(value)) if value == int(value) else f"{value:.{digits}f}"
    return f"{number} {unit}".strip()


def figures_table(figures: Sequence[Figure]) -> str:
    """Each figure, its goal, and whether that is met."""
    return markdown(("figure", "value", "goal", ""), [figure.row for figure in figures])


def markdown(head: Sequence[str], rows: Sequence[Sequence[t.Any]]) -> str:
    """A table as Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
