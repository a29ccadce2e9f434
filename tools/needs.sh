#!/usr/bin/env bash
# Refuse in one sentence what this machine cannot do: needs.sh python|lab
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

needs_python() {
    command -v "${PYTHON:-python3}" >/dev/null ||
        die "Python 3.11 or later is needed: install it, or say where it is with PYTHON=/path/to/python3."
    "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "Python 3.11 or later is needed and this is $("${PYTHON:-python3}" -V): say where one is with PYTHON=/path/to/python3."
}

needs_lab() {
    [[ $(uname -s) == Linux ]] ||
        die "the lab runs on Linux only: use a Linux machine, or run 'make unit' here."
    ((EUID == 0)) ||
        die "the lab needs root for its network namespace and containers: run it as root (sudo), or run 'make unit'."
    # Go says itself whether it is new enough for these files.
    (cd tests/lab/build/pause && go list -m) >/dev/null 2>&1 ||
        die "the lab builds Kubernetes and KubeVirt with Go: install Go 1.24 or later and put it on PATH, or run 'make unit'."
}

for need in "$@"; do
    "needs_$need"
done
