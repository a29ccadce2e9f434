# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Who owns the fields of a live object, and what a server-side apply will make of them.

The rules are the API server's own: sigs.k8s.io/structured-merge-diff (merge and prune), client-go's util/csaupgrade
(moving the fields of earlier tools to the applier), and the types and defaults of Kubernetes 1.34 for the kinds in
kubevirt-operator.yaml. A trie of fields is the ``fieldsV1`` of Kubernetes: ``f:`` a field, ``k:`` an item by its key,
``v:`` an item by its value, ``.`` the node itself.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import re
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

Object = Mapping[str, t.Any]
Fields = Mapping[str, t.Any]

FIELD_MANAGER = "kubevirt.lifecycle"

# Whose fields stay theirs. All other managers are tools that installed the object once and will not come back for it.
_NOT_MOVED = re.compile(
    "|".join(
        (
            re.escape(FIELD_MANAGER),
            # Controllers of Kubernetes and KubeVirt.
            "kubelet|(kube|cloud)-(apiserver|controller-manager|scheduler)|virt-.*",
            # What a person changed on purpose, by kubectl, k9s or a web console. kubectl-replace installs whole files.
            "kubectl-(annotate|autoscale|edit|expose|label|patch|rollout|scale|set|taint)|k9s|Mozilla",
            # Owners that come back; an upgrade is refused for them before it gets here.
            "argocd.*|kustomize-controller|flux.*|[Hh]elm.*|kapp.*|fleet.*|rancher.*|work(-agent.*)?|olm.*|catalog.*",
            "hyperconverged-.*|hco-.*",
            # All fields of an object from before the API server kept managers: anybody's, a controller's too.
            "before-first-apply",
        )
    )
)

# Lists whose items are merged by key. All other lists of these kinds are replaced as a whole ("atomic").
_POD_LISTS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "ports": ("containerPort", "protocol"),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "ownerReferences": ("uid",),
}
_LISTS: dict[str, dict[str, tuple[str, ...]]] = {
    "Deployment": _POD_LISTS,
    "ServiceAccount": {"secrets": ("name",), "ownerReferences": ("uid",)},
}
_OTHER_LISTS = {"ownerReferences": ("uid",)}
_SUMMARISED = {"openAPIV3Schema": "schema", "kubectl.kubernetes.io/last-applied-configuration": "manifest"}
_DIFF_KEYS = {("CustomResourceDefinition", "versions"): ("name",)}
_KEY_DEFAULTS = {"protocol": "TCP"}
_SETS = frozenset({"finalizers"})

# Mappings that are replaced as a whole, and lists whose items are.
_ATOMIC = frozenset(
    {
        "roleRef",
        "selector",
        "nodeSelector",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "labelSelector",
        "fieldRef",
        "resourceFieldRef",
        "configMapKeyRef",
        "secretKeyRef",
        "secretRef",
        "ownerReferences[]",
        "imagePullSecrets[]",
        "secrets[]",
    }
)

# What the API server fills in. "x?" only where x is there, "x[]" for each item of x.
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_HTTP_PROBE = {**_PROBE, "httpGet?": {"path": "/", "scheme": "HTTP"}}
_CONTAINER = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "resources": {},
    "ports[]": {"protocol": "TCP"},
    "env[]": {"valueFrom?": {"fieldRef?": {"apiVersion": "v1"}}},
    "livenessProbe?": _HTTP_PROBE,
    "readinessProbe?": _HTTP_PROBE,
    "startupProbe?": _HTTP_PROBE,
}
_DOWNWARD_API = {"items[]": {"fieldRef?": {"apiVersion": "v1"}}}
_POD = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
    "containers[]": _CONTAINER,
    "initContainers[]": _CONTAINER,
    "volumes[]": {
        "secret?": {"defaultMode": 420},
        "configMap?": {"defaultMode": 420},
        "downwardAPI?": {"defaultMode": 420, **_DOWNWARD_API},
        "projected?": {
            "defaultMode": 420,
            "sources[]": {"serviceAccountToken?": {"expirationSeconds": 3600}, "downwardAPI?": _DOWNWARD_API},
        },
        "hostPath?": {"type": ""},
    },
}
_DEFAULTS: dict[str, dict[str, t.Any]] = {
    "CustomResourceDefinition": {"spec": {"conversion": {"strategy": "None"}}},
    "Deployment": {
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            "strategy": {"type": "RollingUpdate"},
            "template": {"spec": _POD},
        }
    },
    "PriorityClass": {"preemptionPolicy": "PreemptLowerPriority"},
    "ClusterRoleBinding": {"roleRef": {"apiGroup": "rbac.authorization.k8s.io"}},
    "RoleBinding": {"roleRef": {"apiGroup": "rbac.authorization.k8s.io"}},
}

