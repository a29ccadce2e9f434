# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The picture of a deletion that may not end, and what can be done about it.

What could not be read proves nothing: no part of KubeVirt counts as gone because of it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .conditions import observed_version, operator_version
from .failing_pods import crash_loop, crashes, image_pull_failure, no_node, not_created
from .finalizers import CONTROLLER, OPERATOR, SYNCHRONIZATION
from .objects import object_name
from .standstill import moment
from .symptoms import shortened, troubles
from .versions import try_parse

Object = Mapping[str, t.Any]
Level = t.Literal["safe", "finalizers"]
Health = t.Literal["ready", "starting", "unable", "gone", "unknown"]
Action = t.Literal["delete-webhook", "delete-api-service", "delete-job", "restore-operator", "strip-finalizers"]

API = "virt-api"
PARTS = (OPERATOR, API, CONTROLLER, SYNCHRONIZATION)
"""The Deployments whose health is asked for; virt-handler is a DaemonSet."""
KUBEVIRTS = "kubevirts.kubevirt.io"

UNABLE_AFTER = timedelta(minutes=10)
"""A Deployment without a ready pod for so long is not merely starting; also how long a working part gets for a finalizer."""
FOREIGN_AFTER = timedelta(minutes=1)
"""How long another tool gets for its finalizer."""
_SHOWN = 5


@dataclass(frozen=True)
class Held:
    """An object of KubeVirt's kinds that is being deleted and does not go."""

    path: str
    object: Object

    @property
    def finalizers(self) -> list[str]:
        """What holds it."""
        return list(self.object["metadata"].get("finalizers") or ())

    @property
    def name(self) -> str:
        """``Kind namespace/name``."""
        return object_name(self.object)


