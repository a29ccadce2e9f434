#!/usr/bin/env bash
# What a release must pass: the version and its changelog, what is in the tarball, what Galaxy says of it, and that it runs
# from an empty place.
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

RELEASE=$BUILD/release
VERSION=$(sed -n 's/^version: //p' galaxy.yml)
TARBALL=$RELEASE/kubevirt-lifecycle-$VERSION.tar.gz
# What a user gets; the rest of the clone is for those who change it.
BELONGS='^(CHANGELOG\.md|LICENSE|README\.md|requirements\.txt|(changelogs|docs|meta|playbooks|plugins|roles)/.*)$'
LARGEST=300000 # bytes; the largest file is a picture of half that
# What Galaxy's own run of ansible-lint does not know: the playbook remove has no default host, and the playbooks of docs/awx
# import those of the collection, which is not installed there.
KNOWN_COMPLAINTS='kubevirt_hosts is missing|Failed to find kubevirt\.lifecycle\.[a-z]+ playbook'
LAB=relcheck
LAB_RELEASE=v1.8.4

check_version() {
    [[ $VERSION =~ ^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}(-[0-9A-Za-z.-]+)?$ ]] ||
        die "galaxy.yml: the version $VERSION is not a semantic one, such as 1.2.3."
    [[ -z $(git tag --list "$VERSION") ]] || die "$VERSION is released already, for there is a tag: raise the version in galaxy.yml."
    say "    $VERSION is not released yet"
}

# The changelog either has this version, and then nothing is left for the next one, or a rehearsal makes its entry.
check_changelog() {
    local tree=$RELEASE/rehearsal/ansible_collections/kubevirt/lifecycle
    antsibull-changelog lint
    if grep -qs "^  $VERSION:" changelogs/changelog.yaml; then
        antsibull-changelog lint-changelog-yaml changelogs/changelog.yaml
        [[ -z $(git ls-files 'changelogs/fragments/*.yml') ]] || die "the changelog has $VERSION, and there are fragments left."
        tree=$ROOT
    else
        mkdir -p "$tree"
        git checkout-index -a --prefix="$tree/"
        (cd "$tree" && ANSIBLE_COLLECTIONS_PATH=$RELEASE/rehearsal:$COLLECTIONS antsibull-changelog release)
        say "    what it will say: ${tree#"$ROOT"/}/CHANGELOG.md"
    fi
    grep -q "^## v${VERSION//./\\\\\\.}$" "$tree/CHANGELOG.md" || die "CHANGELOG.md has no entry for $VERSION."
}

# Just those of the files that git has which belong to it, so nothing that lies about in the clone either.
check_contents() {
    local large
    ansible-galaxy collection build --output-path "$RELEASE" >/dev/null
    tar -tzf "$TARBALL" | grep -v '/$' | grep -vxE 'MANIFEST\.json|FILES\.json' | LC_ALL=C sort >"$RELEASE/packed"
    git ls-files | grep -E "$BELONGS" | grep -vE '(^|/)\.' | LC_ALL=C sort >"$RELEASE/belongs"
    diff "$RELEASE/belongs" "$RELEASE/packed" ||
        die "what is marked > does not belong into the tarball (see build_ignore in galaxy.yml), and what is marked < is missing."
    large=$(tar -tvzf "$TARBALL" | awk -v most="$LARGEST" '$3 > most {print $NF}')
    [[ -z $large ]] || die "larger than $LARGEST bytes: $large"
    say "    $(wc -l <"$RELEASE/packed") files, $(($(stat -c %s "$TARBALL") / 1024)) KiB"
}

# Galaxy's own checks. It finds the collections that ours needs beside its own libraries.
check_galaxy_importer() {
    local said=$RELEASE/importer.txt others=$RELEASE/others/ansible_collections
    mkdir -p "$others"
    ln -s "$COLLECTIONS"/ansible_collections/{kubernetes,awx} "$others/"
    (
        cd "$RELEASE"
        export HOME=$SCRATCH_HOME PATH=$BUILD/venv-release/bin:$PATH PYTHONPATH=$RELEASE/others
        unset ANSIBLE_COLLECTIONS_PATH
        python -m galaxy_importer.main "$TARBALL" >"$said" 2>&1
    ) || { cat "$said"; die "galaxy-importer refuses the tarball."; }
    if grep -E '^(WARNING|ERROR)' "$said" | grep -vE "$KNOWN_COMPLAINTS"; then
        die "galaxy-importer complains."
    fi
}

# Into a path that has nothing but what it depends on; from here on nothing of the clone is used.
install_it() {
    export ANSIBLE_COLLECTIONS_PATH=$RELEASE/installed ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_INVENTORY_UNPARSED_WARNING=false
    ansible-galaxy collection install --no-deps -p "$RELEASE/installed" "$TARBALL" >/dev/null
    ln -s "$COLLECTIONS/ansible_collections/kubernetes" "$RELEASE/installed/ansible_collections/"
    cd "$RELEASE/installed"
}

check_documentation() {
    local kind names
    for kind in module filter role; do
        names=$(ansible-doc -t "$kind" -l kubevirt.lifecycle --json | python -c 'import json, sys; print(*json.load(sys.stdin))')
        [[ $names ]] || die "ansible-doc finds no $kind."
        # shellcheck disable=SC2086 # several names
        ansible-doc -t "$kind" $names >/dev/null
        say "    ansible-doc shows every $kind: $(wc -w <<<"$names")"
    done
    [[ $(ls ansible_collections/kubevirt/lifecycle/plugins/modules) == $(ansible-doc -l kubevirt.lifecycle | sed 's/^[a-z]*\.[a-z]*\.\([a-z_]*\).*/\1.py/') ]] ||
        die "ansible-doc does not find the same modules as there are."
}

check_playbooks() {
    local file
    for file in ansible_collections/kubevirt/lifecycle/playbooks/*.yml; do
        ansible-playbook --syntax-check "kubevirt.lifecycle.$(basename "$file" .yml)" -e kubevirt_hosts=localhost
    done
}

lab() { "$VENV/bin/python" "$ROOT/tests/lab" "$@" --name "$LAB"; }

check_on_the_lab() {
    local page
    trap 'lab down' EXIT
    lab up --release "$LAB_RELEASE"
    lab kubevirt install "$LAB_RELEASE"
    page=$(ansible-playbook kubevirt.lifecycle.status -e "kubevirt_kubeconfig=$(lab kubeconfig)")
    say "$page"
    [[ $page == *"healthy: KubeVirt $LAB_RELEASE "* ]] || die "status does not say that $LAB_RELEASE is healthy."
}

"$ROOT/tools/setup.sh" lint release
rm -rf "$RELEASE"
mkdir -p "$RELEASE"
for check in version changelog contents galaxy_importer; do
    say "==> ${check/_/-}"
    "check_$check"
done
install_it
for check in documentation playbooks; do
    say "==> $check of the installed collection"
    "check_$check"
done
if reason=$("$ROOT/tools/needs.sh" lab 2>&1); then
    say "==> status on the lab"
    check_on_the_lab
else
    say "Left out: status on the lab. $reason"
fi
say "$TARBALL can be released: see CONTRIBUTING.md."
