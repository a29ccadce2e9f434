# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs as AWX runs them: its files, its environment and its three calls of ansible-runner (awx/main/tasks/jobs.py, receptor.py).

Only the container is missing: the job runs in a folder, with the collections beside it as if they were in the image.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import typing as t
from dataclasses import dataclass
from pathlib import Path

import ansible_runner
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tests.support.lab import COLLECTIONS, ROOT, Json, clean_environment, playbook_environment

FOLDER = ROOT / "docs" / "awx"
PROGRAMS = Path(sys.executable).parent


class _Seeded(yaml.SafeLoader):
    """Reads the seed data as Ansible does."""


_Seeded.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


class _Untrusted(yaml.SafeDumper):
    """Writes extra variables as AWX does: no text in them is a template."""

    def represent_data(self, data: t.Any) -> yaml.Node:
        return self.represent_scalar("!unsafe", data) if isinstance(data, str) else super().represent_data(data)


def objects() -> Json:
    """The seed data."""
    return t.cast(Json, yaml.load((FOLDER / "objects.yml").read_text(), _Seeded))  # a SafeLoader


def named(entries: list[Json], name: str) -> Json:
    return next(entry for entry in entries if entry["name"] == name)


@dataclass(frozen=True)
class Job:
    """What AWX keeps of a job."""

    status: str
    events: list[Json]

    def of(self, kind: str) -> list[Json]:
        """The data of the events of one kind."""
        return [event["event_data"] for event in self.events if event["event"] == kind]

    @property
    def statistics(self) -> Json:
        return self.of("playbook_on_stats")[0]

    @property
    def artifacts(self) -> Json:
        """What set_stats hands on to the later jobs of a workflow."""
        return t.cast(Json, self.statistics.get("artifact_data", {}))

    @property
    def output(self) -> str:
        """What AWX shows, without the colours."""
        return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(event["stdout"] for event in self.events if event["stdout"]))


class Awx:
    """The objects of the seed data, with the clusters' variables changed and a kubeconfig in the credential."""

    def __init__(self, folder: Path, kubeconfig: str, clusters: dict[str, Json]) -> None:
        self._folder = folder
        self._kubeconfig = kubeconfig
        self._objects = objects()
        self._inventory = _imported(self._objects["controller_inventory_sources"][0]["source_path"])
        for cluster, variables in clusters.items():
            self._inventory["_meta"]["hostvars"][cluster].update(variables)

    def launch(self, template: str, limit: str, answers: Json | None = None, artifacts: Json | None = None) -> Job:
        """Run the job template: ``answers`` are to its survey, ``artifacts`` of earlier jobs of the workflow."""
        job = named(self._objects["controller_templates"], template)
        number = len(list(self._folder.iterdir())) + 1
        private = self._folder / str(number) / "private"
        runner = self._folder / str(number) / "runner"
        for name in ("env", "inventory", "cp"):
            (private / name).mkdir(parents=True)
        shutil.copytree(FOLDER / "project", private / "project")
        hosts = private / "inventory" / "hosts"
        hosts.write_text(f"#! /usr/bin/env python3\n# -*- coding: utf-8 -*-\nprint({json.dumps(self._inventory)!r})\n")
        hosts.chmod(0o700)
        arguments = [*(["--check"] if job["job_type"] == "check" else []), "-u", "root"]
        arguments += ["--diff"] if job.get("diff_mode") else []
        arguments += ["-l", limit, *self._injected(private / "env", runner / "env")]
        (private / "env" / "cmdline").write_text(ansible_runner.utils.args2cmdline(*arguments))
        variables = {
            **(artifacts or {}),
            **_answered(job, answers or {}),
            "awx_job_id": number,
            "awx_user_name": "admin",
        }
        (private / "env" / "extravars").write_text(yaml.dump(variables, Dumper=_Untrusted))
        settings = {"job_timeout": 0, "suppress_ansible_output": True, "suppress_output_file": True}
        (private / "env" / "settings").write_text(json.dumps(settings))
        return _run(
            runner,
            ident=number,
            private_data_dir=str(private),
            playbook=job["playbook"],
            inventory=str(hosts),
            suppress_env_files=True,
            envvars=_environment(private, runner, number),
            fact_cache_type="",
        )

    def _injected(self, env: Path, there: Path) -> list[str]:
        """Write what the credential type injects; the arguments that name it, at its place in the container."""
        kind = self._objects["controller_credential_types"][0]
        assert set(kind["injectors"]) == {"file", "extra_vars"}
        render = ImmutableSandboxedEnvironment().from_string
        content = render(kind["injectors"]["file"]["template"]).render(kubeconfig=self._kubeconfig)
        tower = {"filename": str(there / _written(env, content))}
        injected = {name: render(text).render(tower=tower) for name, text in kind["injectors"]["extra_vars"].items()}
        return ["-e", f"@{there / _written(env, yaml.dump(injected, Dumper=_Untrusted))}"]


def _imported(source_path: str) -> Json:
    """The inventory as AWX imports it from the project."""
    done = subprocess.run(
        [str(PROGRAMS / "ansible-inventory"), "-i", str(FOLDER / "project" / source_path), "--list", "--export"],
        check=True,
        capture_output=True,
        text=True,
        env=playbook_environment(),
        timeout=300,
    )
    return t.cast(Json, json.loads(done.stdout))


def _answered(job: Json, answers: Json) -> Json:
    """The variables of the survey: its defaults, and the answers."""
    questions = job.get("survey_spec", {}).get("spec", [])
    assert set(answers) <= {question["variable"] for question in questions}, f"{job['name']} does not ask that"
    return {**{one["variable"]: one["default"] for one in questions if "default" in one}, **answers}


def _written(folder: Path, text: str) -> str:
    """The name of a new file that holds the text."""
    handle, path = tempfile.mkstemp(dir=folder)
    os.write(handle, text.encode())
    os.close(handle)
    return Path(path).name


def _environment(private: Path, runner: Path, number: int) -> dict[str, str]:
    return {
        "ANSIBLE_FORCE_COLOR": "True",
        "ANSIBLE_HOST_KEY_CHECKING": "False",
        "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
        "ANSIBLE_PARAMIKO_RECORD_HOST_KEYS": "False",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_COLLECTIONS_PATH": f"{runner / 'requirements_collections'}:{COLLECTIONS}",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(runner / "cp"),
        "AWX_HOST": "https://awx.example.com",
        "AWX_PRIVATE_DATA_DIR": str(private),
        "INVENTORY_ID": "1",
        "JOB_ID": str(number),
        "MAX_EVENT_RES": "700000",
        "PROJECT_REVISION": "0123abc",
    }


def _run(runner: Path, **job: t.Any) -> Job:
    """AWX sends the job, the container works it off, and AWX takes the events in."""
    sent, received = runner.with_name("sent"), runner.with_name("received")
    with sent.open("wb") as output:
        ansible_runner.interface.run(streamer="transmit", _output=output, **job)
    with sent.open("rb") as given, received.open("wb") as output:
        subprocess.run(
            [str(PROGRAMS / "ansible-runner"), "worker", f"--private-data-dir={runner}"],
            check=False,
            stdin=given,
            stdout=output,
            env={**clean_environment(), "PATH": f"{PROGRAMS}:{os.environ['PATH']}"},
            timeout=900,
        )
    events: list[Json] = []
    with received.open("rb") as given:
        done = ansible_runner.interface.run(
            streamer="process", quiet=True, _input=given, event_handler=events.append, **job
        )
    return Job(done.status, events)
