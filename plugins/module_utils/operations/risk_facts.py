# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. One read of what risks ask about a cluster, and of the objects that gates name."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterator

from ..cluster.api import Api, Json
from ..cluster.errors import ApiError, Forbidden, NotFound
from ..knowledge.cluster_facts import (
    ClusterFacts,
    PreferenceFacts,
    crd_facts,
    kubernetes_facts,
    kubevirt_facts,
    launcher_facts,
    node_facts,
    preference_facts,
)
from ..knowledge.findings import Finding
from ..knowledge.gates import Gate, Selection
from ..knowledge.launchers import OUTDATED_LABEL
from ..knowledge.marks import MADE_BY_VIRT_OPERATOR
from ..knowledge.migrations import unfinished_migrations
from ..knowledge.ownership import owners
from .hop import migrations_source
from .observe import Facts
from .upgrade_wish import running_version

T = t.TypeVar("T")

STRATEGY_LABEL = "kubevirt.io/install-strategy"
FLAVORS = (
    *("virtualmachineflavors", "virtualmachineclusterflavors"),
    *("virtualmachinepreferences", "virtualmachineclusterpreferences"),
)
PREFERENCES = {
    "virtualmachinepreferences": "VirtualMachinePreference",
    "virtualmachineclusterpreferences": "VirtualMachineClusterPreference",
}
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def cluster_facts_of(api: Api, facts: Facts) -> ClusterFacts:
    """The facts that risks are about. What the user may not read is None there.

    Args:
        api: The cluster.
        facts: From ``observe``, with a KubeVirt object.
    """
    kubevirt = facts.kubevirt or {}
    running = str(running_version(facts) or "")
    workloads = facts.workloads
    return {
        "kubernetes": kubernetes_facts(facts.kubernetes),
        "kubevirt": kubevirt_facts(kubevirt, running),
        "operator": {"version": facts.operator_declared or "", "registry": facts.registry or ""},
        "owners": [owner.id for owner in owners(facts.marked_objects())],
        "nodes": if_allowed(lambda: [node_facts(node, kubevirt) for node in api.objects("/api/v1/nodes")]),
        "crds": if_allowed(lambda: [crd_facts(crd) for crd in api.objects(CRDS, label_selector=MADE_BY_VIRT_OPERATOR)]),
        "launchers": if_allowed(
            lambda: launcher_facts(running, workloads.vmis, _outdated(api, facts) if workloads.outdated else ())
        ),
        "preferences": if_allowed(lambda: [*_preferences(api, facts)]),
        "counts": {
            "vms": workloads.vms,
            "vmis": workloads.vmis,
            "outdated_vmis": workloads.outdated,
            "migrations": if_allowed(
                lambda: len(unfinished_migrations(api.list_or_empty(migrations_source(facts).path)))
            ),
            "flavors": if_allowed(lambda: _flavors(api, facts)),
            "install_strategies": if_allowed(
                lambda: api.count(
                    f"/api/v1/namespaces/{facts.kubevirt_namespace}/configmaps", label_selector=STRATEGY_LABEL
                )
            ),
        },
    }


def finding_of_a_gate(api: Api, gate: Gate) -> Finding | None:
    """The finding, if the objects in the cluster raise it or cannot be read."""
    try:
        return gate.finding([*api.objects(_path_of(api, gate.objects), label_selector=gate.objects.label_selector)])
    except NotFound:
        return gate.unread(f"The cluster has no {gate.objects.kind} of {gate.objects.api_version}.")
    except ApiError as error:
        return gate.unread(str(error))


def if_allowed(read: Callable[[], T]) -> T | None:
    """What is read; None where the user may not."""
    try:
        return read()
    except Forbidden:
        return None


def _outdated(api: Api, facts: Facts) -> Iterator[Json]:
    return api.objects(f"{facts.api}/virtualmachineinstances", label_selector=OUTDATED_LABEL)


def _preferences(api: Api, facts: Facts) -> Iterator[PreferenceFacts]:
    for version in facts.groups.get("instancetype.kubevirt.io", ())[:1]:
        for plural, kind in PREFERENCES.items():
            for preference in api.list_or_empty(f"/apis/instancetype.kubevirt.io/{version}/{plural}"):
                yield preference_facts({**preference, "kind": kind})


def _flavors(api: Api, facts: Facts) -> int:
    return sum(
        api.count(f"/apis/flavor.kubevirt.io/{version}/{plural}")
        for version in facts.groups.get("flavor.kubevirt.io", ())[:1]
        for plural in FLAVORS
    )


def _path_of(api: Api, objects: Selection) -> str:
    """The collection's path, by what the API server says about the kind."""
    prefix = f"/api/{objects.api_version}" if objects.api_version == "v1" else f"/apis/{objects.api_version}"
    resources = api.get(prefix)["resources"]
    resource = next((one for one in resources if one["kind"] == objects.kind and "/" not in one["name"]), None)
    if resource is None:
        raise NotFound("GET", prefix, 404, "NotFound", f"{objects.kind} not found")
    within = f"/namespaces/{objects.namespace}" if objects.namespace and resource["namespaced"] else ""
    return f"{prefix}{within}/{resource['name']}"
