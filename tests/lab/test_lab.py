# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's own promises: it cleans up after itself, survives being killed, and stays by itself.

Needs root on Linux and Go, as the lab does.
"""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import subprocess
import sys
import tarfile
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from kvlab import builds, cache, cgroups, images, node, processes
from kvlab.lab import Lab
from kvlab.waiting import wait_for

TOOL = [sys.executable, str(Path(__file__).parent)]
API_ONLY, WHOLE, REAL_GUESTS = ["--api-only"], [], ["--real-guests"]
ALL_FORMS = pytest.mark.parametrize(
    "form",
    [
        pytest.param(API_ONLY, id="api-only"),
        pytest.param(WHOLE, id="whole"),
        pytest.param(REAL_GUESTS, id="real-guests", marks=pytest.mark.full),
    ],
)
# What is built on demand is not built for every run of the tests.
RELEASES = [
    pytest.param(version, marks=[] if version in builds.USUAL_VERSIONS else pytest.mark.full)
    for version in builds.KUBEVIRT_VERSIONS
]


def tool(*arguments: str) -> str:
    """What a command of the lab prints."""
    done = subprocess.run([*TOOL, *arguments], capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A name of our own; whatever a test leaves under it is cleared."""
    name = "test-of-the-lab"
    tool("down", "--name", name)
    yield Lab(name)
    tool("down", "--name", name)


def net_namespace(pid: int | str) -> int | None:
    """The network namespace of a process."""
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return None  # it has ended, or it is the machine's own first process


