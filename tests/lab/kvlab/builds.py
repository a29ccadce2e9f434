# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Building the lab's programs from Go modules, with the ordinary Go tool.

Each set is a go.mod and go.sum of ours with a ``tool`` block, under ../build. A set that was built from the same
files is not built again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from kvlab import cache, debian, images, layers, manifests, packages, real_images
from kvlab.waiting import say

SOURCES = Path(__file__).parents[1] / "build"


@dataclass(frozen=True)
class BuildSet:
    """Programs that are built together."""

    name: str
    stamped: dict[str, str] = field(default_factory=dict)
    """Go variables that hold a version, and their values."""
    renamed: dict[str, str] = field(default_factory=dict)
    """Programs that get another name than the Go tool gives them."""
    then: Callable[[BuildSet], None] | None = None
    """What else is made from the set's module, when its programs are there."""
    folder: str = ""
    """The folder of its go.mod, where another set has the same sources."""
    packed_by: tuple[ModuleType, ...] = (images, manifests)
    """What :attr:`then` works with."""
    with_c: bool = False
    """Whether its programs have parts in C."""

    @property
    def source(self) -> Path:
        """The folder of the set's go.mod."""
        return SOURCES / (self.folder or self.name)

    @property
    def programs(self) -> Path:
        """The folder in the cache that holds the set's programs."""
        return cache.root() / "bin" / self.name

    def module(self, name: str) -> Path:
        """The folder in Go's module cache that holds the source of the module *name*."""
        return Path(_go(self, ["list", "-m", "-f", "{{.Dir}}", name]).strip())


def _kubernetes(version: str) -> BuildSet:
    major, minor, _patch = version.removeprefix("v").split(".")
    own, user_agent = "k8s.io/component-base/version", "k8s.io/client-go/pkg/version"
    return BuildSet(
        "kubernetes",
        {
            f"{own}.gitVersion": version,
            f"{own}.gitMajor": major,
            f"{own}.gitMinor": minor,
            f"{user_agent}.gitVersion": version,
        },
    )


def _kubevirt(version: str, sources: str) -> BuildSet:
    def image_and_manifest(build: BuildSet) -> None:
        manifests.render(build.programs / "manifest-templator", build.module("kubevirt.io/kubevirt"), version)
        images.pack_kubevirt(build.programs, version)

    stamp = {"kubevirt.io/client-go/version.gitVersion": version}
    return BuildSet(set_of(version), stamp, {}, image_and_manifest, set_of(sources))


def _real_kubevirt(version: str) -> BuildSet:
    def image(build: BuildSet) -> None:
        real_images.pack_release(build.programs, build.module("kubevirt.io/kubevirt"), version)

    stamp = {"kubevirt.io/client-go/version.gitVersion": version}
    packed_by = (real_images, layers, debian)
    return BuildSet(real_images.set_of(version), stamp, {}, image, packed_by=packed_by, with_c=True)


def _guest() -> BuildSet:
    def image(build: BuildSet) -> None:
        real_images.pack_guest(build.programs / "guest")

    return BuildSet(real_images.GUEST_SET, then=image, packed_by=(real_images, layers, debian))


def _stage_crd(build: BuildSet) -> None:
    crd = build.module("sigs.k8s.io/kwok") / "kustomize/crd/bases/kwok.x-k8s.io_stages.yaml"
    shutil.copyfile(crd, manifests.kwok_stage_crd())


USUAL_VERSIONS = ("v1.7.0", "v1.8.4")
"""The KubeVirt releases of a lab that is not asked for others."""
RELABELLED = {"v1.9.0-lab.1": "v1.8.4"}
"""The sources of a release under the name of a version that is none, for steps past the last release that can be built here."""
KUBEVIRT_VERSIONS = ("v1.6.0", *USUAL_VERSIONS, *RELABELLED)
"""All that there are; the others are built only where they are asked for by name."""


def set_of(version: str) -> str:
    """The set of a KubeVirt release."""
    return f"kubevirt-{version}"


SETS = {
    build.name: build
    for build in (
        _kubernetes("v1.34.4"),
        BuildSet("etcd", renamed={"server": "etcd"}),
        BuildSet("pause", then=lambda build: images.pack_pause(build.programs)),
        BuildSet("kwok", {"sigs.k8s.io/kwok/pkg/consts.Version": "v0.8.0"}, {}, _stage_crd),
        *(_kubevirt(version, RELABELLED.get(version, version)) for version in KUBEVIRT_VERSIONS),
        *map(_real_kubevirt, real_images.RELEASES),
        _guest(),
    )
}
API_SETS = ("kubernetes", "etcd")
CLUSTER_SETS = (*API_SETS, "pause", "kwok")
USUAL_SETS = (*CLUSTER_SETS, *map(set_of, USUAL_VERSIONS))


def program(set_name: str, name: str) -> Path:
    """The path of a built program."""
    return SETS[set_name].programs / name


def ensure(names: tuple[str, ...]) -> None:
    """Build the sets that are not in the cache, one after the other: Go uses all cores by itself."""
    for name in names:
        with cache.locked(f"build-{name}"):
            build(SETS[name])


def build(wanted: BuildSet) -> None:
    """Build one set, unless the cache has it from the same sources."""
    stamp = wanted.programs / ".built-from"
    current = fingerprint(wanted)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == current:
        return
    say(f"building {wanted.name}")
    started = time.monotonic()
    stamp.unlink(missing_ok=True)
    if wanted.with_c:
        packages.ensure(packages.COMPILER)
    flags = " ".join(["-s -w", *(f"-X {variable}={value}" for variable, value in wanted.stamped.items())])
    _go(wanted, ["install", "-trimpath", "-ldflags", flags, "tool"])
    for given, name in wanted.renamed.items():
        (wanted.programs / given).rename(wanted.programs / name)
    if wanted.then:
        wanted.then(wanted)
    stamp.write_text(current, encoding="utf-8")
    say(f"  built {wanted.name} in {time.monotonic() - started:.0f} s")


def fingerprint(wanted: BuildSet) -> str:
    """Changes when the set has to be built again: its files, its versions, and how the lab packs what is built."""
    digest = hashlib.sha256(repr((wanted.stamped, wanted.renamed)).encode())
    packing = [Path(module.__file__ or "") for module in wanted.packed_by] if wanted.then else []
    for path in [*sorted(wanted.source.iterdir()), *packing]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _go(wanted: BuildSet, arguments: list[str]) -> str:
    wanted.programs.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "CGO_ENABLED": "1" if wanted.with_c else "0",
        "GOBIN": str(wanted.programs),
        # libvirt's library is looked for when a program runs, so its headers need not be here.
        "GOFLAGS": "-buildvcs=false" + (" -tags=libvirt_dlopen" if wanted.with_c else ""),
    }
    done = subprocess.run(
        ["go", *arguments], cwd=wanted.source, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"go {' '.join(arguments[:2])} failed for {wanted.name}; its words are above")
    return done.stdout
