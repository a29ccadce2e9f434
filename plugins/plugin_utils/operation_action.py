# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Running an operation in the controller's own process, with a line at each change.

That spares a second Python for each host, and lets people see how far a run is. It is done where the module would run on the
same machine as the same user; elsewhere, or where a library is missing here, the module runs as usual, with the same result.
"""

from __future__ import annotations

import gc
import os
import time
import typing as t
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import yaml
from ansible import constants as C
from ansible.errors import AnsibleActionFail, AnsibleError, AnsibleFileNotFound
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator, ValidationResult
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.interruption import Ending
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.manifest_source import is_path
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.next_command import variable
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import mistake
from ansible_collections.kubevirt.lifecycle.plugins.plugin_utils.side_by_side import side_by_side

try:
    from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.connection import missing_library
    from ansible_collections.kubevirt.lifecycle.plugins.module_utils.module_run import (
        checked_spec,
        hidden_of,
        result_or_interruption,
    )
except ImportError as error:  # beyond an action, an ImportError would end the whole ansible-playbook
    MISSING = str(error)
else:
    MISSING = missing_library()

LONGEST_LINE = 300
LONGEST_HOST = 30
FILE_OPTIONS = ("kubeconfig", "manifest", "releases", "risks", "gates")

SIDE_BY_SIDE = "kubevirt_side_by_side"
"""The variable with which the roles let one worker work on all clusters of a wave, in three tasks of the same module:

