# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each playbook may do in a cluster. docs/rbac is made from it; tests/contract/test_least_privilege*.py prove it.

What every user may do anyway is not here: to ask which groups and kinds there are (Kubernetes' ClusterRole system:discovery).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import leases
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.finalizers import FINALIZERS
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.marks import OPERATOR_OBJECTS
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.user_kinds import REPLICA_SETS, USER_KINDS

HOME = "kubevirt"
"""KubeVirt's namespace, unless somebody chose another one."""
CORE = ""
ADMISSION, API_SERVICES, CRDS = "admissionregistration.k8s.io", "apiregistration.k8s.io", "apiextensions.k8s.io"
RBAC, LEASES, INSTANCETYPES = "rbac.authorization.k8s.io", "coordination.k8s.io", "instancetype.kubevirt.io"
KUBEVIRT, CDI = "kubevirt.io", "cdi.kubevirt.io"


@dataclass(frozen=True)
class Rule:
    """A rule of a role.

    Attributes:
        why: What it is for.
        names: The objects that it is for; all, if there are none.
    """

    why: str
    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlaybookRole:
    """What a playbook may do.

    Attributes:
        everywhere: The rules of its ClusterRole.
        at_home: Those of its Role in KubeVirt's namespace.
    """

    everywhere: tuple[Rule, ...]
    at_home: tuple[Rule, ...] = ()

    def __add__(self, other: PlaybookRole) -> PlaybookRole:
        return PlaybookRole(self.everywhere + other.everywhere, self.at_home + other.at_home)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All of them."""
        return self.everywhere + self.at_home


def rule(why: str, group: str, resources: str, verbs: str, names: Sequence[str] = ()) -> Rule:
    """A rule with words for lists."""
    return Rule(why, group, tuple(resources.split()), tuple(verbs.split()), tuple(names))


# The objects of kubevirt-operator.yaml

_MANIFEST_KINDS = {
    "CustomResourceDefinition": (CRDS, "customresourcedefinitions"),
    "ClusterRole": (RBAC, "clusterroles"),
    "ClusterRoleBinding": (RBAC, "clusterrolebindings"),
    "PriorityClass": ("scheduling.k8s.io", "priorityclasses"),
    "ServiceAccount": (CORE, "serviceaccounts"),
    "Role": (RBAC, "roles"),
    "RoleBinding": (RBAC, "rolebindings"),
    "Deployment": ("apps", "deployments"),
}
_CLUSTER_WIDE = ("CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "PriorityClass")
_LATER = ("ClusterRole", "ClusterRoleBinding", "PriorityClass", "ServiceAccount", "Role", "RoleBinding")
"""What the manifest of an older release may not have had, or somebody has deleted."""


def _manifest(why: str, verbs: str, makes: Sequence[str] = ()) -> PlaybookRole:
    """What is done with each object of the manifest; those of the kinds in ``makes`` may have to be made."""

    def of(kinds: Iterable[str]) -> Iterator[Rule]:
        for kind in kinds:
            names = [name for one, name in OPERATOR_OBJECTS if one == kind]
            yield rule(f"{why}: {kind}", *_MANIFEST_KINDS[kind], f"{verbs} create" if kind in makes else verbs, names)

    namespace = rule(f"{why}: Namespace", CORE, "namespaces", verbs, [HOME])
    namespaced = [kind for kind in _MANIFEST_KINDS if kind not in _CLUSTER_WIDE]
    return PlaybookRole((namespace, *of(_CLUSTER_WIDE)), tuple(of(namespaced)))


_OPERATOR = "kubevirt-operator"
_GRANT = "give virt-operator its rights, which this account does not have itself"
GRANTING = PlaybookRole(
    everywhere=(
        rule(
            _GRANT, RBAC, "clusterroles", "escalate", [name for kind, name in OPERATOR_OBJECTS if kind == "ClusterRole"]
        ),
        rule(_GRANT, RBAC, "clusterroles", "bind", [_OPERATOR]),
    ),
    at_home=(rule(_GRANT, RBAC, "roles", "escalate bind", [_OPERATOR]),),
)
"""The API server asks for these verbs inside of a request, and no line of an audit log tells of them."""

# What several playbooks do

LOOK = PlaybookRole(
    everywhere=(
        rule("which cluster this is: the UID of kube-system", CORE, "namespaces", "get", ["kube-system"]),
        rule("KubeVirt's namespace, and who manages it", CORE, "namespaces", "get", [HOME]),
        rule("KubeVirt, and how many VMs", KUBEVIRT, "kubevirts virtualmachines virtualmachineinstances", "list"),
        rule("the CRD of KubeVirt objects", CRDS, "customresourcedefinitions", "get", ["kubevirts.kubevirt.io"]),
        rule("whether HCO manages KubeVirt", "hco.kubevirt.io", "hyperconvergeds", "list"),
    ),
    at_home=(rule("virt-operator", "apps", "deployments", "get", ["virt-operator"]),),
)
_FLAVORS = " ".join(one.resource for one in USER_KINDS if one.group == "flavor.kubevirt.io")
_LEFTOVERS = "what an earlier installation left"
_OWN_STEP = "whether virt-operator may make the step by itself (method image_tag)"
_PROBLEMS = "what known problems depend on"
PLAN = (
    LOOK
    + PlaybookRole(
        everywhere=(
            rule(_PROBLEMS, CORE, "nodes", "list"),
            rule(_PROBLEMS, CRDS, "customresourcedefinitions", "list"),
            rule(_PROBLEMS, INSTANCETYPES, "virtualmachinepreferences virtualmachineclusterpreferences", "list"),
            rule(_PROBLEMS, "flavor.kubevirt.io", _FLAVORS, "list"),
            rule("live migrations under way", KUBEVIRT, "virtualmachineinstancemigrations", "list"),
            rule(_LEFTOVERS, ADMISSION, "validatingwebhookconfigurations mutatingwebhookconfigurations", "list"),
            rule(_LEFTOVERS, API_SERVICES, "apiservices", "list"),
            rule(_OWN_STEP, RBAC, "clusterrolebindings", "list"),
            rule(_OWN_STEP, RBAC, "clusterroles", "get"),
        ),
        at_home=(
            rule(_PROBLEMS, CORE, "configmaps", "list"),
            rule("whether the secrets for pulling images are there, if any are named", CORE, "secrets", "list"),
            rule(_OWN_STEP, RBAC, "rolebindings", "list"),
            rule(_OWN_STEP, RBAC, "roles", "get"),
        ),
    )
    + _manifest("what is there of the manifest", "get")
)
_LOCK = (
    rule("the lock", LEASES, "leases", "create"),
    rule("the lock", LEASES, "leases", "get update delete", [leases.NAME]),
)
_WHY = "why it stopped"
IMAGE_TAG = PLAN + PlaybookRole(
    everywhere=(
        rule("until no live migration runs", KUBEVIRT, "virtualmachineinstancemigrations", "watch"),
        rule(_WHY, CORE, "nodes", "get"),
    ),
    at_home=(
        rule("spec.imageTag and the workload update methods", KUBEVIRT, "kubevirts", "get patch"),
        rule("the roll-out", KUBEVIRT, "kubevirts", "watch"),
        rule("the roll-out", "apps", "deployments daemonsets", "list watch"),
        rule("the roll-out", CORE, "pods", "list watch"),
        rule(_WHY, CORE, "events", "list"),
        rule(_WHY, CORE, "pods/log", "get"),
        rule(_WHY, "batch", "jobs", "list"),
        rule(_WHY, LEASES, "leases", "get", ["virt-operator"]),
        *_LOCK,
    ),
)
UPGRADE = IMAGE_TAG + _manifest("apply the manifest", "patch", makes=_LATER) + GRANTING
WORKLOADS = LOOK + PlaybookRole(
    everywhere=(
        rule("the VMs", KUBEVIRT, "virtualmachineinstances", "watch"),
        rule("their launcher pods, in the namespaces of the VMs", CORE, "pods", "list watch"),
        rule("move them", KUBEVIRT, "virtualmachineinstancemigrations", "list watch create delete"),
        rule("how many nodes can take VMs", CORE, "nodes", "list"),
    ),
    at_home=(
        rule("spec.workloadUpdateStrategy", KUBEVIRT, "kubevirts", "get patch"),
        rule("whether the control plane is at rest", "apps", "deployments daemonsets", "list"),
        rule("the launcher's image", "apps", "deployments", "get", ["virt-controller"]),
        *_LOCK,
    ),
)

# Removing. All of it is in one ClusterRole: a Role in KubeVirt's namespace would be somebody's object there, and keep it.

_POOLS = "pool.kubevirt.io", "virtualmachinepools"
_LEFT = "what is left of KubeVirt"
_UNBLOCK = "what keeps the deletion from ending"


def _held_by_finalizers() -> Iterator[Rule]:
    """The kinds with finalizers that KubeVirt takes away, and we where it is gone."""
    kinds = {kind for one in FINALIZERS.values() for kind in one.on}
    for group in dict.fromkeys(one.group for one in USER_KINDS):
        resources = [one.resource for one in USER_KINDS if one.group == group and one.kind in kinds]
        if resources:
            yield rule(f"{_UNBLOCK}: finalizers", group, " ".join(resources), "get patch")


REMOVE = PlaybookRole(
    everywhere=(
        rule("KubeVirt's marks are searched for in every kind", "*", "*", "list"),
        *LOOK.everywhere[:2],
        rule("KubeVirt's parts", "apps", "deployments daemonsets", "get"),
        rule("KubeVirt itself", KUBEVIRT, "kubevirts", "get patch delete watch"),
        rule("its CRDs", CRDS, "customresourcedefinitions", "get patch delete watch"),
        rule("its parts, while virt-operator deletes them", "apps", "deployments daemonsets", "watch"),
        rule("VMs", KUBEVIRT, "virtualmachines virtualmachineinstances", "delete watch"),
        rule("what makes VMs", KUBEVIRT, REPLICA_SETS.resource, "get delete"),
        rule("what makes VMs", *_POOLS, "delete"),
        *_held_by_finalizers(),
        rule("disks that stay", CORE, "persistentvolumeclaims", "get patch"),
        rule("disks that stay", CDI, "datavolumes", "get patch"),
        rule("what VMs own besides disks", "apps", "controllerrevisions", "delete"),
        rule(f"{_UNBLOCK}: services that nobody answers", CORE, "services", "get"),
        rule(f"{_UNBLOCK}: nodes that are lost; and KubeVirt's labels on nodes", CORE, "nodes", "get patch"),
        rule(
            _LEFT,
            ADMISSION,
            "validatingwebhookconfigurations mutatingwebhookconfigurations "
            "validatingadmissionpolicies validatingadmissionpolicybindings",
            "delete",
        ),
        rule(_LEFT, API_SERVICES, "apiservices", "delete"),
        rule(_LEFT, "apps", "deployments daemonsets", "delete"),
        rule(_LEFT, "batch", "jobs", "delete"),
        rule(_LEFT, CORE, "pods services endpoints configmaps secrets serviceaccounts", "delete"),
        rule(_LEFT, RBAC, "clusterroles clusterrolebindings roles rolebindings", "delete"),
        rule(_LEFT, "scheduling.k8s.io", "priorityclasses", "delete"),
        rule(_LEFT, "policy", "poddisruptionbudgets", "delete"),
        rule(_LEFT, "networking.k8s.io", "networkpolicies", "delete"),
        rule(_LEFT, "monitoring.coreos.com", "prometheusrules servicemonitors", "delete"),
        rule(_LEFT, "route.openshift.io", "routes", "delete"),
        rule(_LEFT, "security.openshift.io", "securitycontextconstraints", "delete"),
        rule(
            _LEFT,
            INSTANCETYPES,
            "virtualmachineclusterinstancetypes virtualmachineclusterpreferences",
            "delete",
        ),
        rule("the namespace, if that is asked for", CORE, "namespaces", "delete", [HOME]),
        rule("the lock, and who leads", LEASES, "leases", "create delete"),
        rule("the lock", LEASES, "leases", "get update", [leases.NAME]),
        *_manifest("bring a lost virt-operator back", "get patch", makes=(*_LATER, "Deployment")).rules,
        *GRANTING.rules,
    )
)

ROLES = {
    "status": LOOK,
    "plan": PLAN,
    "upgrade": UPGRADE,
    "upgrade-image-tag": IMAGE_TAG,
    "workloads": WORKLOADS,
    "remove": REMOVE,
}
"""By playbook; an upgrade that never applies a manifest needs less."""
