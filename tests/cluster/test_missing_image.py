# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A version whose image does not exist."""

from __future__ import annotations

from pathlib import Path

from tests.support.guests import running_guests
from tests.support.kubevirt import FROM, TO, assert_arrived, install
from tests.support.lab import Lab, lab

MISSING = "v1.8.99"


def test_with_a_version_whose_image_does_not_exist(running: Lab, tmp_path: Path) -> None:
    """Installed by kubectl apply. The run ends by itself, says what was changed and how to go back, and that works."""
    install(running, "kubectl apply", tmp_path)
    before, operands = running_guests(str(running.kubeconfig)), operand_pods(running)
    missing = tmp_path / "missing.yaml"
    missing.write_text(Path(lab("manifest", TO)).read_text().replace(TO, MISSING))

    failed = running.module("kubevirt_upgrade", {"version": MISSING, "manifest": str(missing)})
    print(failed.message)
    assert failed.code != 0
    assert failed.finding_ids[0] == "upgrade.image-pull"
    assert f"virt-operator:{MISSING} cannot be pulled" in failed.message
    assert "Changed so far: " in failed.message
    assert "Deployment kubevirt/virt-operator" in failed.message
    assert (
        "kubectl apply --server-side --force-conflicts --field-manager=kubevirt.lifecycle -f https://" in failed.message
    )
    assert (running_guests(str(running.kubeconfig)), operand_pods(running)) == (before, operands)

    back = running.module("kubevirt_upgrade", {"version": FROM, "manifest": lab("manifest", FROM)})
    assert back.code == 0, back.message
    assert_arrived(running, FROM)
    assert running_guests(str(running.kubeconfig)) == before

    done = running.module("kubevirt_upgrade", {"version": TO, "manifest": lab("manifest", TO)})
    assert done.code == 0, done.message
    assert_arrived(running, TO)
    assert running_guests(str(running.kubeconfig)) == before


def operand_pods(running: Lab) -> dict[str, str]:
    """The pods of virt-api, virt-controller and virt-handler, with their UIDs."""
    pods = running.get("pods", "-n", "kubevirt", "-l", "kubevirt.io in (virt-api, virt-controller, virt-handler)")[
        "items"
    ]
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in pods}
