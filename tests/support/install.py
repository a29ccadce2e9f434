# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways in which people install the operator, and a manifest with an entry that later ones do not have."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml

from tests.support.lab import Lab, playbook_environment

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
