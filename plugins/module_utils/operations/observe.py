# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. One read of everything that a decision about KubeVirt needs."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..cluster.api import PAGE, Api, Json
from ..cluster.clock import Clock
from ..cluster.errors import Forbidden, Unreachable
from ..knowledge.conditions import explanation, operator_version, reconciled_generation, state_of
from ..knowledge.findings import Finding, finding
from ..knowledge.image_tag import image_tag, keeps_own_manifests
from ..knowledge.launchers import OUTDATED_LABEL
from ..knowledge.manifest import declared_registry, declared_version
from ..knowledge.objects import object_name
from ..knowledge.versions import Version, try_parse

CATCH_UP = 60
"""Seconds that the operator gets to take in the last edit of the KubeVirt object before it counts as unhealthy."""
# Served since 0.37; older releases have v1alpha3 only.
API_VERSIONS = ("v1", "v1alpha3")
CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/kubevirts.kubevirt.io"
CRD_PATH_BEFORE_1_16 = "/apis/apiextensions.k8s.io/v1beta1/customresourcedefinitions/kubevirts.kubevirt.io"


@dataclass(frozen=True)
class Cluster:
    """Which cluster this is."""

    endpoint: str
    uid: str

    def as_dict(self) -> dict[str, str]:
        """As modules return it."""
        return {"endpoint": self.endpoint, "uid": self.uid}


@dataclass(frozen=True)
class Workloads:
    """How many virtual machines there are.

    Attributes:
        outdated: VMIs whose virt-launcher is of an older version, as virt-controller marked them (from 0.39.0 on).
    """

    vms: int = 0
    vmis: int = 0
    outdated: int = 0


@dataclass(frozen=True)
class Facts:
    """KubeVirt in one cluster as it is now. Objects are as the API returns them.

    Attributes:
        api: The path prefix of the kubevirt.io API, for example ``/apis/kubevirt.io/v1``.
        kubevirts: Every KubeVirt object that was looked for.
        kubevirt: The one that matters; None when there is none, or more than one.
        operator: Deployment virt-operator in its namespace.
        kubernetes: The version of the API server, as it says it.
        groups: The API groups that are served, each with its versions, the preferred one first.
        home: The namespace that KubeVirt's parts are in, or were, where no KubeVirt object says it.
    """

    cluster: Cluster
    api: str = ""
    kubevirts: tuple[Json, ...] = ()
    kubevirt: Json | None = None
    operator: Json | None = None
    namespace: Json | None = None
    crd: Json | None = None
    hyperconvergeds: tuple[Json, ...] = ()
    workloads: Workloads = Workloads()
    kubernetes: str = ""
    groups: t.Mapping[str, list[str]] = field(default_factory=dict)
    home: str = ""

    @property
    def state(self) -> str:
        """absent, installing, healthy, updating, degraded, failed or deleting."""
        return "failed" if len(self.kubevirts) > 1 else state_of(self.kubevirt).value

    @property
    def explanation(self) -> str:
        """One sentence on why the state is what it is."""
        if len(self.kubevirts) > 1:
            return "There is more than one KubeVirt object, and virt-operator works on one only."
        return explanation(self.kubevirt)

    @property
    def kubevirt_name(self) -> str:
        """``KubeVirt namespace/name``."""
        return object_name(self.kubevirt) if self.kubevirt else "KubeVirt"

    @property
    def kubevirt_namespace(self) -> str:
        """The namespace that KubeVirt's parts are in."""
        return self.kubevirt["metadata"]["namespace"] if self.kubevirt else self.home

    @property
    def kubevirt_metadata_name(self) -> str:
        """The KubeVirt object's name without its kind and namespace."""
        return self.kubevirt["metadata"]["name"] if self.kubevirt else ""

    @property
    def kubevirt_path(self) -> str:
        """The KubeVirt object's path."""
        return f"{self.api}/namespaces/{self.kubevirt_namespace}/kubevirts/{self.kubevirt_metadata_name}"

    @property
    def operator_name(self) -> str:
        """``Deployment namespace/virt-operator``, whether it is there or not."""
        return f"Deployment {self.kubevirt_namespace}/virt-operator"

    @property
    def operator_declared(self) -> str | None:
        """The version that Deployment virt-operator asks for, or else the one that the operator reports."""
        declared = declared_version(self.operator) if self.operator else None
        return declared or (operator_version(self.kubevirt) if self.kubevirt else None)

    @property
    def operator_version(self) -> Version | None:
        """``operator_declared``, where that is a version."""
        return try_parse(self.operator_declared)

    @property
    def image_tag(self) -> str | None:
        """The tag that the KubeVirt object's spec pins, if any."""
        return image_tag(self.kubevirt) if self.kubevirt else None

    @property
    def is_hybrid(self) -> bool:
        """Whether images of one version run with the manifests of another: imageTag was moved, and the operator ignored it."""
        operator, pinned = self.operator_version, try_parse(self.image_tag)
        return operator is not None and keeps_own_manifests(operator) and pinned not in (None, operator)

    @property
    def registry(self) -> str | None:
        """Where the operator's images come from."""
        return declared_registry(self.operator) if self.operator else None

    def marked_objects(self) -> list[Json]:
        """The objects on which owners leave their marks."""
        return [one for one in (self.kubevirt, self.operator, self.crd, self.namespace, *self.hyperconvergeds) if one]


