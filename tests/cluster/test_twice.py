# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run is as predicted, and a second one has nothing to do."""

from __future__ import annotations

from pathlib import Path

from tests.support.guests import running_guests
from tests.support.kubevirt import FROM, KUBEVIRT, TO, assert_arrived, install, wait_until
from tests.support.lab import Lab, lab, mutating

REQUESTS_OF_A_SECOND_RUN = 25


def test_installed_by_kubernetes_core_and_run_twice(running: Lab, tmp_path: Path) -> None:
    """The prediction is what happens, a pin moves along; the VMs are left alone; a second run has nothing to do, in few requests."""
    install(running, "kubernetes.core.k8s", tmp_path, imageTag=FROM)
    before = running_guests(str(running.kubeconfig))
    wish = {"version": TO, "manifest": lab("manifest", TO)}

    predicted = running.module("kubevirt_upgrade", wish, check=True)
    done = running.module("kubevirt_upgrade", wish)
    assert done.code == 0, done.message
    for key in ("changed", "diff", "actions", "path", "from_version", "to_version"):
        assert done.data[key] == predicted.data[key], key
    assert {"wait-operator", "set-image-tag"} < {one["action"] for one in done.data["actions"]}
    assert_arrived(running, TO)
    assert running.get(*KUBEVIRT)["spec"]["imageTag"] == TO
    assert running_guests(str(running.kubeconfig)) == before
    wait_until(lambda: running.module("kubevirt_info", {}).data["workloads"]["outdated"] == len(before))

    position = running.audit_position()
    again = running.playbook("upgrade", kubevirt_version=TO, kubevirt_manifest=lab("manifest", TO))
    requests = running.audited(position)
    print(again.stdout)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "changed=0" in again.stdout
    assert mutating(requests) == []
    assert 0 < len(requests) <= REQUESTS_OF_A_SECOND_RUN, [event["requestURI"] for event in requests]
