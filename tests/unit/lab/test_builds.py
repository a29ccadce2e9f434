# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lab builds: the releases that it has at hand, and those that are built on demand."""

from __future__ import annotations

import typing as t

import pytest
from kvlab import builds, cli, real_images

ON_DEMAND = sorted(set(builds.KUBEVIRT_VERSIONS) - set(builds.USUAL_VERSIONS))


def releases_of_up(monkeypatch: pytest.MonkeyPatch, *options: str) -> list[str]:
    """The releases that ``up`` with these options would build and import."""
    asked: dict[str, t.Any] = {}
    monkeypatch.setattr(cli, "up", lambda _lab, **wanted: asked.update(wanted))
    cli.run(cli.parser().parse_args(["up", *options]))
    return list(asked["releases"])


def sets_built(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[str]:
    """The sets that ``build`` with these arguments would make sure of."""
    asked: list[str] = []
    monkeypatch.setattr(builds, "ensure", asked.extend)
    cli.run(cli.parser().parse_args(["build", *arguments]))
    return asked


def test_there_is_a_release_that_is_built_on_demand() -> None:
    assert ON_DEMAND == ["v1.6.0", "v1.9.0-lab.1"]


def test_up_takes_the_usual_releases_or_those_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert releases_of_up(monkeypatch) == list(builds.USUAL_VERSIONS)
    for version in ON_DEMAND:
        assert releases_of_up(monkeypatch, "--release", version) == [version]


def test_build_leaves_out_what_is_built_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    on_demand = [*map(builds.set_of, ON_DEMAND), *real_images.sets(real_images.RELEASES)]
    assert sorted([*sets_built(monkeypatch), *on_demand]) == sorted(builds.SETS)
    assert sets_built(monkeypatch, *on_demand) == on_demand


@pytest.mark.parametrize("version", sorted(set(builds.KUBEVIRT_VERSIONS) - set(builds.RELABELLED)))
def test_a_release_is_built_from_its_own_modules(version: str) -> None:
    lines = (builds.SOURCES / builds.set_of(version) / "go.mod").read_text(encoding="utf-8").splitlines()
    assert f"\tkubevirt.io/kubevirt {version} // indirect" in lines
    for module in ("kubevirt.io/api", "kubevirt.io/client-go"):
        assert f"\t{module} => {module} {version}" in lines


def test_a_relabelled_version_is_built_from_a_release_and_is_none_itself() -> None:
    for version, release in builds.RELABELLED.items():
        build = builds.SETS[builds.set_of(version)]
        assert build.source == builds.SETS[builds.set_of(release)].source
        assert version in build.stamped.values() and release not in build.stamped.values()
        assert "-lab." in version
