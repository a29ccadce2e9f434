# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. How far virt-operator is with the deletion of KubeVirt.

It deletes the CRDs first, and Kubernetes deletes their objects; then, when all of these are gone, everything else that it made
(pkg/virt-operator/resource/apply/delete.go); last its finalizer, and with that the KubeVirt object.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping

from ..cluster.api import Api, Json
from ..cluster.clock import Clock
from ..cluster.errors import ClusterError
from ..cluster.watch import Picture, Source
from ..knowledge.marks import MADE_BY_VIRT_OPERATOR
from ..knowledge.rollout import Stage
from .observe import Facts
from .outcome import listed
from .risk_facts import CRDS
from .waiting import Verdict

COUNT_EVERY = 10.0
"""Seconds between two questions for the number of objects that a CRD still has."""
_APPS = "/apis/apps/v1"


def sources(facts: Facts) -> list[Source]:
    """What tells how far it is."""
    apps = f"{_APPS}/namespaces/{facts.kubevirt_namespace}"
    return [
        Source("kubevirts", f"{facts.api}/namespaces/{facts.kubevirt_namespace}/kubevirts", may_go=True),
        Source("crds", CRDS, MADE_BY_VIRT_OPERATOR, keep=_without_schema),
        Source("deployments", f"{apps}/deployments", MADE_BY_VIRT_OPERATOR),
        Source("daemonsets", f"{apps}/daemonsets", MADE_BY_VIRT_OPERATOR),
    ]


class DeletionJudge:
    """Says what is still there, and since when nothing has moved.

    Args:
        api: Counts what CRDs still have.
        facts: Of the KubeVirt object that is deleted.
        clock: Time.

    Attributes:
        missing: What the last look found.
        moved_at: When something moved last.
    """

    def __init__(self, api: Api, facts: Facts, clock: Clock) -> None:
        self.missing: list[str] = []
        self.moved_at = clock.now()
        self._api = api
        self._uid = (facts.kubevirt or {"metadata": {"uid": ""}})["metadata"]["uid"]
        self._name = facts.kubevirt_name
        self._clock = clock
        self._movement: Hashable = None
        self._counted_at = float("-inf")
        self._counts: Mapping[str, int] = {}

    def __call__(self, picture: Picture) -> Verdict:
        """What one look at the cluster says; done when the KubeVirt object is gone, or is another one."""
        kubevirt = next((one for one in picture.objects("kubevirts") if one["metadata"]["uid"] == self._uid), None)
        crds, now = picture.objects("crds"), self._clock.now()
        if kubevirt is not None and now - self._counted_at >= COUNT_EVERY:
            self._counts, self._counted_at = dict(self._counted(crds)), now
        parts = [
            f"{kind} {one['metadata']['name']}"
            for kind, source in (("Deployment", "deployments"), ("DaemonSet", "daemonsets"))
            for one in picture.objects(source)
        ]
        objects = [f"{count} {name}" for name, count in sorted(self._counts.items()) if count]
        kinds = [f"CRD {one['metadata']['name']}" for one in crds]
        movement = (tuple(self._counts.items()), tuple(kinds), tuple(parts), kubevirt is None)
        if movement != self._movement:
            self._movement, self.moved_at = movement, now
        self.missing = [] if kubevirt is None else [*objects, *kinds, *parts, f"{self._name} itself"]
        return Verdict(self.missing, movement=movement, stage=_stage(objects, kinds, parts))

    def _counted(self, crds: list[Json]) -> Iterator[tuple[str, int]]:
        """How many objects those CRDs have that are being deleted; what cannot be counted is not told."""
        for crd in crds:
            if crd["metadata"].get("deletionTimestamp"):
                try:
                    yield crd["metadata"]["name"], self._api.count(crd["path"])
                except ClusterError:
                    continue


def _stage(objects: list[str], kinds: list[str], parts: list[str]) -> Stage:
    if kinds:
        rest = f", with {listed(objects, most=3)}" if objects else ""
        return Stage("CRDs", (1, ""), f"{len(kinds)} of KubeVirt's CRDs are left{rest}", f"CRDs {len(kinds)}")
    if parts:
        return Stage("parts", (2, ""), f"{len(parts)} parts are left: {listed(parts)}", f"parts {len(parts)}")
    return Stage("rest", (3, ""), "the rest of what virt-operator made", "rest")


def _without_schema(crd: Json) -> Json:
    spec = crd["spec"]
    version = next((one["name"] for one in spec.get("versions") or () if one.get("served")), spec.get("version", ""))
    return {
        "metadata": {key: crd["metadata"].get(key) for key in ("name", "uid", "resourceVersion", "deletionTimestamp")},
        "path": f"/apis/{spec['group']}/{version}/{spec['names']['plural']}",
    }
