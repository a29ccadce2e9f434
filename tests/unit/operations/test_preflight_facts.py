# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade asks the cluster before it begins: which requests, and what it says where it may not ask."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import upgrade
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import Outcome
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.preflight_facts import roles_of_the_operator

World = t.Any  # tests/unit/operations/conftest.py
Server = t.Any

RBAC = "/apis/rbac.authorization.k8s.io/v1"
BINDINGS = f"{RBAC}/clusterrolebindings"
IN_NAMESPACE = f"{RBAC}/namespaces/kubevirt"


@pytest.fixture
def server(world: World) -> Server:
    server: Server = world.server()
    return server


def planned(world: World, server: Server, folder: Path, **options: t.Any) -> Outcome:
    params = {option: spec.get("default") for option, spec in upgrade.ARGUMENT_SPEC.items()}
    params |= {"version": world.version, "manifest": world.manifests(folder), **options}
    return upgrade.run(server.api(check_mode=True), params, check_mode=True, clock=Clock(), report=print)


def renamed(server: Server, collection: str, old: str, new: str) -> None:
    """As OLM names it."""
    made = server.objects.pop(f"{collection}/{old}")
    server.objects[f"{collection}/{new}"] = {**made, "metadata": {**made["metadata"], "name": new}}


def as_olm_names_them(server: Server) -> None:
    """Other names for all roles and bindings; the one Role's rules are in two."""
    for plural in ("clusterroles", "clusterrolebindings"):
        renamed(server, f"{RBAC}/{plural}", "kubevirt-operator", "kubevirtoperator.v1.7.0-4xkz9")
    server.objects[f"{BINDINGS}/kubevirtoperator.v1.7.0-4xkz9"]["roleRef"]["name"] = "kubevirtoperator.v1.7.0-4xkz9"
    renamed(server, f"{IN_NAMESPACE}/roles", "kubevirt-operator", "olm-1")
    renamed(server, f"{IN_NAMESPACE}/rolebindings", "kubevirt-operator-rolebinding", "olm-1")
    binding = server.objects[f"{IN_NAMESPACE}/rolebindings/olm-1"]
    binding["roleRef"]["name"] = "olm-1"
    *rules, last = server.objects[f"{IN_NAMESPACE}/roles/olm-1"]["rules"]
    server.objects[f"{IN_NAMESPACE}/roles/olm-1"]["rules"] = rules
    server.objects[f"{IN_NAMESPACE}/roles/olm-2"] = {"rules": [last]}
    server.objects[f"{IN_NAMESPACE}/rolebindings/olm-2"] = {**binding, "roleRef": {"kind": "Role", "name": "olm-2"}}


class TestRoles:
    def test_two_lists_and_one_read_for_each_role(self, world: World, server: Server) -> None:
        api = server.api(check_mode=True)
        held = roles_of_the_operator(api, world.facts())
        assert [one["metadata"]["name"] for one in held.everywhere] == ["kubevirt-operator"]
        assert [one["kind"] for one in held.in_namespace] == ["Role"]
        assert api.requests == 4

    def test_a_binding_whose_role_is_gone_gives_nothing(self, world: World, server: Server) -> None:
        del server.objects[f"{RBAC}/clusterroles/kubevirt-operator"]
        assert roles_of_the_operator(server.api(), world.facts()).everywhere == ()

    def test_names_do_not_matter(self, world: World, server: Server, tmp_path: Path) -> None:
        as_olm_names_them(server)
        outcome = planned(world, server, tmp_path, method="image_tag")
        assert [one.id for one in outcome.findings] == [] and not outcome.failure
        server.objects[f"{IN_NAMESPACE}/roles/olm-2"]["rules"] = []
        [found] = planned(world, server, tmp_path, method="image_tag").findings
        assert found.id == "upgrade.missing-permissions"

    def test_they_are_not_read_where_the_manifest_brings_them(
        self, world: World, server: Server, tmp_path: Path
    ) -> None:
        server.refuses[BINDINGS] = (403, "GET")
        assert not planned(world, server, tmp_path).failure

    def test_a_user_who_may_not_read_them_is_told(self, world: World, server: Server, tmp_path: Path) -> None:
        server.refuses[BINDINGS] = (403, "GET")
        outcome = planned(world, server, tmp_path, method="image_tag")
        assert "[upgrade.missing-permissions]" in outcome.failure and "cannot be read" in outcome.failure
        assert f"Seen: GET {BINDINGS} was answered with 403" in outcome.failure
        assert not planned(world, server, tmp_path, method="image_tag", accept=["upgrade.missing-permissions"]).failure


