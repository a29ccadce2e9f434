# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of an action that need no task: values, lines, files, the environment."""

from __future__ import annotations

import gc
import multiprocessing
import os
import typing as t
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.kubevirt.lifecycle.plugins.plugin_utils import operation_action
from ansible_collections.kubevirt.lifecycle.plugins.plugin_utils.operation_action import (
    LONGEST_LINE,
    Found,
    OperationAction,
    Progress,
    as_time,
    content_of,
    environment,
    files_of,
    one_line,
    plain,
    refusal_of,
    width_for,
    with_names,
)


class Tagged(str):
    """Text as ansible-core marks it, whose own conversion keeps the mark."""

    def __str__(self) -> str:
        raise AssertionError("this would still be marked")


class TaggedNumber(int):
    """A number as ansible-core marks it."""


class Vaulted:
    """A value that is decrypted when it is asked for its text."""

    def __str__(self) -> str:
        return "decrypted"


def test_plain_values_are_of_the_builtin_types() -> None:
    value = {
        Tagged("a"): [Tagged("b"), 1, 1.5, True, None],
        "c": {"d": (Tagged("e"),)},
        "f": Vaulted(),
        "g": TaggedNumber(2),
    }
    result = plain(value)
    assert result == {"a": ["b", 1, 1.5, True, None], "c": {"d": ["e"]}, "f": "decrypted", "g": 2}
    assert {type(result["g"])} == {int}
    assert {type(key) for key in result} | {type(result["a"][0]), type(result["c"]["d"][0])} == {str}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("as it is", "as it is"),
        ("two\n  lines\n", "two lines"),
        ("x" * LONGEST_LINE, "x" * LONGEST_LINE),
        ("x" * (LONGEST_LINE + 1), "x" * (LONGEST_LINE - 1) + "…"),
    ],
)
def test_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


@pytest.mark.parametrize(
    ("given", "files"),
    [
        ({}, {}),
        ({"kubeconfig": "a", "manifest": "files/b"}, {"kubeconfig": "a", "manifest": "files/b"}),
        ({"kubeconfig": {"users": []}, "manifest": "https://example.com/operator.yaml"}, {}),
        ({"kubeconfig": "", "manifest": "kind: Namespace\n"}, {}),
        ({"kubeconfig": None, "version": "v1.8.4"}, {}),
    ],
)
def test_the_options_that_name_files(given: dict[str, t.Any], files: dict[str, str]) -> None:
    assert files_of(given) == files


def test_the_content_of_files(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"kind: Config\r\n")
    assert content_of("manifest", "file", Found(str(file), is_copy=False)) == "kind: Config\r\n"
    assert content_of("kubeconfig", "file", Found(str(file), is_copy=True)) == {"kind": "Config"}


@pytest.mark.parametrize("text", ["{", "words", ""])
def test_a_kubeconfig_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "file"
    file.write_text(text)
    with pytest.raises(AnsibleActionFail, match="The kubeconfig here/config cannot be used"):
        content_of("kubeconfig", "here/config", Found(str(file), is_copy=False))


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"version": "v1.8.4"}, ""),
        ({}, "missing required arguments: version"),
        (
            {"version": "v1.8.4", "versoin": 1},
            "Unsupported parameters for (kubevirt_upgrade) module: versoin. Supported parameters include: version.",
        ),
    ],
)
def test_what_is_wrong_with_the_options(options: dict[str, t.Any], refusal: str) -> None:
    validated = ArgumentSpecValidator({"version": {"type": "str", "required": True}}).validate(options)
    assert refusal_of(validated, "kubevirt_upgrade") == refusal


def test_the_environment_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8S_AUTH_CONTEXT", "before")
    monkeypatch.delenv("K8S_AUTH_HOST", raising=False)
    before = dict(os.environ)
    with pytest.raises(KeyError), environment({"K8S_AUTH_CONTEXT": "within", "K8S_AUTH_HOST": "x", "NUMBER": 1}):
        assert (os.environ["K8S_AUTH_CONTEXT"], os.environ["K8S_AUTH_HOST"], os.environ["NUMBER"]) == (
            "within",
            "x",
            "1",
        )
        raise KeyError
    assert dict(os.environ) == before


