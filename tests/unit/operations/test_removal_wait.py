# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a deletion is, from what is still there."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import Unreachable
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.observe import Cluster, Facts
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.removal_wait import DeletionJudge, sources

from tests.support.quick_clock import QuickClock

Object = dict[str, t.Any]
KUBEVIRT: Object = {"kind": "KubeVirt", "metadata": {"name": "kubevirt", "namespace": "kubevirt", "uid": "k"}}


class Seen:
    """A picture, and an API that counts."""

    def __init__(
        self, kubevirt: bool = True, crds: t.Sequence[str] = (), parts: t.Sequence[str] = (), vms: int = 0
    ) -> None:
        self.vms = vms
        self._objects: dict[str, list[Object]] = {
            "kubevirts": [KUBEVIRT] if kubevirt else [],
            "crds": [{"metadata": {"name": name, "deletionTimestamp": "now"}, "path": name} for name in crds],
            "deployments": [{"metadata": {"name": name}} for name in parts],
            "daemonsets": [],
        }

    def objects(self, name: str) -> list[Object]:
        return self._objects[name]

    def count(self, _path: str) -> int:
        if self.vms < 0:
            raise Unreachable("the server does not answer")
        return self.vms


def judge(api: t.Any, clock: QuickClock) -> t.Any:
    facts = Facts(Cluster("https://api.example:6443", "0000"), api="/apis/kubevirt.io/v1", kubevirt=KUBEVIRT)
    assert {one.name for one in sources(facts)} == {"kubevirts", "crds", "deployments", "daemonsets"}
    return DeletionJudge(api, facts, clock)


@pytest.mark.parametrize(
    ("seen", "missing", "reason"),
    [
        (
            Seen(crds=["vms.kubevirt.io"], parts=["virt-api"], vms=3),
            ["3 vms.kubevirt.io", "CRD vms.kubevirt.io", "Deployment virt-api", "KubeVirt kubevirt/kubevirt itself"],
            "1 of KubeVirt's CRDs are left, with 3 vms.kubevirt.io",
        ),
        (
            Seen(parts=["virt-api"]),
            ["Deployment virt-api", "KubeVirt kubevirt/kubevirt itself"],
            "1 parts are left: Deployment virt-api",
        ),
        (
            Seen(crds=["vms.kubevirt.io"], vms=-1),
            ["CRD vms.kubevirt.io", "KubeVirt kubevirt/kubevirt itself"],
            "1 of KubeVirt's CRDs are left",
        ),
        (Seen(), ["KubeVirt kubevirt/kubevirt itself"], "the rest of what virt-operator made"),
        (Seen(kubevirt=False, crds=["of-another-one"]), [], None),
    ],
)
def test_what_is_still_there(seen: Seen, missing: list[str], reason: str | None) -> None:
    verdict = judge(seen, QuickClock())(seen)
    assert verdict.missing == missing
    assert reason is None or verdict.stage.reason == reason


def test_what_counts_as_movement() -> None:
    clock, seen = QuickClock(), Seen(crds=["vms.kubevirt.io"], vms=3)
    look = judge(seen, clock)
    look(seen)
    clock.pause(60)
    look(seen)
    assert look.moved_at == 0.0
    seen.vms = 2
    clock.pause(60)
    look(seen)
    assert look.moved_at == 120.0
    clock.pause(60)
    look(Seen())
    assert look.moved_at == 180.0
