# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Record which guests run, or compare them with a record: python -m tests.support.guests save|compare KUBECONFIG FILE

A guest is untouched if its VMI, its launcher pods and their restart counts are what they were.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from kubernetes import client, config

Guests = dict[str, dict[str, str]]
COLUMNS = ("VMI", "launcher pods", "restarts")


def running_guests(kubeconfig: str) -> Guests:
    """What identifies each running guest, by namespace/name."""
    api = config.new_client_from_config(kubeconfig)
    vmis = client.CustomObjectsApi(api).list_cluster_custom_object("kubevirt.io", "v1", "virtualmachineinstances")
    pods = client.CoreV1Api(api).list_pod_for_all_namespaces(label_selector="kubevirt.io=virt-launcher").items
    guests: Guests = {}
    for vmi in vmis["items"]:
        uid = vmi["metadata"]["uid"]
        own = [pod for pod in pods if pod.metadata.labels.get("kubevirt.io/created-by") == uid]
        restarts = sum(status.restart_count for pod in own for status in pod.status.container_statuses or [])
        launchers = " ".join(sorted(pod.metadata.uid for pod in own))
        name = f"{vmi['metadata']['namespace']}/{vmi['metadata']['name']}"
        guests[name] = dict(zip(COLUMNS, (uid, launchers, str(restarts)), strict=True))
    return guests


def compare(before: Guests, after: Guests) -> int:
    """Print one line for each guest; return the number of guests that changed, came or went."""
    changed = 0
    print(f"{'guest':30} {'VMI':10} {'launcher pods':20} {'restarts':10}")
    for name in sorted(before | after):
        old, new = before.get(name, {}), after.get(name, {})
        words = ["unchanged" if old.get(column) == new.get(column) else "CHANGED" for column in COLUMNS]
        print(f"{name:30} {words[0]:10} {words[1]:20} {words[2]:10}")
        changed += "CHANGED" in words
    print(f"guests: {len(before | after) - changed} passed, {changed} failed")
    return changed


def main(command: str, kubeconfig: str, file: str) -> int:
    guests = running_guests(kubeconfig)
    if not guests:
        sys.exit("There is no guest in the cluster, so nothing can be compared: create VMs first.")
    if command == "save":
        Path(file).write_text(json.dumps(guests))
        return 0
    return 1 if compare(json.loads(Path(file).read_text()), guests) else 0


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("save", "compare"):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
