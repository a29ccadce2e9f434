# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade finds against it, and which steps it takes, from the facts alone."""

from __future__ import annotations

import copy
import typing as t
from collections.abc import Callable

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.manifest import Manifest, with_namespace
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import upgrade_plan
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.observe import Cluster, Facts, Workloads
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import actions_of
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.standing_findings import (
    findings_about_the_object,
    findings_about_workloads,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.upgrade_method import Method
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.upgrade_wish import running_version

World = t.Any  # tests/unit/operations/conftest.py
Object = dict[str, t.Any]

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/kubevirts.kubevirt.io"
DEPLOYMENT = "/apis/apps/v1/namespaces/kubevirt/deployments/virt-operator"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/kubevirt-operator"


def actions(world: World, **wish: t.Any) -> list[str]:
    return [step.action for step in world.plan(**wish).steps]


def ids(world: World, **wish: t.Any) -> list[str]:
    return [one.id for one in world.findings(**wish)]


def at(world: World, version: str) -> World:
    """The cluster has arrived at a version, with its manifest."""
    world.kubevirt = world.status("1.8-healthy", {"v1.8.4": version})
    world.apply_operator(version)
    world.rolled_out()
    return world


# --- findings ---------------------------------------------------------------------------------------------------------


def test_nothing_speaks_against_the_next_minor(world: World) -> None:
    assert world.findings() == []


@pytest.mark.parametrize(
    ("running", "wanted", "expected", "words"),
    [
        ("v1.8.4", "v1.8.4", [], ""),
        ("v1.8.3", "v1.8.4", [], ""),
        ("v1.7.0", "v1.8.4", [], ""),
        ("v1.7.0", "v1.8.99", [], ""),
        ("v0.59.2", "v1.0.1", [], ""),
        ("v1.9.0", "v1.10.0", ["version.unavailable"], "your releases file"),
        ("v1.9.0-rc.1", "v1.9.0", [], ""),
        ("v1.20.0", "v1.22.0", ["version.unavailable"], "your releases file"),
        ("v1.8.4", "v1.8.3", ["version.downgrade"], "Ask for v1.8.4 or a later"),
        ("v1.8.4", "v1.7.4", ["version.downgrade"], "Ask for v1.8.4 or a later"),
        ("v1.9.0", "v1.9.0-rc.1", ["version.downgrade"], "Ask for v1.9.0 or a later"),
        ("v0.16.3", "v0.17.4", ["version.before-first-supported"], "install a current release"),
        ("v1.8.4", "v0.16.0", ["version.before-first-supported"], "Ask for v1.8.4 or a later version."),
        ("v0.46.1", "v0.47.0", ["version.withdrawn"], "Ask for v0.47.1."),
        ("v1.7.0", "v1.8.3", ["version.not-latest-patch"], "Ask for v1.8.4"),
    ],
)
def test_the_step_from_version_to_version(
    world: World, running: str, wanted: str, expected: list[str], words: str
) -> None:
    at(world, running)
    world.version, world.manifest = wanted, world.release(wanted)
    found = world.findings()
    assert [one.id for one in found] == expected
    assert not words or words in found[0].fix


@pytest.mark.parametrize(("strict", "level"), [(False, "warning"), (True, "blocker")])
def test_an_older_patch_is_a_warning_unless_patches_are_strict(world: World, strict: bool, level: str) -> None:
    world.version = "v1.8.1"
    path = world.path(strict_patches=strict)
    assert [hop["to"] for hop in path] == (["v1.7.4", "v1.8.1"] if strict else ["v1.8.1"])
    found = path[-1]["findings"][0]
    assert (found["id"], found["level"], found["acceptable"]) == ("version.not-latest-patch", level, True)


@pytest.mark.parametrize(
    ("observed", "target", "declared", "expected"),
    [
        ("v1.7.0", "v1.8.4", "v1.9.0", "v1.7.0"),
        (None, "v1.8.4", "v1.9.0", "v1.8.4"),
        ("latest", "v1.8.4", "v1.9.0", "v1.8.4"),
        (None, None, "v1.9.0", "v1.9.0"),
        ("latest", "latest", "latest", None),
    ],
)
def test_the_running_version_is_what_was_deployed_last_or_else_what_is_being_deployed(
    world: World, observed: str | None, target: str | None, declared: str, expected: str | None
) -> None:
    world.apply_operator(declared)
    world.kubevirt["status"] |= {"observedKubeVirtVersion": observed, "targetKubeVirtVersion": target}
    version = running_version(world.facts())
    assert (str(version) if version else None) == expected
    assert ("version.unknown" in ids(world)) is (expected is None)


ABOUT_THE_OBJECT: list[tuple[str, Callable[[World], None], str, str]] = [
    ("kubevirt.absent", lambda w: setattr(w, "kubevirt", None), "Cluster https://api.example:6443", ""),
    (
        "kubevirt.multiple",
        lambda w: setattr(w, "others", ({"kind": "KubeVirt", "metadata": {"name": "b", "namespace": "c"}},)),
        "KubeVirt kubevirt/kubevirt, KubeVirt c/b",
        "",
    ),
    (
        "kubevirt.deleting",
        lambda w: w.kubevirt["metadata"].update(deletionTimestamp="2026-11-20T10:00:00Z"),
        "KubeVirt kubevirt/kubevirt",
        "since 2026-11-20T10:00:00Z",
    ),
    (
        "kubevirt.operator-absent",
        lambda w: setattr(w, "operator_is_there", False),
        "Deployment kubevirt/virt-operator",
        "",
    ),
]


@pytest.mark.parametrize(
    ("id", "change", "object", "words"), ABOUT_THE_OBJECT, ids=[case[0] for case in ABOUT_THE_OBJECT]
)
def test_what_is_wrong_with_the_object_itself_is_told_alone(
    world: World, id: str, change: Callable[[World], None], object: str, words: str
) -> None:
    # a second thing that would be found
    world.operator["metadata"]["annotations"] = {"meta.helm.sh/release-name": "kv"}
    change(world)
    found = upgrade_plan.findings_of_the_cluster(world.facts(), world.wish(), Method.OPERATOR)
    assert [(one.id, one.object) for one in found] == [(id, object)]
    assert words in found[0].cause
    assert findings_about_the_object(world.facts()) == found


def test_an_operator_elsewhere_is_not_to_be_installed_again(world: World) -> None:
    world.operator_is_there = False
    [found] = findings_about_the_object(world.facts())
    assert found.fix.startswith("Look where it is: kubectl get deployment -A -l kubevirt.io=virt-operator.")


def test_a_sound_object_has_no_findings_of_its_own(world: World) -> None:
    assert findings_about_the_object(world.facts()) == []


OLD = {"v1.8.4": "v1.7.0"}
HEALTH: list[tuple[str, str, dict[str, str], str, str | None, bool, list[str]]] = [
    # what it is, recorded status, as which versions, wanted, operator applied, rolled out, findings
    ("healthy", "1.8-healthy", OLD, "v1.8.4", None, True, []),
    ("on its way to this version", "1.8-updating", {}, "v1.8.4", "v1.8.4", True, []),
    ("all applied and not ready (#18919)", "1.8-updating-all-applied", {}, "v1.8.4", "v1.8.4", True, []),
    ("a node is broken at this version", "1.8-degraded-node", {}, "v1.8.4", "v1.8.4", True, []),
    ("rights that this operator brings", "1.7-failed-rbac", {}, "v1.8.4", "v1.7.0", True, []),
    ("half-applied, its pods come", "1.8-healthy", OLD, "v1.8.4", "v1.8.4", False, []),
    ("half-applied, not leading yet", "1.8-healthy", OLD, "v1.8.4", "v1.8.4", True, []),
    ("half-applied, another one whose pods come", "1.8-healthy", OLD, "v1.8.4", "v1.7.4", False, []),
    (
        "half-applied, another one that will lead",
        "1.8-healthy",
        OLD,
        "v1.8.4",
        "v1.7.4",
        True,
        ["upgrade.hop-in-progress"],
    ),
    (
        "on its way to another version",
        "1.8-updating",
        {"v1.8.4": "v1.7.4"},
        "v1.8.4",
        "v1.7.4",
        True,
        ["upgrade.hop-in-progress"],
    ),
    (
        "on its way to another one without rights",
        "1.7-failed-rbac",
        {"v1.8.4": "v1.7.4"},
        "v1.8.4",
        "v1.7.0",
        True,
        ["upgrade.hop-in-progress"],
    ),
    ("a node is broken before it begins", "1.8-degraded-node", OLD, "v1.8.4", "v1.7.0", True, ["kubevirt.unhealthy"]),
    ("rolls out another configuration", "1.9-reconfigured", {"v1.9.0": "v1.7.0"}, "v1.8.4", None, True, ["kubevirt.unhealthy"]),
    ("is installed for the first time", "1.3-installing-no-control-plane", {"v1.3.1": "v1.7.0"}, "v1.8.4", None, True, [
        "upgrade.hop-in-progress"
    ]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "versions", "wanted", "operator", "rolled_out", "expected"),
    [case[1:] for case in HEALTH],
    ids=[case[0] for case in HEALTH],
)
def test_health(
    world: World,
    name: str,
    versions: dict[str, str],
    wanted: str,
    operator: str | None,
    rolled_out: bool,
    expected: list[str],
) -> None:
    world.kubevirt = world.status(name, versions)
    world.kubevirt["spec"].pop("imageTag", None)
    world.version, world.manifest = wanted, world.release(wanted)
    if operator:
        world.apply_operator(operator)
    if rolled_out:
        world.rolled_out()
    assert ids(world) == expected


def test_pods_of_the_operator_before_the_latest_change_do_not_say_that_it_is_rolled_out(world: World) -> None:
    world.apply_operator("v1.7.4")
    world.rolled_out()
    world.operator["metadata"]["generation"] = 2
    assert ids(world) == []


@pytest.mark.parametrize(
    ("observed", "target", "cause", "fix"),
    [
        ("v1.7.0", "v1.7.4", "from v1.7.0 to v1.7.4;", "run with version: v1.7.4"),
        (None, "v1.7.4", "on its way to v1.7.4;", "Wait until v1.7.4 is installed"),
        ("v1.7.0", "v1.9.0", "from v1.7.0 to v1.9.0;", "does not support this step"),
        ("v1.7.4", "v1.7.0", "from v1.7.4 to v1.7.0;", "does not support this step"),
    ],
)
def test_a_hop_in_progress_is_named_with_its_way_out(
    world: World, observed: str | None, target: str, cause: str, fix: str
) -> None:
    world.kubevirt["status"] |= {"observedKubeVirtVersion": observed, "targetKubeVirtVersion": target}
    found = next(one for one in world.findings() if one.id == "upgrade.hop-in-progress")
    assert cause in found.cause and "None" not in found.cause
    assert fix in found.fix
    assert not found.acceptable


def test_a_cluster_that_this_upgrade_does_not_cure_says_what_virt_operator_said(world: World) -> None:
    world.kubevirt = world.status("1.8-degraded-node", OLD)
    [found] = world.findings()
    assert (found.id, found.acceptable) == ("kubevirt.unhealthy", True)
    assert "degraded" in found.cause
    assert "DeploymentInProgress" in found.evidence


def test_somebody_else_manages_it(world: World) -> None:
    world.operator["metadata"]["annotations"] = {"meta.helm.sh/release-name": "kv"}
    world.kubevirt["metadata"]["labels"] = {"kustomize.toolkit.fluxcd.io/name": "infra"}
    world.hyperconvergeds = (
        {"kind": "HyperConverged", "apiVersion": "hco.kubevirt.io/v1", "metadata": {"name": "h", "namespace": "n"}},
    )
    found = world.findings()
    assert [one.id for one in found] == ["owner.hco", "owner.flux"]
    assert all(one.evidence and one.fix and one.level == "blocker" for one in found)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [(None, ["cluster.no-server-side-apply"]), ([], ["cluster.no-server-side-apply"]), ([{"manager": "m"}], [])],
)
def test_a_server_that_keeps_no_managers(world: World, entries: list[Object] | None, expected: list[str]) -> None:
    world.operator["metadata"]["managedFields"] = entries
    assert ids(world) == expected


