# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The report on a fleet: three files of the same content, written where they differ."""

from __future__ import annotations

import json
import os
import tempfile
import typing as t
from collections.abc import Mapping
from datetime import datetime

from ..knowledge.fleet_outcomes import Fleet, fleet_of
from .fleet_markdown import fleet_document
from .fleet_page import fleet_page

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "hosts": {"type": "dict", "required": True},
    "dest": {"type": "path", "required": True},
    "title": {"type": "str", "default": "KubeVirt fleet report"},
}


def run(params: Mapping[str, t.Any], *, check_mode: bool, now: datetime) -> dict[str, t.Any]:
    """Write the report, and say what was written.

    Args:
        params: The options.
        check_mode: Only say what would be written.
        now: When the report is made, in UTC. A report that differs in nothing else is left as it is.
    """
    if not params["dest"].strip():
        return _failed("dest", "it is blank. Name a directory.")
    try:
        fleet = fleet_of(params["hosts"], params["title"])
    except ValueError as error:
        return _failed("hosts", str(error))
    dest = os.path.abspath(params["dest"])
    try:
        _check(dest)
        there = {name: _content(os.path.join(dest, name)) for name in ("report.json", "report.md", "report.html")}
        files = report_files(fleet, _time_of(there["report.json"]))
        if files != there:
            files = report_files(fleet, f"{now:%Y-%m-%dT%H:%M:%SZ}")
        written = [os.path.join(dest, name) for name in files if files[name] != there[name]]
        if written and not check_mode:
            os.makedirs(dest, mode=0o755, exist_ok=True)
            for path in written:
                _write(path, files[os.path.basename(path)])
    except OSError as error:
        return _failed("dest", f"{dest} cannot be used: {error.strerror}. Name another directory.")
    words = "Nothing differs" if not written else "Would be written" if check_mode else "Written"
    return {
        "changed": bool(written),
        "msg": f"{fleet.verdict}. {words}: {', '.join(written) or dest}",
        "files": [os.path.join(dest, name) for name in files],
        "written": written,
        "totals": totals_of(fleet),
    }


def totals_of(fleet: Fleet) -> dict[str, t.Any]:
    """The numbers of all clusters."""
    return {"clusters": len(fleet.clusters), "states": fleet.states, "vms": fleet.vms}


def report_files(fleet: Fleet, generated_at: str) -> dict[str, bytes]:
    """The content of each file, the same for the same fleet and time."""
    data = {
        "title": fleet.title,
        "generated_at": generated_at,
        "verdict": fleet.verdict,
        "totals": totals_of(fleet),
        "hosts": fleet.outcomes,
    }
    texts = {
        "report.json": json.dumps(data, indent=2, ensure_ascii=False) + "\n",
        "report.md": fleet_document(fleet, generated_at),
        "report.html": fleet_page(fleet, generated_at),
    }
    return {name: text.encode("utf-8", "backslashreplace") for name, text in texts.items()}


def _failed(option: str, why: str) -> dict[str, t.Any]:
    return {"failed": True, "msg": f"{option}: {why} Nothing was written."}


def _check(dest: str) -> None:
    """Find out, also in check mode, whether files can be written there."""
    place = dest
    while not os.path.lexists(place):
        place = os.path.dirname(place)
    if not os.path.isdir(place):
        raise NotADirectoryError(0, f"{place} is not a directory")
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(0, f"this user may not write into {place}")


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _time_of(content: bytes | None) -> str:
    """When the report that is there was made; empty where there is none."""
    try:
        return str(json.loads(content or b"")["generated_at"])
    except (ValueError, TypeError, KeyError):
        return ""


def _write(path: str, content: bytes) -> None:
    """All of the file or nothing of it, whoever reads it meanwhile."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
    try:
        with open(handle, "wb") as file:
            file.write(content)
            os.fchmod(handle, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
