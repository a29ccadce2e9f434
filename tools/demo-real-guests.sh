#!/usr/bin/env bash
# Two guests that serve clients while KubeVirt is upgraded beneath them and they are moved; prints what the clients noticed.
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$ROOT/tools/needs.sh" python lab
"$ROOT/tools/setup.sh" unit run
say "Building what the lab lacks (the first time some 20 minutes)."
code=0
pytest -s -q tests/guests/test_real_guests.py || code=$?
if ((code)); then
    say "The demo FAILED after $SECONDS s." >&2
else
    say "The demo passed in $SECONDS s."
fi
exit "$code"
