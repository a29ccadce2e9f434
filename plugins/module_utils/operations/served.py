# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Every kind that a cluster serves, and the objects of any of them, whoever answers for it.

Some groups are served by others than the API server itself, and some kinds need a webhook to be read. Where these do not answer, the
rest is still read, and what was not is said.
"""

from __future__ import annotations

import typing as t
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from ..cluster.api import PAGE, Api, Json
from ..cluster.errors import ClusterError, NotFound

ATTEMPTS = 2


@dataclass(frozen=True)
class Resource:
    """One kind of objects, in the version that the server prefers.

    Attributes:
        name: As paths have it, for example ``deployments``.
    """

    group: str
    version: str
    name: str
    kind: str
    namespaced: bool
    verbs: frozenset[str]

    @property
    def full_name(self) -> str:
        """``deployments.apps``."""
        return f"{self.name}.{self.group}" if self.group else self.name

    def path(self, namespace: str = "", name: str = "") -> str:
        """Of the collection in all namespaces or in one, or of one object."""
        prefix = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        within = f"/namespaces/{namespace}" if namespace else ""
        return f"{prefix}{within}/{self.name}" + (f"/{name}" if name else "")

    def path_of(self, one: Mapping[str, t.Any]) -> str:
        """The path of an object of this kind."""
        return self.path(one["metadata"].get("namespace", ""), one["metadata"]["name"])


def served_resources(api: Api, groups: Collection[str] | None = None) -> tuple[list[Resource], list[str]]:
    """All kinds that the cluster serves, without subresources, and a line about every group that cannot be asked.

    Args:
        api: The cluster.
        groups: Only these; the empty one is that of pods and namespaces.
    """
    resources: list[Resource] = []
    unreadable: list[str] = []
    for group, version in _group_versions(api):
        if groups is not None and group not in groups:
            continue
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        try:
            served = attempted(api, lambda path=path: api.peek_object(path, {}))  # type: ignore[misc]
        except NotFound:  # it has just gone
            continue
        except ClusterError as error:
            unreadable.append(f"group {group}: {error}")
            continue
        resources += [_resource(group, version, one) for one in served.get("resources") or () if "/" not in one["name"]]
    return resources, unreadable


def metadata_of(api: Api, path: str) -> list[Json]:
    """The metadata of all objects of a collection; none where its kind has just gone."""
    try:
        return t.cast("list[Json]", attempted(api, lambda: [*_pages(api, path)]))
    except NotFound:
        return []


def attempted(api: Api, read: t.Callable[[], t.Any]) -> t.Any:
    """What ``read`` gives, at the second attempt where only a moment was bad.

    Raises:
        ClusterError: From ``read``, while the API server itself answers; or from that, if it does not.
    """
    for _attempt in range(ATTEMPTS - 1):
        try:
            return read()
        except NotFound:
            raise
        except ClusterError:
            api.get("/version")  # with all our patience: it may just be restarting
    return read()


def _group_versions(api: Api) -> Iterator[tuple[str, str]]:
    for version in api.get("/api")["versions"]:
        yield "", version
    for group in api.get("/apis")["groups"]:
        yield group["name"], group["preferredVersion"]["version"]


def _resource(group: str, version: str, one: Json) -> Resource:
    return Resource(group, version, one["name"], one["kind"], one["namespaced"], frozenset(one["verbs"] or ()))


def _pages(api: Api, path: str) -> Iterator[Json]:
    following: str | None = ""
    while following is not None:  # the server ends the list
        query: Json = {"limit": PAGE} | ({"continue": following} if following else {})
        page = api.peek_object(path, query, metadata_only=True)
        yield from page.get("items") or ()
        following = (page.get("metadata") or {}).get("continue") or None
