# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The limit on watched files is raised where it is too low, and left where it is higher."""

from __future__ import annotations

from pathlib import Path

import pytest
from kvlab import watches


@pytest.mark.parametrize(("before", "after"), [("128\n", "1024"), ("1024\n", "1024"), ("8192\n", "8192")])
def test_the_limit(tmp_path: Path, before: str, after: str) -> None:
    setting = tmp_path / "max_user_instances"
    setting.write_text(before)
    watches.allow_enough(setting)
    assert setting.read_text().strip() == after