- ``ask``, if true: the options are only kept, as ``asked`` of the result. Where that cannot be, the operation runs as always.
- ``work``, the name of the variable with that result; once for all hosts: the operation runs for each that has asked.
- ``answer``, what came of it: that is the result.
"""

UNANSWERED = (
    "This cluster was not worked on: the task that works for the whole wave did not come to it. Nothing was changed here. "
    "Look at what that task says, then run the same again."
)

Options = dict[str, t.Any]

display = Display()


@dataclass(frozen=True)
class Found:
    """A file on the controller, and whether it is the decrypted copy of a vaulted one."""

    path: str
    is_copy: bool


class OperationAction(ActionBase):
    """The action of a module: ``operation`` is where its ``run`` and ``ARGUMENT_SPEC`` are, None if that cannot be imported."""

    operation: ModuleType | None

    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: Mapping[str, t.Any] | None = None) -> dict[str, t.Any]:
        """The module's result, or what ``SIDE_BY_SIDE`` asks for."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        part = plain(self._templar.template(variables.get(SIDE_BY_SIDE) or {}))
        if "answer" in part:
            answer: dict[str, t.Any] = part["answer"]
            return {"failed": True, "msg": UNANSWERED} if "asked" in answer else answer
        if "work" in part:
            # Each cluster's own result follows, so this one is not shown with -v.
            return {
                "changed": False,
                "_ansible_verbose_override": True,
                "clusters": self._work_side_by_side(part["work"], variables),
            }
        host = str(variables.get("inventory_hostname"))
        given = plain(self._task.args)
        obstacle = self._obstacle()
        if part.get("ask") and not obstacle and not self._holds_secrets(given):
            display.vvv(f"{self._task.action} runs in one process for all clusters of the wave", host=host)
            return {"changed": False, "asked": given}
        if obstacle:
            display.vvv(f"{self._task.action} runs as a module: {obstacle}", host=host)
            result = self._run_as_module(given, task_vars)
        else:
            display.vvv(f"{self._task.action} runs in the controller's own process", host=host)
            with self._environment():
                result = self._run_in_process(given, host, width_for(variables.get("ansible_play_hosts_all", [])))
            if not _returns_invocation(task_vars):
                del result["invocation"]
        shown = result.get("invocation", {}).get("module_args", {})
        shown.update({option: path for option, path in files_of(given).items() if option in shown})
        return result

    def _obstacle(self) -> str:
        """Why the operation cannot run in this process; empty when it can."""
        if self._connection.transport != "local":
            return f"the connection is {self._connection.transport}"
        if self._connection.become is not None:
            return "the task becomes another user"
        if self._task.async_val:
            return "the task is asynchronous"
        if self.operation is None or MISSING:
            return f"the controller's Python lacks a library ({MISSING})"
        return ""

    def _run_as_module(self, given: Options, task_vars: Mapping[str, t.Any] | None) -> dict[str, t.Any]:
        options = dict(given)
        is_local = self._connection.transport == "local"
        for option, path in files_of(given).items():
            with self._found(path) as found:
                if found and is_local and not found.is_copy:
                    options[option] = found.path
                elif found:
                    options[option] = content_of(option, path, found)
        wrap_async = self._task.async_val and not self._connection.has_native_async
        result: dict[str, t.Any] = self._execute_module(module_args=options, task_vars=task_vars, wrap_async=wrap_async)
        return with_names(result, given, options)

    @contextmanager
    def _environment(self) -> Iterator[None]:
        """The environment of the task, in which its operation runs."""
        # Memory is shared with the process that forked this one until somebody writes to it, and the garbage collector writes to all
        # that it looks at.
        gc.freeze()
        variables: dict[str, t.Any] = {}
        self._compute_environment_string(variables)
        with environment(variables):
            yield

    def _run_in_process(self, given: Options, host: str, width: int, ending: Ending | None = None) -> dict[str, t.Any]:
        with ExitStack() as stack:
            options = dict(given)
            for option, path in files_of(given).items():
                found = stack.enter_context(self._found(path))
                options[option] = found.path if found else path
            validated = ArgumentSpecValidator(checked_spec(self.operation.ARGUMENT_SPEC, options)).validate(options)
            params = validated.validated_parameters
            hidden = hidden_of(validated._no_log_values, params)
            _tell_warnings(validated)
            result = {"failed": True, "msg": refusal_of(validated, self._task.action)}
            if not validated.error_messages:
                progress = Progress(host, hidden, width, is_silent=self._task.no_log)
                run, check_mode = self.operation.run, self._task.check_mode
                result = result_or_interruption(run, params, check_mode=check_mode, report=progress, ending=ending)
        result = with_names(result, given, options)
        return t.cast(dict[str, t.Any], remove_values({**result, "invocation": {"module_args": params}}, hidden))

    def _holds_secrets(self, given: Options) -> bool:
        """Whether the options have what must not be kept in a variable; True where they cannot be used."""
        validated = ArgumentSpecValidator(checked_spec(self.operation.ARGUMENT_SPEC, given)).validate(given)
        return bool(validated.error_messages or hidden_of(validated._no_log_values, validated.validated_parameters))

    def _work_side_by_side(self, asked_in: str, variables: Mapping[str, t.Any]) -> dict[str, t.Any]:
        """The results, by host, for the hosts of the batch whose variable of that name has what they asked for."""
        hostvars = variables["hostvars"]
        results = {host: hostvars[host].get(asked_in) or {} for host in variables["ansible_play_batch"]}
        asked = {host: plain(result["asked"]) for host, result in results.items() if "asked" in result}
        width = width_for(variables["ansible_play_hosts_all"])

        def work(host: str, ending: Ending) -> dict[str, t.Any]:
            try:
                result = self._run_in_process(asked[host], host, width, ending)
            except AnsibleError as error:
                return {"failed": True, "msg": str(error)}
            except Exception as error:  # the other clusters go on
                return {"failed": True, "msg": mistake(error)}
            del result["invocation"]
            return result

        with self._environment():
            return side_by_side(work, asked, at_once=variables["ansible_forks"])

    @contextmanager
    def _found(self, path: str) -> Iterator[Found | None]:
        """The file as Ansible looks for files, decrypted; None if it is not on the controller."""
        try:
            needle = self._find_needle("files", path)
            real = self._loader.get_real_file(needle, decrypt=True)
        except AnsibleFileNotFound:
            yield None
            return
        try:
            yield Found(str(real), is_copy=real != needle)
        finally:
            self._loader.cleanup_tmp_file(real)


