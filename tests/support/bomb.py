# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small YAML text whose aliases make more of it than any memory holds, if they are followed."""

from __future__ import annotations

ITEMS = [
    "&a0 [x, x, x, x, x, x, x, x, x, x]",
    *(f"&a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 30)),
]
"""Each is ten times the one before."""

BOMB = "".join(f"- {item}\n" for item in ITEMS)
