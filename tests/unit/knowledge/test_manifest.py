# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read from kubevirt-operator.yaml, what is refused and why, and how it is rewritten."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import manifest

from tests.support.bomb import BOMB

RELEASE = (Path(__file__).parents[1] / "fixtures" / "kubevirt-operator-v1.7.0-trimmed.yaml").read_text()
DIGEST = "sha256:" + "a" * 64


def documents():
    return list(yaml.safe_load_all(RELEASE))


def text_of(objects):
    return yaml.safe_dump_all(objects)


def altered(kind, change):
    objects = documents()
    for o in objects:
        if o["kind"] == kind:
            change(o)
    return text_of(objects)


def operator(image=None, **environment):
    container = {
        "name": "virt-operator",
        "env": [{"name": name, "value": value} for name, value in environment.items()],
    }
    if image:
        container["image"] = image
    return {"kind": "Deployment", "spec": {"template": {"spec": {"containers": [container]}}}}


def images_of(parsed):
    [container] = parsed.operator["spec"]["template"]["spec"]["containers"]
    return container["image"], {v["name"]: v["value"] for v in container["env"] if "value" in v}


def test_a_release():
    parsed = manifest.parse(RELEASE)
    assert (parsed.version, parsed.registry, parsed.namespace) == ("v1.7.0", "quay.io/kubevirt", "kubevirt")
    assert list(parsed.objects) == documents()


@pytest.mark.parametrize("missing", ["Namespace", "PriorityClass", "Role", "RoleBinding"])
def test_what_old_releases_or_people_leave_out(missing):
    objects = [o for o in documents() if o["kind"] != missing]
    assert list(manifest.parse(text_of(objects)).objects) == objects


def test_status_and_null_timestamps_are_stripped():
    objects = documents()
    for o in objects:
        o["metadata"]["creationTimestamp"] = None
        if o["kind"] in ("CustomResourceDefinition", "Deployment"):
            o["status"] = {"conditions": []}
        if o["kind"] == "Deployment":
            o["spec"]["template"]["metadata"]["creationTimestamp"] = None
    assert list(manifest.parse(text_of(objects)).objects) == documents()


def another(**changes):
    return text_of([*documents(), {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, **changes}])


def without(kind):
    return text_of([o for o in documents() if o["kind"] != kind])


def set_namespace(o):
    o["metadata"]["namespace"] = "elsewhere"


def set_subject(**changes):
    return lambda o: o["subjects"][0].update(changes)


