# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What options name by a path, an address or a text, and what is said of one that cannot be used."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import ManifestUnavailable
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.releases import manifest_url
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.versions import Version
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import given_files
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.given_files import (
    check_ids_of_both,
    load_gates,
    load_manifest,
    load_releases,
    load_risks,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import InvalidOption

World = t.Any  # tests/unit/operations/conftest.py

TO = Version.parse("v1.7.0")
DEFAULTS = {option: spec.get("default") for option, spec in given_files.MANIFEST_OPTIONS.items()}
RISK = """
- id: user.moon
  level: blocker
  to: ">=1.6"
  when: "`true`"
  message: The moon is full.
  fix: Wait.
"""
GATE = """
- id: user.moon
  level: blocker
  objects: {api_version: v1, kind: Pod}
  when: "`true`"
  message: The moon is full.
  fix: Wait.
"""


@pytest.mark.parametrize("load", [load_releases, load_risks, load_gates])
def test_a_file_that_cannot_be_used_is_named_by_its_option(load: t.Callable[[t.Any], t.Any]) -> None:
    option = load.__name__.partition("_")[2]
    with pytest.raises(InvalidOption, match=rf"^{option}: "):
        load({option: "moon: full\n"})


def test_an_id_is_of_a_risk_or_of_a_gate() -> None:
    risks, gates = load_risks({"risks": RISK}), load_gates({"gates": GATE})
    with pytest.raises(InvalidOption, match=r"^gates: .*user\.moon"):
        check_ids_of_both(risks, gates)
    check_ids_of_both(risks, [])


def test_a_manifest_that_nobody_named_is_that_of_the_release(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    asked: list[str] = []

    def read(origin: str, **_how: t.Any) -> bytes:
        asked.append(origin)
        return bytes(world.text("v1.7.0"), "utf-8")

    monkeypatch.setattr(given_files, "read_manifest", read)
    assert load_manifest(DEFAULTS, TO, is_one_of_several=True).version == "v1.7.0"
    assert asked == [manifest_url(TO)]


@pytest.mark.parametrize("place", ["{folder}", "{folder}/{version}", "{folder}/{version}/kubevirt-operator.yaml"])
@pytest.mark.parametrize("is_one_of_several", [True, False])
def test_the_places_of_several_manifests(tmp_path: Path, world: World, place: str, is_one_of_several: bool) -> None:
    world.manifests(tmp_path, "v1.7.0")
    given = place.replace("{folder}", str(tmp_path))
    made = load_manifest({**DEFAULTS, "manifest": given}, TO, is_one_of_several=is_one_of_several)
    assert made.version == "v1.7.0"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"manifest": "/one.yaml"}, "manifest: /one.yaml is one manifest, and there are several hops"),
        ({"manifest": "kind: Namespace\n"}, "manifest: the given text is one manifest, and there are several hops"),
        ({"manifest_checksum": "sha256:0"}, "manifest_checksum: sha256:0 is for one manifest"),
    ],
)
def test_one_manifest_does_not_serve_several_hops(options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        load_manifest({**DEFAULTS, **options}, TO, is_one_of_several=True)
    assert words in str(caught.value)


def test_another_registry_and_namespace_are_those_that_it_is_applied_with(world: World) -> None:
    options = {"manifest": world.text("v1.7.0"), "image_registry": "r.example/kv", "manifest_namespace": "kv"}
    made = load_manifest({**DEFAULTS, **options}, TO, is_one_of_several=False)
    assert (made.registry, made.namespace) == ("r.example/kv", "kv")


def test_a_manifest_with_another_checksum(world: World) -> None:
    options = {"manifest": world.text("v1.7.0"), "manifest_checksum": f"sha256:{'0' * 64}"}
    with pytest.raises(ManifestUnavailable, match=r"the given text cannot be used: its checksum is not sha256:0"):
        load_manifest({**DEFAULTS, **options}, TO, is_one_of_several=False)
