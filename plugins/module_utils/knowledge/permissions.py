# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Which roles a service account has, and which permissions one role has and others lack.

Kubernetes lets nobody grant what he does not have. virt-operator has its own rules and all those of its components, so an operator
that lacks a rule of the wanted version's operator cannot install that version (kubevirt/kubevirt#2533).
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Object = Mapping[str, t.Any]
Rule = Mapping[str, t.Any]


@dataclass(frozen=True, order=True)
class Permission:
    """One verb on one resource, on one object of it, or on one path outside of the API's resources.

    Attributes:
        verb: Such as ``get``.
        resource: Such as ``pods`` or ``pods/log``; empty for a path.
        group: The API group; empty for the core group and for a path.
        name: The one object it is for; empty for all.
        url: The path.
    """

    verb: str
    resource: str = ""
    group: str = ""
    name: str = ""
    url: str = ""

    def __str__(self) -> str:
        if self.url:
            return f"{self.verb} {self.url}"
        where = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {where}" + (f" {self.name}" if self.name else "")


@dataclass(frozen=True)
class HeldRoles:
    """The ClusterRoles and Roles that a service account has.

    Attributes:
        everywhere: By ClusterRoleBindings.
        in_namespace: By RoleBindings of one namespace.
    """

    everywhere: tuple[Object, ...] = ()
    in_namespace: tuple[Object, ...] = ()


def service_account_of(deployment: Object) -> str:
    """The name of the service account that a Deployment's pods run as."""
    pod = deployment["spec"]["template"]["spec"]
    return str(pod.get("serviceAccountName") or pod.get("serviceAccount") or "default")


def bound_roles(bindings: Iterable[Object], namespace: str, service_account: str) -> list[tuple[str, str]]:
    """Kind and name of each role that the bindings give to a service account, by its name or by a group that it is in."""
    subjects = {
        ("ServiceAccount", namespace, service_account),
        ("User", "", f"system:serviceaccount:{namespace}:{service_account}"),
        ("Group", "", f"system:serviceaccounts:{namespace}"),
        ("Group", "", "system:serviceaccounts"),
        ("Group", "", "system:authenticated"),
    }
    roles = (
        (binding["roleRef"]["kind"], binding["roleRef"]["name"])
        for binding in bindings
        for one in binding.get("subjects") or ()
        if (one["kind"], one.get("namespace") or "", one["name"]) in subjects
    )
    return list(dict.fromkeys(roles))


def missing_permissions(wanted: Iterable[Object], held: Iterable[Object]) -> list[Permission]:
    """What the roles in ``wanted`` allow and those in ``held`` do not, in order."""
    rules = [rule for role in held for rule in _rules(role)]
    asked = {one for role in wanted for rule in _rules(role) for one in _permissions(rule)}
    return sorted(one for one in asked if not any(_covers(rule, one) for rule in rules))


def _rules(role: Object) -> Sequence[Rule]:
    return role.get("rules") or ()


def _permissions(rule: Rule) -> Iterator[Permission]:
    """Each single permission of a rule."""
    for verb in rule.get("verbs") or ():
        for url in rule.get("nonResourceURLs") or ():
            yield Permission(verb, url=url)
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                for name in rule.get("resourceNames") or ("",):
                    yield Permission(verb, resource, group, name)


def _covers(rule: Rule, permission: Permission) -> bool:
    """As the API server compares them (k8s.io/component-helpers/auth/rbac/validation/policy_comparator.go)."""
    if not _has(rule, "verbs", permission.verb):
        return False
    if permission.url:
        return any(_url_covers(url, permission.url) for url in rule.get("nonResourceURLs") or ())
    names = rule.get("resourceNames") or ()
    return (
        _has(rule, "apiGroups", permission.group)
        and _has_resource(rule, permission.resource)
        and (not names or permission.name in names)
    )


def _has(rule: Rule, key: str, value: str) -> bool:
    values = rule.get(key) or ()
    return value in values or "*" in values


def _has_resource(rule: Rule, resource: str) -> bool:
    _parent, slash, subresource = resource.partition("/")
    return _has(rule, "resources", resource) or bool(slash and f"*/{subresource}" in (rule.get("resources") or ()))


def _url_covers(held: str, wanted: str) -> bool:
    return held in ("*", wanted) or (held.endswith("*") and wanted.startswith(held.rstrip("*")))
