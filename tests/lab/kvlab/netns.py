# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's network namespace. Nothing in it has a way out: it has a loopback device and bridges, no uplink."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kvlab.lab import API_SERVICE_ADDRESS, NODE_ADDRESS, Lab
from kvlab.processes import run


def create(lab: Lab) -> None:
    """Make the namespace and its addresses.

    They are on the loopback device: the kernel may lack dummy devices, and this makes the address of the
    kubernetes service reachable without kube-proxy. The namespace is held by a file of ours and not by ``ip netns``,
    which would leave /run/netns behind as a mount.
    """
    lab.netns.touch()
    run(["unshare", f"--net={lab.netns}", "true"])
    run(inside(lab, ["ip", "link", "set", "lo", "up"]))
    for address in (API_SERVICE_ADDRESS, NODE_ADDRESS):
        add_address(lab, address)


def add_address(lab: Lab, address: str) -> None:
    """Give the namespace one more address."""
    run(inside(lab, ["ip", "address", "add", f"{address}/32", "dev", "lo"]))


def inside(lab: Lab, argv: Sequence[str | Path]) -> list[str | Path]:
    """The command line that runs *argv* in the namespace.

    Not ``ip netns exec``: that mounts /sys anew and hides the cgroups from kubelet.
    """
    return ["nsenter", f"--net={lab.netns}", *argv]
