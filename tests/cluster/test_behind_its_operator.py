# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""KubeVirt pinned behind an operator that is newer: the one place where spec.imageTag alone works."""

from __future__ import annotations

from pathlib import Path

from tests.support.guests import running_guests
from tests.support.kubevirt import FROM, KUBEVIRT, LIVE_MIGRATE, TO, assert_arrived, install, wait_until
from tests.support.lab import Lab, lab, mutating


def test_pinned_behind_its_operator(running: Lab, tmp_path: Path) -> None:
    """Check mode writes nothing and predicts what the run does; no VM is touched."""
    install(running, "kubectl apply --server-side", tmp_path, workloadUpdateStrategy=LIVE_MIGRATE, imageTag=FROM)
    running.kubectl("apply", "--server-side", "--force-conflicts", "-f", lab("manifest", TO))
    wait_until(lambda: status(running)["operatorVersion"] == TO, seconds=300)
    wait_until(lambda: running.module("kubevirt_info", {}).data["state"] == "healthy", seconds=600)
    assert status(running)["observedKubeVirtVersion"] == FROM
    before = running_guests(str(running.kubeconfig))

    options = {"version": TO, "manifest": lab("manifest", TO)}
    position = running.audit_position()
    predicted = running.module("kubevirt_upgrade", options, check=True)
    assert predicted.code == 0, predicted.message
    assert mutating(running.audited(position)) == []

    done = running.module("kubevirt_upgrade", options)
    assert done.code == 0, done.message
    for part in ("changed", "diff", "actions", "path"):
        assert done.data[part] == predicted.data[part], part
    assert done.data["path"][0]["method"] == "image_tag"
    assert [one["action"] for one in done.data["actions"]] == [
        "hold-workload-updates",
        "drain-migrations",
        "set-image-tag",
        "wait",
        "restore-workload-updates",
    ]
    assert running.get(*KUBEVIRT)["spec"]["imageTag"] == TO
    assert {name: guest["VMI"] for name, guest in running_guests(str(running.kubeconfig)).items()} == {
        name: guest["VMI"] for name, guest in before.items()
    }
    assert_arrived(running, TO)


def status(running: Lab) -> dict[str, str]:
    found: dict[str, str] = running.get(*KUBEVIRT)["status"]
    return found
