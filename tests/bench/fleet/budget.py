# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which clusters fail, how many may, and which ones were begun although no wave was to begin any more."""

from __future__ import annotations

from collections.abc import Collection, Sequence

ONE_IN = 20
"""One in so many clusters fails: 5 %."""
SERIAL = (1, "5%", "25%")
"""The sizes of the waves: the playbooks' own."""


def failing(count: int) -> list[int]:
    """The numbers of the clusters that are made to fail, evenly over the fleet; none is the canary."""
    return [*range(ONE_IN // 2, count, ONE_IN)]


def waves(count: int) -> list[range]:
    """The numbers of each wave's clusters, as Ansible cuts them."""
    cut: list[range] = []
    while not cut or cut[-1].stop < count:
        size = SERIAL[min(len(cut), len(SERIAL) - 1)]
        wanted = size if isinstance(size, int) else max(1, int(size.rstrip("%")) * count // 100)
        begin = cut[-1].stop if cut else 0
        cut.append(range(begin, min(begin + wanted, count)))
    return cut


def budget(count: int) -> int:
    """A failure budget that is spent before the last wave, and as late as that allows."""
    *before, _last = waves(count)
    return sum(number in wave for wave in before for number in failing(count)) - 1


def begun_too_late(count: int, failed: Collection[int], written: Sequence[int]) -> list[int]:
    """Of the clusters to which something was written, those of waves that begin after the budget was spent."""
    failures = 0
    for wave in waves(count):
        if failures > budget(count):
            return [number for number in written if number >= wave.start]
        failures += sum(number in failed for number in wave)
    return []