def test_a_manifest_for_another_namespace(world: World) -> None:
    world.manifest = with_namespace(world.manifest, "virt")
    [found] = world.findings()
    assert (found.id, found.acceptable) == ("manifest.namespace-differs", False)
    assert "manifest_namespace: kubevirt" in found.fix


def test_a_manifest_of_another_version(world: World) -> None:
    world.manifest = world.release("v1.8.3")
    [found] = world.findings()
    assert (found.id, found.acceptable) == ("manifest.version-differs", False)
    assert "v1.8.3" in found.cause and "v1.8.4" in found.cause


@pytest.mark.parametrize("declared", ["", "devel"])
def test_a_manifest_that_declares_no_version(world: World, declared: str) -> None:
    world.manifest = copy.deepcopy(world.manifest)
    [container] = world.manifest.operator["spec"]["template"]["spec"]["containers"]
    container["image"] = f"quay.io/kubevirt/virt-operator@sha256:{'a' * 64}"
    values = {"KUBEVIRT_VERSION": declared, "VIRT_OPERATOR_IMAGE": container["image"]}
    container["env"] = [{"name": name, "value": value} for name, value in values.items()]
    [found] = world.findings()
    assert (found.id, found.acceptable) == ("manifest.version-differs", False)
    assert f"declares {declared or 'no version'}" in found.cause and "KUBEVIRT_VERSION=v1.8.4" in found.fix


