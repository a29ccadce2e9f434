# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks as people write them, run by ansible-playbook on a host in the controller's own process, or on one elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.support.lab import Json, playbook_environment

HERE, ELSEWHERE = "here", "elsewhere"
"""A host whose tasks run in the controller's own process, and one whose tasks run as modules."""

_CONNECTIONS = Path(__file__).parent / "connection"
_HOSTS = {HERE: "ansible.builtin.local", ELSEWHERE: "elsewhere"}


@dataclass(frozen=True)
class Played:
    """What ansible-playbook printed, and what each task returned on each host: in their order, ``results[host][task]``."""

    code: int
    output: str
    results: dict[str, list[Json]]

    @property
    def progress(self) -> list[str]:
        """The lines about progress."""
        return [line for line in self.output.splitlines() if line.startswith(tuple(f"[{host}]" for host in _HOSTS))]

    def ran_in_process(self, host: str) -> list[bool]:
        """For each of our tasks on that host, whether it ran in the controller's own process."""
        lines = [line for line in self.output.splitlines() if line.startswith(f"<{host}> kubevirt.lifecycle.")]
        return ["in the controller's own process" in line for line in lines]


class Play:
    """A play of tasks in a folder of its own, where files for it can be put."""

    def __init__(self, folder: Path, kubeconfig: Path) -> None:
        self.folder = folder
        self._kubeconfig = kubeconfig

    def run(
        self,
        *tasks: Json,
        hosts: Sequence[str] = (HERE, ELSEWHERE),
        env: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        **keywords: t.Any,
    ) -> Played:
        """Run the tasks, each even if one before has failed. ``keywords`` are those of the play."""
        done = subprocess.run(
            self.command(*tasks, hosts=hosts, arguments=arguments, **keywords),
            check=False,
            capture_output=True,
            text=True,
            env=self.environment(env),
            timeout=900,
        )
        output = done.stdout + done.stderr
        return Played(done.returncode, output, {host: self._results(host, len(tasks), output) for host in hosts})

    @contextmanager
    def started(
        self, *tasks: Json, hosts: Sequence[str], arguments: Sequence[str], local: Path
    ) -> Iterator[subprocess.Popen[str]]:
        """The same while it runs, in a process group of its own, with Ansible's temporary files under ``local``."""
        with subprocess.Popen(
            self.command(*tasks, hosts=hosts, arguments=arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment({"ANSIBLE_LOCAL_TEMP": str(local)}),
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def command(
        self, *tasks: Json, hosts: Sequence[str], arguments: Sequence[str] = (), **keywords: t.Any
    ) -> list[str]:
        """Write the playbook; the command that plays it."""
        play: Json = {
            "hosts": ":".join(hosts),
            "gather_facts": False,
            "module_defaults": {"group/kubevirt.lifecycle.all": {"kubeconfig": str(self._kubeconfig)}},
            **keywords,
            "tasks": [one for number, task in enumerate(tasks) for one in self._saved(task, number)],
        }
        inventory = {
            host: {"ansible_connection": connection, "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
            for host, connection in _HOSTS.items()
        }
        (self.folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": inventory}}))
        (self.folder / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
        program = Path(sys.executable).parent / "ansible-playbook"
        return [str(program), "-vvv", "-i", str(self.folder / "hosts.yml"), str(self.folder / "play.yml"), *arguments]

    @staticmethod
    def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of the command."""
        return {**playbook_environment(), "ANSIBLE_CONNECTION_PLUGINS": str(_CONNECTIONS), **(more or {})}

    def _saved(self, task: Json, number: int) -> list[Json]:
        """The task, and one that writes its result to a file."""
        name = f"result_{number}"
        copy = {
            "content": f"{{{{ {name} | to_json }}}}",
            "dest": str(self.folder / f"{{{{ inventory_hostname }}}}.{number}"),
        }
        return [
            {"ignore_errors": True, **task, "register": name},
            {"ansible.builtin.copy": copy, "delegate_to": "localhost", "check_mode": False, "diff": False},
        ]

    def _results(self, host: str, count: int, output: str) -> list[Json]:
        files = [self.folder / f"{host}.{number}" for number in range(count)]
        assert all(file.exists() for file in files), output
        results = [json.loads(file.read_text()) for file in files]
        for file in files:
            os.unlink(file)
        return results
