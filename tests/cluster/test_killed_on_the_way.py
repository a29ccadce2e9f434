# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""With workload update methods set, and a run that is killed in the middle."""

from __future__ import annotations

import typing as t
from pathlib import Path

from tests.support.guests import running_guests
from tests.support.install import OLD_ENTRY
from tests.support.killing import kill_when
from tests.support.kubevirt import KUBEVIRT, LIVE_MIGRATE, OPERATOR, TO, assert_arrived, install
from tests.support.lab import Lab, lab, mutating


def test_with_live_migrate_set_and_killed_on_the_way(running: Lab, tmp_path: Path) -> None:
    """Installed by kubectl create. No VM is migrated before the hop is verified, and the methods come back."""
    install(running, "kubectl create", tmp_path, workloadUpdateStrategy=LIVE_MIGRATE)
    manifest = lab("manifest", TO)
    before = running_guests(str(running.kubeconfig))
    start = running.audit_position()
    checked = running.playbook("upgrade", "--check", "--diff", kubevirt_version=TO, kubevirt_manifest=manifest)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert running.audited(start), "the audit log has nothing of us"
    assert mutating(running.audited(start)) == []
    assert OLD_ENTRY["name"] in checked.stdout

    kill_when(
        lambda: running.get(*OPERATOR)["spec"]["template"]["spec"]["containers"][0]["image"].endswith(TO),
        running.playbook_command("upgrade", kubevirt_version=TO, kubevirt_manifest=manifest),
    )
    assert methods(running) == []
    assert "held by an unfinished run" in running.playbook("status").stdout

    done = running.playbook("upgrade", kubevirt_version=TO, kubevirt_manifest=manifest)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_arrived(running, TO)
    assert methods(running) == ["LiveMigrate"]
    assert "lifecycle.kubevirt.io" not in str(running.get(*KUBEVIRT)["metadata"].get("annotations"))
    assert_no_migration_before_the_methods_were_restored(running, start)
    after = running_guests(str(running.kubeconfig))
    assert {name: guest["VMI"] for name, guest in after.items()} == {
        name: guest["VMI"] for name, guest in before.items()
    }


def methods(running: Lab) -> list[str]:
    strategy = running.get(*KUBEVIRT)["spec"].get("workloadUpdateStrategy", {})
    return t.cast("list[str]", strategy.get("workloadUpdateMethods") or [])


def assert_no_migration_before_the_methods_were_restored(running: Lab, position: int) -> None:
    """By the API server's own record of who did what when."""
    events = running.audited(position, user_agent="")
    restored = [
        event["requestReceivedTimestamp"]
        for event in running.audited(position)
        if event["verb"] == "patch" and "/kubevirts/" in event["requestURI"] and "dryRun" not in event["requestURI"]
    ][-1]
    migrations = [
        event["requestReceivedTimestamp"]
        for event in events
        if event["verb"] == "create" and "/virtualmachineinstancemigrations" in event["requestURI"]
    ]
    print(f"methods restored at {restored}; migrations created at {migrations}")
    assert all(created > restored for created in migrations)
