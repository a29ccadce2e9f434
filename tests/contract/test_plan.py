# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade over several hops would do: the whole path, from manifests in a folder, without a write."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.contract.conftest import FROM, TO, World
from tests.contract.test_refusals import refused, untouched

# Not a release: the manifest of v1.8.4 under another name, for a step further on.
NEXT = "v1.9.0-lab.1"
RELEASES = f"add: [{NEXT}]\n"


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    """v1.8.4/kubevirt-operator.yaml and that of the version after it."""
    manifest = world.manifests[TO].read_text()
    for version in (TO, NEXT):
        (tmp_path / version).mkdir()
        (tmp_path / version / "kubevirt-operator.yaml").write_text(manifest.replace(TO, version))
    return tmp_path


def hops(data: dict[str, object]) -> list[tuple[str, str]]:
    path = data["path"]
    assert isinstance(path, list)
    return [(hop["from"], hop["to"]) for hop in path]


def test_plan_and_check_mode_name_the_same_hops_without_a_write(world: World, folder: Path) -> None:
    options = {"kubevirt_version": NEXT, "kubevirt_manifest": str(folder), "kubevirt_releases": RELEASES}
    with untouched(world):
        planned = world.lab.playbook("plan", **options)
        checked = world.lab.playbook("upgrade", "--check", **options)
    for done in (planned, checked):
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"1. {FROM} -> {TO}  by the operator's manifest" in done.stdout
        assert f"2. {TO} -> {NEXT}  by the operator's manifest" in done.stdout
    assert "changed=0" in planned.stdout and "changed=1" in checked.stdout


@pytest.mark.parametrize(("version", "code", "words"), [(NEXT, 0, "## Next"), ("v1.6.6", 2, "version.downgrade")])
def test_the_plan_is_written_as_markdown_and_shown_also_if_it_is_refused(
    world: World, folder: Path, version: str, code: int, words: str
) -> None:
    options = {"kubevirt_version": version, "kubevirt_manifest": str(folder), "kubevirt_releases": RELEASES}
    with untouched(world):
        done = world.lab.playbook("plan", kubevirt_plan_file=f"{folder}/{{{{ inventory_hostname }}}}.md", **options)
    assert done.returncode == code, done.stdout + done.stderr
    assert f'"Upgrade     {FROM} -> {version}"' in done.stdout
    document = (folder / "localhost.md").read_text()
    assert document.startswith(f"# Upgrade of KubeVirt: {FROM} -> {version}\n")
    assert words in document
    assert ("**Refused before any change.**" in document) is (code != 0)


def test_the_next_command_plans_the_same(world: World, folder: Path) -> None:
    options = {"version": NEXT, "manifest": str(folder), "releases": RELEASES, "kubeconfig": str(world.lab.kubeconfig)}
    result = world.lab.module("kubevirt_upgrade", options, check=True)
    assert hops(result.data) == [(FROM, TO), (TO, NEXT)]
    assert [hop["projected"] for hop in result.data["path"]] == [False, True]
    program, playbook, *arguments = shlex.split(result.data["next"])
    assert (program, playbook) == ("ansible-playbook", "kubevirt.lifecycle.upgrade")
    given: dict[str, object] = {}
    for flag, value in zip(arguments[::2], arguments[1::2], strict=True):
        assert flag == "-e"
        given.update(json.loads(value) if value.startswith("{") else [value.split("=", 1)])
    assert given["kubevirt_version"] == NEXT and given["kubevirt_manifest"] == str(folder)


def test_every_manifest_of_the_path_is_read_before_the_first_write(world: World, folder: Path) -> None:
    (folder / NEXT / "kubevirt-operator.yaml").unlink()
    with untouched(world):
        refused(
            world.upgrade(version=NEXT, manifest=str(folder), releases=RELEASES),
            f"manifest: the file {folder}/{NEXT}/kubevirt-operator.yaml cannot be read",
        )


def test_a_mirror_without_a_minor_in_between(world: World, folder: Path) -> None:
    with untouched(world):
        refused(
            world.upgrade(version=NEXT, manifest=str(folder), releases=f"only: [{NEXT}]\n"),
            "[version.unavailable]",
            "1.8",
        )
