# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several minor versions in one playbook run, to a version that only a releases file knows."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.guests import running_guests
from tests.support.killing import kill_when
from tests.support.kubevirt import KUBEVIRT, OPERATOR, assert_arrived, install
from tests.support.lab import Json, Lab, lab, mutating

VERSIONS = ("v1.6.0", "v1.7.0", "v1.8.4", "v1.9.0-lab.1")
START, MIDDLE, END = VERSIONS[0], VERSIONS[1], VERSIONS[-1]


@pytest.fixture
def options(running: Lab, tmp_path: Path) -> Json:
    """KubeVirt 1.6.0 with VMs, the images of all versions, and what to hand to the playbooks."""
    for version in (START, END):
        lab("release", version, "--name", running.name)
    install(running, "kubectl apply", tmp_path, version=START)
    return {
        "kubevirt_version": END,
        "kubevirt_releases": f"only: [{', '.join(VERSIONS)}]\n",
        "kubevirt_manifest": lab("manifest", START).replace(START, "{version}"),
    }


def test_three_hops_in_one_run(running: Lab, options: Json) -> None:
    """The plan and check mode name the same hops without a write, and the VMs are left alone."""
    before = running_guests(str(running.kubeconfig))
    position = running.audit_position()
    for playbook, arguments in (("plan", ()), ("upgrade", ("--check",))):
        said = running.playbook(playbook, *arguments, **options)
        assert said.returncode == 0, said.stdout + said.stderr
        for number, (earlier, later) in enumerate(pairwise(VERSIONS), 1):
            assert f"{number}. {earlier} -> {later}  by the operator's manifest" in said.stdout
    assert mutating(running.audited(position)) == []

    done = running.playbook("upgrade", timeout=1800, **options)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_arrived(running, END)
    assert running_guests(str(running.kubeconfig)) == before

    position = running.audit_position()
    again = running.playbook("upgrade", **options)
    assert again.returncode == 0 and "changed=0" in again.stdout, again.stdout + again.stderr
    assert mutating(running.audited(position)) == []


@pytest.mark.full
def test_killed_between_and_inside_hops(running: Lab, options: Json) -> None:
    """The same command three times: killed between two hops, killed inside the last one, and then to the end."""
    before = running_guests(str(running.kubeconfig))
    command = running.playbook_command("upgrade", **options)
    kill_when(lambda: is_done_at(running, MIDDLE), command, seconds=900)
    kill_when(lambda: operator_image(running).endswith(END), command, seconds=900)
    done = running.playbook("upgrade", timeout=1800, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_arrived(running, END)
    assert running_guests(str(running.kubeconfig)) == before


def is_done_at(running: Lab, version: str) -> bool:
    status = running.get(*KUBEVIRT)["status"]
    reasons = {one["reason"] for one in status["conditions"] if one["type"] == "Available"}
    return status["observedKubeVirtVersion"] == version and reasons == {"AllComponentsReady"}


def operator_image(running: Lab) -> str:
    container: Json = running.get(*OPERATOR)["spec"]["template"]["spec"]["containers"][0]
    return str(container["image"])
