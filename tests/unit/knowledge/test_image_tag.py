# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""spec.imageTag, and what operators of each era make of it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import image_tag
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.versions import Version


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("v0.17.0", False),
        ("v0.58.0", False),
        ("v0.58.1", True),
        ("v0.59.2", True),
        ("v1.6.6", True),
        ("v1.7.0-rc.0", True),
        ("v1.7.0", False),
        ("v1.8.4", False),
    ],
)
def test_operators_that_install_their_own_manifests_whatever_the_tag(version: str, expected: bool) -> None:
    assert image_tag.keeps_own_manifests(Version.parse(version)) is expected


@pytest.mark.parametrize(
    ("operator", "wanted", "expected"),
    [
        ("v0.54.0", "v0.55.2", ["Route"]),
        ("v0.55.0", "v0.55.2", []),
        ("v0.19.0", "v0.20.8", ["SecurityContextConstraints", "ServiceMonitor"]),
        ("v0.57.1", "v0.58.0", []),
        ("v1.7.0", "v1.8.4", []),
        ("v1.8.4", "v1.7.0", []),
    ],
)
def test_kinds_that_an_operator_does_not_know(operator: str, wanted: str, expected: list[str]) -> None:
    assert image_tag.kinds_unknown_to(Version.parse(operator), Version.parse(wanted)) == expected


@pytest.mark.parametrize(
    ("spec", "tag", "expected"),
    [
        ({}, "v1.8.4", [("test", None), ("add", "v1.8.4")]),
        ({"imageTag": ""}, "v1.8.4", [("test", ""), ("add", "v1.8.4")]),
        ({"imageTag": "v1.7.0"}, "v1.8.4", [("test", "v1.7.0"), ("add", "v1.8.4")]),
        ({"imageTag": "v1.7.0"}, None, [("test", "v1.7.0"), ("remove", None)]),
    ],
)
def test_the_tag_is_moved_from_what_it_is(
    spec: dict[str, t.Any], tag: str | None, expected: list[tuple[str, str | None]]
) -> None:
    patch = image_tag.tag_patch({"spec": spec}, tag)
    assert [(operation["op"], operation.get("value")) for operation in patch] == expected
    assert {operation["path"] for operation in patch} == {"/spec/imageTag"}


@pytest.mark.parametrize("kubevirt", [{}, {"spec": None}, {"spec": {"imageTag": "", "imageRegistry": ""}}])
def test_not_pinned(kubevirt: dict[str, t.Any]) -> None:
    assert (image_tag.image_tag(kubevirt), image_tag.image_registry(kubevirt)) == (None, None)
