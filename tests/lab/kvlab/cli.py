# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of the lab."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from kvlab import (
    builds,
    cache,
    cdi,
    cgroups,
    cluster,
    kubectl,
    kubevirt,
    kwok,
    leftovers,
    machines,
    manifests,
    netns,
    node,
    packages,
    real_images,
    real_vms,
    vms,
    watches,
)
from kvlab.lab import Lab, existing
from kvlab.processes import CommandFailed, components, pid_of
from kvlab.waiting import NotYet, TimedOut, say


def up(lab: Lab, *, api_only: bool, real_guests: bool, releases: Sequence[str]) -> None:
    """Start a lab that has the images of these releases; what a killed run left under the same name is cleared first."""
    form = {"api_only": api_only, "real_guests": real_guests}
    if real_guests:
        node.check_for_real_guests()
    with cache.locked(f"lab-{lab.name}"):
        if is_complete(lab):
            if lab.recorded() != form:
                raise SystemExit(f"the lab {lab.name} is up in another form; bring it down first")
            say(f"the lab {lab.name} is up")
            return
        packages.ensure(packages.NETWORK if api_only else packages.NETWORK | packages.NODE)
        wanted = builds.API_SETS if api_only else (*builds.CLUSTER_SETS, *map(builds.set_of, releases))
        if real_guests:
            wanted += real_images.sets(releases)
        builds.ensure(wanted)
        started = time.monotonic()
        leftovers.clear(lab)
        shutil.rmtree(lab.logs, ignore_errors=True)
        cache.directory("labs", lab.name)
        cache.directory("logs", lab.name)
        watches.allow_enough()
        cgroups.create(lab)
        netns.create(lab)
        cluster.make_certificates(lab)
        cluster.start_api(lab)
        if not api_only:
            cluster.start_controllers(lab)
            kwok.start_workers(lab)
            kwok.start_guests(lab)
            node.start_control_plane(lab, node.image_archives(releases))
            if real_guests:
                node.start_for_real_guests(lab, node.guest_archives(releases))
            cluster.wait_for_controllers(lab)
        lab.record(**form)
        say(f"the lab {lab.name} is up after {time.monotonic() - started:.0f} s")


def down(labs: list[Lab]) -> None:
    """End labs, whether they are complete or not."""
    for lab in labs:
        with cache.locked(f"lab-{lab.name}"):
            leftovers.clear(lab)
        say(f"the lab {lab.name} is down")


def is_complete(lab: Lab) -> bool:
    """Whether the lab was brought up to the end and all its processes run."""
    return bool(lab.recorded()) and all(pid_of(lab, component) for component in components(lab))


def status(lab: Lab) -> int:
    """Print what runs; 0 if the lab is complete, else 1."""
    if not lab.state.exists():
        print(f"the lab {lab.name} is down")
        return 1
    complete = is_complete(lab)
    print(f"the lab {lab.name} is {'up' if complete else 'not complete'}")
    for component in components(lab):
        pid = pid_of(lab, component)
        print(f"  {component:28} {f'pid {pid}' if pid else 'ended'}")
    if complete:
        print(f"  kubeconfig {lab.kubeconfig}\n  audit log  {lab.audit_log}")
    return 0 if complete else 1


def running(lab: Lab) -> Lab:
    """The lab, if it was brought up to the end."""
    if not lab.recorded():
        raise SystemExit(f"the lab {lab.name} is not up: python3 tests/lab up --name {lab.name}")
    return lab


def with_real_guests(lab: Lab) -> Lab:
    """The lab, if it can run real guests."""
    if not running(lab).recorded().get("real_guests"):
        raise SystemExit(f"the lab {lab.name} has no nodes for real guests: it was brought up without --real-guests")
    return lab


def add_release(lab: Lab, version: str) -> None:
    """Give the nodes of a running lab the images of one more release."""
    real_guests = lab.recorded().get("real_guests")
    builds.ensure((builds.set_of(version), *(real_images.sets([version]) if real_guests else ())))
    node.import_images(node.control_plane(lab), node.image_archives([version]))
    if real_guests:
        for one in node.for_real_guests(lab):
            node.import_images(one, node.guest_archives([version]))


def shell(lab: Lab) -> None:
    """Become a shell in the lab's network namespace."""
    tools = {str(builds.SETS[name].programs) for name in builds.SETS}
    os.environ["KUBECONFIG"] = str(lab.kubeconfig_of("super-admin"))
    os.environ["PATH"] = os.pathsep.join([*sorted(tools), os.environ["PATH"]])
    become(netns.inside(lab, [os.environ.get("SHELL", "/bin/sh")]))


