#!/usr/bin/env bash
# Unit tests, and which lines and branches of knowledge/ and operations/ they do not reach. Arguments go to pytest.
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$ROOT/tools/setup.sh" unit
pytest tests/unit --cov --numprocesses 2 "$@"
# What is known needs no cluster, so all of it can be tested here.
coverage report --include 'plugins/module_utils/knowledge/*' --fail-under 100 >/dev/null ||
    die "the unit tests do not reach all of knowledge/; the lines are named above."
