# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The risks that this collection knows.

docs/known-problems.md says for every known problem whether it is one of these or dealt with elsewhere. Level and
acceptable are in the catalogue of findings, where all ids are.
"""

from __future__ import annotations

from .findings import CATALOGUE, page_of
from .risks import Risk
from .rules import Rule
from .version_ranges import ANY_VERSION, VersionRange


def _risk(
    id: str,
    *,
    when: str,
    message: str,
    fix: str,
    affected: str = "",
    from_versions: str = "",
    to_versions: str = "",
) -> Risk:
    kind = CATALOGUE[id]
    return Risk(
        rule=Rule(
            id=id,
            level=kind.level,
            acceptable=kind.acceptable,
            message=message,
            fix=fix,
            url=page_of(id),
            condition=when,
            affected=affected,
        ),
        from_versions=VersionRange.parse(from_versions) if from_versions else ANY_VERSION,
        to_versions=VersionRange.parse(to_versions) if to_versions else ANY_VERSION,
    )


# Nodes that a pod takes which requires a control-plane node and tolerates the usual taints of one
# (pkg/virt-operator/resource/placement/placement.go).
_CONTROL_PLANE_NODES = """nodes[?
    (labels."node-role.kubernetes.io/control-plane" != `null` || labels."node-role.kubernetes.io/master" != `null`)
    && length(taints[?effect != 'PreferNoSchedule'
                      && key != 'CriticalAddonsOnly'
                      && key != 'node-role.kubernetes.io/control-plane'
                      && key != 'node-role.kubernetes.io/master']) == `0`
]"""

_OLD_INSTANCETYPES = """crds[?
    ends_with(name, '.instancetype.kubevirt.io')
    && (contains(stored_versions, 'v1alpha1') || contains(stored_versions, 'v1alpha2'))
]"""

_OLD_EXPORTS = "crds[?ends_with(name, '.export.kubevirt.io') && contains(stored_versions, 'v1alpha1')]"

_UNREADY = "nodes[?virt_handler && !ready]"

_FOR_VMS = "nodes[?virt_handler && ready && schedulable]"

_NULL_PREFERENCES = "preferences[?length(null_fields) > `0`]"

KNOWN: tuple[Risk, ...] = (
    # On any hop. A node that is not ready: pkg/virt-operator/util/readycheck.go.
    _risk(
        "risk.node-not-ready",
        when=f"length({_UNREADY}) > `0`",
        affected=f"{_UNREADY}.join('', ['Node ', name])",
        message="virt-handler cannot become ready on a node that is not ready, so KubeVirt is never done updating.",
        fix="Bring the node back, or delete it from the cluster, or take it out of spec.workloads.nodePlacement of the KubeVirt "
        "object.",
    ),
    _risk(  # #16353
        "risk.single-node",
        when=f"length({_FOR_VMS}) < `2` && counts.vmis > `0` && contains("
        "not_null(kubevirt.spec.workloadUpdateStrategy.workloadUpdateMethods, `[]`), 'LiveMigrate')",
        message="VMs are to be live-migrated after the upgrade, and fewer than two nodes can run them. virt-controller starts "
        "migrations that fail, again and again.",
        fix="Take LiveMigrate out of spec.workloadUpdateStrategy of the KubeVirt object, and restart the VMs when it suits.",
    ),
    _risk(  # harvester/harvester#8203 is one such patch
        "risk.customized-components",
        when="length(not_null(kubevirt.spec.customizeComponents.patches, `[]`)) > `0`",
        affected="kubevirt.spec.customizeComponents.patches[].join(' ', [resourceType, resourceName])",
        message="spec.customizeComponents patches objects of KubeVirt. A patch that does not fit the wanted version's objects stops "
        "virt-operator; one that still fits may undo what is new.",
        fix="Compare each patch with the wanted version's objects, and remove those that are not needed any more.",
    ),
    _risk(  # #15005, #16066, #9286
        "risk.install-strategies-pile-up",
        from_versions="<1.7",
        when="counts.install_strategies > `20`",
        message="virt-operator keeps all of its old install strategies in memory, and may run out of it.",
        fix="Delete the ConfigMaps whose annotation kubevirt.io/install-strategy-identifier is neither the observed nor the target "
        "deployment ID of the KubeVirt object's status.",
    ),
    # 0.56 renamed the API group without taking the objects along (#8595).
    _risk(
        "risk.flavors-lost",
        from_versions="<0.56",
        to_versions=">=0.56",
        when="counts.flavors > `0`",
        message="The CRDs of flavor.kubevirt.io are deleted, and all flavors and preferences with them. VMs that name one do not "
        "start again.",
        fix="Save them (kubectl get of each kind in flavor.kubevirt.io, -o yaml) and write them anew as instance types.",
    ),
    _risk(  # #9707
        "risk.vms-may-not-start",
        from_versions="0.58",
        to_versions="0.59",
        when="counts.vms > `0` || counts.vmis > `0`",
        message="After this hop VMs did not start on some clusters, because virt-launcher could not run virtqemud there.",
        fix="Try it on a cluster with the same nodes first, and start a new VM there. Let running VMs run until one has started.",
    ),
    _risk(  # #12390
        "risk.no-control-plane-node",
        from_versions="<1.3",
        to_versions=">=1.3",
        when=f"kubevirt.spec.infra.nodePlacement == `null` && length({_CONTROL_PLANE_NODES}) == `0`",
        message="virt-api, virt-controller and the Job that begins the update run on control-plane nodes only from 1.3 on. No node "
        "with such a label takes them, so they stay Pending.",
        fix="Set spec.infra.nodePlacement of the KubeVirt object; an empty one stands for any node.",
    ),
    _risk(  # #15373; seen in 1.6.2 as well (#16622)
        "risk.two-pods-for-one-vm",
        from_versions="<v1.6.0",
        to_versions="v1.6.0",
        when="counts.vmis > `0`",
        message="With v1.6.0 a migration may leave a VM running in two pods at once, which destroys its disk.",
        fix="Go to the latest patch of 1.6 instead.",
    ),
    _risk(  # #15355
        "risk.sidecar-containers-off",
        from_versions="<1.6",
        to_versions=">=1.6",
        when="counts.vms > `0` || counts.vmis > `0`",
        message="From 1.6 on virt-launcher pods have sidecar containers. Where the API server or a kubelet has its feature gate "
        "SidecarContainers off, no VM starts. It is on unless somebody turned it off.",
        fix="Look for SidecarContainers=false in the flags and configuration of the API server and the kubelets, and remove it.",
    ),
    _risk(  # #15157, #15622, harvester/harvester#7729
        "risk.operator-needs-control-plane-node",
        from_versions="<1.7",
        to_versions=">=1.7",
        when=f"length({_CONTROL_PLANE_NODES}) == `0`",
        message="virt-operator runs on control-plane nodes only from 1.7 on, whatever spec.infra says. No node with such a label "
        "takes it, so it stays Pending and nothing is updated.",
        fix="Label nodes with node-role.kubernetes.io/control-plane, or give a manifest from which you removed the node affinity of "
        "Deployment virt-operator and accept this.",
    ),
    _risk(  # #9051
        "risk.instancetype-stored-versions",
        from_versions="<1.7",
        to_versions=">=1.7",
        when=f"length({_OLD_INSTANCETYPES}) > `0`",
        affected=f"{_OLD_INSTANCETYPES}.join('', ['CRD ', name])",
        message="1.7 has no v1alpha1 and v1alpha2 of instancetype.kubevirt.io. Kubernetes keeps a CRD from dropping a version that its "
        "status.storedVersions names, so the update stops there.",
        fix="Write every object of these kinds once anew, then set storedVersions to v1beta1 only.",
    ),
    _risk(  # #16386
        "risk.old-launchers-not-migratable",
        from_versions=">=1.6",
        to_versions=">=1.7",
        when="length(launchers[?starts_with(version, 'v1.6.')]) > `0`",
        message="VMs that were started by 1.6 may fail to migrate to a later version, because its QEMU offers other features. They run "
        "on, and stay on their launcher.",
        fix="Migrate one VM after the upgrade before all others. Those that fail have to be restarted; plan when.",
    ),
    _risk(  # cozystack/cozystack#2612
        "risk.preferences-with-nulls",
        from_versions="<1.8",
        to_versions=">=1.8",
        when=f"length({_NULL_PREFERENCES}) > `0`",
        affected=f"{_NULL_PREFERENCES}.join('', [name, ' (', join(', ', null_fields), ')'])",
        message="The CRDs of 1.8 reject preferences with null fields, so these cannot be changed or applied again.",
        fix="Remove the fields that are null, here and in the files that they come from.",
    ),
    _risk(  # ryan4yin/k8s-gitops#21
        "risk.export-stored-versions",
        from_versions="<1.9",
        to_versions=">=1.9",
        when=f"length({_OLD_EXPORTS}) > `0`",
        affected=f"{_OLD_EXPORTS}.join('', ['CRD ', name])",
        message="1.9 has no v1alpha1 of export.kubevirt.io. Kubernetes keeps a CRD from dropping a version that its "
        "status.storedVersions names, so the update stops there.",
        fix="Write every VirtualMachineExport once anew, then set storedVersions to v1beta1 only.",
    ),
)