def logs(lab: Lab, component: str) -> None:
    """Print a component's log, also of a lab that is down."""
    path = lab.logs / f"{component}.log"
    if not path.exists():
        present = ", ".join(sorted(log.stem for log in lab.logs.glob("*.log")))
        raise SystemExit(f"there is no log of {component}; there is: {present or 'nothing'}")
    with path.open(encoding="utf-8", errors="replace") as log:
        shutil.copyfileobj(log, sys.stdout)


def become(command: list[str | Path]) -> None:
    """Replace this process by a command."""
    words = [str(word) for word in command]
    os.execvp(words[0], words)


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog="tests/lab", description="A real KubeVirt on this machine. See tests/lab/README.md."
    )
    commands = top.add_subparsers(dest="command", required=True)

    def command(name: str, text: str, *, of_lab: bool = True) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        if of_lab:
            added.add_argument("--name", default="lab", help="which lab (default: lab)")
        return added

    build = command("build", "build what the lab runs, as far as the cache lacks it", of_lab=False)
    on_demand = ", ".join(name for name in builds.SETS if name not in builds.USUAL_SETS)
    build.add_argument(
        "sets",
        nargs="*",
        metavar="SET",
        help=f"of {', '.join(builds.SETS)} (default: all but {on_demand})",
    )
    start = command("up", "start a lab")
    form = start.add_mutually_exclusive_group()
    form.add_argument("--api-only", action="store_true", help="only etcd and the apiserver")
    form.add_argument("--real-guests", action="store_true", help="also two real nodes, for guests that really run")
    start.add_argument(
        *("--release", "-r"),
        dest="releases",
        action="append",
        choices=builds.KUBEVIRT_VERSIONS,
        help=f"a KubeVirt release that the lab has the images of (default: {' and '.join(builds.USUAL_VERSIONS)})",
    )
    command("release", "give a running lab the images of one more release").add_argument(
        "version", choices=builds.KUBEVIRT_VERSIONS
    )
    command("cdi", "the CRDs of CDI, for VMs with DataVolumes; before KubeVirt is installed")
    command("down", "end a lab").add_argument("--all", action="store_true", help="end every lab of this cache")
    command("status", "what runs")
    command("kubeconfig", "the path of an administrator's kubeconfig for use outside of the lab's namespace")
    command("audit-log", "the path of the apiserver's audit log")
    command("shell", "a shell in the lab's network namespace")
    within = command("node", "a command in the namespaces of a real node")
    within.add_argument("node")
    within.add_argument("arguments", nargs="+", metavar="-- ARGUMENT")
    command("logs", "the log of a component").add_argument("component")
    command("kubectl", "kubectl as the administrator").add_argument("arguments", nargs="*", metavar="-- ARGUMENT")
    manifest = command("manifest", "the path of a release's kubevirt-operator.yaml", of_lab=False)
    manifest.add_argument("version", choices=builds.KUBEVIRT_VERSIONS)
    command("cr", "the KubeVirt CR of the lab", of_lab=False)
    kv = command("kubevirt", "install or uninstall KubeVirt", of_lab=False).add_subparsers(dest="action", required=True)
    install = kv.add_parser("install", help="install a release and wait until it is done")
    install.add_argument("version", choices=builds.KUBEVIRT_VERSIONS)
    install.add_argument("--how", choices=kubevirt.HOW, default="kubectl-create")
    vm = command("vm", "create, list, migrate and evict VMs", of_lab=False)
    vm_actions = vm.add_subparsers(dest="action", required=True)
    create = vm_actions.add_parser("create", help="create VMs and wait until they run")
    create.add_argument("count", type=int)
    add_wish(create)
    mixed = vm_actions.add_parser("create-mixed", help="create the mixed set, of which README.md tells")
    mixed.add_argument("times", type=int, nargs="?", default=1, help="how many of each (default: 1)")
    listed = vm_actions.add_parser("list", help="all VMs: kind, strategies, phase, launcher")
    migrate = vm_actions.add_parser("migrate", help="migrate a VM and wait for its end")
    evict = vm_actions.add_parser("evict", help="evict the launcher pod of a VM, as a drain does")
    for action in (migrate, evict):
        action.add_argument("vm")
    real = vm_actions.add_parser("create-real", help="create VMs with real guests and wait until the guests answer")
    real.add_argument("count", type=int)
    ask = vm_actions.add_parser("ask", help="which boot a real guest is, for how many seconds, how often it was asked")
    ask.add_argument("vm")
    of_vms = (create, mixed, real, listed, ask, migrate, evict)
    for action in of_vms:
        action.add_argument("--namespace", default="default")
    for action in (install, kv.add_parser("uninstall", help="delete the CR, then the operator"), *of_vms):
        action.add_argument("--name", default="lab", help="which lab (default: lab)")
    return top


