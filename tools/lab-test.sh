#!/usr/bin/env bash
# The lab's own tests, then contract and lab tests against its real Kubernetes and KubeVirt. Arguments go to pytest;
# if the first one is a path, only that is run.
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$ROOT/tools/needs.sh" lab
"$ROOT/tools/setup.sh" unit faults
say "Building what the lab lacks (the first time some 15 minutes)."
python tests/lab build
if [[ -e ${1:-} ]]; then
    exec pytest "$@"
fi
# These look at the whole machine, so they are alone on it.
pytest tests/lab "$@" || (($? == 5))
# These measure how long guests do not answer, so they are alone on it too.
pytest tests/guests "$@" || (($? == 5))
# These mostly wait for roll-outs, so four at once need no more time than the longest; the longest come first.
exec pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder --durations 5 tests/cluster tests/faults tests/contract "$@"