@pytest.mark.parametrize(
    ("of_the_manifest", "named", "expected"),
    [
        ("quay.io/kubevirt", None, []),
        ("r.example/kv", None, ["manifest.registry-differs"]),
        ("r.example/kv", "r.example/kv", []),
    ],
    ids=["the same", "another", "another one that the user named"],
)
def test_the_registry_of_the_manifest(
    world: World, of_the_manifest: str, named: str | None, expected: list[str]
) -> None:
    world.manifest = world.release("v1.8.4", of_the_manifest)
    found = world.findings(image_registry=named)
    assert [one.id for one in found] == expected
    if found:
        assert "image_registry: quay.io/kubevirt to stay" in found[0].fix
        assert "image_registry: r.example/kv to move" in found[0].fix


class TestStoredVersions:
    @pytest.fixture(params=["v1", "v1beta1"])
    def crd(self, request: pytest.FixtureRequest, world: World) -> Object:
        """The manifest's CRD, of that version of CRDs, has v1 and v1alpha3, or v1 alone."""
        crd: Object = next(one for one in world.manifest.objects if one["kind"] == "CustomResourceDefinition")
        crd = copy.deepcopy(crd)
        if request.param == "v1beta1":
            crd["spec"] = {"version": "v1"}
        others = [one for one in world.manifest.objects if one["kind"] != crd["kind"]]
        world.manifest = Manifest((crd, *others))
        return crd

    @pytest.mark.parametrize(
        ("stored", "lacking"),
        [
            (["v1"], {"v1": [], "v1beta1": []}),
            (["v1alpha3", "v1"], {"v1": [], "v1beta1": ["v1alpha3"]}),
            (["v1alpha2", "v1"], {"v1": ["v1alpha2"], "v1beta1": ["v1alpha2"]}),
            ([], {"v1": [], "v1beta1": []}),
        ],
    )
    def test_the_manifests_crd_has_them_all(
        self, world: World, crd: Object, stored: list[str], lacking: dict[str, list[str]]
    ) -> None:
        world.live[CRD]["status"] = {"storedVersions": stored}
        found = world.findings()
        expected = lacking["v1" if "versions" in crd["spec"] else "v1beta1"]
        assert [one.id for one in found] == (["manifest.lacks-stored-version"] if expected else [])
        for one in found:
            assert not one.acceptable and f"does not have {', '.join(expected)}," in one.cause
            assert "-p 'status: {storedVersions: [v1]}'" in one.fix

    def test_where_not_even_the_storage_version_is_there_the_manifest_is_none(self, world: World) -> None:
        for one in world.live[CRD]["spec"]["versions"]:
            one["name"] = one["name"].replace("v1", "v2")
        world.live[CRD]["status"] = {"storedVersions": ["v2"]}
        [found] = world.findings()
        assert "kubectl" not in found.fix and "as KubeVirt released it" in found.fix

    def test_a_crd_that_cannot_be_read_is_not_judged(self, world: World) -> None:
        world.live[CRD] = None
        assert world.findings() == []


