# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets that stand in options and in the cluster come out nowhere, neither in results nor in what -vvv and --diff print."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.contract.conftest import HEALTHY, TO, World
from tests.support.lab import Json
from tests.support.play import ELSEWHERE, HERE, Play

PLANTED = "pl4nted-S3cret"
INFO, UPGRADE = "kubevirt.lifecycle.kubevirt_info", "kubevirt.lifecycle.kubevirt_upgrade"


@pytest.fixture
def planted(world: World) -> Iterator[World]:
    """In an annotation, in a variable, a flag and a proxy of virt-operator, and in what it says."""
    name = ("deployment", "virt-operator", "-n", "kubevirt")
    before = world.lab.get(*name)["spec"]["template"]["spec"]["containers"]
    container = {
        "name": "virt-operator",
        "args": [*before[0]["args"], f"--token={PLANTED}"],
        "env": [
            {"name": "REGISTRY_PASSWORD", "value": PLANTED},
            {"name": "HTTPS_PROXY", "value": f"http://me:{PLANTED}@proxy.example:3128"},
        ],
    }
    template = {"spec": {"containers": [container]}}
    patch = {"metadata": {"annotations": {"example.com/token": PLANTED}}, "spec": {"template": template}}
    # As the one who installed it, whose fields an upgrade takes over and takes away.
    world.lab.kubectl("patch", *name, "--type=strategic", "--field-manager=kubectl-create", "-p", json.dumps(patch))
    words = f"pulling https://me:{PLANTED}@registry.example.com: 401"
    said = [{**one, "message": words} if one["type"] == "Degraded" else one for one in HEALTHY["conditions"]]
    world.status({**HEALTHY, "conditions": said})
    yield world
    world.status(HEALTHY)
    world.remove()
    world.install()


def options(world: World) -> Json:
    """A kubeconfig as a dictionary, with a further user who has all that can be secret."""
    config: Json = yaml.safe_load(world.lab.kubeconfig.read_text())
    login = {"command": "login", "args": [f"--client-secret={PLANTED}"], "env": [{"name": "A", "value": PLANTED}]}
    config["users"].append({"name": "u", "user": {"token": PLANTED, "client-key-data": PLANTED, "exec": login}})
    proxied = {"server": "https://a.example", "proxy-url": f"http://me:{PLANTED}@proxy.example"}
    config["clusters"].append({"name": "c", "cluster": proxied})
    return {"kubeconfig": config}


def test_planted_secrets_are_neither_returned_nor_printed(planted: World, tmp_path: Path) -> None:
    play = Play(tmp_path, planted.lab.kubeconfig)
    given = options(planted)
    upgrade = {**given, "version": TO, "manifest": str(planted.manifests[TO])}
    unreachable = f"https://me:{PLANTED}@127.0.0.1:9/operator.yaml"
    tasks = [
        {INFO: given},
        {INFO: {**given, "nme": "mistyped"}},
        {UPGRADE: upgrade, "check_mode": True, "diff": True},
        {UPGRADE: {**given, "version": TO, "manifest": unreachable}, "check_mode": True},
    ]
    played = play.run(*tasks)
    for host in (HERE, ELSEWHERE):
        info, mistyped, upgraded, unread = played.results[host]
        assert "(removed)@registry.example.com" in json.dumps(info["kubevirt"]["conditions"]), info
        assert "nme" in mistyped["msg"] and "127.0.0.1:9" in unread["msg"]
        diff = json.dumps(upgraded["diff"])
        assert "--token=(removed)" in diff and "REGISTRY_PASSWORD" in diff and "(removed)@proxy.example" in diff, diff
    assert PLANTED not in played.output
