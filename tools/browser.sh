#!/usr/bin/env bash
# Reports, and the pages of modules and roles, in a real browser; the screenshots are in build/fleet-report/ and build/docs/ then.
# Arguments go to pytest.
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$ROOT/tools/setup.sh" unit browser
"$ROOT/tools/docs.sh"
exec pytest tests/browser "$@"
