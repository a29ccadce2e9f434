# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command that goes on can be typed, and shows nothing that a file holds."""

from __future__ import annotations

import shlex
import typing as t

import pytest
import yaml
from ansible.parsing.splitter import parse_kv
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import upgrade
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.next_command import upgrade_command

BEGIN = "ansible-playbook kubevirt.lifecycle.upgrade"


@pytest.mark.parametrize(
    ("given", "rest"),
    [
        ({"version": "v1.8.4"}, "-e kubevirt_version=v1.8.4"),
        ({"kubeconfig": "/a b", "manifest": ""}, "-e '{kubevirt_kubeconfig: /a b}'"),
        ({"manifest": "/srv/{version}.yaml"}, "-e 'kubevirt_manifest=/srv/{version}.yaml'"),
        ({"kubeconfig": {"users": [{"user": {"token": "secret"}}]}}, "-e 'kubevirt_kubeconfig=<kubeconfig>'"),
        ({"manifest": "kind: Namespace\n---\n"}, "-e 'kubevirt_manifest=<manifest>'"),
        (
            {"context": "berlin", "wait": False, "path": ["v1.7.4", "v1.8.4"], "wait_timeout": 3600},
            "-e kubevirt_context=berlin -e '{kubevirt_path: [v1.7.4, v1.8.4], kubevirt_wait: false}'",
        ),
    ],
)
def test_the_options_that_are_not_at_their_defaults(given: dict[str, t.Any], rest: str) -> None:
    params = {name: spec.get("default") for name, spec in upgrade.ARGUMENT_SPEC.items()}
    assert upgrade_command({**params, **given}, upgrade.ARGUMENT_SPEC) == f"{BEGIN} {rest}"


@pytest.mark.parametrize(
    "given",
    [
        {"manifest": '/srv/a b/it\'s "new".yaml'},
        {"manifest": "C:\\operator.yaml", "context": "bärlin: one"},
        {"path": ["1.10", "v1.8.4"], "accept": ["user.it's-fine", "a: b", "true", ""]},
        {"version": "1.10"},
    ],
)
def test_ansible_reads_what_was_given(given: dict[str, t.Any]) -> None:
    params = {name: spec.get("default") for name, spec in upgrade.ARGUMENT_SPEC.items()}
    words = shlex.split(upgrade_command({**params, **given}, upgrade.ARGUMENT_SPEC))
    texts = [word for word, before in zip(words[1:], words, strict=False) if before == "-e"]
    # As ansible-playbook tells them apart (ansible.utils.vars.load_extra_vars).
    read = [yaml.safe_load(text) if text[0] in "{[" else parse_kv(text) for text in texts]
    assert {name: value for one in read for name, value in one.items()} == {
        f"kubevirt_{name}": value for name, value in given.items()
    }
