# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands in for the operations in tests of the playbooks: a cluster is a file, which a test writes and reads.

No API server is asked; how actions are run, and what the playbooks, the roles and the filters make of the results, is real. The same
file stands in for every action, which is told by its name.
"""

from __future__ import annotations

import itertools
import json
import os
import typing as t
from pathlib import Path

from ansible_collections.kubevirt.lifecycle.plugins.plugin_utils.operation_action import OperationAction

Json = dict[str, t.Any]


class ActionModule(OperationAction):
    """Answers from ``$FLEET/<host>.json``, and notes each call in ``$FLEET/calls``."""

    def _obstacle(self) -> str:
        return ""

    def _holds_secrets(self, given: Json) -> bool:
        return isinstance(given.get("kubeconfig"), dict)

    def _run_in_process(self, given: Json, host: str, width: int, ending: object = None) -> Json:
        return {**self._answer(given, host), "invocation": {"module_args": given}}

    def _answer(self, given: Json, host: str) -> Json:
        folder = Path(os.environ["FLEET"])
        file = folder / f"{host}.json"
        cluster = json.loads(file.read_text())
        name = str(self._task.action).rpartition(".")[2]
        checked = " in check mode" if self._task.check_mode else ""
        with (folder / "calls").open("a") as calls:
            calls.write(f"{host} {name}{checked}\n")
        if cluster.get("breaks") and name != "kubevirt_info" and not checked:
            raise RuntimeError(cluster["breaks"])
        wanted = given.get("expected_cluster_uid")
        if cluster.get("down"):
            return {"failed": True, "msg": f"{host} does not answer.", **cluster["down"]}
        if wanted and wanted != cluster["uid"]:
            return {
                **_seen(cluster),
                "failed": True,
                "msg": "Refused before any change.\n[cluster.wrong-uid] Another one.",
            }
        result: Json = getattr(self, f"_{name}")(cluster, given)
        file.write_text(json.dumps(cluster))
        return result

    def _kubevirt_info(self, cluster: Json, _given: Json) -> Json:
        return _seen(cluster)

    def _kubevirt_upgrade(self, cluster: Json, given: Json) -> Json:
        before, version = cluster["version"], str(given["version"])
        ways = [before, *cluster.get("stops", []), *([version] if before != version else [])]
        hops = [{"from": a, "to": b, "findings": [], "projected": False} for a, b in itertools.pairwise(ways)]
        result = {
            **_seen(cluster),
            "to_version": version,
            "path": hops,
            "actions": [{"action": "apply"}] if hops else [],
            "changed": bool(hops),
            "next": "",
        }
        if cluster.get("blocker"):
            found = {
                "id": cluster["blocker"],
                "level": "blocker",
                "object": "KubeVirt",
                "cause": "It is so.",
                "fix": "Mend it.",
            }
            return {
                **result,
                "failed": True,
                "findings": [found],
                "failure": found,
                "msg": f"Refused: {cluster['blocker']}",
            }
        if self._task.check_mode:
            return result
        if cluster.get("fails"):
            return {**result, "failed": True, "msg": cluster["fails"]}
        cluster["version"], cluster["outdated"] = hops[0]["to"], cluster["vmis"]
        cluster["stops"] = cluster.get("stops", [])[1:]
        cluster["state"] = cluster.get("state_after", "healthy")
        return result

    def _kubevirt_remove(self, cluster: Json, _given: Json) -> Json:
        result = {**_seen(cluster), "changed": True, "backup": "", "kept": [], "left": []}
        if cluster.get("fails"):
            return {**result, "failed": True, "msg": cluster["fails"]}
        cluster["state"] = "absent"
        return {**result, "state": "absent"}

    def _kubevirt_workload_update(self, cluster: Json, _given: Json) -> Json:
        moved, cluster["outdated"] = cluster["outdated"], 0
        vms = {"running": cluster["vmis"], "outdated": 0, "marked": 0}
        return {
            **_seen(cluster),
            "changed": bool(moved),
            "moved": moved,
            "vms": vms,
            "failures": [],
            "cold_restart": [],
        }


def _seen(cluster: Json) -> Json:
    version = cluster["version"]
    return {
        "changed": False,
        "cluster": {"endpoint": f"https://{cluster['uid']}.example.com", "uid": cluster["uid"]},
        "state": cluster["state"],
        "explanation": f"It is {cluster['state']}.",
        "from_version": version,
        "to_version": version,
        "findings": [],
        "elapsed": 1.5,
        "page": [],
        "owners": [],
        "workloads": {"vms": cluster["vmis"], "vmis": cluster["vmis"], "outdated": cluster["outdated"]},
        "kubevirt": {
            "observed_version": version,
            "target_version": version,
            "operator_declared_version": version,
            "observed_registry": "quay.io/kubevirt",
            "image_tag": None,
            "held_workload_update_methods": None,
        },
    }
