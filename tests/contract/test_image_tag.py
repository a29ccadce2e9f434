# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The update by spec.imageTag, with the manifests of two releases and a real API server."""

from __future__ import annotations

import copy
import typing as t
from collections.abc import Iterator

import pytest
import yaml

from tests.contract.conftest import FROM, HEALTHY, TO, World
from tests.contract.test_refusals import refused, untouched
from tests.support.kubevirt import KUBEVIRT, OPERATOR
from tests.support.lab import Json, mutating

MISSING = "upgrade.missing-permissions"


@pytest.fixture
def unpinned(world: World) -> Iterator[World]:
    """The pin is taken away afterwards."""
    yield world
    world.patch(KUBEVIRT, {"spec": {"imageTag": None}})
    world.status(HEALTHY)


def image_tag(world: World) -> str | None:
    return t.cast("str | None", world.lab.get(*KUBEVIRT)["spec"].get("imageTag"))


@pytest.mark.parametrize("check", [True, False])
def test_missing_permissions_are_named_before_any_write(world: World, check: bool) -> None:
    with untouched(world):
        result = world.upgrade(method="image_tag", check=check)
        refused(result, f"[{MISSING}]", "Use method: operator", f"accept: [{MISSING}]")
    found = result.finding(MISSING)
    # What 1.8 can do and 1.7 cannot, by the rules of both releases.
    assert "lacks 71 permissions" in found["cause"]
    assert "backup.kubevirt.io" in found["evidence"]
    assert result.data["path"][0]["method"] == "image_tag"


@pytest.fixture
def as_olm_names_it(world: World) -> Iterator[World]:
    """The operator's roles and bindings under other names."""
    names = {"ClusterRole": "kubevirtoperator.v1.7.0-4xkz9", "Role": "kubevirtoperator.v1.7.0-d7f2c"}
    kinds = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
    originals = [one for one in yaml.safe_load_all(world.manifests[FROM].read_text()) if one and one["kind"] in kinds]
    originals = [one for one in originals if one["metadata"]["name"] != "kubevirt.io:operator"]
    renamed = copy.deepcopy(originals)
    for one in renamed:
        one["metadata"]["name"] = names[one["kind"].removesuffix("Binding")]
        if "roleRef" in one:
            one["roleRef"]["name"] = names[one["roleRef"]["kind"]]
    swap(world, originals, renamed)
    yield world
    swap(world, renamed, originals)


def swap(world: World, gone: list[Json], come: list[Json]) -> None:
    world.lab.kubectl("delete", "-f", "-", stdin=yaml.safe_dump_all(gone))
    world.lab.kubectl("create", "-f", "-", stdin=yaml.safe_dump_all(come))


def test_permissions_are_found_under_any_name(as_olm_names_it: World) -> None:
    position = as_olm_names_it.lab.audit_position()
    with untouched(as_olm_names_it):
        refused(as_olm_names_it.upgrade(method="image_tag"), f"[{MISSING}]", "lacks 71 permissions")
    uris = [request["requestURI"] for request in as_olm_names_it.lab.audited(position)]
    assert len([uri for uri in uris if "bindings?" in uri]) == 2
    assert (
        len([uri for uri in uris if "/clusterroles/kubevirtoperator" in uri or "/roles/kubevirtoperator" in uri]) == 2
    )


def test_accepted_it_sets_the_tag_and_nothing_else(unpinned: World) -> None:
    options = {"method": "image_tag", "accept": [MISSING], "wait": False}
    position = unpinned.lab.audit_position()
    predicted = unpinned.upgrade(check=True, **options)
    assert mutating(unpinned.lab.audited(position)) == []

    position = unpinned.lab.audit_position()
    done = unpinned.upgrade(**options)
    assert done.code == 0, done.message
    written = [one for one in mutating(unpinned.lab.audited(position)) if "dryRun" not in one and "/leases" not in one]
    assert written == [
        "patch /apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts/kubevirt?fieldManager=kubevirt.lifecycle"
    ]
    assert image_tag(unpinned) == TO
    assert (
        done.data["diff"]
        == predicted.data["diff"]
        == [
            {
                "before_header": "KubeVirt kubevirt/kubevirt",
                "after_header": "KubeVirt kubevirt/kubevirt",
                "before": {},
                "after": {"imageTag": TO},
            }
        ]
    )
    assert done.data["actions"] == predicted.data["actions"]

    position = unpinned.lab.audit_position()
    again = unpinned.upgrade(**options)
    assert (again.code, again.data["changed"]) == (0, False)
    assert mutating(unpinned.lab.audited(position)) == []


def test_an_empty_tag_is_none(unpinned: World) -> None:
    unpinned.patch(KUBEVIRT, {"spec": {"imageTag": ""}})
    unpinned.status(HEALTHY)
    done = unpinned.upgrade(method="image_tag", accept=[MISSING], wait=False)
    assert done.code == 0, done.message
    assert image_tag(unpinned) == TO


def test_an_operator_that_would_install_its_own_manifests(world: World) -> None:
    world.lab.kubectl("set", "env", *OPERATOR, "KUBEVIRT_VERSION=v1.6.0")
    old = {
        **HEALTHY,
        **dict.fromkeys(("operatorVersion", "observedKubeVirtVersion", "targetKubeVirtVersion"), "v1.6.0"),
    }
    world.status(old)
    try:
        with untouched(world):
            refused(
                world.upgrade(version=FROM, manifest=str(world.manifests[FROM]), method="image_tag"),
                "[upgrade.makes-hybrid]",
                "virt-operator v1.6.0 would run the images of v1.7.0 with its own manifests",
            )
    finally:
        world.lab.kubectl("set", "env", *OPERATOR, f"KUBEVIRT_VERSION={FROM}")
        world.status(HEALTHY)


def test_pinned_and_the_operators_method_moves_the_pin_last(unpinned: World) -> None:
    unpinned.patch(KUBEVIRT, {"spec": {"imageTag": FROM}})
    unpinned.status(HEALTHY)
    with untouched(unpinned):
        result = unpinned.upgrade(check=True)
    assert result.code == 0, result.message
    assert [one["action"] for one in result.data["actions"] if one["action"] != "apply"] == [
        "drain-migrations",
        "wait-operator",
        "set-image-tag",
        "wait",
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pin": "remove"}, "pin: remove is not possible with method: image_tag here: the operator is at v1.7.0"),
        ({"image_registry": "r.example/kv"}, "image_registry: r.example/kv cannot be reached by method: image_tag"),
    ],
)
def test_options_that_it_cannot_serve(world: World, options: dict[str, str], words: str) -> None:
    with untouched(world):
        refused(world.upgrade(method="image_tag", **options), words)
