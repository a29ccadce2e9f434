# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run that stopped leaves: objects in the result and a bundle, without secrets, whatever the server does."""

from __future__ import annotations

import json
import stat
import typing as t
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import Finding, finding
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import aftermath, bundle, upgrade
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.aftermath import failing_finding
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.bundle import (
    check_bundle_dir,
    leave_account,
    write_bundle,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import InvalidOption, Outcome

from tests.unit.operations.conftest import Answer

World = t.Any  # tests/unit/operations/conftest.py
Server = t.Any
Json = dict[str, t.Any]

PLANTED = "pl4nted-S3cret"
PODS = "/api/v1/namespaces/kubevirt/pods"
EVENTS = "/api/v1/namespaces/kubevirt/events"
JOBS = "/apis/batch/v1/namespaces/kubevirt/jobs"
AT = datetime(2026, 1, 31, 2, 15, tzinfo=timezone.utc)
NAME = "0000-111-20260131T021500Z"
FAILED = "The upgrade to v1.8.4 stopped.\n[upgrade.stalled] KubeVirt kubevirt/kubevirt: Nothing moved."


class Standing(Clock):
    """Time stands still until it is moved."""

    seconds = 0.0

    def now(self) -> float:
        return self.seconds


def metadata(name: str, **more: t.Any) -> Json:
    return {"name": name, "namespace": "kubevirt", "managedFields": [{"manager": "kubectl"}], **more}


def pod(name: str, component: str, *, ready: bool, restarts: int = 0) -> Json:
    labels = {"kubevirt.io": component, "app.kubernetes.io/managed-by": "virt-operator"}
    container = {"name": component, "ready": ready, "restartCount": restarts}
    env = [{"name": "REGISTRY_PASSWORD", "value": PLANTED}]
    return {
        "metadata": metadata(name, labels=labels, annotations={"example.com/token": PLANTED}),
        "spec": {"containers": [{"name": component, "env": env, "args": [f"--token={PLANTED}"]}]},
        "status": {"phase": "Running", "containerStatuses": [container]},
    }


class Case:
    """A cluster in which an upgrade has stopped, and what is left of it."""

    def __init__(self, world: World, folder: Path) -> None:
        self.server: Server = world.server()
        self.facts = world.facts()
        self.folder = folder / "bundles"
        self.clock = Standing()
        self.outcome = Outcome(self.facts.cluster.as_dict(), "updating", failure=FAILED, extra=dict(aftermath.NOTHING))
        self.outcome.document = lambda _result, failure: f"# Upgrade\n{failure}\nlog in with token={PLANTED}\n"
        self.outcome.findings = [
            finding("upgrade.stalled", object="KubeVirt kubevirt/kubevirt", cause="Nothing moved.", fix="Look.")
        ]
        objects = self.server.objects
        objects[f"{PODS}/operator"] = pod("operator", "virt-operator", ready=True)
        objects[f"{PODS}/api"] = pod("api", "virt-api", ready=False, restarts=3)
        objects[f"{PODS}/controller"] = pod("controller", "virt-controller", ready=True)
        objects[f"{PODS}/operator/log"] = {"line": f"Authorization: Bearer {PLANTED}"}
        objects[f"{PODS}/api/log"] = {"line": f"pulling https://me:{PLANTED}@registry.example.com, panic"}
        objects[f"{PODS}/controller/log"] = {"line": "all is well"}
        event = {"type": "Warning", "message": f"password={PLANTED} is wrong", "lastTimestamp": "2026-01-31T02:00:00Z"}
        objects[f"{EVENTS}/a"] = {"metadata": metadata("a"), **event}
        objects[f"{JOBS}/strategy"] = {"metadata": metadata("strategy"), "status": {"failed": 1}}

    def leave(self, **params: t.Any) -> Outcome:
        options = {"bundle_dir": str(self.folder), "api_key": "kn0wn-t0ken", **params}
        api = self.server.api()
        leave_account(
            *(api, self.facts, options, self.outcome),
            wanted="v1.8.4",
            clock=self.clock,
            report=lambda _line: None,
            now=lambda: AT,
        )
        print(json.dumps(self.outcome.extra, indent=1))
        return self.outcome

    def files(self) -> dict[str, str]:
        where = self.folder / NAME
        return {str(file.relative_to(where)): file.read_text() for file in where.rglob("*") if file.is_file()}


@pytest.fixture
def case(world: World, tmp_path: Path) -> Case:
    return Case(world, tmp_path)


def shown(outcome: Outcome) -> list[str]:
    return [f"{one['kind']} {one['metadata']['name']}" for one in outcome.extra["objects"]]


class TestTheResult:
    def test_it_has_the_objects_that_matter_without_secrets_and_leaves_no_file(self, case: Case) -> None:
        outcome = case.leave(bundle_dir=None)
        assert shown(outcome) == ["KubeVirt kubevirt", "Deployment virt-operator", "Pod api", "Job strategy", "Event a"]
        text = json.dumps(outcome.extra)
        assert PLANTED not in text and "managedFields" not in text
        assert (outcome.extra["bundle"], outcome.extra["unread"]) == ("", [])
        assert not case.folder.exists()
        assert outcome.failure == FAILED

    def test_it_costs_a_few_requests_and_writes_nothing(self, case: Case) -> None:
        case.leave(bundle_dir=None)
        assert case.server.written == case.server.rehearsed == []

    def test_what_may_not_be_read_is_a_line(self, case: Case) -> None:
        case.server.refuses[PODS] = (403, "no GET for you")
        outcome = case.leave()
        assert [line for line in outcome.extra["unread"] if PODS in line and "no GET for you" in line]
        assert "Pod api" not in shown(outcome) and "KubeVirt kubevirt" in shown(outcome)
        assert "no GET for you" in case.files()["unread.txt"]
        assert outcome.failure.startswith(FAILED)

    def test_a_server_that_does_not_answer_is_asked_once(self, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []

        def silent(self: t.Any, path: str, *_query: t.Any, **_options: t.Any) -> bytes:
            asked.append(path)
            raise aftermath.Unreachable("no answer")

        monkeypatch.setattr(aftermath.Api, "peek", silent)
        outcome = case.leave()
        assert len(asked) == 1
        assert outcome.extra["objects"] == []
        assert "does not answer" in outcome.extra["unread"][1]
        assert set(case.files()) == {"outcome.json", "findings.md", "versions.yaml", "unread.txt"}

    def test_time_is_bounded(self, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = aftermath.Api.peek

        def slow(self: t.Any, *arguments: t.Any, **options: t.Any) -> bytes:
            case.clock.seconds += aftermath.LONGEST / 3
            return asked(self, *arguments, **options)

        monkeypatch.setattr(aftermath.Api, "peek", slow)
        outcome = case.leave()
        assert case.clock.seconds == aftermath.LONGEST
        assert [line for line in outcome.extra["unread"] if "s were over" in line]
        assert outcome.extra["bundle"]

    @pytest.mark.parametrize(("pages", "is_all"), [(2, True), (99, False)])
    def test_of_very_many_objects_the_first_pages_are_read(self, case: Case, pages: int, is_all: bool) -> None:
        answered, asked = case.server.request, []

        def request(method: str, url: str, **options: t.Any) -> Answer:
            if urlsplit(url).path != EVENTS:
                return answered(method, url, **options)
            asked.append(url)
            event = {"metadata": metadata(f"e{len(asked)}"), "type": "Warning"}
            return Answer(200, {"items": [event], "metadata": {"continue": "more" if len(asked) < pages else ""}})

        case.server.request = request
        unread = case.leave(bundle_dir=None).extra["unread"]
        assert len(asked) == min(pages, aftermath.MOST_PAGES)
        assert unread == ([] if is_all else [f"{EVENTS}: only the first {aftermath.MOST_PAGES} were read."])

    def test_a_mistake_of_ours_is_a_line(self, case: Case) -> None:
        case.server.objects[f"{PODS}/api"]["metadata"] = {}
        outcome = case.leave()
        assert outcome.failure == FAILED
        assert "The collection made a mistake" in outcome.extra["unread"][-1]


class TestTheBundle:
    def test_what_is_in_it(self, case: Case) -> None:
        outcome = case.leave()
        assert outcome.extra["bundle"] == str(case.folder / NAME)
        assert outcome.failure == f"{FAILED}\nObjects, events and logs, without secrets: {case.folder / NAME}"
        files = case.files()
        assert set(files) == {
            *("outcome.json", "versions.yaml", "kubevirts.yaml", "deployments.yaml", "pods.yaml", "jobs.yaml"),
            *("events.yaml", "nodes.yaml", "logs/operator.virt-operator.log", "logs/api.virt-api.log"),
            *("findings.md", "logs/api.virt-api.previous.log"),
        }
        result = json.loads(files["outcome.json"])
        assert (result["msg"], result["failed"]) == (FAILED, True)
        assert [one["metadata"]["name"] for one in yaml.safe_load_all(files["pods.yaml"])] == [
            "operator",
            "api",
            "controller",
        ]
        assert [one["name"] for one in yaml.safe_load_all(files["nodes.yaml"])] == ["worker-1", "worker-2"]
        assert yaml.safe_load(files["versions.yaml"])["targetKubeVirtVersion"] == "v1.7.0"
        assert "panic" in files["logs/api.virt-api.log"]

    def test_planted_secrets_are_not_in_it(self, case: Case) -> None:
        case.server.objects[f"{PODS}/api/log"] = {"line": "sent kn0wn-t0ken to the server"}
        case.outcome.diff = [{"before": {"env": [{"name": "DB_PASSWORD", "value": PLANTED}]}, "after": None}]
        case.leave()
        found = [name for name, text in case.files().items() if PLANTED in text or "kn0wn-t0ken" in text]
        assert found == []

    def test_of_a_pod_that_is_not_ready_the_logs_of_its_containers_that_are_not(self, case: Case) -> None:
        statuses = case.server.objects[f"{PODS}/api"]["status"]["containerStatuses"]
        statuses.append({"name": "proxy", "ready": True, "restartCount": 0})
        case.folder.mkdir()
        case.leave()
        assert [name for name in case.files() if "proxy" in name] == []
        assert "logs/api.virt-api.log" in case.files()

    def test_only_its_owner_may_read_it(self, case: Case) -> None:
        case.leave()
        modes = {
            file.is_dir(): stat.S_IMODE(file.stat().st_mode)
            for file in [case.folder, case.folder / NAME, *(case.folder / NAME).rglob("*")]
        }
        assert modes == {True: 0o700, False: 0o600}

    def test_one_that_cannot_be_written_is_said_and_changes_nothing_else(self, case: Case) -> None:
        case.folder.write_text("a file in its place")
        outcome = case.leave()
        assert outcome.failure.startswith(f"{FAILED}\nThe bundle could not be written: ")
        assert outcome.extra["bundle"] == ""
        assert shown(outcome)[0] == "KubeVirt kubevirt"

    def test_the_number_of_logs_is_bounded(self, case: Case) -> None:
        for number in range(90):
            name = f"api-{number}"
            case.server.objects[f"{PODS}/{name}"] = pod(name, "virt-api", ready=False)
            case.server.objects[f"{PODS}/{name}/log"] = {"line": "x"}
        case.leave()
        logs = [name for name in case.files() if name.startswith("logs/") and "previous" not in name]
        assert len(logs) == bundle.MOST_LOGS
        assert "logs/operator.virt-operator.log" in logs

    def test_its_size_is_bounded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bundle, "MOST_OF_A_FILE", 100)
        monkeypatch.setattr(bundle, "MOST_IN_ALL", 250)
        write_bundle(str(tmp_path / "b" / "c"), {"a": "x" * 90, "b": "y" * 999, "c": "z" * 999, "d": "w" * 999})
        sizes = {file.name: len(file.read_text()) for file in (tmp_path / "b" / "c").iterdir()}
        print(sizes)
        assert sizes["a"] == 90 and sizes["b"] < 200 and sizes["d"] < 100
        assert "cut here; it had 999 characters" in (tmp_path / "b" / "c" / "b").read_text()


class TestTheDirectory:
    def test_one_that_is_there_or_whose_parent_is(self, tmp_path: Path) -> None:
        check_bundle_dir(str(tmp_path))
        check_bundle_dir(str(tmp_path / "new"))
        check_bundle_dir(f"{tmp_path}/new/")
        check_bundle_dir(None)
        check_bundle_dir("")
        assert list(tmp_path.iterdir()) == [], "it only looks"

    def test_one_that_cannot_be_made(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidOption, match=r"^bundle_dir: .*/no/where cannot be made.* Nothing was done\."):
            check_bundle_dir(str(tmp_path / "no" / "where"))

    def test_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(InvalidOption, match="is not a directory"):
            check_bundle_dir(str(tmp_path / "file"))

    def test_one_that_may_not_be_written_into(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bundle.os, "access", lambda *_arguments: False)
        with pytest.raises(InvalidOption, match="this user may not write into"):
            check_bundle_dir(str(tmp_path))


STALLED = finding("upgrade.stalled", object="KubeVirt kubevirt/kubevirt", cause="c", fix="f")
WARNING = finding("version.not-latest-patch", object="KubeVirt v1.8.1", cause="c", fix="f")


@pytest.mark.parametrize(
    ("failure", "findings", "accept", "id", "cause"),
    [
        (FAILED, [WARNING, STALLED], [], "upgrade.stalled", "c"),
        ("Stopped.\nPATCH /x was answered with 403", [WARNING], [], "", "PATCH /x was answered with 403"),
        ("Stopped.", [], [], "", "Stopped."),
        ("", [STALLED], [], None, None),
    ],
)
def test_why_it_failed_in_a_few_words(
    failure: str, findings: list[Finding], accept: list[str], id: str | None, cause: str | None
) -> None:
    found = failing_finding(failure, findings, accept)
    assert (found.get("id"), found.get("cause")) == (id, cause)
    assert set(found) in (set(), {"id", "object", "cause", "fix", "url"})


def test_the_result_has_the_keys_also_where_nothing_failed(world: World, tmp_path: Path) -> None:
    params = {option: spec.get("default") for option, spec in upgrade.ARGUMENT_SPEC.items()}
    params |= {"version": world.version, "manifest": world.manifests(tmp_path), "bundle_dir": str(tmp_path / "bundles")}
    outcome = upgrade.run(world.server().api(check_mode=True), params, check_mode=True, clock=Clock(), report=print)
    assert not outcome.failure
    assert aftermath.NOTHING.items() <= outcome.as_result().items()
    assert not (tmp_path / "bundles").exists()
