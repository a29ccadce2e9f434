# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which VMs are alike, and which of them go first."""

from __future__ import annotations

import random
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.guest_classes import (
    Candidate,
    GuestClass,
    canaries_of,
    class_of,
)

Object = dict[str, t.Any]

IMAGE = "quay.io/kubevirt/virt-launcher:v1.7.0"
SMALL = GuestClass("default", "pc-q35-rhel9.6.0", "v1.7.0", ("containerDisk",), ("masquerade on pod",), False)


def vmi(spec: Object | None = None, domain: Object | None = None, status: Object | None = None) -> Object:
    devices = {"interfaces": [{"name": "default", "masquerade": {}}]}
    return {
        "spec": {
            "domain": {"devices": devices, **(domain or {})},
            "networks": [{"name": "default", "pod": {}}],
            "volumes": [{"name": "root", "containerDisk": {}}, {"name": "cloud", "cloudInitNoCloud": {}}],
            **(spec or {}),
        },
        "status": {"machine": {"type": "pc-q35-rhel9.6.0"}, **(status or {})},
    }


def two_interfaces() -> Object:
    interfaces = [{"name": "default", "masquerade": {}}, {"name": "fast", "sriov": {}}]
    return {
        "domain": {"devices": {"interfaces": interfaces}},
        "networks": [{"name": "default", "pod": {}}, {"name": "fast", "multus": {"networkName": "x"}}],
    }


CLAIM = {"volumes": [{"name": "root", "dataVolume": {"name": "disk"}}]}
BLOCK = {
    "volumeStatus": [
        {"name": "root", "persistentVolumeClaimInfo": {"volumeMode": "Block", "accessModes": ["ReadWriteMany"]}}
    ]
}
PLUGIN = {"devices": {"interfaces": [{"name": "default", "binding": {"name": "l2bridge"}}]}}


@pytest.mark.parametrize(
    ("guest", "image", "expected"),
    [
        pytest.param(vmi(), IMAGE, SMALL, id="as it is"),
        pytest.param(vmi(domain={"cpu": {"model": "host-model"}}), IMAGE, replace(SMALL, cpu="host-model"), id="CPU model"),
        pytest.param(vmi(domain={"cpu": {"cores": 2}}), IMAGE, replace(SMALL, several_cpus=True), id="cores"),
        pytest.param(vmi(domain={"cpu": {"cores": 1, "sockets": 4}}), IMAGE, replace(SMALL, several_cpus=True), id="sockets"),
        pytest.param(
            vmi(domain={"cpu": {"cores": 1}}, status={"currentCPUTopology": {"cores": 1, "sockets": 2, "threads": 1}}),
            IMAGE, replace(SMALL, several_cpus=True), id="vCPUs that were plugged in",
        ),
        pytest.param(
            vmi(domain={"machine": {"type": "q35"}}, status={"machine": {}}), IMAGE, replace(SMALL, machine="q35"), id="asked machine"
        ),
        pytest.param(vmi(), IMAGE + "@sha256:0a", SMALL, id="tag and digest"),
        pytest.param(vmi(), "r/virt-launcher@sha256:0a", replace(SMALL, launcher="sha256:0a"), id="digest"),
        pytest.param(vmi(CLAIM), IMAGE, replace(SMALL, storage=("claim",)), id="claim"),
        pytest.param(vmi(CLAIM, status=BLOCK), IMAGE, replace(SMALL, storage=("claim Block ReadWriteMany",)), id="modes"),
        pytest.param(vmi({"volumes": []}), IMAGE, replace(SMALL, storage=()), id="no disk"),
        pytest.param(vmi(two_interfaces()), IMAGE, replace(SMALL, network=("masquerade on pod", "sriov on multus")), id="networks"),
        pytest.param(vmi(domain=PLUGIN), IMAGE, replace(SMALL, network=("l2bridge on pod",)), id="binding plugin"),
        pytest.param(vmi({"domain": {}}, status={"machine": None}), IMAGE, replace(SMALL, machine="default machine", network=()), id="-"),
    ],
)  # fmt: skip
def test_the_class_of_a_vm(guest: Object, image: str, expected: GuestClass) -> None:
    assert class_of(guest, image) == expected


def test_a_class_reads_well() -> None:
    text = "CPU default, pc-q35-rhel9.6.0, launcher v1.7.0, one vCPU, containerDisk, masquerade on pod"
    assert str(SMALL) == text


BIG, OLD = replace(SMALL, several_cpus=True), replace(SMALL, launcher="v1.6.0")
GUESTS = [
    Candidate("prod/b", SMALL),
    Candidate("prod/a", SMALL),
    Candidate("prod/d", BIG),
    Candidate("prod/0", BIG, (False, True)),
    Candidate("prod/c", OLD),
    Candidate("prod/e", OLD, (True, True)),
    Candidate("prod/f", SMALL),
]


@pytest.mark.parametrize(
    ("proven", "most", "expected"),
    [
        ([], 10, ["prod/a", "prod/e", "prod/d"]),
        ([], 2, ["prod/a", "prod/e"]),
        ([], 0, []),
        ([SMALL], 10, ["prod/e", "prod/d"]),
        ([replace(SMALL, launcher="")], 10, ["prod/d"]),
        ([SMALL, BIG, OLD], 10, []),
    ],
)
def test_one_of_each_unproven_class_goes_first_the_largest_classes_before_others(
    proven: list[GuestClass], most: int, expected: list[str]
) -> None:
    for seed in range(5):
        shuffled = random.Random(seed).sample(GUESTS, len(GUESTS))
        assert [one.name for one in canaries_of(shuffled, proven, most)] == expected, f"seed {seed}"