class Screen:
    """Takes what is displayed."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def display(self, line: str) -> None:
        self.lines.append(line)


@pytest.mark.parametrize("is_silent", [False, True])
def test_progress(monkeypatch: pytest.MonkeyPatch, is_silent: bool) -> None:
    screen = Screen()
    monkeypatch.setattr(operation_action, "display", screen)
    progress = Progress("berlin", {"s3cret"}, 12, is_silent=is_silent)
    progress("2/5 wait     virt-api          1 of 2\npods s3cret")
    expected = ["[berlin]        0:00  2/5 wait     virt-api          1 of 2 pods ********"]
    assert screen.lines == ([] if is_silent else expected)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.9, "0:59"), (83, "1:23"), (3599, "59:59"), (3600, "1:00:00"), (3723, "1:02:03")],
)
def test_time(seconds: float, text: str) -> None:
    assert as_time(seconds) == text


@pytest.mark.parametrize(
    ("hosts", "width"), [([], 2), (["berlin", "rio"], 8), (["rio", "cluster-17.prod.eu-west.example.internal"], 32)]
)
def test_the_column_of_the_hosts(hosts: list[str], width: int) -> None:
    assert width_for(hosts) == width


def test_the_lines_of_twenty_hosts_are_readable_one_below_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, clock = Screen(), SimpleNamespace(monotonic=lambda: 0.0)
    monkeypatch.setattr(operation_action, "display", screen)
    monkeypatch.setattr(operation_action, "time", clock)
    hosts = [f"{'edge-' * (number % 4)}{number}" for number in range(1, 20)] + [
        "cluster-17.prod.eu-west.example.internal"
    ]
    progress = [Progress(host, set(), width_for(hosts), is_silent=False) for host in hosts]
    for number in range(200):
        clock.monotonic = lambda now=number * 47.0: now
        progress[number * 7 % 20](f"4/5 wait     virt-handler      {number % 12} of 12 pods new and ready")
    print(*screen.lines, sep="\n")
    assert {line[: line.index("]") + 1] for line in screen.lines} == {f"[{host}]" for host in hosts}
    columns = {line.index("4/5") for line in screen.lines if not line.startswith("[cluster-17")}
    assert len(columns) == 1
    assert all(character.isprintable() for line in screen.lines for character in line)


def test_a_command_names_a_file_as_it_was_given() -> None:
    given = {"version": "v1.8.4", "kubeconfig": "config", "manifest": "operator.yaml", "gates": "my gates.yml"}
    handed = {**given, "kubeconfig": {"users": []}, "manifest": "a: 1\nb: 2\n", "gates": "/tmp/decrypted"}
    command = (
        "run -e 'kubevirt_kubeconfig=<kubeconfig>' -e 'kubevirt_manifest=<manifest>' -e kubevirt_gates=/tmp/decrypted"
    )
    result = with_names({"next": command, "markdown": f"## Next\n{command}\n", "state": "healthy"}, given, handed)
    named = "run -e kubevirt_kubeconfig=config -e kubevirt_manifest=operator.yaml -e '{kubevirt_gates: my gates.yml}'"
    assert result == {"next": named, "markdown": f"## Next\n{named}\n", "state": "healthy"}


class Refused(OperationAction):
    """An action whose operation is never reached: an option is missing."""

    operation = t.cast(t.Any, SimpleNamespace(ARGUMENT_SPEC={"version": {"type": "str", "required": True}}))


def test_what_a_worker_has_inherited_is_kept_out_of_garbage_collection() -> None:
    """In a fork, as ansible-playbook makes one for each task: the collector would copy every page that both share."""
    ours, theirs = multiprocessing.Pipe()
    worker = multiprocessing.get_context("fork").Process(target=_work, args=(theirs,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forks beside the threads of pytest-xdist
        worker.start()
    inherited, frozen, result = ours.recv()
    worker.join()
    assert (result["failed"], "version" in result["msg"]) == (True, True)
    assert frozen > inherited / 2  # some of them end meanwhile


def _work(pipe: Connection) -> None:
    shell = SimpleNamespace(env_prefix=lambda **_variables: "")
    task = SimpleNamespace(environment=None, action="kubevirt_upgrade", no_log=False, check_mode=False)
    action = Refused(task, SimpleNamespace(_shell=shell), None, None, None, None)
    inherited, before = len(gc.get_objects()), gc.get_freeze_count()
    with action._environment():
        result = action._run_in_process({}, "berlin", 8)
    pipe.send((inherited, gc.get_freeze_count() - before, result))


def test_a_question_that_nobody_answered_is_a_failure_and_no_answer() -> None:
    """Or a cluster that was never worked on would count as done."""
    templar = SimpleNamespace(template=lambda value: value)
    task = SimpleNamespace(
        environment=None, action="kubevirt_upgrade", args={}, async_val=0, check_mode=False, diff=False
    )
    action = Refused(task, SimpleNamespace(_shell=SimpleNamespace(tmpdir="/")), None, None, templar, None)
    for answer, failed in (({"changed": True}, False), ({"changed": False, "asked": {"version": "v1.8.4"}}, True)):
        result = action.run(task_vars={"kubevirt_side_by_side": {"answer": answer}})
        assert result.get("failed", False) is failed
        assert ("run the same again" in result.get("msg", "")) is failed
