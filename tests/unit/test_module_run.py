# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of an operation's end: one result for the user, which both ways of running it hand on."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils import basic
from ansible_collections.kubevirt.lifecycle.plugins.module_utils import module_run
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import AuthError
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.interruption import Interrupted
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import finding
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import InvalidOption, Outcome

PLANTED = "pl4nted-S3cret"


def result(monkeypatch: pytest.MonkeyPatch, end: Outcome | BaseException) -> dict[str, t.Any]:
    def operation(api: str, params: t.Any, **_other: t.Any) -> Outcome:
        assert (api, params) == ("an api", {"version": "v1.8.4"})
        if isinstance(end, BaseException):
            raise end
        return end

    monkeypatch.setattr(module_run, "connect", lambda *_args, **_kwargs: "an api")
    return module_run.result_of(operation, {"version": "v1.8.4"}, check_mode=False, report=print)


def test_success(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Outcome({"uid": "1"}, "healthy", changed=True)
    assert result(monkeypatch, outcome) == outcome.as_result()


def test_failure_keeps_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Outcome({"uid": "1"}, "failed", changed=True, failure="It stopped.")
    assert result(monkeypatch, outcome) == {**outcome.as_result(), "failed": True, "msg": "It stopped."}


def test_what_a_cluster_says_is_shown_without_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The places where anything of a cluster can stand: see it once in each."""
    words = f"pulling https://me:{PLANTED}@registry.example.com: 401"
    outcome = Outcome({"uid": "1"}, "failed", failure=f"It stopped: {words}")
    outcome.diff = [{"before": {"env": {"REGISTRY_PASSWORD": {"value": PLANTED}}}, "after": None}]
    outcome.findings = [finding("upgrade.image-pull", object="Pod a/b", cause="c", fix="f", evidence=words)]
    outcome.extra = {"kubevirt": {"conditions": [{"message": words}]}}
    outcome.page = lambda seen: [told["evidence"] for told in seen["findings"]]
    outcome.document = lambda _seen, failure: f"# Upgrade\n{failure}\n"
    told = result(monkeypatch, outcome)
    print(told)
    assert PLANTED not in str(told)
    assert str(told).count("pulling https://me:(removed)@registry.example.com: 401") == 5


def test_lines_about_progress_too(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def operation(*_args: t.Any, report: t.Callable[[str], None], **_options: t.Any) -> Outcome:
        report(f"waits for virt-api: https://me:{PLANTED}@registry.example.com: 401")
        return Outcome({"uid": "1"}, "healthy")

    monkeypatch.setattr(module_run, "connect", lambda *_args, **_kwargs: "an api")
    module_run.result_of(operation, {}, check_mode=False, report=said.append)
    assert said == ["waits for virt-api: https://me:(removed)@registry.example.com: 401"]


def test_a_mistake_of_ours_too(monkeypatch: pytest.MonkeyPatch) -> None:
    told = result(monkeypatch, KeyError(f"password={PLANTED}"))
    assert told["failed"] and PLANTED not in str(told), told


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_module_logs_and_prints_no_secret_of_its_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_refused: bool
) -> None:
    kubeconfig = {
        "clusters": [{"name": "c", "cluster": {"proxy-url": f"http://me:{PLANTED}@proxy.example"}}],
        "users": [{"name": "u", "user": {"token": f"{PLANTED}-token", "client-key-data": f"{PLANTED}-key"}}],
    }
    options = {"kubeconfig": kubeconfig, "manifest": f"https://me:{PLANTED}@mirror.example/o.yaml"}
    options |= {"manifset": "mistyped"} if is_refused else {}
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode())
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    logged: list[str] = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda _self, msg, **more: logged.append(f"{msg} {more}"))
    monkeypatch.setattr(module_run, "result_or_interruption", lambda *_args, **_options: {"changed": False})
    with pytest.raises(SystemExit):
        module_run.run_as_module({"manifest": {"type": "str"}}, pytest.fail)
    printed = capsys.readouterr().out
    print(logged, printed)
    assert (
        "manifset" in printed
    ) == is_refused and PLANTED not in printed  # from ansible-core 2.21 on without the options
    assert is_refused or "mirror.example" in logged[0]
    assert PLANTED not in str(logged)


@pytest.mark.parametrize("error", [InvalidOption("version: no."), AuthError("Two sources.")])
def test_an_error_for_the_user_is_its_sentence(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    assert result(monkeypatch, error) == {"failed": True, "msg": str(error)}


@pytest.mark.parametrize("error", [KeyError("of ours"), SystemExit(0)])
def test_a_mistake_of_ours_is_told_as_one(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    told = result(monkeypatch, error)
    assert told["failed"] and told["msg"].startswith(f"The collection made a mistake: {type(error).__name__}")
    assert "Traceback" in told["exception"]


def test_the_end_of_a_tasks_timeout_goes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):  # which is no Exception either
        result(monkeypatch, KeyboardInterrupt())


def test_a_signal_is_told_with_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def operation(*_args: t.Any, **_options: t.Any) -> Outcome:
        raise Interrupted("SIGTERM")

    monkeypatch.setattr(module_run, "connect", lambda *_args, **_kwargs: "an api")
    told = module_run.result_or_interruption(operation, {}, check_mode=False, report=said.append)
    assert told["failed"] and told["msg"].startswith("Stopped by SIGTERM. What was done stays done. To go on")
    assert said == [f"s{told['msg'][1:]}"]


@pytest.mark.parametrize("value", [" ", "\n", ["a", "\t"]])
def test_a_blank_value_is_refused_before_anything_is_asked(value: t.Any) -> None:
    told = module_run.result_of(pytest.fail, {"context": value}, check_mode=False, report=print)
    assert told["failed"] and told["msg"].startswith("context: ") and "is blank" in told["msg"]


def test_a_blank_secret_hides_nothing() -> None:
    hidden = module_run.hidden_of({" ", "s3cret"}, {"manifest": "https://user:pass@mirror.example/operator.yaml"})
    assert hidden == {"s3cret", "pass"}
