# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. KubeVirt's webhooks and APIServices that nobody answers, and what they keep from being deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .blockage_scene import API, Cure, Object, Scene, condition_of, some_of
from .finalizers import OPERATOR
from .findings import Finding, finding
from .leftovers import OF_THE_OPERATOR, OF_VIRT_API
from .marks import AGGREGATED_GROUPS, TEMPORARY_WEBHOOK
from .objects import object_name
from .symptoms import shortened

TEMPLATES = "virt-template-validating-webhook-configuration"
WEBHOOKS = (OF_THE_OPERATOR, *OF_VIRT_API, TEMPLATES)


def dead_webhooks(scene: Scene) -> list[Object]:
    """KubeVirt's webhook configurations that nobody answers, and nobody will."""
    return [
        one
        for one in scene.webhooks
        if (names := _services_of(one)) and all(_is_dead(scene, name, part_behind(one)) for name in names)
    ]


def dead_api_services(scene: Scene) -> list[Object]:
    """KubeVirt's APIServices that nobody answers, and nobody will. Those of CRDs have no service and are none."""
    return [
        one
        for one in scene.api_services
        if one["spec"].get("group") in AGGREGATED_GROUPS and _is_dead(scene, _service_of(one), API)
    ]


def _is_dead(scene: Scene, service: str, part: str) -> bool:
    state = scene.services.get(service, "unknown")
    at_home = service.partition("/")[0] == scene.home
    if state == "missing":
        return not (at_home and part != OPERATOR and scene.is_made_anew(part))
    return state == "silent" and at_home and scene.is_lost(part) and not scene.operator_is_clearing


def part_behind(configuration: Object) -> str:
    """The part of KubeVirt that a webhook asks."""
    name = configuration["metadata"]["name"]
    return OPERATOR if name == OF_THE_OPERATOR or name.startswith(TEMPORARY_WEBHOOK) else API


def webhook_cure(configuration: Object) -> Cure:
    kind, name = configuration["kind"], configuration["metadata"]["name"]
    return Cure(
        "delete-webhook",
        object_name(configuration),
        f"/apis/admissionregistration.k8s.io/v1/{kind.lower()}s/{name}",
        "safe",
        "nobody answers it, and without an answer Kubernetes changes nothing that it is for",
        uid=configuration["metadata"]["uid"],
    )


def api_service_cure(api_service: Object) -> Cure:
    name = api_service["metadata"]["name"]
    return Cure(
        "delete-api-service",
        f"APIService {name}",
        f"/apis/apiregistration.k8s.io/v1/apiservices/{name}",
        "safe",
        "nobody answers it, and as long as that is so Kubernetes deletes no namespace",
        uid=api_service["metadata"]["uid"],
    )


def about_a_webhook(configuration: Object) -> Finding:
    kind, name = configuration["kind"].lower(), configuration["metadata"]["name"]
    what = "the KubeVirt object" if part_behind(configuration) == OPERATOR else "VMs, VMIs and their kind"
    return finding(
        "remove.stuck-webhook",
        object=object_name(configuration),
        cause=f"Nobody answers it any more, so Kubernetes refuses every change of {what}, that of their finalizers too.",
        evidence=f"service {', '.join(_services_of(configuration))} is not there or has no ready endpoint",
        fix=f"kubectl delete {kind} {name}. With repair: safe the run does it.",
    )


def about_an_api_service(scene: Scene, api_service: Object) -> Finding:
    name = api_service["metadata"]["name"]
    waiting = [
        one["metadata"]["name"] for one in scene.terminating if condition_of(one, "NamespaceDeletionDiscoveryFailure")
    ]
    return finding(
        "remove.stuck-api-service",
        object=f"APIService {name}",
        cause=f"Nobody answers it any more (service {_service_of(api_service)}). As long as it is there, Kubernetes cannot delete any "
        "namespace of the cluster.",
        evidence=shortened(
            "; ".join(filter(None, [condition_of(api_service, "Available", "False"), some_of("namespaces", waiting)]))
        ),
        fix=f"kubectl delete apiservice {name}. With repair: safe the run does it.",
    )


def about_other_api_services(scene: Scene) -> Iterator[Finding]:
    for one in scene.api_services:
        words = condition_of(one, "Available", "False")
        if words and one["spec"].get("group") not in AGGREGATED_GROUPS:
            name = one["metadata"]["name"]
            yield finding(
                "remove.foreign-api-service",
                object=f"APIService {name}",
                cause=f"It is not KubeVirt's, and service {_service_of(one)} does not answer. As long as that is so, Kubernetes cannot "
                "delete any namespace of the cluster.",
                evidence=words,
                fix="Bring its service back, or remove what it belongs to as that says. This collection does not touch it.",
            )


def _services_of(configuration: Object) -> list[str]:
    """``namespace/name`` of the services that a webhook configuration asks."""
    named = ((one.get("clientConfig") or {}).get("service") for one in configuration.get("webhooks") or ())
    return sorted({f"{one['namespace']}/{one['name']}" for one in named if one})


def _service_of(api_service: Object) -> str:
    service = api_service["spec"].get("service") or {}
    return f"{service.get('namespace')}/{service.get('name')}"


def services_of(webhooks: Iterable[Object], api_services: Iterable[Object]) -> list[str]:
    """``namespace/name`` of all services that KubeVirt's webhooks and APIServices name."""
    names = [name for one in webhooks for name in _services_of(one)]
    names += [_service_of(one) for one in api_services if one["spec"].get("group") in AGGREGATED_GROUPS]
    return sorted({*names})
