# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Which other tool manages KubeVirt, by the marks that it leaves on the objects.

A tool that manages an object undoes what somebody else changes, and brings back its own version of KubeVirt.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from .objects import object_name

Object = Mapping[str, t.Any]


@dataclass(frozen=True)
class Owner:
    """A tool that manages KubeVirt, and where to make the change instead."""

    id: str
    name: str
    object: str
    mark: str
    change_there: str


@dataclass(frozen=True)
class _Tool:
    """The marks of one tool. An empty value of a label or annotation stands for any value."""

    id: str
    name: str
    change_there: Callable[[Object], str]
    owner_kind: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    managers: re.Pattern[str] | None = None


def owners(objects: Iterable[Object]) -> list[Owner]:
    """The tools that manage KubeVirt, each with its strongest mark; of equally strong marks the first.

    An ownerReference is stronger than a label or an annotation, and these are stronger than a field manager. No tool is
    named for the label app.kubernetes.io/instance, or for app.kubernetes.io/managed-by: Helm without the name of a
    release: charts and people set them too.

    Args:
        objects: The KubeVirt object, its Namespace, the Deployment virt-operator, the CRD of KubeVirt, and
            HyperConverged objects, which name the HyperConverged Cluster Operator by being there.
    """
    objects = list(objects)
    found = [owner for tool in _TOOLS if (owner := _owner(tool, objects))]
    # Flux's HelmReleases and Fleet's bundles are Helm releases too; the release is not the place for a change then.
    by_helm_for_another = {"owner.flux", "owner.fleet"} & {owner.id for owner in found}
    return [owner for owner in found if not (owner.id == "owner.helm" and by_helm_for_another)]


def _owner(tool: _Tool, objects: list[Object]) -> Owner | None:
    for marks_of in (_own_objects, _owner_references, _metadata, _field_managers):
        for object in objects:
            for mark in marks_of(tool, object):
                return Owner(tool.id, tool.name, object_name(object), mark, tool.change_there(object))
    return None


def _own_objects(tool: _Tool, object: Object) -> Iterator[str]:
    if object["kind"] == tool.owner_kind:
        yield "the object exists"


def _owner_references(tool: _Tool, object: Object) -> Iterator[str]:
    for reference in object["metadata"].get("ownerReferences") or ():
        if reference["kind"] == tool.owner_kind:
            yield f"ownerReference {reference['kind']} {reference['name']}"


def _metadata(tool: _Tool, object: Object) -> Iterator[str]:
    for what, marks in (("label", tool.labels), ("annotation", tool.annotations)):
        present = object["metadata"].get(f"{what}s") or {}
        for key, wanted in marks.items():
            value = present.get(key)
            if value is not None and wanted in ("", value):
                yield f"{what} {key}={value}"


def _field_managers(tool: _Tool, object: Object) -> Iterator[str]:
    # Argo CD and Helm can create a namespace without managing what is in it, and OLM labels the namespaces that an
    # operator watches.
    if tool.managers is None or object["kind"] == "Namespace":
        return
    for entry in object["metadata"].get("managedFields") or ():
        manager = entry.get("manager") or ""
        if tool.managers.fullmatch(manager) and not entry.get("subresource"):
            yield f"field manager {manager}"


def _mark(object: Object, key: str) -> str | None:
    """The value of a label or an annotation."""
    metadata = object["metadata"]
    return (metadata.get("labels") or {}).get(key) or (metadata.get("annotations") or {}).get(key)


def _reference(object: Object, kind: str) -> str | None:
    """The name of the owner of this kind."""
    references = object["metadata"].get("ownerReferences") or ()
    return next((reference["name"] for reference in references if reference["kind"] == kind), None)


def _where_of_hco(object: Object) -> str:
    fields_of_v1 = "spec.virtualization.workloadUpdateStrategy and spec.deployment.uninstallStrategy"
    fields_of_v1beta1 = "spec.workloadUpdateStrategy and spec.uninstallStrategy"
    if object["kind"] != "HyperConverged":
        name = _reference(object, "HyperConverged") or "kubevirt-hyperconverged"
        fields = f"{fields_of_v1} (hco.kubevirt.io/v1), or {fields_of_v1beta1} (hco.kubevirt.io/v1beta1)"
        target = f"HyperConverged {name}"
    else:
        fields = fields_of_v1 if object["apiVersion"] == "hco.kubevirt.io/v1" else fields_of_v1beta1
        target = object_name(object)
    return (
        f"Upgrade the HyperConverged Cluster Operator by its Subscription or its deploy manifests; "
        f"set {fields} in {target}."
    )


def _where_of_olm(object: Object) -> str:
    csv = _mark(object, "olm.owner") or _reference(object, "ClusterServiceVersion")
    name = f"ClusterServiceVersion {csv}" if csv else "virt-operator's ClusterServiceVersion"
    namespace = _mark(object, "olm.owner.namespace") or object["metadata"].get("namespace")
    return f"Upgrade by the Subscription that installed {name}" + (f" in namespace {namespace}." if namespace else ".")


