# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What only an upgrade asks the cluster before it begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..cluster.api import Api, Json
from ..knowledge.findings import Finding, finding
from ..knowledge.leftovers import api_service_findings, temporary_webhook_findings, webhook_findings
from ..knowledge.manifest import Manifest
from ..knowledge.permissions import HeldRoles, bound_roles, service_account_of
from .observe import Facts
from .risk_facts import if_allowed

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def roles_of_the_operator(api: Api, facts: Facts) -> HeldRoles:
    """The roles that virt-operator has, found by their bindings: OLM gives them names of its own.

    A SubjectAccessReview would answer too. But it is a create request, which check mode does not send; it takes one for each of
    some 400 permissions; and Kubernetes itself compares the rules of roles when virt-operator is to grant them.

    Raises:
        Forbidden: The user may not read bindings or roles.
    """
    namespace = facts.kubevirt_namespace
    account = service_account_of(facts.operator) if facts.operator else ""

    def bound(bindings: str) -> list[tuple[str, str]]:
        return bound_roles(api.list_or_empty(bindings), namespace, account)

    return HeldRoles(
        everywhere=tuple(_roles(api, namespace, bound(f"{RBAC}/clusterrolebindings"))),
        in_namespace=tuple(_roles(api, namespace, bound(f"{RBAC}/namespaces/{namespace}/rolebindings"))),
    )


def findings_about_leftovers(api: Api, facts: Facts) -> list[Finding]:
    """What an earlier installation or update left; what the user may not read is not looked at."""
    namespace = facts.kubevirt_namespace
    validating = if_allowed(lambda: webhook_configurations(api, "ValidatingWebhookConfiguration")) or []
    mutating = if_allowed(lambda: webhook_configurations(api, "MutatingWebhookConfiguration")) or []
    api_services = if_allowed(lambda: api.list_or_empty(API_SERVICES)) or []
    is_at_rest = facts.state == "healthy"  # else the update that needs it may be under way
    return [
        *webhook_findings([*validating, *mutating], namespace),
        *(temporary_webhook_findings(validating) if is_at_rest else []),
        *api_service_findings(api_services, namespace),
    ]


def findings_about_pull_secrets(api: Api, facts: Facts, manifests: Sequence[Manifest]) -> list[Finding]:
    """The secrets for pulling images that are named and not there; none where the user may not list secrets.

    Args:
        api: The cluster.
        facts: From ``observe``, with a KubeVirt object.
        manifests: Those that will be applied.
    """
    namespace = facts.kubevirt_namespace
    named = {
        one: f"Deployment virt-operator of the manifest of {m.version}" for m in manifests for one in m.pull_secrets
    }
    of_the_object = ((facts.kubevirt or {}).get("spec") or {}).get("imagePullSecrets") or ()  # from 0.59 on
    named |= {one["name"]: f"spec.imagePullSecrets of {facts.kubevirt_name}" for one in of_the_object}
    if not named:
        return []
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    there = if_allowed(lambda: [one["metadata"]["name"] for one in api.objects(secrets, metadata_only=True)])
    if there is None:
        return []
    return [
        finding(
            "upgrade.pull-secret-missing",
            object=f"Secret {namespace}/{name}",
            cause="Images are to be pulled with it, and it is not there. Kubernetes then pulls without a login, which a private "
            "registry refuses.",
            evidence=f"named in {where}",
            fix=f"Create it (kubectl create secret docker-registry {name} -n {namespace} --docker-server=SERVER "
            "--docker-username=USER --docker-password=PASSWORD), or take its name out there.",
        )
        for name, where in sorted(named.items())
        if name not in there
    ]


def webhook_configurations(api: Api, kind: str) -> list[Json]:
    """All of one of the two kinds."""
    return [one | {"kind": kind} for one in api.list_or_empty(f"{ADMISSION}/{kind.lower()}s")]


def _roles(api: Api, namespace: str, references: Iterable[tuple[str, str]]) -> Iterator[Json]:
    """The roles that are there; a binding may outlive its role."""
    for kind, name in references:
        within = "clusterroles" if kind == "ClusterRole" else f"namespaces/{namespace}/roles"
        role = api.get_or_none(f"{RBAC}/{within}/{name}")
        if role is not None:
            yield role
