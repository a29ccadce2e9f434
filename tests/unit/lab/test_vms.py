# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The VMs of the lab: their names, specs and disks, and how they are listed."""

from __future__ import annotations

import copy
import typing as t

import pytest
from kvlab import cli, machines, manifests, vms
from kvlab.machines import MIXED, Wish
from yaml import safe_load, safe_load_all

TEMPLATE = safe_load((manifests.DATA / "vm.yaml").read_text(encoding="utf-8"))


def made(**wish: t.Any) -> dict[str, t.Any]:
    return machines.machine(TEMPLATE, "vm-1", "other", Wish(**wish))


@pytest.mark.parametrize(
    ("present", "prefix", "names"),
    [
        ([], "vm", ["vm-1", "vm-2"]),
        (["vm-7", "vm-3", "mine", "vm-x"], "vm", ["vm-8", "vm-9"]),
        (["vm-7", "failing-once-1"], "failing", ["failing-1", "failing-2"]),
    ],
)
def test_names_of_further_vms(present: list[str], prefix: str, names: list[str]) -> None:
    assert vms.next_names(present, 2, prefix) == names


def test_a_vm_tolerates_the_taint_of_the_simulated_nodes() -> None:
    template = copy.deepcopy(TEMPLATE)
    vm = made()
    assert vm["metadata"] == {"name": "vm-1", "namespace": "other"}
    assert template == TEMPLATE
    tolerated = {toleration["key"] for toleration in vm["spec"]["template"]["spec"]["tolerations"]}
    nodes = safe_load_all((manifests.DATA / "workers.yaml").read_text(encoding="utf-8"))
    assert {taint["key"] for node in nodes for taint in node["spec"]["taints"]} == tolerated


@pytest.mark.parametrize("standalone", [False, True])
def test_a_wish_is_in_the_spec(standalone: bool) -> None:
    vm = made(
        standalone=standalone,
        run_strategy="Manual",
        eviction_strategy="None",
        cpu_model="Haswell",
        machine_type="q35",
        vcpus=2,
        disk="shared",
        network="bridge",
        guest_agent=True,
        migration_seconds=20,
    )
    guest = vm if standalone else vm["spec"]["template"]
    domain = guest["spec"]["domain"]
    assert vm["kind"] == ("VirtualMachineInstance" if standalone else "VirtualMachine")
    assert vm["spec"].get("runStrategy") == (None if standalone else "Manual")
    assert guest["spec"]["evictionStrategy"] == "None"
    assert (domain["cpu"], domain["machine"]) == ({"cores": 2, "model": "Haswell"}, {"type": "q35"})
    assert guest["spec"]["volumes"][0] == {"name": "root", "persistentVolumeClaim": {"claimName": "vm-1"}}
    assert domain["devices"]["interfaces"] == [{"name": "default", "bridge": {}}]
    assert guest["metadata"]["labels"] == {
        "lab/vm": "true",
        "lab/kind": "migratable",
        "lab/guest-agent": "connected",
        "lab/migration-seconds": "20",
    }


@pytest.mark.parametrize(
    ("wish", "mode"),
    [
        (Wish(), ""),
        (Wish(disk="local"), "ReadWriteOnce"),
        (Wish(kind="not-migratable"), "ReadWriteOnce"),
        (Wish(disk="shared"), "ReadWriteMany"),
    ],
)
def test_a_vm_that_is_not_migratable_has_a_disk_that_is_not_shared(wish: Wish, mode: str) -> None:
    assert wish.access_mode == mode
    volume, claim = machines.disk("vm-1", "other", mode)
    assert volume["spec"]["claimRef"] == {"name": claim["metadata"]["name"], "namespace": "other"}
    assert volume["metadata"]["name"] == claim["spec"]["volumeName"]


def test_the_mixed_set_has_all_kinds_and_strategies() -> None:
    assert {wish.kind for wish in MIXED.values()} == set(machines.KINDS)
    assert {wish.eviction_strategy for wish in MIXED.values()} == set(machines.EVICTION_STRATEGIES)
    assert {wish.run_strategy for wish in MIXED.values()} == set(machines.RUN_STRATEGIES) - {"Halted"}
    assert {wish.standalone for wish in MIXED.values()} == {True, False}


def test_the_readme_tells_of_the_mixed_set() -> None:
    readme = (manifests.DATA.parent / "README.md").read_text(encoding="utf-8")
    told = [line.split("|")[1].strip().strip("`") for line in readme.splitlines() if line.startswith("| `")]
    assert [name for name in told if name in MIXED] == list(MIXED)
    assert set(machines.KINDS) <= {word.strip("`") for line in readme.splitlines() for word in line.split()}


def test_the_nodes_have_the_cpu_models_and_machine_types_that_can_be_asked_for() -> None:
    stages = (manifests.DATA / "stages-virt-handler.yaml").read_text(encoding="utf-8")
    for model in machines.CPU_MODELS:
        assert f'cpu-model.node.kubevirt.io/{model}: "true"' in stages
    for machine_type in machines.MACHINE_TYPES:
        assert f'machine-type.node.kubevirt.io/{machine_type}: "true"' in stages


def test_the_options_of_vm_create_are_those_of_a_wish() -> None:
    plain = cli.parser().parse_args(["vm", "create", "3"])
    assert (plain.count, cli.wish_of(plain)) == (3, Wish())
    words = [
        "vm",
        "create",
        "1",
        "--kind",
        "slow",
        "--run-strategy",
        "Once",
        "--standalone",
        "--vcpus",
        "4",
        "--migration-seconds",
        "9",
    ]
    assert cli.wish_of(cli.parser().parse_args(words)) == Wish(
        kind="slow", run_strategy="Once", standalone=True, vcpus=4, migration_seconds=9
    )


def test_rows_of_the_list() -> None:
    status = {
        "phase": "Running",
        "nodeName": "worker-2",
        "launcherContainerImageVersion": "quay.io/kubevirt/virt-launcher:v1.7.0",
        "conditions": [{"type": "LiveMigratable", "status": "False", "reason": "DisksNotLiveMigratable"}],
    }
    vmi = machines.machine(TEMPLATE, "alone", "default", Wish(standalone=True)) | {"status": status}
    of_vm = {"kind": "VirtualMachineInstance", "metadata": {"name": "vm-1"}, "spec": {}, "status": {"phase": "Failed"}}
    stopped = machines.machine(TEMPLATE, "vm-2", "default", Wish(kind="slow", run_strategy="Halted"))
    rows = [
        ("alone", "migratable", "no VM", "LiveMigrate", "Running", "DisksNotLiveMigratable", "v1.7.0", "worker-2"),
        ("vm-1", "migratable", "Always", "LiveMigrate", "Failed", "-", "-", "-"),
        ("vm-2", "slow", "Halted", "LiveMigrate", "no VMI", "-", "-", "-"),
    ]
    assert vms.rows([stopped, made(), of_vm, vmi]) == rows
