# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way from any version to any other: invariants for every pair, the refusals, and what Kubernetes each hop needs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import releases_file
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import CATALOGUE
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.kubernetes_versions import KubernetesVersion
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.paths import (
    PathError,
    PathHop,
    PathRefused,
    path_along,
    path_between,
    version_of,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.releases import KNOWN, Releases
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.versions import (
    Hop,
    Version,
    VersionError,
    hop,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.way_back import WHY_NOT

MINORS = [release.minor for release in KNOWN.minors]
ENDS = sorted({version for release in KNOWN.minors for version in (release.versions[0], release.versions[-1])})

MIRROR = "only: [v1.7.2, v1.8.1]"
NEXT_MINOR = "add: [v1.10.0]\nkubernetes:\n  1.10: {min: 1.35, max: 1.37}"
NOTHING_SHARED = "add: [v1.10.0]\nkubernetes:\n  1.10: {min: 1.38, max: 1.39}"


def v(text: str) -> Version:
    return Version.parse(text)


def k(text: str | None) -> KubernetesVersion | None:
    return KubernetesVersion.parse(text) if text else None


def of_file(text: str) -> Releases:
    return releases_file.parse(text, "releases.yml")


def between(
    running: str, wanted: str, releases: Releases = KNOWN, kubernetes: str | None = None, strict: bool = False
) -> tuple[PathHop, ...]:
    return path_between(v(running), v(wanted), releases, kubernetes=k(kubernetes), strict_patches=strict)


def along(
    running: str, path: Sequence[str], releases: Releases = KNOWN, kubernetes: str | None = None
) -> tuple[PathHop, ...]:
    return path_along(v(running), [v(text) for text in path], releases, kubernetes=k(kubernetes))


def stops(hops: Sequence[PathHop]) -> list[str]:
    return [str(one.to_version) for one in hops]


def check(hops: Sequence[PathHop], running: Version, wanted: Version, releases: Releases) -> None:
    """What holds for every path, however it came about."""
    assert hops[0].from_version == running
    assert hops[-1].to_version == wanted
    assert all(earlier.to_version == later.from_version for earlier, later in pairwise(hops))
    for one in hops:
        assert one.kind is hop(one.from_version, one.to_version)
        assert one.kind in (Hop.PATCH, Hop.MINOR)
        assert one.from_version < one.to_version
        assert releases.offers(one.to_version)
        assert str(one.to_version) not in releases.withdrawn
        assert one.why.endswith(".")


def check_kubernetes(hops: Sequence[PathHop], running: KubernetesVersion, releases: Releases) -> None:
    """Doing what the hops ask for, Kubernetes fits every hop's end, or is named as too new."""
    now = running
    for one in hops:
        fit, end = one.kubernetes, releases.kubernetes_of(one.to_version)
        assert end is not None
        if fit.first:
            assert now < fit.first
            now = fit.first
        assert end.min <= now
        assert fit.too_new == (now > end.max)
        assert bool(fit.note) == (fit.too_new or fit.first is not None)
        if fit.first:
            assert f"needs Kubernetes {fit.first} or later first" in fit.note
            assert fit.first == end.min


@pytest.mark.parametrize("minor", MINORS)
def test_every_pair_of_releases(minor: str) -> None:
    fits = KNOWN.kubernetes_of(v(f"{minor}.0"))
    assert fits is not None
    for running in (version for version in ENDS if version.minor_line == minor):
        for wanted in ENDS:
            if wanted < running:
                with pytest.raises(PathRefused) as refused:
                    path_between(running, wanted, KNOWN, kubernetes=None)
                assert refused.value.id == "version.downgrade"
                continue
            for kubernetes, strict in ((fits.min, False), (fits.max, True)):
                hops = path_between(running, wanted, KNOWN, kubernetes=kubernetes, strict_patches=strict)
                if wanted == running:
                    assert hops == ()
                    continue
                check(hops, running, wanted, KNOWN)
                check_kubernetes(hops, kubernetes, KNOWN)
                assert not any(one.kubernetes.too_new for one in hops), "what fits the start never gets too new"
                minors = [one.to_version.minor_line for one in hops if one.kind is Hop.MINOR]
                assert [minor, *minors] == MINORS[MINORS.index(minor) : MINORS.index(wanted.minor_line) + 1]
                assert all(one.later_to is None for one in hops[:-1]), "the latest patch of each minor on the way"
                if strict and minors:
                    start = next(one for one in hops if one.kind is Hop.MINOR).from_version
                    assert start >= (KNOWN.latest_patch(start) or start)


@pytest.mark.parametrize(
    ("running", "wanted", "strict", "expected"),
    [
        ("v1.6.0", "v1.9.0", False, ["v1.7.4", "v1.8.4", "v1.9.0"]),
        ("v1.6.0", "v1.9.0", True, ["v1.6.6", "v1.7.4", "v1.8.4", "v1.9.0"]),
        ("v1.6.6", "v1.9.0", True, ["v1.7.4", "v1.8.4", "v1.9.0"]),
        ("v1.6.9", "v1.8.0", True, ["v1.7.4", "v1.8.0"]),  # newer than known
        ("v1.8.0", "v1.8.3", True, ["v1.8.3"]),
        ("v1.8.0", "v1.8.4", False, ["v1.8.4"]),
        ("v0.46.0", "v0.48.1", False, ["v0.47.1", "v0.48.1"]),  # past the withdrawn v0.47.0
        ("v0.47.0", "v0.48.1", False, ["v0.48.1"]),
        ("v0.47.0", "v0.47.0", False, []),
        ("v0.58.2", "v1.0.1", False, ["v0.59.2", "v1.0.1"]),
        ("v0.17.0-alpha.1", "v0.17.0", False, ["v0.17.0"]),  # the user guide's example
        ("v1.7.2-acme.3", "v1.8.4", False, ["v1.8.4"]),  # a fork
        ("v1.8.4", "v1.9.0-rc.1", False, ["v1.9.0-rc.1"]),
        ("1.8.4", "1.9.0", False, ["v1.9.0"]),
    ],
)
def test_the_way(running: str, wanted: str, strict: bool, expected: list[str]) -> None:
    hops = between(running, wanted, strict=strict)
    assert stops(hops) == expected
    if hops:
        check(hops, v(running), v(wanted), KNOWN)


def test_each_hop_says_why() -> None:
    assert [one.why for one in between("v1.6.0", "v1.8.4", strict=True)] == [
        "strict_patches leaves 1.6 only from its latest patch.",
        "No minor may be left out; of 1.7 it is the latest patch that can be had.",
        "It is the wanted version.",
    ]
    assert [one.why for one in along("v1.6.0", ["v1.7.0"])] == ["The given path names it."]


@pytest.mark.parametrize(
    ("running", "wanted", "later_to", "listed"),
    [
        ("v1.7.4", "v1.8.4", None, True),
        ("v1.7.0", "v1.8.1", "v1.8.4", True),
        ("v1.7.9", "v1.8.9", None, False),
        ("v1.8.1", "v1.8.2", "v1.8.4", True),
    ],
)
def test_a_hop_names_a_later_patch(running: str, wanted: str, later_to: str | None, listed: bool) -> None:
    (one,) = between(running, wanted)
    assert (one.later_to and str(one.later_to)) == later_to
    assert one.listed is listed


@pytest.mark.parametrize(
    ("running", "wanted", "releases", "expected"),
    [
        ("v1.6.6", "v1.8.1", MIRROR, ["v1.7.2", "v1.8.1"]),
        ("v1.7.4", "v1.8.1", MIRROR, ["v1.8.1"]),  # the running one need not be in the mirror
        ("v1.7.0", "v1.10.0", NEXT_MINOR, ["v1.8.4", "v1.9.0", "v1.10.0"]),
        ("v1.9.0", "v1.10.3", NEXT_MINOR, ["v1.10.3"]),
        ("v1.6.6", "v1.8.3", "add: [v1.7.5]", ["v1.7.5", "v1.8.3"]),
        ("v1.6.6", "v1.8.4", "withdrawn: {v1.7.4: It loses disks.}", ["v1.7.3", "v1.8.4"]),
    ],
)
def test_the_way_over_a_users_releases(running: str, wanted: str, releases: str, expected: list[str]) -> None:
    known = of_file(releases)
    hops = between(running, wanted, known)
    assert stops(hops) == expected
    check(hops, v(running), v(wanted), known)


def test_from_a_minor_that_is_not_known_to_one_that_is() -> None:
    known = of_file("add: [v1.11.0]\nkubernetes:\n  1.11: {min: 1.36, max: 1.38}")
    (one,) = between("v1.10.2", "v1.11.0", known, kubernetes="1.35")
    assert one.kind is Hop.MINOR
    assert one.kubernetes.first == k("1.36")
    assert "share 1.36 to 1.38" in one.kubernetes.note


@pytest.mark.parametrize(
    ("running", "wanted", "releases", "id", "cause", "fix"),
    [
        (
            "v1.8.4",
            "v1.7.4",
            "{}",
            "version.downgrade",
            f"It runs v1.8.4, which is newer than v1.7.4. {WHY_NOT}",
            "Ask for v1.8.4 or a later version. If v1.8.4 has a fault, a later patch of it is the way out.",
        ),
        (
            "v0.16.3",
            "v1.8.4",
            "{}",
            "version.before-first-supported",
            "The way from v0.16.3 to v1.8.4 touches a release before v0.17.0, from which no update is supported.",
            "Remove KubeVirt and install a current release.",
        ),
        (
            "v0.46.1",
            "v0.47.0",
            "{}",
            "version.withdrawn",
            "KubeVirt v0.47.0 was withdrawn: it prevented updates; v0.47.1 replaces it (kubevirt/kubevirt#6565, #6775).",
            "Ask for v0.47.1.",
        ),
        (
            "v1.9.0",
            "v1.10.0",
            f"{NEXT_MINOR}\nwithdrawn: {{v1.10.0: It loses disks.}}",
            "version.withdrawn",
            "KubeVirt v1.10.0 was withdrawn: It loses disks.",
            "Ask for a release that was not withdrawn.",
        ),
        (
            "v1.8.4",
            "v1.10.0",
            "{}",
            "version.unavailable",
            "No KubeVirt 1.10 is known, so v1.10.0 is not.",
            "Ask for v1.9.0, or add v1.10.0 and the Kubernetes versions of 1.10 to your releases file.",
        ),
        (
            "v1.9.0",
            "v1.10.0",
            "{}",
            "version.unavailable",
            "No KubeVirt 1.10 is known, so v1.10.0 is not.",
            "If it exists, add v1.10.0 and the Kubernetes versions of 1.10 to your releases file.",
        ),
        (
            "v1.7.4",
            "v1.80.4",
            "{}",
            "version.unavailable",
            "No KubeVirt 1.80 is known, so v1.80.4 is not.",
            "Ask for v1.8.4, or add v1.80.4 and the Kubernetes versions of 1.80 to your releases file.",
        ),
        (
            "v1.7.2",
            "v1.8.4",
            MIRROR,
            "version.unavailable",
            "Your releases file does not offer v1.8.4.",
            "Ask for v1.8.1, or add v1.8.4 to that file.",
        ),
        (
            "v1.5.3",
            "v1.8.1",
            MIRROR,
            "version.unavailable",
            "The way from v1.5.3 to v1.8.1 leads over 1.6, and no release of 1.6 can be had.",
            "Name one in your releases file.",
        ),
        (
            "v1.9.0",
            "v1.11.0",
            "add: [v1.11.0]\nkubernetes:\n  1.11: {min: 1.36, max: 1.38}",
            "version.unavailable",
            "The way from v1.9.0 to v1.11.0 leads over 1.10, and no release of 1.10 can be had.",
            "Name one in your releases file, and the Kubernetes versions of 1.10.",
        ),
    ],
)
def test_refused(running: str, wanted: str, releases: str, id: str, cause: str, fix: str) -> None:
    with pytest.raises(PathRefused) as refused:
        between(running, wanted, of_file(releases))
    assert (refused.value.id, refused.value.cause, refused.value.fix) == (id, cause, fix)
    assert id in CATALOGUE
    assert str(refused.value) == f"{cause} {fix}"


PATH = ["v1.7.0", "v1.8.4", "v1.9.0"]


@pytest.mark.parametrize(
    ("running", "expected"),
    [
        ("v1.6.6", ["v1.7.0", "v1.8.4", "v1.9.0"]),
        ("v1.7.0", ["v1.8.4", "v1.9.0"]),  # goes on after a stop
        ("v1.7.4", ["v1.8.4", "v1.9.0"]),
        ("v1.8.4", ["v1.9.0"]),
        ("v1.9.0", []),
    ],
)
def test_a_given_path_from_where_the_cluster_is(running: str, expected: list[str]) -> None:
    hops = along(running, PATH)
    assert stops(hops) == expected
    if hops:
        check(hops, v(running), v("v1.9.0"), KNOWN)


def test_a_given_path_may_take_patches_and_versions_that_are_not_the_latest() -> None:
    hops = along("v1.6.0", ["v1.6.6", "v1.7.0", "v1.7.4"])
    assert [(one.kind, one.later_to) for one in hops] == [
        (Hop.PATCH, None),
        (Hop.MINOR, v("v1.7.4")),
        (Hop.PATCH, None),
    ]


@pytest.mark.parametrize(
    ("running", "path", "releases", "id", "cause", "fix"),
    [
        (
            "v1.6.6",
            ["v1.8.4"],
            "{}",
            "version.skips-minor",
            "The path goes from v1.6.6 to v1.8.4, which leaves out 1.7.",
            "Put v1.7.4 between them.",
        ),
        (
            "v1.6.6",
            ["v1.7.4", "v1.9.0"],
            "only: [v1.7.4, v1.9.0]",
            "version.skips-minor",
            "The path goes from v1.7.4 to v1.9.0, which leaves out 1.8.",
            "Put a release of 1.8 between them.",
        ),
        (
            "v1.9.0",
            ["v1.7.4", "v1.8.4"],
            "{}",
            "version.downgrade",
            f"It runs v1.9.0, which is newer than v1.8.4. {WHY_NOT}",
            "Ask for v1.9.0 or a later version. If v1.9.0 has a fault, a later patch of it is the way out.",
        ),
        (
            "v0.46.1",
            ["v0.47.0", "v0.48.1"],
            "{}",
            "version.withdrawn",
            "KubeVirt v0.47.0 was withdrawn: it prevented updates; v0.47.1 replaces it (kubevirt/kubevirt#6565, #6775).",
            "Ask for v0.47.1.",
        ),
        (
            "v1.6.6",
            ["v1.7.4", "v1.8.1"],
            MIRROR,
            "version.unavailable",
            "Your releases file does not offer v1.7.4.",
            "Ask for v1.7.2, or add v1.7.4 to that file.",
        ),
        (
            "v0.16.0",
            ["v0.17.4"],
            "{}",
            "version.before-first-supported",
            "The way from v0.16.0 to v0.17.4 touches a release before v0.17.0, from which no update is supported.",
            "Remove KubeVirt and install a current release.",
        ),
    ],
)
def test_a_given_path_is_checked_step_by_step(
    running: str, path: list[str], releases: str, id: str, cause: str, fix: str
) -> None:
    with pytest.raises(PathRefused) as refused:
        along(running, path, of_file(releases))
    assert (refused.value.id, refused.value.cause, refused.value.fix) == (id, cause, fix)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ([], "The path is empty. Name the versions in their order, such as [v1.7.4, v1.8.4]."),
        (["v1.8.4", "v1.7.4"], "The path goes from v1.8.4 to v1.7.4. Put only later versions after v1.8.4."),
        (["v1.7.4", "1.7.4"], "The path goes from v1.7.4 to v1.7.4. Put only later versions after v1.7.4."),
    ],
)
def test_a_given_path_goes_up(path: list[str], message: str) -> None:
    with pytest.raises(PathError) as raised:
        along("v1.6.6", path)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("running", "wanted", "kubernetes", "first"),
    [
        ("v1.6.6", "v1.9.0", "1.33", [None, None, "1.34"]),
        ("v1.6.6", "v1.9.0", "1.32", [None, "1.33", "1.34"]),
        ("v1.6.6", "v1.9.0", "1.31", ["1.32", "1.33", "1.34"]),
        ("v1.6.6", "v1.9.0", "1.29", ["1.32", "1.33", "1.34"]),
        ("v1.6.6", "v1.9.0", None, [None, None, None]),
        ("v1.8.0", "v1.8.4", "1.32", ["1.33"]),
    ],
)
def test_where_kubernetes_goes_up_in_between(
    running: str, wanted: str, kubernetes: str | None, first: list[str | None]
) -> None:
    hops = between(running, wanted, kubernetes=kubernetes)
    assert [one.kubernetes.first for one in hops] == [k(text) for text in first]