class TestEnvironmentSetByHand:
    def set_env(self, world: World, manager: str, **variables: str) -> None:
        """As a tool does it that writes its name into managedFields."""
        container = world.operator["spec"]["template"]["spec"]["containers"][0]
        env: Object = {}
        for name, value in variables.items():
            container["env"].append({"name": name, "value": value})
            env[f'k:{{"name":"{name}"}}'] = {".": {}, "f:name": {}, "f:value": {}}
        fields: Object = {'k:{"name":"virt-operator"}': {"f:env": env}}
        for element in ("f:containers", "f:spec", "f:template", "f:spec"):
            fields = {element: fields}
        entry = {"manager": manager, "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": fields}
        world.operator["metadata"]["managedFields"].append(entry)

    def test_what_stays_is_named_with_its_value_who_set_it_and_the_way_out(self, world: World) -> None:
        self.set_env(world, "kubectl-set", VIRT_API_IMAGE="r/virt-api:v1.7.0-fix")
        self.set_env(world, "kubectl-edit", GS_IMAGE="r/gs@sha256:aa", VIRT_API_SHASUM="sha256:bb")
        [found] = world.findings()
        assert (found.id, found.level, found.acceptable) == ("upgrade.environment-set-by-hand", "blocker", True)
        assert found.object == "Deployment kubevirt/virt-operator"
        assert found.evidence == (
            "VIRT_API_IMAGE=r/virt-api:v1.7.0-fix (set by kubectl-set), GS_IMAGE=r/gs@sha256:aa (set by kubectl-edit), "
            "VIRT_API_SHASUM=sha256:bb (set by kubectl-edit)"
        )
        assert found.fix == (
            "kubectl set env deployment/virt-operator -n kubevirt VIRT_API_IMAGE- GS_IMAGE- VIRT_API_SHASUM-"
        )

    @pytest.mark.parametrize(
        ("manager", "variables"),
        [
            ("kubectl-create", {"VIRT_API_IMAGE": "r/virt-api:v1.7.0"}),
            ("kubectl-set", {"VIRT_API_IMAGE": "r/virt-api:v1.8.4"}),
            ("kubectl-set", {"VIRT_API_IMAGE": ""}),
            ("kubectl-set", {"HTTPS_PROXY": "http://proxy.example:3128"}),
        ],
        ids=["goes with its one-shot tool", "is of the wanted version", "is empty", "names no image"],
    )
    def test_what_goes_or_does_no_harm(self, world: World, manager: str, variables: dict[str, str]) -> None:
        self.set_env(world, manager, **variables)
        assert world.findings() == []

    def test_what_the_manifest_has_too_is_the_manifests(self, world: World) -> None:
        for variable in world.operator["spec"]["template"]["spec"]["containers"][0]["env"]:
            if variable["name"] == "KUBEVIRT_VERSION":
                variable["value"] = "v1.7.0"
        assert world.findings() == []

    def test_kubevirt_that_has_arrived_runs_with_them_already(self, world: World) -> None:
        at(world, "v1.8.4")
        self.set_env(world, "kubectl-set", VIRT_API_IMAGE="r/virt-api:fix")
        assert world.findings() == []


