# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a removal would do, and what speaks against it, read from an API server of dictionaries. Each test changes what it is about."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import ClusterError
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import remove
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import InvalidOption, Outcome

from tests.unit.operations.conftest import Answer
from tests.unit.operations.test_pages import GOLDEN
from tests.unit.operations.test_sweep import KINDS, MANAGED, World, crd

Object = dict[str, t.Any]

UID = "0000-1111"
OPERATOR = "quay.io/kubevirt/virt-operator:v1.8.4"
OF_A_RELEASE: dict[str, dict[str, tuple[str, bool]]] = {
    "kubevirt.io/v1": {
        "kubevirts": ("KubeVirt", True),
        "virtualmachines": ("VirtualMachine", True),
        "virtualmachineinstances": ("VirtualMachineInstance", True),
        "virtualmachineinstancereplicasets": ("VirtualMachineInstanceReplicaSet", True),
        "virtualmachineinstancemigrations": ("VirtualMachineInstanceMigration", True),
    },
    "snapshot.kubevirt.io/v1beta1": {"virtualmachinesnapshots": ("VirtualMachineSnapshot", True)},
    "instancetype.kubevirt.io/v1beta1": {
        "virtualmachineclusterinstancetypes": ("VirtualMachineClusterInstancetype", False)
    },
    "cdi.kubevirt.io/v1beta1": {"datavolumes": ("DataVolume", True)},
    "batch/v1": {"jobs": ("Job", True)},
    "apps/v1": {"deployments": ("Deployment", True), "daemonsets": ("DaemonSet", True)},
}


class Cluster(World):
    """KubeVirt v1.8.4 with its operator, and a node that it has marked."""

    def __init__(self) -> None:
        super().__init__()
        self.put("Namespace", "kube-system")["metadata"]["uid"] = UID
        self.put("Namespace", "kubevirt", {"kubevirt.io": ""})
        self.kubevirt = self.put("KubeVirt", "kubevirt/kubevirt", finalizers=["foregroundDeleteKubeVirt"])
        self.kubevirt |= {"spec": {}, "status": {"phase": "Deployed", "observedKubeVirtVersion": "v1.8.4"}}
        operator = self.put("Deployment", "kubevirt/virt-operator", {"kubevirt.io": "virt-operator"})
        containers = [{"name": "virt-operator", "image": OPERATOR}]
        operator |= {"spec": {"template": {"spec": {"containers": containers}}}, "status": {"readyReplicas": 2}}
        self.put("Deployment", "kubevirt/virt-api", MANAGED)["status"] = {"readyReplicas": 2}
        for name, kind in (("kubevirts.kubevirt.io", "KubeVirt"), ("virtualmachines.kubevirt.io", "VirtualMachine")):
            one = crd(self, name)
            one["metadata"]["labels"] = {} if kind == "KubeVirt" else MANAGED
            one["spec"]["names"]["kind"] = kind
        self.put("Lease", "kubevirt/virt-operator")
        self.put("Node", "one", {"kubevirt.io/schedulable": "true", "zone": "a"})

    def put(self, kind: str, name: str, labels: t.Mapping[str, str] | None = None, **metadata: t.Any) -> Object:
        """An object in its collection; one of VMs has a spec."""
        one = super().put(kind, name, labels, **metadata)
        if kind.startswith("VirtualMachine"):
            one["spec"] = {}
        return one

    def _page(self, path: str, query: dict[str, str]) -> Object:
        """As the server of the sweep, and with the selectors that are used here: ``key``, ``key=value`` and ``key in (a,b)``."""
        page = super()._page(path, query)
        selector = query.get("labelSelector", "").replace(" in (", "=").rstrip(")")
        key, _equals, values = selector.partition("=")
        if key and "!" not in key:
            labels = [(one, one["metadata"]["labels"]) for one in page["items"]]
            page["items"] = [one for one, has in labels if key in has and (not values or has[key] in values.split(","))]
        return page

    def vm(self, name: str, *, runs: bool = False) -> Object:
        """A VirtualMachine, and its instance if it runs."""
        vm = self.put("VirtualMachine", name)
        if runs:
            self.put("VirtualMachineInstance", name, ownerReferences=[self.owner(vm)])
        return vm

    def disk(self, name: str, owner: Object, volume: str = "") -> Object:
        """A PersistentVolumeClaim that goes with its owner."""
        claim = self.put("PersistentVolumeClaim", name, ownerReferences=[self.owner(owner)])
        claim["spec"] = {"volumeName": volume}
        return claim

    @staticmethod
    def owner(one: Object) -> Object:
        api = "cdi.kubevirt.io/v1beta1" if one["kind"] == "DataVolume" else "kubevirt.io/v1"
        return {
            "apiVersion": api,
            "kind": one["kind"],
            "name": one["metadata"]["name"],
            "uid": one["metadata"]["uid"],
            "controller": True,
        }

    def check(self, **params: t.Any) -> Outcome:
        """The module in check mode."""
        given = {option: spec.get("default") for option, spec in remove.ARGUMENT_SPEC.items()}
        given |= {"backup": False, **params}
        return remove.run(self.api(check_mode=True), given, check_mode=True, clock=self.clock, report=print)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    for version, kinds in OF_A_RELEASE.items():
        monkeypatch.setitem(KINDS, version, kinds)
    return Cluster()


