# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service account of docs/rbac with the roles of some playbooks, and what it has used of them."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import yaml

from tests.rbac.page import ACCOUNT, FOLDER
from tests.rbac.roles import ROLES, Rule
from tests.support.lab import Json, Lab, Result

USER = f"system:serviceaccount:{ACCOUNT}:{ACCOUNT}"
CREATED = 201


class Permission(t.NamedTuple):
    """One verb on one resource, or on one object of it."""

    group: str
    resource: str
    verb: str
    name: str = ""

    def covers(self, other: Permission) -> bool:
        """Whether it is needed for ``other``, which somebody asked for."""
        return (
            self.group in ("*", other.group)
            and self.resource in ("*", other.resource)
            and self.verb == other.verb
            and self.name in ("", other.name)
        )


@dataclass(frozen=True)
class Account:
    """The service account, and all that it has asked for.

    Attributes:
        kubeconfig: One with its token.
        roles: Names of files in docs/rbac.
        position: Where the audit log ended before.
    """

    lab: Lab
    kubeconfig: Path
    roles: tuple[str, ...]
    position: int

    def module(self, name: str, params: Json, *, check: bool = False) -> Result:
        """Run one of our modules as this account."""
        return self.lab.module(name, {"kubeconfig": str(self.kubeconfig), **params}, check=check)

    def playbook(self, name: str, *arguments: str, timeout: float = 900, **variables: t.Any) -> str:
        """What one of our playbooks prints that succeeds as this account."""
        done = self.lab.playbook(
            name, *arguments, timeout=timeout, kubevirt_kubeconfig=str(self.kubeconfig), **variables
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def requests(self) -> list[Json]:
        """All that it has asked for so far, but for groups and kinds."""
        events = self.lab.audited(self.position)
        return [one for one in events if one["user"]["username"] == USER and one.get("objectRef", {}).get("resource")]

    def refused(self) -> list[str]:
        """The requests that it was not allowed."""
        return [f"{one['verb']} {one['requestURI']}" for one in self.requests() if one["responseStatus"]["code"] == 403]

    def unused(self) -> set[Permission]:
        """What its roles allow, and it has never made use of."""
        used = {permission for one in self.requests() for permission in _asked_for(one)}
        allowed = {one for role in self.roles for rule in ROLES[role].rules for one in permissions_of(rule)}
        return {one for one in allowed if not any(one.covers(other) for other in used)}


def permissions_of(rule: Rule) -> Iterator[Permission]:
    """Each single permission of a rule."""
    for resource, verb, name in product(rule.resources, rule.verbs, rule.names or [""]):
        yield Permission(rule.group, resource, verb, name)


@contextmanager
def account(cluster: Lab, folder: Path, *roles: str, without: tuple[str, str] | None = None) -> Iterator[Account]:
    """The account with these roles and nothing else. Afterwards only its namespace is left.

    Args:
        cluster: Where it is made.
        folder: For its kubeconfig.
        roles: Names of files in docs/rbac.
        without: A verb that they lack, and the resource for which.
    """
    documents = [
        one for name in ("account", *roles) for one in yaml.safe_load_all((FOLDER / f"{name}.yml").read_text())
    ]
    objects = [_lacking(one, without) for one in documents]
    cluster.apply(*objects)
    kubeconfig = folder / f"{'-'.join(roles)}.kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(_kubeconfig(cluster)))
    try:
        yield Account(cluster, kubeconfig, roles, cluster.audit_position())
    finally:
        cluster.kubectl(
            "delete", "-f", "-", "--wait=false", "--ignore-not-found", stdin=yaml.safe_dump_all(objects[1:])
        )


def _kubeconfig(cluster: Lab) -> Json:
    """That of the lab, with the account's token instead of the administrator's certificate."""
    administrators: Json = yaml.safe_load(cluster.kubeconfig.read_text())
    token = cluster.kubectl("create", "token", ACCOUNT, "-n", ACCOUNT, "--duration=24h").strip()
    context = {"cluster": administrators["clusters"][0]["name"], "user": ACCOUNT}
    return {
        **administrators,
        "users": [{"name": ACCOUNT, "user": {"token": token}}],
        "contexts": [{"name": ACCOUNT, "context": context}],
        "current-context": ACCOUNT,
    }


def _lacking(one: Json, without: tuple[str, str] | None) -> Json:
    for rule in [*one.get("rules", ())] if without else ():
        verb, resource = without
        if verb in rule["verbs"] and resource in rule["resources"]:
            rule["verbs"].remove(verb)
            if not rule["verbs"]:
                one["rules"].remove(rule)
    return one


def _asked_for(event: Json) -> Iterable[Permission]:
    """An apply that makes an object needs the verb ``create`` too."""
    reference = event["objectRef"]
    resource = "/".join(filter(None, (reference["resource"], reference.get("subresource"))))
    asked = Permission(reference.get("apiGroup", ""), resource, event["verb"], reference.get("name", ""))
    was_made = event["verb"] == "patch" and event["responseStatus"]["code"] == CREATED
    return [asked, asked._replace(verb="create")] if was_made else [asked]
