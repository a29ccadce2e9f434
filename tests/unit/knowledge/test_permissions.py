# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which permissions one role has and others lack, as the API server compares them before it lets a role be granted."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.permissions import (
    bound_roles,
    missing_permissions,
    service_account_of,
)

Rule = dict[str, t.Any]


def rule(groups: str, resources: str, verbs: str, names: str = "") -> Rule:
    """Words stand for lists; "core" is the group without a name."""
    made: Rule = {
        "apiGroups": ["" if group == "core" else group for group in groups.split()],
        "resources": resources.split(),
        "verbs": verbs.split(),
    }
    return {**made, "resourceNames": names.split()} if names else made


def missing(wanted: list[Rule], *held: list[Rule] | None) -> list[str]:
    roles = [{"rules": rules} for rules in held]
    return [str(one) for one in missing_permissions([{"rules": wanted}], roles)]


PODS = [rule("core", "pods", "get list")]


@pytest.mark.parametrize(
    ("wanted", "held", "expected"),
    [
        (PODS, PODS, []),
        (PODS, [rule("core", "pods", "get"), rule("core", "pods", "list")], []),
        (PODS, [rule("core", "pods", "get")], ["list pods"]),
        (PODS, [rule("core", "pods services", "*")], []),
        (PODS, [rule("*", "*", "*")], []),
        (PODS, [rule("apps", "pods", "*")], ["get pods", "list pods"]),
        (PODS, [rule("core", "*/log", "*")], ["get pods", "list pods"]),
        (PODS, [], ["get pods", "list pods"]),
        (PODS, [rule("core", "pods", "*", names="one")], ["get pods", "list pods"]),
        ([rule("core", "pods/log", "get")], [rule("core", "*/log", "get")], []),
        ([rule("core", "pods/log", "get")], [rule("core", "pods", "get")], ["get pods/log"]),
        ([rule("apps", "deployments", "get", names="a b")], [rule("apps", "deployments", "get", names="a")], [
            "get deployments.apps b"
        ]),
        ([rule("apps", "deployments", "get", names="a")], [rule("apps", "deployments", "get")], []),
        ([rule("*", "*", "*")], PODS, ["* *.*"]),
        ([{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}], [{"nonResourceURLs": ["/met*"], "verbs": ["get"]}], []),
        ([{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}], [rule("*", "*", "*")], ["get /metrics"]),
        ([{"nonResourceURLs": ["/healthz"], "verbs": ["get"]}], [{"nonResourceURLs": ["*"], "verbs": ["*"]}], []),
    ],
)  # fmt: skip
def test_what_is_missing(wanted: list[Rule], held: list[Rule], expected: list[str]) -> None:
    assert missing(wanted, held) == expected


def test_several_roles_together() -> None:
    assert missing(PODS, [rule("core", "pods", "get")], [rule("core", "pods", "list")]) == []


def test_a_role_without_rules_allows_nothing() -> None:
    assert missing(PODS, None) == ["get pods", "list pods"]
    assert missing([]) == []


@pytest.mark.parametrize(
    ("subject", "is_it"),
    [
        ("ServiceAccount kubevirt kubevirt-operator", True),
        ("ServiceAccount kubevirt other", False),
        ("ServiceAccount other kubevirt-operator", False),
        ("User - system:serviceaccount:kubevirt:kubevirt-operator", True),
        ("User - kubevirt-operator", False),
        ("Group - system:serviceaccounts", True),
        ("Group - system:serviceaccounts:kubevirt", True),
        ("Group - system:serviceaccounts:other", False),
        ("Group - system:authenticated", True),
        ("Group - system:unauthenticated", False),
    ],
)
def test_a_service_account_is_bound_by_its_name_and_by_its_groups(subject: str, is_it: bool) -> None:
    kind, namespace, name = subject.split()
    made = {"kind": kind, "name": name} | ({"namespace": namespace} if namespace != "-" else {})
    binding = {"roleRef": {"kind": "ClusterRole", "name": "some"}, "subjects": [made]}
    assert bound_roles([binding], "kubevirt", "kubevirt-operator") == ([("ClusterRole", "some")] if is_it else [])


def test_a_role_that_several_bindings_name_is_there_once() -> None:
    me = {"kind": "ServiceAccount", "name": "a", "namespace": "n"}
    bindings = [
        {"roleRef": {"kind": kind, "name": "r"}, "subjects": [me, me]} for kind in ("Role", "ClusterRole", "Role")
    ]
    assert bound_roles([*bindings, {"roleRef": {"kind": "Role", "name": "x"}}], "n", "a") == [
        ("Role", "r"),
        ("ClusterRole", "r"),
    ]


@pytest.mark.parametrize(
    ("pod", "name"),
    [({"serviceAccountName": "a"}, "a"), ({"serviceAccount": "b"}, "b"), ({}, "default")],
)
def test_the_service_account_of_a_deployment(pod: Rule, name: str) -> None:
    assert service_account_of({"spec": {"template": {"spec": pod}}}) == name
