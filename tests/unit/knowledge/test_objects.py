# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How objects of the manifest are addressed, and how objects are called."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import manifest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.objects import object_name, path_of

RELEASE = (Path(__file__).parents[1] / "fixtures" / "kubevirt-operator-v1.7.0-trimmed.yaml").read_text()


def test_every_object_of_a_release_has_its_path() -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    assert [path_of(o) for o in manifest.parse(RELEASE).objects] == [
        "/api/v1/namespaces/kubevirt",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/kubevirts.kubevirt.io",
        "/apis/scheduling.k8s.io/v1/priorityclasses/kubevirt-cluster-critical",
        f"{rbac}/clusterroles/kubevirt.io:operator",
        "/api/v1/namespaces/kubevirt/serviceaccounts/kubevirt-operator",
        f"{rbac}/namespaces/kubevirt/roles/kubevirt-operator",
        f"{rbac}/namespaces/kubevirt/rolebindings/kubevirt-operator-rolebinding",
        f"{rbac}/clusterroles/kubevirt-operator",
        f"{rbac}/clusterrolebindings/kubevirt-operator",
        "/apis/apps/v1/namespaces/kubevirt/deployments/virt-operator",
    ]


@pytest.mark.parametrize(
    ("o", "expected"),
    [
        ({"kind": "Pod", "metadata": {"name": "a", "namespace": "b"}}, "Pod b/a"),
        ({"kind": "ClusterRole", "metadata": {"name": "a"}}, "ClusterRole a"),
        ({"kind": "ClusterRole", "metadata": {"name": "a", "namespace": ""}}, "ClusterRole a"),
        ({"metadata": {"name": "a", "namespace": "b"}}, "Object b/a"),
    ],
)
def test_object_name(o: dict[str, object], expected: str) -> None:
    assert object_name(o) == expected
