# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing hangs: everything that could go round for ever is in a table here that says why it ends."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

BOUNDS = {
    (
        "module_utils/cluster/api.py",
        "Api._body",
    ): "at the end of the patience with the request, however slowly the answer comes",
    ("module_utils/cluster/api.py", "Api._pages"): "each page is a further one of a list, which the server ends",
    ("module_utils/cluster/api.py", "Api._repeated"): "Patience.bear() raises when the patience with the request ends",
    (
        "module_utils/cluster/api.py",
        "_cause",
    ): "each round goes to the error before, and the chain of errors has a first one",
    (
        "module_utils/cluster/manifest_source.py",
        "_received",
    ): "after LONGEST; each piece comes within TIMEOUT, or is the end",
    (
        "module_utils/cluster/watch.py",
        "Picture._follow",
    ): "when the picture is closed; a daemon thread, and every round pauses",
    (
        "module_utils/knowledge/field_ownership.py",
        "_canonical",
    ): "each round divides the number, and there are few suffixes",
    ("module_utils/knowledge/paths.py", "_stops"): "each round goes one minor further, and the table of releases ends",
    ("module_utils/operations/fleet_report.py", "_check"): "each round goes one directory up, and the root is there",
    (
        "module_utils/operations/disks.py",
        "KeepDisks._empty",
    ): "each round takes VMs out of what waits, or looks at the clock of those on their way, which ends after vm_stop_timeout",
    (
        "module_utils/operations/disks.py",
        "KeepDisks._end_makers",
    ): "after vm_stop_timeout",
    (
        "module_utils/operations/lock.py",
        "Lock._beat",
    ): "when the lock is left or lost; a daemon thread, and every round waits",
    (
        "module_utils/operations/lock.py",
        "Lock._has_gone",
    ): "after the seconds that the other run's Lease names, which are bounded",
    (
        "module_utils/operations/moving.py",
        "Mover.move",
    ): "each round looks at the clocks in WorkloadRun._look(), which raises at the deadline",
    ("module_utils/operations/served.py", "_pages"): "each page is a further one of a list, which the server ends",
    ("module_utils/operations/sweep.py", "Sweep._has_gone"): "after SETTLE",
    ("module_utils/operations/sweep.py", "Sweep.run"): "after SETTLE, or when nothing is left to do",
    (
        "module_utils/operations/removal_run.py",
        "RemovalRun._wait_deleted",
    ): "after wait_timeout",
    (
        "module_utils/operations/waiting.py",
        "wait_for",
    ): "at the deadline, or at the end of a hold or the stall clock soon after",
    (
        "module_utils/operations/workload_run.py",
        "WorkloadRun._drain",
    ): "after migration_timeout",
    (
        "module_utils/operations/workload_run.py",
        "WorkloadRun._follow",
    ): "each round looks at the clocks in _look(), which raises at the deadline",
    (
        "module_utils/operations/workload_run.py",
        "WorkloadRun._look",
    ): "each round looks at the clocks, which raises at the deadline",
    ("module_utils/operations/workload_run.py", "WorkloadRun._soak"): "after the time of soak",
}
"""(file in plugins/, function): why it ends."""

ENDLESS = frozenset({"count", "cycle", "repeat"})


def loops(tree: ast.Module) -> Iterator[str]:
    """The function of each ``while``, ``iter()`` with a sentinel, and endless iterator of ``itertools``; "" outside of any."""
    names = _of_itertools(tree)

    def within(node: ast.AST, place: str) -> Iterator[str]:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            place = f"{place}.{node.name}".lstrip(".")
        if isinstance(node, ast.While) or (isinstance(node, ast.Call) and _is_endless(node, names)):
            yield place
        for child in ast.iter_child_nodes(node):
            yield from within(child, place)

    return within(tree, "")


def _of_itertools(tree: ast.Module) -> frozenset[str]:
    """What the file calls the endless iterators that it imports by their name."""
    return frozenset(
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "itertools"
        for alias in node.names
        if alias.name in ENDLESS
    )


def _is_endless(call: ast.Call, names: frozenset[str]) -> bool:
    match call.func:
        case ast.Name(id="iter"):
            return len(call.args) == 2
        case ast.Name(id=name):
            return name in names and not _is_bounded(call, name)
        case ast.Attribute(value=ast.Name(id="itertools"), attr=name):
            return name in ENDLESS and not _is_bounded(call, name)
    return False


def _is_bounded(call: ast.Call, name: str) -> bool:
    return name == "repeat" and len(call.args) + len(call.keywords) == 2


def found() -> set[tuple[str, str]]:
    files = sorted((ROOT / "plugins").rglob("*.py"))
    assert files
    return {
        (file.relative_to(ROOT / "plugins").as_posix(), place)
        for file in files
        for place in loops(ast.parse(file.read_text()))
    }


def test_every_loop_says_why_it_ends() -> None:
    unknown = found() - BOUNDS.keys()
    assert not unknown, f"say in BOUNDS why these end: {sorted(unknown)}"


def test_no_reason_is_left_of_a_loop_that_is_gone() -> None:
    stale = BOUNDS.keys() - found()
    assert not stale, f"not there any more: {sorted(stale)}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f():\n  while x: pass", ["f"]),
        ("class C:\n  def f(self):\n    def g():\n      while True: pass", ["C.f.g"]),
        ("while True: pass", [""]),
        ("def f():\n  for x in iter(read, b''): pass", ["f"]),
        ("def f():\n  return iter(x)", []),
        ("import itertools\ndef f():\n  for x in itertools.count(): pass", ["f"]),
        ("from itertools import cycle as c\ndef f():\n  for x in c(y): pass", ["f"]),
        ("from itertools import repeat\ndef f():\n  return list(repeat(1, 3))", []),
        ("def f(text):\n  return text.count('x')", []),
        ("def f():\n  for x in range(3): pass", []),
    ],
)
def test_what_counts_as_a_loop(source: str, expected: list[str]) -> None:
    assert list(loops(ast.parse(source))) == expected