def _where_of_argo_cd(object: Object) -> str:
    # "<application>:<group>/<kind>:<namespace>/<name>", the application as "<namespace>_<name>" outside of Argo CD's
    tracking_id = _mark(object, "argocd.argoproj.io/tracking-id") or _mark(object, "app.kubernetes.io/instance")
    application = tracking_id.partition(":")[0].replace("_", "/") if tracking_id else "that deploys KubeVirt"
    return f"Change the source of Argo CD's Application {application}."


def _where_of_flux(object: Object) -> str:
    for kind, group in (("Kustomization", "kustomize.toolkit.fluxcd.io"), ("HelmRelease", "helm.toolkit.fluxcd.io")):
        name, namespace = _mark(object, f"{group}/name"), _mark(object, f"{group}/namespace")
        if name:
            return f"Change the source of Flux's {kind} {namespace}/{name}."
    return "Change the source of Flux's Kustomization or HelmRelease that deploys KubeVirt."


def _where_of_fleet(object: Object) -> str:
    gvk, name = _mark(object, "objectset.rio.cattle.io/owner-gvk"), _mark(object, "objectset.rio.cattle.io/owner-name")
    if not gvk or not name:
        return "Change the Bundle, GitRepo or ManagedChart that deploys KubeVirt, or upgrade Harvester."
    namespace = _mark(object, "objectset.rio.cattle.io/owner-namespace")
    return f"Change {gvk.rpartition('Kind=')[2]} {namespace + '/' if namespace else ''}{name}, or upgrade Harvester."


def _where_of_helm(object: Object) -> str:
    name, namespace = _mark(object, "meta.helm.sh/release-name"), _mark(object, "meta.helm.sh/release-namespace")
    if not name:
        return "Upgrade the Helm release that deploys KubeVirt."
    return f"Upgrade the Helm release {name}" + (f" in namespace {namespace}." if namespace else ".")


def _where_of_kapp(object: Object) -> str:
    app = _mark(object, "kapp.k14s.io/app")
    which = f"with the label kapp.k14s.io/app={app}" if app else "that deploys KubeVirt"
    return f"Change the configuration of the kapp application {which}."


def _where_of_ocm(object: Object) -> str:
    work = _reference(object, "AppliedManifestWork")
    which = f"of AppliedManifestWork {work}" if work else "that deploys KubeVirt"
    return f"Change the ManifestWork on the hub {which}."


_TOOLS = (
    _Tool(
        id="owner.hco",
        name="HyperConverged Cluster Operator",
        change_there=_where_of_hco,
        owner_kind="HyperConverged",
        # GetLabels in its pkg/util; "app" alone in 2020 (kubevirt/hyperconverged-cluster-operator#566)
        labels={"app.kubernetes.io/managed-by": "hco-operator", "app": "kubevirt-hyperconverged"},
    ),
    _Tool(
        id="owner.olm",
        name="Operator Lifecycle Manager",
        change_there=_where_of_olm,
        owner_kind="ClusterServiceVersion",
        labels={"olm.owner.kind": "ClusterServiceVersion", "olm.managed": "true"},
        managers=re.compile("olm"),
    ),
    _Tool(
        id="owner.argo-cd",
        name="Argo CD",
        change_there=_where_of_argo_cd,
        annotations={"argocd.argoproj.io/tracking-id": ""},
        # the second on Roles and the like, argoproj/argo-cd#20815
        managers=re.compile("argocd-controller|argocd-application-controller"),
    ),
    _Tool(
        id="owner.flux",
        name="Flux",
        change_there=_where_of_flux,
        labels={"kustomize.toolkit.fluxcd.io/name": "", "helm.toolkit.fluxcd.io/name": ""},
        managers=re.compile("kustomize-controller|helm-controller"),
    ),
    _Tool(
        id="owner.fleet",
        name="Rancher Fleet or Harvester",
        change_there=_where_of_fleet,
        labels={"objectset.rio.cattle.io/hash": ""},
        annotations={"objectset.rio.cattle.io/id": "", "objectset.rio.cattle.io/owner-name": ""},
        managers=re.compile("fleetagent"),
    ),
    _Tool(
        id="owner.helm",
        name="Helm",
        change_there=_where_of_helm,
        annotations={"meta.helm.sh/release-name": ""},
        managers=re.compile("[Hh]elm"),
    ),
    _Tool(
        id="owner.kapp",
        name="kapp",
        change_there=_where_of_kapp,
        labels={"kapp.k14s.io/app": ""},
        managers=re.compile("kapp|kapp-controller|kapp-server-side-apply"),
    ),
    _Tool(
        id="owner.ocm",
        name="Open Cluster Management",
        change_there=_where_of_ocm,
        owner_kind="AppliedManifestWork",
        managers=re.compile("work-agent.*"),
    ),
)
