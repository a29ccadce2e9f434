#!/usr/bin/env bash
# Measure what many clusters cost, on simulated API servers, and print a table: bench-fleet.sh [--save] [--clusters 200]
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$ROOT/tools/needs.sh" lab
"$ROOT/tools/setup.sh" unit
say "Building what the release manifests come from, as far as it is lacking." >&2
python tests/lab build kubevirt-v1.7.0 kubevirt-v1.8.4
export PYTHONPATH=$COLLECTIONS
exec python -m tests.bench.fleet "$@"
