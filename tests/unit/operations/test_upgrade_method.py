# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two ways to update: which one is taken, what speaks against it, and which steps it means around spec.imageTag."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import Finding
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.permissions import HeldRoles
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.versions import Version
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import upgrade_plan
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import InvalidOption
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.standing_findings import findings_about_pins
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.upgrade_method import (
    Method,
    check_options_of_image_tag,
    findings_about_permissions,
    method_of,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.upgrade_wish import arrived, running_version

World = t.Any  # tests/unit/operations/conftest.py
Object = dict[str, t.Any]

HOLD, DRAIN, APPLY, LEAD, SET, REMOVE, WAIT, RESTORE = (
    "hold-workload-updates",
    "drain-migrations",
    "apply",
    "wait-operator",
    "set-image-tag",
    "remove-image-tag",
    "wait",
    "restore-workload-updates",
)


def at(world: World, running: str, *, operator: str, pin: str | None, wanted: str) -> World:
    """KubeVirt at one version, its operator at another, the pin at a third."""
    world.kubevirt = world.status("1.8-healthy", {"v1.8.4": running})
    world.kubevirt["status"]["operatorVersion"] = operator
    world.apply_operator(operator)
    world.rolled_out()
    if pin:
        world.kubevirt["spec"]["imageTag"] = pin
    world.version, world.manifest = wanted, world.release(wanted)
    return world


def ids(world: World, **wish: t.Any) -> list[str]:
    return [one.id for one in world.findings(**wish)]


def actions(world: World, **wish: t.Any) -> list[str]:
    return [step.action for step in world.plan(**wish).steps]


class TestAuto:
    @pytest.mark.parametrize(
        ("operator", "pin", "wanted", "registry", "expected"),
        [
            ("v1.7.0", None, "v1.8.4", None, Method.OPERATOR),
            ("v1.7.0", "v1.7.0", "v1.8.4", None, Method.OPERATOR),
            ("v1.8.4", "v1.7.0", "v1.8.4", None, Method.IMAGE_TAG),
            ("v1.8.4", "v1.7.0", "v1.7.4", None, Method.IMAGE_TAG),
            ("v1.8.4", "v1.7.0", "v1.8.4", "quay.io/kubevirt", Method.IMAGE_TAG),
            ("v1.8.4", "v1.7.0", "v1.8.4", "r.example/kv", Method.OPERATOR),
            ("v1.8.4", None, "v1.8.4", None, Method.OPERATOR),
            ("latest", "v1.7.0", "v1.8.4", None, Method.OPERATOR),
        ],
    )
    def test_the_tag_only_where_the_operator_is_new_enough(
        self, world: World, operator: str, pin: str | None, wanted: str, registry: str | None, expected: Method
    ) -> None:
        at(world, "v1.7.0", operator=operator, pin=pin, wanted=wanted)
        assert method_of(world.facts(), world.wish(image_registry=registry)) is expected

    @pytest.mark.parametrize("method", ["operator", "image_tag"])
    def test_what_is_asked_for_is_done(self, world: World, method: str) -> None:
        at(world, "v1.7.0", operator="v1.8.4", pin="v1.7.0", wanted="v1.8.4")
        assert method_of(world.facts(), world.wish(method=method)) is Method(method)


class TestOptionsOfImageTag:
    def test_another_registry(self, world: World) -> None:
        with pytest.raises(
            InvalidOption, match=r"image_registry: r\.example/kv cannot be reached by method: image_tag"
        ):
            check_options_of_image_tag(world.facts(), world.wish(method="image_tag", image_registry="r.example/kv"))

    def test_without_the_pin_kubevirt_would_follow_an_operator_of_another_version(self, world: World) -> None:
        with pytest.raises(InvalidOption, match=r"pin: remove .* the operator is at v1\.7\.0"):
            check_options_of_image_tag(world.facts(), world.wish(method="image_tag", keep_pin=False))

    @pytest.mark.parametrize("registry", ["quay.io/kubevirt", None])
    def test_what_is_possible(self, world: World, registry: str | None) -> None:
        at(world, "v1.7.0", operator="v1.8.4", pin="v1.7.0", wanted="v1.8.4")
        check_options_of_image_tag(
            world.facts(), world.wish(method="image_tag", keep_pin=False, image_registry=registry)
        )

    def test_the_pinned_registry_is_the_one_that_counts(self, world: World) -> None:
        world.kubevirt["spec"]["imageRegistry"] = "r.example/kv"
        check_options_of_image_tag(world.facts(), world.wish(method="image_tag", image_registry="r.example/kv"))


class TestFindings:
    @pytest.mark.parametrize(
        ("running", "operator", "pin", "wanted", "method", "expected"),
        [
            ("v1.7.0", "v1.8.4", "v1.7.0", "v1.8.4", "image_tag", []),
            ("v1.7.0", "v1.7.0", None, "v1.8.4", "image_tag", []),
            ("v1.6.0", "v1.6.0", None, "v1.7.4", "image_tag", ["upgrade.makes-hybrid"]),
            ("v0.58.1", "v0.58.1", None, "v0.59.2", "image_tag", ["upgrade.makes-hybrid"]),
            ("v0.58.0", "v0.58.0", None, "v0.59.2", "image_tag", []),
            ("v1.5.3", "v1.6.6", "v1.5.3", "v1.6.6", "image_tag", ["kubevirt.hybrid"]),
            ("v0.54.0", "v0.54.0", None, "v0.55.2", "image_tag", ["upgrade.unknown-kinds"]),
            ("v1.7.0", "latest", None, "v1.8.4", "image_tag", ["version.unknown"]),
            ("v1.7.0", "latest", None, "v1.8.4", "operator", []),
            ("v1.7.0", "v1.7.0", "v1.7.0", "v1.8.4", "operator", []),
            ("v1.7.0", "v1.8.4", "v1.7.0", "v1.7.4", "operator", ["version.downgrade"]),
            ("v1.5.3", "v1.5.3", "v1.5.3", "v1.6.6", "operator", []),
            ("v0.57.1", "v0.58.0", "v0.57.1", "v0.58.2", "operator", ["upgrade.makes-hybrid"]),
            ("v0.58.0", "v0.58.0", "v0.58.0", "v0.58.2", "operator", []),
        ],
    )
    def test_by_era(
        self, world: World, running: str, operator: str, pin: str | None, wanted: str, method: str, expected: list[str]
    ) -> None:
        at(world, running, operator=operator, pin=pin, wanted=wanted)
        assert [id for id in ids(world, method=method) if id != "version.not-latest-patch"] == expected

    def test_images_in_the_environment_win_over_the_tag(self, world: World) -> None:
        environment = world.operator["spec"]["template"]["spec"]["containers"][0]["env"]
        environment.append({"name": "VIRT_API_IMAGE", "value": "quay.io/kubevirt/virt-api@sha256:aa"})
        [found] = world.findings(method="image_tag")
        assert (found.id, found.evidence, found.acceptable) == (
            "upgrade.images-in-environment",
            "VIRT_API_IMAGE",
            True,
        )
        assert ids(world) == ["upgrade.environment-set-by-hand"]

    @pytest.mark.parametrize(("operator", "expected"), [("v1.7.0", ["upgrade.image-prefix-lost"]), ("v0.57.0", [])])
    def test_a_prefix_is_lost_from_1_7_on(self, world: World, operator: str, expected: list[str]) -> None:
        at(world, operator, operator=operator, pin=None, wanted="v1.8.4" if expected else "v0.58.0")
        container = world.operator["spec"]["template"]["spec"]["containers"][0]
        for variable in container["env"]:
            if variable["name"] == "VIRT_OPERATOR_IMAGE":
                variable["value"] = variable["value"].replace("/virt-operator", "/my-virt-operator")
        assert [id for id in ids(world, method="image_tag") if id != "version.not-latest-patch"] == expected

    def test_a_registry_that_is_pinned_too_must_be_the_operators(self, world: World) -> None:
        at(world, "v1.5.3", operator="v1.5.3", pin="v1.5.3", wanted="v1.6.6")
        world.kubevirt["spec"]["imageRegistry"] = "r.example/kv"
        [found] = world.findings()
        assert found.id == "upgrade.makes-hybrid" and "imageRegistry=r.example/kv" in found.cause

    def test_permissions_are_those_of_the_manifest_that_the_cluster_lacks(self, world: World) -> None:
        roles = [one for one in world.manifest.objects if one["metadata"]["name"] == "kubevirt-operator"]
        cluster_role = next(one for one in roles if one["kind"] == "ClusterRole")
        role = next(one for one in roles if one["kind"] == "Role")

        def found(*held: Object) -> list[Finding]:
            return findings_about_permissions(
                world.facts(), world.wish(), world.manifest, HeldRoles(held[:1], held[1:])
            )

        assert found(cluster_role, role) == []
        assert found({"rules": [*cluster_role["rules"], *role["rules"]]}) == []
        for held in ((), ({}, role), ({**cluster_role, "rules": cluster_role["rules"][:-1]}, role), (cluster_role,)):
            [one] = found(*held)
            assert (one.id, one.acceptable) == ("upgrade.missing-permissions", True)
            assert one.evidence and "v1.7.0 lacks" in one.cause


class TestHybrid:
    """virt-operator 1.6.0 with imageTag v1.7.0: the images are of 1.7.0, all else is of 1.6.0."""

    @pytest.fixture(params=["1.6-half-applied", "1.8-healthy"])
    def hybrid(self, request: pytest.FixtureRequest, world: World) -> World:
        at(world, "v1.7.0", operator="v1.6.0", pin="v1.7.0", wanted="v1.7.0")
        world.kubevirt = world.status(request.param, {"v1.8.4": "v1.7.0"})
        world.kubevirt["spec"]["imageTag"] = "v1.7.0"
        world.kubevirt["status"]["operatorVersion"] = "v1.6.0"
        return world

    def test_it_is_at_what_its_operator_is(self, hybrid: World) -> None:
        facts = hybrid.facts()
        assert facts.is_hybrid
        assert running_version(facts) == Version(1, 6, 0)
        assert not arrived(facts, Version(1, 7, 0))

    def test_status_says_so(self, hybrid: World) -> None:
        [found] = findings_about_pins(hybrid.facts())
        assert (found.id, found.level) == ("kubevirt.hybrid", "warning")
        assert "method: operator and version: v1.7.0" in found.fix

    @pytest.mark.parametrize("wanted", ["v1.7.0", "v1.7.4"])
    def test_the_operator_of_the_images_version_or_a_later_patch_mends_it(self, hybrid: World, wanted: str) -> None:
        hybrid.version, hybrid.manifest = wanted, hybrid.release(wanted)
        by_id = {one.id: one.level for one in hybrid.findings()}
        assert by_id.pop("kubevirt.hybrid") == "warning"
        assert [id for id in by_id if id != "version.not-latest-patch"] in ([], ["upgrade.hop-in-progress"])
        assert actions(hybrid) == ([DRAIN, APPLY, WAIT] if wanted == "v1.7.0" else [DRAIN, APPLY, LEAD, SET, WAIT])

    @pytest.mark.parametrize(("wanted", "level"), [("v1.6.6", "warning"), ("v1.7.4", "blocker"), ("v1.6.0", "blocker")])
    def test_images_behind_their_operator_are_brought_to_it_by_the_tag(
        self, world: World, wanted: str, level: str
    ) -> None:
        at(world, "v1.5.3", operator="v1.6.6", pin="v1.5.3", wanted=wanted)
        found = next(one for one in world.findings() if one.id == "kubevirt.hybrid")
        assert found.level == level
        assert "method: image_tag and version: v1.6.6" in found.fix
        if level == "warning":
            assert actions(world) == [DRAIN, SET, WAIT]

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [("v1.6.6", "upgrade.makes-hybrid"), ("v1.6.0", "kubevirt.hybrid")],
    )
    def test_others_do_not(self, hybrid: World, wanted: str, expected: str) -> None:
        hybrid.version, hybrid.manifest = wanted, hybrid.release(wanted)
        blockers = [one.id for one in hybrid.findings() if one.level == "blocker"]
        assert expected in blockers and "kubevirt.hybrid" in blockers

    def test_a_later_operator_whose_leader_is_still_the_old_one_has_not_arrived(self, hybrid: World) -> None:
        hybrid.apply_operator("v1.7.0")
        hybrid.rolled_out()
        assert not hybrid.facts().is_hybrid
        assert not arrived(hybrid.facts(), Version(1, 7, 0))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"imageTag": "v1.7.0"}, "spec has imageTag=v1.7.0;"),
        ({"imageRegistry": "r.example/kv"}, "spec has imageRegistry=r.example/kv;"),
        ({"imageTag": "v1.7.0", "imageRegistry": "r"}, "spec has imageTag=v1.7.0, imageRegistry=r;"),
    ],
)
def test_a_pin_is_worth_a_word(world: World, spec: Object, words: str) -> None:
    world.kubevirt["spec"] |= spec
    [found] = findings_about_pins(world.facts())
    assert (found.id, found.level) == ("upgrade.pinned", "info")
    assert words in found.cause


