# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks on an inventory of clusters, without a cluster: real ansible-playbook, roles and filters; actions stand in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import typing as t
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.support.kubevirt import FROM, TO
from tests.support.lab import COLLECTIONS, ROOT, Json, playbook_environment

STANDS_IN = ("kubevirt_info", "kubevirt_remove", "kubevirt_upgrade", "kubevirt_workload_update")


@dataclass(frozen=True)
class Ran:
    """What a run printed, what it asked of the clusters, and what became of each host."""

    code: int
    output: str
    calls: list[str]
    outcomes: dict[str, Json]

    @property
    def states(self) -> dict[str, str]:
        """The state of each host's outcome."""
        return {host: one["state"] for host, one in self.outcomes.items()}

    @property
    def upgraded(self) -> list[str]:
        """The hosts on which an upgrade was begun, in order."""
        return [call.split()[0] for call in self.calls if call.endswith(" kubevirt_upgrade")]


class Fleet:
    """Clusters c0, c1 …, each at v1.7.0 with two VMs."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._report = folder / "report"
        self._variables: dict[str, Json] = {}
        for number in range(count):
            self.set(f"c{number}", uid=f"uid-{number}", version=FROM, state="healthy", vmis=2, outdated=0)
            self._variables[f"c{number}"] = {"kubevirt_expected_cluster_uid": f"uid-{number}"}
        self._make_collection()

    def set(self, host: str, **facts: t.Any) -> None:
        """Change what a cluster is like."""
        file = self._folder / f"{host}.json"
        before = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps({**before, **facts}))

    def get(self, host: str) -> Json:
        """What a cluster is like."""
        return t.cast(Json, json.loads((self._folder / f"{host}.json").read_text()))

    def inventory(self, host: str, **variables: t.Any) -> None:
        """Change the variables of a host."""
        self._variables[host] |= variables

    def run(
        self, name: str = "upgrade", *arguments: str, env: t.Mapping[str, str] | None = None, **variables: t.Any
    ) -> Ran:
        """Run a playbook of ours, without a terminal."""
        shutil.rmtree(self._report, ignore_errors=True)
        (self._folder / "calls").unlink(missing_ok=True)
        given = {"kubevirt_version": TO, "kubevirt_wave_soak": 0, "kubevirt_report_dir": str(self._report), **variables}
        done = subprocess.run(
            [*self.command(name), "-e", json.dumps(given), *arguments],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**self.environment(), **(env or {})},
            timeout=600,
        )
        output = done.stdout + done.stderr
        print(output)
        calls = self._folder / "calls"
        return Ran(done.returncode, output, calls.read_text().splitlines() if calls.exists() else [], self._outcomes())

    def command(self, name: str) -> list[str]:
        """The command line of a playbook of ours, without variables."""
        hosts = {"kubevirt_clusters": {"hosts": self._variables, "vars": {"ansible_connection": "local"}}}
        (self._folder / "clusters.yml").write_text(yaml.safe_dump(hosts))
        program = Path(sys.executable).parent / "ansible-playbook"
        return [str(program), "-i", str(self._folder / "clusters.yml"), f"kubevirt.lifecycle.{name}"]

    def environment(self) -> dict[str, str]:
        """The environment of the command."""
        return {
            **playbook_environment(),
            "ANSIBLE_COLLECTIONS_PATH": str(self._folder / "collections"),
            "FLEET": str(self._folder),
        }

    def _outcomes(self) -> dict[str, Json]:
        file = self._report / "report.json"
        return t.cast(dict[str, Json], json.loads(file.read_text())["hosts"]) if file.exists() else {}

    def _make_collection(self) -> None:
        """Ours by links, but for the actions that stand in."""
        ours = self._folder / "collections" / "ansible_collections" / "kubevirt" / "lifecycle"
        actions = ours / "plugins" / "action"
        actions.mkdir(parents=True)
        for path in (*ROOT.glob("*"), *(ROOT / "plugins").glob("*")):
            if path.name not in ("build", "plugins", "action"):
                os.symlink(path, ours / path.relative_to(ROOT))
        for path in (ROOT / "plugins" / "action").glob("*.py"):
            stands_in = path.stem in STANDS_IN
            os.symlink(Path(__file__).with_name("stand_in.py") if stands_in else path, actions / path.name)
        os.symlink(COLLECTIONS / "ansible_collections" / "kubernetes", ours.parents[1] / "kubernetes")
