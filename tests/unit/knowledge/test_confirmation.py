# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The phrase that lets VMs and disks go: what it covers, and what is said of one that does not."""

from __future__ import annotations

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.confirmation import (
    Counted,
    check_phrase,
    difference,
    phrase,
)

HERE = "0000-1111"


def test_the_phrase_names_the_cluster_and_the_numbers() -> None:
    assert phrase(HERE, Counted(12, 3)) == "0000-1111:12 VMs:3 disks"
    assert phrase(HERE, Counted(1, 0)) == "0000-1111:1 VMs:0 disks"


@pytest.mark.parametrize(
    ("given", "there", "expected"),
    [
        ("0000-1111:2 VMs:3 disks", Counted(2, 3), ""),
        ("0000-1111:2 VMs:3 disks", Counted(1, 0), ""),
        ("0000-1111:2 VMs:3 disks", Counted(0, 0), ""),
        ("0000-1111:2 VMs:3 disks", Counted(3, 3), "it is for 2 VMs, and there are 3"),
        ("0000-1111:2 VMs:3 disks", Counted(2, 4), "it is for 3 disks, and there are 4"),
        (
            "0000-1111:2 VMs:3 disks",
            Counted(9, 9),
            "it is for 2 VMs, and there are 9; it is for 3 disks, and there are 9",
        ),
        (
            "2222-3333:2 VMs:3 disks",
            Counted(2, 3),
            "it is for the cluster with the UID 2222-3333, and this one has 0000-1111",
        ),
    ],
)
def test_what_it_does_not_cover(given: str, there: Counted, expected: str) -> None:
    assert difference(given, HERE, there) == expected


@pytest.mark.parametrize(
    "given",
    [
        "yes",
        "",
        "0000-1111",
        "0000-1111:2:3",
        "2 VMs:3 disks",
        "0000-1111:2 VMs",
        "0000-1111:-1 VMs:0 disks",
        "a:two VMs:3 disks",
    ],
)
def test_what_is_no_phrase(given: str) -> None:
    with pytest.raises(ValueError, match="is not of the form CLUSTER-UID:N VMs:N disks"):
        check_phrase(given)


def test_nothing_is_at_stake_without_vms_and_disks() -> None:
    assert not Counted(0, 0)
    assert Counted(1, 0) and Counted(0, 1)
