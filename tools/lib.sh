# What all scripts of this folder share: the places, the words, the clock. Sourced, never run.
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$ROOT/build
VENV=$BUILD/venv
# The tree that Ansible, pytest and mypy look into: ours is a link to the clone, kubernetes.core is vendored beside it.
COLLECTIONS=$BUILD/collections
OURS=$COLLECTIONS/ansible_collections/kubevirt/lifecycle
# ansible-lint and ansible-test leave copies of the collection under HOME, which later runs would find first.
SCRATCH_HOME=$BUILD/home

export PATH=$VENV/bin:$PATH
export ANSIBLE_HOME=$BUILD/ansible
export ANSIBLE_COLLECTIONS_PATH=$COLLECTIONS
export PIP_DISABLE_PIP_VERSION_CHECK=1

cd "$ROOT"

say() { printf '%s\n' "$*"; }
die() { printf 'Error: %s\n' "$*" >&2; exit 1; }

# stage TITLE COMMAND…: run the command under a one-line header, and say how long it took.
stage() {
    local title=$1 start=$SECONDS code=0
    shift
    say "==> $title"
    "$@" || code=$?
    if ((code)); then
        say "==> $title: FAILED after $((SECONDS - start)) s" >&2
        exit "$code"
    fi
    say "==> $title: $((SECONDS - start)) s"
}

# python_for VERSION: the oldest Python here that this ansible-core runs on.
python_for() {
    local minors minor candidate
    case $1 in
        2.16.*) minors="10 11 12" ;;
        2.18.* | 2.19.*) minors="11 12 13" ;;
        2.20.* | 2.21.*) minors="12 13 14" ;;
        *) die "tools/lib.sh does not know which Python ansible-core $1 needs: add it to python_for." ;;
    esac
    for minor in $minors; do
        for candidate in "python3.$minor" "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$minor".*/bin/python3; do
            "$candidate" -c 'import ensurepip' 2>/dev/null && echo "$candidate" && return
        done
    done
    die "ansible-core $1 needs Python 3.${minors// / or 3.}: install one, or leave this version to a machine that has it."
}
