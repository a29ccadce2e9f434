# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When KubeVirt on the lab is done, and what kwok plays of its guests and nodes."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from kvlab import guests, kubevirt, manifests
from kvlab.lab import REAL_GUEST_NODES, Lab
from yaml import safe_load, safe_load_all


def cr(**changes: t.Any) -> dict[str, t.Any]:
    conditions = {"Available": "True", "Progressing": "False", "Degraded": "False", "Created": "True"}
    conditions |= changes.pop("conditions", {})
    status = {
        "conditions": [{"type": kind, "status": value, "reason": "R"} for kind, value in conditions.items()],
        "targetKubeVirtVersion": "v1.8.4",
        "observedKubeVirtVersion": "v1.8.4",
        "targetDeploymentID": "a",
        "observedDeploymentID": "a",
        "observedGeneration": 3,
    }
    return {"metadata": {"generation": 3}, "status": status | changes}


def test_done() -> None:
    assert kubevirt.why_not_done(cr(), "v1.8.4") == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"conditions": {"Available": "False"}}, "Available=False (R)"),
        ({"conditions": {"Progressing": "True", "Degraded": "True"}}, "Progressing=True (R), Degraded=True (R)"),
        ({"targetKubeVirtVersion": "v1.7.0"}, "targetKubeVirtVersion is v1.7.0"),
        ({"observedKubeVirtVersion": "v1.7.0"}, "observedKubeVirtVersion is v1.7.0"),
        ({"observedGeneration": 2}, "the last change of the CR is not observed"),
        ({"observedDeploymentID": "b"}, "the observed deployment is not the target"),
    ],
)
def test_not_done_says_why(changes: dict[str, t.Any], said: str) -> None:
    assert kubevirt.why_not_done(cr(**changes), "v1.8.4") == said


def test_a_cr_without_status_is_not_done() -> None:
    assert "no Available" in kubevirt.why_not_done({"metadata": {"generation": 1}}, "v1.8.4")


@pytest.mark.parametrize(
    ("line", "pod"),
    [
        ("default,uid,Running,worker-1,true,,source,target\n", ("default", "source")),
        ("default,uid,Running,worker-1,true,true,source,target\n", ("default", "target")),
        ("default,uid,Running,worker-1,,,source,target\n", None),
        ("default,uid,Running,worker-1,,,,\n", None),
        ("default,uid,Running,real-1,true,,source,target\n", None),
    ],
)
def test_the_pod_in_which_no_guest_is_after_a_migration(line: str, pod: tuple[str, str] | None) -> None:
    assert guests.left_pod(line) == pod


@pytest.mark.parametrize(
    ("phase", "ended"), [("Running", False), ("Scheduled", False), ("", False), ("Succeeded", True), ("Failed", True)]
)
def test_a_guest_that_has_ended(phase: str, ended: bool) -> None:
    assert guests.ended_guest(f"default,uid,{phase},worker-1,,,,\n") == (("default", "uid") if ended else None)
    assert guests.ended_guest(f"default,uid,{phase},real-1,,,,\n") is None


def test_what_is_said_of_the_real_nodes_is_the_same_everywhere() -> None:
    """The simulated guests keep off them: their program runs alone, and KWOK's Stages are data."""
    assert set(guests.REAL_NODES) == set(REAL_GUEST_NODES)
    nodes = safe_load((manifests.DATA / "real-guest-nodes.yaml").read_text(encoding="utf-8"))["items"]
    assert [node["metadata"]["name"] for node in nodes] == list(REAL_GUEST_NODES)
    stages = safe_load_all((manifests.DATA / "stages-virt-handler.yaml").read_text(encoding="utf-8"))
    of_vmis = [stage["spec"] for stage in stages if stage["spec"]["resourceRef"]["kind"] == "VirtualMachineInstance"]
    keep_off = {"key": ".status.nodeName", "operator": "NotIn", "values": list(REAL_GUEST_NODES)}
    assert of_vmis and all(keep_off in stage["selector"]["matchExpressions"] for stage in of_vmis)


@pytest.mark.parametrize(("recorded", "cr"), [({}, manifests.CR), ({"real_guests": True}, kubevirt.CR_REAL_GUESTS)])
def test_the_cr_is_that_of_the_labs_form(monkeypatch: pytest.MonkeyPatch, recorded: dict[str, bool], cr: Path) -> None:
    monkeypatch.setattr(Lab, "recorded", lambda _lab: recorded)
    assert kubevirt.cr_of(Lab("lab")) == cr


def test_vmi_stages_write_as_the_user_that_virt_api_lets_write() -> None:
    stages = safe_load_all((manifests.DATA / "stages-virt-handler.yaml").read_text(encoding="utf-8"))
    vmi_stages = [stage for stage in stages if stage["spec"]["resourceRef"]["kind"] == "VirtualMachineInstance"]
    users = {patch["impersonation"]["username"] for stage in vmi_stages for patch in stage["spec"]["next"]["patches"]}
    assert users == {"system:serviceaccount:kubevirt:kubevirt-controller"}


def test_vmi_stages_write_whole_seconds() -> None:
    """virt-controller's JSON patches test what it has read, and it reads times as whole seconds."""
    text = (manifests.DATA / "stages-virt-handler.yaml").read_text(encoding="utf-8")
    vmi_stages = [stage for stage in text.split("\n---\n") if "kind: VirtualMachineInstance}" in stage]
    assert vmi_stages
    assert [stage for stage in vmi_stages if " Now " in stage] == []