def add_wish(create: argparse.ArgumentParser) -> None:
    """The options for what the VMs shall be."""
    usual = machines.Wish()
    choices: dict[str, Sequence[str]] = {
        "kind": tuple(machines.KINDS),
        "run-strategy": machines.RUN_STRATEGIES,
        "eviction-strategy": machines.EVICTION_STRATEGIES,
        "cpu-model": machines.CPU_MODELS,
        "machine-type": machines.MACHINE_TYPES,
        "disk": machines.DISKS,
        "network": machines.NETWORKS,
    }
    for option, allowed in choices.items():
        default = getattr(usual, option.replace("-", "_"))
        text = f"one of {', '.join(allowed)} (default: {default or 'not set'})"
        create.add_argument(f"--{option}", choices=allowed, default=default, metavar="CHOICE", help=text)
    create.add_argument("--vcpus", type=int, default=usual.vcpus, metavar="N")
    create.add_argument("--standalone", action="store_true", help="VMIs without VMs")
    create.add_argument("--guest-agent", action="store_true", help="with a connected guest agent")
    create.add_argument("--migration-seconds", type=int, metavar="N", help="how long a migration takes")


def wish_of(asked: argparse.Namespace) -> machines.Wish:
    """What the VMs shall be, as :func:`add_wish` lets it be said."""
    return machines.Wish(**{field.name: getattr(asked, field.name) for field in dataclasses.fields(machines.Wish)})


def run(asked: argparse.Namespace) -> int:
    """Do what was asked for; the exit code."""
    lab = Lab(getattr(asked, "name", "lab"))
    match asked.command, getattr(asked, "action", None):
        case "build", _:
            if unknown := set(asked.sets) - set(builds.SETS):
                raise SystemExit(f"there is no set {', '.join(sorted(unknown))}; there is {', '.join(builds.SETS)}")
            builds.ensure(tuple(asked.sets) or builds.USUAL_SETS)
        case "up", _:
            releases = asked.releases or builds.USUAL_VERSIONS
            up(lab, api_only=asked.api_only, real_guests=asked.real_guests, releases=releases)
        case "release", _:
            add_release(running(lab), asked.version)
        case "cdi", _:
            cdi.install(running(lab))
        case "down", _:
            down(existing() if asked.all else [lab])
        case "status", _:
            return status(lab)
        case "kubeconfig", _:
            print(running(lab).kubeconfig)
        case "audit-log", _:
            print(lab.audit_log)
        case "shell", _:
            shell(running(lab))
        case "node", _:
            become(node.named(running(lab), asked.node).within(asked.arguments))
        case "logs", _:
            logs(lab, asked.component)
        case "kubectl", _:
            become(kubectl.command(running(lab), *asked.arguments))
        case "manifest", _:
            builds.ensure((builds.set_of(asked.version),))
            print(manifests.operator(asked.version))
        case "cr", _:
            print(manifests.CR.read_text(encoding="utf-8"), end="")
        case "kubevirt", "install":
            kubevirt.install(running(lab), asked.version, asked.how)
        case "kubevirt", "uninstall":
            kubevirt.uninstall(running(lab))
        case "vm", "create":
            print("\n".join(vms.create(running(lab), asked.count, wish_of(asked), asked.namespace)))
        case "vm", "create-mixed":
            print("\n".join(vms.create_mixed(running(lab), asked.times, asked.namespace)))
        case "vm", "create-real":
            print("\n".join(real_vms.create(with_real_guests(lab), asked.count, asked.namespace)))
        case "vm", "ask":
            print(json.dumps(real_vms.ask(running(lab), asked.vm, asked.namespace)._asdict()))
        case "vm", "list":
            print(vms.table(running(lab), asked.namespace))
        case "vm", "evict":
            refusal = vms.evict(running(lab), asked.vm, asked.namespace)
            print(refusal or "evicted")
            return 1 if refusal else 0
        case "vm", "migrate":
            phase = vms.migrate(running(lab), asked.vm, asked.namespace)
            print(phase)
            return 0 if phase == "Succeeded" else 1
    return 0


def main() -> int:
    """Run the command line."""
    try:
        return run(parser().parse_args())
    except (NotYet, TimedOut, CommandFailed, RuntimeError) as failure:
        say(f"failed: {failure}")
        return 1