def steps(outcome: Outcome) -> list[str]:
    assert not outcome.failure, outcome.failure
    return [f"{one['action']} {one['object']}" for one in outcome.actions]


def ids(outcome: Outcome) -> list[str]:
    return [one.id for one in outcome.findings]


def blockers(outcome: Outcome) -> list[str]:
    return [one.id for one in outcome.findings if one.level == "blocker"]


def of_kind(outcome: Outcome, part: str, kind: str) -> list[str]:
    return next((one["names"] for one in outcome.extra["inventory"][part] if one["kind"] == kind), [])


def test_without_anything_of_people_it_goes_in_its_order(cluster: Cluster) -> None:
    assert steps(cluster.check()) == [
        "delete-kubevirt KubeVirt kubevirt/kubevirt",
        "wait-deleted KubeVirt kubevirt/kubevirt",
        "delete-leftover Lease kubevirt/virt-operator",
        "delete-operator Deployment kubevirt/virt-operator",
        "delete-operator CustomResourceDefinition kubevirts.kubevirt.io",
        "clean-node Node one",
        "prove Cluster https://api.example:6443",
    ]


def test_vms_that_nobody_stops_are_not_touched_or_go_as_they_run(cluster: Cluster) -> None:
    """The KubeVirt object is gone, and who would make virt-controller anew."""
    for kind, name in (("KubeVirt", "kubevirt"), ("Deployment", "virt-operator"), ("Deployment", "virt-api")):
        cluster.objects.pop(next(path for path, one in cluster.objects.items() if _is(one, kind, name)))
    cluster.vm("shop/web", runs=True)
    phrase = f"{UID}:1 VMs:0 disks"
    refused = cluster.check(confirm=phrase)
    assert blockers(refused) == ["remove.stuck-controller-gone"]
    assert "nobody stops a VM" in refused.failure and "repair: finalizers" in refused.failure
    steps_then = steps(cluster.check(confirm=phrase, repair="finalizers"))
    assert "delete-vm VM shop/web" in steps_then and "stop-vm VM shop/web" not in steps_then


def _is(one: Object, kind: str, name: str) -> bool:
    return bool(one["kind"] == kind and one["metadata"]["name"] == name)


def test_vms_are_taken_away_before_with_what_makes_them_first(cluster: Cluster) -> None:
    runs, data_volume = cluster.vm("shop/web", runs=True), cluster.put("DataVolume", "shop/root")
    data_volume["metadata"]["ownerReferences"] = [cluster.owner(runs)]
    cluster.disk("shop/root", data_volume, "pv-1")
    cluster.vm("shop/off")
    cluster.put("VirtualMachineInstanceReplicaSet", "shop/set")
    cluster.put("VirtualMachineInstance", "shop/lone")
    outcome = cluster.check(confirm=f"{UID}:3 VMs:1 disks")
    assert steps(outcome)[:6] == [
        "delete-maker VirtualMachineInstanceReplicaSet shop/set",
        "delete-vm VM shop/off",
        "stop-vm VM shop/web",
        "delete-vm VM shop/web",
        "delete-vm VM shop/lone",
        "delete-kubevirt KubeVirt kubevirt/kubevirt",
    ]
    [web] = [one for one in outcome.actions if one["action"] == "delete-vm" and one["object"] == "VM shop/web"]
    assert web["reason"] == "without its disks, which stay: root"
    assert of_kind(outcome, "stays", "PersistentVolumeClaim") == ["shop/root"]
    removed = cluster.check(confirm=f"{UID}:3 VMs:1 disks", disks="remove")
    assert steps(removed)[0] == "delete-kubevirt KubeVirt kubevirt/kubevirt"
    assert of_kind(removed, "goes", "PersistentVolumeClaim") == ["shop/root"]


