# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The project of docs/awx, run as AWX runs it: one credential for many clusters, what a red job says, what later jobs get."""

from __future__ import annotations

import pytest
import yaml

from tests.contract.conftest import FROM, TO, World
from tests.support.awx import Awx, Job
from tests.support.lab import mutating

RIGHT, WRONG = "berlin", "madrid"
"""Two clusters of the project's inventory. Both contexts lead to the lab, which only the first one means."""


@pytest.fixture(scope="module")
def awx(world: World, tmp_path_factory: pytest.TempPathFactory) -> Awx:
    manifests = tmp_path_factory.mktemp("manifests")
    for version, manifest in world.manifests.items():
        (manifests / version).mkdir()
        (manifests / version / "kubevirt-operator.yaml").symlink_to(manifest)
    kubeconfig = yaml.safe_load(world.lab.kubeconfig.read_text())
    there = kubeconfig["contexts"][0]["context"]
    kubeconfig["contexts"] = [{"name": name, "context": there} for name in (RIGHT, WRONG)]
    del kubeconfig["current-context"]
    uid = world.lab.get("ns", "kube-system")["metadata"]["uid"]
    # Nobody works on KubeVirt here, so there is nothing to wait for.
    right = {"kubevirt_expected_cluster_uid": uid, "kubevirt_manifest": str(manifests), "kubevirt_wait": False}
    return Awx(tmp_path_factory.mktemp("awx"), yaml.safe_dump(kubeconfig), {RIGHT: right})


def failed(job: Job) -> dict[str, str]:
    """The last failure of each host."""
    return {event["host"]: event["res"]["msg"] for event in job.of("runner_on_failed")}


def test_status_looks_at_the_cluster_that_each_host_means(awx: Awx) -> None:
    job = awx.launch("KubeVirt status", "canary:wave_1")
    print(job.output)
    assert job.status == "failed"
    assert set(job.statistics["processed"]) == {RIGHT, WRONG}, "the limit is two waves"
    looked = [event for event in job.of("runner_on_ok") if event["task_action"] == "kubevirt.lifecycle.kubevirt_info"]
    assert [(event["host"], event["res"]["state"]) for event in looked] == [(RIGHT, "healthy")]
    assert failed(job).keys() == {WRONG}
    assert "cluster.wrong-uid" in failed(job)[WRONG]


def test_the_plan_runs_in_check_mode_and_writes_nothing(awx: Awx, world: World) -> None:
    position = world.lab.audit_position()
    job = awx.launch("KubeVirt plan", "canary", {"kubevirt_version": TO})
    print(job.output)
    assert job.status == "successful"
    assert f"{FROM} -> {TO}" in job.output
    assert "+++ after" in job.output, "it shows the differences"
    assert mutating(world.lab.audited(position)) == []


def test_a_refused_upgrade_says_why_in_its_last_lines_and_to_later_jobs(awx: Awx) -> None:
    job = awx.launch(
        "KubeVirt upgrade",
        "canary",
        {"kubevirt_version": "v1.6.6"},
        {"kubevirt_upgrade": {RIGHT: {"state": "healthy"}}},
    )
    print(job.output)
    assert job.status == "failed"
    message = failed(job)[RIGHT]
    assert "Refused before any change." in message and "[version.downgrade]" in message
    last = job.output[job.output.rindex("fatal: ") : job.output.index("PLAY RECAP")]
    assert "[version.downgrade]" in last
    artifact = job.artifacts["kubevirt_upgrade"][RIGHT]
    assert artifact["failure"]["id"] == "version.downgrade"
    assert (artifact["from_version"], artifact["changed"]) == (FROM, False)


def test_an_upgrade_hands_its_result_to_later_jobs(awx: Awx) -> None:
    job = awx.launch("KubeVirt upgrade", "canary", {"kubevirt_version": TO})
    print(job.output)
    assert job.status == "successful"
    artifact = job.artifacts["kubevirt_upgrade"][RIGHT]
    assert (artifact["from_version"], artifact["to_version"], artifact["changed"]) == (FROM, TO, True)
