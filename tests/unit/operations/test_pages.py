# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages that people read, word for word. The texts are in tests/unit/golden/; a page that changes changes its text."""

from __future__ import annotations

import typing as t
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import info, upgrade
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.observe import Workloads
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import Outcome

World = t.Any  # tests/unit/operations/conftest.py

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
}
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
    params |= {"version": world.version, "manifest": world.manifests(tmp_path, "v1.7.4")}
    outcome = upgrade.run(world.server().api(check_mode=True), params, check_mode=True, clock=Clock(), report=print)
    assert bool(outcome.failure) is (name.startswith("refused") or name in ("absent", "two")), outcome.failure
    return outcome


def compare(name: str, page: list[str]) -> None:
    assert all("\n" not in line for line in page), "one list item a line"
    assert "\n".join(page) + "\n" == (GOLDEN / name).read_text()


@pytest.mark.parametrize("text", sorted(GOLDEN.glob("*.txt")), ids=lambda path: path.stem)
def test_a_command_on_a_page_can_be_copied_from_the_output_of_ansible(text: Path) -> None:
    """It shows lines as JSON, with a backslash before each of these."""
    assert [line for line in text.read_text().splitlines() if "Do: " in line and ('"' in line or "\\" in line)] == []


def test_every_golden_text_is_of_a_page() -> None:
    names = {f"status-{name}" for name in STATUS} | {f"upgrade-{name}" for name in UPGRADE}
    assert {path.stem for path in GOLDEN.glob("*.txt")} == names
    assert {path.name for path in GOLDEN.glob("*.md")} == {f"upgrade-{name}.md" for name in DOCUMENTS}


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*")), ids=lambda path: path.name)
def test_a_page_shows_no_value_as_python_writes_it(path: Path) -> None:
    assert [word for word in ("None", "['", "{'", "[]", "{}") if word in path.read_text()] == []
