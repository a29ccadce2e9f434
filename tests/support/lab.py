# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab as tests use it, and our modules and playbooks as users run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS = ROOT / "build" / "collections"
MUTATING = frozenset({"create", "update", "patch", "delete", "deletecollection"})
OUR_USER_AGENT = "kubevirt.lifecycle"

Json = dict[str, t.Any]


def lab(*arguments: str, timeout: float = 3600) -> str:
    """What ``python3 tests/lab`` prints."""
    done = subprocess.run(
        [sys.executable, "tests/lab", *arguments],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, (
        f"tests/lab {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    )
    return done.stdout.strip()


@contextmanager
def lab_up(name: str, *arguments: str) -> Iterator[Lab]:
    """A lab that goes away at the end, whatever comes."""
    try:
        lab("up", "--name", name, *arguments)
        yield Lab.of(name)
    finally:
        lab("down", "--name", name)


def worker_name(name: str) -> str:
    """A name of a lab that no other test process uses at the same time."""
    return "-".join(filter(None, (name, os.environ.get("PYTEST_XDIST_WORKER"))))


@dataclass(frozen=True)
class Result:
    """What a module returned."""

    code: int
    data: Json

    @property
    def message(self) -> str:
        return str(self.data.get("msg", ""))

    @property
    def finding_ids(self) -> list[str]:
        return [finding["id"] for finding in self.data.get("findings", [])]

    def finding(self, id: str) -> Json:
        return next(finding for finding in self.data["findings"] if finding["id"] == id)


@dataclass(frozen=True)
class Lab:
    """A running lab."""

    name: str
    kubeconfig: Path
    audit_log: Path

    @classmethod
    def of(cls, name: str) -> Lab:
        return cls(name, Path(lab("kubeconfig", "--name", name)), Path(lab("audit-log", "--name", name)))

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """What kubectl prints."""
        done = self._kubectl(*arguments, stdin=stdin)
        assert not check or done.returncode == 0, f"kubectl {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def succeeds(self, *arguments: str, stdin: str | None = None) -> bool:
        """Whether kubectl succeeds."""
        return self._kubectl(*arguments, stdin=stdin).returncode == 0

    def refusal(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl says when it fails; empty if it succeeds."""
        done = self._kubectl(*arguments, stdin=stdin)
        return done.stderr if done.returncode else ""

    def _kubectl(self, *arguments: str, stdin: str | None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "tests/lab", "kubectl", "--name", self.name, "--", *arguments]
        return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, input=stdin, timeout=300)

    def get(self, *arguments: str) -> Json:
        """An object, with its managedFields."""
        return t.cast(Json, json.loads(self.kubectl("get", *arguments, "-o", "json", "--show-managed-fields")))

    def wait_for(self, condition: str, *what: str, seconds: float = 60) -> None:
        """``kubectl wait``, again and again, because it fails on an object that has no conditions yet."""
        deadline = time.monotonic() + seconds
        while not self.succeeds("wait", f"--for=condition={condition}", *what, "--timeout=5s"):
            assert time.monotonic() < deadline, f"{what} is not {condition} after {seconds} s"

    def apply(self, *objects: Json) -> None:
        """Create or change objects as a user of kubectl does."""
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(objects))

    def module(
        self,
        name: str,
        params: Json,
        *,
        check: bool = False,
        env: t.Mapping[str, str] | None = None,
        timeout: float = 900,
    ) -> Result:
        """Run one of our modules in a process of its own, as Ansible does."""
        arguments = {"kubeconfig": str(self.kubeconfig), **params, "_ansible_check_mode": check, "_ansible_diff": True}
        arguments = {key: value for key, value in arguments.items() if value is not None}
        done = subprocess.run(
            [sys.executable, str(ROOT / "plugins" / "modules" / f"{name}.py")],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
            env={**clean_environment(), "PYTHONPATH": str(COLLECTIONS), **(env or {})},
            timeout=timeout,
        )
        assert done.stdout.strip().startswith("{"), f"{name} returned no result:\n{done.stdout}\n{done.stderr}"
        return Result(done.returncode, json.loads(done.stdout))

    def playbook(
        self, name: str, *arguments: str, timeout: float = 900, **variables: t.Any
    ) -> subprocess.CompletedProcess[str]:
        """Run one of our playbooks as a user does."""
        return subprocess.run(
            self.playbook_command(name, *arguments, **variables),
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            env=playbook_environment(),
            timeout=timeout,
        )

    def playbook_command(self, name: str, *arguments: str, **variables: t.Any) -> list[str]:
        """The command line of one of our playbooks."""
        extra = json.dumps({"kubevirt_kubeconfig": str(self.kubeconfig), **variables})
        program = str(Path(sys.executable).parent / "ansible-playbook")
        return [program, f"kubevirt.lifecycle.{name}", "-e", extra, *arguments]

    def audit_position(self) -> int:
        """Where the audit log ends now."""
        return self.audit_log.stat().st_size

    def audited(self, position: int, user_agent: str = OUR_USER_AGENT) -> list[Json]:
        """The requests of one client since ``position``."""
        with self.audit_log.open("rb") as log:
            log.seek(position)
            events = [json.loads(line) for line in log if line.endswith(b"\n")]
        return [
            event
            for event in events
            if event["stage"] in ("ResponseComplete", "Panic")
            or (event["stage"] == "ResponseStarted" and event["verb"] == "watch")
            if event.get("userAgent", "").startswith(user_agent)
        ]


def playbook_environment() -> dict[str, str]:
    """The environment of our playbooks: the working tree, and no cluster of the developer's."""
    return {
        **clean_environment(),
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_HOME": str(ROOT / "build" / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
    }


def mutating(events: list[Json]) -> list[str]:
    """The requests that write, dry runs included."""
    return [f"{event['verb']} {event['requestURI']}" for event in events if event["verb"] in MUTATING]


def clean_environment() -> dict[str, str]:
    """The environment without a cluster of the developer's."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith("K8S_AUTH_") and name != "KUBECONFIG"
    }
