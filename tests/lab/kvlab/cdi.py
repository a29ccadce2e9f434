# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CDI as far as VMs with DataVolumes need it: its CRDs, and a disk for each DataVolume, whose claim belongs to the DataVolume."""

from __future__ import annotations

import json
import typing as t

import yaml

from kvlab import kubectl, manifests
from kvlab.lab import Lab
from kvlab.machines import disk
from kvlab.waiting import wait_for

CRDS = manifests.DATA / "cdi-crds.yaml"
DONE = {"status": {"phase": "Succeeded", "progress": "100.0%"}}


def install(lab: Lab) -> None:
    """Install the CRDs. virt-controller looks for them when it starts, and starts again when they come later."""
    kubectl.apply(lab, CRDS)
    established = ("wait", "--for=condition=Established", "-f", CRDS, "--timeout=5s")
    wait_for("the CRDs of CDI", lambda: kubectl.attempt(lab, *established), 60)


def fill(lab: Lab, name: str, namespace: str) -> None:
    """Do CDI's work for a DataVolume that virt-controller makes: a claim on a volume of its own, and Succeeded."""
    where = ("datavolume", name, "-n", namespace)
    data_volume = wait_for(f"DataVolume {name}", lambda: kubectl.get(lab, *where), 60)
    volume, claim = disk(name, namespace, "ReadWriteMany")
    claim["metadata"]["ownerReferences"] = [owner(data_volume)]
    kubectl.kubectl(lab, "apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all([volume, claim]))
    kubectl.kubectl(lab, "patch", *where, "--type=merge", "-p", json.dumps(DONE))


def owner(data_volume: dict[str, t.Any]) -> dict[str, t.Any]:
    """What makes a claim a DataVolume's, as CDI writes it."""
    names = {key: data_volume["metadata"][key] for key in ("name", "uid")}
    return {
        "apiVersion": data_volume["apiVersion"],
        "kind": data_volume["kind"],
        **names,
        "controller": True,
        "blockOwnerDeletion": True,
    }