_QUANTITY = re.compile(r"(\d*\.?\d+)([numkMGTPE]|[KMGTPE]i)?")
_DECIMAL = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")

# Fields that the API server does not store while they are empty, false or zero.
_NOT_STORED_EMPTY = frozenset(
    (
        *("annotations", "labels", "finalizers", "nodeSelector", "tolerations", "imagePullSecrets", "initContainers"),
        *("volumes", "args", "command", "env", "ports", "volumeMounts", "limits", "requests", "add", "drop"),
        *("subjects", "secrets", "rules", "shortNames", "categories", "additionalPrinterColumns"),
    )
)
_NOT_STORED_FALSE = frozenset(
    (
        *("globalDefault", "readOnly", "hostNetwork", "hostPID", "hostIPC", "paused", "stdin", "stdinOnce", "tty"),
        *("minReadySeconds", "initialDelaySeconds", "hostPort", "preserveUnknownFields", "deprecated", "nullable"),
        "priority",
    )
)
_NOT_STORED_BLANK = frozenset({"value", "description", "namespace"})

_SERVER_METADATA = frozenset({"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"})


def migrated(live: Object) -> list[dict[str, t.Any]] | None:
    """The metadata.managedFields in which the fields of one-shot installers are ours; None when nothing is to be moved.

    Entries of another apiVersion stay: their fields may be named otherwise in this one, and an API server that no
    longer serves that version drops them itself. Entries of a subresource are a controller's. The labels of a Namespace
    are people's, so nothing of it moves.
    """
    moving = _moving(live)
    if not moving:
        return None
    entries = _entries(live)
    sources = [e for e in entries if e in moving or _is_own(e, live)]
    target = dict(sources[0])
    target.update(
        manager=FIELD_MANAGER, operation="Apply", fieldsType="FieldsV1", fieldsV1=_union(_fields(e) for e in sources)
    )
    times = [e["time"] for e in sources if e.get("time")]
    if times:
        target["time"] = max(times)
    return [
        target if e is sources[0] else copy.deepcopy(dict(e)) for e in entries if e is sources[0] or e not in sources
    ]


def moved_managers(live: Object) -> list[str]:
    """The names of the managers whose fields ``migrated`` moves."""
    return sorted({str(e["manager"]) for e in _moving(live)})


def keepers(live: Object, path: Sequence[str]) -> list[str]:
    """The names of the managers who keep the field at ``path``, elements of a trie, when we apply without it."""
    moving = _moving(live)
    others = [e for e in _entries(live) if e not in moving and not _is_own(e, live)]
    return sorted({str(e["manager"]) for e in others if _reaches(_fields(e), path)})


def after_apply(live: Object | None, desired: Object) -> dict[str, t.Any]:
    """What the object will be after the move of the fields and the server-side apply of ``desired``.

    A field that we own and ``desired`` lacks goes, unless another manager owns it too; an item of a keyed list goes as
    a whole. The status, and the metadata that the API server itself counts, are left out.
    """
    kind = str(desired["kind"])
    if live is None:
        return _comparable(desired)
    entries = [e for e in migrated(live) or _entries(live) if e.get("apiVersion") == live.get("apiVersion")]
    ours = _union(_fields(e) for e in entries if _is_own(e, live))
    kept = _union([_fields_of(kind, "", desired), *(_fields(e) for e in entries if not _is_own(e, live))])
    merged = _merged(kind, "", _comparable(live), _comparable(desired))
    return _stored(kind, _pruned(kind, "", merged, ours, kept))


