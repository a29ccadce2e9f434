# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which permissions one role has and others lack, as the API server compares them before it lets a role be granted."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.permissions import missing_permissions

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
    roles = [None if rules is None else {"rules": rules} for rules in held]
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


def test_a_role_that_is_not_there_allows_nothing() -> None:
    assert missing(PODS, None) == ["get pods", "list pods"]
    assert missing([], None) == []
