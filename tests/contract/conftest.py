# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real API server with KubeVirt's objects and nobody who works on them: quick, and exact about what we send."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.install import install_operator
from tests.support.kubevirt import FROM, TO
from tests.support.lab import Json, Lab, lab, lab_up, worker_name

NAME = worker_name("contract")
TOUCHABLE = (
    *("deployments", "crds", "clusterroles", "clusterrolebindings", "roles", "rolebindings"),
    *("serviceaccounts", "priorityclasses", "namespaces"),
)

# What virt-operator 1.7.0 writes when all is ready; the values of the IDs do not matter here.
HEALTHY: Json = {
    "phase": "Deployed",
    "operatorVersion": FROM,
    "observedKubeVirtVersion": FROM,
    "targetKubeVirtVersion": FROM,
    "observedKubeVirtRegistry": "quay.io/kubevirt",
    "targetKubeVirtRegistry": "quay.io/kubevirt",
    "observedDeploymentID": "0a1b2c",
    "targetDeploymentID": "0a1b2c",
    "conditions": [
        {"type": "Available", "status": "True", "reason": "AllComponentsReady", "message": "All components are ready."},
        {
            "type": "Progressing",
            "status": "False",
            "reason": "AllComponentsReady",
            "message": "All components are ready.",
        },
        {"type": "Degraded", "status": "False", "reason": "AllComponentsReady", "message": "All components are ready."},
        {
            "type": "Created",
            "status": "True",
            "reason": "AllResourcesCreated",
            "message": "All resources were created.",
        },
    ],
}

# virt-operator makes this CRD; of its schema only the status counts here.
MIGRATIONS_CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: virtualmachineinstancemigrations.kubevirt.io}
spec:
  group: kubevirt.io
  scope: Namespaced
  names: {kind: VirtualMachineInstanceMigration, plural: virtualmachineinstancemigrations}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""


class World:
    """KubeVirt 1.7.0 as an API server sees it."""

    def __init__(self, running: Lab) -> None:
        self.lab = running
        self.manifests = {version: Path(lab("manifest", version)) for version in (FROM, TO)}

    def install(self, how: str = "kubectl create", manifest: Path | None = None) -> None:
        """The operator's manifest and a KubeVirt object that says that it is healthy."""
        install_operator(self.lab, how, manifest or self.manifests[FROM])
        self.lab.wait_for("Established", "crd/kubevirts.kubevirt.io")
        self.lab.kubectl("create", "-f", "-", stdin=lab("cr"))
        self.status(HEALTHY)

    def remove(self) -> None:
        """All of it, for the next installation. The namespace stays, since nobody is there to finish its deletion."""
        self.lab.kubectl("delete", "kubevirts", "--all", "-A", "--ignore-not-found", "--wait=true", check=False)
        objects = [
            one for one in yaml.safe_load_all(self.manifests[TO].read_text()) if one and one["kind"] != "Namespace"
        ]
        self.lab.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=yaml.safe_dump_all(objects))
        self.end_namespace("kubevirt")

    def end_namespace(self, name: str) -> None:
        """Nobody is there to end one that is being deleted; without its finalizer it goes at once, and what is in it stays."""
        self.lab.kubectl("delete", "serviceaccount", "--all", "-n", name)
        self.lab.kubectl("delete", "ns", name, "--wait=false", "--ignore-not-found")
        finalized = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {"finalizers": []}}
        self.lab.kubectl(
            *("replace", "--raw", f"/api/v1/namespaces/{name}/finalize", "-f", "-"), stdin=json.dumps(finalized)
        )

    def status(self, status: Json) -> None:
        """Write the KubeVirt object's status, as virt-operator would."""
        self.lab.kubectl(
            *("patch", "kubevirt", "kubevirt", "-n", "kubevirt", "--subresource=status", "--type=merge"),
            *("-p", json.dumps({"status": {**status, "observedGeneration": self.generation()}})),
        )

    def generation(self) -> int:
        return t.cast(int, self.lab.get("kubevirt", "kubevirt", "-n", "kubevirt")["metadata"]["generation"])

    def patch(self, what: tuple[str, ...], patch: Json) -> None:
        """A merge patch, as ``kubectl patch``."""
        self.lab.kubectl("patch", *what, "--type=merge", "-p", json.dumps(patch))

    def fingerprint(self) -> dict[str, str]:
        """The resourceVersion of every object that an upgrade could touch."""
        crds = self.lab.get("crds")["items"]
        kubevirts = ["kubevirts"] if any(crd["metadata"]["name"] == "kubevirts.kubevirt.io" for crd in crds) else []
        listed = self.lab.get(",".join([*TOUCHABLE, *kubevirts]), "-A")
        return {
            f"{one['kind']} {one['metadata'].get('namespace', '')}/{one['metadata']['name']}": one["metadata"][
                "resourceVersion"
            ]
            for one in listed["items"]
        }

    def upgrade(self, *, check: bool = False, env: t.Mapping[str, str] | None = None, **params: t.Any) -> t.Any:
        """Our module, with the manifest from disk."""
        return self.lab.module(
            "kubevirt_upgrade", {"version": TO, "manifest": str(self.manifests[TO]), **params}, check=check, env=env
        )


@pytest.fixture(scope="session")
def api_lab() -> Iterator[Lab]:
    with lab_up(NAME, "--api-only") as running:
        yield running


@pytest.fixture(scope="session")
def bare_world(api_lab: Lab) -> World:
    """An API server without KubeVirt."""
    return World(api_lab)


@pytest.fixture(scope="module")
def world(bare_world: World) -> Iterator[World]:
    """KubeVirt 1.7.0, healthy. Tests that change it put it back."""
    bare_world.install()
    yield bare_world
    bare_world.remove()


@pytest.fixture
def migrating(world: World) -> Iterator[World]:
    """One live migration runs, one has ended."""
    world.lab.kubectl("create", "-f", "-", stdin=MIGRATIONS_CRD)
    world.lab.wait_for("Established", "crd/virtualmachineinstancemigrations.kubevirt.io")
    for name, phase in (("running", "Running"), ("ended", "Succeeded")):
        migration = {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachineInstanceMigration",
            "metadata": {"name": name, "namespace": "default"},
            "status": {"phase": phase},
        }
        world.lab.kubectl("create", "-f", "-", stdin=json.dumps(migration))
    yield world
    world.lab.kubectl("delete", "crd", "virtualmachineinstancemigrations.kubevirt.io")
