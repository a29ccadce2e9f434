# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of the simulated guests that KWOK cannot play, as a process of its own.

A Stage changes the object that it matches and no other. Two things need more: the Stages of VMIs must come and go with
the VMI CRD (KWOK looks for the kind once, when the Stage appears), and when a migration is over the launcher pod that
the guest has left must end, as a real launcher does.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

CRD = "crd/virtualmachineinstances.kubevirt.io"
LAST_MIGRATION = (
    "{.metadata.namespace},{.status.migrationState.completed},{.status.migrationState.failed},"
    "{.status.migrationState.sourcePod},{.status.migrationState.targetPod}" + '{"\\n"}'
)
ENDED = '{"status": {"phase": "Succeeded"}}'


def left_pod(line: str) -> tuple[str, str] | None:
    """Namespace and name of the pod in which the guest no longer is, from a line as :data:`LAST_MIGRATION` makes it."""
    namespace, completed, failed, source, target = line.strip().split(",")
    pod = target if failed == "true" else source
    return (namespace, pod) if completed == "true" and pod else None


def left_pods(kubectl: list[str]) -> Iterator[tuple[str, str]]:
    """The pods in which no guest is after a migration, until the VMI CRD goes away."""
    watch = [*kubectl, "get", "virtualmachineinstances", "--all-namespaces", "--watch", f"-o=jsonpath={LAST_MIGRATION}"]
    with subprocess.Popen(watch, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if pod := left_pod(line):
                yield pod


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
        ended: set[tuple[str, str]] = set()
        for namespace, pod in left_pods(kubectl):
            if (namespace, pod) not in ended:
                end = [*kubectl, "patch", "pod", pod, "-n", namespace, "--subresource=status", "-p", ENDED]
                subprocess.run(end, check=False)
                ended.add((namespace, pod))
        subprocess.run([*kubectl, "delete", "--ignore-not-found", "-f", stages], check=False)


if __name__ == "__main__":
    main()