@pytest.mark.parametrize(
    ("make", "phrase"),
    [
        (lambda cluster: cluster.vm("shop/a"), "1 VMs:0 disks"),
        (lambda cluster: cluster.put("VirtualMachineInstance", "shop/a"), "1 VMs:0 disks"),
        (lambda cluster: cluster.vm("shop/a", runs=True), "1 VMs:0 disks"),
        (lambda cluster: cluster.disk("shop/d", cluster.vm("shop/a")), "1 VMs:1 disks"),
        (
            lambda cluster: cluster.put("DataVolume", "shop/d", ownerReferences=[cluster.owner(cluster.vm("shop/a"))]),
            "1 VMs:1 disks",
        ),
        (lambda cluster: cluster.put("VirtualMachineSnapshot", "shop/s"), "0 VMs:0 disks"),
    ],
    ids=["vm", "instance alone", "vm with its instance", "disk", "data volume without a claim", "snapshot"],
)
def test_what_people_have_has_to_be_agreed_to(
    cluster: Cluster, make: t.Callable[[Cluster], Object], phrase: str
) -> None:
    make(cluster)
    refused = cluster.check()
    assert blockers(refused) == ["remove.workloads-exist"]
    assert refused.extra["confirm"] == f"{UID}:{phrase}"
    assert refused.extra["confirm"] in refused.failure
    assert not cluster.check(confirm=refused.extra["confirm"]).failure


@pytest.mark.parametrize("state", ["Deployed", "Deploying", "Deleting"])
def test_the_phase_of_kubevirt_makes_no_difference_to_that(cluster: Cluster, state: str) -> None:
    cluster.vm("shop/a")
    cluster.kubevirt["status"]["phase"] = state
    assert "remove.workloads-exist" in ids(cluster.check())


def test_what_is_nobodys_loss_needs_no_phrase(cluster: Cluster) -> None:
    cluster.put("VirtualMachineClusterInstancetype", "u1.small", MANAGED)
    cluster.put("VirtualMachineInstanceMigration", "shop/ended")
    cluster.put("PersistentVolumeClaim", "shop/other")
    outcome = cluster.check()
    assert not outcome.failure and outcome.extra["confirm"] == ""


def test_a_claim_that_a_vm_only_uses_is_no_disk_of_it(cluster: Cluster) -> None:
    cluster.vm("shop/a")
    cluster.put("PersistentVolumeClaim", "shop/used")
    assert cluster.check().extra["confirm"] == f"{UID}:1 VMs:0 disks"


def test_a_disk_that_would_not_stay_is_said_before_any_change(cluster: Cluster) -> None:
    cluster.vm("shop/a")
    lone = cluster.put("VirtualMachineInstance", "shop/lone")
    cluster.disk("shop/tpm", lone, "pv-1")
    armed = {"confirm": f"{UID}:2 VMs:1 disks"}
    refused = cluster.check(**armed)
    assert blockers(refused) == ["remove.disk-would-not-stay"]
    assert "PersistentVolumeClaim shop/tpm: This disk of VM shop/lone" in refused.failure
    assert not cluster.check(**armed, disks="remove").failure


def test_a_strategy_that_blocks_is_kept_to(cluster: Cluster) -> None:
    cluster.vm("shop/a")
    cluster.kubevirt["spec"]["uninstallStrategy"] = "BlockUninstallIfWorkloadsExist"
    armed = {"confirm": f"{UID}:1 VMs:0 disks"}
    assert blockers(cluster.check(**armed, disks="remove")) == ["remove.blocked-by-uninstall-strategy"]
    assert not cluster.check(**armed).failure


def test_a_strategy_that_blocks_counts_replica_sets_too(cluster: Cluster) -> None:
    cluster.put("VirtualMachineInstanceReplicaSet", "shop/empty")
    cluster.kubevirt["spec"]["uninstallStrategy"] = "BlockUninstallIfWorkloadsExist"
    assert blockers(cluster.check(confirm=f"{UID}:0 VMs:0 disks")) == ["remove.blocked-by-uninstall-strategy"]


