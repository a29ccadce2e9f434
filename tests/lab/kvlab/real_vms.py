# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""VMs with real guests, and what the guests answer: which boot they are, and for how long."""

from __future__ import annotations

import functools
import json
import sys
import typing as t

import yaml

from kvlab import kubectl, manifests, vms
from kvlab.lab import Lab
from kvlab.netns import inside
from kvlab.processes import CommandFailed, run
from kvlab.waiting import NotYet, wait_for

VM = manifests.DATA / "guest-vm.yaml"
PORT = 8080
GET = """
import sys, urllib.request
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
print(direct.open(sys.argv[1], timeout=5).read().decode())
"""


class Answer(t.NamedTuple):
    """What a guest says of itself. A guest that was started anew has another boot ID, and counts from one again."""

    boot_id: str
    uptime: float
    counter: int


def create(lab: Lab, count: int, namespace: str) -> list[str]:
    """Create *count* more VMs with real guests and wait until the guests answer; their names: guest-1, guest-2 and so on."""
    names = vms.next_names(vms.present(lab, namespace), count, "guest")
    machines = yaml.safe_dump_all(machine(name, namespace) for name in names)
    kubectl.kubectl(lab, "create", "-f", "-", stdin=machines)
    for name in names:
        wait_for(f"{name} to answer", functools.partial(ask, lab, name, namespace), 120 + 30 * count, poll=1)
    return names


def machine(name: str, namespace: str) -> dict[str, t.Any]:
    """A VM with a real guest."""
    made: dict[str, t.Any] = yaml.safe_load(VM.read_text(encoding="utf-8"))
    made["metadata"] |= {"name": name, "namespace": namespace}
    return made


def ask(lab: Lab, name: str, namespace: str) -> Answer:
    """Ask a guest, where its VMI says it is; :class:`NotYet` if nobody answers there."""
    status = kubectl.get(lab, "vmi", name, "-n", namespace).get("status", {})
    addresses = [one["ipAddress"] for one in status.get("interfaces", []) if one.get("ipAddress")]
    if not addresses:
        raise NotYet("it has no address")
    url = f"http://{addresses[0]}:{PORT}/"
    try:
        answer = json.loads(run(inside(lab, [sys.executable, "-I", "-c", GET, url])))
    except CommandFailed as failure:
        raise NotYet(failure.said.splitlines()[-1]) from failure
    return Answer(answer["boot_id"], answer["uptime"], answer["counter"])