def changes(live: Object | None, predicted: Object) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Before and after, cut down to what differs; both empty when nothing does.

    Items of keyed lists stand under their key. A CRD's schema and kubectl's copy of the last applied manifest are
    replaced by their size and checksum.
    """
    kind = str(predicted["kind"])
    after = _summarised(predicted)
    if live is None:
        return {}, _keyed(kind, "", after)
    before = _summarised(_stored(kind, _comparable(live)))
    # Where nothing differs by key, the order may: that of env matters, and is a change.
    for view in (_keyed, _keyed_with_order):
        difference = _difference(view(kind, "", before), view(kind, "", after))
        if difference:
            return difference
    return {}, {}


# --- managers ---------------------------------------------------------------------------------------------------------


def _entries(live: Object) -> list[Object]:
    return list(live["metadata"].get("managedFields") or ())


def _is_own(entry: Object, live: Object) -> bool:
    return (
        entry.get("manager") == FIELD_MANAGER
        and entry.get("operation") == "Apply"
        and not entry.get("subresource")
        and entry.get("apiVersion") == live.get("apiVersion")
    )


def _moving(live: Object) -> list[Object]:
    if live.get("kind") == "Namespace":
        return []
    return [
        e
        for e in _entries(live)
        if e.get("apiVersion") == live.get("apiVersion")
        and not e.get("subresource")
        and not _NOT_MOVED.fullmatch(str(e.get("manager", "")))
    ]


# --- tries of fields --------------------------------------------------------------------------------------------------


def _fields(entry: Object) -> Fields:
    return t.cast(Fields, entry.get("fieldsV1") or {})


def _union(tries: Iterable[Fields]) -> dict[str, t.Any]:
    """One trie of all fields. A leaf is an empty trie, so one that meets children is written as ``.``."""
    result: dict[str, t.Any] = {}
    for trie in tries:
        for element, below in trie.items():
            if element not in result:
                result[element] = copy.deepcopy(below)
            elif element != ".":
                leaf = not result[element] or not below
                result[element] = _union([result[element], below])
                if leaf and result[element]:
                    result[element]["."] = {}
    return result


def _has(trie: Fields, element: str) -> bool:
    """Whether the trie owns the element itself. A field is owned with any of its fields, an item only by ``.``."""
    if element not in trie:
        return False
    return element.startswith("f:") or not trie[element] or "." in trie[element]


def _reaches(trie: Fields, path: Sequence[str]) -> bool:
    for element in path:
        if element not in trie:
            return False
        trie = trie[element]
    return True


def _fields_of(kind: str, name: str, value: t.Any) -> dict[str, t.Any]:
    """The trie of all fields of a value that somebody applies."""
    return {
        element: {".": {}, **_fields_of(kind, below, child)}
        if element.startswith("k:")
        else _fields_of(kind, below, child)
        for element, below, child in _children(kind, name, value)
    }


def _children(kind: str, name: str, value: t.Any) -> list[tuple[str, str, t.Any]]:
    """Path element, name and value of each child that can have an owner of its own."""
    if name in _ATOMIC:
        return []
    if isinstance(value, Mapping):
        return [(f"f:{key}", str(key), child) for key, child in value.items()]
    keys = _keys(kind, name)
    if isinstance(value, list) and keys:
        return [(_item_element(keys, item), f"{name}[]", item) for item in value]
    if isinstance(value, list) and name in _SETS:
        return [(f"v:{_json(item)}", f"{name}[]", item) for item in value]
    return []


def _keys(kind: str, name: str) -> tuple[str, ...] | None:
    return _LISTS.get(kind, _OTHER_LISTS).get(name)


def _item_element(keys: Sequence[str], item: Object) -> str:
    return "k:" + _json({key: item.get(key, _KEY_DEFAULTS.get(key)) for key in keys})


def _json(value: t.Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


# --- merge and prune --------------------------------------------------------------------------------------------------


def _merged(kind: str, name: str, live: t.Any, desired: t.Any) -> t.Any:
    """``live`` with ``desired`` merged in."""
    if isinstance(live, Mapping) and isinstance(desired, Mapping) and name not in _ATOMIC:
        both = {key: _merged(kind, str(key), live[key], desired[key]) for key in live if key in desired}
        return {**live, **desired, **both}
    if isinstance(live, list) and isinstance(desired, list) and (_keys(kind, name) or name in _SETS):
        return _merged_items(kind, name, live, desired)
    return desired


def _merged_items(kind: str, name: str, live: list[t.Any], desired: list[t.Any]) -> list[t.Any]:
    """Both lists in one: items of ``desired`` in its order, the other ones where they stood among them."""
    old = [(element, item) for element, _below, item in _children(kind, name, live)]
    new = {element: item for element, _below, item in _children(kind, name, desired)}
    copies: dict[str, list[t.Any]] = {}
    for element, item in old:
        copies.setdefault(element, []).append(item)

    def merged(element: str) -> t.Any:
        # An item that the live list holds twice is replaced, not merged.
        found = copies.get(element, ())
        return _merged(kind, f"{name}[]", found[0], new[element]) if len(found) == 1 else new[element]

    result: list[t.Any] = []
    rest = list(new)
    for element, item in old:
        if element not in new:
            result.append(item)
        elif element == next((e for e in rest if e in copies), None):
            end = rest.index(element) + 1
            result += [merged(e) for e in rest[:end]]
            rest = rest[end:]
    return result + [merged(e) for e in rest]


def _pruned(kind: str, name: str, value: t.Any, ours: Fields, kept: Fields) -> t.Any:
    """``value`` without the fields that are ours and that nobody keeps; None where nothing is left of it."""
    children = _children(kind, name, value)
    if not children or not ours:
        return value
    result: list[tuple[str, t.Any]] = []
    for element, below, child in children:
        if _has(ours, element) and not _has(kept, element):
            continue
        left = _pruned(kind, below, child, ours.get(element, {}), kept.get(element, {}))
        if left is not None:
            result.append((element, left))
    if not result:
        return None
    if isinstance(value, Mapping):
        return {element[2:]: child for element, child in result}
    return [child for _element, child in result]


# --- what the API server makes of an object ---------------------------------------------------------------------------


def _comparable(o: Object) -> dict[str, t.Any]:
    """The object without what the server counts and controllers report. It shares its parts with ``o``: read them only."""
    result = {key: value for key, value in o.items() if key != "status"}
    result["metadata"] = {key: value for key, value in result["metadata"].items() if key not in _SERVER_METADATA}
    return result


def _stored(kind: str, o: dict[str, t.Any]) -> dict[str, t.Any]:
    """The object as the API server stores it: defaults filled in, empty fields left out."""
    result = t.cast("dict[str, t.Any]", _without_empty(o))
    _fill(result, _DEFAULTS.get(kind, {}))
    if kind == "CustomResourceDefinition":
        names = result["spec"]["names"]
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", f"{names['kind']}List")
    if kind == "Deployment":
        _fill_deployment(result["spec"])
    return result


def _fill_deployment(spec: dict[str, t.Any]) -> None:
    """The defaults that depend on other fields."""
    if spec["strategy"]["type"] == "RollingUpdate":
        _fill(spec["strategy"], {"rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}})
    pod = spec["template"]["spec"]
    # The old name of serviceAccountName is kept equal to it.
    account = pod.get("serviceAccountName") or pod.get("serviceAccount")
    if account:
        pod.update(serviceAccountName=account, serviceAccount=account)
    for container in [*pod.get("initContainers", ()), *pod.get("containers", ())]:
        latest = "@" not in container.get("image", "") and container.get("image", "").rpartition("/")[2].partition(":")[
            2
        ] in ("", "latest")
        container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
        for amounts in container["resources"].values():
            if isinstance(amounts, dict):
                amounts.update({name: _canonical(amount) for name, amount in amounts.items()})
    for volume in pod.get("volumes", ()):
        if volume.get("emptyDir", {}).get("sizeLimit"):
            volume["emptyDir"]["sizeLimit"] = _canonical(volume["emptyDir"]["sizeLimit"])


def _canonical(quantity: t.Any) -> t.Any:
    """A quantity as the API server writes it: 10m for 0.01, 512Mi for 0.5Gi, never finer than a thousandth."""
    match = _QUANTITY.fullmatch(str(quantity))
    if not match:
        return quantity
    amount, suffix = Decimal(match[1]), match[2] or ""
    if suffix.endswith("i"):
        amount *= 1024 ** _BINARY.index(suffix)
    else:
        amount *= Decimal(1000) ** (_DECIMAL.index(suffix) - _DECIMAL.index(""))
    binary = suffix.endswith("i") and amount >= 1024
    base, suffixes = (1024, _BINARY) if binary else (1000, _DECIMAL[2:])
    number, power = math.ceil(amount if binary else amount * 1000), 0
    while number and number % base == 0 and power + 1 < len(suffixes):
        number, power = number // base, power + 1
    return f"{number}{suffixes[power]}" if number else "0"


def _fill(o: dict[str, t.Any], defaults: Mapping[str, t.Any]) -> None:
    for name, default in defaults.items():
        if name.endswith("[]"):
            for item in o.get(name[:-2], ()):
                _fill(item, default)
        elif name.endswith("?"):
            if isinstance(o.get(name[:-1]), dict):
                _fill(o[name[:-1]], default)
        elif isinstance(default, Mapping):
            _fill(o.setdefault(name, {}), default)
        else:
            o.setdefault(name, default)


def _without_empty(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _without_empty(child) for key, child in value.items() if not _not_stored(key, child)}
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _not_stored(name: str, value: t.Any) -> bool:
    return (
        value is None
        or (name in _NOT_STORED_EMPTY and value in ({}, []))
        or (name in _NOT_STORED_FALSE and not value)
        or (name in _NOT_STORED_BLANK and value == "")
    )


# --- the diff ---------------------------------------------------------------------------------------------------------


def _summarised(value: t.Any) -> t.Any:
    """``value`` with CRD schemas and kubectl's copy of the last applied manifest as one line each."""
    if isinstance(value, Mapping):
        return {key: _summary(key, child) if key in _SUMMARISED else _summarised(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_summarised(item) for item in value]
    return value


def _summary(key: str, value: t.Any) -> str:
    text = (value if isinstance(value, str) else _json(value)).encode()
    return f"({_SUMMARISED[key]}: {len(text)} bytes, sha256 {hashlib.sha256(text).hexdigest()[:8]})"


def _keyed(kind: str, name: str, value: t.Any, order: bool = False) -> t.Any:
    """``value`` with each keyed list as a mapping, if wanted with the order of its keys."""
    if isinstance(value, Mapping):
        return {key: _keyed(kind, str(key), child, order) for key, child in value.items()}
    keys = _DIFF_KEYS.get((kind, name)) or _keys(kind, name)
    if isinstance(value, list) and keys:
        names = [" ".join(str(item.get(key, _KEY_DEFAULTS.get(key))) for key in keys) for item in value]
        items = {key: _keyed(kind, "", item, order) for key, item in zip(names, value, strict=True)}
        return {"(order)": names, **items} if order else items
    return value


def _keyed_with_order(kind: str, name: str, value: t.Any) -> t.Any:
    return _keyed(kind, name, value, order=True)


def _difference(before: t.Any, after: t.Any) -> tuple[t.Any, t.Any] | None:
    """Both sides cut down to what differs; None when they are the same."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        left, right = {}, {}
        for key in [*before, *(key for key in after if key not in before)]:
            if key not in after:
                left[key] = before[key]
            elif key not in before:
                right[key] = after[key]
            else:
                for side, part in zip((left, right), _difference(before[key], after[key]) or (), strict=False):
                    if part != {}:
                        side[key] = part
        return (left, right) if left or right else None
    if before == after:
        return None
    if isinstance(before, list) and isinstance(after, list):
        gone, come = [x for x in before if x not in after], [x for x in after if x not in before]
        if any(isinstance(x, Mapping) for x in gone + come):
            return gone, come
    return before, after
