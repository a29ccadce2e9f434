# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What belongs to one lab: its name, its folders, its addresses."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from dataclasses import dataclass
from pathlib import Path

from kvlab import cache

# Every lab has a network namespace of its own, so all labs use the same addresses.
SERVICE_CIDR = "10.96.0.0/24"
API_SERVICE_ADDRESS = "10.96.0.1"
NODE_ADDRESS = "10.97.0.1"
NODE_POD_CIDR = "10.98.0.0/24"
SIMULATED_NODE_ADDRESS = "10.97.1.1"
SIMULATED_POD_CIDR = "10.99.0.0/16"
API_PORT = 443  # in the namespace; the relay makes it reachable from outside
NODE_NAME = "control-plane"
REAL_GUEST_NODES = {"real-1": ("10.97.0.2", "10.98.1.0/24"), "real-2": ("10.97.0.3", "10.98.2.0/24")}
"""The nodes for real guests, each with its address and its pods' addresses."""


@dataclass(frozen=True)
class Lab:
    """One lab by name."""

    name: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", self.name):
            raise SystemExit(f"a lab's name is made of lower-case letters, digits and dashes, not {self.name!r}")

    @property
    def state(self) -> Path:
        """The folder that exists as long as the lab does."""
        return cache.root() / "labs" / self.name

    @property
    def logs(self) -> Path:
        """The logs of the last lab of this name; they outlive it."""
        return cache.root() / "logs" / self.name

    @property
    def netns(self) -> Path:
        """The file that holds the lab's network namespace."""
        return self.state / "netns"

    @property
    def cgroup(self) -> str:
        """The lab's cgroup in every hierarchy: its processes, its kubelet and all its pods are below it."""
        return f"{cgroup_prefix()}{self.name}"

    @property
    def pki(self) -> Path:
        """Certificates and keys of the control plane."""
        return self.state / "pki"

    @property
    def audit_log(self) -> Path:
        """The apiserver's audit log, one JSON object a line."""
        return self.logs / "audit.log"

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig for use outside of the namespace, over the relay."""
        return self.state / "kubeconfig"

    def kubeconfig_of(self, user: str) -> Path:
        """The kubeconfig of a component, for use inside of the namespace."""
        return self.state / "kubeconfigs" / f"{user}.conf"

    def kubelet_kubeconfig(self, node: str) -> Path:
        """The kubeconfig of a node's kubelet."""
        return self.kubeconfig_of("kubelet" if node == NODE_NAME else f"{node}/kubelet")

    def record(self, **facts: t.Any) -> None:
        """Remember how the lab was started; written last, so a lab without it is not complete."""
        (self.state / "lab.json").write_text(json.dumps(facts), encoding="utf-8")

    def recorded(self) -> dict[str, t.Any]:
        """What :meth:`record` was told; empty for a lab that is not there or not complete."""
        try:
            return t.cast("dict[str, t.Any]", json.loads((self.state / "lab.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}


def cgroup_prefix() -> str:
    """How the cgroups of this cache's labs begin: another cache may hold labs of the same names."""
    return f"kvlab-{hashlib.sha256(str(cache.root()).encode()).hexdigest()[:6]}-"


def existing() -> list[Lab]:
    """Every lab that is there, complete or not."""
    return [Lab(path.name) for path in sorted(cache.directory("labs").iterdir())]