@dataclass(frozen=True)
class Scene:
    """All that a deletion's end depends on. Objects are as the API returns them, with their kinds.

    Attributes:
        now: The time that ages are measured with.
        kubevirts: Every KubeVirt object.
        kubevirt_path: The path of the only one; empty where there is none, or more.
        namespace: The namespace of KubeVirt's parts; None where there is none.
        parts: Deployments virt-operator, virt-api … and DaemonSet virt-handler by name, None where it is not there; one that could
            not be read is left out.
        pods: KubeVirt's pods in its namespace, the install-strategy Job's too.
        jobs: The install-strategy Jobs.
        crds: KubeVirt's CRDs.
        held: Objects of these CRDs that are being deleted.
        remaining: How many objects a CRD that is being deleted still has, by its name.
        nodes: Those that objects in ``held`` are on, by name: the node, or None where it does not exist.
        webhooks: All ValidatingWebhookConfigurations and MutatingWebhookConfigurations of KubeVirt's names.
        api_services: All APIServices with a service.
        services: Which of the services that these name answer, as ``namespace/name``: ready, silent (no ready endpoint) or missing.
        terminating: The namespaces that are being deleted.
        unread: What could not be read, and why.
    """

    now: datetime
    kubevirts: tuple[Object, ...] = ()
    kubevirt_path: str = ""
    namespace: Object | None = None
    parts: Mapping[str, Object | None] = field(default_factory=dict)
    pods: tuple[Object, ...] = ()
    jobs: tuple[Object, ...] = ()
    crds: tuple[Object, ...] = ()
    held: tuple[Held, ...] = ()
    remaining: Mapping[str, int] = field(default_factory=dict)
    nodes: Mapping[str, Object | None] = field(default_factory=dict)
    webhooks: tuple[Object, ...] = ()
    api_services: tuple[Object, ...] = ()
    services: Mapping[str, str] = field(default_factory=dict)
    terminating: tuple[Object, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def kubevirt(self) -> Object | None:
        """The only KubeVirt object."""
        return self.kubevirts[0] if len(self.kubevirts) == 1 else None

    @property
    def home(self) -> str:
        """The name of KubeVirt's namespace; empty where there is none."""
        return str(self.namespace["metadata"]["name"]) if self.namespace else ""

    @property
    def home_ends(self) -> bool:
        """Whether KubeVirt's namespace is being deleted, so that nothing can be made in it."""
        return bool(self.namespace and deleted_since(self.namespace))

    @property
    def is_deleting(self) -> bool:
        """Whether the KubeVirt object is being deleted."""
        return bool(self.kubevirt and deleted_since(self.kubevirt))

    @property
    def version(self) -> str:
        """The version of the operator that belongs to the KubeVirt object; empty where nobody says it."""
        said = (operator_version(self.kubevirt) or observed_version(self.kubevirt)) if self.kubevirt else None
        return said if said and try_parse(said) else ""

    def health(self, part: str) -> Health:
        """How one of KubeVirt's parts is."""
        if part not in self.parts:
            return "unknown"
        found = self.parts[part]
        if found is None or (found.get("spec") or {}).get("replicas") == 0:
            return "gone"
        status = found.get("status") or {}
        if status.get("readyReplicas") or status.get("numberReady"):
            return "ready"
        return "unable" if self.now - _not_ready_since(found, self.now) > UNABLE_AFTER else "starting"

    @property
    def operator_can_return(self) -> bool:
        """Whether the operator's manifest is all that is missing for KubeVirt to finish by itself."""
        return self.health(OPERATOR) == "gone" and self.kubevirt is not None and not self.home_ends

    def is_made_anew(self, part: str) -> bool:
        """Whether virt-operator makes this part anew. While it deletes KubeVirt, it makes none."""
        if part == OPERATOR:
            return self.operator_can_return
        works = self.health(OPERATOR) in ("ready", "starting", "unknown") or self.operator_can_return
        return works and self.kubevirt is not None and not self.is_deleting

    def is_lost(self, part: str) -> bool:
        """Whether it is proven that this part does no more work, and that nobody brings it back."""
        if len(self.kubevirts) > 1:
            return False
        health = self.health(part)
        return health == "unable" or (health == "gone" and not self.is_made_anew(part))

    @property
    def operator_is_clearing(self) -> bool:
        """Whether virt-operator is just taking its own parts away: after all objects, and without any help."""
        rest = [one for one in self.crds if one["metadata"]["name"] != KUBEVIRTS]
        return self.is_deleting and self.health(OPERATOR) == "ready" and not rest

    def age(self, o: Object) -> timedelta:
        """For how long it has been in deletion."""
        return self.now - moment(deleted_since(o), self.now)


@dataclass(frozen=True)
class Cure:
    """One thing that lets the deletion go on.

    Attributes:
        object: The object's name for people.
        path: Its API path; that of the KubeVirt object where the operator is brought back, since the manifest names the others.
        level: What the option repair must be, at least.
        reason: Why.
        uid: What the object at the path must still have.
        finalizers: Those to take away.
        version: Of the operator to bring back.
    """

    action: Action
    object: str
    path: str
    level: Level
    reason: str
    uid: str = ""
    finalizers: tuple[str, ...] = ()
    version: str = ""


def deleted_since(o: Object) -> str:
    return str(o["metadata"].get("deletionTimestamp") or "")


def condition_of(o: Object, kind: str, status: str = "True") -> str:
    """Reason and message of a condition; empty where it has another status."""
    for one in (o.get("status") or {}).get("conditions") or ():
        if one.get("type") == kind and one.get("status") == status:
            return shortened(f"{one.get('reason', '')}: {one.get('message', '')}")
    return ""


def trouble_of(pods: Sequence[Object]) -> str:
    """Why pods do not come up, in the words of Kubernetes."""
    found = [*troubles(pods)]
    causes = (image_pull_failure(found), not_created(found), crash_loop(crashes(found)), no_node(pods))
    return shortened("; ".join(f"{one.object}: {one.evidence}" for one in causes if one))


def some_of(what: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{what}: {', '.join(names[:_SHOWN])}{more}"


def minutes(duration: timedelta) -> int:
    return int(duration.total_seconds() // 60)


def _not_ready_since(part: Object, now: datetime) -> datetime:
    """Since when it has had no ready pod, as far as it says; of one that says nothing yet, its age counts."""
    for one in (part.get("status") or {}).get("conditions") or ():
        if one.get("type") == "Available":
            return now if one.get("status") == "True" else moment(str(one.get("lastTransitionTime") or ""), now)
    return moment(str(part["metadata"].get("creationTimestamp") or ""), now)
