# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/risks.md and docs/known-problems.md say what the code does, and leave no known problem out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import cluster_facts
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import CATALOGUE
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.known_risks import KNOWN
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.rule_files import (
    GATE_KEYS,
    OBJECTS_KEYS,
    RISK_KEYS,
    parse_gates,
    parse_risks,
)

DOCS = Path(__file__).resolve().parents[2] / "docs"
RISKS = (DOCS / "risks.md").read_text()
PROBLEMS = (DOCS / "known-problems.md").read_text()

# Of kubevirt/kubevirt: what broke on a step, in updates of the control plane, and in moving the VMs.
UPSTREAM = """
    2397 2533 4698 4797 5228 5355 5364 5438 5462 5467 6565 6775 7664 8039 8595 9051 9098 9286 9638 9707 9748 10632 11489 12390 13209
    13783 15005 15018 15157 15210 15313 15355 15373 15622 16066 16353 16386 16790 17996 18320 18396 18397 18497 18666 18670 18720 18918
    18919 18920 18922 18923 19134
"""
ELSEWHERE = """
    GoogleContainerTools/config-sync#297 cozystack/cozystack#2612 deckhouse/virtualization#2529 harvester/harvester#7729
    harvester/harvester#8203 harvester/harvester#9656 ryan4yin/k8s-gitops#21
"""


def rows() -> list[list[str]]:
    """The cells of the tables, without their heads."""
    lines = [line for line in PROBLEMS.splitlines() if line.startswith("| ") and "what becomes of it" not in line]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize("issue", [*(f"kubevirt/kubevirt#{number}" for number in UPSTREAM.split()), *ELSEWHERE.split()])
def test_every_known_problem_is_in_a_table(issue: str) -> None:
    repository, number = issue.split("#")
    shown = f"#{number}" if repository == "kubevirt/kubevirt" else issue
    assert f"[{shown}](https://github.com/{repository}/issues/{number})" in PROBLEMS


def test_every_row_says_what_becomes_of_it() -> None:
    for row in rows():
        assert len(row) in (3, 4), row
        assert re.match(r"`[a-z]+\.[a-z-]+`|handled: .|not ours: .", row[-1]), row


def test_the_findings_that_they_name_are_there() -> None:
    named = {id for row in rows() for id in re.findall(r"`([a-z]+\.[a-z-]+)`", row[-1])}
    assert named - CATALOGUE.keys() == set()


def test_every_known_risk_is_in_a_table() -> None:
    named = {id for row in rows() for id in re.findall(r"`(risk\.[a-z-]+)`", row[-1])}
    assert named == {risk.rule.id for risk in KNOWN}


def test_the_examples_are_valid() -> None:
    risks, gates = re.findall(r"^```yaml\n(.*?)^```$", RISKS, flags=re.MULTILINE | re.DOTALL)
    assert len(parse_risks(risks, "risks.yml")) == 1
    assert len(parse_gates(gates, "gates.yml")) == 2
    assert set(yaml.safe_load(risks)[0]) == set(RISK_KEYS), "the example of a risk shows every key"


@pytest.mark.parametrize("key", sorted({*RISK_KEYS, *GATE_KEYS, *OBJECTS_KEYS}))
def test_every_key_of_a_file_is_described(key: str) -> None:
    assert f"`{key}`" in RISKS


def test_the_facts_are_those_that_are_described() -> None:
    parts = {
        "": cluster_facts.ClusterFacts,
        "kubernetes.": cluster_facts.KubernetesFacts,
        "kubevirt.": cluster_facts.KubeVirtFacts,
        "operator.": cluster_facts.OperatorFacts,
        "nodes[].": cluster_facts.NodeFacts,
        "nodes[].taints[].": cluster_facts.TaintFacts,
        "crds[].": cluster_facts.CrdFacts,
        "launchers[].": cluster_facts.LauncherFacts,
        "preferences[].": cluster_facts.PreferenceFacts,
        "counts.": cluster_facts.Counts,
    }
    keys = {prefix + key for prefix, part in parts.items() for key in part.__annotations__}
    inner = {prefix.removesuffix(".").removesuffix("[]") for prefix in parts}
    table = RISKS[RISKS.index("## The facts") :]
    cells = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(name for cell in cells for name in re.findall(r"`([^`]+)`", cell)) == sorted(keys - inner)