class Progress:
    """Shows one line for each change: which host, how long the task runs, and what the operation says.

    ``width`` is that of the host's column, so that the lines of many hosts are readable one below the other. There are no
    colours and nothing that moves a cursor: a log shows the same as a terminal.
    """

    def __init__(self, host: str, hidden: set[str], width: int, *, is_silent: bool) -> None:
        self._host = host
        self._hidden = hidden
        self._width = width
        self._is_silent = is_silent
        self._started = time.monotonic()

    def __call__(self, line: str) -> None:
        if not self._is_silent:
            elapsed = as_time(time.monotonic() - self._started)
            said = one_line(remove_values(line, self._hidden))
            display.display(f"{f'[{self._host}]':<{self._width}} {elapsed:>7}  {said}")


def width_for(hosts: Collection[str]) -> int:
    """The width of the column of the longest of the hosts' names; a few very long ones stick out."""
    return min(max((len(str(host)) for host in hosts), default=0), LONGEST_HOST) + len("[]")


def as_time(seconds: float) -> str:
    """Minutes and seconds, with hours when there are any: 1:23, 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def one_line(text: str) -> str:
    """The text without line breaks, cut where it is longer than a screen or two can show."""
    line = " ".join(map(str.strip, text.splitlines()))
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"


def plain(value: t.Any) -> t.Any:
    """Without what ansible-core adds to values: tags, marks of unsafe text, encryption."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return int(value) if isinstance(value, int) else float(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    return str.__str__(value) if isinstance(value, str) else str(value)


def files_of(given: Options) -> dict[str, str]:
    """The options that name files."""
    named = {option: given[option] for option in FILE_OPTIONS if isinstance(given.get(option), str)}
    return {option: name for option, name in named.items() if name and is_path(name)}


def with_names(result: dict[str, t.Any], given: Options, handed: Options) -> dict[str, t.Any]:
    """The result with the names of files as they were given, where a command is shown; the operation got what was found."""
    texts = {key: result[key] for key in ("next", "markdown") if key in result}
    for option, path in files_of(given).items():
        found, named = variable(option, handed[option]), variable(option, path)
        texts = {key: text.replace(found, named) for key, text in texts.items()}
    return {**result, **texts}


def content_of(option: str, path: str, found: Found) -> t.Any:
    """A file's content as the option takes it instead of a path."""
    text = Path(found.path).read_bytes().decode(errors="replace")
    if option != "kubeconfig":
        return text
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise AnsibleActionFail(f"The kubeconfig {path} cannot be used: it is not YAML. Give another one.") from error
    if not isinstance(content, dict):
        raise AnsibleActionFail(f"The kubeconfig {path} cannot be used: it holds no settings. Give another one.")
    return content


def refusal_of(validated: ValidationResult, action: str) -> str:
    """What is wrong with the options, in the words of a module; empty when nothing is."""
    if not validated.error_messages:
        return ""
    begin = f"Unsupported parameters for ({action}) module: "
    return f"{begin if isinstance(validated.errors[0], UnsupportedError) else ''}{validated.error_messages[0]}"


def _returns_invocation(task_vars: Mapping[str, t.Any] | None) -> bool:
    """Whether results hold the options: before ansible-core 2.21 all do, and then those that are wanted."""
    if not hasattr(C, "INJECT_INVOCATION"):
        return True
    return bool(C.config.get_config_value("INJECT_INVOCATION", variables=task_vars))


def _tell_warnings(validated: ValidationResult) -> None:
    for warning in validated._warnings:
        display.warning("Both option {option} and its alias {alias} are set.".format(**warning))


@contextmanager
def environment(variables: Mapping[str, t.Any]) -> Iterator[None]:
    """The variables of ``environment:``, and everything as it was afterwards: loop items share a process."""
    before = dict(os.environ)
    os.environ.update({str(name): str(value) for name, value in variables.items()})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
