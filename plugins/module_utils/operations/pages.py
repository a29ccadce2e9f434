# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The pages that people read, made from a module's result. One list of lines each."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping, Sequence

from ..knowledge.fates import IN_WORDS, Fate
from ..knowledge.workload_strategy import in_words
from .outcome import listed

Result = Mapping[str, t.Any]

MOST_VMS = 10
"""How many VMs of one fate a page shows."""
METHODS = {"operator": "the operator's manifest", "image_tag": "spec.imageTag"}


def status_page(result: Result) -> list[str]:
    """How KubeVirt is doing, of ``kubevirt_info``'s result."""
    kubevirt = result["kubevirt"]
    rows = [("State", f"{result['state']}: {result['explanation']}")]
    if kubevirt:
        rows += [
            ("Version", _version(kubevirt)),
            ("Object", f"KubeVirt {kubevirt['namespace']}/{kubevirt['name']}"),
            ("Registry", _registry(kubevirt)),
            ("Managed by", ", ".join(owner["name"] for owner in result["owners"]) or "no other tool that leaves marks"),
            ("VMs", _vms(result["workloads"])),
            ("VM updates", _vm_updates(kubevirt)),
        ]
    rows += [("Kubernetes", result["kubernetes_version"]), ("Cluster", _cluster(result))]
    return [*_table(rows), *_findings(result["findings"])]


def upgrade_page(result: Result) -> list[str]:
    """What an upgrade does or did, of ``kubevirt_upgrade``'s result."""
    origin, target = result["from_version"], result["to_version"]
    rows = [
        ("Upgrade", upgrade_in_words(origin, target, arrived=not result["path"])),
        ("State", result["state"]),
        ("Cluster", _cluster(result)),
    ]
    lines = _table(rows)
    if len(result["path"]) > 1:
        lines += ["Path", *(line for number, hop in enumerate(result["path"], 1) for line in _hop(number, hop))]
    lines += _steps("Steps of the first hop" if len(result["path"]) > 1 else "Steps", result["actions"])
    return [*lines, *_findings(result["findings"])]


def strategy_page(result: Result) -> list[str]:
    """How VMs are moved, and what that means for them, of ``kubevirt_workload_strategy``'s result."""
    before, after = result["strategy_before"], result["strategy"]
    if before == after:
        rows = [("Strategy", f"{in_words(after)}; that is there already")]
    else:
        rows = [("Before", in_words(before)), ("Asked for", in_words(after))]
    vms = result["vms"]
    launchers = listed((f"{number} on {launcher}" for launcher, number in vms["by_launcher"].items()), most=10)
    rows += [
        ("State", result["state"]),
        ("Cluster", _cluster(result)),
        ("VMs", f"{vms['total']}, {vms['to_be_moved']} to be moved"),
        *([("Launchers", launchers)] if launchers else []),
    ]
    return [*_table(rows), *_fates(vms), *_findings(result["findings"])]


def _fates(vms: Mapping[str, t.Any]) -> Iterator[str]:
    """A line for each fate, and the first of its VMs below, where there is more to say about them than that."""
    if vms["by_fate"]:
        yield "What becomes of them"
    for fate, number in vms["by_fate"].items():
        yield f"  {number} {IN_WORDS[Fate(fate)]}"
        told = [vm for vm in vms["listed"] if vm["fate"] == fate and (vm["why"] or vm["last_migration_failure"])]
        yield from (f"    {_vm(vm)}" for vm in told[:MOST_VMS])
        if len(told) > MOST_VMS:
            yield f"    and {len(told) - MOST_VMS} more"


def _vm(vm: Mapping[str, t.Any]) -> str:
    failure = vm["last_migration_failure"]
    words = filter(None, (vm["why"], failure and f"its last migration failed: {failure}"))
    return f"{vm['namespace']}/{vm['name']} ({vm['launcher']}): {'; '.join(words)}"


def _hop(number: int, hop: Mapping[str, t.Any]) -> list[str]:
    """A line, and what is found against a later hop; what is found against the first stands at the end of the page."""
    line = f"  {number}. {hop['from']} -> {hop['to']}  by {METHODS[hop['method']]}  ({hop['why']})"
    found = _told(hop["findings"]) if hop["projected"] else []
    return [line, *(f"   {one}" for one in found)]


def upgrade_in_words(origin: str | None, target: str, *, arrived: bool) -> str:
    """From where to where."""
    if origin != target:
        return f"{origin or 'unknown'} -> {target}"
    return f"none, KubeVirt is at {target}" if arrived else f"{target} is there, and not ready yet"


