# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. kubevirt-operator.yaml: what it may contain, what it declares, and how it is rewritten."""

from __future__ import annotations

import copy
import hashlib
import re
import typing as t
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from .launchers import tag_of

try:
    import yaml
except ImportError:  # said when a manifest is to be read
    yaml = None  # type: ignore[assignment]

Object = Mapping[str, t.Any]

# The largest release manifest has less than half a MiB, nested 29 deep.
MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 100

# Group, kind and name of all that a release's kubevirt-operator.yaml has ever held.
_DEPLOYMENT = ("apps", "Deployment", "virt-operator")
_REQUIRED = (
    ("apiextensions.k8s.io", "CustomResourceDefinition", "kubevirts.kubevirt.io"),
    ("", "ServiceAccount", "kubevirt-operator"),
    ("rbac.authorization.k8s.io", "ClusterRole", "kubevirt-operator"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", "kubevirt-operator"),
    _DEPLOYMENT,
)
_OPTIONAL = (
    ("scheduling.k8s.io", "PriorityClass", "kubevirt-cluster-critical"),
    ("rbac.authorization.k8s.io", "ClusterRole", "kubevirt.io:operator"),
    ("rbac.authorization.k8s.io", "Role", "kubevirt-operator"),
    ("rbac.authorization.k8s.io", "RoleBinding", "kubevirt-operator-rolebinding"),
)
_NAMESPACED = frozenset({"ServiceAccount", "Role", "RoleBinding", "Deployment"})

# KubeVirt's own reading of its image (pkg/virt-operator/util/config.go): registry, prefix, tag or digest.
_OPERATOR_IMAGE = re.compile(r"^(.*)/(.*)virt-operator([@:].*)?$")
_REGISTRY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_NAMESPACE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")

_WANTED = "give the kubevirt-operator.yaml of a KubeVirt release"


class ManifestError(ValueError):
    """What is wrong with a manifest or with a value for it, where, and what to do: one sentence for a person."""


@dataclass(frozen=True)
class Manifest:
    """The objects of one kubevirt-operator.yaml, in its order, fit to be applied."""

    objects: tuple[Object, ...]

    @property
    def operator(self) -> Object:
        """The Deployment virt-operator."""
        return next(o for o in self.objects if o["kind"] == "Deployment")

    @property
    def namespace(self) -> str:
        """The namespace that everything in the manifest is for."""
        return str(self.operator["metadata"]["namespace"])

    @property
    def version(self) -> str | None:
        """The version it installs, such as ``v1.8.4``; None where only a digest is named."""
        return declared_version(self.operator)

    @property
    def registry(self) -> str | None:
        """Where its images come from, such as ``quay.io/kubevirt``; None where no image is called virt-operator."""
        return declared_registry(self.operator)

    @property
    def kubevirt_versions(self) -> list[str]:
        """The versions of the API that its CRD has for KubeVirt objects."""
        return versions_of_the_crd(next(o for o in self.objects if o["kind"] == "CustomResourceDefinition"))

    @property
    def pull_secrets(self) -> list[str]:
        """The secrets with which the operator's own image is to be pulled."""
        return [one["name"] for one in self.operator["spec"]["template"]["spec"].get("imagePullSecrets") or ()]


def parse(text: str) -> Manifest:
    """The manifest in ``text``.

    Raises:
        ManifestError: It is not one complete kubevirt-operator.yaml, or it holds anything else.
    """
    objects = [_checked(index, document) for index, document in enumerate(_documents(text), 1) if document is not None]
    if not objects:
        raise ManifestError(f"The manifest is empty; {_WANTED}.")
    identities = [_identity(o) for o in objects]
    for identity in identities:
        if identities.count(identity) > 1:
            raise ManifestError(f"The manifest holds {_name(identity)} more than once; remove all but one.")
    for identity in _REQUIRED:
        if identity not in identities:
            raise ManifestError(
                f"The manifest lacks {_name(identity)}, so it is cut short or incomplete; download it again."
            )
    try:
        deployment = next(o for o in objects if o["kind"] == "Deployment")
        _check_images(deployment)
        _check_not_cut_short(deployment)
        _check_one_namespace(objects)
        _check_names_of_the_crd(next(o for o in objects if o["kind"] == "CustomResourceDefinition"))
        return Manifest(tuple(_fit_to_apply(o) for o in objects))
    except (AttributeError, LookupError, TypeError):
        raise ManifestError(f"An object of the manifest lacks parts that every release has; {_WANTED}.") from None


def with_registry(manifest: Manifest, registry: str) -> Manifest:
    """The manifest with every image taken from ``registry``, such as ``registry.example:5000/kubevirt``.

    The operator takes its operands' images from its environment, so the ``*_IMAGE`` variables are rewritten with the
    containers' images. Names, their prefix, tags and digests stay; the ``*_SHASUM`` variables name no registry.
    """
    check_registry(registry)

    def moved(image: str) -> str:
        return f"{registry}/{image.rpartition('/')[2]}"

    def rewrite(o: dict[str, t.Any]) -> None:
        if o["kind"] != "Deployment":
            return
        for container in _containers(o):
            container["image"] = moved(container["image"])
            for variable in container.get("env") or ():
                if variable["name"].endswith("_IMAGE") and variable.get("value"):
                    variable["value"] = moved(variable["value"])

    return _rewritten(manifest, rewrite)


def with_namespace(manifest: Manifest, namespace: str) -> Manifest:
    """The manifest for another namespace. No environment variable or argument of any release names it."""
    check_namespace(namespace)

    def rewrite(o: dict[str, t.Any]) -> None:
        if o["kind"] == "Namespace":
            o["metadata"]["name"] = namespace
        if o["kind"] in _NAMESPACED:
            o["metadata"]["namespace"] = namespace
        for subject in o.get("subjects") or ():
            subject["namespace"] = namespace

    return _rewritten(manifest, rewrite)


def declared_version(deployment: Object) -> str | None:
    """The KubeVirt version that a virt-operator Deployment, live or of a manifest, names; None if it names none."""
    environment = _environment(deployment)
    if environment.get("KUBEVIRT_VERSION"):
        return environment["KUBEVIRT_VERSION"]
    return next((tag for tag in map(tag_of, _operator_images(deployment)) if tag), None)


def declared_registry(deployment: Object) -> str | None:
    """The registry of a virt-operator Deployment, live or of a manifest; None if it cannot be told."""
    images = (_OPERATOR_IMAGE.match(image) for image in _operator_images(deployment))
    return next((image[1] for image in images if image), None)


def declared_image_prefix(deployment: Object) -> str:
    """What stands before ``virt-operator`` in the name of its image; empty in releases."""
    images = (_OPERATOR_IMAGE.match(image) for image in _operator_images(deployment))
    return next((image[2] for image in images if image), "")


def versions_of_the_crd(crd: Object) -> list[str]:
    """The versions that a CRD has; of v1beta1 too, where the only one stands alone."""
    spec = crd["spec"]
    return [one["name"] for one in spec.get("versions") or ()] or [spec["version"]]


def component_image_variables(deployment: Object) -> list[str]:
    """The variables that name the operands' images one by one. No release has them; builds with digests do."""
    own = ("VIRT_OPERATOR_IMAGE", "OPERATOR_IMAGE")
    return [
        name
        for name, value in _environment(deployment).items()
        if name.endswith("_IMAGE") and value and name not in own
    ]


def images_of_another_version(deployment: Object, manifest: Manifest) -> dict[str, str]:
    """The variables of a Deployment that name images or a version, that the manifest lacks, and that are not of its version."""
    declared = _environment(manifest.operator)
    return {
        name: value
        for name, value in _environment(deployment).items()
        if (name.endswith(("_IMAGE", "_SHASUM")) or name == "KUBEVIRT_VERSION")
        and name not in declared
        and value
        and manifest.version not in (value, tag_of(value))
    }


def operator_variable(deployment: Object, name: str) -> list[str]:
    """Where a variable of the operator's container stands, as fields of ``field_ownership``."""
    container = _operator_container(deployment)["name"]
    items = [f'k:{{"name":"{one}"}}' for one in (container, name)]
    return ["f:spec", "f:template", "f:spec", "f:containers", items[0], "f:env", items[1]]


def checksum_matches(data: bytes, checksum: str) -> bool:
    """Whether ``data`` has the ``checksum``, which is ``sha256:`` or ``sha512:`` and hexadecimal digits."""
    check_checksum(checksum)
    algorithm, digest = checksum.strip().lower().split(":")
    return hashlib.new(algorithm, data).hexdigest() == digest


def check_checksum(checksum: str) -> None:
    """A ManifestError if it is not of the form that ``checksum_matches`` takes."""
    if not _CHECKSUM.fullmatch(checksum.strip().lower()):
        raise ManifestError(f"The checksum {checksum!r} is not sha256: with 64 or sha512: with 128 hexadecimal digits.")


def check_registry(registry: str) -> None:
    """A ManifestError if images cannot come from there."""
    if not _REGISTRY.fullmatch(registry):
        raise ManifestError(
            f"The registry {registry!r} is not of the form host[:port][/path], such as quay.io/kubevirt; "
            "write it without a scheme, a tag and a slash at its end."
        )


def check_namespace(namespace: str) -> None:
    """A ManifestError if no namespace can have this name."""
    if not _NAMESPACE_NAME.fullmatch(namespace):
        raise ManifestError(
            f"The namespace {namespace!r} is not a valid name; use at most 63 lower-case letters, digits and hyphens."
        )


def _documents(text: str) -> Iterator[t.Any]:
    if yaml is None:
        raise ManifestError("The Python library PyYAML is missing, so the manifest cannot be read; install it.")
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise ManifestError(f"The manifest is larger than {MAX_BYTES // 1024 // 1024} MiB; {_WANTED}.")
    if text.lstrip("\ufeff \t\r\n")[:1] == "<":
        raise ManifestError(
            f"The manifest is a web page, perhaps a login or an error page; {_WANTED}, or mend its address."
        )
    loader: t.Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    event: t.Any
    depth = 0
    try:
        # An alias may multiply a small file into gigabytes, and no release has one. Of text that nests deeply the time grows with
        # the square.
        for event in yaml.parse(text, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise ManifestError(f"The manifest is nested more than {MAX_DEPTH} deep; {_WANTED}.")
            if anchor := getattr(event, "anchor", None):
                raise ManifestError(
                    f"The manifest has the YAML anchor or alias {anchor}, which no release has; {_WANTED}."
                )
        yield from yaml.load_all(text, Loader=loader)
    except ManifestError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ManifestError(f"The manifest is not valid YAML or is cut short ({reason}); download it again.") from None


def _checked(index: int, document: t.Any) -> Object:
    """The document, if it is one of the objects that the manifest may hold."""
    if not isinstance(document, Mapping) or not isinstance(document.get("kind"), str):
        raise ManifestError(f"Document {index} of the manifest is not a Kubernetes object; {_WANTED}.")
    kind, metadata = document["kind"], document.get("metadata")
    if kind == "List":
        raise ManifestError(f"Document {index} of the manifest is a List, the output of kubectl get; {_WANTED}.")
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("name"), str):
        raise ManifestError(f"Document {index} of the manifest, a {kind}, has no metadata.name; {_WANTED}.")
    identity = _identity(document)
    if identity[:2] == ("kubevirt.io", "KubeVirt"):
        raise ManifestError(
            f"Document {index} of the manifest is the KubeVirt object of kubevirt-cr.yaml; {_WANTED} instead."
        )
    if identity not in _REQUIRED + _OPTIONAL and identity[:2] != ("", "Namespace"):
        raise ManifestError(
            f"Document {index} of the manifest, {_name(identity)}, belongs to no kubevirt-operator.yaml; {_WANTED}."
        )
    return document


def _check_images(deployment: Object) -> None:
    """Refuses a Deployment without containers that each have an image, or with variables without a name."""
    _environment(deployment)
    if not all(isinstance(container["image"], str) for container in _containers(deployment)):
        raise ManifestError(
            "Deployment virt-operator of the manifest has a container without an image; download it again."
        )


def _check_not_cut_short(deployment: Object) -> None:
    """Refuses a Deployment whose end is missing. It is the last of the manifest, and what is left of it is valid YAML."""
    pod = deployment["spec"]["template"]["spec"]
    volumes = {volume.get("name") for volume in pod.get("volumes") or ()}
    mounts = {
        mount.get("name") for container in _containers(deployment) for mount in container.get("volumeMounts") or ()
    }
    account = pod.get("serviceAccountName") or pod.get("serviceAccount")
    if account != "kubevirt-operator":
        lacking = "ServiceAccount kubevirt-operator"
    elif mounts - volumes:
        lacking = f"the volume {min(map(str, mounts - volumes))}"
    else:
        return
    raise ManifestError(
        f"Deployment virt-operator of the manifest does not name {lacking}, so it is cut short or incomplete; "
        "download it again."
    )


def _check_names_of_the_crd(crd: Object) -> None:
    """Refuses a CRD without the parts that a prediction of its apply reads."""
    if not isinstance(crd["spec"]["names"]["kind"], str):
        raise TypeError


def _check_one_namespace(objects: list[Object]) -> None:
    """Refuses objects and subjects that are not all for the Deployment's namespace."""
    wanted = next(o["metadata"].get("namespace") for o in objects if o["kind"] == "Deployment")
    for o in objects:
        name = _name(_identity(o))
        if o["kind"] == "Namespace" and o["metadata"]["name"] != wanted:
            raise ManifestError(
                f"The manifest has {name}, but Deployment virt-operator is for namespace {wanted}; make them the same."
            )
        if o["kind"] in _NAMESPACED:
            namespace = o["metadata"].get("namespace")
            if not isinstance(namespace, str):
                raise ManifestError(f"{name} of the manifest has no metadata.namespace; write it there.")
            if namespace != wanted:
                raise ManifestError(
                    f"{name} of the manifest is for namespace {namespace}, "
                    f"but Deployment virt-operator is for {wanted}; make them the same."
                )
        for subject in o.get("subjects") or ():
            if (subject.get("kind"), subject.get("name")) != ("ServiceAccount", "kubevirt-operator"):
                raise ManifestError(
                    f"{name} of the manifest grants its rights to {subject.get('kind')} {subject.get('name')}, "
                    f"not to ServiceAccount kubevirt-operator alone; {_WANTED}."
                )
            if subject.get("namespace") != wanted:
                raise ManifestError(
                    f"{name} of the manifest has a subject in namespace {subject.get('namespace')}, "
                    f"but Deployment virt-operator is for {wanted}; make them the same."
                )


def _fit_to_apply(o: Object) -> Object:
    """The object without what generators leave behind and nobody may apply: the status, and null timestamps."""
    fit = {key: copy.deepcopy(value) for key, value in o.items() if key != "status"}
    fit["metadata"].pop("creationTimestamp", None)
    if o["kind"] == "Deployment":
        fit["spec"]["template"].get("metadata", {}).pop("creationTimestamp", None)
    return fit


def _rewritten(manifest: Manifest, rewrite: Callable[[dict[str, t.Any]], None]) -> Manifest:
    objects = [copy.deepcopy(dict(o)) for o in manifest.objects]
    for o in objects:
        rewrite(o)
    return Manifest(tuple(objects))


def _identity(o: Object) -> tuple[str, str, str]:
    """Group, kind and name; the version of the API does not matter."""
    return str(o.get("apiVersion", "")).rpartition("/")[0], o["kind"], o["metadata"]["name"]


def _name(identity: tuple[str, str, str]) -> str:
    return f"{identity[1]} {identity[2]}"


def _containers(deployment: Object) -> list[dict[str, t.Any]]:
    pod = deployment["spec"]["template"]["spec"]
    return [*(pod.get("initContainers") or ()), *pod["containers"]]


def _operator_container(deployment: Object) -> Object:
    """The container virt-operator; the first one where somebody renamed it."""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return next((c for c in containers if c.get("name") == "virt-operator"), t.cast(Object, containers[0]))


def _environment(deployment: Object) -> dict[str, str | None]:
    return {v["name"]: v.get("value") for v in _operator_container(deployment).get("env") or ()}


def _operator_images(deployment: Object) -> list[str]:
    """The operator's own image, the most binding place first: it reads its environment, not its container."""
    environment = _environment(deployment)
    places = (
        environment.get("VIRT_OPERATOR_IMAGE"),
        environment.get("OPERATOR_IMAGE"),
        _operator_container(deployment).get("image"),
    )
    return [image for image in places if image]
