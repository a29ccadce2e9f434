#!/usr/bin/env bash
# The molecule scenarios on the lab; each brings up a lab of its own. Arguments go to "molecule test".
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$ROOT/tools/needs.sh" python lab
"$ROOT/tools/setup.sh" molecule
# Without -c, molecule would not find the inventory, match no host and call that a success.
exec molecule -c molecule/config.yml test "${@:---all}"
