# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The update by spec.imageTag where it goes wrong: refused beforehand, recognised afterwards, and mended."""

from __future__ import annotations

import typing as t
from pathlib import Path

from tests.support.guests import running_guests
from tests.support.kubevirt import FROM, KUBEVIRT, TO, assert_arrived, install, wait_until
from tests.support.lab import Json, Lab, Result, lab, mutating

OLD = "v1.6.0"
MISSING = "upgrade.missing-permissions"


def test_a_hybrid_is_refused_and_recognised_and_mended_and_so_are_missing_permissions(
    running: Lab, tmp_path: Path
) -> None:
    lab("release", OLD, "--name", running.name)
    install(running, "kubectl apply", tmp_path, version=OLD)
    before = running_guests(str(running.kubeconfig))

    refused = without_a_write(running, FROM, method="image_tag")
    assert "[upgrade.makes-hybrid]" in refused.message

    running.kubectl("patch", *KUBEVIRT, "--type=merge", "-p", f'{{"spec": {{"imageTag": "{FROM}"}}}}')
    wait_until(lambda: image_of(running, "virt-api").endswith(FROM), seconds=300)
    status = running.module("kubevirt_info", {})
    assert status.finding("kubevirt.hybrid")["level"] == "warning"
    assert "kubevirt.hybrid" in running.playbook("status").stdout
    assert "[kubevirt.hybrid]" in without_a_write(running, FROM, method="image_tag").message

    assert not has_the_objects_of_1_7(running)
    mended = predicted_and_upgraded(running, FROM, method="operator")
    assert mended.code == 0, mended.message
    assert has_the_objects_of_1_7(running)
    assert_arrived(running, FROM)
    assert tag(running) == FROM
    assert "kubevirt.hybrid" not in running.module("kubevirt_info", {}).finding_ids

    refused = without_a_write(running, TO, method="image_tag")
    print(refused.message)
    assert f"[{MISSING}]" in refused.message
    assert "backup.kubevirt.io" in refused.finding(MISSING)["evidence"]

    failed = upgraded(running, TO, method="image_tag", accept=[MISSING])
    print(failed.message)
    assert failed.code != 0
    assert failed.finding_ids[0] == "upgrade.rbac-escalation"
    assert "upgrade.stalled" not in failed.finding_ids, (
        "it waited although virt-operator had said that it cannot deploy"
    )
    assert "Run with method: operator" in failed.message and "run the same again" not in failed.message

    healed = predicted_and_upgraded(running, TO, method="operator")
    assert healed.code == 0, healed.message
    assert_arrived(running, TO)
    assert tag(running) == TO
    assert running_guests(str(running.kubeconfig)) == before


def upgraded(running: Lab, version: str, *, check: bool = False, **options: t.Any) -> Result:
    return running.module(
        "kubevirt_upgrade", {"version": version, "manifest": lab("manifest", version), **options}, check=check
    )


def predicted_and_upgraded(running: Lab, version: str, **options: t.Any) -> Result:
    """A run, after one in check mode that writes nothing and predicts the same."""
    position = running.audit_position()
    predicted = upgraded(running, version, check=True, **options)
    assert predicted.code == 0, predicted.message
    assert mutating(running.audited(position)) == []
    done = upgraded(running, version, **options)
    assert (done.data["actions"], done.data["diff"]) == (predicted.data["actions"], predicted.data["diff"])
    return done


def has_the_objects_of_1_7(running: Lab) -> bool:
    """Whether there is what the manifests of 1.7 have and those of 1.6 lack; images and versions alone do not tell."""
    return running.succeeds("get", "secret", "kubevirt-virt-handler-migration-client-certs", "-n", "kubevirt")


def without_a_write(running: Lab, version: str, **options: t.Any) -> Result:
    """A refused run, in check mode and without it: no request of ours writes."""
    position = running.audit_position()
    upgraded(running, version, check=True, **options)
    result = upgraded(running, version, **options)
    assert running.audited(position), "the audit log has nothing of us"
    assert mutating(running.audited(position)) == []
    assert result.code != 0, result.data
    return result


def tag(running: Lab) -> str | None:
    return t.cast("str | None", running.get(*KUBEVIRT)["spec"].get("imageTag"))


def image_of(running: Lab, deployment: str) -> str:
    spec: Json = running.get("deployment", deployment, "-n", "kubevirt")["spec"]
    return t.cast(str, spec["template"]["spec"]["containers"][0]["image"])
