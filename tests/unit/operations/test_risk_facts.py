# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What risks and gates ask a cluster, and what is said where that cannot be read."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.rule_files import parse_gates
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.observe import Workloads
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.risk_facts import (
    cluster_facts_of,
    finding_of_a_gate,
)

World = t.Any  # tests/unit/operations/conftest.py
Server = t.Any

GATE = """
- id: user.storage
  level: blocker
  objects: {api_version: v1, kind: Pod, namespace: storage}
  when: "length(items) == `0`"
  message: Nobody looks after the storage.
  fix: Start it.
"""
PODS = "/api/v1/namespaces/storage/pods"


@pytest.fixture
def server(world: World) -> Server:
    server: Server = world.server()
    kinds = [
        {"name": "pods/log", "kind": "Pod", "namespaced": True},
        {"name": "pods", "kind": "Pod", "namespaced": True},
    ]
    server.objects["/api/v1"] = {"resources": kinds}
    return server


def judged(server: Server) -> tuple[str, str]:
    found = finding_of_a_gate(server.api(), parse_gates(GATE, "gates")[0])
    return (found.id, found.evidence) if found else ("", "")


def test_a_gate_is_about_the_objects_of_its_kind(server: Server) -> None:
    assert judged(server) == ("user.storage", "")
    server.objects[f"{PODS}/one"] = {"metadata": {"namespace": "storage", "name": "one"}}
    assert judged(server) == ("", "")


def test_a_gate_whose_kind_is_not_there_is_not_held(server: Server) -> None:
    server.objects["/api/v1"]["resources"].clear()
    assert judged(server) == ("user.storage", "The cluster has no Pod of v1.")


def test_a_gate_whose_objects_may_not_be_read_is_not_held(server: Server) -> None:
    server.refuses[PODS] = (403, "GET: user jo may not list pods")
    assert "user jo may not list pods" in judged(server)[1]


def test_launchers_are_counted_where_some_are_outdated(world: World) -> None:
    world.workloads = Workloads()
    world.add_vm("old", tag="v1.6.0")
    world.workloads = Workloads(vms=1, vmis=1, outdated=1)
    facts = cluster_facts_of(world.server().api(), world.facts())
    assert facts["launchers"] and "v1.6.0" in str(facts["launchers"])