REFUSED = {
    "empty": ("", "is empty"),
    "only-separators": ("---\n---\n", "is empty"),
    "login-page": ("\n <!DOCTYPE html><html><title>Sign in</title></html>", "is a web page"),
    "too-large": ("#" * (2 * 1024 * 1024 + 1), "larger than 2 MiB"),
    "cut-between-lines": (
        RELEASE[: RELEASE.index("    schema:")],
        "lacks ServiceAccount kubevirt-operator, so it is cut short",
    ),
    "unclosed-quote": (RELEASE + 'x: "', "not valid YAML or is cut short"),
    "template": ("metadata:\n  name: {{.Namespace}}\n", "not valid YAML or is cut short"),
    "bomb": (BOMB, "has the YAML anchor or alias a0"),
    "deep-lists": ("[" * 200_000, "nest"),  # newer libyaml refuses it before we count
    "deep-mappings": ("a: " + "{a: " * 100_000, "nested more than 100 deep"),
    "deep-lines": ("".join(f"{' ' * n}a:\n" for n in range(200)), "nested more than 100 deep"),
    "anchor": ("a: &bomb [x]\nb: [*bomb, *bomb]\n", "has the YAML anchor or alias bomb"),
    "not-an-object": ("- a\n- b\n", "Document 1 of the manifest is not a Kubernetes object"),
    "text": ("404: Not Found", "is not a Kubernetes object"),
    "no-name": ("kind: Namespace\n", "Document 1 of the manifest, a Namespace, has no metadata.name"),
    "list": ("kind: List\nitems: []\n", "is a List"),
    "cr": ("apiVersion: kubevirt.io/v1\nkind: KubeVirt\nmetadata: {name: kubevirt}\n", "kubevirt-cr.yaml"),
    "other-project": (
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: cdis.cdi.kubevirt.io}\n",
        "Document 1 of the manifest, CustomResourceDefinition cdis.cdi.kubevirt.io, belongs to no",
    ),
    "something-else-too": (another(), "Document 11 of the manifest, ConfigMap x, belongs to no"),
    "same-kind-of-another-group": (
        RELEASE.replace("apiVersion: apps/v1", "apiVersion: apps.example/v1"),
        "Deployment virt-operator, belongs to no",
    ),
    "no-deployment": (without("Deployment"), "lacks Deployment virt-operator"),
    "no-crd": (without("CustomResourceDefinition"), "lacks CustomResourceDefinition kubevirts.kubevirt.io"),
    "no-binding": (without("ClusterRoleBinding"), "lacks ClusterRoleBinding kubevirt-operator"),
    "no-account": (without("ServiceAccount"), "lacks ServiceAccount kubevirt-operator"),
    "no-role": (without("ClusterRole"), "lacks ClusterRole kubevirt-operator"),
    "twice": (RELEASE + RELEASE, "holds Namespace kubevirt more than once"),
    "no-pod": (altered("Deployment", lambda o: o.update(spec=None)), "lacks parts that every release has"),
    "no-containers": (
        altered("Deployment", lambda o: o["spec"]["template"]["spec"].update(containers=[])),
        "lacks parts that every release has",
    ),
    "no-schema": (
        altered("CustomResourceDefinition", lambda o: o.update(spec=None)),
        "lacks parts that every release has",
    ),
    "no-kind-in-the-crd": (
        altered("CustomResourceDefinition", lambda o: o["spec"]["names"].update(kind=None)),
        "lacks parts that every release has",
    ),
    "another-account": (
        altered("Deployment", lambda o: o["spec"]["template"]["spec"].update(serviceAccountName="default")),
        "does not name ServiceAccount kubevirt-operator",
    ),
    "no-image": (
        altered("Deployment", lambda o: o["spec"]["template"]["spec"]["containers"][0].update(image=None)),
        "has a container without an image",
    ),
    "nameless-variable": (
        altered("Deployment", lambda o: o["spec"]["template"]["spec"]["containers"][0]["env"][0].pop("name")),
        "lacks parts that every release has",
    ),
    "odd-subject": (altered("RoleBinding", lambda o: o.update(subjects=["x"])), "lacks parts that every release has"),
    "two-namespaces": (
        altered("Role", set_namespace),
        "Role kubevirt-operator of the manifest is for namespace elsewhere",
    ),
    "no-namespace": (altered("Role", lambda o: o["metadata"].pop("namespace")), "has no metadata.namespace"),
    "namespace-of-another-name": (
        altered("Namespace", lambda o: o["metadata"].update(name="elsewhere")),
        "has Namespace elsewhere",
    ),
    "subject-elsewhere": (
        altered("ClusterRoleBinding", set_subject(namespace="elsewhere")),
        "has a subject in namespace elsewhere",
    ),
    "subject-of-another-name": (
        altered("ClusterRoleBinding", set_subject(name="default")),
        "grants its rights to ServiceAccount default",
    ),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(text, message):
    with pytest.raises(manifest.ManifestError) as refused:
        manifest.parse(text)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_one_that_is_cut_short_anywhere_in_its_last_object_is_refused():
    end = RELEASE.rstrip("\n")
    cuts = [at for at in range(RELEASE.rindex("\n---\n") + 1, len(end)) if RELEASE[at] in " \n:"]
    accepted = []
    for cut in cuts:
        try:
            manifest.parse(end[:cut])
        except manifest.ManifestError:
            continue
        accepted.append(end[max(0, cut - 40) : cut])
    assert len(cuts) > 100
    assert accepted == []


def test_the_volume_that_a_manifest_lacks_is_named():
    with pytest.raises(manifest.ManifestError, match="does not name the volume profile-data, so it is cut short"):
        manifest.parse(RELEASE[: RELEASE.rindex("      - emptyDir")])


def test_a_missing_yaml_library_is_said(monkeypatch):
    monkeypatch.setattr(manifest, "yaml", None)
    with pytest.raises(manifest.ManifestError, match="PyYAML is missing"):
        manifest.parse(RELEASE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("quay.io/kubevirt/virt-operator:v1.7.0", "registry.example:5000/mirror/virt-operator:v1.7.0"),
        ("quay.io/kubevirt/custom-virt-operator:v1.7.0", "registry.example:5000/mirror/custom-virt-operator:v1.7.0"),
        (f"quay.io/kubevirt/virt-operator@{DIGEST}", f"registry.example:5000/mirror/virt-operator@{DIGEST}"),
        (f"host:5000/virt-operator:v1@{DIGEST}", f"registry.example:5000/mirror/virt-operator:v1@{DIGEST}"),
        ("virt-operator", "registry.example:5000/mirror/virt-operator"),
    ],
)
def test_another_registry_keeps_the_rest_of_an_image(before, after):
    def change(o):
        [container] = o["spec"]["template"]["spec"]["containers"]
        container["image"] = before
        container["env"][0]["value"] = before

    parsed = manifest.with_registry(manifest.parse(altered("Deployment", change)), "registry.example:5000/mirror")
    image, environment = images_of(parsed)
    assert (image, environment["VIRT_OPERATOR_IMAGE"]) == (after, after)
    assert parsed.registry == "registry.example:5000/mirror"


