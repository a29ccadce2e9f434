# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kubernetes' garbage collector, as far as a removal needs it: a VM that is deleted with Orphan is taken out of all that it owns."""

from __future__ import annotations

from tests.faults.server import MERGE, Server
from tests.support.lab import Json

ORPHAN = "orphan"
VMS = "/apis/kubevirt.io/v1/virtualmachines"
CLAIMS = "/api/v1/persistentvolumeclaims"


class GarbageCollector:
    """What it does next."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def step(self) -> bool:
        """All that the cluster's state asks for; False when nothing does."""
        orphaning = [vm for vm in self._server.items(VMS) if ORPHAN in vm["metadata"].get("finalizers", ())]
        for vm in orphaning:
            self._free(vm["metadata"]["uid"])
            metadata = vm["metadata"]
            left = [one for one in metadata["finalizers"] if one != ORPHAN]
            path = f"/apis/kubevirt.io/v1/namespaces/{metadata['namespace']}/virtualmachines/{metadata['name']}"
            change = {"finalizers": left, "resourceVersion": metadata["resourceVersion"]}
            self._server.send("PATCH", path, {"metadata": change}, MERGE)
        return bool(orphaning)

    def _free(self, owner: str) -> None:
        for claim in self._server.items(CLAIMS):
            metadata = claim["metadata"]
            owners: list[Json] = metadata.get("ownerReferences") or []
            left = [one for one in owners if one["uid"] != owner]
            if left != owners:
                path = f"/api/v1/namespaces/{metadata['namespace']}/persistentvolumeclaims/{metadata['name']}"
                self._server.send("PATCH", path, {"metadata": {"ownerReferences": left}}, MERGE)