def test_without_a_kubevirt_object_no_manifest_is_judged(world: World) -> None:
    world.manifest = with_namespace(world.manifest, "virt")
    facts = Facts(Cluster("https://api.example:6443", "0000"))
    assert upgrade_plan.findings_of_the_manifest(facts, world.wish(), world.manifest) == []
    plan = upgrade_plan.plan_of(facts, world.wish(), Method.OPERATOR, [], [])
    assert (plan.steps, plan.changed, plan.from_version, plan.to_version) == ((), False, None, "v1.8.4")


@pytest.mark.parametrize(
    ("methods", "held", "outdated", "expected"),
    [
        ([], None, 0, []),
        (["LiveMigrate"], None, 0, []),
        ([], "[]", 0, ["workloads.methods-held"]),
        ([], '["LiveMigrate"]', 3, ["workloads.methods-held", "workloads.on-old-launchers"]),
        (["LiveMigrate"], None, 3, ["workloads.on-old-launchers"]),
    ],
)
def test_findings_about_workloads(
    world: World, methods: list[str], held: str | None, outdated: int, expected: list[str]
) -> None:
    world.set_methods(*methods, held=held)
    world.workloads = Workloads(vms=9, vmis=8, outdated=outdated)
    found = findings_about_workloads(world.facts())
    assert [one.id for one in found] == expected
    if outdated:
        assert found[-1].object == "3 of 8 running VMs"
        assert ("by themselves" in found[-1].fix or "by itself" in found[-1].fix) is bool(methods)


