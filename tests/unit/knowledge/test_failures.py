# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What fails while a hop is waited for: which pods count, in which order it is told, and for how long it may."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import failures
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import CATALOGUE
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.tolerance import AT_THE_END, PATIENCE

Object = dict[str, t.Any]

STATUSES = Path(__file__).parents[1] / "fixtures" / "kubevirt_status"
TABLE = Path(__file__).parents[3] / "docs" / "known-failures.md"
ID = "b47613791cfbedf33dd5fa347953f2e2d72037f5"  # the targetDeploymentID of the statuses at v1.8.4


def recorded(name: str) -> Object:
    kubevirt: Object = yaml.safe_load((STATUSES / f"{name}.yaml").read_text())["kubevirt"]
    return kubevirt


def operator_pod(name: str, template: str, made: str, reason: str = "ImagePullBackOff", **metadata: t.Any) -> Object:
    return {
        "metadata": {
            **{"namespace": "kubevirt", "name": name, "creationTimestamp": f"2026-11-20T{made}:00Z"},
            "labels": {"kubevirt.io": "virt-operator", "pod-template-hash": template},
            **metadata,
        },
        "status": {
            "phase": "Pending",
            "containerStatuses": [{"name": "virt-operator", "image": "i", "state": {"waiting": {"reason": reason}}}],
        },
    }


def found(*pods: Object, kubevirt: str = "1.8-updating", **more: t.Any) -> list[tuple[str, str]]:
    arguments: Object = {"deployments": [], "strategy_loaded": False, **more}
    return [
        (one.finding.id, one.finding.object) for one in failures.failures(recorded(kubevirt), pods=pods, **arguments)
    ]


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ([operator_pod("a", "1", "10:00")], ["Pod kubevirt/a"]),
        ([operator_pod("old", "1", "10:00"), operator_pod("new", "2", "11:00", "ContainerCreating")], []),
        ([operator_pod("old", "1", "10:00"), operator_pod("new", "2", "11:00")], ["Pod kubevirt/new"]),
        ([operator_pod("going", "1", "10:00", deletionTimestamp="2026-11-20T10:10:00Z")], []),
    ],
    ids=["its only one", "one of the manifest before", "the new one", "one that goes away"],
)
def test_which_pod_of_virt_operator_counts(pods: list[Object], expected: list[str]) -> None:
    assert [name for _id, name in found(*pods)] == expected


@pytest.mark.parametrize(("label", "counts"), [("virt-api", True), ("hotplug-disk", False)])
def test_pods_of_vms_do_not_count(label: str, counts: bool) -> None:
    pod = operator_pod("a", "1", "10:00")
    pod["metadata"]["labels"] = {"kubevirt.io": label}
    if label == "virt-api":
        pod["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "virt-operator"
    assert bool(found(pod)) is counts


def test_pods_come_before_what_virt_operator_says() -> None:
    ids = [id for id, _name in found(operator_pod("a", "1", "10:00"), kubevirt="1.9-failed-stored-versions")]
    assert ids == ["upgrade.image-pull", "upgrade.stored-version-dropped"]


def test_a_deletion_comes_before_all_else() -> None:
    assert found(operator_pod("a", "1", "10:00"), kubevirt="1.8-deleting")[0] == (
        "kubevirt.deleting",
        "KubeVirt kubevirt/kubevirt",
    )


def test_a_deployment_whose_pods_are_refused() -> None:
    condition = {"type": "ReplicaFailure", "status": "True", "message": 'pods "a" is forbidden: exceeded quota: q'}
    deployment = {"metadata": {"namespace": "kubevirt", "name": "virt-api"}, "status": {"conditions": [condition]}}
    assert found(deployments=[deployment]) == [("upgrade.quota-exceeded", "Deployment kubevirt/virt-api")]
    condition["status"] = "False"
    assert found(deployments=[deployment]) == []


@pytest.mark.parametrize(("jobs", "loaded", "loops"), [(2, False, False), (3, False, True), (3, True, False)])
def test_jobs_that_complete_and_bring_nothing(jobs: int, loaded: bool, loops: bool) -> None:
    ids = [id for id, _name in found(completed_jobs=jobs, strategy_loaded=loaded)]
    assert ids == (["upgrade.install-job-loop"] if loops else [])


def test_each_patience_is_that_of_a_blocker() -> None:
    assert [id for id in PATIENCE if CATALOGUE[id].level != "blocker"] == []


def rows() -> list[list[str]]:
    """The rows of the tables of docs/known-failures.md: symptom, where, what becomes of it, how long, upstream."""
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def ids_in(text: str) -> list[str]:
    areas = {id.partition(".")[0] for id in CATALOGUE}
    return [one for one in re.findall(r"`([a-z]+\.[a-z0-9-]+)`", text) if one.partition(".")[0] in areas]


def test_the_table_names_ids_of_the_catalogue_only() -> None:
    assert [id for id in ids_in(TABLE.read_text()) if id not in CATALOGUE] == []


def test_each_failure_of_a_wait_is_in_the_table_with_its_patience() -> None:
    for id, seconds in PATIENCE.items():
        words = "asked for at the end" if seconds == AT_THE_END else f" {seconds:.0f} s"
        documented = [row[3] for row in rows() if f"`{id}`" in row[2]]
        assert any(words in cell for cell in documented), f"{id}: {documented} does not say {words!r}"


def test_each_upgrade_finding_is_in_the_tables() -> None:
    named = ids_in(TABLE.read_text())
    assert [id for id in CATALOGUE if id.startswith("upgrade.") and id not in named] == []
