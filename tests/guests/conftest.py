# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests of real guests follow one another on one lab: when one fails, those after it show nothing."""

from __future__ import annotations

from collections.abc import Generator

import pytest

FAILED = pytest.StashKey[str]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember of the file that a test of it has failed."""
    report = yield
    if report.failed and item.parent:
        item.parent.stash.setdefault(FAILED, item.name)
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail at once where an earlier step on the same lab has failed."""
    earlier = item.parent.stash.get(FAILED, "") if item.parent else ""
    if earlier:
        pytest.fail(f"not run, because {earlier} has failed before it on the same lab", pytrace=False)
