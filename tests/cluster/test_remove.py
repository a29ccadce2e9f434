# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""KubeVirt is removed, with VMs and without: refused, armed, gone without a trace, installed again, and the VMs are back.

The real virt-operator removes, and the real virt-controller lets the VMs go and takes them up again. CDI is the lab's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.install import install_sparingly
from tests.support.kubevirt import FROM, KUBEVIRT, TO, wait_until
from tests.support.lab import Json, Lab, Result, lab, lab_up, mutating, worker_name
from tests.support.removal import Removal, phrase_of, restored, traces

pytestmark = pytest.mark.full

NAME = worker_name("remove")
VMS = ("vm-1", "vm-2")


@pytest.fixture(params=[TO, FROM], scope="module")
def removal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Removal]:
    """Of a KubeVirt without VMs."""
    release: str = request.param
    with lab_up(NAME, "--release", release) as running:
        lab("cdi", "--name", NAME)
        install_sparingly(running, release)
        yield Removal(running, tmp_path_factory.mktemp("backups"), release)


def claims(cluster: Lab) -> dict[str, tuple[str, str]]:
    """UID and volume of each disk."""
    found = cluster.get("pvc")["items"]
    return {one["metadata"]["name"]: (one["metadata"]["uid"], one["spec"]["volumeName"]) for one in found}


def states(cluster: Lab) -> dict[str, str]:
    found = cluster.get("vm")["items"]
    return {one["metadata"]["name"]: one.get("status", {}).get("printableStatus", "") for one in found}


def test_a_kubevirt_without_vms_goes_with_its_namespace(removal: Removal) -> None:
    """Nothing is at stake, so no phrase is asked for; check mode says before what goes."""
    cluster = removal.cluster
    position = cluster.audit_position()
    predicted = removal.run(check=True, remove_namespace=True)
    assert predicted.code == 0, predicted.message
    assert mutating(cluster.audited(position)) == []

    done = removal.run(remove_namespace=True)
    print(done.message, done.data.get("findings"))
    assert (done.code, done.data["changed"]) == (0, True), done.message
    assert (done.data["actions"], done.data["diff"]) == (predicted.data["actions"], predicted.data["diff"])
    assert (left_of(done), traces(cluster, but=())) == ([], [])
    assert_nothing_is_left_to_do(removal)


def test_vms_stay_until_the_phrase_and_come_back_with_their_disks(removal: Removal) -> None:
    cluster = removal.cluster
    install_sparingly(cluster, removal.release)
    lab("vm", "create", str(len(VMS)), "--disk", "data-volume", "--name", NAME)
    disks = claims(cluster)

    position = cluster.audit_position()
    refused = removal.run()
    assert refused.finding_ids[0] == "remove.workloads-exist", refused.message
    phrase = phrase_of(refused)
    assert phrase.endswith(f":{len(VMS)} VMs:{len(disks)} disks")
    assert all(name in refused.message for name in VMS)
    wrong = removal.run(confirm=phrase.replace(f":{len(VMS)} VMs", ":1 VMs"))
    assert wrong.finding_ids[0] == "remove.confirmation-differs", wrong.message
    predicted = removal.run(check=True, confirm=phrase)
    assert predicted.code == 0, predicted.message
    assert mutating(cluster.audited(position)) == []
    assert states(cluster) == dict.fromkeys(VMS, "Running")

    done = removal.run(confirm=phrase)
    print(done.message, done.data.get("findings"))
    assert done.code == 0, done.message
    assert (done.data["actions"], done.data["diff"]) == (predicted.data["actions"], predicted.data["diff"])
    assert (left_of(done), traces(cluster)) == ([], [])
    assert claims(cluster) == disks
    assert {one["claim"].partition("/")[2] for one in done.data["kept"]} == {*disks}
    assert_nothing_is_left_to_do(removal)

    install_sparingly(cluster, removal.release)
    backup = Path(done.data["backup"]["path"])
    wait_until(lambda: restored(cluster, backup), 120)
    wait_until(lambda: states(cluster) == dict.fromkeys(VMS, "Running"), 300)
    assert claims(cluster) == disks


def left_of(done: Result) -> list[Json]:
    """What the run says is left, but for the devices that a kubelet shows until it is started again."""
    return [one for one in done.data["left"] if not one["reason"].startswith("its kubelet shows devices.kubevirt.io/")]


def assert_nothing_is_left_to_do(removal: Removal) -> None:
    position = removal.cluster.audit_position()
    again: Json = removal.run().data
    assert not again.get("failed") and not again["changed"], again.get("msg")
    assert mutating(removal.cluster.audited(position)) == []
    assert not removal.cluster.succeeds("get", *KUBEVIRT)
