# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests of real guests follow one another on one lab: when one fails, those after it show nothing."""

from __future__ import annotations

import pytest

FAILED = pytest.StashKey[str]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    """Remember on the module that a test has failed."""
    report = (yield).get_result()
    if report.failed and item.parent:
        item.parent.stash[FAILED] = item.name


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail at once where an earlier step of the same lab failed."""
    earlier = item.parent.stash.get(FAILED, "") if item.parent else ""
    if earlier:
        pytest.fail(f"not run, because {earlier} failed before it on the same lab")
