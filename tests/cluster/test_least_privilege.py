# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every playbook on the real KubeVirt, each as a service account with exactly its role of docs/rbac.

What these roles need not have is told by tests/contract, where more can be played than a healthy lab shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.rbac.page import ACCOUNT
from tests.support.accounts import Account, account
from tests.support.kubevirt import FROM, TO, assert_arrived, install
from tests.support.lab import Json, Lab, lab
from tests.support.removal import traces
from tests.support.vms import on_new_launcher, vms

pytestmark = pytest.mark.full


@contextmanager
def limited(cluster: Lab, folder: Path, role: str) -> Iterator[Account]:
    """The account with this role, which is refused nothing."""
    with account(cluster, folder, role) as it:
        yield it
        assert it.requests(), "the audit log has nothing of the account"
        assert it.refused() == []


def test_every_playbook_under_exactly_its_role(running: Lab, tmp_path: Path) -> None:
    install(running, "kubectl apply", tmp_path)
    hop: Json = {"kubevirt_version": TO, "kubevirt_manifest": lab("manifest", TO)}
    with limited(running, tmp_path, "status") as it:
        assert FROM in it.playbook("status")
    with limited(running, tmp_path, "plan") as it:
        assert f"{FROM} -> {TO}" in it.playbook("plan", **hop)
    with limited(running, tmp_path, "upgrade") as it:
        it.playbook("upgrade", timeout=1800, **hop)
    assert_arrived(running, TO)
    with limited(running, tmp_path, "workloads") as it:
        it.playbook("workloads", timeout=1800, kubevirt_workload_methods=["LiveMigrate"], kubevirt_soak=0)
    assert on_new_launcher(running) == {*vms(running)}
    with limited(running, tmp_path, "remove") as it:
        asked: Json = {
            "kubevirt_hosts": "localhost",
            "kubevirt_backup_dir": str(tmp_path),
            "kubevirt_with_namespace": True,
        }
        phrase = it.module("kubevirt_remove", {"backup_dir": str(tmp_path)}, check=True).data["confirm"]
        it.playbook("remove", timeout=1800, kubevirt_confirm=phrase, **asked)
    running.kubectl("delete", "namespace", ACCOUNT)
    assert traces(running, but=()) == []
