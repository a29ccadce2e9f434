# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One failure after the other on the same cluster: each run ends by itself and names the cause, and the good upgrade follows."""

from __future__ import annotations

import typing as t
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.support.guests import running_guests
from tests.support.kubevirt import TO, assert_arrived, install
from tests.support.lab import Lab, Result, lab

Object = dict[str, t.Any]

STALL = 20
"""Seconds: shorter than the patience of any of these, which are told all the same when nothing moves."""
LONGER = 75
"""The same where virt-operator must start first, twice if it crashes."""

QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"namespace": "kubevirt", "name": "few"},
    "spec": {"hard": {"pods": "1"}},
}
_POLICY = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "no-virt-handler"}}
_OF_VIRT_HANDLER = "object.metadata.?labels['kubevirt.io'].orValue('') == 'virt-handler'"
POLICY: list[Object] = [
    {
        **_POLICY,
        "kind": "ValidatingAdmissionPolicy",
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                ]
            },
            "matchConditions": [{"name": "of-virt-handler", "expression": _OF_VIRT_HANDLER}],
            "validations": [{"expression": "false", "message": "nothing privileged here"}],
        },
    },
    {
        **_POLICY,
        "kind": "ValidatingAdmissionPolicyBinding",
        "spec": {"policyName": "no-virt-handler", "validationActions": ["Deny"]},
    },
]


def _nowhere(spec: Object) -> None:
    spec["nodeSelector"] = {**spec.get("nodeSelector", {}), "lab/nowhere": "true"}


def _without_its_config_map(spec: Object) -> None:
    spec["containers"][0]["envFrom"] = [{"configMapRef": {"name": "not-there"}}]


def _with_a_bad_argument(spec: Object) -> None:
    spec["containers"][0]["args"] = [*spec["containers"][0].get("args", []), "--port", "nonsense"]


def test_each_failure_is_named_and_mended(running: Lab, tmp_path: Path) -> None:
    """Installed by kubectl apply. Nothing of it touches a guest."""
    install(running, "kubectl apply", tmp_path)
    before = running_guests(str(running.kubeconfig))
    upgrade = _Upgrade(running, tmp_path)

    failed = upgrade(_nowhere)
    assert failed.finding_ids[:2] == ["upgrade.unschedulable", "upgrade.stalled"]
    assert "nodes are available" in failed.finding("upgrade.unschedulable")["evidence"]

    failed = upgrade(_without_its_config_map)
    assert failed.finding_ids[:2] == ["upgrade.container-not-created", "upgrade.stalled"]
    assert 'configmap "not-there" not found' in failed.finding("upgrade.container-not-created")["evidence"]

    failed = upgrade(_with_a_bad_argument, stall=LONGER)
    assert failed.finding_ids[:2] == ["upgrade.crash-loop", "upgrade.stalled"]
    assert "exit code" in failed.finding("upgrade.crash-loop")["evidence"]
    assert "nonsense" in failed.finding("upgrade.crash-loop")["evidence"]

    running.apply(QUOTA)
    failed = upgrade()
    assert failed.finding_ids[:2] == ["upgrade.quota-exceeded", "upgrade.stalled"]
    assert failed.finding("upgrade.quota-exceeded")["object"] == "Deployment kubevirt/virt-operator"
    running.kubectl("delete", "resourcequota", "-n", "kubevirt", "few")

    running.apply(*POLICY)
    failed = upgrade(stall=LONGER)
    assert failed.finding_ids[:2] == ["upgrade.admission-refused", "upgrade.stalled"]
    refused = failed.finding("upgrade.admission-refused")
    assert refused["object"] == "DaemonSet kubevirt/virt-handler"
    assert "nothing privileged here" in refused["evidence"]
    running.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", "no-virt-handler")

    done = running.module("kubevirt_upgrade", {"version": TO, "manifest": lab("manifest", TO)})
    assert done.code == 0, done.message
    assert_arrived(running, TO)
    assert running_guests(str(running.kubeconfig)) == before


class _Upgrade:
    """A run that fails, with a manifest whose operator is changed."""

    def __init__(self, running: Lab, folder: Path) -> None:
        self._running = running
        self._manifest = folder / "changed.yaml"

    def __call__(self, change: Callable[[Object], None] = lambda spec: None, stall: int = STALL) -> Result:
        objects = [one for one in yaml.safe_load_all(Path(lab("manifest", TO)).read_text()) if one]
        for one in objects:
            if one["kind"] == "Deployment":
                change(one["spec"]["template"]["spec"])
        self._manifest.write_text(yaml.safe_dump_all(objects))
        failed = self._running.module(
            "kubevirt_upgrade", {"version": TO, "manifest": str(self._manifest), "stall_timeout": stall}
        )
        print(failed.message)
        assert failed.code != 0
        how = "To go on: do what is said above, then run the same again."
        assert (how if failed.data["changed"] else "Nothing was changed.") in failed.message
        return failed
