# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Simulated clusters and how to reach them: the process of their API servers, a kubeconfig for each, and inventories."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.bench.fleet.cluster import cluster_uid
from tests.support.kubevirt import FROM, TO, wait_until
from tests.support.lab import ROOT, Json, lab


@dataclass(frozen=True)
class Fleet:
    """API servers that run.

    Attributes:
        folder: Of its files.
        names: The clusters, in the order of the inventory.
        manifest: The one to upgrade to.
    """

    folder: Path
    names: Sequence[str]
    manifest: str
    address: str

    def inventory(self, names: Sequence[str], name: str) -> Path:
        """An inventory of some of the clusters."""
        hosts = {
            host: {
                "kubevirt_kubeconfig": str(self.folder / f"{host}.kubeconfig"),
                "kubevirt_expected_cluster_uid": cluster_uid(host),
            }
            for host in names
        }
        variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        file = self.folder / f"{name}.yml"
        file.write_text(yaml.safe_dump({"kubevirt_clusters": {"hosts": hosts, "vars": variables}}, sort_keys=False))
        return file

    def writes(self, name: str) -> list[str]:
        """What was written to a cluster, as its API server has seen it."""
        trusted = ssl.create_default_context(cafile=str(self.folder / "cert.pem"))
        with urllib.request.urlopen(f"{self.address}/{name}/writes", context=trusted) as answer:
            written: list[str] = json.load(answer)["writes"]
        return written


@contextmanager
def simulated(folder: Path, names: Sequence[str], failing: Sequence[str]) -> Iterator[Fleet]:
    """Clusters with the old release; the upgrade of those that are failing fails."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    manifests = [lab("manifest", version) for version in (FROM, TO)]
    told = {"manifests": manifests, "clusters": {name: name in failing for name in names}}
    (folder / "fleet.json").write_text(json.dumps(told))
    make_certificate(folder)
    port = folder / "port"
    with subprocess.Popen([sys.executable, "-m", "tests.bench.fleet.server", str(folder)], cwd=ROOT) as process:
        try:
            wait_until(lambda: port.exists() or process.poll() is not None)
            address = f"https://127.0.0.1:{port.read_text()}"
            for name in names:
                (folder / f"{name}.kubeconfig").write_text(yaml.safe_dump(kubeconfig(folder, f"{address}/{name}")))
            yield Fleet(folder, names, manifests[1], address)
        finally:
            process.kill()


def make_certificate(folder: Path) -> None:
    """A certificate of the API servers that signs itself."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    about = ["-subj", "/CN=simulated", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, *files, *about], check=True, capture_output=True)


def kubeconfig(folder: Path, server: str) -> Json:
    """A kubeconfig with a token."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "it", "cluster": {"server": server, "certificate-authority": str(folder / "cert.pem")}},
        ],
        "users": [{"name": "bench", "user": {"token": "simulated"}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "bench"}}],
        "current-context": "it",
    }
