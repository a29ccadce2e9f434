# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pod network with the real CNI plugins: a network namespace stands for a lab, and one more for each pod."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kvlab import packages, pod_network
from kvlab.waiting import wait_for

ASLEEP = ["sleep", "600"]
BEFORE_IT_ASKS_AGAIN = 7
"""Seconds: Linux does so after 5, by default."""
# A datagram to a port on which nobody listens: whoever is there says so.
KNOCK = """
import socket, sys
with socket.socket(type=socket.SOCK_DGRAM) as knocking:
    knocking.settimeout(2)
    knocking.connect((sys.argv[1], 9))
    knocking.send(b"-")
    try:
        knocking.recv(1)
    except ConnectionRefusedError:
        sys.exit(0)
"""


@pytest.fixture
def namespaces() -> Iterator[list[str]]:
    """The /proc folders of a lab and of three pods in it."""
    packages.ensure(packages.NETWORK | packages.NODE)
    processes = [subprocess.Popen(["unshare", "--net", *ASLEEP]) for _each in range(4)]
    try:
        folders = [f"/proc/{process.pid}/ns/net" for process in processes]
        own = Path("/proc/self/ns/net").readlink()
        wait_for("the namespaces", lambda: all(Path(folder).readlink() != own for folder in folders), 30)
        inside(folders[0], "ip", "link", "set", "lo", "up")
        inside(folders[0], "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        yield folders
    finally:
        for process in processes:
            process.kill()
            process.wait()


def inside(namespace: str, *command: str) -> str:
    return subprocess.run(
        ["nsenter", f"--net={namespace}", *command], check=True, capture_output=True, text=True
    ).stdout


def knock(namespace: str, address: str) -> None:
    """Fails if nobody is there."""
    inside(namespace, sys.executable, "-c", KNOCK, address)


def cni(lab: str, command: str, pod: str, name: str, folder: Path) -> dict[str, object]:
    """What containerd does for a pod in the namespace *pod*."""
    programs = folder / "programs"
    if not programs.exists():
        pod_network.install(programs)
    ranges = [[{"subnet": "10.98.0.0/24"}]]
    ipam = {"type": "host-local", "ranges": ranges, "dataDir": str(folder), "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "ipam": ipam}
    network = pod_network.configuration(bridge, folder / "addresses")
    (plugin,) = network["plugins"]
    environment = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": pod.split("/")[2],
        "CNI_NETNS": pod,
        "CNI_IFNAME": "eth0",
        "CNI_PATH": str(programs),
        "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={name}",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    }
    done = subprocess.run(
        ["nsenter", f"--net={lab}", str(programs / pod_network.NAME)],
        input=json.dumps({"cniVersion": network["cniVersion"], "name": network["name"], **plugin}),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout else {}


def neighbour(lab: str, address: str) -> str:
    """The hardware address to which the lab sends what is for an address."""
    (entry,) = json.loads(inside(lab, "ip", "-json", "neighbour", "show", address))
    return str(entry["lladdr"])


def hardware_address(namespace: str, of: str = "eth0") -> str:
    (interface,) = json.loads(inside(namespace, "ip", "-json", "link", "show", of))
    return str(interface["address"])


def test_a_vm_keeps_its_address_and_is_reached_where_its_guest_has_spoken_last(
    namespaces: list[str], tmp_path: Path
) -> None:
    lab, source, target, other = namespaces
    (usual,) = cni(lab, "ADD", other, "virt-handler-abcde", tmp_path)["ips"]  # type: ignore[misc]
    assert usual["address"].startswith("10.98.0.")
    knock(lab, usual["address"].partition("/")[0])

    (first,) = cni(lab, "ADD", source, "virt-launcher-guest-1-abcde", tmp_path)["ips"]  # type: ignore[misc]
    address = first["address"].partition("/")[0]
    knock(lab, address)
    assert neighbour(lab, address) == hardware_address(source)

    (second,) = cni(lab, "ADD", target, "virt-launcher-guest-1-fghij", tmp_path)["ips"]  # type: ignore[misc]
    assert second["address"] == first["address"]
    knock(lab, address)
    assert neighbour(lab, address) == hardware_address(source), "the target has announced itself, with no guest in it"

    knock(target, "10.98.0.1")  # as a guest does that has just arrived
    assert neighbour(lab, address) == hardware_address(target)
    inside(source, "bash", "-c", "echo - >/dev/udp/10.98.0.1/9")  # the last words of a guest that has just left
    time.sleep(BEFORE_IT_ASKS_AGAIN)
    assert neighbour(lab, address) == hardware_address(target), "the source has asked where its gateway is"
    cni(lab, "DEL", source, "virt-launcher-guest-1-abcde", tmp_path)
    knock(lab, address)
    assert neighbour(lab, address) == hardware_address(target)
    knock(other, address)
    assert hardware_address(lab, pod_network.BRIDGE) == pod_network.BRIDGE_ADDRESS, "the gateway of all has changed"
