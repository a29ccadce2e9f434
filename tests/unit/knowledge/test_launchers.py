# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which live migrations are not finished."""

from __future__ import annotations

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import launchers


@pytest.mark.parametrize(
    ("status", "finished"),
    [
        ({"phase": "Succeeded"}, True),
        ({"phase": "Failed"}, True),
        ({"phase": "Pending"}, False),
        ({"phase": "Scheduling"}, False),
        ({"phase": "Running"}, False),
        ({"phase": "WaitingForSync"}, False),
        ({"phase": ""}, False),
        ({}, False),
        (None, False),
    ],
)
def test_unfinished_migrations(status: dict[str, str] | None, finished: bool) -> None:
    migration = {"metadata": {"namespace": "shop", "name": "web-1"}, "status": status}
    assert launchers.unfinished_migrations([migration]) == ([] if finished else ["shop/web-1"])


def test_migration_that_nobody_has_seen_yet() -> None:
    migration = {"metadata": {"namespace": "shop", "name": "web-1"}}
    assert launchers.unfinished_migrations([migration]) == ["shop/web-1"]