def test_without_a_kubevirt_object_nothing_is_said_about_workloads() -> None:
    facts = Facts(Cluster("https://api.example:6443", "0000"), workloads=Workloads(1, 1, 1))
    assert findings_about_workloads(facts) == []


# --- steps ------------------------------------------------------------------------------------------------------------

HOLD, DRAIN, APPLY, WAIT, RESTORE = (
    "hold-workload-updates",
    "drain-migrations",
    "apply",
    "wait",
    "restore-workload-updates",
)


@pytest.mark.parametrize(
    ("methods", "held", "migrations", "wish", "expected"),
    [
        ([], None, [], {}, [DRAIN, APPLY, WAIT]),
        ([], None, [], {"wait": False}, [DRAIN, APPLY]),
        ([], None, ["prod/a"], {}, [DRAIN, APPLY, WAIT]),
        ([], None, ["prod/a"], {"wait": False}, [DRAIN, APPLY]),
        (["LiveMigrate"], None, [], {}, [HOLD, DRAIN, APPLY, WAIT, RESTORE]),
        (["LiveMigrate"], None, ["prod/a"], {}, [HOLD, DRAIN, APPLY, WAIT, RESTORE]),
        (["LiveMigrate"], None, [], {"wait": False}, [HOLD, DRAIN, APPLY]),
        (["LiveMigrate"], None, [], {"restore_methods": False}, [HOLD, DRAIN, APPLY, WAIT, RESTORE]),
        ([], '["LiveMigrate"]', [], {}, [DRAIN, APPLY, WAIT, RESTORE]),
        ([], '["LiveMigrate"]', [], {"wait": False}, [DRAIN, APPLY]),
        (["Evict"], '["LiveMigrate"]', [], {}, [HOLD, DRAIN, APPLY, WAIT, RESTORE]),
    ],
    ids=[
        "nothing to hold",
        "without waiting",
        "migrations in flight",
        "migrations in flight, without waiting",
        "methods set",
        "methods set and migrations in flight",
        "methods set, without waiting: they stay held",
        "methods set, to be left empty",
        "held by a killed run",
        "held by a killed run, without waiting",
        "held by a killed run, and others set by a person meanwhile",
    ],
)
def test_the_steps_of_a_hop_in_their_order(
    world: World, methods: list[str], held: str | None, migrations: list[str], wish: Object, expected: list[str]
) -> None:
    world.set_methods(*methods, held=held)
    world.migrations = migrations
    plan = world.plan(**wish)
    assert [step.action for step in plan.steps] == expected
    assert plan.changed
    assert (plan.from_version, plan.to_version) == ("v1.7.0", "v1.8.4")


@pytest.mark.parametrize(
    ("methods", "held", "restore", "afterwards"),
    [
        (["LiveMigrate"], None, True, ["LiveMigrate"]),
        (["LiveMigrate"], None, False, []),
        ([], '["LiveMigrate"]', True, ["LiveMigrate"]),
        ([], '["LiveMigrate"]', False, []),
        (["Evict"], '["LiveMigrate"]', True, ["Evict"]),
    ],
)
def test_the_methods_after_a_hop(
    world: World, methods: list[str], held: str | None, restore: bool, afterwards: list[str]
) -> None:
    world.set_methods(*methods, held=held)
    step = world.plan(restore_methods=restore).steps[-1]
    assert step.after == {"workloadUpdateMethods": afterwards}
    assert step.writes
    assert ("stay empty" in step.reason) is (afterwards == [])


