# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real node: containerd, runc and kubelet, with their own /run, /var/lib, /var/log and pids."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from kvlab import images, kubectl, manifests, node_init, pod_network
from kvlab.builds import program
from kvlab.lab import NODE_ADDRESS, NODE_NAME, NODE_POD_CIDR, Lab
from kvlab.netns import inside
from kvlab.processes import CommandFailed, child_of, must_run, pid_of, run, start
from kvlab.waiting import NotYet, wait_for

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
NO_EVICTION = dict.fromkeys(("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available"), "0%")


@dataclass(frozen=True)
class Node:
    """One real node of a lab."""

    lab: Lab
    name: str
    address: str
    pod_cidr: str

    @property
    def folder(self) -> Path:
        """The node's files; its lib and log are the node's /var/lib and /var/log."""
        return self.lab.state / "nodes" / self.name

    @property
    def init(self) -> str:
        """The component that holds the node's namespaces."""
        return f"{self.name}-init"

    def within(self, argv: Sequence[str | Path]) -> list[str | Path]:
        """The command line that runs *argv* in the node's namespaces."""
        holder = pid_of(self.lab, self.init)
        if holder is None:
            raise NotYet(f"the node {self.name} is not there")
        return ["nsenter", f"--target={child_of(holder)}", "--mount", "--pid", "--net", *argv]


def control_plane(lab: Lab) -> Node:
    """The lab's real node."""
    return Node(lab, NODE_NAME, NODE_ADDRESS, NODE_POD_CIDR)


def start_node(node: Node, archives: Iterable[Path]) -> None:
    """Start the node, import the images, and wait until kubelet says that the node is ready."""
    _write_configuration(node)
    lab = node.lab
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    start(lab, node.init, inside(lab, [*namespaces, sys.executable, "-I", Path(node_init.__file__), node.folder]))
    wait_for(f"the namespaces of {node.name}", lambda: _has_namespaces(node), 30)

    containerd = f"{node.name}-containerd"
    start(lab, containerd, node.within(["containerd", f"--config={node.folder}/containerd.toml"]))
    wait_for("containerd", lambda: _containerd_answers(node, containerd), 60)
    import_images(node, archives)

    kubelet = f"{node.name}-kubelet"
    start(lab, kubelet, node.within(_kubelet(node)))
    kubectl.apply(lab, manifests.DATA / "real-node.yaml")
    wait_for(f"the node {node.name} to be ready", lambda: _is_ready(node, kubelet), 120)


def import_images(node: Node, archives: Iterable[Path]) -> None:
    """Give images to the node's containerd."""
    for archive in archives:
        run(node.within(["ctr", f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io", "images", "import", archive]))


def image_archives(kubevirt_versions: Iterable[str]) -> list[Path]:
    """The image archives that a node of the lab needs."""
    return [images.folder() / "pause.tar", *(images.folder() / f"kubevirt-{v}.tar" for v in kubevirt_versions)]


def _has_namespaces(node: Node) -> bool:
    must_run(node.lab, node.init)
    return (node.folder / "ready").exists()


def _containerd_answers(node: Node, component: str) -> bool:
    must_run(node.lab, component)
    try:
        plugins = run(node.within(["ctr", f"--address={CONTAINERD_SOCKET}", "plugins", "ls"]))
    except CommandFailed as failure:
        raise NotYet(failure.said) from failure
    return any(line.split()[:2] == ["io.containerd.grpc.v1", "cri"] and "ok" in line for line in plugins.splitlines())


def _is_ready(node: Node, component: str) -> bool:
    must_run(node.lab, component)
    status = kubectl.get(node.lab, "node", node.name).get("status", {})
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))


def _write_configuration(node: Node) -> None:
    network = node.folder / "cni"
    network.mkdir(parents=True)
    plugins = pod_network.install(node.folder / "cni-plugins")
    (node.folder / "containerd.toml").write_text(_containerd_configuration(network, plugins), encoding="utf-8")
    (network / "10-lab.conflist").write_text(json.dumps(_pod_network(node)), encoding="utf-8")
    (node.folder / "kubelet.yaml").write_text(yaml.safe_dump(_kubelet_configuration(node)), encoding="utf-8")


def _containerd_configuration(network: Path, plugins: Path) -> str:
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE runc cannot lower the score and dies with
    # "can't get final child's PID".
    return f"""\
version = 2
[grpc]
address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{images.PAUSE}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{network}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""


def _pod_network(node: Node) -> dict[str, object]:
    bridge = {
        "type": "bridge",
        "bridge": pod_network.BRIDGE,
        "isGateway": True,
        "ipMasq": False,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": node.pod_cidr}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return pod_network.configuration(bridge, node.lab.state / "vm-addresses")


def _kubelet(node: Node) -> list[str | Path]:
    return [
        program("kubernetes", "kubelet"),
        f"--config={node.folder}/kubelet.yaml",
        f"--kubeconfig={node.lab.kubeconfig_of('kubelet')}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
    ]


def _kubelet_configuration(node: Node) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "healthzPort": 0,
        "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": f"{node.lab.pki}/ca.crt"}},
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.lab.cgroup}",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "failSwapOn": False,
        "resolvConf": "",
        # The machine's disk is not the lab's to judge, and the images cannot be pulled again.
        "evictionHard": NO_EVICTION,
        "imageGCHighThresholdPercent": 100,
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
    }
