# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Which clusters the hosts of an inventory are, and what of that keeps a run from beginning."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from .day_window import day_window

_SIZE = re.compile(r"[1-9]\d*|(?:[1-9]\d?|100)%")
_COUNT = re.compile(r"\d+", re.ASCII)


def doubts_about(
    uids: Mapping[str, str],
    windows: Mapping[str, str],
    waves: Sequence[object],
    counts: Mapping[str, Collection[str]],
) -> list[str]:
    """Why nothing may be written, a sentence or two each; empty when all is clear.

    Args:
        uids: Of each host the UID that its cluster is expected to have, empty where none is given.
        windows: Of each host the window of the day in which it may begin; empty means at any time.
        waves: The sizes of the waves.
        counts: Of each variable that is a whole number what the hosts have in it; empty means nothing.
    """
    return [*_nameless(uids), *same_clusters(uids), *_meaningless(windows), *_boundless(waves), *_countless(counts)]


def inventory_lines(uids: Mapping[str, str], expected: Mapping[str, str]) -> list[str]:
    """What belongs into the inventory, as lines of YAML; empty where it is there already.

    Args:
        uids: Of each host the UID that was read, empty where the cluster could not be read.
        expected: Of each host the UID that the inventory expects.
    """
    same = [*same_clusters(uids)]
    if same:
        return same
    if all(expected.get(host) for host in uids):
        return []
    lines = [
        f"    {host}: {{kubevirt_expected_cluster_uid: {uid}}}" if uid else f"    # {host} could not be read"
        for host, uid in uids.items()
    ]
    return ["# For the inventory, beside what it says already:", "kubevirt_clusters:", "  hosts:", *lines]


def same_clusters(uids: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each cluster that more than one host means; ``uids`` has one of each host, empty where it is not known."""
    for uid in dict.fromkeys(filter(None, uids.values())):
        hosts = [host for host, its in uids.items() if its == uid]
        if len(hosts) > 1:
            yield f"{' and '.join(hosts)} are the same cluster (uid {uid}). Leave one of them, or correct its kubeconfig, context and UID."


def _nameless(uids: Mapping[str, str]) -> Iterator[str]:
    without = [host for host, uid in uids.items() if not uid]
    if without and len(uids) > 1:
        yield (
            f"Of {len(uids)} hosts, these do not say which cluster they are: {', '.join(without)}. Give each its "
            "kubevirt_expected_cluster_uid in the inventory; the playbook kubevirt.lifecycle.status, with the same inventory, "
            "prints the lines to put there."
        )


def _meaningless(windows: Mapping[str, str]) -> Iterator[str]:
    for host, window in windows.items():
        if window and day_window(window) is None:
            yield f"kubevirt_window of {host}: {window!r} is no window of the day. Write it as 22:00-04:00, in UTC."


def _boundless(waves: Sequence[object]) -> Iterator[str]:
    """Ansible takes a size of 0, and what it cannot read, for everything at once."""
    wrong = [str(size) for size in waves if not _SIZE.fullmatch(str(size))]
    if wrong or not waves:
        yield (
            f"kubevirt_serial: {', '.join(wrong) or 'an empty list'} is no size of a wave. "
            "Write numbers of clusters, or shares such as 25%."
        )


def _countless(counts: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Jinja's filter int makes 0 of what it cannot read."""
    for name, values in counts.items():
        wrong = sorted(value for value in values if value and not _COUNT.fullmatch(value))
        if wrong:
            yield f"{name}: {', '.join(wrong)} is no whole number of 0 or more."
