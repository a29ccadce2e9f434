# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Running an operation: options in, the one result for the user out."""

from __future__ import annotations

import traceback
import typing as t
from collections.abc import Callable, Mapping

from ansible.module_utils.basic import AnsibleModule

from .cluster.clock import Clock
from .cluster.connection import auth_argument_spec, connect, secrets_of
from .cluster.errors import ClusterError
from .cluster.interruption import HOW_TO_GO_ON, Ending, Interrupted, InterruptibleClock, interruptible
from .knowledge.expressions import JmespathMissing
from .knowledge.redaction import redacted, redacted_text
from .operations.outcome import InvalidOption, Outcome, Report, mistake
from .option_types import with_our_types

Operation = Callable[..., Outcome]


def whole_spec(argument_spec: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The options of an operation, with those that name the cluster."""
    return {**auth_argument_spec(), **argument_spec}


def checked_spec(argument_spec: Mapping[str, t.Any], given: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The whole spec for exactly these values, with types that name the value that they refuse."""
    return with_our_types(whole_spec(argument_spec), given)


def hidden_of(no_log_values: set[str], params: Mapping[str, t.Any]) -> set[str]:
    """What must not be shown of the options. Hiding a blank "secret" would make every message unreadable."""
    return {secret for secret in no_log_values | secrets_of(params) if secret.strip()}


def result_of(
    operation: Operation, params: Mapping[str, t.Any], *, check_mode: bool, report: Report, clock: Clock | None = None
) -> dict[str, t.Any]:
    """What the user gets from ``operation``; with ``failed`` and ``msg`` if it did not succeed.

    What clusters say is shown without the secrets that may be in it.

    Args:
        operation: What to run.
        params: Options as ``whole_spec()`` describes them.
        check_mode: True forbids every write.
        report: Takes progress lines.
        clock: Time, if not that of the machine as it is.
    """
    clock = clock or Clock()
    try:
        _refuse_blank(params)
        api = connect(params, check_mode=check_mode, clock=clock)
        outcome = operation(
            api, params, check_mode=check_mode, clock=clock, report=lambda line: report(redacted_text(line))
        )
    except (InvalidOption, ClusterError, JmespathMissing) as error:
        return {"failed": True, "msg": str(error)}
    except (Exception, SystemExit) as error:  # SystemExit would end the whole ansible-playbook
        return {
            "failed": True,
            "msg": redacted_text(mistake(error)),
            "exception": redacted_text(traceback.format_exc()),
        }
    result: dict[str, t.Any] = redacted(outcome.as_result())
    return {**result, "failed": True, "msg": redacted_text(outcome.failure)} if outcome.failure else result


def result_or_interruption(
    operation: Operation,
    params: Mapping[str, t.Any],
    *,
    check_mode: bool,
    report: Report,
    ending: Ending | None = None,
) -> dict[str, t.Any]:
    """As ``result_of``, also when SIGINT or SIGTERM asks for the end; the end of a task's ``timeout`` goes through.

    In a thread that is not the main one, ``ending`` says when.
    """
    how: dict[str, t.Any] = {"check_mode": check_mode, "report": report}
    try:
        if ending is not None:
            return result_of(operation, params, clock=InterruptibleClock(ending), **how)
        with interruptible():
            return result_of(operation, params, **how)
    except Interrupted as interrupted:
        report(f"stopped by {interrupted}. {HOW_TO_GO_ON}")
        return {"failed": True, "msg": f"Stopped by {interrupted}. {HOW_TO_GO_ON}"}


def _refuse_blank(params: Mapping[str, t.Any]) -> None:
    for option, value in params.items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and text and not text.strip():
                raise InvalidOption(f"{option}: {text!r} is blank. Nothing was done. Give a value, or leave it out.")


class _Module(AnsibleModule):  # type: ignore[misc]
    """Takes its options by our types, as the action does; the declared ones are those of the documentation."""

    argument_spec: dict[str, t.Any]
    no_log_values: set[str]

    def _load_params(self) -> None:
        super()._load_params()
        self.argument_spec = with_our_types(self.argument_spec, self.params)
        # Before the options go into the target's system log, or into a refusal of one of them.
        self.no_log_values |= secrets_of(self.params)


def run_as_module(argument_spec: Mapping[str, t.Any], operation: Operation) -> None:
    """Run ``operation`` with the module's options and end the process with its result."""
    module = _Module(argument_spec=whole_spec(argument_spec), supports_check_mode=True)
    module.no_log_values = hidden_of(module.no_log_values, module.params)
    result = result_or_interruption(operation, module.params, check_mode=module.check_mode, report=module.debug)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)
