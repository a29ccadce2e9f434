# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of the simulated guests that KWOK cannot play, as a process of its own.

A Stage changes the object that it matches and no other. Two things need more: the Stages of VMIs must come and go with
the VMI CRD (KWOK looks for the kind once, when the Stage appears), and a launcher pod in which no guest is any more must
end, as a real launcher does: after a migration the one that the guest has left, and all of a guest that has ended.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

CRD = "crd/virtualmachineinstances.kubevirt.io"
GUEST = (
    "{.metadata.namespace},{.metadata.uid},{.status.phase},{.status.nodeName},"
    "{.status.migrationState.completed},{.status.migrationState.failed},"
    "{.status.migrationState.sourcePod},{.status.migrationState.targetPod}" + '{"\\n"}'
)
REAL_NODES = ("real-1", "real-2")
"""Where guests are real: their launchers end by themselves."""
ENDED = '{"status": {"phase": "Succeeded"}}'


def left_pod(line: str) -> tuple[str, str] | None:
    """Namespace and name of the pod that a guest has left by its last migration, from a line as :data:`GUEST` makes it."""
    namespace, _uid, _phase, node, completed, failed, source, target = line.strip().split(",")
    pod = target if failed == "true" else source
    return (namespace, pod) if completed == "true" and pod and node not in REAL_NODES else None


def ended_guest(line: str) -> tuple[str, str] | None:
    """Namespace and UID of a VMI whose guest has ended, from a line as :data:`GUEST` makes it."""
    namespace, uid, phase, node, *_migration = line.strip().split(",")
    return (namespace, uid) if phase in ("Succeeded", "Failed") and node not in REAL_NODES else None


def guests(kubectl: list[str]) -> Iterator[str]:
    """A line for each change of a VMI, until the VMI CRD goes away."""
    watch = [*kubectl, "get", "virtualmachineinstances", "--all-namespaces", "--watch", f"-o=jsonpath={GUEST}"]
    with subprocess.Popen(watch, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield from process.stdout


def launchers(kubectl: list[str], namespace: str, uid: str) -> list[str]:
    """The names of a VMI's launcher pods."""
    own = [
        "get",
        "pods",
        "-n",
        namespace,
        "-l",
        f"kubevirt.io/created-by={uid}",
        "-o=jsonpath={.items[*].metadata.name}",
    ]
    return subprocess.run([*kubectl, *own], stdout=subprocess.PIPE, text=True, check=False).stdout.split()


def end_empty_launchers(kubectl: list[str]) -> None:
    """Let the launchers end in which no guest is any more, until the VMI CRD goes away."""
    seen: set[tuple[str, str]] = set()
    for line in guests(kubectl):
        empty: list[str] = []
        if (pod := left_pod(line)) and pod not in seen:
            seen.add(pod)
            empty.append(pod[1])
        if (guest := ended_guest(line)) and guest not in seen:
            seen.add(guest)
            empty += launchers(kubectl, *guest)
        for name in empty:
            end = ["patch", "pod", name, "-n", line.split(",")[0], "--subresource=status", "-p", ENDED]
            subprocess.run([*kubectl, *end], check=False)


def main() -> None:
    """``guests.py STAGES KUBECTL…``"""
    stages, *kubectl = sys.argv[1:]
    while True:
        for condition in ("create", "condition=Established"):
            # Again and again, because kubectl wait fails on an object that has no conditions yet; KWOK would then not
            # follow the VMIs, as their kind is not served.
            while subprocess.run(
                [*kubectl, "wait", CRD, f"--for={condition}", "--timeout=24h"], check=False
            ).returncode:
                time.sleep(0.2)
        subprocess.run([*kubectl, "apply", "--server-side", "--force-conflicts", "-f", stages], check=False)
        end_empty_launchers(kubectl)
        subprocess.run([*kubectl, "delete", "--ignore-not-found", "-f", stages], check=False)


if __name__ == "__main__":
    main()
