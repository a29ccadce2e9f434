# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""KubeVirt in a lab: its installation with VMs, and whether it has arrived at a version."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import yaml

from tests.support.install import OLD_ENTRY, install_operator, with_old_entry
from tests.support.lab import Lab, lab

FROM, TO = "v1.7.0", "v1.8.4"
KUBEVIRT = ("kubevirt", "kubevirt", "-n", "kubevirt")
OPERATOR = ("deployment", "virt-operator", "-n", "kubevirt")
LIVE_MIGRATE = {"workloadUpdateMethods": ["LiveMigrate"]}


def install(running: Lab, how: str, tmp_path: Path, version: str = FROM, **spec: t.Any) -> None:
    """KubeVirt with VMs, by a manifest with an entry that the next one does not have. ``spec`` is for the KubeVirt object."""
    install_operator(running, how, with_old_entry(Path(lab("manifest", version)), tmp_path / "old.yaml"))
    running.wait_for("Available", "deployment/virt-operator", "-n", "kubevirt", seconds=300)
    cr = yaml.safe_load(lab("cr"))
    cr["spec"] |= spec
    wait_until(lambda: running.succeeds("create", "-f", "-", stdin=yaml.safe_dump(cr)), seconds=60)
    wait_until(lambda: running.module("kubevirt_info", {}).data["state"] == "healthy", seconds=600)
    lab("vm", "create", "5", "--name", running.name)


def assert_arrived(running: Lab, version: str) -> None:
    """KubeVirt says that it is there, the operator runs it, and the old manifest's entry is gone."""
    status = running.get(*KUBEVIRT)["status"]
    assert (status["observedKubeVirtVersion"], status["targetKubeVirtVersion"]) == (version, version)
    conditions = {condition["type"]: condition["status"] for condition in status["conditions"]}
    assert conditions == {"Available": "True", "Progressing": "False", "Degraded": "False", "Created": "True"}
    container = running.get(*OPERATOR)["spec"]["template"]["spec"]["containers"][0]
    assert container["image"].endswith(f":{version}")
    assert OLD_ENTRY["name"] not in [variable["name"] for variable in container["env"]]


def wait_until(condition: t.Callable[[], bool], seconds: float = 60) -> None:
    """Until it holds; an AssertionError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        time.sleep(1)