def _table(rows: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{name:<11} {value}" for name, value in rows]


def _findings(findings: Sequence[Mapping[str, t.Any]]) -> list[str]:
    if not findings:
        return ["Findings    none"]
    return [f"Findings    {len(findings)}", *_told(findings)]


def _told(findings: Sequence[Mapping[str, t.Any]]) -> list[str]:
    return [
        line
        for one in findings
        for line in (f"  {one['level']} [{one['id']}] {one['object']}: {one['cause']}", f"    Do: {one['fix']}")
    ]


def _steps(title: str, actions: Sequence[Mapping[str, str]]) -> list[str]:
    if not actions:
        return []
    return [title, *(f"  {n}. {one['action']}  {one['object']}  ({one['reason']})" for n, one in enumerate(actions, 1))]


def _cluster(result: Result) -> str:
    return "{endpoint} (uid {uid})".format(**result["cluster"])


def _version(kubevirt: Mapping[str, t.Any]) -> str:
    observed, target = kubevirt["observed_version"], kubevirt["target_version"]
    words = observed or "none yet"
    if target and target != observed:
        words += f", on its way to {target}"
    if kubevirt["image_tag"]:
        words += f", pinned by spec.imageTag {kubevirt['image_tag']}"
    return f"{words} (operator {kubevirt['operator_declared_version'] or 'unknown'})"


def _registry(kubevirt: Mapping[str, t.Any]) -> str:
    return kubevirt["observed_registry"] or kubevirt["operator_registry"] or "unknown"


def _vms(workloads: Mapping[str, int]) -> str:
    return (
        "{vms} VirtualMachines, {vmis} instances running, {outdated} of them on launchers of an older version".format(
            **workloads
        )
    )


def _vm_updates(kubevirt: Mapping[str, t.Any]) -> str:
    held = kubevirt["held_workload_update_methods"]
    if held is not None:
        return f"held by an unfinished run ({', '.join(held) or 'no methods'} remembered)"
    methods = kubevirt["workload_update_strategy"].get("workloadUpdateMethods") or []
    return ", ".join(methods) or "off (running VMs stay on the launcher that started them)"


SHOWN = 20
"""How many VMs of a list are on the page; the result has them all."""


def workload_page(result: Result) -> list[str]:
    """What is done with the VMs, or was done, and what is left."""
    rows = [("VMs", _moved(result)), ("Strategy", in_words(result.get("strategy")))] if "vms" in result else []
    rows += [("State", result["state"]), ("Cluster", _cluster(result))]
    lines = _table(rows)
    lines += _steps("Steps", result["actions"])
    lines += _section("No canary for", [*map("  {}".format, result.get("unproven", ()))])
    lines += _section("Failed", [f"  {one['vm']}: {one['reason']}" for one in result.get("failures", ())])
    lines += _section("Left", [*_left(result.get("rest", ()))])
    return [*lines, *_findings(result["findings"])]


def _moved(result: Result) -> str:
    vms = result["vms"]
    words = f"{vms['running']} running, {vms['outdated']} on an older launcher, {vms['marked']} marked"
    if result["moved"]:
        words += f"; {result['moved']} moved ({result['rate']} a minute)"
    return words


def _left(rest: Sequence[Mapping[str, t.Any]]) -> Iterator[str]:
    for one in rest:
        yield f"  {one['vm']}: {one['reason']}. {one['fix']}"


def _section(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    more = [f"  and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return [f"{title:<11} {len(lines)}", *lines[:SHOWN], *more]


def removal_page(result: Result) -> list[str]:
    """What a removal takes away or took away, what stays, and what is left."""
    goes, stays = result["inventory"]["goes"], result["inventory"]["stays"]
    rows = [
        ("KubeVirt", result["from_version"] or "no KubeVirt object"),
        ("State", result["state"]),
        ("Cluster", _cluster(result)),
    ]
    if not goes and not result["left"]:
        return [*_table([("Removal", "nothing of KubeVirt is there"), *rows]), *_findings(result["findings"])]
    lines = _table(rows)
    lines += ["Goes", *map(_kind_in_words, goes)] if goes else []
    lines += ["Stays", *map(_kind_in_words, stays)] if stays else []
    lines += _table([("Backup", result["backup"]["path"])]) if result["backup"] else []
    lines += ["Steps", *_first_of_each_action(result["actions"])] if result["actions"] else []
    lines += _section("Removed", [f"  {one}" for one in result["removed"]])
    lines += _section("Kept disks", [f"  {one['claim']} of VM {one['vm']}" for one in result["kept"]])
    lines += _section("Stay", [f"  {one['object']}: {one['reason']}" for one in result["stays"]])
    lines += _section("Left", [f"  {one['object']}: {one['reason']}" for one in result["left"]])
    lines += _table([("Confirm", result["confirm"])]) if result["confirm"] else []
    return [*lines, *_findings(result["findings"])]


def _kind_in_words(entry: Mapping[str, t.Any]) -> str:
    return f"  {entry['count']} {entry['kind']}: {listed(entry['names'])}"


def _first_of_each_action(actions: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """All steps, but of each action the first ones only; the result has them all."""
    for action in dict.fromkeys(one["action"] for one in actions):
        those = [one for one in actions if one["action"] == action]
        yield from (f"  {action}  {one['object']}  ({one['reason']})" for one in those[:SHOWN])
        if len(those) > SHOWN:
            yield f"  {action}  and {len(those) - SHOWN} more"
