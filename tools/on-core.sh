#!/usr/bin/env bash
# pytest on another version of ansible-core: on-core.sh VERSION [ARGUMENTS OF PYTEST…]; without arguments the unit tests.
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# provide VERSION: a virtual environment with that ansible-core. Of the constraints only those on what tests call hold on every Python.
provide() {
    local home=$BUILD/on-core/$1 python
    [[ -e $home/ready ]] && return
    python=$(python_for "$1")
    say "Installing ansible-core $1 with $("$python" -V)."
    rm -rf "$home"
    "$python" -m venv "$home"
    "$home/bin/pip" install -q "ansible-core==$1" -r tools/requirements-unit.txt \
        -c <(grep -E '^(ansible-runner|jmespath|kubernetes|pytest|pytest-xdist)==' tools/constraints.txt)
    touch "$home/ready"
}

(($#)) || die "name a version of ansible-core, for example: on-core.sh 2.16.19"
version=$1
shift
(($#)) || set -- -q --numprocesses 2 tests/unit
"$ROOT/tools/setup.sh"
provide "$version"
say "pytest on ansible-core $version"
PATH=$BUILD/on-core/$version/bin:$PATH exec pytest "$@"
