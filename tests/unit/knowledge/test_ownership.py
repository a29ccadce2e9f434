# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which other tool manages KubeVirt, and where to make the change instead."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import findings
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.ownership import owners

Object = dict[str, t.Any]

NAMED = {"KubeVirt": "kubevirt", "Deployment": "virt-operator", "HyperConverged": "kubevirt-hyperconverged"}
CLUSTER_SCOPED = {"Namespace": "kubevirt", "CustomResourceDefinition": "kubevirts.kubevirt.io"}


def made(kind: str, *, api_version: str = "", managers: t.Sequence[str | Object] = (), **metadata: t.Any) -> Object:
    """An object of the kind, managed by whom the metadata says."""
    identity = (
        {"name": CLUSTER_SCOPED[kind]} if kind in CLUSTER_SCOPED else {"namespace": "kubevirt", "name": NAMED[kind]}
    )
    entries = [
        {"manager": manager, "operation": "Update"} if isinstance(manager, str) else manager for manager in managers
    ]
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {**identity, **({"managedFields": entries} if entries else {}), **metadata},
    }


def owned_by(kind: str, name: str) -> list[Object]:
    return [{"apiVersion": "example/v1", "kind": kind, "name": name, "uid": "1"}]


ARGO_ID = "argocd.argoproj.io/tracking-id"
HCO_V1 = "spec.virtualization.workloadUpdateStrategy and spec.deployment.uninstallStrategy"
HCO_V1BETA1 = "spec.workloadUpdateStrategy and spec.uninstallStrategy"
CSV = "kubevirtoperator.v1.8.4"
UPGRADE_HCO = "Upgrade the HyperConverged Cluster Operator by its Subscription or its deploy manifests; set "


