# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every known failure of a removal has a row in docs/removal-failures.md that says what becomes of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import CATALOGUE

UTILS = Path(__file__).resolve().parents[2] / "plugins/module_utils"
TABLE = (Path(__file__).resolve().parents[2] / "docs/removal-failures.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in TABLE.splitlines() if line.startswith("| ")]
# What people reported of removals and reinstallations; of another project than kubevirt/kubevirt where one is named.
REPORTED = (
    *("#1491", "#2605", "#2606", "#2427", "#2090", "#2961", "#3006", "#5572", "#7613", "#8131", "#9645", "#9735", "#10907"),
    *("#13098", "#14837", "#4185", "kubevirt/user-guide#367", "#7064", "#9725", "#13921", "#2976", "#11571", "#11688"),
    *("kubevirt/hyperconverged-cluster-operator#593", "okd-project/okd#193", "#15380", "#15770"),
    *("kubevirt/hyperconverged-cluster-operator#3007", "deckhouse/virtualization#241", "KBVE/kbve#15305"),
)  # fmt: skip
RAISED_BY = ("stuck.py", "stuck_objects.py", "stuck_services.py")


@pytest.mark.parametrize("issue", REPORTED)
def test_what_was_reported_has_one_row_with_what_is_done(issue: str) -> None:
    rows = [row for row in ROWS if row[0] == issue]
    assert len(rows) == 1 and len(rows[0]) == 3 and all(rows[0]), rows


def test_the_tables_name_ids_of_the_catalogue_only() -> None:
    assert [
        id for id in re.findall(r"`((?:remove|owner|kubevirt|leftover)\.[a-z0-9-]+)`", TABLE) if id not in CATALOGUE
    ] == []


def raised() -> list[str]:
    return sorted(
        {
            id
            for name in RAISED_BY
            for id in re.findall(r'"(remove\.[a-z-]+)"', (UTILS / "knowledge" / name).read_text())
        }
    )


@pytest.mark.parametrize("id", raised())
def test_what_blocks_a_deletion_has_a_row(id: str) -> None:
    assert id in CATALOGUE
    assert any(f"`{id}`" in cell for row in ROWS for cell in row)
