# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One of our modules as a process group of its own, which can be killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.lab import COLLECTIONS, ROOT, Json, Result, clean_environment


class Run:
    """A module that runs."""

    def __init__(self, module: str, params: Json, kubeconfig: Path) -> None:
        arguments = {**params, "kubeconfig": str(kubeconfig), "_ansible_check_mode": False, "_ansible_diff": True}
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "plugins" / "modules" / f"{module}.py")],
            cwd=ROOT,
            env={**clean_environment(), "PYTHONPATH": str(COLLECTIONS)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
        self._process.stdin.close()
        self._process.stdin = None

    def result(self, seconds: float) -> Result | None:
        """What it returned; None when it had to be killed after ``seconds``."""
        try:
            stdout, stderr = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
        if not stdout.strip().startswith("{"):
            return Result(self._process.returncode, {"msg": f"no result: {stdout[-500:]} {stderr[-1500:]}"})
        return Result(self._process.returncode, json.loads(stdout))

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        """SIGKILL to it and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
