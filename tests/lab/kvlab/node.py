# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real nodes: containerd, runc and kubelet, with their own /run, /var/lib, /var/log and pids.

There is always one, for the control plane's pods. Nodes for real guests come beside it if they are asked for: they also
have cgroups, a /var and a hostname of their own, so that what runs there for one node finds nothing of another.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from kvlab import cgroups, cluster, images, kubectl, manifests, netns, node_init, pod_network, real_images
from kvlab.builds import program
from kvlab.lab import NODE_ADDRESS, NODE_NAME, NODE_POD_CIDR, REAL_GUEST_NODES, Lab
from kvlab.netns import inside
from kvlab.processes import CommandFailed, child_of, must_run, pid_of, run, start
from kvlab.waiting import NotYet, wait_for

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
# virt-launcher tells its guest the pod's search domains, and dies of the dot that stands for none. No server is there.
SEARCH_DOMAINS = {"clusterDNS": ["10.96.0.10"], "clusterDomain": "cluster.local"}
NO_EVICTION = dict.fromkeys(("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available"), "0%")


@dataclass(frozen=True)
class Node:
    """One real node of a lab."""

    lab: Lab
    name: str
    address: str
    pod_cidr: str
    real_guests: bool = False
    """Whether it is one for real guests."""

    @property
    def folder(self) -> Path:
        """The node's files; its lib and log are the node's /var/lib and /var/log."""
        return self.lab.state / "nodes" / self.name

    @property
    def init(self) -> str:
        """The component that holds the node's namespaces."""
        return f"{self.name}-init"

    @property
    def containerd(self) -> str:
        """The component that runs the node's containers."""
        return f"{self.name}-containerd"

    @property
    def kubelet(self) -> str:
        """The component that makes it a node of the cluster."""
        return f"{self.name}-kubelet"

    def within(self, argv: Sequence[str | Path]) -> list[str | Path]:
        """The command line that runs *argv* in the node's namespaces."""
        holder = pid_of(self.lab, self.init)
        if holder is None:
            raise NotYet(f"the node {self.name} is not there")
        enter = ["nsenter", f"--target={child_of(holder)}", "--mount", "--pid", "--net"]
        if not self.real_guests:
            return [*enter, *argv]
        return cgroups.inside_node(self.lab, self.name, [*enter, "--cgroup", "--ipc", "--uts", *argv])


def control_plane(lab: Lab) -> Node:
    """The real node that every whole lab has."""
    return Node(lab, NODE_NAME, NODE_ADDRESS, NODE_POD_CIDR)


def for_real_guests(lab: Lab) -> list[Node]:
    """The nodes that a lab with real guests has besides."""
    return [Node(lab, name, address, pods, True) for name, (address, pods) in REAL_GUEST_NODES.items()]


def named(lab: Lab, name: str) -> Node:
    """The real node of this name."""
    nodes = [control_plane(lab), *(for_real_guests(lab) if lab.recorded().get("real_guests") else ())]
    found = [node for node in nodes if node.name == name]
    if not found:
        raise SystemExit(f"there is no real node {name}; there is {', '.join(node.name for node in nodes)}")
    return found[0]


def start_control_plane(lab: Lab, archives: Sequence[Path]) -> None:
    """Start the node of the control plane's pods, with these images."""
    _start([control_plane(lab)], archives, manifests.DATA / "real-node.yaml")


def check_for_real_guests() -> None:
    """Say at once what the machine lacks for real guests."""
    if not Path("/dev/net/tun").exists():
        raise SystemExit("real guests need /dev/net/tun, which this machine does not have (modprobe tun)")
    if not cgroups.have_v1():
        raise SystemExit("real guests need cgroup v1, which this machine does not have")


def start_for_real_guests(lab: Lab, archives: Sequence[Path]) -> None:
    """Start the nodes for real guests, with these images."""
    nodes = for_real_guests(lab)
    for node in nodes:
        netns.add_address(lab, node.address)
        cluster.make_node_credentials(lab, node.name)
        cgroups.create_for_node(lab, node.name)
    _start(nodes, archives, manifests.DATA / "real-guest-nodes.yaml")