def test_another_registry_is_for_the_images_in_the_environment_and_nothing_else():
    variables = {
        "OPERATOR_IMAGE": "quay.io/kubevirt/virt-operator:v1",
        "VIRT_LAUNCHER_IMAGE": f"quay.io/kubevirt/virt-launcher@{DIGEST}",
        "GS_IMAGE": "quay.io/kubevirt/libguestfs-tools:v1",
        "PR_HELPER_IMAGE": "quay.io/kubevirt/pr-helper:v1",
        "SIDECAR_SHIM_IMAGE": "quay.io/kubevirt/sidecar-shim:v1",
        "VIRT_API_SHASUM": DIGEST,
        "RUNBOOK_URL_TEMPLATE": "https://kubevirt.io/monitoring/runbooks/%s",
    }

    def change(o):
        [container] = o["spec"]["template"]["spec"]["containers"]
        container["env"] += [{"name": name, "value": value} for name, value in variables.items()]

    parsed = manifest.parse(altered("Deployment", change))
    unchanged = copy.deepcopy(parsed)
    _image, environment = images_of(manifest.with_registry(parsed, "mirror.example"))
    assert {name: environment[name] for name in variables} == {
        "OPERATOR_IMAGE": "mirror.example/virt-operator:v1",
        "VIRT_LAUNCHER_IMAGE": f"mirror.example/virt-launcher@{DIGEST}",
        "GS_IMAGE": "mirror.example/libguestfs-tools:v1",
        "PR_HELPER_IMAGE": "mirror.example/pr-helper:v1",
        "SIDECAR_SHIM_IMAGE": "mirror.example/sidecar-shim:v1",
        "VIRT_API_SHASUM": DIGEST,
        "RUNBOOK_URL_TEMPLATE": "https://kubevirt.io/monitoring/runbooks/%s",
    }
    assert environment["KUBEVIRT_VERSION"] == "v1.7.0"
    assert parsed == unchanged


@pytest.mark.parametrize(
    "registry",
    ["", "https://quay.io/kubevirt", "quay.io/kubevirt/", "quay.io/kubevirt:v1", "quay.io/Kube virt", "/kubevirt"],
)
def test_a_bad_registry_is_named(registry):
    with pytest.raises(manifest.ManifestError) as refused:
        manifest.with_registry(manifest.parse(RELEASE), registry)
    assert repr(registry) in str(refused.value)


def test_another_namespace_is_for_every_object():
    parsed = manifest.with_namespace(manifest.parse(RELEASE), "virtualization")
    assert parsed.namespace == "virtualization"
    assert manifest.parse(text_of([dict(o) for o in parsed.objects])) == parsed
    assert manifest.with_namespace(parsed, "kubevirt") == manifest.parse(RELEASE)


@pytest.mark.parametrize("namespace", ["", "Kubevirt", "kube_virt", "-kubevirt", "k" * 64])
def test_a_bad_namespace_is_named(namespace):
    with pytest.raises(manifest.ManifestError) as refused:
        manifest.with_namespace(manifest.parse(RELEASE), namespace)
    assert repr(namespace) in str(refused.value)


@pytest.mark.parametrize(
    ("deployment", "version", "registry"),
    [
        (operator("r/virt-operator:v1", KUBEVIRT_VERSION="v3", VIRT_OPERATOR_IMAGE="q/virt-operator:v2"), "v3", "q"),
        (
            operator(
                "r/virt-operator:v1", VIRT_OPERATOR_IMAGE="q/virt-operator:v2", OPERATOR_IMAGE="p/virt-operator:v3"
            ),
            "v2",
            "q",
        ),
        (
            operator("r/virt-operator:v1", OPERATOR_IMAGE="docker.io/kubevirt/virt-operator:v0.58.0"),
            "v0.58.0",
            "docker.io/kubevirt",
        ),
        (operator("host:5000/a/b/x-virt-operator:v1"), "v1", "host:5000/a/b"),
        (operator("host:5000/virt-operator"), None, "host:5000"),
        (operator(f"q/virt-operator@{DIGEST}"), None, "q"),
        (operator(f"q/virt-operator:v1@{DIGEST}"), "v1", "q"),
        (
            operator("q/virt-operator:v1", KUBEVIRT_VERSION="", VIRT_OPERATOR_IMAGE=f"q/virt-operator@{DIGEST}"),
            "v1",
            "q",
        ),
        (operator("q/own-build:v1", KUBEVIRT_VERSION="v1.8.4"), "v1.8.4", None),
        (operator(), None, None),
    ],
)
def test_what_a_deployment_declares(deployment, version, registry):
    assert manifest.declared_version(deployment) == version
    assert manifest.declared_registry(deployment) == registry


def test_only_the_operators_container_counts():
    deployment = operator("q/virt-operator:v1")
    deployment["spec"]["template"]["spec"]["containers"].insert(0, {"name": "proxy", "image": "p/proxy:v9"})
    assert manifest.declared_version(deployment) == "v1"


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_checksums(algorithm):
    digest = hashlib.new(algorithm, b"data").hexdigest()
    assert manifest.checksum_matches(b"data", f"{algorithm}:{digest}")
    assert manifest.checksum_matches(b"data", f"{algorithm}:{digest.upper()}")
    assert not manifest.checksum_matches(b"other", f"{algorithm}:{digest}")


@pytest.mark.parametrize("checksum", ["", "a" * 64, "md5:" + "a" * 32, "sha256:" + "a" * 63, "sha256:" + "g" * 64])
def test_a_checksum_of_another_form_is_named(checksum):
    with pytest.raises(manifest.ManifestError) as refused:
        manifest.checksum_matches(b"data", checksum)
    assert repr(checksum) in str(refused.value)
