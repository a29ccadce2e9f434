# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade refuses: one clear message, and nothing was changed."""

from __future__ import annotations

import copy
import typing as t
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.contract.conftest import HEALTHY, TO, World
from tests.support.kubevirt import KUBEVIRT, OPERATOR
from tests.support.lab import Json, Result, lab, mutating


@contextmanager
def untouched(world: World) -> Iterator[None]:
    """Nothing that an upgrade could touch changes meanwhile, and no request of ours writes."""
    before, position = world.fingerprint(), world.lab.audit_position()
    yield
    assert mutating(world.lab.audited(position)) == []
    assert world.fingerprint() == before


def refused(result: Result, *words: str) -> None:
    """The message has all the words, says that nothing was changed, and nothing is reported as changed."""
    assert result.code != 0, result.data
    assert result.data["failed"] is True
    assert not result.data.get("changed")
    for word in words:
        assert word in result.message, result.message
    print(result.message)


@contextmanager
def changed(world: World, what: tuple[str, ...], patch: Json, back: Json) -> Iterator[None]:
    """A change to the world that is taken back."""
    world.patch(what, patch)
    world.status(HEALTHY)
    try:
        yield
    finally:
        world.patch(what, back)
        world.status(HEALTHY)


@contextmanager
def status(world: World, **changes: t.Any) -> Iterator[None]:
    """Another status, taken back."""
    world.status({**copy.deepcopy(HEALTHY), **changes})
    try:
        yield
    finally:
        world.status(HEALTHY)


def metadata(**marks: Json) -> tuple[Json, Json]:
    """A merge patch of metadata, and the one that takes it back."""
    return (
        {"metadata": marks},
        {"metadata": {name: dict.fromkeys(values) for name, values in marks.items()}},
    )


@contextmanager
def left_behind(world: World, *objects: Json) -> Iterator[None]:
    """Objects that are there meanwhile, of an earlier installation for example."""
    text = yaml.safe_dump_all(objects)
    world.lab.kubectl("create", "-f", "-", stdin=text)
    try:
        yield
    finally:
        world.lab.kubectl("delete", "-f", "-", stdin=text)


class TestWithoutKubeVirt:
    def test_there_is_no_kubevirt_at_all(self, bare_world: World) -> None:
        with untouched(bare_world):
            refused(bare_world.upgrade(), "[kubevirt.absent]", "There is no KubeVirt object")

    def test_info_says_that_it_is_absent(self, bare_world: World) -> None:
        result = bare_world.lab.module("kubevirt_info", {})
        assert (result.code, result.data["state"]) == (0, "absent")


class TestTheKubeVirtObject:
    def test_two_of_them(self, world: World) -> None:
        second = world.lab.get(*KUBEVIRT)
        second["metadata"] = {"name": "second", "namespace": "default"}
        del second["status"]
        world.lab.apply(second)
        try:
            with untouched(world):
                refused(world.upgrade(), "[kubevirt.multiple]", "KubeVirt default/second", "KubeVirt kubevirt/kubevirt")
        finally:
            world.lab.kubectl("delete", "kubevirt", "second", "-n", "default")

    def test_in_another_namespace_than_its_operator(self, world: World) -> None:
        elsewhere = world.lab.get(*KUBEVIRT)
        elsewhere["metadata"] = {"name": "kubevirt", "namespace": "default"}
        del elsewhere["status"]
        world.lab.kubectl("delete", *KUBEVIRT)
        world.lab.apply(elsewhere)
        try:
            with untouched(world):
                refused(
                    world.upgrade(),
                    "[kubevirt.operator-absent]",
                    "Deployment default/virt-operator",
                    "in the wrong one",
                )
        finally:
            world.lab.kubectl("delete", "kubevirt", "kubevirt", "-n", "default")
            world.lab.kubectl("create", "-f", "-", stdin=lab("cr"))
            world.status(HEALTHY)

    def test_being_deleted(self, world: World) -> None:
        with changed(
            world, KUBEVIRT, {"metadata": {"finalizers": ["example.com/keep"]}}, {"metadata": {"finalizers": None}}
        ):
            world.lab.kubectl("delete", *KUBEVIRT, "--wait=false")
            with untouched(world):
                refused(world.upgrade(), "[kubevirt.deleting]")
            world.patch(KUBEVIRT, {"metadata": {"finalizers": None}})
            world.lab.kubectl("create", "-f", "-", stdin=lab("cr"))

    def test_on_its_way_to_another_version(self, world: World) -> None:
        with status(world, targetKubeVirtVersion="v1.7.4", targetDeploymentID="ffff"), untouched(world):
            refused(world.upgrade(), "[upgrade.hop-in-progress]", "from v1.7.0 to v1.7.4", "version: v1.7.4")

    def test_unhealthy_for_another_reason(self, world: World) -> None:
        conditions = [
            {
                "type": "Available",
                "status": "False",
                "reason": "DeploymentInProgress",
                "message": "Deploying version v1.7.0",
            },
            {
                "type": "Progressing",
                "status": "True",
                "reason": "DeploymentInProgress",
                "message": "Deploying version v1.7.0",
            },
            {
                "type": "Degraded",
                "status": "False",
                "reason": "DeploymentInProgress",
                "message": "Deploying version v1.7.0",
            },
        ]
        with status(world, conditions=conditions), untouched(world):
            refused(
                world.upgrade(),
                "[kubevirt.unhealthy]",
                "degraded",
                "DeploymentInProgress",
                "accept: [kubevirt.unhealthy]",
            )

    def test_operator_gone(self, world: World) -> None:
        operator = world.lab.get(*OPERATOR)
        world.lab.kubectl("delete", *OPERATOR)
        try:
            with untouched(world):
                refused(world.upgrade(), "[kubevirt.operator-absent]", "Deployment kubevirt/virt-operator")
        finally:
            operator["metadata"] = {key: operator["metadata"][key] for key in ("name", "namespace", "labels")}
            world.lab.kubectl("create", "-f", "-", stdin=_yaml(operator))


