# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection to this machine that Ansible takes for one to another."""

from __future__ import annotations

DOCUMENTATION = """
name: elsewhere
short_description: This machine, as if it were another
description:
  - The connection local under another name.
author:
  - The kubevirt.lifecycle maintainers (@kubevirt)
options: {}
extends_documentation_fragment:
  - connection_pipelining
"""

from ansible.plugins.connection import local


class Connection(local.Connection):
    """What local does."""

    transport = "elsewhere"
