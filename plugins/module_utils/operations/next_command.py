# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The command that a person types next, from the options that he gave."""

from __future__ import annotations

import json
import shlex
import typing as t
from collections.abc import Mapping

from ..cluster.manifest_source import is_text

# The options that the playbooks have variables for, besides those of the operation. None of them is a secret.
OF_THE_CLUSTER = ("kubeconfig", "context")


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
    words = [variable(name, value) for name, value in given.items() if _fits(name, value)]
    others = {f"kubevirt_{name}": value for name, value in given.items() if not _fits(name, value)}
    if others:
        words.append(f"-e {shlex.quote(json.dumps(others))}")
    return " ".join(["ansible-playbook kubevirt.lifecycle.upgrade", *words])


def variable(option: str, value: t.Any) -> str:
    """The option as an argument. What a file holds does not belong into a command: a text of many lines, or a kubeconfig."""
    shown = value if isinstance(value, str) and not is_text(value) else f"<{option}>"
    return f"-e {shlex.quote(f'kubevirt_{option}={shown}')}"


def _fits(option: str, value: t.Any) -> bool:
    return isinstance(value, str) or option == "kubeconfig"
