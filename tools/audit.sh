#!/usr/bin/env bash
# Known vulnerabilities of the Python packages that are tested together. It asks the index for them, so it is no part of
# "make test".
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$ROOT/tools/setup.sh" release
# All versions are in these files, so nothing is installed. --strict: a package that nobody knows of is not one without faults.
"$BUILD/venv-release/bin/pip-audit" --strict --no-deps --disable-pip -r tools/constraints.txt ||
    die "either a package above has to be renewed, or there was no answer about it: https://pypi.org is needed, with its
vulnerability reports (/pypi/NAME/VERSION/json), which mirrors of it lack."
