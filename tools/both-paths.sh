#!/usr/bin/env bash
# Every module in the controller's own process and as a module, on the given versions of ansible-core: both-paths.sh VERSION…
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# provide VERSION: a virtual environment with that ansible-core. The constraints are for the default one only.
provide() {
    local home=$BUILD/both-paths/$1 python
    [[ -e $home/ready ]] && return
    python=$(python_for "$1")
    say "Installing ansible-core $1 with $("$python" -V)."
    rm -rf "$home"
    "$python" -m venv "$home"
    grep -E '^(jmespath|kubernetes|pytest)==' tools/constraints.txt |
        xargs "$home/bin/pip" install -q "ansible-core==$1"
    touch "$home/ready"
}

(($#)) || die "name the versions of ansible-core, for example: both-paths.sh 2.16.19 2.21.5"
"$ROOT/tools/needs.sh" lab
"$ROOT/tools/setup.sh"
for version; do
    provide "$version"
    say "Both paths on ansible-core $version"
    "$BUILD/both-paths/$version/bin/pytest" tests/contract/test_both_paths.py
done
