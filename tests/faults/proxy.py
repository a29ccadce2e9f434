# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""mitmproxy between our module and the API server, told what to do by a file."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import typing as t
from pathlib import Path

import yaml

from tests.support.lab import ROOT, Json

PROGRAM = ROOT / "build" / "venv-faults" / "bin" / "mitmdump"


class Proxy:
    """A running mitmdump in front of one API server.

    Attributes:
        kubeconfig: Goes through the proxy, as a user with a token: a client certificate ends at the proxy.
    """

    def __init__(self, folder: Path, server: str, token: str) -> None:
        assert PROGRAM.exists(), "mitmproxy is missing: tools/setup.sh faults"
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._log = folder / "log.jsonl"
        self._log.write_text("")
        self.kubeconfig = folder / "kubeconfig"
        self.rule({})
        port = _free_port()
        self._process = self._start(server, port)
        _wait_for(port, self._process)
        self._write_kubeconfig(port, token)

    def rule(self, rule: Json) -> int:
        """What to do from now on; a run begins. Gives the position of the log at which it does."""
        # A number, so that the same rule twice begins anew.
        text = json.dumps({**rule, "id": time.monotonic_ns()})
        new = self._folder / "rule.new"
        new.write_text(text)
        new.replace(self._folder / "rule.json")
        return self._log.stat().st_size

    def seen(self, position: int) -> list[Json]:
        """What went through since."""
        with self._log.open() as log:
            log.seek(position)
            return [json.loads(line) for line in log if line.endswith("\n")]

    def stop(self) -> None:
        self._process.send_signal(signal.SIGKILL)  # it would wait for the requests that it holds
        self._process.wait()

    def _start(self, server: str, port: int) -> subprocess.Popen[bytes]:
        settings = {
            "confdir": str(self._folder / "mitmproxy"),
            "http2": "false",
            "ssl_insecure": "true",
            "connection_strategy": "lazy",
            "stream_large_bodies": "100m",
        }
        options = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        command = [
            str(PROGRAM),
            "--mode",
            f"reverse:{server}",
            "--listen-host",
            "127.0.0.1",
            "--listen-port",
            str(port),
        ]
        with (self._folder / "mitmdump.log").open("wb") as output:
            return subprocess.Popen(
                [*command, "-q", "-s", str(Path(__file__).with_name("addon.py")), *options],
                env={**os.environ, "FAULTS_FOLDER": str(self._folder)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _write_kubeconfig(self, port: int, token: str) -> None:
        ca = self._folder / "mitmproxy" / "mitmproxy-ca-cert.pem"
        config: dict[str, t.Any] = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "lab",
                    "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(ca)},
                }
            ],
            "users": [{"name": "faults", "user": {"token": token}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "faults"}}],
            "current-context": "lab",
        }
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(yaml.safe_dump(config))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "mitmdump ended: see mitmdump.log"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError("mitmdump does not listen")