class TestSteps:
    @pytest.mark.parametrize(
        ("running", "operator", "pin", "wanted", "wish", "expected"),
        [
            ("v1.7.0", "v1.7.0", None, "v1.8.4", {"method": "image_tag"}, [DRAIN, SET, WAIT]),
            ("v1.7.0", "v1.8.4", "v1.7.0", "v1.8.4", {}, [DRAIN, SET, WAIT]),
            ("v1.7.0", "v1.8.4", "v1.7.0", "v1.8.4", {"keep_pin": False}, [DRAIN, REMOVE, WAIT]),
            ("v1.7.0", "v1.8.4", "v1.7.0", "v1.8.4", {"wait": False}, [DRAIN, SET]),
            ("v1.7.0", "v1.8.4", "v1.7.0", "v1.8.4", {"method": "operator"}, [DRAIN, LEAD, SET, WAIT]),
            ("v1.7.0", "v1.7.0", "v1.7.0", "v1.8.4", {}, [DRAIN, APPLY, LEAD, SET, WAIT]),
            ("v1.7.0", "v1.7.0", "v1.7.0", "v1.8.4", {"keep_pin": False}, [DRAIN, APPLY, LEAD, REMOVE, WAIT]),
            ("v1.7.0", "v1.7.0", "v1.7.0", "v1.8.4", {"wait": False}, [DRAIN, APPLY, LEAD, SET]),
            ("v1.7.0", "v1.7.0", "v1.8.4", "v1.8.4", {}, [DRAIN, APPLY, WAIT]),
            ("v1.5.3", "v1.5.3", "v1.5.3", "v1.6.6", {}, [DRAIN, REMOVE, APPLY, LEAD, SET, WAIT]),
            ("v1.5.3", "v1.5.3", "v1.5.3", "v1.6.6", {"keep_pin": False}, [DRAIN, REMOVE, APPLY, WAIT]),
            ("v0.57.1", "v0.57.1", "v0.57.1", "v0.58.0", {}, [DRAIN, APPLY, LEAD, SET, WAIT]),
            ("v1.8.4", "v1.8.4", "v1.8.4", "v1.8.4", {}, []),
            ("v1.8.4", "v1.8.4", "v1.8.4", "v1.8.4", {"keep_pin": False}, [DRAIN, REMOVE, WAIT]),
        ],
    )
    def test_in_their_order(
        self,
        world: World,
        running: str,
        operator: str,
        pin: str | None,
        wanted: str,
        wish: Object,
        expected: list[str],
    ) -> None:
        at(world, running, operator=operator, pin=pin, wanted=wanted)
        assert actions(world, **wish) == expected

    def test_the_methods_are_held_around_a_tag_as_around_a_manifest(self, world: World) -> None:
        at(world, "v1.7.0", operator="v1.8.4", pin="v1.7.0", wanted="v1.8.4").set_methods("LiveMigrate")
        assert actions(world) == [HOLD, DRAIN, SET, WAIT, RESTORE]

    def test_the_diff_shows_tag_and_methods_of_the_one_object(self, world: World) -> None:
        at(world, "v1.7.0", operator="v1.8.4", pin="v1.7.0", wanted="v1.8.4").set_methods("LiveMigrate")
        [entry] = upgrade_plan.diff_of(world.plan(restore_methods=False).steps)
        assert (entry["before"], entry["after"]) == (
            {"workloadUpdateMethods": ["LiveMigrate"], "imageTag": "v1.7.0"},
            {"workloadUpdateMethods": [], "imageTag": "v1.8.4"},
        )

    def test_a_pin_that_goes_for_a_while_shows_where_it_ends(self, world: World) -> None:
        at(world, "v1.5.3", operator="v1.5.3", pin="v1.5.3", wanted="v1.6.6")
        [tag] = [one for one in upgrade_plan.diff_of(world.plan().steps) if one["before_header"].startswith("KubeVirt")]
        assert (tag["before"], tag["after"]) == ({"imageTag": "v1.5.3"}, {"imageTag": "v1.6.6"})

    def test_the_path_names_the_method(self, world: World) -> None:
        at(world, "v1.7.0", operator="v1.8.4", pin="v1.7.0", wanted="v1.8.4")
        [hop] = world.path()
        assert (hop["from"], hop["to"], hop["method"]) == ("v1.7.0", "v1.8.4", "image_tag")
