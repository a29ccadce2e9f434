# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster in dictionaries: KubeVirt v1.7.0 from its manifest, healthy. Each test changes what it is about."""

from __future__ import annotations

import copy
import functools
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import field_ownership, manifest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import Finding
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.objects import path_of
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.versions import Version
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.workload_updates import HELD_ANNOTATION
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import upgrade_plan
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.observe import Cluster, Facts, Workloads
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.upgrade_plan import Plan, Wish

Object = dict[str, t.Any]

FIXTURES = Path(__file__).parents[1] / "fixtures"
RELEASE = (FIXTURES / "kubevirt-operator-v1.7.0-trimmed.yaml").read_text()
DEPLOYMENT = "/apis/apps/v1/namespaces/kubevirt/deployments/virt-operator"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/kubevirt-operator"


class World:
    """One cluster, what is asked for, and what is decided."""

    def __init__(self) -> None:
        self.version = "v1.8.4"
        self.manifest = self.release("v1.8.4")
        self.kubevirt = self.status("1.8-healthy", {"v1.8.4": "v1.7.0"})
        self.live: dict[str, Object | None] = {path_of(o): self.stored(o) for o in self.release("v1.7.0").objects}
        self.workloads = Workloads(vms=9, vmis=8)
        self.migrations: list[str] = []
        self.others: tuple[Object, ...] = ()
        self.hyperconvergeds: tuple[Object, ...] = ()
        self.operator_is_there = True
        self.rolled_out()

    @staticmethod
    def status(name: str, versions: t.Mapping[str, str] | None = None) -> Object:
        """A KubeVirt object with one of the recorded statuses, if wanted as that of other versions."""
        text = (FIXTURES / "kubevirt_status" / f"{name}.yaml").read_text()
        for of_the_record, wanted in (versions or {}).items():
            text = text.replace(of_the_record, wanted)
        kubevirt: Object = yaml.safe_load(text)["kubevirt"]
        return kubevirt

    @staticmethod
    @functools.cache
    def release(version: str, registry: str = "quay.io/kubevirt") -> manifest.Manifest:
        """The manifest of a version. It differs from that of another one in the operator's Deployment only."""
        return manifest.parse(RELEASE.replace("v1.7.0", version).replace("quay.io/kubevirt", registry))

    @staticmethod
    def stored(o: t.Mapping[str, t.Any]) -> Object:
        """The object as the server keeps it after we applied it."""
        entry = {"manager": field_ownership.FIELD_MANAGER, "operation": "Apply", "apiVersion": o["apiVersion"]}
        result = copy.deepcopy(dict(o))
        result["metadata"] |= {"managedFields": [{**entry, "fieldsV1": {}}], "resourceVersion": "1", "generation": 1}
        return result

    @property
    def operator(self) -> Object:
        """The live Deployment virt-operator."""
        operator = self.live[DEPLOYMENT]
        assert operator is not None
        return operator

    def apply_operator(self, version: str, registry: str = "quay.io/kubevirt") -> None:
        """The operator's Deployment of another manifest, and none of its pods yet."""
        self.live[DEPLOYMENT] = self.stored(self.release(version, registry).operator)
        self.operator["status"] = {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 2}

    def rolled_out(self) -> None:
        """All pods of the operator are of its Deployment's latest template."""
        self.operator["status"] = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}

    def set_methods(self, *methods: str, held: str | None = None) -> None:
        """The workload update methods, and the annotation that a run left."""
        self.kubevirt["spec"]["workloadUpdateStrategy"] = {"workloadUpdateMethods": list(methods)}
        if held is not None:
            self.kubevirt["metadata"].setdefault("annotations", {})[HELD_ANNOTATION] = held

    def facts(self) -> Facts:
        """What is read of it."""
        kubevirts = (self.kubevirt, *self.others) if self.kubevirt else ()
        return Facts(
            cluster=Cluster("https://api.example:6443", "0000-1111"),
            api="/apis/kubevirt.io/v1",
            kubevirts=kubevirts,
            kubevirt=kubevirts[0] if len(kubevirts) == 1 else None,
            operator=self.operator if self.operator_is_there else None,
            hyperconvergeds=self.hyperconvergeds,
            workloads=self.workloads,
        )

    def wish(self, **changes: t.Any) -> Wish:
        """What is asked for: options at their defaults."""
        defaults: Object = {"strict_patches": False, "image_registry": None, "restore_methods": True, "wait": True}
        return Wish(version=Version.parse(self.version), **{**defaults, **changes})

    def findings(self, **wish: t.Any) -> list[Finding]:
        """What speaks against the upgrade."""
        facts, wished = self.facts(), self.wish(**wish)
        return [
            *upgrade_plan.findings_of_the_cluster(facts, wished),
            *upgrade_plan.findings_of_the_manifest(facts, wished, self.manifest),
        ]

    def plan(self, **wish: t.Any) -> Plan:
        """The steps; nothing that is handed in may change by it."""
        before = copy.deepcopy((self.kubevirt, self.live, self.manifest))
        applies = upgrade_plan.applies_of(self.manifest, self.live)
        plan = upgrade_plan.plan_of(self.facts(), self.wish(**wish), applies, self.migrations)
        assert before == (self.kubevirt, self.live, self.manifest)
        return plan


@pytest.fixture
def world() -> World:
    return World()
