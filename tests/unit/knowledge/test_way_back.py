# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether there is a way back from a hop that stopped: never once the operands have begun."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.versions import Version
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.way_back import Written, way_back

OLD, NEW = Version(1, 7, 0), "v1.8.4"
OURS = "quay.io/kubevirt"
NOTHING, MANIFEST = Written(), Written(manifest=True)
TAG, FIRST_TAG = Written(tag=True, tag_before="v1.7.0"), Written(tag=True)
BOTH = Written(manifest=True, tag=True, tag_before="v1.7.0")
NO_WAY = "no supported way back"


def kubevirt(target: str = "v1.7.0", namespace: str = "kubevirt") -> dict[str, t.Any]:
    status = {"targetKubeVirtVersion": target, "observedKubeVirtVersion": "v1.7.0"}
    return {"metadata": {"name": "kv", "namespace": namespace}, "status": status}


def of(now: t.Any, written: Written, *, running: Version | None = OLD, registry: str = OURS) -> tuple[str, str]:
    found = way_back(now, running=running, to=NEW, written=written, registry=registry)
    print(found.words)
    return found.kind, found.words


@pytest.mark.parametrize(
    ("now", "written", "kind", "says", "never"),
    [
        (kubevirt(), NOTHING, "nothing-begun", "nothing to go back from", "kubectl"),
        (kubevirt(NEW), NOTHING, "nothing-begun", "nothing to go back from", "kubectl"),
        (None, NOTHING, "nothing-begun", "nothing to go back from", "kubectl"),
        (kubevirt(), MANIFEST, "operator-only", "download/v1.7.0/kubevirt-operator.yaml", NO_WAY),
        (kubevirt(NEW), MANIFEST, "begun", NO_WAY, "kubectl"),
        (kubevirt(""), MANIFEST, "begun", "target: not said", "kubectl"),
        (kubevirt(), TAG, "tag-only", """-n kubevirt kv --type=merge -p '{"spec":{"imageTag":"v1.7.0"}}'""", "apply"),
        (kubevirt(), FIRST_TAG, "tag-only", """'{"spec":{"imageTag":null}}'""", "apply"),
        (kubevirt(), BOTH, "tag-only", "The new virt-operator can stay", "apply"),
        (kubevirt(NEW), TAG, "begun", NO_WAY, "kubectl"),
        (None, MANIFEST, "unknown", "does not say whether", "kubectl"),
        (None, TAG, "unknown", "status.targetKubeVirtVersion", "kubectl"),
    ],
)
def test_each_case(now: t.Any, written: Written, kind: str, says: str, never: str) -> None:
    found, words = of(now, written)
    assert found == kind
    assert says in words
    assert never not in words


@pytest.mark.parametrize(("now", "written"), [(kubevirt(NEW), MANIFEST), (kubevirt(NEW), TAG)])
def test_where_there_is_none_it_says_why_and_what_instead(now: t.Any, written: Written) -> None:
    words = of(now, written)[1]
    for one in ("#15018", "#4797", "deletes the CRDs", "Go forward", "deployed: v1.7.0, target: v1.8.4", "VMs"):
        assert one in words


def test_a_hop_to_the_version_that_runs_leads_nowhere_back() -> None:
    found = way_back(kubevirt(NEW), running=Version(1, 8, 4), to=NEW, written=MANIFEST, registry=OURS)
    assert found.kind == "begun"


def test_of_an_unknown_version_there_is_no_way_back() -> None:
    assert of(kubevirt(), MANIFEST, running=None)[0] == "begun"


@pytest.mark.parametrize(
    ("now", "registry"), [(kubevirt(), "registry.example.com/kubevirt"), (kubevirt(namespace="virt"), OURS)]
)
def test_the_way_back_never_leads_to_another_registry_or_namespace(now: t.Any, registry: str) -> None:
    kind, words = of(now, MANIFEST, registry=registry)
    assert kind == "operator-only"
    assert "kubectl apply" not in words and "run the same with version: v1.7.0 and its manifest" in words
