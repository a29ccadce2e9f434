#!/usr/bin/env bash
# The main job on the embedded lab: upgrade a real KubeVirt under VMs, and show that the VMs were left alone.
# With REAL_GUESTS=1 the VMs have guests that run and serve clients, and they are also moved to the new launcher.
#
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [[ ${REAL_GUESTS:-} ]]; then
    exec "$ROOT/tools/demo-real-guests.sh"
fi

FROM=v1.7.0
TO=v1.8.4
VMS=5
NAME=demo
GUESTS=$BUILD/demo-guests.json

number=0
step() {
    number=$((number + 1))
    printf '\n[%d/7 %02d:%02d] %s\n' "$number" $((SECONDS / 60)) $((SECONDS % 60)) "$*"
}

lab() { python tests/lab "$@" --name "$NAME"; }

play() { ansible-playbook "kubevirt.lifecycle.$1" -e "kubevirt_kubeconfig=$kubeconfig" "${@:2}"; }

finish() {
    local code=$?
    trap - EXIT
    [[ -z ${release:-} ]] || kill "$release" 2>/dev/null || true
    lab down || code=1
    if ((code)); then
        say "The demo FAILED at step $number, after $SECONDS s." >&2
    else
        say "The demo passed in $SECONDS s."
    fi
    exit "$code"
}

"$ROOT/tools/needs.sh" python lab
"$ROOT/tools/setup.sh" run
trap finish EXIT

step "Start a Kubernetes cluster (the first time its programs are built, which takes some 10 minutes)"
lab up --release "$FROM"
kubeconfig=$(lab kubeconfig)
# The installation mostly waits, so the next release is built beside it.
lab release "$TO" >"$BUILD/demo-release.log" 2>&1 &
release=$!

step "Install KubeVirt $FROM"
lab kubevirt install "$FROM"

step "Create $VMS VMs"
lab vm create "$VMS"
python -m tests.support.guests save "$kubeconfig" "$GUESTS"

step "Show the state before: ansible-playbook kubevirt.lifecycle.status"
play status

say "Waiting for the build of KubeVirt $TO, if it is not there yet."
wait "$release" || { cat "$BUILD/demo-release.log"; exit 1; }

step "Upgrade KubeVirt: ansible-playbook kubevirt.lifecycle.upgrade -e kubevirt_version=$TO"
play upgrade -e "kubevirt_version=$TO" -e "kubevirt_manifest=$(python tests/lab manifest "$TO")"

step "Show the state after: ansible-playbook kubevirt.lifecycle.status"
play status

step "Compare the VMs with what they were before"
python -m tests.support.guests compare "$kubeconfig" "$GUESTS"
