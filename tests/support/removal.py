# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of kubevirt_remove against the lab: armed, to the end, killed on the way, two at once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import typing as t
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.install import sparing_manifest
from tests.support.lab import COLLECTIONS, ROOT, Json, Lab, Result, clean_environment
from tests.support.leftover_search import leftovers

MODULE = "kubevirt_remove"
UNARMED = {"remove.workloads-exist", "remove.confirmation-differs"}
PHRASE = re.compile(r"""confirm: ["']([^"']+)["']""")
STAYS = ("Namespace kubevirt", "ConfigMap kubevirt/kube-root-ca.crt", "ServiceAccount kubevirt/default")
"""The namespace, which goes only where that is asked for, and what Kubernetes puts into every namespace."""
ONLY_DEVICES = re.compile(r"(devices\.kubevirt\.io/[\w-]+(, )?)+")
LIMITS: Json = {"wait_timeout": 1200, "stall_timeout": 150, "vm_stop_timeout": 120}
"""Seconds: long enough for a lab that is busy, and short enough for what never ends."""
LONGEST = 1800
MOST_PHRASES = 4

Reached = Callable[[Lab, int], bool]
"""Whether a run has got so far that began at a position of the audit log."""


@dataclass
class Removal:
    """The module with the options of one lab.

    Attributes:
        cluster: The lab.
        backups: Where manifests of what users made are written.
        release: The one whose manifest is at hand.
        options: What is asked for besides.
    """

    cluster: Lab
    backups: Path
    release: str
    options: Json = field(default_factory=dict)

    def params(self, **options: t.Any) -> Json:
        return {
            "backup_dir": str(self.backups),
            "manifest": str(sparing_manifest(self.release)),
            **LIMITS,
            **self.options,
            **options,
        }

    def run(self, *, check: bool = False, **options: t.Any) -> Result:
        """Once."""
        return self.cluster.module(MODULE, self.params(**options), check=check, timeout=LONGEST)

    def armed(self, **options: t.Any) -> Result:
        """With the phrase that it prints, for as long as it prints one."""
        done = self.run(**options)
        for _again in range(MOST_PHRASES):
            if not UNARMED & {*done.finding_ids} or done.code == 0:
                break
            done = self.run(**{**options, "confirm": phrase_of(done)})
        return done

    def phrase(self) -> str:
        """What arms it; empty where nothing is at stake."""
        return str(self.run(check=True).data.get("confirm") or "")

    def killed_when(self, reached: Reached, **options: t.Any) -> bool:
        """A run that ends with SIGKILL as soon as it has got so far; whether it did not end by itself before."""
        position = self.cluster.audit_position()
        given = self.backups / "arguments.json"
        arguments = {"kubeconfig": str(self.cluster.kubeconfig), **self.params(**options)}
        given.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
        module = ROOT / "plugins" / "modules" / f"{MODULE}.py"
        env = {**clean_environment(), "PYTHONPATH": str(COLLECTIONS)}
        with subprocess.Popen(
            [sys.executable, module, given], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as run:
            while run.poll() is None and not reached(self.cluster, position):
                time.sleep(0.1)
            is_at_work = run.poll() is None
            run.kill()
        return is_at_work

    def at_once(self, count: int = 2, **options: t.Any) -> list[Result]:
        """Several runs that begin together."""
        with ThreadPoolExecutor(count) as pool:
            return [one.result() for one in [pool.submit(self.run, **options) for _number in range(count)]]


def phrase_of(refused: Result) -> str:
    """The phrase that a refused run prints."""
    found = PHRASE.search(refused.message)
    assert found, f"no phrase is printed:\n{refused.message}"
    return found[1]


def restored(cluster: Lab, backup: Path) -> bool:
    """Whether all is applied as the backup's README says; in the first seconds not every webhook of KubeVirt answers."""
    return cluster.succeeds(
        "apply", "--server-side", "--force-conflicts", "--recursive", "-f", str(backup / "2-objects")
    )


def repaired(done: Result) -> Iterator[str]:
    """What a run mended."""
    for action in done.data.get("actions", []):
        if action["action"] == "repair":
            yield str(action["object"])


def traces(cluster: Lab, *, but: t.Collection[str] = STAYS) -> list[str]:
    """What says kubevirt in the cluster, but for what has to stay.

    A node tells of devices until its kubelet is started again, which is not ours to do. A disk says by which VM it was made.
    """
    return [
        f"{one.kind} {one.name} ({one.why})"
        for one in leftovers(cluster, but=but)
        if one.kind != "DataVolume" and not ONLY_DEVICES.fullmatch(one.why)
    ]


# The steps that a run can be killed in


def wrote(verb: str, resource: str, name: str = "") -> Reached:
    """It has sent such a request, and it was no dry run."""

    def reached(cluster: Lab, position: int) -> bool:
        return any(
            event["verb"] == verb
            and event.get("objectRef", {}).get("resource") == resource
            and event["objectRef"].get("name", "").startswith(name)
            and "dryRun" not in event["requestURI"]
            for event in cluster.audited(position)
        )

    return reached


def has_backup(backups: Path) -> Reached:
    """It is writing its backup, or has just written it."""
    before = {*backups.glob("*-*")}
    return lambda _cluster, _position: {*backups.glob("*-*")} > before
