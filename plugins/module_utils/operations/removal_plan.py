# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What a removal would do, decided from what was read alone, so that check mode and a run decide the same."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..knowledge.blockage_scene import Cure
from ..knowledge.marks import MANAGED_BY
from ..knowledge.stuck import lets_it_go_on
from ..knowledge.user_kinds import MAKERS, VMIS, VMS
from ..knowledge.versions import Version
from .belongings import Belongings
from .observe import Facts
from .outcome import listed
from .sweep import Left, Leftovers
from .upgrade_plan import Step
from .upgrade_wish import running_version

LAST_THAT_HANGS = Version(0, 26, 99)
"""Up to this version a KubeVirt object that is deleted while it is being installed stays for ever (kubevirt/kubevirt#2961)."""
READS_ONLY = ("back-up", "wait-installed", "wait-deleted", "prove")


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Attributes:
        backup_dir: Where the manifests go; empty for no backup.
    """

    keep_disks: bool = True
    backup_dir: str = ""
    clean_nodes: bool = True
    remove_namespace: bool = False


@dataclass(frozen=True)
class Seen:
    """All that the plan is made from.

    Attributes:
        cures: What stands in the way and may be mended.
        nobody_stops_vms: virt-controller is gone for good, and VMs may go without it.
        foreign: What lives in KubeVirt's namespace and is not KubeVirt's, so that the namespace stays.
    """

    facts: Facts
    belongings: Belongings
    leftovers: Leftovers
    cures: tuple[Cure, ...] = ()
    foreign: tuple[str, ...] = ()
    nobody_stops_vms: bool = False

    @property
    def is_live(self) -> bool:
        """Whether virt-operator has still to delete what it made."""
        return self.facts.kubevirt is not None

    @property
    def by_us(self) -> tuple[Left, ...]:
        """The objects that we delete ourselves: all there are, or those that virt-operator does not know as its own."""
        return tuple(one for one in self.leftovers.removable if not (self.is_live and _is_of_virt_operator(one)))


def plan_of(seen: Seen, wish: Wish) -> tuple[Step, ...]:
    """The steps until nothing of KubeVirt is there; none where that is so already."""
    later = [cure for cure in seen.cures if takes_vms_first(seen, wish) and lets_it_go_on(cure)]
    steps = [
        *_back_up(seen, wish),
        *(repair_step(cure) for cure in seen.cures if cure not in later),
        *_wait_installed(seen),
        *(_take_vms(seen) if wish.keep_disks else ()),
        *map(repair_step, later),
        *_delete_kubevirt(seen),
        *(Step(one.action, one.object, one.reason) for one in seen.by_us),
        *(_clean_nodes(seen) if wish.clean_nodes else ()),
        *_delete_namespace(seen, wish),
    ]
    if not steps:
        return ()
    return (*steps, Step("prove", f"Cluster {seen.facts.cluster.endpoint}", "search every kind for KubeVirt's marks"))


def repair_step(cure: Cure) -> Step:
    """The step that a cure is."""
    return Step("repair", cure.object, cure.reason, path=cure.path)


def writes(steps: Sequence[Step]) -> bool:
    """Whether anything in the cluster is changed."""
    return any(step.action not in READS_ONLY for step in steps)


def diff_of(steps: Sequence[Step]) -> list[dict[str, t.Any]]:
    """What these steps delete, as Ansible prints it."""
    deleted = [step.object for step in steps if step.action.startswith("delete-")]
    if not deleted:
        return []
    name = "Objects that are deleted"
    before: Mapping[str, t.Any] = {"objects": deleted}
    return [{"before_header": name, "after_header": name, "before": before, "after": {"objects": []}}]


def _back_up(seen: Seen, wish: Wish) -> Iterator[Step]:
    count = sum(one.count for one in seen.belongings.kinds)
    if wish.backup_dir and (count or seen.is_live):
        yield Step("back-up", f"Directory {wish.backup_dir}", f"the manifests of what people made ({count} objects)")


def takes_vms_first(seen: Seen, wish: Wish) -> bool:
    """Whether VMs are to be saved from a deletion that somebody has begun, before that goes on."""
    return seen.facts.state == "deleting" and wish.keep_disks and bool(seen.belongings.counted)


def _wait_installed(seen: Seen) -> Iterator[Step]:
    running = running_version(seen.facts)
    if seen.facts.state == "installing" and running and running <= LAST_THAT_HANGS:
        yield Step("wait-installed", seen.facts.kubevirt_name, f"KubeVirt {running} never ends a deletion before")


def _take_vms(seen: Seen) -> Iterator[Step]:
    """In the order in which it is done: what makes VMs, VMs, and those without a VirtualMachine."""
    held = seen.belongings
    if not held.vms and not held.standalone_vmis:
        return
    for kind in MAKERS:
        for name in held.names_of(kind):
            yield Step("delete-maker", f"{kind.kind} {name}", "it would make its VMs again; they stay until their turn")
    runs = {*held.names_of(VMIS)}
    disks: dict[tuple[str, str], list[str]] = {}
    for disk in held.disks:
        disks.setdefault((disk.namespace, disk.owner), []).append(disk.name.partition("/")[2])
    for name in held.vms:
        namespace, _slash, short = name.partition("/")
        kept = listed(disks.get((namespace, f"{VMS.kind} {short}"), ()))
        if name in runs and not seen.nobody_stops_vms:
            yield Step("stop-vm", f"VM {name}", "so that its disks are at rest")
        yield Step("delete-vm", f"VM {name}", f"without its disks, which stay: {kept}" if kept else "it owns no disk")
    for name in held.standalone_vmis:
        yield Step("delete-vm", f"VM {name}", "it has no VirtualMachine")


def _delete_kubevirt(seen: Seen) -> Iterator[Step]:
    kubevirt = seen.facts.kubevirt
    if kubevirt is None:
        return
    patterns = (
        f"virt-operator then deletes its CRDs with their objects, and all that has the label {MANAGED_BY}=virt-operator"
    )
    if not kubevirt["metadata"].get("deletionTimestamp"):
        yield Step("delete-kubevirt", seen.facts.kubevirt_name, patterns)
    yield Step("wait-deleted", seen.facts.kubevirt_name, "until virt-operator has deleted what it made")


def _clean_nodes(seen: Seen) -> Iterator[Step]:
    for node in seen.leftovers.nodes:
        if node.is_dirty:
            labels, annotations = len(node.marks.labels), len(node.marks.annotations)
            yield Step("clean-node", f"Node {node.name}", f"KubeVirt's labels: {labels}, annotations: {annotations}")


def _delete_namespace(seen: Seen, wish: Wish) -> Iterator[Step]:
    if wish.remove_namespace and seen.facts.namespace and not seen.foreign:
        name = seen.facts.namespace["metadata"]["name"]
        yield Step("delete-namespace", f"Namespace {name}", "if nothing else lives in it")


def _is_of_virt_operator(one: Left) -> bool:
    return one.action != "delete-operator" and MANAGED_BY in one.reason
