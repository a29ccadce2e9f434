# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The way from one version of KubeVirt to another: its hops, and what Kubernetes they need.

KubeVirt's user guide (docs/cluster_admin/updating_and_deletion) supports the latest patch of a minor to the latest of the
next, and no minor may be left out (kubevirt/kubevirt#13783). Most clusters do not run a latest patch. One more roll-out
only to get there costs more than it gives, so the first hop starts from whatever patch runs; ``strict_patches`` goes
there first.

What breaks on a hop is not said here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .kubernetes_versions import KubernetesVersion
from .releases import Release, Releases
from .versions import Hop, Version, VersionError, before_first_supported, hop, next_minor_line
from .way_back import WHY_NOT


class PathError(ValueError):
    """A path that a user wrote down is none, whatever cluster it is for: one sentence for a person."""


class PathRefused(Exception):
    """There is no supported way.

    Attributes:
        id: The id of the finding that says so.
        cause: Why, one sentence.
        fix: What to do.
    """

    def __init__(self, id: str, cause: str, fix: str) -> None:
        super().__init__(f"{cause} {fix}")
        self.id = id
        self.cause = cause
        self.fix = fix


@dataclass(frozen=True)
class KubernetesFit:
    """How Kubernetes fits one hop.

    Attributes:
        first: The least version that Kubernetes must be brought to before the hop; None where it need not go up.
        too_new: What runs is newer than the hop's end is for. Kubernetes does not go back, so only further hops mend it.
        note: ``first`` or ``too_new`` as a sentence; empty where Kubernetes fits.
    """

    first: KubernetesVersion | None = None
    too_new: bool = False
    note: str = ""


@dataclass(frozen=True)
class PathHop:
    """One update of KubeVirt on the way.

    Attributes:
        from_version: Where it starts.
        to_version: Where it ends.
        kind: ``PATCH`` or ``MINOR``.
        why: Why it goes there, one sentence.
        kubernetes: How Kubernetes fits, if all that the hops before ask for was done and no more.
        later_to: The latest patch of the minor that it ends at, where that is a later one.
        listed: The releases name ``to_version``. If not, it may have come out since, or be a slip.
    """

    from_version: Version
    to_version: Version
    kind: Hop
    why: str
    kubernetes: KubernetesFit
    later_to: Version | None
    listed: bool


# A version to stop at, and why.
_Stop = tuple[Version, str]


def version_of(text: str, releases: Releases, after: Version) -> Version:
    """The version that a user's ``text`` names, with or without the v.

    Raises:
        VersionError: It names none; the message suggests the one after ``after`` that it is most like.
    """
    try:
        return Version.parse(text)
    except VersionError as error:
        nearest = releases.nearest(text, after)
        raise VersionError(f"{error} Did you mean {nearest}?" if nearest else str(error)) from None


def path_between(
    running: Version,
    wanted: Version,
    releases: Releases,
    *,
    kubernetes: KubernetesVersion | None,
    strict_patches: bool = False,
) -> tuple[PathHop, ...]:
    """The hops from ``running`` to ``wanted``: every minor, of each the latest patch that can be had. Empty when it is there.

    Args:
        running: The version that runs. It need not be one that ``releases`` has.
        wanted: The version to end at.
        releases: What can be had.
        kubernetes: What the cluster runs now; with None, nothing is said about what it must run.
        strict_patches: Leave the running minor only from its latest patch.

    Raises:
        PathRefused: There is no supported way, or a release on it cannot be had.
    """
    _check_ends(running, wanted)
    if running == wanted:
        return ()
    _check_stop(wanted, releases, after=running)
    return _hops(running, _stops(running, wanted, releases, strict_patches), releases, kubernetes)


def path_along(
    running: Version,
    path: Sequence[Version],
    releases: Releases,
    *,
    kubernetes: KubernetesVersion | None,
) -> tuple[PathHop, ...]:
    """The hops along the versions that a user wrote down. Those up to the running one are behind it and left out.

    So the same path serves a run that goes on after a stop, and clusters at different points of it.

    Args:
        running: The version that runs.
        path: Where to stop, in order. The last is the version to end at.
        releases: What can be had.
        kubernetes: As for ``path_between``.

    Raises:
        PathError: ``path`` is empty or does not go up at each step.
        PathRefused: A step is not supported, or a release cannot be had.
    """
    if not path:
        raise PathError("The path is empty. Name the versions in their order, such as [v1.7.4, v1.8.4].")
    for earlier, later in pairwise(path):
        if later <= earlier:
            raise PathError(f"The path goes from {earlier} to {later}. Put only later versions after {earlier}.")
    _check_ends(running, path[-1])
    ahead = [version for version in path if version > running]
    for earlier, later in pairwise((running, *ahead)):
        _check_stop(later, releases, after=earlier)
        _check_step(earlier, later, releases)
    return _hops(running, [(version, "The given path names it.") for version in ahead], releases, kubernetes)


def _check_ends(running: Version, wanted: Version) -> None:
    if before_first_supported(running) or before_first_supported(wanted):
        raise PathRefused(
            "version.before-first-supported",
            f"The way from {running} to {wanted} touches a release before v0.17.0, from which no update is supported.",
            "Remove KubeVirt and install a current release."
            if before_first_supported(running)
            else f"Ask for {running} or a later version.",
        )
    if wanted < running:
        raise PathRefused(
            "version.downgrade",
            f"It runs {running}, which is newer than {wanted}. {WHY_NOT}",
            f"Ask for {running} or a later version. If {running} has a fault, a later patch of it is the way out.",
        )


def _check_stop(version: Version, releases: Releases, *, after: Version) -> None:
    latest = releases.latest_patch(version)
    if reason := releases.withdrawn.get(str(version)):
        raise PathRefused(
            "version.withdrawn",
            f"KubeVirt {version} was withdrawn: {reason}",
            f"Ask for {latest}." if latest and latest > after else "Ask for a release that was not withdrawn.",
        )
    if releases.offers(version):
        return
    nearest = releases.nearest(str(version), after)
    ask = f"Ask for {nearest}, or" if nearest else "If it exists,"
    if releases.release_of(version) is None:
        cause = f"No KubeVirt {version.minor_line} is known, so {version} is not."
        fix = f"{ask} add {version} and the Kubernetes versions of {version.minor_line} to your releases file."
    else:
        cause = f"Your releases file does not offer {version}."
        fix = f"{ask} add {version} to that file."
    raise PathRefused("version.unavailable", cause, fix)


def _check_step(earlier: Version, later: Version, releases: Releases) -> None:
    if hop(earlier, later) is not Hop.SKIP:
        return
    following = releases.next_minor(earlier)
    left_out = following.latest if following else None
    raise PathRefused(
        "version.skips-minor",
        f"The path goes from {earlier} to {later}, which leaves out {next_minor_line(earlier)}.",
        f"Put {left_out} between them." if left_out else f"Put a release of {next_minor_line(earlier)} between them.",
    )


def _stops(running: Version, wanted: Version, releases: Releases, strict_patches: bool) -> Iterator[_Stop]:
    at = running
    latest = releases.latest_patch(running)
    if strict_patches and latest and latest > running and running.minor_line != wanted.minor_line:
        yield latest, f"strict_patches leaves {running.minor_line} only from its latest patch."
        at = latest
    while next_minor_line(at) != wanted.minor_line and at.minor_line != wanted.minor_line:
        at = _latest_of(releases.next_minor(at), at, wanted)
        yield at, f"No minor may be left out; of {at.minor_line} it is the latest patch that can be had."
    yield wanted, "It is the wanted version."


def _latest_of(release: Release | None, before: Version, wanted: Version) -> Version:
    if release and release.latest:
        return release.latest
    minor = next_minor_line(before)
    raise PathRefused(
        "version.unavailable",
        f"The way from {before} to {wanted} leads over {minor}, and no release of {minor} can be had.",
        f"Name one in your releases file{'' if release else f', and the Kubernetes versions of {minor}'}.",
    )


def _hops(
    running: Version, stops: Iterable[_Stop], releases: Releases, kubernetes: KubernetesVersion | None
) -> tuple[PathHop, ...]:
    hops = []
    at = running
    for stop, why in stops:
        fit = _fit(at, stop, releases, kubernetes)
        hops.append(
            PathHop(
                from_version=at,
                to_version=stop,
                kind=hop(at, stop),
                why=why,
                kubernetes=fit,
                later_to=_later_patch(stop, releases),
                listed=releases.lists(stop),
            )
        )
        at, kubernetes = stop, fit.first or kubernetes
    return tuple(hops)


def _later_patch(version: Version, releases: Releases) -> Version | None:
    latest = releases.latest_patch(version)
    return latest if latest and latest > version else None


def _fit(earlier: Version, later: Version, releases: Releases, kubernetes: KubernetesVersion | None) -> KubernetesFit:
    """How ``kubernetes`` fits the step. Support matrix: docs/kubernetes-compatibility.md of kubevirt/kubevirt."""
    before, after = releases.kubernetes_of(earlier), releases.kubernetes_of(later)
    if after is None or kubernetes is None or after.min <= kubernetes <= after.max:
        return KubernetesFit()
    source = "" if after.promised else " KubeVirt only tested these and promised none."
    if kubernetes > after.max:
        note = f"Kubernetes {kubernetes} is newer than what {later} is for: {after}.{source}"
        return KubernetesFit(too_new=True, note=note)
    shared = before.shared_with(after) if before else after
    common = (
        f"{earlier} and {later} share {shared}"
        if shared
        else f"none is for both {earlier} ({before}) and {later} ({after})"
    )
    note = f"{later} needs Kubernetes {after.min} or later first; {common}.{source}"
    return KubernetesFit(first=after.min, note=note)
