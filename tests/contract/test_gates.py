# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A user's gates over real objects, and a user's risks: what stops the run before any write, and what does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.conftest import World
from tests.contract.test_refusals import refused, untouched
from tests.support.kubevirt import KUBEVIRT
from tests.support.lab import Json, Result

NAMESPACE = "backups"
LABELS = {"of": "vms"}

DONE = """\
- id: user.backup-done
  level: blocker
  message: A backup of the VMs is not complete.
  fix: Wait for the nightly backup.
  url: https://wiki.example.com/backup
  objects: {api_version: v1, kind: ConfigMap, namespace: backups, label_selector: of=vms}
  require: length(items) > `0` && length(items[?data.phase != 'Completed']) == `0`
  affected: items[?data.phase != 'Completed'].metadata.name
"""
FROZEN = """\
- id: user.change-freeze
  level: warning
  message: Changes are frozen.
  fix: Ask on the channel.
  objects: {api_version: v1, kind: ConfigMap, namespace: backups}
  when: length(items[?data.freeze == 'true']) > `0`
"""
NO_SUCH_KIND = """\
- id: user.volumes-whole
  level: blocker
  message: Volumes have lost a replica.
  fix: Wait until they are rebuilt.
  objects: {api_version: storage.example.com/v1, kind: Volume}
  when: length(items) > `0`
"""
NO_SUCH_KIND_OF_A_GROUP = NO_SUCH_KIND.replace("storage.example.com/v1", "apps/v1")


def config_map(name: str, *, labelled: bool = True, **data: str) -> Json:
    labels = LABELS if labelled else {}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


@pytest.fixture(scope="module")
def gated(world: World) -> Iterator[World]:
    """Two backups, both complete, and an object beside them that no gate's labels select."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    world.lab.apply(namespace)
    world.lab.apply(
        config_map("monday", phase="Completed"),
        config_map("tuesday", phase="Completed"),
        config_map("of-others", labelled=False, phase="Failed", freeze="false"),
    )
    yield world
    world.lab.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def failed_backup(gated: World) -> Iterator[World]:
    gated.lab.apply(config_map("tuesday", phase="Failed"))
    yield gated
    gated.lab.apply(config_map("tuesday", phase="Completed"))


def planned(world: World, **options: object) -> Result:
    """In check mode, which judges the same, so that the next test begins with the same cluster."""
    with untouched(world):
        result: Result = world.upgrade(check=True, **options)
    return result


def test_an_open_gate_says_nothing(gated: World) -> None:
    result = planned(gated, gates=DONE)
    assert (result.code, result.data["changed"]) == (0, True), result.message
    assert [id for id in result.finding_ids if id.startswith("user.")] == []


def test_a_closed_gate_stops_the_run_and_names_the_object(failed_backup: World) -> None:
    with untouched(failed_backup):
        result = failed_backup.upgrade(gates=DONE)
        refused(
            result,
            "[user.backup-done] tuesday: A backup of the VMs is not complete.",
            "Do: Wait for the nightly backup.",
            "Or go on all the same: accept: [user.backup-done]",
            "More: https://wiki.example.com/backup",
        )
    assert "of-others" not in result.message, "the labels select"
    assert result.data["actions"] == []


def test_a_gate_without_any_object_is_closed(gated: World) -> None:
    with untouched(gated):
        refused(
            gated.upgrade(gates=DONE.replace("of=vms", "of=nothing")),
            "[user.backup-done] ConfigMap in namespace backups",
        )


def test_a_closed_gate_that_is_accepted_is_told_and_does_not_stop(failed_backup: World) -> None:
    result = planned(failed_backup, gates=DONE, accept=["user.backup-done"])
    assert (result.code, result.data["changed"]) == (0, True), result.message
    found = result.finding("user.backup-done")
    assert (found["level"], found["object"]) == ("blocker", "tuesday")
    assert any("user.backup-done" in line for line in result.data["page"])


def test_accepting_one_gate_does_not_open_another(failed_backup: World) -> None:
    with untouched(failed_backup):
        result = failed_backup.upgrade(gates=DONE + NO_SUCH_KIND, accept=["user.backup-done"])
        refused(result, "[user.volumes-whole]")
    assert "[user.backup-done]" not in result.message


def test_only_ids_of_the_given_files_can_be_accepted(gated: World) -> None:
    with untouched(gated):
        refused(
            gated.upgrade(gates=DONE, accept=["user.backup-don"]),
            "accept: 'user.backup-don' is no finding id. Did you mean user.backup-done?",
        )


def test_a_warning_does_not_stop(gated: World) -> None:
    gated.lab.apply(config_map("of-others", labelled=False, phase="Failed", freeze="true"))
    try:
        result = planned(gated, gates=DONE + FROZEN)
    finally:
        gated.lab.apply(config_map("of-others", labelled=False, phase="Failed", freeze="false"))
    assert result.code == 0
    assert result.finding("user.change-freeze")["level"] == "warning"
    assert "user.backup-done" not in result.finding_ids


@pytest.mark.parametrize("gate", [NO_SUCH_KIND, NO_SUCH_KIND_OF_A_GROUP])
def test_a_kind_that_the_cluster_does_not_have_closes_a_blocking_gate(gated: World, gate: str) -> None:
    with untouched(gated):
        refused(
            gated.upgrade(gates=gate),
            "[user.volumes-whole] Volume: It cannot be told whether this applies here: Volumes have lost a replica.",
            "Seen: The cluster has no Volume of",
            "Do: Mend that, or correct the entry (the given text, line 1).",
            "accept: [user.volumes-whole]",
        )
    assert planned(gated, gates=gate, accept=["user.volumes-whole"]).code == 0


RISK = """\
- id: user.many-gates
  from: "1.7"
  to: 1.8
  level: blocker
  message: Our build has a feature gate that 1.8 does not know.
  fix: Take it away first.
  when: contains(kubevirt.feature_gates, 'OurOwn') && counts.vms == `0`
