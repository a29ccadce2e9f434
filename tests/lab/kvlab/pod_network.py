# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network of the pods of real nodes, on which a VM keeps its address when it moves.

A CNI plugin, and what a node needs to call it. Pods get an address of their node's range, by the usual plugins. The
launchers of all VMs are on one bridge, whatever their node, and those of one VM all have the same address: where a guest
runs, so answers its network, as with pod networks that are made for VMs (OVN-Kubernetes, Calico). Two launchers that have
one address during a migration do not disturb each other, because the gateway goes on sending to the one that it knows
until another asks for it by ARP, and a launcher does so when its guest sends its first packet. So nothing may announce
the address before: the usual plugin does, and therefore does not set this address itself. And nobody may ask a second
time: Linux asks anew where its gateway is every half a minute, also 5 s after a guest has left a launcher.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import re
import subprocess
import sys
import typing as t
from collections.abc import Mapping
from pathlib import Path

PLUGINS = Path("/usr/lib/cni")
NAME = "lab-pods"
BRIDGE = "vms"
BRIDGE_ADDRESS = "02:00:0a:64:00:01"
VM_CIDR = ipaddress.IPv4Network("10.100.0.0/16")
VM_GATEWAY = VM_CIDR[1]
SURE_FOR = 24 * 60 * 60
"""Seconds for which a launcher goes on using what it knows of its gateway before it asks again; longer than a lab lives."""

Json = dict[str, t.Any]


def install(programs: Path) -> Path:
    """Put the usual plugins and this one into a folder, for containerd to find them."""
    programs.mkdir()
    for plugin in PLUGINS.iterdir():
        (programs / plugin.name).symlink_to(plugin)
    own = programs / NAME
    own.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{Path(__file__)}"\n', encoding="utf-8")
    own.chmod(0o755)
    return programs


def configuration(bridge: Json, addresses: Path) -> Json:
    """The configuration of a node's network.

    Args:
        bridge: The configuration of the usual plugin, for pods that are no launchers.
        addresses: A folder that all nodes of a lab share: who has which address.
    """
    own = {"type": NAME, "usual": bridge, "addresses": str(addresses)}
    return {"cniVersion": "0.4.0", "name": "lab", "plugins": [own]}


def vm_of(arguments: str) -> str | None:
    """Namespace and name of the VM whose launcher a pod is, from CNI_ARGS; None for other pods."""
    given = dict(pair.split("=", 1) for pair in arguments.split(";") if "=" in pair)
    match = re.fullmatch(r"virt-launcher-(.+)-[a-z0-9]{5}", given.get("K8S_POD_NAME", ""))
    return f"{given['K8S_POD_NAMESPACE']}.{match[1]}" if match else None


def address_of(vm: str, addresses: Path) -> ipaddress.IPv4Address:
    """The address of a VM, the same whoever asks; a new VM gets the next one."""
    addresses.mkdir(parents=True, exist_ok=True)
    with (addresses / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = addresses / vm
        if not known.exists():
            known.write_text(str(VM_GATEWAY + sum(not one.name.startswith(".") for one in addresses.iterdir()) + 1))
        return ipaddress.IPv4Address(known.read_text())


def main() -> None:
    """What CNI asks for: the command in the environment, the configuration in stdin, the result in stdout."""
    given = json.load(sys.stdin) if os.environ["CNI_COMMAND"] != "VERSION" else {"cniVersion": "0.4.0"}
    vm = vm_of(os.environ.get("CNI_ARGS", ""))
    configured = {key: given[key] for key in ("cniVersion", "name", "prevResult", "runtimeConfig") if key in given}
    # Without an address from it, the plugin only makes the pod's interface.
    configured |= {"type": "bridge", "bridge": BRIDGE, "ipam": {}} if vm else given.get("usual", {"type": "bridge"})
    result = _call_usual(configured)
    if vm and os.environ["CNI_COMMAND"] == "ADD":
        address = address_of(vm, Path(given["addresses"]))
        _fix_address_of_bridge()
        _give(address, os.environ["CNI_NETNS"], os.environ["CNI_IFNAME"])
        result = json.dumps(with_address(json.loads(result), address))
    sys.stdout.write(result)


def with_address(result: Mapping[str, t.Any], address: ipaddress.IPv4Address) -> Json:
    """The usual plugin's result, with the address that the pod was given."""
    inside = [number for number, one in enumerate(result["interfaces"]) if one.get("sandbox")]
    ip = {"version": "4", "address": f"{address}/{VM_CIDR.prefixlen}", "gateway": str(VM_GATEWAY)}
    return {**result, "ips": [{**ip, "interface": inside[0]}], "routes": [{"dst": "0.0.0.0/0", "gw": str(VM_GATEWAY)}]}


def _call_usual(configured: Json) -> str:
    command = Path(os.environ["CNI_PATH"].split(os.pathsep)[0]) / configured["type"]
    done = subprocess.run([command], input=json.dumps(configured), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.stdout.write(done.stdout)  # its error, as CNI wants it
        raise SystemExit(done.returncode)
    return done.stdout


def _fix_address_of_bridge() -> None:
    """Otherwise it is that of one of the pods, and changes with them.

    All others then lose their gateway for a while, and the gateway asks anew where each address is: so only once.
    """
    shown = subprocess.run(
        ["ip", "-json", "link", "show", BRIDGE], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    if json.loads(shown)[0]["address"] != BRIDGE_ADDRESS:
        _ip("link", "set", BRIDGE, "address", BRIDGE_ADDRESS)


def _give(address: ipaddress.IPv4Address, netns: str, interface: str) -> None:
    _ip("address", "replace", f"{VM_GATEWAY}/{VM_CIDR.prefixlen}", "dev", BRIDGE)
    inside = ("nsenter", f"--net={netns}")
    known = f"/proc/sys/net/ipv4/neigh/{interface}/delay_first_probe_time"
    subprocess.run([*inside, "sh", "-c", f"echo {SURE_FOR} >{known}"], check=True)
    _ip("address", "replace", f"{address}/{VM_CIDR.prefixlen}", "dev", interface, within=inside)
    _ip("link", "set", interface, "up", within=inside)
    _ip("route", "replace", "default", "via", str(VM_GATEWAY), within=inside)


def _ip(*arguments: str, within: tuple[str, ...] = ()) -> None:
    # What it prints would be taken for the result.
    subprocess.run([*within, "ip", *arguments], stdout=sys.stderr, check=True)


if __name__ == "__main__":
    main()
