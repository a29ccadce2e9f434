# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every example of the documentation, run in check mode against a real API server.

What stands for something of the reader's is filled in. It gives a result, or is refused because of the cluster, and never because of
what the example says.
"""

from __future__ import annotations

import json
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

from tests.contract.conftest import World
from tests.support.awx import PROGRAMS
from tests.support.kubevirt import TO
from tests.support.lab import Json, playbook_environment
from tests.support.pages import blocks
from tests.unit.test_examples import PLAYBOOKS, tasks

FILES = ("risks.yml", "gates.yml")
"""Of which docs/risks.md has an example each, in this order."""
IN_THE_CONTROLLER = "fleet_report"
"""The module that is nothing but its action."""
MODULES = [one for one in tasks() if one[1] != IN_THE_CONTROLLER and "{{" not in str(one[2])]
PLAYS = {
    place: plays
    for place, plays in PLAYBOOKS.items()
    if any("roles" in play for play in plays) or (IN_THE_CONTROLLER in str(plays) and "{{" not in str(plays))
}


@pytest.fixture
def places(world: World, tmp_path: Path) -> dict[str, str]:
    """What stands in the examples for something of the reader's, and what it is here."""
    for file, block in zip(FILES, (one for one in blocks("yaml") if one.page == "docs/risks.md"), strict=False):
        (tmp_path / file).write_text(block.text)
    return {
        "6b6e7f9e-2f0f-4f59-9f0a-0f4b8f4a1c7e": world.lab.get("namespace", "kube-system")["metadata"]["uid"],
        "/srv/kubevirt/v1.8.4/kubevirt-operator.yaml": str(world.manifests[TO]),
        "v1.9.0": TO,  # for which there is a manifest
        "~/.kube/config": str(world.lab.kubeconfig),
        **{file: str(tmp_path / file) for file in FILES},
        **{folder: f"{tmp_path}/" for folder in ("/srv/", "/var/tmp/", "reports/")},
    }


def filled_in(value: t.Any, places: dict[str, str]) -> t.Any:
    """The example with what is the reader's."""
    text = re.sub(r'("context": )"[^"]*"', r"\1null", json.dumps(value))
    for name, here in places.items():
        text = text.replace(name, here)
    return json.loads(text)


@pytest.mark.parametrize(("place", "module", "options"), MODULES)
def test_a_task(world: World, places: dict[str, str], place: str, module: str, options: Json) -> None:
    asked = filled_in(options, places)
    if module == "kubevirt_upgrade":
        asked["manifest"] = str(world.manifests[TO])
    result = world.lab.module(module, asked, check=True)
    assert result.code == 0 or result.finding_ids or " here: " in result.message, f"{place}: {result.message}"


@pytest.mark.parametrize("place", PLAYS)
def test_a_play(world: World, places: dict[str, str], tmp_path: Path, place: str) -> None:
    plays = filled_in(PLAYS[place], places)
    named = any("module_defaults" in play for play in plays)
    file = tmp_path / "play.yml"
    file.write_text(yaml.safe_dump(plays))
    done = subprocess.run(
        [
            str(PROGRAMS / "ansible-playbook"),
            "--check",
            str(file),
            "-e",
            f"kubevirt_upgrade_manifest={world.manifests[TO]}",
        ],
        env={**playbook_environment(), **({} if named else {"K8S_AUTH_KUBECONFIG": str(world.lab.kubeconfig)})},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0 or re.search(r"\[[a-z]+\.[a-z-]+\] ", done.stdout), done.stdout + done.stderr
