# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which address a pod gets: that of its VM, if it has one."""

from __future__ import annotations

from pathlib import Path

import pytest
from kvlab import pod_network


@pytest.mark.parametrize(
    ("pod", "vm"),
    [
        ("virt-launcher-guest-1-x7k2p", "shop.guest-1"),
        ("virt-launcher-a-b-c-12345", "shop.a-b-c"),
        ("virt-handler-x7k2p", None),
        ("virt-launcher-guest", None),
    ],
)
def test_the_vm_of_a_launcher(pod: str, vm: str | None) -> None:
    assert pod_network.vm_of(f"IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME={pod};K8S_POD_UID=1") == vm
    assert pod_network.vm_of("") is None


def test_each_vm_has_an_address_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    vms = ["shop.a", "shop.b", "shop.a", "lab.a"]
    first, second, again, third = (pod_network.address_of(vm, tmp_path / "addresses") for vm in vms)
    assert first == again
    assert len({first, second, third, pod_network.VM_GATEWAY}) == 4
    assert {first, second, third} < {*pod_network.VM_CIDR}


def test_the_address_is_that_of_the_interface_in_the_pod() -> None:
    interfaces = [{"name": "pods"}, {"name": "veth1"}, {"name": "eth0", "sandbox": "/proc/1/ns/net"}]
    result = pod_network.with_address({"cniVersion": "0.4.0", "interfaces": interfaces}, pod_network.VM_CIDR[7])
    (ip,) = result["ips"]
    assert (ip["address"], ip["interface"], ip["gateway"]) == ("10.100.0.7/16", 2, "10.100.0.1")
    assert result["interfaces"] == interfaces
