# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Task files of the user around an upgrade: when they run, what they get, and that a failure stays a failure."""

from __future__ import annotations

import json
import re
import subprocess
import typing as t
from pathlib import Path

import pytest

from tests.contract.conftest import FROM, TO, World
from tests.support.lab import ROOT, Json, playbook_environment

SAYS = """\
- name: Say
  ansible.builtin.debug:
    msg: "HOOK {name} {{{{ kubevirt_upgrade_result.to_version | default('-') }}}} {{{{ failed.msg | default('-') }}}}"
  vars:
    failed: "{{{{ ansible_failed_result | default({{}}) }}}}"
"""
BROKEN = "- name: Break\n  ansible.builtin.fail:\n    msg: HOOK on_failure is broken\n"


class Hooked:
    """The playbook with a hook at each place."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.hooks = {}
        for name in ("before_cluster", "after_cluster", "on_failure"):
            self.hooks[name] = str(folder / f"{name}.yml")
            (folder / f"{name}.yml").write_text(SAYS.format(name=name))

    def play(self, *arguments: str, **variables: t.Any) -> tuple[int, str]:
        given = {
            "kubevirt_version": TO,
            "kubevirt_manifest": str(self.world.manifests[TO]),
            "kubevirt_hooks": self.hooks,
            **variables,
        }
        done = subprocess.run(
            self.world.lab.playbook_command("upgrade", *arguments, **given),
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            env={**playbook_environment(), "ANSIBLE_SHOW_CUSTOM_STATS": "true"},
            timeout=300,
        )
        print(done.stdout, done.stderr)
        return done.returncode, done.stdout


@pytest.fixture
def hooked(world: World, tmp_path: Path) -> Hooked:
    return Hooked(world, tmp_path)


def said(output: str) -> list[str]:
    return re.findall(r'"msg": "HOOK (\w+)', output)


def handed_on(output: str) -> Json:
    """The statistic of this host."""
    text = output.partition("CUSTOM STATS: ")[2].partition("\n")[2]
    found = re.search(r"^\s*RUN: (.*)$", text, re.MULTILINE)
    assert found, output
    statistic: Json = json.loads(found[1])["kubevirt_upgrade"]["localhost"]
    return statistic


def test_check_mode_runs_none(hooked: Hooked) -> None:
    code, output = hooked.play("--check")
    assert (code, said(output)) == (0, [])


def test_a_refused_upgrade_runs_on_failure_and_fails_with_its_own_message_last(hooked: Hooked) -> None:
    code, output = hooked.play(kubevirt_version="v1.6.6")
    assert (code, said(output)) == (2, ["before_cluster", "on_failure"])
    assert "HOOK on_failure v1.6.6 Refused before any change." in output
    last = output[output.rindex("fatal: ") :]
    assert "Refused before any change." in last and "[version.downgrade]" in last
    statistic = handed_on(output)
    assert (statistic["from_version"], statistic["to_version"], statistic["changed"]) == (FROM, "v1.6.6", False)
    assert statistic["failure"]["id"] == "version.downgrade"
    assert set(statistic["failure"]) == {"id", "object", "cause", "fix", "url"}
    assert statistic["bundle"] == ""


def test_a_hook_that_fails_does_not_hide_why_the_upgrade_failed(hooked: Hooked) -> None:
    Path(hooked.hooks["on_failure"]).write_text(BROKEN)
    code, output = hooked.play(kubevirt_version="v1.6.6")
    assert code == 2
    last = output[output.rindex("fatal: ") :]
    assert "HOOK on_failure is broken" in output and "[version.downgrade]" in last


def test_an_upgrade_that_stops_on_its_way_hands_its_bundle_on(hooked: Hooked, tmp_path: Path) -> None:
    code, output = hooked.play(kubevirt_wait_timeout=3, kubevirt_bundle_dir=str(tmp_path / "bundles"))
    assert (code, said(output)) == (2, ["before_cluster", "on_failure"])
    statistic = handed_on(output)
    assert statistic["failure"]["id"] == "upgrade.timeout"
    assert statistic["changed"] is True
    assert (Path(statistic["bundle"]) / "outcome.json").is_file()
    assert len(json.dumps(statistic)) < 2000


def test_an_upgrade_that_is_done_runs_the_other_two(hooked: Hooked) -> None:
    code, output = hooked.play(kubevirt_wait=False)
    assert (code, said(output)) == (0, ["before_cluster", "after_cluster"])
    assert "HOOK before_cluster - -" in output and f"HOOK after_cluster {TO} -" in output
