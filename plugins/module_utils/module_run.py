# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Running an operation as an Ansible module: options in, one result or one error out."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping

from ansible.module_utils.basic import AnsibleModule

from .cluster.clock import Clock
from .cluster.connection import auth_argument_spec, connect, secrets_of
from .cluster.errors import ClusterError
from .operations.outcome import InvalidOption, Outcome

Operation = Callable[..., Outcome]


def run_as_module(argument_spec: Mapping[str, t.Any], operation: Operation) -> None:
    """Run ``operation`` with the module's options and end the process with its result."""
    module = AnsibleModule(argument_spec={**auth_argument_spec(), **argument_spec}, supports_check_mode=True)
    module.no_log_values.update(secrets_of(module.params["kubeconfig"]))
    clock = Clock()
    try:
        api = connect(module.params, check_mode=module.check_mode, clock=clock)
        outcome = operation(api, module.params, check_mode=module.check_mode, clock=clock, report=module.debug)
    except (InvalidOption, ClusterError) as error:
        module.fail_json(msg=str(error))
    if outcome.failure:
        module.fail_json(msg=outcome.failure, **outcome.as_result())
    module.exit_json(**outcome.as_result())
