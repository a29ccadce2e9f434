# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole lab: real Kubernetes, real virt-operator, virt-api and virt-controller, simulated guests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.lab import Lab, lab_up, worker_name

NAME = worker_name("cases")


@pytest.fixture
def running() -> Iterator[Lab]:
    """A lab without KubeVirt, one for each test: some minutes of a test are spent on waiting, so several run at once."""
    with lab_up(NAME) as running:
        yield running
