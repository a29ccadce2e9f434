# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings: what is fixed for an id, and which of them stop a run."""

from __future__ import annotations

import re

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import (
    CATALOGUE,
    DOCS,
    Finding,
    blocking,
    finding,
    unknown_ids,
)

ACCEPTABLE = "kubevirt.unhealthy"
NEVER = "version.skips-minor"
WARNING = "version.not-latest-patch"
INFO = "workloads.on-old-launchers"


def found(id: str, **changes: str) -> Finding:
    return finding(id, object="KubeVirt a/b", cause="So it is.", fix="Mend it.", **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("id", sorted(CATALOGUE))
def test_a_finding_has_level_and_page_of_its_id(id: str) -> None:
    one = found(id)
    assert re.fullmatch(r"[a-z]+\.[a-z]+(-[a-z0-9]+)*", id)
    assert (one.level, one.acceptable) == (CATALOGUE[id].level, CATALOGUE[id].acceptable)
    assert one.url == f"{DOCS}/{id}.md"


@pytest.mark.parametrize(
    "id",
    [
        "version.skips-minor",
        "version.before-first-supported",
        "version.downgrade",
        "cluster.wrong-uid",
        "kubevirt.multiple",
    ],
)
def test_what_no_option_may_ever_let_pass(id: str) -> None:
    assert (CATALOGUE[id].level, CATALOGUE[id].acceptable) == ("blocker", False)


def test_the_result_holds_plain_values() -> None:
    assert found(ACCEPTABLE, evidence="seen").as_dict() == {
        "id": ACCEPTABLE,
        "level": "blocker",
        "object": "KubeVirt a/b",
        "cause": "So it is.",
        "evidence": "seen",
        "fix": "Mend it.",
        "url": f"{DOCS}/{ACCEPTABLE}.md",
        "acceptable": True,
    }


def test_an_id_that_is_not_in_the_catalogue_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        found("kubevirt.no-such")


@pytest.mark.parametrize(
    ("ids", "accept", "stopping"),
    [
        ([], [], []),
        ([INFO, WARNING], [], []),
        ([ACCEPTABLE, NEVER], [], [ACCEPTABLE, NEVER]),
        ([ACCEPTABLE, NEVER], [ACCEPTABLE], [NEVER]),
        ([ACCEPTABLE, NEVER], [ACCEPTABLE, NEVER], [NEVER]),
        ([ACCEPTABLE], [INFO], [ACCEPTABLE]),
    ],
)
def test_which_findings_stop_a_run(ids: list[str], accept: list[str], stopping: list[str]) -> None:
    assert [one.id for one in blocking(map(found, ids), accept)] == stopping


def test_a_warning_that_an_option_makes_a_blocker_stops_and_can_be_accepted() -> None:
    strict = found(WARNING, level="blocker")
    assert blocking([strict]) == [strict]
    assert blocking([strict], [WARNING]) == []


def test_unknown_ids() -> None:
    assert unknown_ids([NEVER, "owner.argocd", INFO, "all"]) == ["owner.argocd", "all"]