def cluster_of(api: Api) -> Cluster:
    """Which cluster answers at this endpoint. The UID of namespace kube-system stands for the cluster."""
    namespace = api.get_or_none("/api/v1/namespaces/kube-system")
    if namespace is None or "metadata" not in namespace:
        raise Unreachable(
            f"{api.endpoint} is no Kubernetes API server. Check the address (host, or server in the kubeconfig)."
        )
    return Cluster(endpoint=api.endpoint, uid=namespace["metadata"]["uid"])


def wrong_cluster(cluster: Cluster, expected_uid: str | None) -> list[Finding]:
    """A blocker when this is not the expected cluster."""
    if not expected_uid or expected_uid == cluster.uid:
        return []
    return [
        finding(
            "cluster.wrong-uid",
            object=f"Cluster {cluster.endpoint}",
            cause=f"Its UID is {cluster.uid}, not {expected_uid} as expected_cluster_uid says.",
            fix="Check the kubeconfig and context of this host, or correct expected_cluster_uid in the inventory.",
        )
    ]


def observe(api: Api, cluster: Cluster, *, name: str | None = None, namespace: str | None = None) -> Facts:
    """KubeVirt in this cluster.

    Args:
        api: The cluster.
        cluster: From ``cluster_of``.
        name: Only the KubeVirt object of this name.
        namespace: Only the KubeVirt object in this namespace.
    """
    groups = {group["name"]: [v["version"] for v in group["versions"]] for group in api.get("/apis")["groups"]}
    served = next((version for version in API_VERSIONS if version in groups.get("kubevirt.io", [])), None)
    kubernetes = api.get("/version")["gitVersion"]
    if served is None:
        return Facts(cluster, kubernetes=kubernetes, groups=groups)
    prefix = f"/apis/kubevirt.io/{served}"
    kubevirts = tuple(one for one in _kubevirts(api, prefix, namespace) if name in (None, one["metadata"]["name"]))
    kubevirt = kubevirts[0] if len(kubevirts) == 1 else None
    home = kubevirt["metadata"]["namespace"] if kubevirt else ""
    return Facts(
        cluster=cluster,
        api=prefix,
        kubevirts=kubevirts,
        kubevirt=kubevirt,
        operator=api.get_or_none(f"/apis/apps/v1/namespaces/{home}/deployments/virt-operator") if home else None,
        namespace=api.get_or_none(f"/api/v1/namespaces/{home}") if home else None,
        crd=crd_of_kubevirts(api) if home else None,
        hyperconvergeds=hyperconvergeds(api, groups.get("hco.kubevirt.io", [])),
        workloads=_workloads(api, prefix),
        kubernetes=kubernetes,
        groups=groups,
    )


def observe_caught_up(
    api: Api,
    cluster: Cluster,
    clock: Clock,
    *,
    after_edit: bool = False,
    name: str | None = None,
    namespace: str | None = None,
) -> Facts:
    """The facts once the operator has taken in the last edit of the KubeVirt object; any edit makes it unready for seconds.

    Args:
        api: The cluster.
        cluster: From ``cluster_of``.
        clock: Time.
        after_edit: We have just edited it, so the operator may not even have begun.
        name: As for ``observe``.
        namespace: As for ``observe``.
    """
    facts = observe(api, cluster, name=name, namespace=namespace)
    for _attempt in range(CATCH_UP // 2):
        if facts.kubevirt is None or reconciled_generation(facts.kubevirt) is not False:
            break
        if not after_edit and facts.state != "degraded":
            break
        clock.pause(2)
        facts = observe(api, cluster, name=name, namespace=namespace)
    return facts


def _kubevirts(api: Api, prefix: str, namespace: str | None) -> list[Json]:
    within = f"/namespaces/{namespace}" if namespace else ""
    return [one | {"kind": "KubeVirt"} for one in api.list_or_empty(f"{prefix}{within}/kubevirts")]


def crd_of_kubevirts(api: Api) -> Json | None:
    """The CRD of KubeVirt objects, if it is there."""
    return api.get_or_none(CRD_PATH) or api.get_or_none(CRD_PATH_BEFORE_1_16)


def hyperconvergeds(api: Api, versions: list[str]) -> tuple[Json, ...]:
    """The objects of the HyperConverged Cluster Operator; none where its API group is not served in any version."""
    if not versions:
        return ()
    version = "v1" if "v1" in versions else versions[0]
    try:
        found = api.list_or_empty(f"/apis/hco.kubevirt.io/{version}/hyperconvergeds")
    except Forbidden:  # a user of KubeVirt alone; HCO's labels on the KubeVirt object tell as well
        return ()
    return tuple(one | {"kind": "HyperConverged", "apiVersion": f"hco.kubevirt.io/{version}"} for one in found)


def _workloads(api: Api, prefix: str) -> Workloads:
    instances = f"{prefix}/virtualmachineinstances"
    first, remaining = api.first_metadata(instances, PAGE)
    outdated = sum(OUTDATED_LABEL in one["metadata"].get("labels", {}) for one in first)
    return Workloads(
        vms=api.count(f"{prefix}/virtualmachines"),
        vmis=len(first) + remaining,
        outdated=api.count(instances, label_selector=OUTDATED_LABEL) if remaining else outdated,
    )
