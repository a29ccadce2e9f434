# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab whose guests really run, and clients that put down what they notice while something is done to the guests."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
import threading
import time
import typing as t
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import yaml

from tests.guests import prober
from tests.guests.record import Phase, Row, Said, as_json, parsed, row_of
from tests.support.kubevirt import FROM, TO, wait_until
from tests.support.lab import ROOT, Json, Lab, lab, playbook_environment
from tests.support.vms import vms

RESULTS = ROOT / "build" / "guests"
GUESTS = ("guest-1", "guest-2")
NODES = ("real-1", "real-2")
TEMPLATE = ROOT / "tests" / "lab" / "data" / "guest-vm.yaml"
LAUNCHER = "quay.io/kubevirt/virt-launcher"
SETTLE = 5.0
"""Seconds of the record before and after something is done."""
_IN_PHASE = re.compile(r"\[[^]]+\] +[\d:]+ +\d+/\d+ (\w+) ")


@contextmanager
def lab_with_guests(name: str, eviction_strategy: str, version: str = FROM) -> Iterator[Lab]:
    """A lab with a KubeVirt and two real guests."""
    lab("up", "--real-guests", "--name", name)
    try:
        lab("kubevirt", "install", version, "--name", name)
        cluster = Lab.of(name)
        create_guests(cluster, eviction_strategy)
        yield cluster
    finally:
        lab("down", "--name", name)


def create_guests(cluster: Lab, eviction_strategy: str) -> None:
    """The two guests, one on each node; until they run, and KubeVirt has seen that they can be migrated."""
    template = yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))
    for name, node in zip(GUESTS, NODES, strict=True):
        vm = copy.deepcopy(template)
        vm["metadata"] |= {"name": name, "namespace": "default"}
        vm["spec"]["template"]["spec"]["evictionStrategy"] = eviction_strategy
        cluster.kubectl("cordon", *(other for other in NODES if other != node))
        cluster.kubectl("create", "-f", "-", stdin=yaml.safe_dump(vm))
        wait_until(lambda name=name: _can_be_migrated(cluster, name), 180)  # type: ignore[misc]
        cluster.kubectl("uncordon", *NODES)


def _can_be_migrated(cluster: Lab, name: str) -> bool:
    vm = vms(cluster).get(name)
    return vm is not None and vm.phase == "Running" and vm.conditions.get("LiveMigratable") == "True"


def on_node(cluster: Lab, node: str, *command: str) -> str:
    """What a command prints in the namespaces of a node."""
    return lab("node", node, "--name", cluster.name, "--", *command)


@dataclass(frozen=True)
class Guest:
    """Where a guest is."""

    uid: str
    node: str
    address: str
    launcher: str
    """The image of its launcher."""
    pods: tuple[str, ...]
    """Its launcher pods that run."""


def guests(cluster: Lab) -> dict[str, Guest]:
    """The guests that run."""
    pods = {name: vm.pods for name, vm in vms(cluster).items()}
    found = {vmi["metadata"]["name"]: vmi for vmi in cluster.get("vmi")["items"]}
    return {
        name: Guest(
            vmi["metadata"]["uid"],
            vmi["status"].get("nodeName", ""),
            next((one["ipAddress"] for one in vmi["status"].get("interfaces", []) if one.get("ipAddress")), ""),
            vmi["status"].get("launcherContainerImageVersion", ""),
            pods.get(name, ()),
        )
        for name, vmi in found.items()
        if vmi.get("status", {}).get("phase") == "Running"
    }


def nodes_of(cluster: Lab) -> dict[str, str]:
    """On which node each guest runs."""
    return {name: guest.node for name, guest in guests(cluster).items()}


def handlers(cluster: Lab) -> dict[str, str]:
    """The UID of the virt-handler on each real node."""
    pods = cluster.get("pods", "-n", "kubevirt", "-l", "kubevirt.io=virt-handler")["items"]
    ready = [pod for pod in pods if any(one["ready"] for one in pod["status"].get("containerStatuses", []))]
    return {pod["spec"]["nodeName"]: pod["metadata"]["uid"] for pod in ready if pod["spec"]["nodeName"] in NODES}


def launchers(cluster: Lab, name: str) -> list[str]:
    """The launcher pods of a VM that have not ended, whatever VMI they are of."""
    pods = cluster.get("pods", "-l", "kubevirt.io=virt-launcher")["items"]
    own = [pod for pod in pods if pod["metadata"]["annotations"].get("kubevirt.io/domain") == name]
    return [pod["metadata"]["name"] for pod in own if pod["status"].get("phase") not in ("Succeeded", "Failed")]


