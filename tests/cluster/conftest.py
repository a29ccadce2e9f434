# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole lab: real Kubernetes, real virt-operator, virt-api and virt-controller, simulated guests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.lab import Lab, lab

NAME = "cases"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Lab]:
    """The lab without KubeVirt."""
    lab("up", "--name", NAME)
    yield Lab.of(NAME)
    lab("down", "--name", NAME)


@pytest.fixture
def running(cluster: Lab) -> Iterator[Lab]:
    """The lab; what a test installs is removed afterwards."""
    yield cluster
    cluster.kubectl("delete", "virtualmachines", "--all", "--ignore-not-found", "--timeout=120s", check=False)
    lab("kubevirt", "uninstall", "--name", NAME)
