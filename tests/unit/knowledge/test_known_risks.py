# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each known risk is raised by the facts that it is about, on its hops, and by no others.

``fixtures/risks`` has a file for each: ``raised`` and ``not_raised`` are laid over the facts of a healthy cluster, and on
``other_hops`` not even the former raise it.
"""

from __future__ import annotations

import copy
import typing as t
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import expressions
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.cluster_facts import ClusterFacts
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import CATALOGUE, DOCS, Finding
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.known_risks import KNOWN
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.risks import findings_of_the_hop
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.versions import Version

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
IDS = [risk.rule.id for risk in KNOWN]

# Each side of every version that a risk is about.
VERSIONS = "0.17.4 0.55.2 0.56.1 0.58.2 0.59.2 1.2.2 1.3.1 1.5.3 1.6.0 1.6.6 1.7.0 1.7.4 1.8.4 1.9.0 1.10.0"

each_risk = pytest.mark.parametrize("id", IDS)


def healthy() -> ClusterFacts:
    return t.cast(ClusterFacts, yaml.safe_load((FIXTURES / "healthy-cluster-facts.yml").read_text()))


def case(id: str) -> dict[str, t.Any]:
    path = FIXTURES / "risks" / f"{id}.yml"
    assert path.is_file(), f"{id} needs {path} with facts that raise it, and some that do not"
    return t.cast("dict[str, t.Any]", yaml.safe_load(path.read_text()))


def facts(changes: dict[str, t.Any]) -> ClusterFacts:
    return t.cast(ClusterFacts, laid_over(healthy(), changes))


def laid_over(below: t.Any, above: t.Any) -> t.Any:
    """Mappings key by key, everything else as a whole."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return copy.deepcopy(above)
    return {**below, **{key: laid_over(below.get(key), value) for key, value in above.items()}}


def found(hop: list[str], cluster: ClusterFacts) -> list[Finding]:
    return findings_of_the_hop(KNOWN, Version.parse(hop[0]), Version.parse(hop[1]), cluster)


@each_risk
def test_the_facts_that_a_risk_is_about_raise_it_and_name_the_objects(id: str) -> None:
    one = case(id)
    raised = {finding.id: finding for finding in found(one["hop"], facts(one["raised"]))}
    assert id in raised
    assert (raised[id].object, raised[id].level, raised[id].evidence) == (one["object"], CATALOGUE[id].level, "")


@each_risk
def test_other_facts_do_not_raise_it(id: str) -> None:
    one = case(id)
    assert id not in [finding.id for finding in found(one["hop"], facts(one["not_raised"]))]


@each_risk
def test_on_other_hops_the_same_facts_do_not_raise_it(id: str) -> None:
    one = case(id)
    for hop in one.get("other_hops", []):
        assert id not in [finding.id for finding in found(hop, facts(one["raised"]))], hop


@each_risk
def test_a_risk_of_certain_versions_has_other_hops(id: str) -> None:
    risk = KNOWN[IDS.index(id)]
    assert bool(risk.from_versions.comparisons or risk.to_versions.comparisons) == ("other_hops" in case(id))


def test_there_is_no_fixture_without_a_risk() -> None:
    assert {path.stem for path in (FIXTURES / "risks").iterdir()} == set(IDS)


def test_the_catalogue_has_these_risks_and_no_others() -> None:
    assert sorted(IDS) == sorted(id for id in CATALOGUE if id.startswith("risk."))


def test_a_healthy_cluster_without_vms_has_no_risk_on_any_hop() -> None:
    for hop in pairwise(f"v{version}" for version in VERSIONS.split()):
        assert found(list(hop), healthy()) == [], hop


@each_risk
def test_its_expressions_can_be_read(id: str) -> None:
    rule = KNOWN[IDS.index(id)].rule
    expressions.check(rule.condition)
    if rule.affected:
        expressions.check(rule.affected)


@each_risk
def test_it_says_what_may_happen_and_what_to_do_and_leads_to_its_page(id: str) -> None:
    rule = KNOWN[IDS.index(id)].rule
    assert rule.url == f"{DOCS}/{id}.md"
    for sentence in (rule.message, rule.fix):
        assert sentence.endswith(".") and len(sentence) < 260, sentence


def test_facts_that_could_not_be_read_leave_it_open() -> None:
    cluster = healthy()
    cluster["crds"] = None
    assert [(f.id, f.level, f.acceptable) for f in found(["v1.6.6", "v1.7.4"], cluster)] == [
        ("risk.instancetype-stored-versions", "blocker", True)
    ]
    finding = found(["v1.6.6", "v1.7.4"], cluster)[0]
    assert finding.cause.startswith("It cannot be told whether this applies here: 1.7 has no v1alpha1")
    assert "null" in finding.evidence
    assert finding.url in finding.fix
