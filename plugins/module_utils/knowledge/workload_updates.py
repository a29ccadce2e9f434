# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. KubeVirt's own workload updates, held still while its control plane moves.

With workload update methods set, virt-controller migrates VMs during and right after the hop, racing the roll-out of
virt-handler (kubevirt/kubevirt#18396, #18670, #18919). So the methods are emptied before the first write, remembered in
an annotation of the KubeVirt object, and put back at the end; a run that finds the annotation of a killed one puts
them back too.
"""

from __future__ import annotations

import json
import typing as t
from collections.abc import Mapping, Sequence

HELD_ANNOTATION = "lifecycle.kubevirt.io/held-workload-update-methods"

Object = Mapping[str, t.Any]
Patch = list[dict[str, t.Any]]

_STRATEGY = "/spec/workloadUpdateStrategy"
_METHODS = f"{_STRATEGY}/workloadUpdateMethods"
_ANNOTATIONS = "/metadata/annotations"
_ANNOTATION = f"{_ANNOTATIONS}/{HELD_ANNOTATION.replace('/', '~1')}"


def methods(kubevirt: Object) -> list[str]:
    """The workload update methods that are set now."""
    strategy = kubevirt.get("spec", {}).get("workloadUpdateStrategy") or {}
    return list(strategy.get("workloadUpdateMethods") or [])


def held_methods(kubevirt: Object) -> list[str] | None:
    """The methods that an unfinished run remembered; None when nothing is held."""
    text = (kubevirt["metadata"].get("annotations") or {}).get(HELD_ANNOTATION)
    if text is None:
        return None
    try:
        remembered = json.loads(text)
    except ValueError:
        return []
    return [str(method) for method in remembered] if isinstance(remembered, list) else []


def methods_afterwards(kubevirt: Object, *, restore: bool) -> list[str]:
    """The methods that are to be set when the run has finished; what somebody set meanwhile wins."""
    return (methods(kubevirt) or held_methods(kubevirt) or []) if restore else []


def holding_patch(kubevirt: Object) -> Patch:
    """Empties the methods and remembers them. Fails as a conflict when somebody changes them at the same time."""
    now = methods(kubevirt)
    patch: Patch = [{"op": "test", "path": _METHODS, "value": now}]
    if not kubevirt["metadata"].get("annotations"):
        patch.append({"op": "add", "path": _ANNOTATIONS, "value": {}})
    patch.append({"op": "add", "path": _ANNOTATION, "value": json.dumps(now)})
    patch.append({"op": "replace", "path": _METHODS, "value": []})
    return patch


def releasing_patch(kubevirt: Object, wanted: Sequence[str]) -> Patch:
    """Sets ``wanted`` and forgets the annotation.

    The emptied list may be gone: virt-operator writes the object back without empty lists when the version of its API
    changes (pkg/virt-operator/kubevirt.go). And a person may have removed the strategy as a whole.
    """
    annotation = kubevirt["metadata"]["annotations"][HELD_ANNOTATION]
    patch: Patch = [
        {"op": "test", "path": _ANNOTATION, "value": annotation},
        {"op": "remove", "path": _ANNOTATION},
    ]
    if list(wanted) != methods(kubevirt):
        if not kubevirt["spec"].get("workloadUpdateStrategy"):
            patch.append({"op": "add", "path": _STRATEGY, "value": {}})
        patch.append({"op": "add", "path": _METHODS, "value": list(wanted)})
    return patch