@pytest.mark.parametrize(
    ("object", "id", "mark", "change_there"),
    [
        (
            made("KubeVirt", ownerReferences=owned_by("HyperConverged", "hc")),
            "owner.hco",
            "ownerReference HyperConverged hc",
            f"{HCO_V1} (hco.kubevirt.io/v1), or {HCO_V1BETA1} (hco.kubevirt.io/v1beta1) in HyperConverged hc.",
        ),
        (
            made("KubeVirt", labels={"app.kubernetes.io/managed-by": "hco-operator"}),
            "owner.hco",
            "label app.kubernetes.io/managed-by=hco-operator",
            "HyperConverged kubevirt-hyperconverged.",
        ),
        (
            made("KubeVirt", labels={"app": "kubevirt-hyperconverged"}),
            "owner.hco",
            "label app=kubevirt-hyperconverged",
            "HyperConverged kubevirt-hyperconverged.",
        ),
        (
            made("HyperConverged", api_version="hco.kubevirt.io/v1"),
            "owner.hco",
            "the object exists",
            f"{UPGRADE_HCO}{HCO_V1} in HyperConverged kubevirt/kubevirt-hyperconverged.",
        ),
        (
            made("HyperConverged", api_version="hco.kubevirt.io/v1beta1"),
            "owner.hco",
            "the object exists",
            f"{UPGRADE_HCO}{HCO_V1BETA1} in HyperConverged kubevirt/kubevirt-hyperconverged.",
        ),
        (
            made(
                "Deployment",
                ownerReferences=owned_by("ClusterServiceVersion", CSV),
                labels={"olm.owner": CSV, "olm.owner.namespace": "operators"},
            ),
            "owner.olm",
            f"ownerReference ClusterServiceVersion {CSV}",
            f"Upgrade by the Subscription that installed ClusterServiceVersion {CSV} in namespace operators.",
        ),
        (
            made("Deployment", labels={"olm.owner": CSV, "olm.owner.kind": "ClusterServiceVersion"}),
            "owner.olm",
            "label olm.owner.kind=ClusterServiceVersion",
            f"Upgrade by the Subscription that installed ClusterServiceVersion {CSV} in namespace kubevirt.",
        ),
        (
            made("CustomResourceDefinition", labels={"olm.managed": "true"}),
            "owner.olm",
            "label olm.managed=true",
            "Upgrade by the Subscription that installed virt-operator's ClusterServiceVersion.",
        ),
        (
            made("Deployment", ownerReferences=owned_by("ClusterServiceVersion", CSV)),
            "owner.olm",
            f"ownerReference ClusterServiceVersion {CSV}",
            f"Upgrade by the Subscription that installed ClusterServiceVersion {CSV} in namespace kubevirt.",
        ),
        (
            made("Deployment", managers=["olm"]),
            "owner.olm",
            "field manager olm",
            "Upgrade by the Subscription that installed virt-operator's ClusterServiceVersion in namespace kubevirt.",
        ),
        (
            made("KubeVirt", annotations={ARGO_ID: "virt:kubevirt.io/KubeVirt:kubevirt/kubevirt"}),
            "owner.argo-cd",
            f"annotation {ARGO_ID}=virt:kubevirt.io/KubeVirt:kubevirt/kubevirt",
            "Change the source of Argo CD's Application virt.",
        ),
        (
            made("Deployment", annotations={ARGO_ID: "team-a_virt:apps/Deployment:kubevirt/virt-operator"}),
            "owner.argo-cd",
            f"annotation {ARGO_ID}=team-a_virt:apps/Deployment:kubevirt/virt-operator",
            "Change the source of Argo CD's Application team-a/virt.",
        ),
        (
            made("KubeVirt", managers=["argocd-controller"], labels={"app.kubernetes.io/instance": "virt"}),
            "owner.argo-cd",
            "field manager argocd-controller",
            "Change the source of Argo CD's Application virt.",
        ),
        (
            made("CustomResourceDefinition", managers=["argocd-application-controller"]),
            "owner.argo-cd",
            "field manager argocd-application-controller",
            "Change the source of Argo CD's Application that deploys KubeVirt.",
        ),
        (
            made(
                "Namespace",
                labels={
                    "kustomize.toolkit.fluxcd.io/name": "virt",
                    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
                },
            ),
            "owner.flux",
            "label kustomize.toolkit.fluxcd.io/name=virt",
            "Change the source of Flux's Kustomization flux-system/virt.",
        ),
        (
            made(
                "Deployment",
                labels={"helm.toolkit.fluxcd.io/name": "virt", "helm.toolkit.fluxcd.io/namespace": "flux-system"},
            ),
            "owner.flux",
            "label helm.toolkit.fluxcd.io/name=virt",
            "Change the source of Flux's HelmRelease flux-system/virt.",
        ),
        (
            made("KubeVirt", managers=["kustomize-controller"]),
            "owner.flux",
            "field manager kustomize-controller",
            "Change the source of Flux's Kustomization or HelmRelease that deploys KubeVirt.",
        ),
        (
            made("KubeVirt", managers=["helm-controller"]),
            "owner.flux",
            "field manager helm-controller",
            "Change the source of Flux's Kustomization or HelmRelease that deploys KubeVirt.",
        ),
        (
            made("Deployment", labels={"objectset.rio.cattle.io/hash": "5c2f"}),
            "owner.fleet",
            "label objectset.rio.cattle.io/hash=5c2f",
            "Change the Bundle, GitRepo or ManagedChart that deploys KubeVirt, or upgrade Harvester.",
        ),
        (
            made(
                "KubeVirt",
                annotations={
                    "objectset.rio.cattle.io/id": "mcc",
                    "objectset.rio.cattle.io/owner-gvk": "management.cattle.io/v3, Kind=ManagedChart",
                    "objectset.rio.cattle.io/owner-name": "harvester",
                    "objectset.rio.cattle.io/owner-namespace": "fleet-local",
                },
            ),
            "owner.fleet",
            "annotation objectset.rio.cattle.io/id=mcc",
            "Change ManagedChart fleet-local/harvester, or upgrade Harvester.",
        ),
        (
            made(
                "CustomResourceDefinition",
                annotations={
                    "objectset.rio.cattle.io/owner-gvk": "fleet.cattle.io/v1alpha1, Kind=Bundle",
                    "objectset.rio.cattle.io/owner-name": "virt",
                },
            ),
            "owner.fleet",
            "annotation objectset.rio.cattle.io/owner-name=virt",
            "Change Bundle virt, or upgrade Harvester.",
        ),
        (
            made("KubeVirt", annotations={"objectset.rio.cattle.io/owner-name": "virt"}),
            "owner.fleet",
            "annotation objectset.rio.cattle.io/owner-name=virt",
            "Change the Bundle, GitRepo or ManagedChart that deploys KubeVirt, or upgrade Harvester.",
        ),
        (
            made("KubeVirt", managers=["fleetagent"]),
            "owner.fleet",
            "field manager fleetagent",
            "Change the Bundle, GitRepo or ManagedChart that deploys KubeVirt, or upgrade Harvester.",
        ),
        (
            made(
                "KubeVirt",
                labels={"app.kubernetes.io/managed-by": "Helm"},
                annotations={"meta.helm.sh/release-name": "virt", "meta.helm.sh/release-namespace": "ops"},
            ),
            "owner.helm",
            "annotation meta.helm.sh/release-name=virt",
            "Upgrade the Helm release virt in namespace ops.",
        ),
        (
            made("CustomResourceDefinition", annotations={"meta.helm.sh/release-name": "virt"}),
            "owner.helm",
            "annotation meta.helm.sh/release-name=virt",
            "Upgrade the Helm release virt.",
        ),
        (
            made("KubeVirt", managers=["helm"]),
            "owner.helm",
            "field manager helm",
            "Upgrade the Helm release that deploys KubeVirt.",
        ),
        (
            made("KubeVirt", labels={"kapp.k14s.io/app": "1668601827"}),
            "owner.kapp",
            "label kapp.k14s.io/app=1668601827",
            "Change the configuration of the kapp application with the label kapp.k14s.io/app=1668601827.",
        ),
        (
            made("KubeVirt", managers=["kapp-server-side-apply"]),
            "owner.kapp",
            "field manager kapp-server-side-apply",
            "Change the configuration of the kapp application that deploys KubeVirt.",
        ),
        (
            made("KubeVirt", ownerReferences=owned_by("AppliedManifestWork", "ab12-virt")),
            "owner.ocm",
            "ownerReference AppliedManifestWork ab12-virt",
            "Change the ManifestWork on the hub of AppliedManifestWork ab12-virt.",
        ),
        (
            made("KubeVirt", managers=["work-agent-team-a"]),
            "owner.ocm",
            "field manager work-agent-team-a",
            "Change the ManifestWork on the hub that deploys KubeVirt.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_owner(object: Object, id: str, mark: str, change_there: str) -> None:
    (owner,) = owners([object])
    namespace = object["metadata"].get("namespace")
    name = f"{namespace}/{object['metadata']['name']}" if namespace else object["metadata"]["name"]
    assert (owner.id, owner.object, owner.mark) == (id, f"{object['kind']} {name}", mark)
    assert owner.change_there.endswith(change_there)


@pytest.mark.parametrize(
    "object",
    [
        made("KubeVirt"),
        made("KubeVirt", labels={"app.kubernetes.io/instance": "virt"}),
        made("KubeVirt", labels={"app.kubernetes.io/managed-by": "Helm"}),
        made("KubeVirt", labels={"app.kubernetes.io/managed-by": "virt-operator", "app": "virt"}),
        made(
            "KubeVirt",
            finalizers=["foregroundDeleteKubeVirt"],
            annotations={
                "kubevirt.io/latest-observed-api-version": "v1",
                "kubevirt.io/storage-observed-api-version": "v1",
            },
            managers=["virt-operator", "kubectl-client-side-apply", "kubectl-edit", "OpenAPI-Generator", "helm-diff"],
        ),
        made("KubeVirt", ownerReferences=owned_by("Something", "else")),
        made("KubeVirt", managers=[{"manager": "argocd-controller", "operation": "Update", "subresource": "status"}]),
        made("Namespace", managers=["argocd-controller", "helm", "olm", "rancher"]),
        made("Namespace", labels={"olm.operatorgroup.uid/1d2c": ""}),
        made("Deployment", labels={"olm.managed": "false"}),
        made("Deployment", labels=None, annotations=None, ownerReferences=None, managedFields=None),
    ],
)
def test_no_owner(object: Object) -> None:
    assert owners([object]) == []


def test_each_owner_once_by_its_strongest_mark() -> None:
    found = owners(
        [
            made(
                "Namespace",
                labels={"kustomize.toolkit.fluxcd.io/name": "a", "kustomize.toolkit.fluxcd.io/namespace": "f"},
            ),
            made("KubeVirt", managers=["argocd-controller"]),
            made("Deployment", annotations={ARGO_ID: "virt:apps/Deployment:kubevirt/virt-operator"}),
            made("CustomResourceDefinition", annotations={ARGO_ID: "crds:apiextensions.k8s.io/…"}),
        ]
    )
    assert [(owner.id, owner.object) for owner in found] == [
        ("owner.argo-cd", "Deployment kubevirt/virt-operator"),
        ("owner.flux", "Namespace kubevirt"),
    ]


def test_hyperconverged_installed_by_olm() -> None:
    found = owners(
        [
            made("KubeVirt", ownerReferences=owned_by("HyperConverged", "kubevirt-hyperconverged")),
            made(
                "Deployment",
                ownerReferences=owned_by("ClusterServiceVersion", "kubevirt-hyperconverged-operator.v1.18.0"),
            ),
            made("HyperConverged", api_version="hco.kubevirt.io/v1"),
        ]
    )
    assert [(owner.id, owner.object) for owner in found] == [
        ("owner.hco", "HyperConverged kubevirt/kubevirt-hyperconverged"),
        ("owner.olm", "Deployment kubevirt/virt-operator"),
    ]
    assert f"{HCO_V1} in" in found[0].change_there
    assert HCO_V1BETA1 not in found[0].change_there


@pytest.mark.parametrize(
    ("labels", "ids"),
    [
        ({"helm.toolkit.fluxcd.io/name": "virt", "helm.toolkit.fluxcd.io/namespace": "f"}, ["owner.flux"]),
        ({"objectset.rio.cattle.io/hash": "5c2f"}, ["owner.fleet"]),
        ({"kapp.k14s.io/app": "16"}, ["owner.helm", "owner.kapp"]),
    ],
)
def test_helm_release_of_another_tool_is_that_tools(labels: dict[str, str], ids: list[str]) -> None:
    found = owners([made("KubeVirt", labels=labels, annotations={"meta.helm.sh/release-name": "virt"})])
    assert [owner.id for owner in found] == ids


def test_every_owner_is_a_finding() -> None:
    marks: list[Object] = [
        made("HyperConverged", api_version="hco.kubevirt.io/v1"),
        made("KubeVirt", managers=["olm", "argocd-controller", "kapp", "work-agent", "kustomize-controller"]),
    ]
    found = owners([*marks, made("Deployment", managers=["fleetagent"])]) + owners(
        [made("KubeVirt", managers=["helm"])]
    )
    assert {owner.id for owner in found} == {id for id in findings.CATALOGUE if id.startswith("owner.")}
    for owner in found:
        assert owner.name in findings.CATALOGUE[owner.id].summary
