# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The phases of a run, told from its requests alone: the proxy asks here. Standard library only.

``PHASES`` is the one table. A new operation adds its phases to it.
"""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qs, urlsplit

HELD = "held-workload-update-methods"
LEASE = re.compile(r"^/apis/coordination\.k8s\.io/v1/namespaces/[^/]+/leases(/kubevirt-lifecycle)?$")
KUBEVIRT = re.compile(r"^/apis/kubevirt\.io/v1/namespaces/[^/]+/kubevirts/[^/]+$")
MIGRATIONS = re.compile(r"/virtualmachineinstancemigrations$")
VMIS = re.compile(r"/virtualmachineinstances$")
VMS = re.compile(r"/virtualmachines$")
CLAIMS, CONFIG_MAPS = "/api/v1/persistentvolumeclaims", "/api/v1/configmaps"
PODS_OF_ALL, PODS_OF_KUBEVIRT = "/api/v1/pods", "/api/v1/namespaces/kubevirt/pods"
# The last part of the path of each kind in the operator's manifest. Its namespace is there already and stays as it is.
KINDS = {
    "CRD": "customresourcedefinitions",
    "PriorityClass": "priorityclasses",
    "ClusterRole": "clusterroles",
    "ServiceAccount": "serviceaccounts",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ClusterRoleBinding": "clusterrolebindings",
    "Deployment": "deployments",
}


@dataclass(frozen=True)
class Request:
    """One request of the client."""

    method: str
    url: str
    body: str = ""
    accept: str = ""

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @cached_property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.url).query)

    @property
    def question(self) -> tuple[str, str]:
        """What is asked for, and in which form."""
        return self.url, self.accept

    @property
    def is_watch(self) -> bool:
        return "watch" in self.query

    @property
    def is_rehearsal(self) -> bool:
        return "dryRun" in self.query

    @property
    def is_write(self) -> bool:
        """Whether it stores something."""
        return self.method != "GET" and not self.is_rehearsal

    @property
    def collection(self) -> str:
        """The plural of the kind of the one object that the path names."""
        return self.path.split("/")[-2]

    @property
    def is_of_metadata(self) -> bool:
        """Whether it asks for no more than the metadata."""
        return "PartialObjectMetadata" in self.accept

    @property
    def operations(self) -> list[tuple[str, str]]:
        """Of a JSON patch: each operation and its path."""
        body = json.loads(self.body) if self.body.startswith("[") else []
        return [(one["op"], one["path"]) for one in body]


@dataclass
class Story:
    """What the server has done for this run so far."""

    last_write: str = ""
    done: set[str] = field(default_factory=set)

    def took(self, phase: str, request: Request) -> None:
        """The server did what this request of that phase asked for."""
        if not request.is_write or not phase:
            return
        self.done.add(phase)
        if "lock" not in phase:
            self.last_write = phase


@dataclass(frozen=True)
class Phase:
    """A phase of a run.

    Attributes:
        name: What the run does then.
        sort: ``read``, ``rehearsal``, ``write`` or ``watch``; which faults make sense depends on it.
        has: Whether a request belongs to it, given what was done before.
    """

    name: str
    sort: t.Literal["read", "rehearsal", "write", "watch"]
    has: Callable[[Request, Story], bool]


def _before_any_write(request: Request, story: Story) -> bool:
    return request.method == "GET" and not story.last_write


def _edits(request: Request, operation: str) -> bool:
    return bool(KUBEVIRT.match(request.path)) and any(
        op == operation and path.endswith(HELD) for op, path in request.operations
    )


def _moves_the_tag(request: Request) -> bool:
    return bool(KUBEVIRT.match(request.path)) and any(path == "/spec/imageTag" for _op, path in request.operations)


def _sets_the_strategy(request: Request) -> bool:
    """As a whole. An upgrade that puts the methods back looks at its annotation first, not at the object's version."""
    strategy, version = ("add", "/spec/workloadUpdateStrategy"), ("test", "/metadata/resourceVersion")
    return bool(KUBEVIRT.match(request.path)) and {strategy, version} <= {*request.operations}


def _asks_for_a_migration(request: Request) -> bool:
    return request.method == "POST" and bool(MIGRATIONS.search(request.path))


def _takes_over(plural: str) -> Callable[[Request, Story], bool]:
    return lambda request, _story: (
        any(path == "/metadata/managedFields" for _op, path in request.operations) and request.collection == plural
    )


def _applies(plural: str) -> Callable[[Request, Story], bool]:
    return lambda request, _story: (
        request.method == "PATCH" and not request.body.startswith("[") and request.collection == plural
    )


def _deletes(request: Request, plural: str) -> bool:
    return request.method == "DELETE" and request.collection == plural


def _releases(request: Request) -> bool:
    """By deleting the Lease, or by leaving it without a holder."""
    if not LEASE.match(request.path):
        return False
    return request.method == "DELETE" or bool(re.search(r'"holderIdentity": ?(""|null)', request.body))