ADMISSION = "/apis/admissionregistration.k8s.io/v1"
TEMPORARY = f"{ADMISSION}/validatingwebhookconfigurations/virt-operator-tmp-webhook1"
MUTATOR = f"{ADMISSION}/mutatingwebhookconfigurations/virt-api-mutator"
API_SERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1.subresources.kubevirt.io"
LEFT: dict[str, dict[str, t.Any]] = {
    TEMPORARY: {"webhooks": []},
    MUTATOR: {"webhooks": [{"clientConfig": {"service": {"namespace": "old", "name": "virt-api"}}}]},
    API_SERVICE: {"spec": {"group": "subresources.kubevirt.io", "service": {"namespace": "old", "name": "virt-api"}}},
}


class TestLeftovers:
    @pytest.fixture
    def littered(self, server: Server) -> Server:
        for path, body in LEFT.items():
            server.objects[path] = {"metadata": {"name": path.rpartition("/")[2]}, **body}
        return server

    def ids(self, outcome: Outcome) -> list[str]:
        return sorted(one.id for one in outcome.findings if one.id.startswith("leftover."))

    def test_before_a_hop_they_are_named(self, world: World, littered: Server, tmp_path: Path) -> None:
        expected = ["leftover.api-service", "leftover.temporary-webhook", "leftover.webhook"]
        assert self.ids(planned(world, littered, tmp_path)) == expected

    @pytest.mark.parametrize("path", LEFT)
    def test_what_may_not_be_read_is_not_looked_at(
        self, world: World, littered: Server, tmp_path: Path, path: str
    ) -> None:
        littered.refuses[path.rpartition("/")[0]] = (403, "GET")
        outcome = planned(world, littered, tmp_path)
        assert not outcome.failure and len(self.ids(outcome)) == 2

    def test_without_a_hop_nobody_looks(self, world: World, littered: Server, tmp_path: Path) -> None:
        world.version = "v1.7.0"
        assert self.ids(planned(world, littered, tmp_path)) == []

    def test_an_update_under_way_needs_its_webhook(self, world: World, tmp_path: Path) -> None:
        world.kubevirt = world.status("1.8-updating")
        world.apply_operator("v1.8.4")
        server = world.server()
        server.objects[TEMPORARY] = {"metadata": {"name": "virt-operator-tmp-webhook1"}, "webhooks": []}
        assert self.ids(planned(world, server, tmp_path)) == []


SECRETS = "/api/v1/namespaces/kubevirt/secrets"


class TestPullSecrets:
    @pytest.fixture
    def naming(self, world: World) -> Server:
        """The KubeVirt object names two secrets, and one is there."""
        world.kubevirt["spec"]["imagePullSecrets"] = [{"name": "there"}, {"name": "gone"}]
        server: Server = world.server()
        server.objects[f"{SECRETS}/there"] = {"metadata": {"name": "there"}}
        return server

    def missing(self, outcome: Outcome) -> list[tuple[str, str]]:
        return [(one.object, one.evidence) for one in outcome.findings if one.id == "upgrade.pull-secret-missing"]

    def test_one_that_the_kubevirt_object_names(self, world: World, naming: Server, tmp_path: Path) -> None:
        outcome = planned(world, naming, tmp_path)
        expected = [("Secret kubevirt/gone", "named in spec.imagePullSecrets of KubeVirt kubevirt/kubevirt")]
        assert self.missing(outcome) == expected and not outcome.failure
        assert self.missing(planned(world, naming, tmp_path, method="image_tag")) == expected

    def test_one_that_the_manifest_names(self, world: World, server: Server, tmp_path: Path) -> None:
        pod = "      serviceAccountName: kubevirt-operator\n"
        text = (Path(world.manifests(tmp_path)) / "v1.8.4" / "kubevirt-operator.yaml").read_text()
        assert pod in text
        options = {"manifest": text.replace(pod, f"{pod}      imagePullSecrets: [{{name: mirror}}]\n")}
        expected = [("Secret kubevirt/mirror", "named in Deployment virt-operator of the manifest of v1.8.4")]
        assert self.missing(planned(world, server, tmp_path, **options)) == expected
        assert self.missing(planned(world, server, tmp_path, method="image_tag", **options)) == []

    def test_secrets_are_listed_only_where_one_is_named(self, world: World, server: Server, tmp_path: Path) -> None:
        server.refuses[SECRETS] = (500, "GET")
        assert not planned(world, server, tmp_path).failure

    def test_who_may_not_list_them_is_told_nothing(self, world: World, naming: Server, tmp_path: Path) -> None:
        naming.refuses[SECRETS] = (403, "GET")
        outcome = planned(world, naming, tmp_path)
        assert self.missing(outcome) == [] and not outcome.failure

    def test_without_a_hop_nobody_looks(self, world: World, naming: Server, tmp_path: Path) -> None:
        world.version = "v1.7.0"
        assert self.missing(planned(world, naming, tmp_path)) == []
