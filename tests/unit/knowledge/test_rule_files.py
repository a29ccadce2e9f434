# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Users' files of risks and gates: what they say, and one clear message for everything that is wrong in one."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import user_file
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.gates import Selection
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.rule_files import (
    check_ids,
    parse_gates,
    parse_risks,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.user_file import UserFileError
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.versions import Version

from tests.support.bomb import ITEMS

RISK = """\
- id: user.old-gpu-driver
  from: ">=1.6, <1.8"
  to: 1.10
  level: warning
  message: >-
    VMs with a GPU
    do not start.
  fix: Update the driver.
  url: https://wiki.example.com/gpu
  when: length(nodes[?labels.gpu == 'old']) > `0`
  affected: nodes[?labels.gpu == 'old'].name
"""
GATE = """\
- id: user.backup-done
  level: blocker
  message: There is no backup.
  fix: Make one.
  objects: {api_version: velero.io/v1, kind: Backup, namespace: velero, label_selector: of=vms}
  require: length(items[?status.phase == 'Completed']) > `0`
"""


def test_a_risk_has_all_that_is_written() -> None:
    (risk,) = parse_risks(RISK, "risks.yml")
    rule = risk.rule
    assert (rule.id, rule.level, rule.acceptable) == ("user.old-gpu-driver", "warning", True)
    assert (rule.message, rule.fix) == ("VMs with a GPU do not start.", "Update the driver.")
    assert (rule.url, rule.place) == ("https://wiki.example.com/gpu", "risks.yml, line 1")
    assert (rule.condition, rule.raised_when) == ("length(nodes[?labels.gpu == 'old']) > `0`", True)
    assert rule.affected == "nodes[?labels.gpu == 'old'].name"
    assert risk.is_on(Version.parse("v1.7.4"), Version.parse("v1.10.0"))
    assert not risk.is_on(Version.parse("v1.7.4"), Version.parse("v1.1.0")), "1.10 is not the number 1.1"
    assert not risk.is_on(Version.parse("v1.8.0"), Version.parse("v1.10.0"))


def test_a_risk_without_versions_and_condition_is_always_there() -> None:
    (risk,) = parse_risks("[{id: user.a, level: info, message: Call us first., fix: Call 555.}]", "risks.yml")
    assert risk.is_on(Version.parse("v0.17.0"), Version.parse("v9.9.9"))
    assert risk.rule.finding({}, "KubeVirt a/b")


def test_a_gate_has_all_that_is_written() -> None:
    (gate,) = parse_gates(GATE, "gates.yml")
    assert gate.objects == Selection("velero.io/v1", "Backup", "velero", "of=vms")
    assert gate.rule.raised_when is False
    assert gate.finding([{"status": {"phase": "Completed"}}]) is None
    found = gate.finding([])
    assert found and found.id == "user.backup-done"


def test_json_with_tabs() -> None:
    entry = {"id": "user.a", "level": "info", "message": "m", "fix": "f"}
    assert parse_risks(json.dumps([entry], indent="\t"), "risks.json")[0].rule.id == "user.a"


def without(text: str, key: str) -> str:
    """Without the line of a key, which is not the first of its entry."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(f"  {key}:"))


def replaced(text: str, key: str, value: str) -> str:
    return "".join(
        f"  {key}: {value}\n" if line.startswith(f"  {key}:") else line for line in text.splitlines(keepends=True)
    )


ALL_KEYS = "id, level, message, fix, url, when, affected"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "f.yml: expected a list of risks; found nothing."),
        ("# nothing", "f.yml: expected a list of risks; found nothing."),
        ("[]", "f.yml, line 1: expected a list of risks; found an empty list."),
        ("id: user.a", "f.yml, line 1: expected a list of risks; found a mapping."),
        ("- a: [", "f.yml, line 1: expected YAML or JSON; found an error: "),
        ("- a\n\tb", "f.yml, line 2: expected YAML or JSON; found an error: "),
        ("- a\n---\n- b", "f.yml, line 2: expected YAML or JSON; found an error: "),
        ("- a\0", "f.yml: expected YAML or JSON; found an error: "),
        ("- just text", f"f.yml, line 1, risk 1: expected a mapping with {ALL_KEYS}, from, to; found 'just text'."),
        (RISK + "-\n", "f.yml, line 12, risk 2: expected a mapping with"),
        (
            RISK.replace("level:", "levle:"),
            f"f.yml, line 4, risk 1: expected {ALL_KEYS}, from or to; found 'levle' (did you mean level?).",
        ),
        (RISK + "  fix: Twice.\n", "f.yml, line 12, risk 1: expected each key once; found 'fix' a second time."),
        (without(RISK, "level"), "f.yml, line 1, user.old-gpu-driver: expected level; found none."),
        (without(RISK, "fix"), "f.yml, line 1, user.old-gpu-driver: expected fix; found none."),
        (replaced(RISK, "fix", ""), "f.yml, line 8, user.old-gpu-driver: expected a text for fix; found nothing."),
        (replaced(RISK, "fix", "~"), "line 8, user.old-gpu-driver: expected a text for fix; found nothing."),
        (replaced(RISK, "fix", "[a]"), "line 8, user.old-gpu-driver: expected a text for fix; found a list."),
        (
            replaced(RISK, "level", "warn"),
            "line 4, user.old-gpu-driver: expected info, warning or blocker; found 'warn' (did you mean warning?).",
        ),
        (RISK.replace("user.old", "old"), "line 1, old-gpu-driver: expected an id that begins with user. such as"),
        (RISK.replace("user.old", "User.old"), "found 'User.old-gpu-driver'."),
        (replaced(RISK, "url", "wiki"), "line 9, user.old-gpu-driver: expected an address such as https://"),
        (
            replaced(RISK, "to", "1.x"),
            "line 3, user.old-gpu-driver: expected versions for to such as 1.6 or >=1.6, <v1.7.2; "
            "found '1.x' is neither a minor such as 1.6 nor a version such as v1.6.2.",
        ),
        (
            replaced(RISK, "when", "nodes["),
            "line 10, user.old-gpu-driver: expected a JMESPath expression for when; "
            "found 'nodes[': it ends too early, at position 7.",
        ),
        (replaced(RISK, "affected", "len(nodes)"), "line 11, user.old-gpu-driver: expected a JMESPath expression for"),
        (
            RISK + RISK,
            "f.yml, line 12: expected each id once; found user.old-gpu-driver that f.yml, line 1 has too.",
        ),
        (RISK + "  require: a\n", "line 12, risk 1: expected"),
    ],
)
def test_what_is_wrong_in_a_file_of_risks(text: str, said: str) -> None:
    with pytest.raises(UserFileError) as error:
        parse_risks(text, "f.yml")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "f.yml, line 1: expected a list of gates; found a mapping."),
        (without(GATE, "objects"), "line 1, user.backup-done: expected objects such as {api_version: apps/v1,"),
        (replaced(GATE, "objects", "Backup"), "line 5, user.backup-done: expected objects such as"),
        (replaced(GATE, "objects", "{kind: Backup}"), "line 5, user.backup-done: expected api_version; found none."),
        (
            replaced(GATE, "objects", "{apiVersion: v1, kind: Pod}"),
            "line 5, user.backup-done: expected api_version, kind, namespace or label_selector; found 'apiVersion' "
            "(did you mean api_version?).",
        ),
        (replaced(GATE, "objects", "{api_version: apps, kind: Pod}"), "expected an API version such as v1 or apps/v1"),
        (
            replaced(GATE, "objects", "{api_version: v1, kind: pods}"),
            "expected a kind such as Deployment; found 'pods'",
        ),
        (replaced(GATE, "objects", "{api_version: v1, kind: Pod, namespace: A}"), "expected a namespace; found 'A'"),
        (without(GATE, "require"), "line 1, user.backup-done: expected either when (what must not be) or require"),
        (GATE + "  when: a\n", "expected either when (what must not be) or require (what must be); found both."),
        (replaced(GATE, "require", "items.["), "line 6, user.backup-done: expected a JMESPath expression for require;"),
        (GATE + "  from: 1.6\n", "line 7, gate 1: expected"),
        (GATE + GATE, "expected each id once"),
    ],
)
def test_what_is_wrong_in_a_file_of_gates(text: str, said: str) -> None:
    with pytest.raises(UserFileError) as error:
        parse_gates(text, "f.yml")
    assert said in str(error.value)


@pytest.mark.parametrize("place", ["{}", "- id: {}", "- id: user.a\n  message: {}", "- id: user.a\n  from: {}"])
@pytest.mark.parametrize("parse", [parse_risks, parse_gates])
def test_a_bomb_of_aliases_is_not_followed(parse: t.Callable[[str, str], object], place: str) -> None:
    with pytest.raises(UserFileError):
        parse(place.format(f"[{', '.join(ITEMS)}]"), "f.yml")


@pytest.mark.parametrize("parse", [parse_risks, parse_gates])
def test_text_that_nests_deeply_or_refers_to_itself_is_an_error_too(parse: t.Callable[[str, str], object]) -> None:
    for text in ("[" * 3000, "&a [*a]", "- &a {id: *a}"):
        with pytest.raises(UserFileError):
            parse(text, "f.yml")


def test_an_id_that_two_files_have() -> None:
    risks, gates = parse_risks(RISK, "r.yml"), parse_gates(GATE.replace("backup-done", "old-gpu-driver"), "g.yml")
    with pytest.raises(UserFileError, match=r"g\.yml, line 1: .* user\.old-gpu-driver that r\.yml, line 1 has too"):
        check_ids([one.rule for one in (*risks, *gates)])


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_file, "yaml", None)
    with pytest.raises(UserFileError, match=r"f\.yml: the Python library PyYAML is missing"):
        parse_risks(RISK, "f.yml")
