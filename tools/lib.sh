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
