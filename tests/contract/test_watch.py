# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A picture of a collection follows what happens to it."""

from __future__ import annotations

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.connection import connect
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import NotFound
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.watch import Picture, Source

from tests.contract.conftest import World

SOURCE = Source("maps", "/api/v1/namespaces/default/configmaps", label_selector="watched")


def test_a_picture_follows_changes_additions_and_deletions(bare_world: World) -> None:
    run = bare_world.lab.kubectl
    run("create", "configmap", "first", "-n", "default", "--from-literal=word=old")
    run("label", "configmap", "first", "-n", "default", "watched=yes")
    api = connect({"kubeconfig": str(bare_world.lab.kubeconfig)}, check_mode=True, clock=Clock())
    with Picture(api, [SOURCE]) as picture:
        assert words(picture) == {"first": "old"}
        run("patch", "configmap", "first", "-n", "default", "-p", '{"data": {"word": "new"}}')
        assert picture.changed(10)
        assert words(picture) == {"first": "new"}
        run("create", "-f", "-", stdin=SECOND)
        assert picture.changed(10)
        assert words(picture) == {"first": "new", "second": "other"}
        run("delete", "configmap", "first", "second", "-n", "default")
        while words(picture):
            assert picture.changed(10)
        assert not picture.changed(0.1)


def test_a_kind_that_goes_leaves_no_objects(bare_world: World) -> None:
    run = bare_world.lab.kubectl
    run("create", "-f", "-", stdin=PASSING_KIND)
    bare_world.lab.wait_for("Established", "crd/things.example.com")
    run("create", "-f", "-", stdin=THING)
    api = connect({"kubeconfig": str(bare_world.lab.kubeconfig)}, check_mode=True, clock=Clock())
    things = Source("things", "/apis/example.com/v1/things", may_go=True)
    with Picture(api, [things]) as picture:
        assert [one["metadata"]["name"] for one in picture.objects("things")] == ["one"]
        run("delete", "crd/things.example.com")
        while picture.objects("things"):
            assert picture.changed(30)
        assert picture.trouble == ""
    with Picture(api, [things]) as picture:
        assert (picture.objects("things"), picture.trouble) == ([], "")
    with pytest.raises(NotFound), Picture(api, [Source("things", things.path)]):
        pass


PASSING_KIND = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  names: {kind: Thing, plural: things}
  scope: Cluster
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""
THING = "{apiVersion: example.com/v1, kind: Thing, metadata: {name: one}}"
SECOND = """
apiVersion: v1
kind: ConfigMap
metadata: {name: second, namespace: default, labels: {watched: "yes"}}
data: {word: other}
"""


def words(picture: Picture) -> dict[str, str]:
    return {item["metadata"]["name"]: item["data"]["word"] for item in picture.objects("maps")}
