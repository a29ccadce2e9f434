#!/usr/bin/env bash
# Install what the named jobs need into build/: setup.sh run|unit|lint|docs|molecule|faults|release|browser …
# Only what is missing or has changed; the second time nothing is done.
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# done_for NAME FILES…: whether NAME was already done with these very files.
done_for() {
    local name=$1
    shift
    cat "$@" | cmp -s - "$BUILD/stamps/$name"
}

stamp() {
    local name=$1
    shift
    mkdir -p "$BUILD/stamps"
    cat "$@" >"$BUILD/stamps/$name"
}

# install_packages WHAT PACKAGE…: the Debian packages in which WHAT is.
install_packages() {
    local what=$1
    shift
    [[ $EUID == 0 && -x /usr/bin/apt-get ]] || die "$what is missing: install it (on Debian: apt-get install $*)."
    say "Installing the Debian packages $*."
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null
}

make_venv() {
    [[ -x $VENV/bin/pip ]] && return
    "$ROOT/tools/needs.sh" python
    say "Making the virtual environment build/venv."
    rm -rf "$VENV" "$BUILD/stamps"
    if ! "${PYTHON:-python3}" -c 'import ensurepip' 2>/dev/null; then
        install_packages "Python's venv module" python3-venv
    fi
    "${PYTHON:-python3}" -m venv "$VENV"
}

install_requirements() {
    local name=$1 file=tools/requirements-$1.txt
    # All of them, since they include each other.
    done_for "$name" tools/requirements-*.txt tools/constraints.txt && return
    say "Installing the Python packages of $file (up to a minute the first time)."
    "$VENV/bin/pip" install -q -r "$file" -c tools/constraints.txt
    stamp "$name" tools/requirements-*.txt tools/constraints.txt
}

# mitmproxy, and what releases are checked with, have environments of their own: they want other versions of what ansible-lint
# wants too.
install_apart() {
    local name=$1 venv=$BUILD/venv-$1 file=tools/requirements-$1.txt
    done_for "$name" "$file" && return
    say "Installing the Python packages of $file into build/venv-$name (up to a minute the first time)."
    rm -rf "$venv"
    "$VENV/bin/python" -m venv "$venv"
    "$venv/bin/pip" install -q -r "$file"
    stamp "$name" "$file"
}

install_browser() {
    command -v chromium chromium-browser google-chrome >/dev/null && return
    install_packages Chromium chromium fonts-dejavu-core
}

# vendor COLLECTION RELEASE: take it out of that release of the "ansible" package, so that Galaxy is not needed.
vendor() {
    local collection=$1 release=$2 wheel=$BUILD/wheel
    done_for "$collection" tools/setup.sh && return
    say "Taking $collection out of the wheel of ansible $release (51 MB)."
    rm -rf "$wheel" "$COLLECTIONS/ansible_collections/${collection/.//}"
    # --python-version: the wheel asks for a later Python than the one collection taken out of it does.
    "$VENV/bin/pip" download -q --no-deps --only-binary :all: --python-version 3.13 -d "$wheel" "ansible==$release"
    "$VENV/bin/python" - "$wheel"/ansible-*.whl "$COLLECTIONS" "ansible_collections/${collection/.//}/" <<'PYTHON'
import sys, zipfile

with zipfile.ZipFile(sys.argv[1]) as wheel:
    wheel.extractall(sys.argv[2], [name for name in wheel.namelist() if name.startswith(sys.argv[3])])
PYTHON
    rm -rf "$wheel"
    stamp "$collection" tools/setup.sh
}

link_ours() {
    [[ -L $OURS ]] && return
    mkdir -p "$(dirname "$OURS")"
    ln -s ../../../.. "$OURS"
}

make_venv
for name in "$@"; do
    case $name in
        faults | release) install_apart "$name" ;;
        browser) install_browser ;;
        *) install_requirements "$name" ;;
    esac
done
vendor kubernetes.core 14.5.0 # 6.6.0
vendor awx.awx 13.8.0 # 24.6.1, for tests of docs/awx; later releases of ansible lack it
link_ours
