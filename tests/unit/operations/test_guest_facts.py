# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read of the VMs, and whether live migrations can work in a cluster."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.guest_facts import (
    GuestFacts,
    guest_facts_of,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.observe import Workloads

World = t.Any  # tests/unit/operations/conftest.py


def read(world: World) -> GuestFacts:
    return guest_facts_of(world.server().api(check_mode=True), world.facts())


def test_the_vms_with_what_their_virtual_machines_say(world: World) -> None:
    world.workloads = Workloads()
    world.kubevirt["spec"]["configuration"] = {"evictionStrategy": "LiveMigrate"}
    world.add_vm("b", run_strategy="Manual")
    world.add_vm("a", run_strategy=None, evictionStrategy="None")
    seen = [(one.name, one.run_strategy, one.eviction_strategy) for one in read(world).guests]
    assert seen == [("a", "", "None"), ("b", "Manual", "LiveMigrate")]


NODES = "/api/v1/nodes"


@pytest.mark.parametrize(
    ("changes", "count", "can_migrate"),
    [
        ({}, 2, True),
        ({"spec": {"unschedulable": True}}, 1, False),
        ({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}, 1, False),
        ({"status": {}}, 1, False),
    ],
)
def test_nodes_that_take_vms(world: World, changes: dict[str, t.Any], count: int, can_migrate: bool) -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    world.more[f"{NODES}/worker-2"] = {"metadata": {"name": "worker-2"}, "status": ready, **changes}
    seen = read(world)
    assert (seen.vm_nodes, seen.can_migrate) == (count, can_migrate)


def test_nodes_that_may_not_be_read_are_thought_to_do(world: World) -> None:
    server = world.server()
    server.refuses[NODES] = (403, "GET is forbidden")
    seen = guest_facts_of(server.api(check_mode=True), world.facts())
    assert (seen.vm_nodes, seen.can_migrate) == (None, True)


def test_without_the_kinds_there_is_no_vm(world: World) -> None:
    world.add_vm("a")
    server = world.server()
    server.refuses["/apis/kubevirt.io/v1/virtualmachines"] = (404, "GET: the server could not find the resource")
    assert guest_facts_of(server.api(check_mode=True), world.facts()).guests == ()


@pytest.mark.parametrize(
    ("version", "gates", "off"),
    [
        ("v0.55.2", [], True),
        ("v0.55.2", ["DataVolumes"], True),
        ("v0.55.2", ["DataVolumes", "LiveMigration"], False),
        ("v0.39.0", ["LiveMigration"], False),
        ("v0.56.0", [], False),
        ("v1.7.0", [], False),
    ],
)
def test_the_feature_gate(world: World, version: str, gates: list[str], off: bool) -> None:
    world.kubevirt = world.status("1.8-healthy", {"v1.8.4": version})
    world.kubevirt["spec"]["configuration"] = {"developerConfiguration": {"featureGates": gates}}
    seen = read(world)
    assert (seen.gate_off, seen.can_migrate) == (off, not off)
