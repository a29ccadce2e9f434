# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""fleet_report, all of which happens on the controller."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from datetime import datetime, timezone

from ansible.plugins.action import ActionBase
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import fleet_report
from ansible_collections.kubevirt.lifecycle.plugins.plugin_utils.operation_action import plain


class ActionModule(ActionBase):
    """See the module's documentation."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: Mapping[str, t.Any] | None = None) -> dict[str, t.Any]:
        """The module's result."""
        super().run(tmp, task_vars)
        options = self.validate_argument_spec(fleet_report.ARGUMENT_SPEC)[1]
        now = datetime.now(timezone.utc)
        return fleet_report.run(plain(options), check_mode=self._task.check_mode, now=now)