def test_only_what_differs_is_applied_in_the_order_of_the_manifest(world: World) -> None:
    world.live[ROLE]["rules"].pop()
    del world.live["/api/v1/namespaces/kubevirt/serviceaccounts/kubevirt-operator"]["metadata"]["labels"]
    world.live["/apis/scheduling.k8s.io/v1/priorityclasses/kubevirt-cluster-critical"] = None
    steps = [step for step in world.plan().steps if step.action == APPLY]
    assert [(step.object, step.reason) for step in steps] == [
        ("PriorityClass kubevirt-cluster-critical", "the manifest adds it"),
        ("ServiceAccount kubevirt/kubevirt-operator", "the manifest differs"),
        ("ClusterRole kubevirt-operator", "the manifest differs"),
        ("Deployment kubevirt/virt-operator", "the manifest differs"),
    ]
    assert [step.path for step in steps][-2:] == [ROLE, DEPLOYMENT]
    assert steps[-1].body == world.manifest.operator


def test_an_object_that_only_changes_its_manager_is_applied_and_says_so(world: World) -> None:
    at(world, "v1.8.4")
    world.live[ROLE]["metadata"]["managedFields"][0] |= {"manager": "kubectl-create", "operation": "Update"}
    [step, _wait] = world.plan().steps
    assert step.reason == "fields move from kubectl-create to kubevirt.lifecycle"
    assert upgrade_plan.diff_of([step]) == [
        {
            "before_header": "ClusterRole kubevirt-operator",
            "after_header": "ClusterRole kubevirt-operator",
            "before": {"field managers": ["kubectl-create"]},
            "after": {"field managers": ["kubevirt.lifecycle"]},
        }
    ]


class TestArrived:
    @pytest.mark.parametrize("methods", [[], ["LiveMigrate"]])
    @pytest.mark.parametrize("wait", [True, False])
    def test_nothing_to_do(self, world: World, methods: list[str], wait: bool) -> None:
        at(world, "v1.8.4").set_methods(*methods)
        world.migrations = ["prod/a"]
        plan = world.plan(wait=wait)
        assert (plan.steps, plan.changed) == ((), False)
        assert world.path() == []

    @pytest.mark.parametrize("wait", [True, False])
    @pytest.mark.parametrize(
        ("methods", "restore", "afterwards"),
        [([], True, ["LiveMigrate"]), ([], False, []), (["Evict"], True, ["Evict"])],
        ids=["restored", "left empty", "set by a person meanwhile"],
    )
    def test_a_hold_that_a_killed_run_left_is_ended(
        self, world: World, methods: list[str], restore: bool, afterwards: list[str], wait: bool
    ) -> None:
        at(world, "v1.8.4").set_methods(*methods, held='["LiveMigrate"]')
        [step] = world.plan(restore_methods=restore, wait=wait).steps
        assert (step.action, step.before, step.after) == (
            RESTORE,
            {"workloadUpdateMethods": methods},
            {"workloadUpdateMethods": afterwards},
        )

    @pytest.mark.parametrize("methods", [[], ["LiveMigrate"]])
    def test_drift_that_moves_no_operand_is_applied_and_waited_for_without_a_hold(
        self, world: World, methods: list[str]
    ) -> None:
        at(world, "v1.8.4").set_methods(*methods)
        world.live[ROLE]["rules"].pop()
        world.migrations = ["prod/a"]
        assert actions(world) == [APPLY, WAIT]
        assert actions(world, wait=False) == [APPLY]

    def test_drift_of_the_operator_itself_is_treated_as_a_hop(self, world: World) -> None:
        """Another registry, for one, replaces every virt-handler."""
        at(world, "v1.8.4").set_methods("LiveMigrate")
        world.manifest = world.release("v1.8.4", "r.example/kv")
        world.migrations = ["prod/a"]
        assert actions(world) == [HOLD, DRAIN, APPLY, WAIT, RESTORE]

    def test_an_operator_of_another_version_that_somebody_applied_is_put_back(self, world: World) -> None:
        at(world, "v1.8.4")
        world.apply_operator("v1.9.0")
        assert ids(world) == []
        assert actions(world) == [DRAIN, APPLY, WAIT]

    def test_a_version_in_other_words_is_the_same(self, world: World) -> None:
        at(world, "v1.8.4")
        world.version = "1.8.4"
        assert actions(world) == []


