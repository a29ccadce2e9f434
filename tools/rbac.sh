#!/usr/bin/env bash
# Write docs/rbac: the roles of the playbooks, from the table in tests/rbac/roles.py.
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$ROOT/tools/setup.sh" unit
export PYTHONPATH=$COLLECTIONS
exec python -m tests.rbac