PHASES = (
    Phase("rehearse", "rehearsal", lambda request, _: request.method != "GET" and request.is_rehearsal),
    Phase("release the lock", "write", lambda request, _: request.is_write and _releases(request)),
    Phase(
        "take the lock",
        "write",
        lambda request, story: bool(
            request.is_write and LEASE.match(request.path) and "take the lock" not in story.done
        ),
    ),
    Phase("renew the lock", "write", lambda request, _: bool(request.is_write and LEASE.match(request.path))),
    Phase(
        "find the cluster",
        "read",
        lambda request, story: _before_any_write(request, story) and request.path == "/api/v1/namespaces/kube-system",
    ),
    # Of a removal. What is the same request in another operation comes first.
    Phase(
        "count what is at stake",
        "read",
        lambda request, story: (
            _before_any_write(request, story) and request.path == CLAIMS and not request.is_of_metadata
        ),
    ),
    Phase(
        "look for what blocks",
        "read",
        lambda request, story: _before_any_write(request, story) and request.path.endswith("/daemonsets/virt-handler"),
    ),
    Phase(
        "look for all of it",
        "read",
        lambda request, story: (
            _before_any_write(request, story) and request.path == CONFIG_MAPS and request.is_of_metadata
        ),
    ),
    Phase(
        "back up",
        "read",
        lambda request, story: bool(
            _before_any_write(request, story)
            and VMS.search(request.path)
            and not request.is_of_metadata
            and not request.is_watch
        ),
    ),
    Phase("wait for the VM", "watch", lambda request, _: bool(request.is_watch and VMS.search(request.path))),
    Phase(
        "stop the VM",
        "write",
        lambda request, _: request.method == "PATCH" and request.collection == "virtualmachines",
    ),
    Phase("delete the VM", "write", lambda request, _: _deletes(request, "virtualmachines")),
    Phase(
        "check the disk",
        "read",
        lambda request, _: request.method == "GET" and request.collection == "persistentvolumeclaims",
    ),
    Phase("delete the KubeVirt object", "write", lambda request, _: _deletes(request, "kubevirts")),
    Phase(
        "wait for the deletion",
        "watch",
        lambda request, story: request.is_watch and story.last_write == "delete the KubeVirt object",
    ),
    Phase(
        "search for what is left",
        "read",
        lambda request, story: bool(
            request.method == "GET" and story.last_write and request.path == CONFIG_MAPS and request.is_of_metadata
        ),
    ),
    Phase("delete what is left", "write", lambda request, _: _deletes(request, "leases")),
    Phase("delete the last CRD", "write", lambda request, _: _deletes(request, "customresourcedefinitions")),
    Phase(
        "delete the operator's objects",
        "write",
        lambda request, _: request.method == "DELETE" and request.collection in KINDS.values(),
    ),
    Phase("clean the node", "write", lambda request, _: request.method == "PATCH" and request.collection == "nodes"),
    Phase(
        "observe",
        "read",
        lambda request, story: _before_any_write(request, story) and request.path == "/apis/kubevirt.io/v1/kubevirts",
    ),
    Phase(
        "read what the manifest names",
        "read",
        lambda request, story: (
            _before_any_write(request, story)
            and request.collection in (*KINDS.values(),)
            and not LEASE.match(request.path)
        ),
    ),
    Phase(
        "look at the VMs",
        "read",
        lambda request, story: bool(
            _before_any_write(request, story)
            and VMIS.search(request.path)
            and not request.is_watch
            and not request.is_of_metadata  # they are only counted
        ),
    ),
    Phase(
        "watch the VMs",
        "watch",
        lambda request, _: bool(request.is_watch and (VMIS.search(request.path) or request.path == PODS_OF_ALL)),
    ),
    Phase("set the strategy", "write", lambda request, _: _sets_the_strategy(request)),
    Phase("hold the methods", "write", lambda request, _: _edits(request, "add")),
    Phase(
        "drain migrations",
        "watch",
        lambda request, story: bool(
            story.last_write == "hold the methods" and MIGRATIONS.search(request.path) and request.is_watch
        ),
    ),
    Phase(
        "ask for the canary",
        "write",
        lambda request, story: bool(_asks_for_a_migration(request) and "ask for the canary" not in story.done),
    ),
    Phase(
        "check the canary",
        "read",
        lambda request, story: (
            story.last_write == "ask for the canary" and request.method == "GET" and request.path == PODS_OF_KUBEVIRT
        ),
    ),
    Phase("ask for more VMs", "write", lambda request, _: _asks_for_a_migration(request)),
    *(Phase(f"take over the {kind}", "write", _takes_over(plural)) for kind, plural in KINDS.items()),
    Phase("move the image tag", "write", lambda request, _: _moves_the_tag(request)),
    Phase("restore the methods", "write", lambda request, _: _edits(request, "remove")),
    *(Phase(f"apply the {kind}", "write", _applies(plural)) for kind, plural in KINDS.items()),
    Phase(
        "list for the wait",
        "read",
        lambda request, story: (
            story.last_write == "apply the Deployment"
            and request.method == "GET"
            and not request.is_watch
            and request.path.endswith(("/kubevirts", "/deployments", "/daemonsets", "/pods"))
        ),
    ),
    Phase("wait", "watch", lambda request, story: request.is_watch and story.last_write == "apply the Deployment"),
    Phase(
        "wait after the image tag",
        "watch",
        lambda request, story: request.is_watch and story.last_write == "move the image tag",
    ),
    Phase(
        "wait after the methods",
        "watch",
        lambda request, story: request.is_watch and story.last_write == "restore the methods",
    ),
    Phase(
        "look at the end",
        "read",
        lambda request, story: (
            story.last_write in ("restore the methods", "set the strategy")
            and request.path == "/apis/kubevirt.io/v1/kubevirts"
            and not request.is_watch
        ),
    ),
)
BY_NAME = {phase.name: phase for phase in PHASES}


def phase_of(request: Request, story: Story) -> str:
    """The name of the phase that a request belongs to; empty where none is named."""
    return next((phase.name for phase in PHASES if phase.has(request, story)), "")
