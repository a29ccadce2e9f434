# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our modules in forks of the test's process: their real ``main``, without the half second of imports before it."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import sys
import tempfile
import typing as t
import warnings
from collections.abc import Mapping

from tests.support.lab import Json, Result, clean_environment

MODULES = "ansible_collections.kubevirt.lifecycle.plugins.modules"


def run_forked(name: str, params: Json, *, env: Mapping[str, str] | None = None, seconds: float = 30) -> Result:
    """What a module returns for ``params``; an AssertionError if it hangs or returns anything but a result."""
    module = importlib.import_module(f"{MODULES}.{name}")
    environment = {**clean_environment(), **(env or {})}
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as returned, tempfile.TemporaryFile() as errors:
        given.write(json.dumps({"ANSIBLE_MODULE_ARGS": params}).encode())
        given.seek(0)
        arguments = (module.main, environment, given.fileno(), returned.fileno(), errors.fileno())
        process = multiprocessing.get_context("fork").Process(target=_main, args=arguments)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forks beside the threads of pytest-xdist
            process.start()
        process.join(seconds)
        hangs = process.exitcode is None
        process.kill()
        process.join()
        returned.seek(0)
        errors.seek(0)
        output, traceback = returned.read().decode(), errors.read().decode()
    assert not hangs, f"{name} still runs after {seconds} s, with {params}:\n{output}\n{traceback}"
    assert output.strip().startswith("{"), f"{name} returned no result for {params}:\n{output}\n{traceback}"
    return Result(t.cast(int, process.exitcode), json.loads(output))


def _main(main: t.Callable[[], None], environment: Mapping[str, str], stdin: int, stdout: int, stderr: int) -> None:
    warnings.resetwarnings()  # pytest makes errors of them
    os.environ.clear()
    os.environ.update(environment)
    for source, target in ((stdin, 0), (stdout, 1), (stderr, 2)):
        os.dup2(source, target)
    sys.argv = ["module"]
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
    main()
