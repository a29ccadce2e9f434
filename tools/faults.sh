#!/usr/bin/env bash
# Play every fault in every phase of an upgrade, and write docs/fault-matrix.md: faults.sh [--missing | WORD…]
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$ROOT/tools/needs.sh" lab
"$ROOT/tools/setup.sh" unit faults
say "Building what the lab lacks (the first time some 15 minutes)."
python tests/lab build
export PYTHONPATH=$COLLECTIONS
exec python -m tests.faults "$@"
