# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade leaves that stopped on its way: the objects that show why, and a bundle, without planted secrets."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.contract.conftest import TO, World
from tests.contract.test_refusals import refused, untouched
from tests.support.lab import Json, mutating

PLANTED = "pl4nted-S3cret"
NAMESPACE = ("-n", "kubevirt")


def of_the_namespace(api_version: str, kind: str, name: str, **more: object) -> Json:
    annotations = {"example.com/token": PLANTED}
    metadata = {"name": name, "namespace": "kubevirt", "annotations": annotations}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}


def planted() -> list[Json]:
    """A pod that cannot be scheduled, a Job that has failed, an event; each with a secret in it."""
    variable = {"name": "REGISTRY_PASSWORD", "value": PLANTED}
    container = {"name": "compute", "image": "x", "env": [variable], "args": [f"--token={PLANTED}"]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    pod = of_the_namespace(
        "v1", "Pod", "virt-api-0", spec={"serviceAccountName": "kubevirt-operator", "containers": [container]}
    )
    pod["metadata"]["labels"] = {"kubevirt.io": "virt-api", "app.kubernetes.io/managed-by": "virt-operator"}
    job = of_the_namespace("batch/v1", "Job", "strategy", spec={"template": template})
    event = of_the_namespace(
        *("v1", "Event", "pulling"),
        type="Warning",
        reason="Failed",
        message=f"https://me:{PLANTED}@registry.example.com/v2/ says 401",
        involvedObject={"kind": "Pod", "name": "virt-api-0", "namespace": "kubevirt"},
        lastTimestamp="2026-01-31T02:00:00Z",
    )
    return [pod, job, event]


@pytest.fixture(scope="module")
def broken(world: World) -> Iterator[World]:
    """KubeVirt with nobody who works on it, and with things that went wrong."""
    text = yaml.safe_dump_all(planted())
    world.lab.kubectl("create", "-f", "-", stdin=text)
    status = json.dumps({"status": {"failed": 1}})
    world.lab.kubectl("patch", "job", "strategy", *NAMESPACE, "--subresource=status", "--type=merge", "-p", status)
    yield world
    world.lab.kubectl("delete", "--ignore-not-found", "--grace-period=0", "--force", "-f", "-", stdin=text)


def test_a_directory_that_cannot_be_used_is_said_before_the_first_write(broken: World, tmp_path: Path) -> None:
    with untouched(broken):
        refused(
            broken.upgrade(bundle_dir=str(tmp_path / "no" / "bundles")),
            "bundle_dir",
            "does not exist",
            "Nothing was done",
        )


def test_check_mode_leaves_nothing(broken: World, tmp_path: Path) -> None:
    result = broken.upgrade(check=True, bundle_dir=str(tmp_path / "bundles"))
    assert (result.code, result.data["objects"], result.data["bundle"], result.data["failure"]) == (0, [], "", {})
    assert list(tmp_path.iterdir()) == []


def test_an_upgrade_that_is_refused_leaves_nothing(broken: World, tmp_path: Path) -> None:
    with untouched(broken):
        result = broken.upgrade(version="v1.6.6", bundle_dir=str(tmp_path / "bundles"))
    assert (result.data["objects"], result.data["bundle"]) == ([], "")
    assert result.data["failure"]["id"] == "version.downgrade"
    assert list(tmp_path.iterdir()) == []


def test_an_upgrade_that_stops_on_its_way(broken: World, tmp_path: Path) -> None:
    position = broken.lab.audit_position()
    result = broken.upgrade(wait_timeout=3, bundle_dir=str(tmp_path / "bundles"))
    print(result.message)
    assert result.code != 0
    assert result.message.startswith(f"The upgrade to {TO} stopped.\n[upgrade.timeout]")
    failure = result.data["failure"]
    assert (failure["id"], failure["object"]) == ("upgrade.timeout", "KubeVirt kubevirt/kubevirt")
    for words in ("To go back (KubeVirt itself is still at v1.7.0)", "v1.7.0/kubevirt-operator.yaml"):
        assert words in result.message

    shown = [f"{one['kind']} {one['metadata']['name']}" for one in result.data["objects"]]
    assert shown == ["KubeVirt kubevirt", "Deployment virt-operator", "Pod virt-api-0", "Job strategy", "Event pulling"]
    assert "managedFields" not in json.dumps(result.data["objects"])
    assert PLANTED not in json.dumps(result.data)

    bundle = Path(result.data["bundle"])
    assert bundle.parent == tmp_path / "bundles" and result.message.endswith(str(bundle))
    assert bundle.name.startswith(result.data["cluster"]["uid"][:8])
    files = {str(file.relative_to(bundle)): file.read_text() for file in bundle.rglob("*") if file.is_file()}
    print(sorted(files), result.data["unread"])
    expected = {
        "outcome.json",
        "findings.md",
        "versions.yaml",
        "kubevirts.yaml",
        "deployments.yaml",
        "pods.yaml",
        "jobs.yaml",
    }
    assert expected | {"events.yaml"} <= set(files)
    assert [name for name, text in files.items() if PLANTED in text] == []
    assert json.loads(files["outcome.json"])["failure"] == failure
    assert files["findings.md"].startswith("# Upgrade of KubeVirt: v1.7.0 -> v1.8.4\n")
    assert {stat.S_IMODE(file.stat().st_mode) for file in bundle.rglob("*") if file.is_file()} == {0o600}
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o700

    requests = broken.lab.audited(position)
    last_write = max(number for number, one in enumerate(requests) if mutating([one]))
    assert len(requests) - last_write < 40, "looking back costs few requests"


def test_a_run_that_changed_nothing_and_stops_says_so(broken: World) -> None:
    broken.upgrade(wait=False)
    result = broken.upgrade(wait_timeout=3)
    assert "Nothing was changed." in result.message
    assert (result.data["changed"], result.data["bundle"]) == (False, "")
    assert result.data["objects"]
