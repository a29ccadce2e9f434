# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""KubeVirt 1.7.0 goes to 1.8.4 under running VMs, however it was installed and whatever goes wrong on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import typing as t
from pathlib import Path

import yaml

from tests.support.guests import running_guests
from tests.support.install import OLD_ENTRY, install_operator, with_old_entry
from tests.support.lab import ROOT, Lab, lab, mutating, playbook_environment

FROM, TO, MISSING = "v1.7.0", "v1.8.4", "v1.8.99"
REQUESTS_OF_A_SECOND_RUN = 25
KUBEVIRT = ("kubevirt", "kubevirt", "-n", "kubevirt")
OPERATOR = ("deployment", "virt-operator", "-n", "kubevirt")


def test_with_live_migrate_set_and_killed_on_the_way(running: Lab, tmp_path: Path) -> None:
    """Installed by kubectl create. No VM is migrated before the hop is verified, and the methods come back."""
    install(running, "kubectl create", tmp_path, methods=["LiveMigrate"])
    manifest = lab("manifest", TO)
    before = running_guests(str(running.kubeconfig))
    start = running.audit_position()

    position = running.audit_position()
    checked = running.playbook("upgrade", "--check", "--diff", kubevirt_version=TO, kubevirt_manifest=manifest)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert running.audited(position), "the audit log has nothing of us"
    assert mutating(running.audited(position)) == []
    assert OLD_ENTRY["name"] in checked.stdout

    kill_when(
        lambda: running.get(*OPERATOR)["spec"]["template"]["spec"]["containers"][0]["image"].endswith(TO),
        running.playbook_command("upgrade", kubevirt_version=TO, kubevirt_manifest=manifest),
    )
    assert methods(running) == []
    assert "held by an unfinished upgrade" in running.playbook("status").stdout

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


def test_with_a_version_whose_image_does_not_exist(running: Lab, tmp_path: Path) -> None:
    """Installed by kubectl apply. The run ends by itself, says what was changed and how to go back, and that works."""
    install(running, "kubectl apply", tmp_path)
    before, operands = running_guests(str(running.kubeconfig)), operand_pods(running)
    missing = tmp_path / "missing.yaml"
    missing.write_text(Path(lab("manifest", TO)).read_text().replace(TO, MISSING))

    failed = running.module("kubevirt_upgrade", {"version": MISSING, "manifest": str(missing)})
    print(failed.message)
    assert failed.code != 0
    assert failed.finding_ids[0] == "upgrade.image-pull"
    assert f"virt-operator:{MISSING} cannot be pulled" in failed.message
    assert "Changed so far: " in failed.message
    assert "Deployment kubevirt/virt-operator" in failed.message
    assert (
        "kubectl apply --server-side --force-conflicts --field-manager=kubevirt.lifecycle -f https://" in failed.message
    )
    assert (running_guests(str(running.kubeconfig)), operand_pods(running)) == (before, operands)

    back = running.module("kubevirt_upgrade", {"version": FROM, "manifest": lab("manifest", FROM)})
    assert back.code == 0, back.message
    assert_arrived(running, FROM)
    assert running_guests(str(running.kubeconfig)) == before

    done = running.module("kubevirt_upgrade", {"version": TO, "manifest": lab("manifest", TO)})
    assert done.code == 0, done.message
    assert_arrived(running, TO)
    assert running_guests(str(running.kubeconfig)) == before


def test_installed_by_kubernetes_core_and_run_twice(running: Lab, tmp_path: Path) -> None:
    """The prediction is what happens; the VMs are left alone; a second run has nothing to do, in few requests."""
    install(running, "kubernetes.core.k8s", tmp_path)
    before = running_guests(str(running.kubeconfig))
    wish = {"version": TO, "manifest": lab("manifest", TO)}

    predicted = running.module("kubevirt_upgrade", wish, check=True)
    done = running.module("kubevirt_upgrade", wish)
    assert done.code == 0, done.message
    for key in ("changed", "diff", "actions", "path", "from_version", "to_version"):
        assert done.data[key] == predicted.data[key], key
    assert_arrived(running, TO)
    assert running_guests(str(running.kubeconfig)) == before
    wait_until(lambda: running.module("kubevirt_info", {}).data["workloads"]["outdated"] == len(before))

    position = running.audit_position()
    again = running.playbook("upgrade", kubevirt_version=TO, kubevirt_manifest=lab("manifest", TO))
    requests = running.audited(position)
    print(again.stdout)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "changed=0" in again.stdout
    assert mutating(requests) == []
    assert 0 < len(requests) <= REQUESTS_OF_A_SECOND_RUN, [event["requestURI"] for event in requests]


def install(running: Lab, how: str, tmp_path: Path, methods: list[str] | None = None) -> None:
    """KubeVirt 1.7.0 with VMs, by a manifest with an entry that the next one does not have."""
    install_operator(running, how, with_old_entry(Path(lab("manifest", FROM)), tmp_path / "old.yaml"))
    running.kubectl("wait", "--for=condition=Available", "deployment/virt-operator", "-n", "kubevirt", "--timeout=300s")
    cr = yaml.safe_load(lab("cr"))
    if methods:
        cr["spec"]["workloadUpdateStrategy"] = {"workloadUpdateMethods": methods}
    wait_until(lambda: running.succeeds("create", "-f", "-", stdin=yaml.safe_dump(cr)), seconds=60)
    wait_until(lambda: running.module("kubevirt_info", {}).data["state"] == "healthy", seconds=600)
    lab("vm", "create", "5", "--name", running.name)


def methods(running: Lab) -> list[str]:
    strategy = running.get(*KUBEVIRT)["spec"].get("workloadUpdateStrategy", {})
    return t.cast("list[str]", strategy.get("workloadUpdateMethods") or [])


def assert_arrived(running: Lab, version: str) -> None:
    """KubeVirt says that it is there, the operator runs it, and the old manifest's entry is gone."""
    status = running.get(*KUBEVIRT)["status"]
    assert (status["observedKubeVirtVersion"], status["targetKubeVirtVersion"]) == (version, version)
    conditions = {condition["type"]: condition["status"] for condition in status["conditions"]}
    assert conditions == {"Available": "True", "Progressing": "False", "Degraded": "False", "Created": "True"}
    container = running.get(*OPERATOR)["spec"]["template"]["spec"]["containers"][0]
    assert container["image"].endswith(f":{version}")
    assert OLD_ENTRY["name"] not in [variable["name"] for variable in container["env"]]


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


def operand_pods(running: Lab) -> dict[str, str]:
    """The pods of virt-api, virt-controller and virt-handler, with their UIDs."""
    pods = running.get("pods", "-n", "kubevirt", "-l", "kubevirt.io in (virt-api, virt-controller, virt-handler)")[
        "items"
    ]
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in pods}


def kill_when(condition: t.Callable[[], bool], command: list[str]) -> None:
    """Start a command and kill it, with all that it started, as soon as the condition holds."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=playbook_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(condition, seconds=120)
    finally:
        # Its children first asked, then all killed: a module outlives the ansible-playbook that started it.
        for pid in [process.pid, *descendants(process.pid)]:
            os.kill(pid, signal.SIGKILL)
        process.wait()


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and theirs."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [one for child in map(int, children) for one in (child, *descendants(child))]


def wait_until(condition: t.Callable[[], bool], seconds: float = 60) -> None:
    """Until it holds; an AssertionError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        time.sleep(1)
