# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report on a fleet: what is in it, and when which file is written. tests/browser looks at the page in a browser."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.fleet_outcomes import (
    duration,
    fleet_of,
    is_web_address,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.fleet_report import (
    report_files,
    run,
)

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "tests/unit/golden/fleet"
OUTCOMES: dict[str, Any] = yaml.safe_load((ROOT / "tests/unit/fixtures/fleet-outcomes.yml").read_text())
NAMES = ("report.json", "report.md", "report.html")
EARLY, LATE = (datetime(2026, 1, day, 2, 15, tzinfo=timezone.utc) for day in (30, 31))
VOID = {"meta", "link"}


def report(hosts: dict[str, Any]) -> dict[str, str]:
    files = report_files(fleet_of(hosts, "KubeVirt v1.8.4 on all clusters"), "2026-01-31T02:15:00Z")
    return {name: content.decode() for name, content in files.items()}


def write(dest: Path, hosts: dict[str, Any], *, now: datetime = EARLY, check_mode: bool = False) -> dict[str, Any]:
    return run({"hosts": hosts, "dest": str(dest), "title": "Fleet"}, check_mode=check_mode, now=now)


class Checked(HTMLParser):
    """The page's text; fails where an element is not closed in its turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        assert not [name for name, value in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("name", NAMES)
def test_the_report_word_for_word(name: str) -> None:
    golden = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(report(OUTCOMES)[name])
    assert report(OUTCOMES)[name] == golden.read_text()


def test_the_same_outcomes_in_another_order_give_the_same_report() -> None:
    assert report(dict(reversed(OUTCOMES.items()))) == report(OUTCOMES)


def test_nothing_that_was_found_becomes_an_element_or_a_link() -> None:
    attack = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> | [x](javascript:alert(1)) `y` \ud800"
    finding: dict[str, Any] = dict.fromkeys(("id", "level", "object", "cause", "evidence", "fix"), attack)
    finding["url"] = "javascript:alert(1)"
    outcome: dict[str, Any] = dict.fromkeys(("from_version", "to_version", "wave", "owner", "message"), attack)
    outcome |= {"findings": [finding], "phases": [{"name": attack, "seconds": 3}]}
    outcome["cluster"] = {"endpoint": attack, "uid": attack}
    files = report({attack: {**outcome, "state": "failed"}, f"{attack} 2": {**outcome, "state": "done"}})

    page = Checked(files["report.html"])
    assert not page.names & {"script", "img", "iframe", "svg"}
    assert page.links == ["data:,", "#failure-1"]
    assert attack.replace("\ud800", "\\ud800") in page.text
    assert not re.search(r"(?<!\\)<|(?<!\\)\[", files["report.md"])
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in files["report.md"].splitlines()} == {0, 12}


@pytest.mark.parametrize("url", ["javascript:x", "https://a b", "https://a)", "http://", "", "data:x", "//host"])
def test_what_is_no_address_on_the_web_is_no_link(url: str) -> None:
    assert not is_web_address(url)


def test_secrets_are_in_no_file() -> None:
    secret = {"cluster": {"endpoint": "https://me:hunter22@host:6443"}, "message": "token=hunter22", "state": "failed"}
    assert [name for name, text in report({"one": secret, **OUTCOMES}).items() if "hunter22" in text] == []


@pytest.mark.parametrize("state", ["failed", "done", "deferred", "not-begun", "unchanged", "unknown", "nonsense", None])
def test_every_key_may_be_missing(state: str | None) -> None:
    files = report({"bare": {"state": state}, "empty": {}})
    Checked(files["report.html"])
    states = json.loads(files["report.json"])["totals"]["states"]
    known = state if state in states else "unknown"
    assert states[known] == 1 + (known == "unknown")
    if state == "failed":
        assert "Nothing is known about the cause." in files["report.html"]


@pytest.mark.parametrize("junk", [None, [], {}, "text", 3, [None], [3], [{}], {"moved": "x"}, -1, float("inf")])
def test_values_of_another_kind_do_not_break_the_report(junk: Any) -> None:
    keys = ("cluster", "from_version", "phases", "findings", "vms", "elapsed", "wave", "owner", "message")
    for state in ("failed", "done"):
        Checked(report({"odd": {**dict.fromkeys(keys, junk), "state": state}})["report.html"])


def test_each_part_of_a_single_key_can_be_left_out() -> None:
    for host, outcome in OUTCOMES.items():
        for key in outcome:
            Checked(report({host: {name: value for name, value in outcome.items() if name != key}})["report.html"])


def test_a_failed_cluster_without_a_blocker_shows_its_message_and_no_other_cause() -> None:
    failed = {**OUTCOMES["berlin-1"], "state": "failed", "message": "The API server does not answer."}
    fleet = fleet_of({"one": failed}, "")
    assert fleet.failures[0].causes == ()
    assert [note.found.id for note in fleet.notes] == ["version.not-latest-patch"]
    assert "<pre>The API server does not answer.</pre>" in report({"one": failed})["report.html"]


@pytest.mark.parametrize("seen", ["0/3 nodes are available", ""])
def test_a_cause_says_what_was_seen_if_anything_was(seen: str) -> None:
    cause = {
        "id": "upgrade.unschedulable",
        "level": "blocker",
        "cause": "No node.",
        "evidence": seen,
        "fix": "Make room.",
    }
    text = report({"one": {"state": "failed", "findings": [cause]}})["report.md"]
    assert ("  - Seen: " in text) == bool(seen)
    assert "  - Do: Make room." in text


def test_what_was_found_on_many_clusters_is_told_once() -> None:
    fleet = fleet_of({f"c{number}": OUTCOMES["berlin-1"] for number in range(20)}, "")
    assert [(note.found.id, len(note.hosts)) for note in fleet.notes] == [("version.not-latest-patch", 20)]


def test_two_hundred_clusters() -> None:
    outcomes = list(OUTCOMES.values())
    hosts = {f"cluster-{n}": {**outcomes[n % len(outcomes)], "wave": n // 50} for n in range(200)}
    files = report(hosts)
    page = Checked(files["report.html"])
    assert all(host in page.text for host in hosts)
    assert page.text.index("cluster-9") < page.text.index("cluster-10")
    assert len(files["report.html"]) < 1_000_000
    assert json.loads(files["report.json"])["totals"]["clusters"] == 200


def test_an_empty_fleet() -> None:
    assert "There is no cluster to report on" in Checked(report({})["report.html"]).text


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        (["done"], "The cluster is done"),
        (["failed"], "The cluster failed"),
        (["deferred"], "The cluster is not done"),
        (["done", "unchanged"], "All 2 clusters are done"),
        (["done", "deferred", "unknown"], "1 of 3 clusters are done"),
        (["done", "deferred", "failed"], "1 of 3 clusters failed"),
    ],
)
def test_the_verdict(states: list[str], verdict: str) -> None:
    assert fleet_of({str(n): {"state": state} for n, state in enumerate(states)}, "").verdict == verdict


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7384, "2 h 03 min"),
    ],
)
def test_a_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_second_run_changes_nothing_but_when_the_content_does(tmp_path: Path) -> None:
    dest = tmp_path / "reports" / "one"
    first = write(dest, OUTCOMES)
    paths = [str(dest / name) for name in NAMES]
    assert (first["changed"], first["files"], first["written"]) == (True, paths, paths)
    assert stat.S_IMODE(dest.stat().st_mode) & 0o700 == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in dest.iterdir()} == {0o644}
    content = {path: path.read_bytes() for path in dest.iterdir()}

    second = write(dest, OUTCOMES, now=LATE)
    assert (second["changed"], second["written"]) == (False, [])
    assert {path: path.read_bytes() for path in dest.iterdir()} == content

    third = write(dest, {**OUTCOMES, "rome-1": {"state": "done"}}, now=LATE)
    assert (third["changed"], third["written"]) == (True, paths)
    assert all("2026-01-31T02:15:00Z" in path.read_text() for path in dest.iterdir())
    assert len([*dest.iterdir()]) == 3


@pytest.mark.parametrize("content", ["", "[]", "not JSON", '{"generated_at": 3}', "\udc80"])
def test_a_report_that_was_damaged_is_written_anew(tmp_path: Path, content: str) -> None:
    write(tmp_path, OUTCOMES)
    (tmp_path / "report.json").write_bytes(content.encode(errors="surrogateescape"))
    assert write(tmp_path, OUTCOMES, now=LATE)["changed"]
    assert json.loads((tmp_path / "report.json").read_text())["generated_at"] == "2026-01-31T02:15:00Z"


def test_check_mode_says_what_would_be_written_and_writes_nothing(tmp_path: Path) -> None:
    predicted = write(tmp_path / "new", OUTCOMES, check_mode=True)
    assert [*tmp_path.iterdir()] == []
    assert "Would be written: " in predicted["msg"]
    done = write(tmp_path / "new", OUTCOMES)
    assert {**predicted, "msg": ""} == {**done, "msg": ""}
    assert not write(tmp_path / "new", OUTCOMES, check_mode=True)["changed"]


@pytest.mark.parametrize("check_mode", [False, True], ids=["run", "check"])
def test_what_cannot_be_used_is_refused_by_name(tmp_path: Path, check_mode: bool) -> None:
    (tmp_path / "file").touch()
    for dest in (tmp_path / "file", tmp_path / "file" / "below"):
        refused = write(dest, OUTCOMES, check_mode=check_mode)
        assert refused["failed"] and f"{tmp_path}/file is not a directory" in refused["msg"]
    refused = write(tmp_path, {"berlin": "done"}, check_mode=check_mode)
    assert refused["msg"] == "hosts: the outcome of berlin is 'done', not a dictionary. Nothing was written."
    blank = run({"hosts": {}, "dest": " ", "title": ""}, check_mode=check_mode, now=EARLY)
    assert blank["failed"] and blank["msg"].startswith("dest: it is blank.")


@pytest.mark.parametrize("check_mode", [False, True], ids=["run", "check"])
def test_a_directory_that_may_not_be_written_into(
    tmp_path: Path, check_mode: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_arguments: False)  # root may write everywhere
    refused = write(tmp_path / "new", OUTCOMES, check_mode=check_mode)
    assert refused["failed"] and f"this user may not write into {tmp_path}" in refused["msg"]
    assert [*tmp_path.iterdir()] == []


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, OUTCOMES)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    refused = write(tmp_path, {}, now=LATE)
    assert refused["failed"] and "No space left on device" in refused["msg"]
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def ansible(dest: Path, *arguments: str, **options: Any) -> tuple[int, str]:
    """The module as people call it, on a host that does not exist."""
    command = [str(Path(sys.executable).with_name("ansible")), "all", "-i", "nowhere,", *arguments]
    command += ["-m", "kubevirt.lifecycle.fleet_report", "-a", json.dumps({"dest": str(dest), **options})]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/collections"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=300)
    print(done.stdout, done.stderr)
    return done.returncode, done.stdout


def test_the_action_writes_on_the_controller_whatever_the_host(tmp_path: Path) -> None:
    code, said = ansible(tmp_path / "report", "--check", hosts=OUTCOMES)
    assert code == 0 and "Would be written" in said
    assert [*tmp_path.iterdir()] == []
    code, said = ansible(tmp_path / "report", hosts=OUTCOMES)
    assert code == 0 and "1 of 6 clusters failed. Written" in said
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == sorted(NAMES)
    code, said = ansible(tmp_path / "report", hosts=OUTCOMES, colour="red")
    assert code != 0 and "colour" in said