@pytest.mark.parametrize(
    ("running", "wanted", "kubernetes", "releases", "note"),
    [
        ("v1.7.4", "v1.8.4", "1.33", "{}", ""),
        (
            "v1.7.4",
            "v1.8.4",
            "1.32",
            "{}",
            "v1.8.4 needs Kubernetes 1.33 or later first; v1.7.4 and v1.8.4 share 1.33 to 1.34.",
        ),
        (
            "v1.7.4",
            "v1.8.4",
            "1.36",
            "{}",
            "Kubernetes 1.36 is newer than what v1.8.4 is for: 1.33 to 1.35.",
        ),
        (
            "v0.27.0",
            "v0.28.0",
            "1.12",
            "{}",
            "v0.28.0 needs Kubernetes 1.13 or later first; v0.27.0 and v0.28.0 share 1.13 to 1.17. KubeVirt only tested these "
            "and promised none.",
        ),
        (
            "v0.27.0",
            "v0.28.0",
            "1.20",
            "{}",
            "Kubernetes 1.20 is newer than what v0.28.0 is for: 1.13 to 1.17. KubeVirt only tested these and promised none.",
        ),
        (
            "v1.9.0",
            "v1.10.0",
            "1.36",
            NOTHING_SHARED,
            "v1.10.0 needs Kubernetes 1.38 or later first; none is for both v1.9.0 (1.34 to 1.36) and v1.10.0 (1.38 to 1.39).",
        ),
    ],
)
def test_what_is_said_about_kubernetes(running: str, wanted: str, kubernetes: str, releases: str, note: str) -> None:
    (one,) = between(running, wanted, of_file(releases), kubernetes)
    assert one.kubernetes.note == note


def test_further_hops_mend_a_kubernetes_that_is_too_new() -> None:
    hops = between("v1.6.6", "v1.9.0", kubernetes="1.35")
    assert [one.kubernetes.too_new for one in hops] == [True, False, False]
    assert [one.kubernetes.first for one in hops] == [None, None, None]


@pytest.mark.parametrize("text", ["v1.8.4", "1.8.4", "v1.99.0"])
def test_a_version_may_lack_the_v_and_need_not_exist(text: str) -> None:
    assert version_of(text, KNOWN, v("v1.7.0")) == v(text)


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("v1.84", " Did you mean v1.8.4?"),
        ("v1.8,4", " Did you mean v1.8.4?"),
        ("1.8", " Did you mean v1.8.4?"),
        ("latest", ""),
    ],
)
def test_a_slip_is_answered_with_the_nearest_version(text: str, suggestion: str) -> None:
    with pytest.raises(VersionError) as raised:
        version_of(text, KNOWN, v("v1.7.0"))
    assert str(raised.value) == (
        f"{text!r} is not a KubeVirt version; write it as v1.8.4, or with a pre-release as v1.9.0-rc.1.{suggestion}"
    )
