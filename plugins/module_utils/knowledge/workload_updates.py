# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. KubeVirt's own workload updates, held still while its control plane moves.

With workload update methods set, virt-controller migrates VMs during and right after the hop, racing the roll-out of
virt-handler (kubevirt/kubevirt#18396, #18670, #18919). So the methods are emptied before the first write, remembered in
an annotation of the KubeVirt object, and put back at the end; a run that finds the annotation of a killed one puts
them back too.

While VMs are moved one by one the same is done with the methods that are asked for. The annotation then holds those,
and those that were set before, to go back to when the first VMs fail.
"""

from __future__ import annotations

import json
import typing as t
from collections.abc import Mapping, Sequence

from .workload_strategy import methods_of, strategy_of

HELD_ANNOTATION = "lifecycle.kubevirt.io/held-workload-update-methods"

Object = Mapping[str, t.Any]
Patch = list[dict[str, t.Any]]

_STRATEGY = "/spec/workloadUpdateStrategy"
_METHODS = f"{_STRATEGY}/workloadUpdateMethods"
_ANNOTATIONS = "/metadata/annotations"
_ANNOTATION = f"{_ANNOTATIONS}/{HELD_ANNOTATION.replace('/', '~1')}"


def methods(kubevirt: Object) -> list[str]:
    """The workload update methods that are set now."""
    return list(methods_of(strategy_of(kubevirt)))


def held_methods(kubevirt: Object) -> list[str] | None:
    """The methods that an unfinished run remembered; None when nothing is held."""
    remembered = _remembered(kubevirt)
    return None if remembered is None else remembered["methods"]


def is_held_by_a_move(kubevirt: Object) -> bool:
    """Whether it was a run that moves VMs that emptied the methods, not an upgrade."""
    text = (kubevirt["metadata"].get("annotations") or {}).get(HELD_ANNOTATION) or ""
    return text.lstrip().startswith("{")


def methods_before(kubevirt: Object) -> list[str]:
    """The methods that were set before a run emptied them, if one did."""
    remembered = _remembered(kubevirt)
    return methods(kubevirt) if remembered is None else remembered["before"]


def _remembered(kubevirt: Object) -> dict[str, list[str]] | None:
    """What the annotation says: a list of an upgrade, or both of a run that moves VMs. What cannot be read is nothing."""
    text = (kubevirt["metadata"].get("annotations") or {}).get(HELD_ANNOTATION)
    if text is None:
        return None
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    both = content if isinstance(content, dict) else {"methods": content, "before": content}
    return {key: _words(both.get(key)) for key in ("methods", "before")}


def _words(content: t.Any) -> list[str]:
    return [str(one) for one in content] if isinstance(content, list) else []


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


def asking_patch(kubevirt: Object, asked: Sequence[str]) -> Patch:
    """Empties the methods, and remembers those that are asked for and those of before. Fails as a conflict when the object changes."""
    text = json.dumps({"methods": list(asked), "before": methods_before(kubevirt)})
    patch: Patch = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": kubevirt["metadata"]["resourceVersion"]}
    ]
    if not kubevirt["metadata"].get("annotations"):
        patch.append({"op": "add", "path": _ANNOTATIONS, "value": {}})
    patch.append({"op": "add", "path": _ANNOTATION, "value": text})
    if methods(kubevirt):
        patch.append({"op": "replace", "path": _METHODS, "value": []})
    return patch


def forgetting_patch(kubevirt: Object) -> Patch:
    """Takes the annotation away, if it is there."""
    return [{"op": "remove", "path": _ANNOTATION}] if held_methods(kubevirt) is not None else []


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
