#!/usr/bin/env bash
# All that a change must pass, one stage after the other: test.sh [full]
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The oldest and the newest ansible-core that the collection supports; the one in between is the one that everything else runs on.
OTHERS=(2.16.19 2.21.5)
SHORT=(-m "not full")

"$ROOT/tools/needs.sh" python lab
lab=("${SHORT[@]}")
[[ ${1:-} == full ]] && lab=()

stage "setup" "$ROOT/tools/setup.sh" unit lint
stage "lint" "$ROOT/tools/lint.sh"
stage "unit, with what is not covered" "$ROOT/tools/coverage.sh" -q
if [[ ${1:-} == full ]]; then
    stage "browser" "$ROOT/tools/browser.sh" -q
fi
stage "sanity" "$ROOT/tools/sanity.sh"
others=()
for version in "${OTHERS[@]}"; do
    if ! (python_for "$version") >/dev/null; then
        say "==> ansible-core $version is left out"
        continue
    fi
    others+=("$version")
    stage "unit on ansible-core $version" "$ROOT/tools/on-core.sh" "$version"
    stage "sanity on ansible-core $version" "$ROOT/tools/sanity.sh" "$version"
done
stage "lab" "$ROOT/tools/lab-test.sh" "${lab[@]}"
if [[ ${1:-} == full ]]; then
    for version in "${others[@]}"; do
        stage "both paths on ansible-core $version" "$ROOT/tools/on-core.sh" "$version" tests/contract/test_both_paths.py
    done
fi
