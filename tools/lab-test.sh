#!/usr/bin/env bash
# Contract and lab tests, against the real Kubernetes and KubeVirt of tests/lab. Arguments go to pytest.
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$ROOT/tools/needs.sh" lab
"$ROOT/tools/setup.sh" unit
exec pytest tests/lab tests/contract tests/cluster "$@"
