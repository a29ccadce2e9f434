# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The manifests of the releases, rendered as KubeVirt's own build does it, and the lab's own data."""

from __future__ import annotations

from pathlib import Path

from kvlab import cache
from kvlab.processes import run

DATA = Path(__file__).parents[1] / "data"
CR = DATA / "kubevirt-cr.yaml"


def operator(version: str) -> Path:
    """kubevirt-operator.yaml of a release."""
    return cache.directory("manifests") / f"kubevirt-operator-{version}.yaml"


def kwok_stage_crd() -> Path:
    """The CRD of KWOK's Stages."""
    return cache.directory("manifests") / "kwok-stage-crd.yaml"


def render(templator: Path, module: Path, version: str) -> None:
    """Render a release's manifest with its own templator: first its includes, then, on that output, its variables.

    The logo is for another file made by the same tool; any file will do.
    """
    template = module / "manifests/release/kubevirt-operator.yaml.in"
    included = run(
        [
            templator,
            "--process-files",
            f"--generated-manifests-dir={module}/manifests/generated/",
            f"--input-file={template}",
        ]
    )
    between = operator(version).with_suffix(".in")
    between.write_text(included, encoding="utf-8")
    rendered = run(
        [
            templator,
            "--process-vars",
            "--namespace=kubevirt",
            "--container-prefix=quay.io/kubevirt",
            f"--container-tag={version}",
            f"--csv-version={version.removeprefix('v')}",
            "--image-pull-policy=IfNotPresent",
            "--verbosity=2",
            f"--kubevirt-logo-path={template}",
            f"--input-file={between}",
        ]
    )
    between.unlink()
    operator(version).write_text(rendered.rstrip("\n") + "\n", encoding="utf-8")
