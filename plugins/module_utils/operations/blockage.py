# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. One read of all that the end of a deletion depends on.

Reads only. What may not be read is named, and proves nothing.
"""

from __future__ import annotations

import functools
import typing as t
from collections.abc import Callable, Mapping
from datetime import datetime

from ..cluster.api import Api, Json
from ..cluster.errors import Forbidden, NotFound
from ..knowledge.blockage_scene import PARTS, Held, Scene
from ..knowledge.finalizers import HANDLER
from ..knowledge.marks import GROUPS, TEMPORARY_WEBHOOK
from ..knowledge.stuck_objects import nodes_of
from ..knowledge.stuck_services import WEBHOOKS, services_of
from .observe import Facts
from .preflight_facts import API_SERVICES, webhook_configurations
from .risk_facts import CRDS, STRATEGY_LABEL

T = t.TypeVar("T")

MOST_NODES = 100
"""Of more nodes it is not asked how they are."""
_APPS = "/apis/apps/v1"
_PODS = "kubevirt.io,kubevirt.io!=virt-launcher"


def scene_of_removal(api: Api, facts: Facts, now: datetime) -> Scene:
    """What blocks the deletion, or may.

    Args:
        api: The cluster.
        facts: From ``observe``; a KubeVirt object, its CRD and its namespace need not be there.
        now: The time of day on the cluster's clock, which ages are measured with.

    Raises:
        ClusterError: The cluster does not answer.
    """
    reader = _Reader(api)
    home = facts.kubevirt_namespace or reader.home_of_the_parts()
    crds = reader.crds()
    held, remaining = reader.held(crds)
    webhooks, api_services = reader.webhooks(), reader.api_services()
    return Scene(
        now=now,
        kubevirts=facts.kubevirts,
        kubevirt_path=facts.kubevirt_path if facts.kubevirt else "",
        namespace=reader.one(f"namespace {home}", f"/api/v1/namespaces/{home}") if home else None,
        parts=reader.parts(home) if home else {},
        pods=tuple(reader.within(home, "pods", "/api/v1", _PODS)),
        jobs=tuple(one | {"kind": "Job"} for one in reader.within(home, "jobs", "/apis/batch/v1", STRATEGY_LABEL)),
        crds=tuple(crds),
        held=tuple(held),
        remaining=remaining,
        nodes=reader.nodes(nodes_of(held)[:MOST_NODES]),
        webhooks=tuple(webhooks),
        api_services=tuple(api_services),
        services=reader.services(services_of(webhooks, api_services)),
        terminating=tuple(reader.terminating_namespaces()),
        unread=tuple(reader.unread),
    )


class _Reader:
    """What is asked of the cluster, each question once."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.unread: list[str] = []

    def home_of_the_parts(self) -> str:
        """The namespace of a virt-operator, or else of another part, that has no KubeVirt object."""
        found = self._list("deployments", f"{_APPS}/deployments", "kubevirt.io")
        parts = {one["metadata"]["name"]: one["metadata"]["namespace"] for one in found}
        return next((str(parts[name]) for name in PARTS if name in parts), "")

    def one(self, what: str, path: str) -> Json | None:
        """An object; None where it is not there, or may not be read."""
        return self._read(what, lambda: self._api.get(path), None)

    def parts(self, home: str) -> dict[str, Json | None]:
        """KubeVirt's Deployments and its DaemonSet; one that may not be read is left out."""
        places = {name: f"{_APPS}/namespaces/{home}/deployments/{name}" for name in PARTS}
        places[HANDLER] = f"{_APPS}/namespaces/{home}/daemonsets/{HANDLER}"
        return self._known(places)

    def within(self, home: str, plural: str, prefix: str, label_selector: str) -> list[Json]:
        """Objects of KubeVirt's namespace."""
        if not home:
            return []
        return self._list(f"{plural} in {home}", f"{prefix}/namespaces/{home}/{plural}", label_selector)

    def crds(self) -> list[Json]:
        """KubeVirt's CRDs; only of these more than the name is read, since schemas are large."""
        names = [one["metadata"]["name"] for one in self._list("customresourcedefinitions", CRDS, metadata_only=True)]
        own = [name for name in names if name.partition(".")[2] in GROUPS]
        return [crd for name in own if (crd := self.one(f"customresourcedefinition {name}", f"{CRDS}/{name}"))]

    def held(self, crds: list[Json]) -> tuple[list[Held], dict[str, int]]:
        """The objects of these CRDs that are being deleted; and how many there are of each CRD that is."""
        held: list[Held] = []
        remaining: dict[str, int] = {}
        for crd in crds:
            spec, name = crd["spec"], crd["metadata"]["name"]
            prefix = f"/apis/{spec['group']}/{_version_of(crd)}"
            plural, kind = spec["names"]["plural"], spec["names"]["kind"]
            found = self._list(name, f"{prefix}/{plural}", metadata_only=True)
            for one in found:
                metadata = one["metadata"]
                if metadata.get("deletionTimestamp"):
                    within = f"/namespaces/{metadata['namespace']}" if metadata.get("namespace") else ""
                    held.append(Held(f"{prefix}{within}/{plural}/{metadata['name']}", {**one, "kind": kind}))
            if crd["metadata"].get("deletionTimestamp"):
                remaining[name] = len(found)
        return held, remaining

    def nodes(self, names: list[str]) -> dict[str, Json | None]:
        """Nodes by name, None where there is none; one that may not be read is left out."""
        return self._known({name: f"/api/v1/nodes/{name}" for name in names})

    def webhooks(self) -> list[Json]:
        """KubeVirt's webhook configurations, by their names."""
        found: list[Json] = []
        for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"):
            found += self._read(f"{kind.lower()}s", functools.partial(webhook_configurations, self._api, kind), [])
        return [
            one
            for one in found
            if one["metadata"]["name"] in WEBHOOKS or one["metadata"]["name"].startswith(TEMPORARY_WEBHOOK)
        ]

    def api_services(self) -> list[Json]:
        """All APIServices that lead to a service."""
        return [one for one in self._list("apiservices", API_SERVICES) if one["spec"].get("service")]

    def services(self, names: list[str]) -> dict[str, str]:
        """Which of these services answer, by ``namespace/name``; one that may not be read is left out."""
        states = {name: self._read(f"service {name}", functools.partial(self._state_of, name), "") for name in names}
        return {name: state for name, state in states.items() if state}

    def terminating_namespaces(self) -> list[Json]:
        """The namespaces that are being deleted."""
        return [
            one for one in self._list("namespaces", "/api/v1/namespaces") if one["metadata"].get("deletionTimestamp")
        ]

    def _state_of(self, service: str) -> str:
        """ready, silent or missing; NotFound where the server, before Kubernetes 1.21, has no EndpointSlices."""
        namespace, name = service.split("/")
        if self._api.get_or_none(f"/api/v1/namespaces/{namespace}/services/{name}") is None:
            return "missing"
        path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        slices = self._api.objects(path, label_selector=f"kubernetes.io/service-name={name}")
        endpoints = [one for slice in slices for one in slice.get("endpoints") or ()]
        return "ready" if any(map(_answers, endpoints)) else "silent"

    def _known(self, places: Mapping[str, str]) -> dict[str, Json | None]:
        """The objects by name, None where there is none; one that may not be read is left out."""
        found: dict[str, Json | None] = {}
        for name, path in places.items():
            try:
                found[name] = self._api.get_or_none(path)
            except Forbidden:
                self.unread.append(name)
        return found

    def _list(self, what: str, path: str, label_selector: str = "", *, metadata_only: bool = False) -> list[Json]:
        return self._read(
            what,
            lambda: [*self._api.objects(path, label_selector=label_selector, metadata_only=metadata_only)],
            [],
        )

    def _read(self, what: str, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except NotFound:
            return otherwise
        except Forbidden:
            self.unread.append(what)
            return otherwise


def _version_of(crd: Json) -> str:
    """A version in which the objects can be read."""
    served = [one["name"] for one in crd["spec"]["versions"] if one.get("served")]
    stored = [one["name"] for one in crd["spec"]["versions"] if one.get("storage") and one.get("served")]
    return str(next(iter([*stored, *served]), crd["spec"]["versions"][0]["name"]))


def _answers(endpoint: Json) -> bool:
    return (endpoint.get("conditions") or {}).get("ready") is not False
