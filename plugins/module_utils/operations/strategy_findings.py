# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What speaks against a workload update strategy in this cluster, and what it means for the VMs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from ..knowledge import workload_strategy
from ..knowledge.conditions import State, explanation
from ..knowledge.fates import Fate, fate_of, why
from ..knowledge.findings import Finding, finding
from ..knowledge.guests import Guest
from ..knowledge.workload_strategy import EVICT, LIVE_MIGRATE
from .guest_facts import GuestFacts
from .observe import Facts
from .outcome import listed
from .standing_findings import findings_about_a_hold, findings_about_owners, findings_about_the_object
from .upgrade_wish import running_version

MOVED = (Fate.DESTROYED, Fate.LEFT_DOWN, Fate.RESTARTED, Fate.MIGRATED, Fate.MIGRATED_BY_EVICTION)


def findings_against_any_strategy(facts: Facts) -> list[Finding]:
    """Why nothing that is asked for could last, even if it is there already."""
    about_the_object = findings_about_the_object(facts)
    if about_the_object:
        return about_the_object
    return [*_about_the_version(facts), *_about_a_hold(facts)]


def findings_against_a_change(facts: Facts, methods: Sequence[str]) -> list[Finding]:
    """Why the strategy should not be changed here, or not now."""
    return [*findings_about_owners(facts), *_about_the_time(facts, methods)]


def findings_about_the_choice(facts: Facts, vms: GuestFacts, methods: Sequence[str]) -> list[Finding]:
    """What the methods mean for the VMs that run now, the worst first."""
    fates = _by_fate(vms.guests, vms, methods)
    moved = [guest for fate in MOVED for guest in fates[fate]]
    return [
        *_about_migration(facts, vms, methods, fates[Fate.CANNOT_MIGRATE]),
        *_about_lost_vms(_by_fate([replace(guest, outdated=True) for guest in vms.guests], vms, methods)),
        *_about_refused_evictions(fates),
        *_about_what_stays(fates[Fate.STAYS_OLD], methods),
        *_about_pending_changes(moved),
        *_about_images(facts, moved),
    ]


def _by_fate(guests: Sequence[Guest], vms: GuestFacts, methods: Collection[str]) -> dict[Fate, list[Guest]]:
    fates: dict[Fate, list[Guest]] = {fate: [] for fate in Fate}
    for guest in guests:
        fates[fate_of(guest, methods, can_migrate=vms.can_migrate)].append(guest)
    return fates


def _about_the_version(facts: Facts) -> list[Finding]:
    running = running_version(facts)
    if running is None or running >= workload_strategy.SINCE:
        return []
    return [
        finding(
            "workloads.not-before-0-39",
            object=facts.kubevirt_name,
            cause=f"It is at {running}, which has no spec.workloadUpdateStrategy.",
            fix=f"Upgrade to {workload_strategy.SINCE} or later first. Until then migrate VMs one by one (virtctl migrate), or restart "
            "them.",
        )
    ]


def _about_a_hold(facts: Facts) -> list[Finding]:
    """What is set now would move VMs in the middle of the upgrade, or be replaced at its end; so it cannot be accepted here."""
    return [replace(one, acceptable=False) for one in findings_about_a_hold(facts, "blocker")]


def _about_the_time(facts: Facts, methods: Sequence[str]) -> list[Finding]:
    if not methods or facts.state not in (State.UPDATING, State.FAILED) or findings_about_a_hold(facts):
        return []
    return [
        finding(
            "workloads.control-plane-moves",
            object=facts.kubevirt_name,
            cause="Its control plane is not at rest. Migrations that race with the roll-out of virt-handler can end VMs.",
            evidence=explanation(facts.kubevirt),
            fix="Wait until it is healthy (kubevirt_info says so), then run this again.",
        )
    ]


def _about_migration(facts: Facts, vms: GuestFacts, methods: Collection[str], stuck: Sequence[Guest]) -> list[Finding]:
    """Why live migrations cannot work here, where they are asked for."""
    if vms.can_migrate or not (stuck or LIVE_MIGRATE in methods):
        return []
    stay = f" These VMs stay where they are: {_names(stuck)}." if stuck else ""
    if vms.gate_off:
        return [
            finding(
                "workloads.live-migration-gate-off",
                object=facts.kubevirt_name,
                cause=f"Up to 0.55 live migration is behind the feature gate LiveMigration, which is off, so every migration is "
                f"refused.{stay}",
                evidence="spec.configuration.developerConfiguration.featureGates does not have it",
                fix="Switch the feature gate on, or use methods: [Evict], which restarts VMs.",
            )
        ]
    return [
        finding(
            "workloads.needs-two-nodes",
            object=f"Cluster {facts.cluster.endpoint}",
            cause="A live migration goes to another node, and there is none. virt-controller tries it again and again, and evicts "
            f"nothing that says it can be migrated.{stay}",
            evidence=f"nodes with the label kubevirt.io/schedulable=true that are Ready and not cordoned: {vms.vm_nodes}",
            fix="Make a second node ready for VMs, or use methods: [Evict], which restarts VMs; it is the only way on one node.",
        )
    ]


