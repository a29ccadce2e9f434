# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulated workers: KWOK plays their kubelets, and by Stages also virt-handler and the VMs.

Stages are objects in the cluster, so a test can add its own (a migration that hangs, say) or change one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from kvlab import guests, kubectl, manifests
from kvlab.builds import program
from kvlab.lab import SIMULATED_NODE_ADDRESS, SIMULATED_POD_CIDR, Lab
from kvlab.netns import inside
from kvlab.processes import must_run, start
from kvlab.waiting import wait_for


def start_workers(lab: Lab) -> None:
    """Start KWOK and wait until its nodes are ready."""
    kubectl.apply(lab, manifests.kwok_stage_crd())
    # Again and again, because kubectl wait fails on an object that has no conditions yet.
    established = ("wait", "--for=condition=Established", "crd/stages.kwok.x-k8s.io", "--timeout=5s")
    wait_for("the CRD of KWOK's Stages", lambda: kubectl.attempt(lab, *established), 60)
    kubectl.apply(lab, manifests.DATA / "stages-kubelet.yaml")
    kubectl.apply(lab, manifests.DATA / "workers.yaml")
    start(
        lab,
        "kwok",
        inside(
            lab,
            [
                program("kwok", "kwok"),
                f"--kubeconfig={lab.kubeconfig_of('super-admin')}",
                "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
                "--enable-crds=Stage",
                f"--node-ip={SIMULATED_NODE_ADDRESS}",
                f"--cidr={SIMULATED_POD_CIDR}",
                # Without leases the node controller takes the nodes for dead after 40 s.
                "--node-lease-duration-seconds=40",
            ],
        ),
    )
    wait_for("the simulated nodes to be ready", lambda: _are_ready(lab), 60)


def start_guests(lab: Lab) -> None:
    """Start what plays the guests of all simulated nodes; it sits still until KubeVirt is there."""
    own_kubectl: list[str | Path] = [
        program("kubernetes", "kubectl"),
        f"--kubeconfig={lab.kubeconfig_of('super-admin')}",
    ]
    script: list[str | Path] = [
        sys.executable,
        "-I",
        Path(guests.__file__),
        manifests.DATA / "stages-virt-handler.yaml",
    ]
    start(lab, "guests", inside(lab, [*script, *own_kubectl]))


def _are_ready(lab: Lab) -> bool:
    must_run(lab, "kwok")
    nodes = kubectl.get(lab, "nodes", "-l", "lab/simulated=true")["items"]
    return all(
        any(c["type"] == "Ready" and c["status"] == "True" for c in node.get("status", {}).get("conditions", []))
        for node in nodes
    )
