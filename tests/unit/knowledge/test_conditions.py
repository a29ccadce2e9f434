# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the status of a KubeVirt object says, on statuses of every era, and on what no era writes."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import conditions
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.conditions import State

STATUSES = Path(__file__).parents[1] / "fixtures" / "kubevirt_status"
FILES = sorted(STATUSES.glob("*.yaml"))
ERAS = (
    "0.17",
    "0.20",
    "0.26",
    "0.34",
    "0.39",
    "0.41",
    "0.49",
    "0.52",
    "0.58",
    "1.0",
    "1.3",
    "1.6",
    "1.7",
    "1.8",
    "1.9",
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_status_of_each_era(path: Path) -> None:
    case = yaml.safe_load(path.read_text(encoding="utf-8"))
    kubevirt, failure = case["kubevirt"], conditions.deployment_failed(case["kubevirt"])
    said = {
        "state": conditions.state_of(kubevirt).value,
        "observed": conditions.observed_version(kubevirt),
        "target": conditions.target_version(kubevirt),
        "operator": conditions.operator_version(kubevirt),
        "failure": failure and failure.reason,
        "reconciled": conditions.reconciled_generation(kubevirt),
        "explanation": conditions.explanation(kubevirt),
    }
    assert said == case["expect"]


@pytest.mark.parametrize("era", ERAS)
def test_every_era_has_a_status(era: str) -> None:
    assert [path.stem for path in FILES if path.stem.startswith(f"{era}-")]


def test_every_state_of_an_object_is_seen() -> None:
    seen = {yaml.safe_load(path.read_text(encoding="utf-8"))["expect"]["state"] for path in FILES}
    assert seen == {"installing", "healthy", "updating", "degraded", "failed", "deleting"}


def test_no_object() -> None:
    assert conditions.state_of(None).value == "absent"
    assert conditions.explanation(None) == "There is no KubeVirt object in the cluster."


def test_conditions_by_type() -> None:
    kubevirt = {
        "status": {
            "conditions": [
                {
                    "type": "Available",
                    "status": "True",
                    "reason": "AllComponentsReady",
                    "message": "All components are ready.",
                    "lastTransitionTime": "2026-11-20T10:00:00Z",
                },
                {"type": "Created", "status": "True", "lastTransitionTime": None},
            ]
        }
    }
    assert conditions.conditions(kubevirt) == {
        "Available": conditions.Condition("Available", "True", "AllComponentsReady", "All components are ready."),
        "Created": conditions.Condition("Created", "True", "", ""),
    }


@pytest.mark.parametrize(
    ("operator", "observed", "expected"),
    [
        ("v0.51.0", None, None),
        ("v0.52.0", None, False),
        ("v1.8.4-12-gabcdef0", None, False),
        ("v1.8.4", 3, False),
        ("v1.8.4", 4, True),
        # The field counts, whatever virt-operator calls itself.
        ("v0.0.0-master+$Format:%h$", 4, True),
        ("v0.0.0-master+$Format:%h$", None, None),
        (None, None, None),
    ],
)
def test_reconciled_generation(operator: str | None, observed: int | None, expected: bool | None) -> None:
    status: dict[str, t.Any] = {"operatorVersion": operator}
    if observed is not None:
        status["observedGeneration"] = observed
    assert conditions.reconciled_generation({"metadata": {"generation": 4}, "status": status}) is expected


@pytest.mark.parametrize("status", ["True", "Unknown"])
def test_only_synchronized_false_is_a_failure(status: str) -> None:
    synchronized = {"type": "Synchronized", "status": status, "reason": "DeploymentFailed"}
    assert conditions.deployment_failed({"status": {"conditions": [synchronized]}}) is None


@pytest.mark.parametrize("field", ["KubeVirtVersion", "KubeVirtRegistry", "DeploymentID"])
def test_updating_when_another_deployment_is_wanted(field: str) -> None:
    ready = [{"type": "Available", "status": "True", "reason": "AllComponentsReady"}]
    status = {"phase": "Deployed", "conditions": ready, f"target{field}": "a", f"observed{field}": "a"}
    assert conditions.state_of({"metadata": {}, "status": status}) is State.HEALTHY
    assert conditions.state_of({"metadata": {}, "status": {**status, f"target{field}": "b"}}) is State.UPDATING


@pytest.mark.parametrize(
    ("name", "observed", "target"),
    [
        ("1.8-healthy", "quay.io/kubevirt", "quay.io/kubevirt"),
        ("0.39-updating-registry", "index.docker.io/kubevirt", "quay.io/kubevirt"),
        ("0.29-not-reported", None, None),
    ],
)
def test_registries(name: str, observed: str | None, target: str | None) -> None:
    kubevirt = yaml.safe_load((STATUSES / f"{name}.yaml").read_text(encoding="utf-8"))["kubevirt"]
    assert (conditions.observed_registry(kubevirt), conditions.target_registry(kubevirt)) == (observed, target)
