# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/rbac is what the table gives: ``make rbac`` was run since it was changed. tests/contract proves that it is enough."""

from __future__ import annotations

import re
from itertools import chain

import pytest
import yaml

from tests.rbac.page import ACCOUNT, FOLDER, files
from tests.rbac.roles import ROLES
from tests.support.lab import ROOT

GUIDE = ROOT / "docs" / "guide" / "permissions.md"


def test_the_files_are_those_of_the_table() -> None:
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == files(), "run make rbac"


def test_every_playbook_has_its_role_and_the_guide_shows_it() -> None:
    assert {path.stem for path in (ROOT / "playbooks").glob("*.yml")} <= {*ROLES}
    shown = GUIDE.read_text()
    assert [name for name in files() if f"(../rbac/{name})" not in shown] == []


@pytest.mark.parametrize("name", ["status", "plan"])
def test_what_only_looks_may_only_look(name: str) -> None:
    assert {verb for rule in ROLES[name].rules for verb in rule.verbs} == {"get", "list"}


def test_only_an_upgrade_by_the_manifest_and_a_removal_may_grant_rights() -> None:
    granting = {
        name for name, role in ROLES.items() if any({"escalate", "bind"} & {*rule.verbs} for rule in role.rules)
    }
    assert granting == {"upgrade", "remove"}


@pytest.mark.parametrize("name", files())
def test_kubernetes_can_read_them(name: str) -> None:
    """Each binding is to the role beside it."""
    documents = list(yaml.safe_load_all(files()[name]))
    made = {(one["kind"], one["metadata"]["name"]) for one in documents}
    referred = {(one["roleRef"]["kind"], one["roleRef"]["name"]) for one in documents if "roleRef" in one}
    assert referred == {(kind, name) for kind, name in made if kind in ("ClusterRole", "Role")}


def test_another_namespace_is_written_as_the_guide_says() -> None:
    """The guide's sed changes every line that is about KubeVirt's namespace, and no other."""
    command = re.search(r"sed '/(.*)/s/(.*)/(.*)/'", GUIDE.read_text())
    assert command
    marked, before, after = command.groups()
    for name, content in files().items():
        lines = [line.replace(before, after, 1) if marked in line else line for line in content.splitlines()]
        for one in yaml.safe_load_all("\n".join(lines)):
            assert one["metadata"].get("namespace") in (None, after, ACCOUNT), name
            of_namespaces = [rule for rule in one.get("rules", ()) if rule["resources"] == ["namespaces"]]
            assert {*chain(*(rule["resourceNames"] for rule in of_namespaces))} <= {after, "kube-system"}, name
