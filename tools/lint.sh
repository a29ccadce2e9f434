#!/usr/bin/env bash
# Every gate on text: Python, shell, YAML, Ansible, changelog fragments. All run; any finding fails.
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$ROOT/tools/setup.sh" lint
export HOME=$SCRATCH_HOME NO_COLOR=1
mkdir -p "$HOME"
failed=()

gate() {
    local start=$SECONDS
    "${@:2}" || failed+=("$1")
    say "    $1: $((SECONDS - start)) s"
}

# mypy looks at the collection under its import name, through the link; print the clone's own paths.
types() {
    MYPYPATH=$COLLECTIONS mypy -p ansible_collections.kubevirt.lifecycle.plugins.module_utils |
        sed "s#^${OURS#"$ROOT"/}/##"
}

# antsibull-docs copies what git tracks. The vendored kubernetes.core is in an ignored folder of our repository, so git must
# not find that from there.
documentation() {
    GIT_CEILING_DIRECTORIES=$BUILD antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=dependent .
}

gate "ruff check" ruff check -q .
gate "ruff format (mended by: build/venv/bin/ruff format)" ruff format -q --diff .
gate "mypy" types
gate "bandit" bandit -q -r plugins
gate "shellcheck" shellcheck tools/*.sh .ci/run
gate "yamllint" yamllint -s .
gate "ansible-lint" ansible-lint -q --offline
gate "changelog" antsibull-changelog lint
gate "documentation" documentation

((${#failed[@]} == 0)) || die "failed: ${failed[*]}."