def test_a_patch_that_is_not_the_latest_one_where_that_is_asked_for(world: World) -> None:
    with untouched(world):
        refused(world.upgrade(version="v1.8.1", strict_patches=True), "[version.not-latest-patch]", "v1.8.4")


OWNERS: list[tuple[str, tuple[str, ...], Json, Json, str]] = [
    (
        "owner.argo-cd",
        OPERATOR,
        *metadata(annotations={"argocd.argoproj.io/tracking-id": "virt:apps/Deployment:kubevirt/x"}),
        "virt",
    ),
    ("owner.flux", OPERATOR, *metadata(labels={"kustomize.toolkit.fluxcd.io/name": "infra"}), "infra"),
    ("owner.helm", OPERATOR, *metadata(annotations={"meta.helm.sh/release-name": "kv"}), "kv"),
    ("owner.kapp", OPERATOR, *metadata(labels={"kapp.k14s.io/app": "1700000000"}), "kapp"),
    ("owner.fleet", OPERATOR, *metadata(annotations={"objectset.rio.cattle.io/id": "harvester"}), "Harvester"),
    (
        "owner.olm",
        OPERATOR,
        *metadata(labels={"olm.owner": "kubevirtoperator.1.7.0", "olm.owner.kind": "ClusterServiceVersion"}),
        "kubevirtoperator.1.7.0",
    ),
    ("owner.hco", KUBEVIRT, *metadata(labels={"app.kubernetes.io/managed-by": "hco-operator"}), "HyperConverged"),
    (
        "owner.ocm",
        OPERATOR,
        {
            "metadata": {
                "ownerReferences": [
                    {
                        "apiVersion": "work.open-cluster-management.io/v1",
                        "kind": "AppliedManifestWork",
                        "name": "kv",
                        "uid": "1",
                    }
                ]
            }
        },
        {"metadata": {"ownerReferences": None}},
        "kv",
    ),
]


@pytest.mark.parametrize(("id", "what", "patch", "back", "word"), OWNERS, ids=[owner[0] for owner in OWNERS])
def test_somebody_else_manages_it(
    world: World, id: str, what: tuple[str, ...], patch: Json, back: Json, word: str
) -> None:
    with changed(world, what, patch, back), untouched(world):
        refused(world.upgrade(), f"[{id}]", word, "Do: ")


class TestTheManifest:
    def test_for_another_namespace(self, world: World, tmp_path: Path) -> None:
        other = tmp_path / "operator.yaml"
        other.write_text(
            world.manifests[TO]
            .read_text()
            .replace("namespace: kubevirt", "namespace: virt")
            .replace("  name: kubevirt\n", "  name: virt\n")
        )
        with untouched(world):
            refused(world.upgrade(manifest=str(other)), "[manifest.namespace-differs]", "manifest_namespace: kubevirt")

    def test_of_another_registry(self, world: World, tmp_path: Path) -> None:
        other = tmp_path / "operator.yaml"
        other.write_text(world.manifests[TO].read_text().replace("quay.io/kubevirt", "registry.example.com/kv"))
        with untouched(world):
            refused(
                world.upgrade(manifest=str(other)), "[manifest.registry-differs]", "image_registry: quay.io/kubevirt"
            )

    @pytest.mark.parametrize(
        "text",
        [
            lambda text: text[: len(text) // 2],
            lambda text: text.replace("virt-operator", "cdi-operator").replace("kubevirt", "cdi"),
            lambda text: "<html>\n<body>Log in</body></html>",
        ],
        ids=["truncated", "of another project", "a login page"],
    )
    def test_that_is_none(self, world: World, tmp_path: Path, text: Callable[[str], str]) -> None:
        bad = tmp_path / "operator.yaml"
        bad.write_text(text(world.manifests[TO].read_text()))
        with untouched(world):
            refused(world.upgrade(manifest=str(bad)), "manifest: ", str(bad), "cannot be used")


class TestTheCluster:
    def test_is_not_the_expected_one(self, world: World) -> None:
        with untouched(world):
            refused(world.upgrade(expected_cluster_uid="0000"), "[cluster.wrong-uid]", "not 0000")

    def test_the_environment_names_another_cluster(self, world: World) -> None:
        env = {"K8S_AUTH_HOST": "https://127.0.0.1:1", "K8S_AUTH_API_KEY": "secret-of-another-cluster"}
        with untouched(world):
            result = world.upgrade(env=env)
        refused(result, "K8S_AUTH_HOST", "K8S_AUTH_API_KEY", "kubeconfig")
        assert "secret-of-another-cluster" not in str(result.data)

    def test_the_user_may_only_read(self, world: World) -> None:
        with left_behind(world, *reader()):
            token = world.lab.kubectl("create", "token", "reader", "-n", "default").strip()
            before = world.fingerprint()
            result = world.upgrade(kubeconfig=None, host=_endpoint(world), api_key=token, validate_certs=False)
            refused(result, "Forbidden", "Nothing was changed")
            assert world.fingerprint() == before


def reader() -> list[Json]:
    """A service account that may read all and write nothing."""
    group, version = "rbac.authorization.k8s.io", "rbac.authorization.k8s.io/v1"
    rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader", "namespace": "default"}},
        {"apiVersion": version, "kind": "ClusterRole", "metadata": {"name": "reader"}, "rules": [rule]},
        {
            "apiVersion": version,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}],
        },
    ]


