# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Print the table of the last runs, or put it into docs/real-guests.md with the recorded run: python -m tests.guests [--save]"""

from __future__ import annotations

import sys

from tests.guests import page


def main(arguments: list[str]) -> None:
    if arguments not in ([], ["--save"]):
        sys.exit(__doc__)
    print(page.save_table())
    if arguments:
        page.save_page()


if __name__ == "__main__":
    main(sys.argv[1:])