def _about_lost_vms(fates: dict[Fate, list[Guest]]) -> list[Finding]:
    """Of VMs as they are when all launchers are outdated, for the strategy outlasts the next upgrade."""
    found = []
    if fates[Fate.DESTROYED]:
        found.append(
            finding(
                "workloads.evict-destroys-vmi",
                object=_names(fates[Fate.DESTROYED]),
                cause="Evict shuts down VMs on outdated launchers, and nobody starts these again: they are VirtualMachineInstances of "
                "their own, without a VirtualMachine.",
                evidence=_reasons(Fate.DESTROYED, fates[Fate.DESTROYED]),
                fix=f"Leave {EVICT} out, or make VirtualMachines of them first.",
            )
        )
    if fates[Fate.LEFT_DOWN]:
        found.append(
            finding(
                "workloads.evict-leaves-vm-down",
                object=_names(fates[Fate.LEFT_DOWN]),
                cause="Evict shuts down VMs on outdated launchers, and the run strategy of these does not start them again.",
                evidence=_reasons(Fate.LEFT_DOWN, fates[Fate.LEFT_DOWN]),
                fix=f"Leave {EVICT} out, or set spec.runStrategy: Always in their VirtualMachines, or start them by hand afterwards "
                "(virtctl start).",
            )
        )
    return found


def _about_refused_evictions(fates: dict[Fate, list[Guest]]) -> list[Finding]:
    found = []
    if fates[Fate.EVICTION_REFUSED]:
        found.append(
            finding(
                "workloads.eviction-refused",
                object=_names(fates[Fate.EVICTION_REFUSED]),
                cause="Their eviction strategy is LiveMigrate and they cannot be migrated, so every eviction is refused. They stay on "
                "their old launchers.",
                evidence=_reasons(Fate.EVICTION_REFUSED, fates[Fate.EVICTION_REFUSED]),
                fix="Restart them when it suits their owners (virtctl restart), or give them evictionStrategy: LiveMigrateIfPossible.",
            )
        )
    if fates[Fate.LEFT_TO_OTHERS]:
        found.append(
            finding(
                "workloads.eviction-left-to-others",
                object=_names(fates[Fate.LEFT_TO_OTHERS]),
                cause="Their eviction strategy is External: KubeVirt marks them and leaves the rest to another controller.",
                fix="Make sure that this controller runs. Otherwise restart them when it suits their owners (virtctl restart).",
            )
        )
    return found


def _about_what_stays(staying: Sequence[Guest], methods: Collection[str]) -> list[Finding]:
    if not staying:
        return []
    cause = (
        "They cannot be migrated, and LiveMigrate is the only method."
        if methods
        else "There is no method to move them by."
    )
    return [
        finding(
            "workloads.stay-old",
            level=None if methods else "info",
            object=_names(staying),
            cause=f"{cause} They run on as they are until they are restarted.",
            evidence=_reasons(Fate.STAYS_OLD, staying),
            fix="Restart them when it suits their owners (virtctl restart)"
            + (f", or let KubeVirt do it: methods: [{LIVE_MIGRATE}, {EVICT}]." if methods else ", or choose methods."),
        )
    ]


def _about_pending_changes(moved: Sequence[Guest]) -> list[Finding]:
    only_pending = [guest for guest in moved if not guest.outdated]
    if not only_pending:
        return []
    return [
        finding(
            "workloads.pending-changes-move",
            object=_names(only_pending),
            cause="They wait for a change of CPUs, memory, network or volumes to take effect, and virt-controller moves them for that, "
            "by the same methods.",
            evidence=listed(f"{guest.full_name}: {', '.join(guest.pending)}" for guest in only_pending),
            fix="Nothing, if their owners may have them moved now. Otherwise wait, or take the change back in the VirtualMachine.",
        )
    ]


def _about_images(facts: Facts, moved: Sequence[Guest]) -> list[Finding]:
    running = running_version(facts)
    same = [guest for guest in moved if guest.outdated and running and guest.launcher_version == running]
    if not same:
        return []
    return [
        finding(
            "workloads.same-version-outdated",
            object=_names(same),
            cause=f"Their launchers are of {running} already. virt-controller compares images as text, and theirs has another registry "
            "or digest than KubeVirt has now, so they are moved all the same.",
            evidence=listed(dict.fromkeys(guest.launcher_image for guest in same)),
            fix="Nothing, if the registry was changed on purpose. Otherwise bring the images of KubeVirt back to that name first.",
        )
    ]


def _names(guests: Sequence[Guest]) -> str:
    return f"{len(guests)} VM{'s' if len(guests) > 1 else ''} ({listed(guest.full_name for guest in guests)})"


def _reasons(fate: Fate, guests: Sequence[Guest]) -> str:
    """The first few reasons, each once."""
    return listed(dict.fromkeys(reason for guest in guests if (reason := why(guest, fate))))