def still_there(started: dict[int, int | None]) -> list[str]:
    """Those of the processes, given with their start times, that have not ended."""
    present = [pid for pid, start in started.items() if start and processes.start_time(pid) == start]
    return [Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").replace("\0", " ") for pid in present]


@dataclass(frozen=True)
class Traces:
    """What there is of a lab on the machine."""

    processes: frozenset[int]
    """In its cgroups, or in its network namespace, wherever they are."""
    mounts: tuple[str, ...]
    cgroups: tuple[Path, ...]
    files: bool


def traces(lab: Lab, namespace: int) -> Traces:
    """What there is of the lab, whose network namespace is or was *namespace*."""
    everything = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    within = {pid for pid in everything if net_namespace(pid) == namespace}
    mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return Traces(
        frozenset(within | cgroups.processes(lab)),
        tuple(line for line in mountinfo if lab.name in line or f"net:[{namespace}]" in line),
        tuple(cgroups.of(lab)),
        lab.state.exists(),
    )


def machine() -> dict[str, t.Any]:
    """What a lab might change outside of its cache."""
    mounts = {line.split()[1] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()}
    return {
        "mounts": {mount for mount in mounts if not mount.startswith(str(cache.root()))},
        "devices": set(os.listdir("/sys/class/net")),
        "folders": {path for path in ("/run", "/var/lib", "/var/log", "/etc") for path in os.listdir(path)},
    }


@ALL_FORMS
def test_down_leaves_nothing(lab: Lab, form: list[str]) -> None:
    before = machine()
    tool("up", "--name", lab.name, *form)
    namespace = lab.netns.stat().st_ino
    there = traces(lab, namespace)
    started = {pid: processes.start_time(pid) for pid in there.processes}
    assert there.processes and there.mounts and there.cgroups and there.files

    tool("down", "--name", lab.name)

    assert traces(lab, namespace) == Traces(frozenset(), (), (), False)
    assert still_there(started) == []
    assert machine() == before


@pytest.mark.parametrize(
    ("form", "component"),
    [
        (API_ONLY, "etcd"),
        (API_ONLY, "kube-apiserver"),
        (WHOLE, "control-plane-init"),
        (WHOLE, "control-plane-kubelet"),
        pytest.param(REAL_GUESTS, "real-2-init", marks=pytest.mark.full),
    ],
)
def test_up_after_a_kill_in_the_middle_of_it(lab: Lab, form: list[str], component: str) -> None:
    with subprocess.Popen([*TOOL, "up", "--name", lab.name, *form], stderr=subprocess.DEVNULL) as starting:
        wait_for(
            f"{component} to start", lambda: processes.pid_of(lab, component) in cgroups.processes(lab), 120, poll=0.01
        )
        starting.send_signal(signal.SIGKILL)
    left = {pid: processes.start_time(pid) for pid in cgroups.processes(lab)}
    assert left, "the killed command left processes"
    assert not lab.recorded()

    tool("up", "--name", lab.name, *form)

    assert "is up" in tool("status", "--name", lab.name)
    assert still_there(left) == []


def privileged_pod(name: str) -> dict[str, t.Any]:
    """A pod on the node *name* that asks for what virt-handler asks for."""
    container = {
        "name": "pause",
        "image": images.PAUSE,
        "command": ["/usr/bin/pause", name],
        "securityContext": {"privileged": True, "runAsUser": 0},
        "volumeMounts": [{"name": "run", "mountPath": "/var/run/kubevirt", "mountPropagation": "Bidirectional"}],
    }
    spec = {
        "nodeName": name,
        "hostPID": True,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
        "volumes": [{"name": "run", "hostPath": {"path": "/var/run/kubevirt", "type": "DirectoryOrCreate"}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def process_of(lab: Lab, *words: str) -> int:
    """The pid of the lab's process with this command line."""
    wanted = "".join(f"{word}\0" for word in words).encode()
    (pid,) = (pid for pid in cgroups.processes(lab) if Path(f"/proc/{pid}/cmdline").read_bytes() == wanted)
    return pid


@pytest.mark.full
def test_a_node_for_real_guests_keeps_to_itself(lab: Lab) -> None:
    tool("up", "--name", lab.name, *REAL_GUESTS)
    one, other = node.for_real_guests(lab)
    pods = lab.state / "pods.json"
    items = [privileged_pod(name) for name in (one.name, other.name)]
    pods.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    kubectl = ("kubectl", "--name", lab.name, "--")
    tool(*kubectl, "apply", "-f", str(pods))
    tool(*kubectl, "wait", "pod", "--all", "--for=condition=Ready", "--timeout=120s")
    processes.run(one.within(["sh", "-c", "mkdir /run/kubevirt/new && mount -t tmpfs tmpfs /run/kubevirt/new"]))

    for which in (one, other):
        address = tool(*kubectl, "get", "pod", which.name, "-o", "jsonpath={.status.podIP}")
        assert ipaddress.ip_address(address) in ipaddress.ip_network(which.pod_cidr)
        pid = process_of(lab, "/usr/bin/pause", which.name)
        holder = processes.child_of(processes.pid_of(lab, which.init) or 0)
        assert os.stat(f"/proc/{pid}/ns/pid") == os.stat(f"/proc/{holder}/ns/pid")
        own = f":/{lab.cgroup}/{which.name}/kubepods/"
        assert all(own in line for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines())
        within = processes.run(which.within(["cat", "/proc/1/cgroup"])).split()
        assert within and all(line.endswith(":/") for line in within)
        assert ("/var/run/kubevirt/new" in Path(f"/proc/{pid}/mountinfo").read_text()) == (which == one)


def test_labs_side_by_side(lab: Lab) -> None:
    other = Lab(f"{lab.name}-2")
    try:
        for one in (lab, other):
            tool("up", "--name", one.name, "--api-only")
        tool("kubectl", "--name", lab.name, "--", "create", "namespace", "only-here")
        assert "only-here" in tool("kubectl", "--name", lab.name, "--", "get", "namespaces")
        assert "only-here" not in tool("kubectl", "--name", other.name, "--", "get", "namespaces")
    finally:
        tool("down", "--name", other.name)
    assert "is up" in tool("status", "--name", lab.name)


def test_no_packet_can_leave_the_namespace(lab: Lab) -> None:
    tool("up", "--name", lab.name)
    within = ["nsenter", f"--net={lab.netns}"]
    kinds = json.loads(subprocess.check_output([*within, "ip", "-json", "-details", "link"]))
    names = {link["ifname"] for link in kinds if link.get("link_type") == "loopback"}
    names |= {link["ifname"] for link in kinds if link.get("linkinfo", {}).get("info_kind") in ("bridge", "veth")}
    # tunnel devices that the kernel puts in every namespace are down
    assert {link["ifname"] for link in kinds if "UP" in link["flags"]} <= names
    routes = json.loads(subprocess.check_output([*within, "ip", "-json", "route"]))
    assert [route for route in routes if route["dst"] == "default"] == []


def test_the_audit_log_tells_of_a_request_at_once(lab: Lab) -> None:
    tool("up", "--name", lab.name, "--api-only")
    tool("kubectl", "--name", lab.name, "--", "get", "configmaps")
    events = [json.loads(line) for line in Path(tool("audit-log", "--name", lab.name)).read_text().splitlines()]
    (asked,) = [event for event in events if event["requestURI"].startswith("/api/v1/namespaces/default/configmaps")]
    assert (asked["verb"], asked["responseStatus"]["code"]) == ("list", 200)
    assert asked["user"]["username"] == "kubernetes-super-admin"
    assert asked["userAgent"].startswith("kubectl/")


@pytest.mark.parametrize("version", RELEASES)
def test_a_release_is_of_its_version(version: str) -> None:
    documents = Path(tool("manifest", version)).read_text().split("\n---\n")
    (operator,) = [document for document in documents if "\nkind: Deployment\n" in document]
    (container,) = yaml.safe_load(operator)["spec"]["template"]["spec"]["containers"]
    declared = {one["name"]: one.get("value") for one in container["env"]}
    assert declared["KUBEVIRT_VERSION"] == version
    assert container["image"] == f"{images.KUBEVIRT_REGISTRY}/virt-operator:{version}"
    with tarfile.open(node.image_archives([version])[-1]) as archive:
        (packed,) = json.load(t.cast("t.IO[bytes]", archive.extractfile("manifest.json")))
    names = {f"{images.KUBEVIRT_REGISTRY}/{name}:{version}" for name in images.KUBEVIRT_PROGRAMS}
    assert set(packed["RepoTags"]) == names