def ask(cluster: Lab, address: str, path: str) -> None:
    """Ask a guest for something, over a connection of its own."""
    namespace = cluster.kubeconfig.parent / "netns"
    get = "import sys, urllib.request; urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=30)"
    url = f"http://{address}:{prober.HTTP_PORT}{path}"
    done = subprocess.run(
        ["nsenter", f"--net={namespace}", sys.executable, "-I", "-c", get, url],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def launcher_now(cluster: Lab) -> str:
    """The image that KubeVirt gives to the launchers that it starts now."""
    words = cluster.get("deployment", "virt-controller", "-n", "kubevirt")["spec"]["template"]["spec"]["containers"][0]
    command = [*words.get("command", []), *words.get("args", [])]
    return str(command[command.index("--launcher-image") + 1])


def roll_out_again(cluster: Lab, number: int) -> None:
    """Let KubeVirt go on to another image of its launcher, as when it is built anew: the same one under another tag."""
    image = f"{LAUNCHER}:{TO}-rebuilt.{number}"
    for node in NODES:
        images = ("ctr", "--address=/run/containerd/containerd.sock", "--namespace=k8s.io", "images")
        on_node(cluster, node, *images, "tag", "--force", f"{LAUNCHER}:{TO}", image)
    cluster.kubectl("set", "env", "deployment/virt-operator", "-n", "kubevirt", f"VIRT_LAUNCHER_IMAGE={image}")
    wait_until(lambda: launcher_now(cluster) == image, 900)
    wait_until(lambda: cluster.module("kubevirt_info", {}).data["state"] == "healthy", 1200)
    wait_until(lambda: all(vm.is_outdated for vm in vms(cluster).values()), 120)


class Whereabouts:
    """On which node each guest was at each moment."""

    def __init__(self, cluster: Lab) -> None:
        self._seen: list[tuple[float, str, str]] = []
        self._cluster = cluster
        self._closing = threading.Event()
        self._process = self._watch()
        self._following = threading.Thread(target=self._follow, daemon=True)
        self._following.start()

    def _watch(self) -> subprocess.Popen[str]:
        path = "-o=jsonpath={.metadata.name} {.status.nodeName}{'\\n'}"
        own = ("--name", self._cluster.name, "--", "get", "vmi", "--watch", path)
        return subprocess.Popen(
            [sys.executable, "tests/lab", "kubectl", *own], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )

    def _follow(self) -> None:
        """Watch for as long as it takes: the API server ends a watch when the CRD of its kind is changed, as by an upgrade."""
        while True:
            with self._process as watch:
                assert watch.stdout
                for line in watch.stdout:
                    name, _blank, node = line.strip().partition(" ")
                    self._seen.append((time.time(), name, node))
            if self._closing.wait(0.5):
                return
            self._process = self._watch()

    def at(self, moment: float) -> dict[str, str]:
        """Where each guest was then."""
        return {name: node for at, name, node in [*self._seen] if node and at <= moment}

    def close(self) -> None:
        """End the watch."""
        self._closing.set()
        while self._following.is_alive():
            self._process.kill()
            self._following.join(1)


class Clients:
    """The clients of all guests, and their record."""

    def __init__(self, cluster: Lab, addresses: Mapping[str, str], record: Path) -> None:
        self._record = record
        namespace = cluster.kubeconfig.parent / "netns"
        arguments = [f"{guest}={address}" for guest, address in addresses.items()]
        self._file = record.open("w", encoding="utf-8")
        self._process = subprocess.Popen(
            ["nsenter", f"--net={namespace}", sys.executable, "-I", prober.__file__, *arguments],
            stdin=subprocess.PIPE,
            stdout=self._file,
        )

    @property
    def said(self) -> list[Said]:
        """The record until now."""
        assert self._process.poll() is None, "the clients have ended"
        with self._record.open(encoding="utf-8") as lines:
            return parsed(lines)

    def close(self) -> None:
        """End the clients; the record stays."""
        self._process.communicate()
        self._file.close()


class Run:
    """What is done to the guests of one lab, step by step, with the clients' record of each.

    Attributes:
        rows: What the clients noticed in each phase.
    """

    def __init__(self, cluster: Lab, name: str) -> None:
        self.cluster = cluster
        self.rows: list[Row] = []
        self._name = name
        self._began = time.monotonic()
        RESULTS.mkdir(parents=True, exist_ok=True)
        self._text = (RESULTS / f"{name}.txt").open("w", encoding="utf-8")
        self.addresses = {name: guest.address for name, guest in guests(cluster).items()}
        assert sorted(self.addresses) == [*GUESTS] and all(self.addresses.values()), self.addresses
        self.whereabouts = Whereabouts(cluster)
        self.clients = Clients(cluster, self.addresses, RESULTS / f"{name}.jsonl")
        wait_until(lambda: {(one.guest, one.channel) for one in self.clients.said if not one.error} == self._all(), 60)
        self.tell(f"The clients of {' and '.join(GUESTS)} are connected.")

    def _all(self) -> set[tuple[str, str]]:
        return {(guest, channel) for guest in GUESTS for channel in prober.CHANNELS}

    def close(self) -> None:
        """End the clients."""
        self.clients.close()
        self.whereabouts.close()
        self._text.close()

    def tell(self, line: str) -> None:
        """A line of the recorded run."""
        seconds = round(time.monotonic() - self._began)
        line = f"{seconds // 60:3}:{seconds % 60:02}  {line}"
        print(line, flush=True)
        self._text.write(f"{line}\n")
        self._text.flush()

    @contextmanager
    def phase(self, name: str, *, reboots: bool = False) -> Iterator[None]:
        """What is done within is a phase, with some seconds of quiet before and after it."""
        time.sleep(SETTLE)
        begin = time.time()
        self.tell(f"BEGIN {name}")
        yield
        time.sleep(SETTLE)
        self.add(Phase(name, begin, time.time(), reboots))

    def add(self, phase: Phase) -> None:
        """Take in what the clients noticed in a phase that is over."""
        said, before, after = self.clients.said, self.whereabouts.at(phase.begin), self.whereabouts.at(phase.end)
        for guest in GUESTS:
            row = row_of(said, phase, guest, (before.get(guest, "-"), after.get(guest, "-")))
            self.rows.append(row)
            self.tell(f"      {guest}: {_in_words(row)}")
        (RESULTS / f"{self._name}.json").write_text(as_json(self.rows))

    def wait_for_answers(self) -> None:
        """Until every client has an answer again."""
        now = time.time()
        wait_until(
            lambda: (
                {(one.guest, one.channel) for one in self.clients.said if not one.error and one.at > now} == self._all()
            ),
            180,
        )

    def of(self, phase: str) -> list[Row]:
        """The rows of a phase, one for each guest."""
        found = [row for row in self.rows if row.phase == phase]
        assert [row.guest for row in found] == [*GUESTS], f"the phase {phase} was not recorded"
        return found

    def play(self, playbook: str, told: Callable[[str], None] = lambda _line: None, **variables: t.Any) -> None:
        """Run one of our playbooks as a user does; ``told`` is called at once with each of its lines, and must be quick."""
        command = self.cluster.playbook_command(playbook, **variables)
        self.tell(f"ansible-playbook kubevirt.lifecycle.{playbook} {_as_options(variables)}")
        lines = []
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=playbook_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout
            for line in process.stdout:
                lines.append(line)
                if line.startswith("["):
                    self.tell(f"  {line.rstrip()}")
                told(line)
        assert process.returncode == 0, "".join(lines)

    def play_in_phases(self, names: Mapping[str, str], playbook: str, **variables: t.Any) -> None:
        """Run a playbook, each of whose own phases is a phase here if it has a name in ``names``, by its first word."""
        time.sleep(SETTLE)
        begun: list[tuple[str, float]] = []

        def told(line: str) -> None:
            match = _IN_PHASE.match(line)
            if match and (not begun or begun[-1][0] != match[1]):
                begun.append((match[1], time.time()))

        self.play(playbook, told, **variables)
        time.sleep(SETTLE)
        begun.append(("", time.time()))
        for (word, begin), (_next, end) in pairwise(begun):
            if word in names:
                self.add(Phase(names[word], begin, end))


def _in_words(row: Row) -> str:
    boots = "same boot id" if row.boots == 1 else f"{row.boots} boot ids"
    return (
        f"{' → '.join(dict.fromkeys(row.nodes))}, {boots}, {row.broken} connections broken, longest gap {row.gap} ms, "
        f"{row.answers} answers in {row.seconds} s"
    )


def _as_options(variables: Mapping[str, t.Any]) -> str:
    words = [
        f"-e {key}={value}" if isinstance(value, str) else f"-e {key}={value!r}" for key, value in variables.items()
    ]
    return " ".join(words).replace(f"{Path.home()}/", "~/")


def is_at_rest(cluster: Lab) -> bool:
    """Each guest runs once."""
    found: Sequence[Json] = cluster.get("vmi")["items"]
    return len(found) == len(GUESTS) and all(len(launchers(cluster, name)) == 1 for name in GUESTS)
