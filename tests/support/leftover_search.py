# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A search for what is left of KubeVirt, by kubectl and by plain words: it shares nothing with the collection's own.

It is coarser than that, so it finds more: everything whose name, group, labels, annotations, finalizers or owners say kubevirt.
"""

from __future__ import annotations

import json
import re
import typing as t

from tests.support.lab import Json, Lab

WORDS = re.compile(r"kubevirt|virt-(api|handler|controller|operator|launcher|exportproxy|template)|^cpumanager$")
# Of these, and of the rest that ends with kubevirt.io, KubeVirt has nothing.
OTHERS = re.compile(
    r"(cdi|hco|ssp|networkaddonsoperator\.network|hostpathprovisioner|aaq|mtq|forklift|(bridge|ovs-cni)\.network)\.kubevirt\.io"
)

EVENTS = {"events", "events.events.k8s.io"}


class Found(t.NamedTuple):
    """One object that says kubevirt somewhere."""

    kind: str
    name: str
    why: str


def leftovers(lab: Lab, *, but: t.Collection[str] = ()) -> list[Found]:
    """Everything in the cluster that says kubevirt, but for ``Kind namespace/name`` in ``but``; events are not looked at."""
    kinds = set(lab.kubectl("api-resources", "--verbs=list,delete", "-o", "name").split()) - EVENTS
    listed = lab.kubectl("get", ",".join(sorted(kinds)), "-A", "--ignore-not-found", "-o", "json")
    found = {one for live in json.loads(listed)["items"] if (one := _found(live))}
    return sorted(one for one in found if f"{one.kind} {one.name}" not in but)


def _found(live: Json) -> Found | None:
    metadata = live["metadata"]
    texts = [
        live["apiVersion"].partition("/")[0],
        metadata["name"],
        metadata.get("namespace", ""),
        *(
            f"{key}={value}"
            for key, value in (metadata.get("labels") or {}).items()
            if key != "kubernetes.io/metadata.name"
        ),
        *(metadata.get("labels") or {}),
        *(metadata.get("annotations") or {}),
        *(metadata.get("finalizers") or ()),
        *(owner["name"] for owner in metadata.get("ownerReferences") or ()),
        *((live.get("status") or {}).get("capacity") or {} if live["kind"] == "Node" else ()),
    ]
    why = sorted({text for text in texts if WORDS.search(text) and not OTHERS.search(text)})
    where = metadata.get("namespace")
    name = f"{where}/{metadata['name']}" if where else metadata["name"]
    return Found(live["kind"], name, ", ".join(why)) if why else None