def test_a_webhook_and_an_api_service_of_an_earlier_installation(world: World) -> None:
    webhook = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "virt-operator-validator"},
        "webhooks": [
            {
                "name": "kubevirt-update-validator.kubevirt.io",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "clientConfig": {"service": {"namespace": "old", "name": "kubevirt-operator-webhook"}},
                "rules": [
                    {
                        **{"apiGroups": ["kubevirt.io"], "apiVersions": ["*"], "resources": ["kubevirts"]},
                        "operations": ["UPDATE"],
                    }
                ],
            }
        ],
    }
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1alpha3.subresources.kubevirt.io"},
        "spec": {
            **{"group": "subresources.kubevirt.io", "version": "v1alpha3", "insecureSkipTLSVerify": True},
            **{
                "groupPriorityMinimum": 1000,
                "versionPriority": 15,
                "service": {"namespace": "old", "name": "virt-api"},
            },
        },
    }
    with left_behind(world, webhook, service), untouched(world):
        result = world.upgrade()
        refused(result, "[leftover.webhook]", "kubectl delete validatingwebhookconfiguration virt-operator-validator")
    assert (
        "kubectl delete apiservice v1alpha3.subresources.kubevirt.io" in result.finding("leftover.api-service")["fix"]
    )


def test_an_image_that_a_person_set_in_the_operators_environment(world: World) -> None:
    world.lab.kubectl("set", "env", *OPERATOR, "VIRT_API_IMAGE=quay.io/kubevirt/virt-api:v1.7.0-fix")
    with untouched(world):
        result = world.upgrade()
        refused(result, "[upgrade.environment-set-by-hand]", "VIRT_API_IMAGE=quay.io/kubevirt/virt-api:v1.7.0-fix")
    found = result.finding("upgrade.environment-set-by-hand")
    assert "(set by kubectl-set)" in found["evidence"]
    program, *command = found["fix"].split()
    assert program == "kubectl"
    world.lab.kubectl(*command)
    assert world.upgrade(check=True).code == 0


def test_a_manifest_whose_crd_lacks_a_stored_version(world: World, tmp_path: Path) -> None:
    objects = [one for one in yaml.safe_load_all(world.manifests[TO].read_text()) if one]
    for one in objects:
        if one["kind"] == "CustomResourceDefinition":
            one["spec"]["versions"] = [version for version in one["spec"]["versions"] if version["name"] == "v1"]
    manifest = tmp_path / "v1-alone.yaml"
    manifest.write_text(yaml.safe_dump_all(objects))
    crd = ("patch", "crd", "kubevirts.kubevirt.io", "--subresource=status", "--type=merge", "-p")
    world.lab.kubectl(*crd, "status: {storedVersions: [v1alpha3, v1]}")
    try:
        with untouched(world):
            refused(world.upgrade(manifest=str(manifest)), "[manifest.lacks-stored-version]", "does not have v1alpha3")
    finally:
        world.lab.kubectl(*crd, "status: {storedVersions: [v1]}")
    assert world.upgrade(manifest=str(manifest), check=True).code == 0


def test_what_nobody_can_accept_stays_refused(world: World) -> None:
    with untouched(world):
        skipping = {"version": "v1.9.0", "path": ["v1.9.0"]}
        refused(world.upgrade(accept=["version.skips-minor"], **skipping), "[version.skips-minor]")


def _endpoint(world: World) -> str:
    return t.cast(str, world.lab.module("kubevirt_info", {}).data["cluster"]["endpoint"])


def _yaml(value: Json) -> str:
    return t.cast(str, yaml.safe_dump(value))
