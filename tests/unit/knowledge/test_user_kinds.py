# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kinds of users, and how they agree with what others know of KubeVirt's groups."""

from __future__ import annotations

from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.marks import GROUPS
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.user_kinds import (
    FOREIGN_GROUPS,
    USER_KINDS,
    VMS,
    kind_of,
)


def test_the_groups_are_those_whose_crds_are_removed() -> None:
    assert {one.group for one in USER_KINDS} == GROUPS
    assert not GROUPS & FOREIGN_GROUPS.keys()


def test_each_kind_is_there_once_and_is_found() -> None:
    assert len({(one.group, one.resource) for one in USER_KINDS}) == len(USER_KINDS)
    assert kind_of("kubevirt.io", "virtualmachines") == VMS
    assert kind_of("kubevirt.io", "kubevirts") is None