@pytest.mark.parametrize(("version", "found"), [("v0.49.0", ["remove.vms-first"]), ("v0.50.0", [])])
def test_an_old_operator_needs_the_vms_gone_before(cluster: Cluster, version: str, found: list[str]) -> None:
    cluster.vm("shop/a")
    cluster.kubevirt["status"]["observedKubeVirtVersion"] = version
    armed = {"confirm": f"{UID}:1 VMs:0 disks"}
    assert blockers(cluster.check(**armed, disks="remove")) == found
    assert blockers(cluster.check(**armed)) == []


def test_a_deletion_that_has_begun_is_followed(cluster: Cluster) -> None:
    cluster.kubevirt["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z"
    assert steps(cluster.check())[0] == "wait-deleted KubeVirt kubevirt/kubevirt"


@pytest.mark.parametrize(("deleted", "is_held"), [("11:59:30", False), ("11:50:00", True)])
def test_how_long_a_deletion_takes_is_measured_with_the_clock_of_the_cluster(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, deleted: str, is_held: bool
) -> None:
    monkeypatch.setattr(Answer, "headers", {"Date": "Sat, 01 Jan 2000 12:00:00 GMT"})
    cluster.kubevirt["metadata"] |= {"deletionTimestamp": f"2000-01-01T{deleted}Z", "finalizers": ["example.com/audit"]}
    found = [one.id for one in cluster.check().findings]
    assert ("remove.stuck-foreign-finalizer" in found) is is_held


@pytest.mark.parametrize("has_failed", [True, False], ids=["Job has failed", "its pod does not come up"])
def test_vms_are_saved_before_a_deletion_that_others_have_begun_goes_on(cluster: Cluster, has_failed: bool) -> None:
    """virt-operator deletes all VMs with their disks as soon as it has its install strategy."""
    cluster.kubevirt["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z"
    cluster.put("Deployment", "kubevirt/virt-controller", MANAGED)["status"] = {"readyReplicas": 2}
    vm = cluster.vm("shop/web")
    cluster.disk("shop/root", vm, "pv-1")
    if has_failed:
        job = cluster.put("Job", "kubevirt/strategy", {"kubevirt.io/install-strategy": ""})
        job["status"] = {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}
    else:
        pod = cluster.put("Pod", "kubevirt/strategy-1", {"kubevirt.io": "virt-operator-strategy-dumper"})
        waiting = {"name": "virt-operator", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such"}}}
        pod["status"] = {"phase": "Pending", "containerStatuses": [waiting]}
    outcome = cluster.check(confirm=f"{UID}:1 VMs:1 disks")
    done = [one for one in steps(outcome) if not one.startswith("delete-leftover")]
    mended = ["repair Job kubevirt/strategy"] if has_failed else []
    assert done[: 2 + len(mended)] == [
        "delete-vm VM shop/web",
        *mended,
        "wait-deleted KubeVirt kubevirt/kubevirt",
    ]
    (found,) = [one for one in outcome.findings if one.id == "remove.stuck-install-job"]
    assert found.level == "warning"
    assert "so first run this with disks: keep until no VM is left. Then: " in found.fix
    thrown_away = cluster.check(confirm=f"{UID}:1 VMs:1 disks", disks="remove")
    assert blockers(thrown_away) == ([] if has_failed else ["remove.stuck-install-job"])


def test_up_to_0_26_an_installation_is_waited_for(cluster: Cluster) -> None:
    cluster.kubevirt["status"] |= {"phase": "Deploying", "observedKubeVirtVersion": "v0.26.0"}
    assert steps(cluster.check())[:2] == [
        "wait-installed KubeVirt kubevirt/kubevirt",
        "delete-kubevirt KubeVirt kubevirt/kubevirt",
    ]
    cluster.kubevirt["status"]["observedKubeVirtVersion"] = "v0.27.0"
    assert steps(cluster.check())[0] == "delete-kubevirt KubeVirt kubevirt/kubevirt"


def test_without_a_kubevirt_object_all_that_is_left_goes(cluster: Cluster) -> None:
    del cluster.objects["/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts/kubevirt"]
    outcome = cluster.check()
    assert steps(outcome) == [
        "delete-leftover Deployment kubevirt/virt-api",
        "delete-leftover Lease kubevirt/virt-operator",
        "delete-leftover CustomResourceDefinition virtualmachines.kubevirt.io",
        "delete-operator Deployment kubevirt/virt-operator",
        "delete-operator CustomResourceDefinition kubevirts.kubevirt.io",
        "clean-node Node one",
        "prove Cluster https://api.example:6443",
    ]
    assert (outcome.state, outcome.from_version) == ("absent", None)


def test_where_nothing_is_left_nothing_is_done(cluster: Cluster) -> None:
    cluster.objects = {path: one for path, one in cluster.objects.items() if one["kind"] == "Namespace"}
    outcome = cluster.check()
    assert (outcome.failure, outcome.changed, outcome.actions, ids(outcome)) == ("", False, [], [])
    assert steps(cluster.check(remove_namespace=True)) == [
        "delete-namespace Namespace kubevirt",
        "prove Cluster https://api.example:6443",
    ]
    cluster.put("Secret", "kubevirt/of-another")
    kept = cluster.check(remove_namespace=True)
    assert (kept.changed, kept.actions) == (False, [])


def test_a_namespace_with_strangers_stays_and_that_is_said_before(cluster: Cluster) -> None:
    cluster.put("Secret", "kubevirt/of-another")
    outcome = cluster.check(remove_namespace=True)
    assert "delete-namespace Namespace kubevirt" not in steps(outcome)
    assert "remove.foreign-objects" in ids(outcome)


def test_disks_of_vms_in_its_own_namespace_keep_it_only_if_they_stay(cluster: Cluster) -> None:
    vm, root = cluster.vm("kubevirt/web"), cluster.put("DataVolume", "kubevirt/root")
    root["metadata"]["ownerReferences"] = [cluster.owner(vm)]
    cluster.disk("kubevirt/root", root, "pv-1")
    armed: Object = {"confirm": f"{UID}:1 VMs:1 disks", "remove_namespace": True}
    kept = cluster.check(**armed)
    assert "delete-namespace Namespace kubevirt" not in steps(kept)
    (found,) = [one for one in kept.findings if one.id == "remove.foreign-objects"]
    assert found.evidence == "DataVolume kubevirt/root, PersistentVolumeClaim kubevirt/root"
    assert "delete-namespace Namespace kubevirt" in steps(cluster.check(**armed, disks="remove"))
    cluster.put("PersistentVolumeClaim", "kubevirt/of-nobody")
    assert "remove.foreign-objects" in ids(cluster.check(**armed, disks="remove"))


def test_of_very_many_steps_the_page_shows_the_first(cluster: Cluster) -> None:
    for number in range(99):
        cluster.put("Node", f"n{number}", {"kubevirt.io/schedulable": "true"})
    shown = [line for line in cluster.check().as_result()["page"] if line.startswith("  clean-node ")]
    assert len(shown) < 50
    assert shown[-1] == f"  clean-node  and {100 - (len(shown) - 1)} more"


def test_nodes_are_left_alone_if_asked_for(cluster: Cluster) -> None:
    outcome = cluster.check(clean_nodes=False)
    assert "clean-node Node one" not in steps(outcome)
    assert of_kind(outcome, "stays", "Node") == ["one"]


def test_the_add_ons_are_told(cluster: Cluster) -> None:
    cluster.put("DataVolume", "shop/d")
    assert "remove.add-ons-stay" in ids(cluster.check())


def test_who_manages_it_is_refused_with_where_to_remove_it(cluster: Cluster) -> None:
    cluster.kubevirt["metadata"]["ownerReferences"] = [
        {"apiVersion": "hco.kubevirt.io/v1beta1", "kind": "HyperConverged", "name": "hco", "uid": "h"}
    ]
    refused = cluster.check()
    assert ids(refused)[0] == "owner.hco"
    assert "kubectl delete hyperconverged" in refused.failure


@pytest.mark.parametrize(("option", "value"), [("name", "other"), ("namespace", "elsewhere")])
def test_another_object_than_that_which_is_asked_for(cluster: Cluster, option: str, value: str) -> None:
    assert blockers(cluster.check(**{option: value})) == ["remove.other-kubevirt"]


def test_another_cluster(cluster: Cluster) -> None:
    assert ids(cluster.check(expected_cluster_uid="another")) == ["cluster.wrong-uid"]


def test_two_objects(cluster: Cluster) -> None:
    cluster.put("KubeVirt", "other/kubevirt")["spec"] = {}
    assert "kubevirt.multiple" in ids(cluster.check())


def test_what_lives_in_the_namespace_is_asked_again_at_the_end(cluster: Cluster) -> None:
    cluster.refuses["GET", "/apis/coordination.k8s.io/v1"] = (503, "service unavailable")
    assert "delete-namespace Namespace kubevirt" in steps(cluster.check(remove_namespace=True))


def test_a_cluster_without_add_ons_is_told_of_none(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(KINDS, "cdi.kubevirt.io/v1beta1")
    cluster.disk("shop/d", cluster.vm("shop/a"))
    outcome = cluster.check()
    assert "remove.add-ons-stay" not in ids(outcome)
    assert outcome.extra["confirm"] == f"{UID}:1 VMs:1 disks"


def test_a_group_of_kubevirt_that_does_not_answer_stops_everything(cluster: Cluster) -> None:
    cluster.refuses["GET", "/apis/snapshot.kubevirt.io/v1beta1"] = (503, "service unavailable")
    with pytest.raises(ClusterError, match="nobody knows what would go with it: group snapshot"):
        cluster.check()


def test_a_kind_whose_crd_has_just_gone_holds_nothing(cluster: Cluster) -> None:
    cluster.refuses["GET", "/virtualmachinesnapshots"] = (404, "the server could not find the requested resource")
    assert not cluster.check().failure


def test_what_others_own_is_no_disk_of_a_vm(cluster: Cluster) -> None:
    cluster.vm("shop/a")
    importer = {"apiVersion": "example.com/v1", "kind": "Import", "name": "i", "uid": "u"}
    cluster.put("DataVolume", "shop/d", ownerReferences=[importer])
    assert cluster.check().extra["confirm"] == f"{UID}:1 VMs:0 disks"


def test_a_node_on_which_only_people_set_something_is_not_cleaned(cluster: Cluster) -> None:
    cluster.put("Node", "two", {"cpumanager": "true"})
    assert [one for one in steps(cluster.check()) if one.startswith("clean-node")] == ["clean-node Node one"]


def test_what_cannot_be_read_stops_everything(cluster: Cluster) -> None:
    cluster.refuses[("GET", "/virtualmachines")] = (403, "no")
    with pytest.raises(ClusterError, match="403"):
        cluster.check()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"confirm": "yes"}, "confirm: 'yes' is not of the form"),
        ({"backup": True}, "backup_dir: it is not set"),
        ({"backup": True, "backup_dir": "relative"}, "is not an absolute path"),
        ({"accept": ["none.such"]}, "is no finding id"),
        ({"vm_stop_timeout": 0}, "is not a number of seconds"),
    ],
)
def test_what_no_cluster_could_take_is_said_before_it_is_asked(cluster: Cluster, params: Object, words: str) -> None:
    with pytest.raises(InvalidOption, match=words):
        cluster.check(**params)
    assert cluster.asked == []


