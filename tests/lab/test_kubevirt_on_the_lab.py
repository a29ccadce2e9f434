# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What other tests take for granted of KubeVirt on the lab: it installs, its VMs outlive an upgrade, and they move."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kvlab import builds, kubevirt
from kvlab.lab import Lab

TOOL = [sys.executable, str(Path(__file__).parent)]
OUTDATED = "kubevirt.io/outdatedLauncherImage"

pytestmark = pytest.mark.full


def tool(lab: Lab, *arguments: str) -> str:
    """What a command of the lab prints; the other words are for the person who reads the test's output."""
    command, options = arguments[:2], arguments[2:]
    if arguments[0] == "kubectl":
        command, options = ("kubectl",), ("--", *arguments[1:])
    return subprocess.check_output([*TOOL, *command, "--name", lab.name, *options], text=True, timeout=1200)


def uids(lab: Lab) -> dict[str, str]:
    """The VMIs and their pods by name."""
    found = json.loads(tool(lab, "kubectl", "get", "vmi,pod", "-l", "lab/vm", "-o", "json"))["items"]
    return {f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["uid"] for one in found}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab with KubeVirt 1.7.0 and three VMs."""
    made = Lab("test-of-kubevirt")
    try:
        subprocess.run([*TOOL, "up", "--name", made.name], check=True, timeout=1800)
        tool(made, "kubevirt", "install", "v1.7.0")
        tool(made, "vm", "create", "3")
        yield made
    finally:
        subprocess.run([*TOOL, "down", "--name", made.name], check=True, timeout=300)


def test_vms_outlive_an_upgrade_and_are_marked_then_move(lab: Lab) -> None:
    before = uids(lab)
    manifest = subprocess.check_output([*TOOL, "manifest", "v1.8.4"], text=True).strip()
    tool(lab, "kubectl", "apply", "--server-side", "--force-conflicts", "-f", manifest)
    kubevirt.wait_done(lab, "v1.8.4")

    assert len(before) == 6
    assert uids(lab) == before
    assert tool(lab, "kubectl", "get", "vmi", "-l", OUTDATED, "-o", "name").count("\n") == 3

    for _again in range(2):
        assert tool(lab, "vm", "migrate", "vm-1").strip() == "Succeeded"
    assert tool(lab, "kubectl", "get", "vmi", "-l", OUTDATED, "-o", "name").count("\n") == 2
    assert uids(lab)["VirtualMachineInstance/vm-1"] == before["VirtualMachineInstance/vm-1"]


def test_uninstall_and_install_again(lab: Lab) -> None:
    tool(lab, "kubevirt", "uninstall")
    assert "kubevirt.io" not in tool(lab, "kubectl", "get", "crd,apiservice", "-o", "name")
    tool(lab, "kubevirt", "install", builds.USUAL_VERSIONS[-1])
    assert tool(lab, "vm", "create", "1").strip() == "vm-1"
