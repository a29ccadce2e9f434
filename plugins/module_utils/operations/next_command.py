# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The command that a person types next, from the options that he gave."""

from __future__ import annotations

import math
import re
import shlex
import typing as t
from collections.abc import Mapping

try:
    import yaml
except ImportError:  # comes with kubernetes; connection.py reports what is missing
    yaml = None  # type: ignore[assignment]

from ..cluster.manifest_source import is_text

# The options that the playbooks have variables for, besides those of the operation. None of them is a secret.
OF_THE_CLUSTER = ("kubeconfig", "context")

# Of name=value Ansible takes what follows a space for another variable, and quotes and backslashes for its own.
_ONE_WORD = re.compile(r"[^\s'\"\\]+")


def upgrade_command(params: Mapping[str, t.Any], argument_spec: Mapping[str, Mapping[str, t.Any]]) -> str:
    """``ansible-playbook kubevirt.lifecycle.upgrade`` with a variable for each option that is not at its default.

    Args:
        params: The options.
        argument_spec: That of the upgrade, for the defaults.
    """
    defaults = {**dict.fromkeys(OF_THE_CLUSTER), **{name: spec.get("default") for name, spec in argument_spec.items()}}
    given = {
        name: params.get(name) for name, default in defaults.items() if params.get(name) not in (default, None, "")
    }
    words = [variable(name, value) for name, value in given.items() if _is_word(name, value)]
    others = {f"kubevirt_{name}": value for name, value in given.items() if not _is_word(name, value)}
    if others:
        words.append(_in_yaml(others))
    return " ".join(["ansible-playbook kubevirt.lifecycle.upgrade", *words])


def variable(option: str, value: t.Any) -> str:
    """The option as an argument. What a file holds does not belong into a command: a text of many lines, or a kubeconfig."""
    shown = value if isinstance(value, str) and not is_text(value) else f"<{option}>"
    if not _ONE_WORD.fullmatch(shown):
        return _in_yaml({f"kubevirt_{option}": shown})
    return f"-e {shlex.quote(f'kubevirt_{option}={shown}')}"


def _is_word(option: str, value: t.Any) -> bool:
    return isinstance(value, str) or option == "kubeconfig"


def _in_yaml(variables: Mapping[str, t.Any]) -> str:
    """Variables as one argument, written as the documentation writes it."""
    text = yaml.safe_dump(variables, default_flow_style=True, sort_keys=False, width=math.inf, allow_unicode=True)
    return f"-e {shlex.quote(text.strip())}"