def test_a_backup_is_the_first_step(cluster: Cluster, tmp_path: Path) -> None:
    cluster.vm("shop/a")
    outcome = cluster.check(backup=True, backup_dir=str(tmp_path), confirm=f"{UID}:1 VMs:0 disks")
    assert steps(outcome)[0] == f"back-up Directory {tmp_path}"
    assert outcome.actions[0]["reason"] == "the manifests of what people made (1 objects)"


def refused(cluster: Cluster) -> Outcome:
    cluster.disk("shop/d", cluster.vm("shop/a"))
    return cluster.check()


def planned(cluster: Cluster) -> Outcome:
    cluster.disk("shop/d", cluster.vm("shop/a", runs=True))
    return cluster.check(confirm=f"{UID}:1 VMs:1 disks")


def nothing(cluster: Cluster) -> Outcome:
    cluster.objects.clear()
    cluster.put("Namespace", "kube-system")["metadata"]["uid"] = UID
    return cluster.check()


PAGES: dict[str, t.Callable[[Cluster], Outcome]] = {"refused": refused, "planned": planned, "nothing": nothing}


@pytest.mark.parametrize("name", PAGES)
def test_the_page(cluster: Cluster, name: str) -> None:
    outcome = PAGES[name](cluster)
    page = [*outcome.as_result()["page"], *(["", *outcome.failure.splitlines()] if outcome.failure else [])]
    assert "\n".join(page) + "\n" == (GOLDEN / f"removal-{name}.txt").read_text()


def test_every_golden_text_is_of_a_page() -> None:
    assert {path.stem for path in GOLDEN.glob("removal-*")} == {f"removal-{name}" for name in PAGES}
