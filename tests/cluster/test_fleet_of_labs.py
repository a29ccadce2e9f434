# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Three clusters side by side, of which one is broken: upgraded by one command, and their VMs moved.

The first one is the canary; then the other two are begun together. New pods find no place in the broken one. The tests follow one
another on the same labs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.support.install import install_sparingly, sparing_manifest
from tests.support.kubevirt import FROM, KUBEVIRT, TO
from tests.support.lab import ROOT, Json, Lab, lab, playbook_environment, worker_name
from tests.support.vms import vms

pytestmark = pytest.mark.full

CANARY, WELL, BROKEN = HOSTS = ("berlin", "madrid", "porto")
VMS = 3
TAINT = "lab/no-place"
LONGEST = 3600.0
"""Seconds for one command: two upgrades at once on a small machine."""


class Labs:
    """Three labs as an inventory of clusters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clusters = {host: Lab.of(worker_name(host)) for host in HOSTS}

    def run(self) -> subprocess.CompletedProcess[str]:
        """The one command, as it is typed each time."""
        inventory = self.folder / "clusters.yml"
        hosts = {host: _variables(cluster) for host, cluster in self.clusters.items()}
        group = {"hosts": hosts, "vars": {"ansible_connection": "local"}}
        inventory.write_text(yaml.safe_dump({"kubevirt_clusters": group}))
        variables = {
            "kubevirt_version": TO,
            "kubevirt_manifest": str(sparing_manifest(TO)),
            "kubevirt_serial": [1, 2],
            "kubevirt_wave_soak": 5,
            "kubevirt_workloads": "at_the_end",
            "kubevirt_workload_methods": ["LiveMigrate"],
            "kubevirt_soak": 3,
            "kubevirt_report_dir": str(self.folder / "report"),
        }
        program = str(Path(sys.executable).parent / "ansible-playbook")
        done = subprocess.run(
            [program, "-i", str(inventory), "kubevirt.lifecycle.upgrade", "-e", json.dumps(variables)],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=playbook_environment(),
            timeout=LONGEST,
        )
        print(done.stdout + done.stderr)
        print((self.folder / "report" / "report.md").read_text())
        return done

    @property
    def report(self) -> dict[str, Json]:
        """What the report says of each."""
        data = json.loads((self.folder / "report" / "report.json").read_text())
        return t.cast("dict[str, Json]", data["hosts"])

    @property
    def releases(self) -> dict[str, str]:
        """The version that each one's virt-operator says it has brought about."""
        return {
            host: cluster.get(*KUBEVIRT)["status"]["observedKubeVirtVersion"] for host, cluster in self.clusters.items()
        }

    def launchers(self, host: str) -> list[str]:
        """The version of the launcher of each VM."""
        return [vm.launcher for vm in vms(self.clusters[host]).values()]


def _variables(cluster: Lab) -> Json:
    uid = cluster.get("namespace", "kube-system")["metadata"]["uid"]
    return {"kubevirt_kubeconfig": str(cluster.kubeconfig), "kubevirt_expected_cluster_uid": uid}


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labs]:
    """Each with KubeVirt 1.7.0 and VMs."""
    try:
        with ThreadPoolExecutor(len(HOSTS)) as pool:
            list(pool.map(_set_up, HOSTS))
        yield Labs(tmp_path_factory.mktemp("fleet"))
    finally:
        for host in HOSTS:
            lab("down", "--name", worker_name(host))


def _set_up(host: str) -> None:
    name = worker_name(host)
    lab("up", "--name", name)
    install_sparingly(Lab.of(name), FROM)
    lab("vm", "create", str(VMS), "--name", name)


def test_the_canary_then_the_others_and_the_broken_one_is_told(labs: Labs) -> None:
    broken = labs.clusters[BROKEN]
    broken.kubectl("taint", "node", "--all", f"{TAINT}=:NoSchedule")
    before = {host: {name: vm.uid for name, vm in vms(cluster).items()} for host, cluster in labs.clusters.items()}

    done = labs.run()
    assert done.returncode == 2
    report = labs.report
    assert {host: one["state"] for host, one in report.items()} == {CANARY: "done", WELL: "done", BROKEN: "failed"}
    assert {host: one["wave"] for host, one in report.items()} == {CANARY: 1, WELL: 2, BROKEN: 2}
    assert labs.releases == {CANARY: TO, WELL: TO, BROKEN: FROM}
    for host in (CANARY, WELL):
        assert report[host]["vms"] == {"moved": VMS, "left": 0}
        assert labs.launchers(host) == [TO] * VMS
        assert [phase["name"] for phase in report[host]["phases"]] == ["preflight", f"to {TO}", "VMs"]
    (cause, *_others) = report[BROKEN]["findings"]
    assert cause["id"] == "upgrade.unschedulable"
    assert "untolerated taint" in cause["evidence"], "Kubernetes does not say which one"
    assert labs.launchers(BROKEN) == [FROM] * VMS
    after = {host: {name: vm.uid for name, vm in vms(cluster).items()} for host, cluster in labs.clusters.items()}
    assert after == before, "no VM was started anew"


def test_when_it_is_mended_the_same_command_does_the_rest(labs: Labs) -> None:
    cluster = labs.clusters[BROKEN]
    cluster.kubectl("taint", "node", "--all", f"{TAINT}-")
    done = labs.run()
    assert done.returncode == 0
    assert {host: one["state"] for host, one in labs.report.items()} == {
        CANARY: "unchanged",
        WELL: "unchanged",
        BROKEN: "done",
    }
    assert labs.report[BROKEN]["vms"] == {"moved": VMS, "left": 0}
    assert labs.launchers(BROKEN) == [TO] * VMS
    assert {path.name for path in (labs.folder / "report").iterdir()} == {"report.json", "report.md", "report.html"}
    assert "3 clusters: 2 unchanged, 1 done." in done.stdout