"""


@pytest.fixture
def with_gate(world: World) -> Iterator[World]:
    """The KubeVirt object has a feature gate of ours."""
    path = {"spec": {"configuration": {"developerConfiguration": {"featureGates": ["OurOwn"]}}}}
    world.patch(KUBEVIRT, path)
    yield world
    world.patch(KUBEVIRT, {"spec": {"configuration": {"developerConfiguration": None}}})


def test_a_users_risk_stops_the_hop_that_it_is_about(with_gate: World) -> None:
    with untouched(with_gate):
        refused(with_gate.upgrade(risks=RISK), "[user.many-gates] KubeVirt kubevirt/kubevirt: Our build has")
    result = planned(with_gate, risks=RISK, accept=["user.many-gates"])
    assert result.code == 0 and "user.many-gates" in result.finding_ids


def test_a_users_risk_is_not_raised_elsewhere(world: World) -> None:
    assert "user.many-gates" not in planned(world, risks=RISK).finding_ids, "there is no such feature gate"


def test_a_users_risk_of_another_hop_is_not_raised(with_gate: World) -> None:
    other = RISK.replace('from: "1.7"', 'from: "1.6"').replace("to: 1.8", "to: 1.7")
    assert "user.many-gates" not in planned(with_gate, risks=other).finding_ids


@pytest.mark.parametrize(
    ("when", "raised"),
    [("counts.vms > `0`", False), ("length(nodes[?ready]) == `0`", True), ("kubevirt.spec.imageTag == `null`", True)],
)
def test_the_facts_of_this_cluster(world: World, when: str, raised: bool) -> None:
    risk = f"- id: user.a\n  level: info\n  message: m\n  fix: f\n  when: {when}\n"
    assert ("user.a" in planned(world, risks=risk).finding_ids) is raised


def test_an_expression_without_an_answer_blocks_where_the_risk_would(world: World) -> None:
    unclear = "- id: user.a\n  level: blocker\n  message: It breaks.\n  fix: f\n  when: counts.nosuch\n"
    with untouched(world):
        refused(
            world.upgrade(risks=unclear),
            "[user.a] KubeVirt kubevirt/kubevirt: It cannot be told whether this applies here: It breaks.",
            "Seen: it gives null",
            "Do: Mend that, or correct the entry (the given text, line 1).",
        )
