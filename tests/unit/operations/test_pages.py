# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages that people read, word for word. The texts are in tests/unit/golden/; a page that changes changes its text."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import CATALOGUE
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.tolerance import PATIENCE
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import (
    info,
    upgrade,
    workload_strategy,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.observe import Workloads
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import Outcome

World = t.Any  # tests/unit/operations/conftest.py
Object = dict[str, t.Any]

GOLDEN = Path(__file__).parents[1] / "golden"
OLD = {"v1.8.4": "v1.7.0"}


def status(name: str, versions: dict[str, str] | None = None, operator: str = "") -> Callable[[World], None]:
    def change(world: World) -> None:
        world.kubevirt = world.status(name, versions)
        if operator:
            world.apply_operator(operator)
            world.rolled_out()

    return change


def old_launchers(world: World) -> None:
    status("1.8-healthy", operator="v1.8.4")(world)
    world.workloads = Workloads(vms=9, vmis=8, outdated=7)


def held(*methods: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        status("1.8-updating-all-applied", operator="v1.8.4")(world)
        world.set_methods(held=str(list(methods)).replace("'", '"'))

    return change


def pinned_and_managed(world: World) -> None:
    world.kubevirt["spec"]["imageTag"] = "v1.7.0"
    world.set_methods("LiveMigrate", "Evict")
    world.operator["metadata"]["annotations"] = {
        "meta.helm.sh/release-name": "kv",
        "meta.helm.sh/release-namespace": "n",
    }


def pinned(world: World) -> None:
    world.kubevirt["spec"]["imageTag"] = "v1.7.0"
    world.set_methods("LiveMigrate")


def behind_its_operator(world: World) -> None:
    pinned(world)
    world.kubevirt["status"]["operatorVersion"] = "v1.8.4"
    world.apply_operator("v1.8.4")
    world.rolled_out()


def hybrid(world: World) -> None:
    world.kubevirt = world.status("1.8-healthy", {"v1.8.4": "v1.7.0"})
    world.kubevirt["spec"]["imageTag"] = "v1.7.0"
    world.kubevirt["status"]["operatorVersion"] = "v1.6.0"
    world.apply_operator("v1.6.0")
    world.rolled_out()


def hybrid_mended(world: World) -> None:
    hybrid(world)
    world.version = "v1.7.0"


def absent(world: World) -> None:
    world.kubevirt = None


def two(world: World) -> None:
    world.others = ({"metadata": {"name": "second", "namespace": "default"}},)


def methods_and_migrations(world: World) -> None:
    world.set_methods("LiveMigrate")
    world.migrations = [f"prod/migration-{i}" for i in range(7)]


def drift(world: World) -> None:
    status("1.8-healthy", operator="v1.8.4")(world)
    world.live["/apis/rbac.authorization.k8s.io/v1/clusterroles/kubevirt-operator"]["rules"].pop()


def two_hops(world: World) -> None:
    status("1.8-healthy", {"v1.8.4": "v1.6.0"}, operator="v1.6.0")(world)
    world.kubevirt["status"]["operatorVersion"] = "v1.6.0"
    world.version = "v1.8.4"


def hop(
    running: str = "v1.7.0", wanted: str = "v1.8.4", kubernetes: str = "v1.34.4", **more: t.Any
) -> Callable[[World], None]:
    """A healthy cluster before a hop; ``more`` are changes of it, called with the world."""

    def change(world: World) -> None:
        status("1.8-healthy", {"v1.8.4": running}, operator=running)(world)
        world.kubevirt["status"]["operatorVersion"] = running
        world.version = wanted
        world.more["/version"] = {"gitVersion": kubernetes}
        for what in more.values():
            what(world)

    return change


def options(**given: t.Any) -> Callable[[World], None]:
    """The module's options, besides version and manifest."""
    return lambda world: world.options.update(given)


def marked(**metadata: t.Any) -> Callable[[World], None]:
    """The operator's Deployment with the marks of a tool."""
    return lambda world: world.operator["metadata"].update(metadata)


def environment(**variables: str) -> Callable[[World], None]:
    """The operator's environment as somebody has set it."""

    def change(world: World) -> None:
        [container] = world.operator["spec"]["template"]["spec"]["containers"]
        others = [one for one in container["env"] if one["name"] not in variables]
        container["env"] = [*others, *({"name": name, "value": value} for name, value in variables.items())]

    return change


def node(name: str, *, ready: bool = True, **labels: str) -> Callable[[World], None]:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    made = {"metadata": {"name": name, "labels": labels}, "status": {"conditions": conditions}}
    return lambda world: world.more.update({f"/api/v1/nodes/{name}": made})


def cordoned(world: World) -> None:
    node("worker-2")(world)
    world.more["/api/v1/nodes/worker-2"]["spec"] = {"unschedulable": True}


def workers_alone(world: World) -> None:
    for name in ("worker-1", "worker-2"):
        node(name)(world)


def served(group: str, version: str, plural: str, *items: Object) -> Callable[[World], None]:
    """An API group besides kubevirt.io, and the objects of one of its kinds."""
    groups = [
        {"name": name, "versions": [{"version": of_it}]} for name, of_it in (("kubevirt.io", "v1"), (group, version))
    ]
    listed = {"items": list(items), "metadata": {}}
    return lambda world: world.more.update(
        {"/apis": {"groups": groups}, f"/apis/{group}/{version}/{plural}": listed},
    )


def stored(crd: str, *versions: str) -> Callable[[World], None]:
    """What a CRD of KubeVirt keeps in mind."""
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd}"
    made = {"metadata": {"name": crd}, "spec": {"versions": []}, "status": {"storedVersions": list(versions)}}
    return lambda world: world.more.update({path: made})


def stored_kubevirts(world: World) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/kubevirts.kubevirt.io"
    world.live[path]["status"] = {"storedVersions": ["v1alpha2", "v1"]}


def spec(**fields: t.Any) -> Callable[[World], None]:
    """Fields of the KubeVirt object's spec."""
    return lambda world: world.kubevirt["spec"].update(fields)


def strategies(world: World) -> None:
    for i in range(21):
        path = f"/api/v1/namespaces/kubevirt/configmaps/kubevirt-install-strategy-{i}"
        world.more[path] = {"metadata": {"name": f"kubevirt-install-strategy-{i}"}}


def leftovers(world: World) -> None:
    of_webhooks = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    client = {"service": {"namespace": "old", "name": "kubevirt-operator-webhook"}}
    rules = [{"apiGroups": ["backup.kubevirt.io"], "resources": ["virtualmachinebackups"]}]
    for name, webhook in (
        ("virt-operator-validator", {"clientConfig": client}),
        ("virt-operator-tmp-webhookx7k2p", {"rules": rules}),
    ):
        world.more[f"{of_webhooks}/{name}"] = {"metadata": {"name": name}, "webhooks": [webhook]}
    world.more["/apis/apiregistration.k8s.io/v1/apiservices/v1alpha3.subresources.kubevirt.io"] = {
        "metadata": {"name": "v1alpha3.subresources.kubevirt.io"},
        "spec": {"group": "subresources.kubevirt.io", "service": {"namespace": "old", "name": "virt-api"}},
        "status": {"conditions": [{"type": "Available", "status": "False", "reason": "ServiceNotFound"}]},
    }


def gone(world: World) -> None:
    world.operator_is_there = False


def without_a_role(world: World) -> None:
    world.live["/apis/rbac.authorization.k8s.io/v1/clusterroles/kubevirt-operator"]["rules"].pop()


def without_a_version(world: World) -> None:
    for field in ("observedKubeVirtVersion", "targetKubeVirtVersion", "operatorVersion"):
        world.kubevirt["status"].pop(field, None)
    environment(KUBEVIRT_VERSION="devel")(world)


def elsewhere(world: World) -> None:
    world.apply_operator("v1.7.0", "registry.example/kubevirt")
    world.rolled_out()


def managed_by_hco(world: World) -> None:
    world.kubevirt["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "hco-operator"}


OWNERS: dict[str, Callable[[World], None]] = {
    "argo-cd": marked(
        annotations={"argocd.argoproj.io/tracking-id": "kubevirt:apps/Deployment:kubevirt/virt-operator"}
    ),
    "fleet": marked(labels={"objectset.rio.cattle.io/hash": "5f0ab1"}),
    "flux": marked(
        labels={"kustomize.toolkit.fluxcd.io/name": "infra", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
    ),
    "hco": managed_by_hco,
    "helm": marked(annotations={"meta.helm.sh/release-name": "kv", "meta.helm.sh/release-namespace": "n"}),
    "kapp": marked(labels={"kapp.k14s.io/app": "1700000000"}),
    "ocm": marked(ownerReferences=[{"kind": "AppliedManifestWork", "name": "hub-kubevirt"}]),
    "olm": marked(labels={"olm.owner": "kubevirtoperator.v1.7.0", "olm.owner.kind": "ClusterServiceVersion"}),
}
RISKS: dict[str, Callable[[World], None]] = {
    "export-stored-versions": hop(
        "v1.8.4", "v1.9.0", a=stored("virtualmachineexports.export.kubevirt.io", "v1alpha1", "v1beta1")
    ),
    "flavors-lost": hop(
        "v0.55.2",
        "v0.56.1",
        "v1.24.0",
        a=served("flavor.kubevirt.io", "v1alpha1", "virtualmachineflavors", {"metadata": {"name": "small"}}),
    ),
    "instancetype-stored-versions": hop(
        "v1.6.6",
        "v1.7.4",
        a=stored("virtualmachineinstancetypes.instancetype.kubevirt.io", "v1alpha2", "v1beta1"),
    ),
    "no-control-plane-node": hop("v1.2.2", "v1.3.1", "v1.30.0", a=workers_alone),
    "node-not-ready": hop(a=node("worker-2", ready=False)),
    "operator-needs-control-plane-node": hop("v1.6.6", "v1.7.4", a=workers_alone),
    "two-pods-for-one-vm": hop("v1.5.3", "v1.6.0", "v1.33.0"),
}


STATUS: dict[str, Callable[[World], None]] = {
    "absent": absent,
    "two": two,
    "healthy": lambda world: None,
    "healthy-old-launchers": old_launchers,
    "installing": status("1.7-installing-all-applied"),
    "updating": status("1.8-updating", operator="v1.8.4"),
    "updating-held": held("LiveMigrate", "Evict"),
    "updating-held-nothing": held(),
    "failed": status("1.7-failed-rbac"),
    "degraded": status("1.8-degraded-node", operator="v1.8.4"),
    "deleting": status("1.8-deleting", operator="v1.8.4"),
    "pinned-and-managed": pinned_and_managed,
    "hybrid": hybrid,
}
UPGRADE: dict[str, Callable[[World], None]] = {
    "absent": absent,
    "two": two,
    "hop": lambda world: None,
    "hop-with-methods-and-migrations": methods_and_migrations,
    "arrived": status("1.8-healthy", operator="v1.8.4"),
    "arrived-drift": drift,
    "arrived-old-launchers": old_launchers,
    "late": status("1.8-updating-all-applied", operator="v1.8.4"),
    "late-held": held("LiveMigrate"),
    "refused-pinned-and-managed": pinned_and_managed,
    "pinned": pinned,
    "pinned-behind-its-operator": behind_its_operator,
    "hybrid-mended": hybrid_mended,
    "hybrid-two-hops": hybrid,
    "two-hops": two_hops,
    "refused-another-hop": status("1.8-updating", {"v1.8.4": "v1.7.4"}, operator="v1.7.4"),
    "refused-unhealthy": status("1.8-degraded-node", OLD),
    "refused-deleting": status("1.8-deleting", operator="v1.8.4"),
    "refused-operator-absent": gone,
    "refused-installing": status("1.7-installing-all-applied", operator="v1.7.0"),
    "refused-wrong-cluster": options(expected_cluster_uid="2222-3333"),
    "refused-no-server-side-apply": marked(managedFields=[]),
    "on-its-way": status("1.8-updating", operator="v1.8.4"),
    "on-its-way-failed": status("1.7-failed-rbac", operator="v1.7.0"),
    "kubernetes-too-new": hop(kubernetes="v1.40.0"),
    "refused-kubernetes-too-old": hop(kubernetes="v1.30.0"),
    "refused-manifest-of-another-version": hop(a=lambda world: options(manifest=world.text("v1.8.3"))(world)),
    "refused-manifest-for-another-namespace": hop(a=options(manifest_namespace="virtualization")),
    "refused-manifest-from-another-registry": elsewhere,
    "refused-manifest-lacks-stored-version": stored_kubevirts,
    **{f"refused-owner-{name}": change for name, change in OWNERS.items()},
    **{f"refused-risk-{name}": change for name, change in RISKS.items()},
    "warnings-at-1.8": hop(
        a=spec(
            imagePullSecrets=[{"name": "mirror"}],
            customizeComponents={"patches": [{"resourceType": "Deployment", "resourceName": "virt-api"}]},
            workloadUpdateStrategy={"workloadUpdateMethods": ["LiveMigrate"]},
        ),
        b=served(
            "instancetype.kubevirt.io",
            "v1beta1",
            "virtualmachineclusterpreferences",
            {"metadata": {"name": "windows"}, "spec": {"clock": None}},
        ),
        c=cordoned,
    ),
    "warnings-at-1.6": hop("v1.5.3", "v1.6.5", "v1.33.0", a=strategies),
    "warning-at-0.59": hop("v0.58.1", "v0.59.2", "v1.26.0"),
    "refused-leftovers": leftovers,
    "refused-images-set-by-hand": environment(VIRT_API_IMAGE="quay.io/kubevirt/virt-api:v1.7.0-fix"),
    "refused-image-tag-images-in-environment": hop(
        a=environment(VIRT_API_IMAGE="quay.io/kubevirt/virt-api:v1.7.0-fix"), b=options(method="image_tag")
    ),
    "refused-image-tag-prefix-lost": hop(
        a=environment(VIRT_OPERATOR_IMAGE="quay.io/kubevirt/my-virt-operator:v1.7.0"), b=options(method="image_tag")
    ),
    "refused-image-tag-makes-hybrid": hop("v1.6.6", "v1.7.4", a=options(method="image_tag")),
    "refused-image-tag-missing-permissions": hop(a=without_a_role, b=options(method="image_tag")),
    "refused-image-tag-unknown-kinds": hop("v0.54.0", "v0.55.2", "v1.24.0", a=options(method="image_tag")),
    "image-tag": hop(a=options(method="image_tag")),
    "refused-version-before-first-supported": hop("v0.16.0", "v0.17.4", "v1.14.0"),
    "refused-version-downgrade": hop("v1.8.4", "v1.7.4"),
    "refused-version-not-latest-patch": hop("v1.7.0", "v1.8.1", a=options(strict_patches=True)),
    "refused-version-skips-minor": hop("v1.6.0", "v1.8.4", a=options(path=["v1.8.4"])),
    "refused-version-unavailable": hop("v1.7.0", "v1.8.4", a=options(releases="only: [v1.7.4]\n")),
    "refused-version-unknown": without_a_version,
    "refused-version-withdrawn": hop("v0.46.1", "v0.47.0", "v1.22.0"),
}


def strategy(*methods: str, state: str = "healthy", **more: t.Any) -> Callable[[World], None]:
    """What is asked for, of KubeVirt 1.7.0 with VMs; ``more`` are changes of it, called with the world, or options."""

    def change(world: World) -> None:
        if state == "healthy":
            status("1.8-healthy", OLD, operator="v1.7.0")(world)
        else:
            status(state)(world)
        world.workloads = Workloads()
        options(methods=list(methods))(world)
        for name, what in more.items():
            what(world) if callable(what) else options(**{name: what})(world)

    return change


def vm(name: str, **changes: t.Any) -> Callable[[World], None]:
    return lambda world: world.add_vm(name, **changes)


def some_vms(world: World) -> None:
    world.add_vm("web-1")
    world.add_vm("web-2", failure="target pod was not scheduled")
    world.add_vm("gpu", not_migratable="HostDeviceNotLiveMigratable")
    world.add_vm("new", tag="v1.7.0", outdated=False)


def one_node(world: World) -> None:
    world.more["/api/v1/nodes/worker-2"] = {"metadata": {"name": "worker-2"}}


def has(*methods: str, **more: t.Any) -> Callable[[World], None]:
    return spec(workloadUpdateStrategy={"workloadUpdateMethods": list(methods), **more})


BOTH = ("LiveMigrate", "Evict")
STRATEGY: dict[str, Callable[[World], None]] = {
    "absent": lambda world: (absent(world), options(methods=["LiveMigrate"])(world)),  # type: ignore[dict-item]
    "set": strategy("LiveMigrate", a=some_vms),
    "set-both": strategy(*BOTH, a=some_vms, batch_eviction_size=5, batch_eviction_interval="90s"),
    "there-already": strategy("LiveMigrate", a=has("LiveMigrate"), b=some_vms),
    "none": strategy(a=has(*BOTH, batchEvictionSize=3), b=some_vms),
    "removed": strategy(a=has("LiveMigrate"), methods=None, b=options(state="absent"), c=some_vms),
    "nothing-runs": strategy("LiveMigrate"),
    "many": strategy("LiveMigrate", a=lambda world: [vm(f"gpu-{i:02}", not_migratable="X")(world) for i in range(14)]),
    "eviction-strategies": strategy(
        *BOTH,
        a=vm("refused", not_migratable="DisksNotLiveMigratable", evictionStrategy="LiveMigrate"),
        b=vm("capk", not_migratable="DisksNotLiveMigratable", evictionStrategy="External"),
    ),
    "pending-and-same-version": strategy(
        "LiveMigrate",
        a=vm("bigger", tag="v1.7.0", outdated=False, pending="HotMemoryChange"),
        b=vm("moved", tag="v1.7.0"),
    ),
    "refused-leaves-down": strategy(
        "Evict", a=vm("a", run_strategy="Manual"), b=vm("b", run_strategy="RerunOnFailure")
    ),
    "refused-destroys-after-the-next-upgrade": strategy("Evict", a=vm("lone", run_strategy=None, outdated=False)),
    "refused-destroys": strategy("Evict", a=vm("lone", run_strategy=None)),
    "refused-one-node": strategy(*BOTH, a=some_vms, b=one_node),
    "refused-gate-off": lambda world: (hop("v0.55.2", "v0.56.1")(world), options(methods=["LiveMigrate"])(world)),  # type: ignore[dict-item]
    "refused-too-old": lambda world: (hop("v0.38.1", "v0.39.0")(world), options(methods=["Evict"])(world)),  # type: ignore[dict-item]
    "refused-updating": strategy("LiveMigrate", state="1.8-updating"),
    "refused-held": strategy("LiveMigrate", a=lambda world: world.set_methods(held='["Evict"]')),
    "refused-hco": strategy("LiveMigrate", a=managed_by_hco),
}
# Why no page before the first write has them; nor has one what is seen while a hop is waited for.
NOT_BEFORE_THE_FIRST_WRITE = {
    "cluster.held": "the lock is the first write",
    "cluster.lock-lost": "what becomes of the lock on the way",
    "cluster.taken-over": "the lock is the first write",
    "upgrade.stalled": "the end of a wait",
    "upgrade.timeout": "the end of a wait",
    "workloads.migrations-in-flight": "the end of a wait; before, they are a step of the plan",
    "upgrade.pinned": "of kubevirt_info alone; an upgrade moves the pin, which is a step of the plan",
}
# A removal has pages of its own, and risks all have the same one, each with its own facts in test_known_risks.py.
OF_OTHER_TESTS = ("remove.", "risk.")
DOCUMENTS = ("absent", "arrived-old-launchers", "hop", "two-hops", "refused-unhealthy", "refused-pinned-and-managed")


@pytest.mark.parametrize("name", STATUS)
def test_status_page(world: World, name: str) -> None:
    STATUS[name](world)
    params = {"name": None, "namespace": None, "expected_cluster_uid": None}
    outcome = info.run(world.server().api(), params, check_mode=True, clock=Clock(), report=print)
    assert not outcome.failure
    compare(f"status-{name}.txt", outcome.as_result()["page"])


@pytest.mark.parametrize("name", UPGRADE)
def test_upgrade_page_and_refusal(world: World, tmp_path: Path, name: str) -> None:
    outcome = planned(world, tmp_path, name)
    compare(
        f"upgrade-{name}.txt",
        [*outcome.as_result()["page"], *(["", *outcome.failure.splitlines()] if outcome.failure else [])],
    )


@pytest.mark.parametrize("name", DOCUMENTS)
def test_upgrade_as_markdown(world: World, tmp_path: Path, name: str) -> None:
    text = planned(world, tmp_path, name).as_result()["markdown"].replace(str(tmp_path), "/srv/kubevirt")
    compare(f"upgrade-{name}.md", text.splitlines())


def planned(world: World, tmp_path: Path, name: str) -> Outcome:
    UPGRADE[name](world)
    params = {option: spec.get("default") for option, spec in upgrade.ARGUMENT_SPEC.items()}
    params |= {"version": world.version, "manifest": world.manifests(tmp_path, "v1.7.4"), **world.options}
    outcome = upgrade.run(world.server().api(check_mode=True), params, check_mode=True, clock=Clock(), report=print)
    assert bool(outcome.failure) is (name.startswith("refused") or name in ("absent", "two")), outcome.failure
    return outcome


@pytest.mark.parametrize("name", STRATEGY)
def test_strategy_page_and_refusal(world: World, name: str) -> None:
    STRATEGY[name](world)
    params = {option: spec.get("default") for option, spec in workload_strategy.ARGUMENT_SPEC.items()} | world.options
    api = world.server().api(check_mode=True)
    outcome = workload_strategy.run(api, params, check_mode=True, clock=Clock(), report=print)
    assert bool(outcome.failure) is (name.startswith("refused") or name == "absent"), outcome.failure
    compare(
        f"strategy-{name}.txt",
        [*outcome.as_result()["page"], *(["", *outcome.failure.splitlines()] if outcome.failure else [])],
    )


def compare(name: str, page: list[str]) -> None:
    assert all("\n" not in line for line in page), "one list item a line"
    assert "\n".join(page) + "\n" == (GOLDEN / name).read_text()


@pytest.mark.parametrize("text", sorted(GOLDEN.glob("*.txt")), ids=lambda path: path.stem)
def test_a_command_on_a_page_can_be_copied_from_the_output_of_ansible(text: Path) -> None:
    """It shows lines as JSON, with a backslash before each of these."""
    assert [line for line in text.read_text().splitlines() if "Do: " in line and ('"' in line or "\\" in line)] == []


def test_every_finding_that_can_be_raised_before_the_first_write_is_on_a_page() -> None:
    texts = "".join(
        path.read_text() for what in ("upgrade", "strategy", "workloads") for path in GOLDEN.glob(f"{what}-*.txt")
    )
    shown = set(re.findall(r"^ *(?:info|warning|blocker)? ?\[([a-z]+\.[a-z0-9-]+)\]", texts, re.MULTILINE))
    while_waiting = {id for id in PATIENCE if id.startswith("upgrade.")}
    expected = CATALOGUE.keys() - NOT_BEFORE_THE_FIRST_WRITE.keys() - while_waiting
    assert sorted(id for id in shown if not id.startswith(OF_OTHER_TESTS)) == sorted(
        id for id in expected if not id.startswith(OF_OTHER_TESTS)
    )


def test_every_golden_text_is_of_a_page() -> None:
    names = {f"status-{name}" for name in STATUS} | {f"upgrade-{name}" for name in UPGRADE}
    names |= {f"strategy-{name}" for name in STRATEGY}
    names |= {path.stem for path in GOLDEN.glob("workloads-*")}  # test_workload_run.py
    names |= {path.stem for path in GOLDEN.glob("removal-*")}  # test_remove.py
    assert {path.stem for path in GOLDEN.glob("*.txt")} == names
    assert {path.name for path in GOLDEN.glob("*.md")} == {f"upgrade-{name}.md" for name in DOCUMENTS}


@pytest.mark.parametrize("path", sorted([*GOLDEN.rglob("*.txt"), *GOLDEN.rglob("*.md")]), ids=lambda path: path.name)
def test_a_page_shows_no_value_as_python_writes_it(path: Path) -> None:
    assert [word for word in ("None", "['", "{'", "[]", "{}") if word in path.read_text()] == []
