# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kubevirt_remove in the controller's own process."""

from __future__ import annotations

try:
    from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import remove
except ImportError:  # the module says what is missing
    remove = None

from ansible_collections.kubevirt.lifecycle.plugins.plugin_utils.operation_action import OperationAction


class ActionModule(OperationAction):
    """See the module's documentation."""

    operation = remove
