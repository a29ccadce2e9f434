# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways in which people install the operator, and a manifest with an entry that later ones do not have."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import yaml

from tests.support.lab import ROOT, Lab, lab, playbook_environment

OLD_ENTRY = {"name": "ENTRY_OF_THE_OLD_MANIFEST", "value": "1"}

_KUBECTL = {
    "kubectl create": ("create",),
    "kubectl apply": ("apply",),
    "kubectl apply --server-side": ("apply", "--server-side"),
}
_KUBERNETES_CORE = "kubernetes.core.k8s"
WAYS = (*_KUBECTL, _KUBERNETES_CORE)


def install_operator(running: Lab, how: str, manifest: Path) -> None:
    """Bring the manifest into the cluster in one of ``WAYS``."""
    if how == _KUBERNETES_CORE:
        _by_kubernetes_core(running, manifest)
    else:
        running.kubectl(*_KUBECTL[how], "-f", str(manifest))


def with_old_entry(manifest: Path, target: Path) -> Path:
    """A copy whose operator has an environment variable that the next version's manifest does not have."""
    objects = [one for one in yaml.safe_load_all(manifest.read_text()) if one]
    for one in objects:
        if one["kind"] == "Deployment":
            one["spec"]["template"]["spec"]["containers"][0]["env"].append(OLD_ENTRY)
    target.write_text(yaml.safe_dump_all(objects))
    return target


def sparing_manifest(release: str) -> Path:
    """The release's manifest with one pod of virt-operator, which may take its time to start: for labs that have little of it."""
    target = ROOT / "build" / "manifests" / f"sparing-{release}.yaml"
    objects = [one for one in yaml.safe_load_all(Path(lab("manifest", release)).read_text()) if one]
    for one in objects:
        if one["kind"] == "Deployment":
            one["spec"]["replicas"] = 1
            one["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["initialDelaySeconds"] = 180
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(yaml.safe_dump_all(objects))
    return target


def install_sparingly(running: Lab, release: str) -> None:
    """KubeVirt with one pod of each part, by server-side apply, and until it says that all is there."""
    running.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(sparing_manifest(release)))
    running.wait_for("Available", "deployment/virt-operator", "-n", "kubevirt", seconds=900)
    create_kubevirt(running, infra={"replicas": 1})
    running.wait_for("Available", "kubevirt/kubevirt", "-n", "kubevirt", seconds=900)
    running.wait_for("Progressing=false", "kubevirt/kubevirt", "-n", "kubevirt", seconds=900)


def create_kubevirt(running: Lab, **spec: t.Any) -> None:
    """The lab's KubeVirt object; its webhook needs some seconds before it answers."""
    cr = yaml.safe_load(lab("cr"))
    cr["spec"] |= spec
    deadline = time.monotonic() + 180
    while said := running.refusal("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(cr)):
        assert time.monotonic() < deadline, said
        time.sleep(1)


def _by_kubernetes_core(running: Lab, manifest: Path) -> None:
    program = Path(sys.executable).parent / "ansible"
    arguments = json.dumps({"kubeconfig": str(running.kubeconfig), "src": str(manifest), "state": "present"})
    done = subprocess.run(
        [program, "localhost", "-m", "kubernetes.core.k8s", "-a", arguments],
        check=False,
        capture_output=True,
        text=True,
        env=playbook_environment(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
