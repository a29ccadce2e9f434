# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which cluster is looked at, and what is read of it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import Unreachable
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import info, observe
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import Outcome

from tests.unit.operations.conftest import FIXED

World = t.Any  # tests/unit/operations/conftest.py
Server = t.Any

HYPERCONVERGEDS = "/apis/hco.kubevirt.io/v1/hyperconvergeds"


def looked(server: Server, **options: t.Any) -> Outcome:
    params = {"name": None, "namespace": None, "expected_cluster_uid": None, **options}
    return info.run(server.api(check_mode=True), params, check_mode=True, clock=Clock(), report=print)


def test_another_cluster_is_refused_before_it_is_looked_at(world: World) -> None:
    server = world.server()
    refused = looked(server, expected_cluster_uid="9999")
    assert [one.id for one in refused.findings] == ["cluster.wrong-uid"]
    assert (refused.state, refused.extra) == ("unknown", {})


def test_what_is_no_cluster_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(FIXED, "/api/v1/namespaces/kube-system")
    with pytest.raises(Unreachable, match="is no Kubernetes API server"):
        looked(world.server())


def test_where_kubevirt_was_never_installed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FIXED, "/apis", {"groups": [{"name": "apps", "versions": [{"version": "v1"}]}]})
    seen = looked(world.server())
    assert (seen.state, [one.id for one in seen.findings]) == ("absent", ["kubevirt.absent"])


@pytest.mark.parametrize(
    ("versions", "expected"),
    [([], ()), (["v1beta1"], ("hco.kubevirt.io/v1beta1",)), (["v1beta1", "v1"], ("hco.kubevirt.io/v1",))],
)
def test_hco_is_asked_in_the_version_that_is_served(
    server: Server, versions: list[str], expected: tuple[str, ...]
) -> None:
    for version in versions:
        path = f"/apis/hco.kubevirt.io/{version}/hyperconvergeds"
        server.objects[path] = {"items": [{"metadata": {"name": "hco"}}], "metadata": {}}
    found = observe.hyperconvergeds(server.api(), versions)
    assert tuple(one["apiVersion"] for one in found) == expected


def test_who_may_not_read_hco_sees_none(server: Server) -> None:
    server.refuses[HYPERCONVERGEDS] = (403, "GET hyperconvergeds")
    assert observe.hyperconvergeds(server.api(), ["v1"]) == ()