def _start(nodes: Iterable[Node], archives: Sequence[Path], labels: Path) -> None:
    """Start nodes, import the images, give the nodes their labels, and wait until they are ready."""
    for node in nodes:
        _start_containerd(node)
        import_images(node, archives)
    for node in nodes:
        start(node.lab, node.kubelet, node.within(_kubelet(node)))
    for node in nodes:
        kubectl.apply(node.lab, labels)
    for node in nodes:
        wait_for(f"the node {node.name} to be ready", functools.partial(_is_ready, node), 120)


def _start_containerd(node: Node) -> None:
    _write_configuration(node)
    start(node.lab, node.init, inside(node.lab, _init(node)))
    wait_for(f"the namespaces of {node.name}", lambda: _has_namespaces(node), 30)
    start(node.lab, node.containerd, node.within(["containerd", f"--config={node.folder}/containerd.toml"]))
    wait_for("containerd", lambda: _containerd_answers(node), 60)


def _init(node: Node) -> list[str | Path]:
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    program_of_init = [sys.executable, "-I", Path(node_init.__file__), node.folder]
    if not node.real_guests:
        return [*namespaces, *program_of_init]
    own = [*namespaces, "--cgroup", "--ipc", "--uts", *program_of_init, node.name]
    return cgroups.inside_node(node.lab, node.name, own)


def import_images(node: Node, archives: Iterable[Path]) -> None:
    """Give images to the node's containerd."""
    for archive in archives:
        run(_ctr(node, "import", archive))
    if node.real_guests:
        name_by_digest(node)


def name_by_digest(node: Node) -> None:
    """Let the node know its images also as NAME@DIGEST: so the target of a migration asks for those that a VM boots from."""
    rows = [line.split()[:3] for line in run(_ctr(node, "ls")).splitlines()[1:]]
    names = {name for name, _kind, _digest in rows}
    for name, _kind, digest in rows:
        by_digest = f"{name.rpartition(':')[0]}@{digest}"
        # containerd also has each image under its digest alone
        if not name.startswith("sha256:") and "@" not in name and by_digest not in names:
            run(_ctr(node, "tag", name, by_digest))


def _ctr(node: Node, *arguments: str | Path) -> list[str | Path]:
    return node.within(["ctr", f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io", "images", *arguments])


def image_archives(kubevirt_versions: Iterable[str]) -> list[Path]:
    """The image archives that a node of the lab needs."""
    return [images.folder() / "pause.tar", *(images.folder() / f"kubevirt-{v}.tar" for v in kubevirt_versions)]


def guest_archives(kubevirt_versions: Iterable[str]) -> list[Path]:
    """The image archives that a node for real guests needs."""
    return [images.folder() / "pause.tar", *real_images.archives(kubevirt_versions)]


def _has_namespaces(node: Node) -> bool:
    must_run(node.lab, node.init)
    return (node.folder / "ready").exists()


def _containerd_answers(node: Node) -> bool:
    must_run(node.lab, node.containerd)
    try:
        plugins = run(node.within(["ctr", f"--address={CONTAINERD_SOCKET}", "plugins", "ls"]))
    except CommandFailed as failure:
        raise NotYet(failure.said) from failure
    return any(line.split()[:2] == ["io.containerd.grpc.v1", "cri"] and "ok" in line for line in plugins.splitlines())


def _is_ready(node: Node) -> bool:
    must_run(node.lab, node.kubelet)
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
        # CNI gives a bridge the gateway address of one node only; the namespace routes between the bridges.
        "bridge": f"pods-{node.name}" if node.real_guests else "pods",
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
        f"--kubeconfig={node.lab.kubelet_kubeconfig(node.name)}",
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
        "cgroupRoot": "/" if node.real_guests else f"/{node.lab.cgroup}",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "failSwapOn": False,
        "resolvConf": "",
        # The machine's disk is not the lab's to judge, and the images cannot be pulled again.
        "evictionHard": NO_EVICTION,
        "imageGCHighThresholdPercent": 100,
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        **(SEARCH_DOMAINS if node.real_guests else {}),
    }