class TestInAHop:
    """It is under way, or all is applied and not ready yet: up to 1.8 observed is the target then (#18919)."""

    @pytest.fixture(params=["1.8-updating", "1.8-updating-all-applied", "1.8-degraded-node"])
    def late(self, request: pytest.FixtureRequest, world: World) -> World:
        world.kubevirt = world.status(request.param)
        world.apply_operator("v1.8.4")
        world.rolled_out()
        return world

    def test_the_wait_goes_on(self, late: World) -> None:
        plan = late.plan()
        assert [step.action for step in plan.steps] == [WAIT]
        assert not plan.changed

    def test_what_a_killed_run_held_is_restored_only_after_it(self, late: World) -> None:
        late.set_methods(held='["LiveMigrate"]')
        assert actions(late) == [WAIT, RESTORE]
        assert actions(late, wait=False) == []

    def test_methods_that_somebody_set_meanwhile_are_held(self, late: World) -> None:
        late.set_methods("LiveMigrate")
        assert actions(late) == [HOLD, DRAIN, WAIT, RESTORE]

    def test_it_is_not_arrived(self, late: World) -> None:
        [step] = late.path()
        assert step["to"] == "v1.8.4"


class TestWhatIsReported:
    def test_actions_are_plain(self, world: World) -> None:
        world.set_methods("LiveMigrate")
        world.migrations = ["prod/a"]
        assert actions_of(world.plan().steps) == [
            {
                "action": HOLD,
                "object": "KubeVirt kubevirt/kubevirt",
                "reason": "no VM may be moved (LiveMigrate) while the control plane moves",
            },
            {"action": DRAIN, "object": "prod/a", "reason": "they fail while virt-handler is replaced"},
            {"action": APPLY, "object": "Deployment kubevirt/virt-operator", "reason": "the manifest differs"},
            {"action": WAIT, "object": "KubeVirt kubevirt/kubevirt", "reason": "until v1.8.4 is deployed and ready"},
            {
                "action": RESTORE,
                "object": "KubeVirt kubevirt/kubevirt",
                "reason": "the hop is done; the methods are LiveMigrate again",
            },
        ]

    @pytest.mark.parametrize(
        ("wish", "methods"),
        [
            ({}, None),
            ({"restore_methods": False}, (["LiveMigrate"], [])),
            ({"wait": False}, (["LiveMigrate"], [])),
        ],
        ids=["restored: no difference in the end", "left empty", "still held"],
    )
    def test_the_diff_is_what_differs_in_the_end(
        self, world: World, wish: Object, methods: tuple[list[str], list[str]] | None
    ) -> None:
        world.set_methods("LiveMigrate")
        by_object = {one["before_header"]: one for one in upgrade_plan.diff_of(world.plan(**wish).steps)}
        operator = by_object.pop("Deployment kubevirt/virt-operator")
        assert "v1.7.0" in str(operator["before"]) and "v1.8.4" in str(operator["after"])
        entry = by_object.pop("KubeVirt kubevirt/kubevirt", None)
        assert (entry and (entry["before"], entry["after"])) == (
            methods and ({"workloadUpdateMethods": methods[0]}, {"workloadUpdateMethods": methods[1]})
        )
        assert by_object == {}

    def test_the_diff_of_a_run_that_stopped_after_the_hold_shows_the_hold(self, world: World) -> None:
        world.set_methods("LiveMigrate")
        [entry] = upgrade_plan.diff_of(world.plan().steps[:1])
        assert (entry["before"], entry["after"]) == (
            {"workloadUpdateMethods": ["LiveMigrate"]},
            {"workloadUpdateMethods": []},
        )

    def test_a_new_object_has_nothing_before(self, world: World) -> None:
        world.live[ROLE] = None
        entry = upgrade_plan.diff_of(world.plan().steps)[0]
        assert (entry["before_header"], entry["before"]) == ("ClusterRole kubevirt-operator", {})
        assert entry["after"]["metadata"]["name"] == "kubevirt-operator"
