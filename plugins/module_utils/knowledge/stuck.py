# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What keeps a deletion of KubeVirt from ending: the picture of it, its causes, and their cures.

``Scene`` is what was read. ``blockage_findings`` and ``cures`` follow from it alone. What could not be read proves nothing: no
part of KubeVirt counts as gone because of it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from .conditions import observed_version, operator_version
from .failing_pods import crash_loop, crashes, image_pull_failure, no_node, not_created
from .finalizers import CONTROLLER, HANDLER, OPERATOR, SYNCHRONIZATION, foreign, owner_of, removers_of
from .findings import Finding, finding
from .leftovers import OF_THE_OPERATOR, OF_VIRT_API, TEMPORARY
from .objects import object_name
from .standstill import failed_job, moment
from .symptoms import app_of, is_of_strategy_job, shortened, troubles
from .versions import try_parse

Object = Mapping[str, t.Any]
Level = t.Literal["safe", "finalizers"]
Health = t.Literal["ready", "starting", "unable", "gone", "unknown"]
Action = t.Literal["delete-webhook", "delete-api-service", "delete-job", "restore-operator", "strip-finalizers"]

API = "virt-api"
PARTS = (OPERATOR, API, CONTROLLER, SYNCHRONIZATION)
"""The Deployments whose health is asked for; virt-handler is a DaemonSet."""
GROUPS = frozenset(
    {
        *("kubevirt.io", "snapshot.kubevirt.io", "instancetype.kubevirt.io", "flavor.kubevirt.io", "pool.kubevirt.io"),
        *("migrations.kubevirt.io", "clone.kubevirt.io", "export.kubevirt.io", "backup.kubevirt.io"),
        *("template.kubevirt.io", "plugin.kubevirt.io"),
    }
)
"""The groups of KubeVirt's own CRDs. Those of its add-ons (cdi., hco., ssp. …) are not."""
API_GROUPS = frozenset({"subresources.kubevirt.io", "subresources.template.kubevirt.io"})
"""The groups that KubeVirt's APIServices with a service have."""
TEMPLATES = "virt-template-validating-webhook-configuration"
WEBHOOKS = (OF_THE_OPERATOR, *OF_VIRT_API, TEMPLATES)
KUBEVIRTS = "kubevirts.kubevirt.io"

UNABLE_AFTER = timedelta(minutes=10)
"""A Deployment without a ready pod for so long is not merely starting; also how long a working part gets for a finalizer."""
FOREIGN_AFTER = timedelta(minutes=1)
"""How long another tool gets for its finalizer."""
_SHOWN = 5


@dataclass(frozen=True)
class Held:
    """An object of KubeVirt's kinds that is being deleted and does not go."""

    path: str
    object: Object

    @property
    def finalizers(self) -> list[str]:
        """What holds it."""
        return list(self.object["metadata"].get("finalizers") or ())

    @property
    def name(self) -> str:
        """``Kind namespace/name``."""
        return object_name(self.object)


@dataclass(frozen=True)
class Scene:
    """All that a deletion's end depends on. Objects are as the API returns them, with their kinds.

    Attributes:
        now: The time that ages are measured with.
        kubevirts: Every KubeVirt object.
        kubevirt_path: The path of the only one; empty where there is none, or more.
        namespace: The namespace of KubeVirt's parts; None where there is none.
        parts: Deployments virt-operator, virt-api … and DaemonSet virt-handler by name, None where it is not there; one that could
            not be read is left out.
        pods: KubeVirt's pods in its namespace, the install-strategy Job's too.
        jobs: The install-strategy Jobs.
        crds: KubeVirt's CRDs.
        held: Objects of these CRDs that are being deleted.
        remaining: How many objects a CRD that is being deleted still has, by its name.
        nodes: Those that objects in ``held`` are on, by name: the node, or None where it does not exist.
        webhooks: All ValidatingWebhookConfigurations and MutatingWebhookConfigurations of KubeVirt's names.
        api_services: All APIServices with a service.
        services: Which of the services that these name answer, as ``namespace/name``: ready, silent (no ready endpoint) or missing.
        terminating: The namespaces that are being deleted.
        unread: What could not be read, and why.
    """

    now: datetime
    kubevirts: tuple[Object, ...] = ()
    kubevirt_path: str = ""
    namespace: Object | None = None
    parts: Mapping[str, Object | None] = field(default_factory=dict)
    pods: tuple[Object, ...] = ()
    jobs: tuple[Object, ...] = ()
    crds: tuple[Object, ...] = ()
    held: tuple[Held, ...] = ()
    remaining: Mapping[str, int] = field(default_factory=dict)
    nodes: Mapping[str, Object | None] = field(default_factory=dict)
    webhooks: tuple[Object, ...] = ()
    api_services: tuple[Object, ...] = ()
    services: Mapping[str, str] = field(default_factory=dict)
    terminating: tuple[Object, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def kubevirt(self) -> Object | None:
        """The only KubeVirt object."""
        return self.kubevirts[0] if len(self.kubevirts) == 1 else None

    @property
    def home(self) -> str:
        """The name of KubeVirt's namespace; empty where there is none."""
        return str(self.namespace["metadata"]["name"]) if self.namespace else ""

    @property
    def home_ends(self) -> bool:
        """Whether KubeVirt's namespace is being deleted, so that nothing can be made in it."""
        return bool(self.namespace and _deleted_since(self.namespace))

    @property
    def is_deleting(self) -> bool:
        """Whether the KubeVirt object is being deleted."""
        return bool(self.kubevirt and _deleted_since(self.kubevirt))

    @property
    def version(self) -> str:
        """The version of the operator that belongs to the KubeVirt object; empty where nobody says it."""
        said = (operator_version(self.kubevirt) or observed_version(self.kubevirt)) if self.kubevirt else None
        return said if said and try_parse(said) else ""

    def health(self, part: str) -> Health:
        """How one of KubeVirt's parts is."""
        if part not in self.parts:
            return "unknown"
        found = self.parts[part]
        if found is None or (found.get("spec") or {}).get("replicas") == 0:
            return "gone"
        status = found.get("status") or {}
        if status.get("readyReplicas") or status.get("numberReady"):
            return "ready"
        return "unable" if self.now - _not_ready_since(found, self.now) > UNABLE_AFTER else "starting"

    @property
    def operator_can_return(self) -> bool:
        """Whether the operator's manifest is all that is missing for KubeVirt to finish by itself."""
        return self.health(OPERATOR) == "gone" and self.kubevirt is not None and not self.home_ends

    def is_made_anew(self, part: str) -> bool:
        """Whether virt-operator makes this part anew. While it deletes KubeVirt, it makes none."""
        if part == OPERATOR:
            return self.operator_can_return
        works = self.health(OPERATOR) in ("ready", "starting", "unknown") or self.operator_can_return
        return works and self.kubevirt is not None and not self.is_deleting

    def is_lost(self, part: str) -> bool:
        """Whether it is proven that this part does no more work, and that nobody brings it back."""
        if len(self.kubevirts) > 1:
            return False
        health = self.health(part)
        return health == "unable" or (health == "gone" and not self.is_made_anew(part))

    @property
    def operator_is_clearing(self) -> bool:
        """Whether virt-operator is just taking its own parts away: after all objects, and without any help."""
        rest = [one for one in self.crds if one["metadata"]["name"] != KUBEVIRTS]
        return self.is_deleting and self.health(OPERATOR) == "ready" and not rest

    def age(self, o: Object) -> timedelta:
        """For how long it has been in deletion."""
        return self.now - moment(_deleted_since(o), self.now)


@dataclass(frozen=True)
class Cure:
    """One thing that lets the deletion go on.

    Attributes:
        object: The object's name for people.
        path: Its API path; that of the KubeVirt object where the operator is brought back, since the manifest names the others.
        level: What the option repair must be, at least.
        reason: Why.
        uid: What the object at the path must still have.
        finalizers: Those to take away.
        version: Of the operator to bring back.
    """

    action: Action
    object: str
    path: str
    level: Level
    reason: str
    uid: str = ""
    finalizers: tuple[str, ...] = ()
    version: str = ""


def allowed(those: Iterable[Cure], repair: str) -> list[Cure]:
    """The cures that the option repair (report, safe or finalizers) lets a run carry out, in their order."""
    levels = {"report": (), "safe": ("safe",), "finalizers": ("safe", "finalizers")}[repair]
    return [one for one in those if one.level in levels]


def cures(scene: Scene) -> list[Cure]:
    """What lets the deletion go on, in the order in which it must be done.

    Webhooks first: while nobody answers them, no finalizer can be taken away (kubevirt/kubevirt#9735, #13098). Finalizers last, those
    of the KubeVirt object behind all others.
    """
    return [
        *map(_webhook_cure, dead_webhooks(scene)),
        *map(_api_service_cure, dead_api_services(scene)),
        *_job_cures(scene),
        *_operator_cures(scene),
        *_finalizer_cures(scene),
    ]


def blockage_findings(scene: Scene, repair: str = "report") -> list[Finding]:
    """What keeps the deletion from ending, the most fundamental first.

    Args:
        scene: What was read.
        repair: The option. What a cure of this level mends is a warning and no blocker.
    """
    mended = {one.object for one in allowed(cures(scene), repair)}
    found = [
        *_about_the_operator(scene),
        *_about_the_install_strategy(scene),
        *map(_about_a_webhook, dead_webhooks(scene)),
        *(_about_an_api_service(scene, one) for one in dead_api_services(scene)),
        *_about_other_api_services(scene),
        *_about_virt_api(scene),
        *_about_held_objects(scene),
        *_about_crds(scene),
        *_about_what_is_unread(scene),
    ]
    return [replace(one, level="warning") if one.level == "blocker" and one.object in mended else one for one in found]


# virt-operator


def _operator_cures(scene: Scene) -> Iterator[Cure]:
    if scene.kubevirt and scene.operator_can_return and scene.version:
        yield Cure(
            "restore-operator",
            f"Deployment {scene.home}/{OPERATOR}",
            scene.kubevirt_path,
            "safe",
            f"only virt-operator {scene.version} can finish the deletion",
            uid=scene.kubevirt["metadata"]["uid"],
            version=scene.version,
        )


def _about_the_operator(scene: Scene) -> Iterator[Finding]:
    if scene.kubevirt is None:
        return
    name = object_name(scene.kubevirt)
    operator = f"Deployment {scene.home}/{OPERATOR}"
    if scene.home_ends and scene.health(OPERATOR) in ("gone", "unable"):
        yield finding(
            "remove.stuck-namespace-terminating",
            object=name,
            cause=f"Its namespace {scene.home} is being deleted, and virt-operator with it. The namespace waits for this object, this "
            "object for virt-operator, and nothing can be made in the namespace any more.",
            evidence=shortened("; ".join(_words_of(scene.namespace))),
            fix="Run again with repair: finalizers. It takes KubeVirt's webhooks away and then the finalizers of KubeVirt's own that "
            "nobody else can take away any more.",
        )
    elif scene.health(OPERATOR) == "gone":
        yield finding(
            "remove.stuck-operator-gone",
            object=operator,
            cause=f"It is not there or scaled to 0, and {name} is. Only virt-operator can remove KubeVirt.",
            evidence=f"finalizers of {name}: {', '.join(_finalizers(scene.kubevirt)) or 'none'}",
            fix=f"Run with repair: safe, which brings back virt-operator {scene.version} and lets it finish."
            if scene.version
            else f"Nobody says of which version KubeVirt is. Apply the kubevirt-operator.yaml of the installed version in namespace "
            f"{scene.home}, then run again.",
        )
    elif scene.health(OPERATOR) == "unable":
        yield operator_not_ready(scene.home, scene.pods, _minutes(UNABLE_AFTER))


def operator_not_ready(home: str, pods: Iterable[Object], minutes: int) -> Finding:
    """That virt-operator is there and does not work.

    Args:
        home: Its namespace.
        pods: The pods there.
        minutes: For how long at least.
    """
    return finding(
        "remove.stuck-operator-not-ready",
        object=f"Deployment {home}/{OPERATOR}",
        cause=f"None of its pods has been ready for {minutes} minutes, so nobody removes KubeVirt.",
        evidence=_trouble_of([one for one in pods if app_of(one) == OPERATOR]),
        fix=f"kubectl describe pods -n {home} -l kubevirt.io={OPERATOR} says why. Mend that (image, room on the nodes, admission), and "
        "run again.",
    )


def _about_the_install_strategy(scene: Scene) -> Iterator[Finding]:
    """A deletion needs what the install-strategy Job works out."""
    kubevirt = scene.kubevirt
    if kubevirt is None:
        return
    pods = [one for one in scene.pods if is_of_strategy_job(one)]
    for job in _failed_jobs(scene):
        yield finding(
            "remove.stuck-install-job",
            object=object_name(job),
            cause="virt-operator needs its result to know what to delete. It has failed for good, and virt-operator makes no other while "
            "it is there.",
            evidence=_condition_of(job, "Failed"),
            fix=f"Mend what made it fail, then: kubectl delete job -n {job['metadata']['namespace']} {job['metadata']['name']}. With "
            "repair: safe the run does the second.",
        )
    words = _trouble_of(pods)
    if words and not _failed_jobs(scene):
        yield finding(
            "remove.stuck-install-job",
            object=object_name({**pods[0], "kind": "Pod"}),
            cause="virt-operator waits for this pod of the install-strategy Job to know what to delete, and it does not come up.",
            evidence=words,
            fix="Mend its image, pull secret or place (spec.imageTag, spec.imageRegistry, spec.infra.nodePlacement of the KubeVirt "
            "object); then delete the Job, and virt-operator makes a new one.",
        )
    if (kubevirt.get("status") or {}).get("phase") == "Deploying":
        yield finding(
            "remove.phase-deploying",
            object=object_name(kubevirt),
            cause="Its installation has not come to its end. virt-operator deletes such a KubeVirt too, from 0.26 on.",
            evidence="status.phase: Deploying",
            fix="With an older version wait until it is Deployed, or until its conditions name an error.",
        )


def _job_cures(scene: Scene) -> Iterator[Cure]:
    for job in _failed_jobs(scene):
        metadata = job["metadata"]
        yield Cure(
            "delete-job",
            object_name(job),
            f"/apis/batch/v1/namespaces/{metadata['namespace']}/jobs/{metadata['name']}",
            "safe",
            "it has failed for good, and virt-operator makes a new one",
            uid=metadata["uid"],
        )


def _failed_jobs(scene: Scene) -> list[Object]:
    return [one for one in scene.jobs if failed_job([one], None)] if scene.kubevirt else []


# Webhooks and APIServices


def dead_webhooks(scene: Scene) -> list[Object]:
    """KubeVirt's webhook configurations that nobody answers, and nobody will."""
    return [
        one
        for one in scene.webhooks
        if (names := _services_of(one)) and all(_is_dead(scene, name, _part_behind(one)) for name in names)
    ]


def dead_api_services(scene: Scene) -> list[Object]:
    """KubeVirt's APIServices that nobody answers, and nobody will. Those of CRDs have no service and are none."""
    return [
        one
        for one in scene.api_services
        if one["spec"].get("group") in API_GROUPS and _is_dead(scene, _service_of(one), API)
    ]


def _is_dead(scene: Scene, service: str, part: str) -> bool:
    if scene.operator_is_clearing:
        return False
    state = scene.services.get(service, "unknown")
    at_home = service.partition("/")[0] == scene.home
    if state == "missing":
        return not (at_home and part != OPERATOR and scene.is_made_anew(part))
    return state == "silent" and at_home and scene.is_lost(part)


def _part_behind(configuration: Object) -> str:
    name = configuration["metadata"]["name"]
    return OPERATOR if name == OF_THE_OPERATOR or name.startswith(TEMPORARY) else API


def _webhook_cure(configuration: Object) -> Cure:
    kind, name = configuration["kind"], configuration["metadata"]["name"]
    return Cure(
        "delete-webhook",
        object_name(configuration),
        f"/apis/admissionregistration.k8s.io/v1/{kind.lower()}s/{name}",
        "safe",
        "nobody answers it, and without an answer Kubernetes changes nothing that it is for",
        uid=configuration["metadata"]["uid"],
    )


def _api_service_cure(api_service: Object) -> Cure:
    name = api_service["metadata"]["name"]
    return Cure(
        "delete-api-service",
        f"APIService {name}",
        f"/apis/apiregistration.k8s.io/v1/apiservices/{name}",
        "safe",
        "nobody answers it, and as long as that is so Kubernetes deletes no namespace",
        uid=api_service["metadata"]["uid"],
    )


def _about_a_webhook(configuration: Object) -> Finding:
    kind, name = configuration["kind"].lower(), configuration["metadata"]["name"]
    what = "the KubeVirt object" if _part_behind(configuration) == OPERATOR else "VMs, VMIs and their kind"
    return finding(
        "remove.stuck-webhook",
        object=object_name(configuration),
        cause=f"Nobody answers it any more, so Kubernetes refuses every change of {what}, that of their finalizers too.",
        evidence=f"service {', '.join(_services_of(configuration))} is not there or has no ready endpoint",
        fix=f"kubectl delete {kind} {name}. With repair: safe the run does it.",
    )


def _about_an_api_service(scene: Scene, api_service: Object) -> Finding:
    name = api_service["metadata"]["name"]
    waiting = [
        one["metadata"]["name"]
        for one in scene.terminating
        if _condition_of(one, "NamespaceDeletionDiscoveryFailure")
    ]
    return finding(
        "remove.stuck-api-service",
        object=f"APIService {name}",
        cause=f"Nobody answers it any more (service {_service_of(api_service)}). As long as it is there, Kubernetes cannot delete any "
        "namespace of the cluster.",
        evidence=shortened(
            "; ".join(
                filter(None, [_condition_of(api_service, "Available", "False"), _waiting("namespaces", waiting)])
            )
        ),
        fix=f"kubectl delete apiservice {name}. With repair: safe the run does it.",
    )


def _about_other_api_services(scene: Scene) -> Iterator[Finding]:
    for one in scene.api_services:
        words = _condition_of(one, "Available", "False")
        if words and one["spec"].get("group") not in API_GROUPS:
            name = one["metadata"]["name"]
            yield finding(
                "remove.foreign-api-service",
                object=f"APIService {name}",
                cause=f"It is not KubeVirt's, and service {_service_of(one)} does not answer. As long as that is so, Kubernetes cannot "
                "delete any namespace of the cluster.",
                evidence=words,
                fix="Bring its service back, or remove what it belongs to as that says. This collection does not touch it.",
            )


def _about_virt_api(scene: Scene) -> Iterator[Finding]:
    if scene.namespace is None or scene.health(API) not in ("gone", "unable") or not (scene.webhooks or scene.held):
        return
    yield finding(
        "remove.virt-api-gone",
        object=f"Deployment {scene.home}/{API}",
        cause="virt-api does not run, so no VM can be changed as long as its webhooks are there.",
        evidence=_trouble_of([one for one in scene.pods if app_of(one) == API]),
        fix="virt-operator makes it anew; wait for that."
        if scene.is_made_anew(API)
        else "While KubeVirt is being deleted nobody makes it anew. The webhooks that ask it are named here and have to go.",
    )


# Objects that are held


@dataclass(frozen=True)
class _Grip:
    """Finalizers of KubeVirt that hold one object, and the part that does not take them away."""

    held: Held
    finalizers: tuple[str, ...]
    part: str
    id: str
    cause: str
    evidence: str
    fix: str
    is_proven: bool


def _finalizer_cures(scene: Scene) -> Iterator[Cure]:
    for grip in _grips(scene):
        if grip.is_proven:
            yield Cure(
                "strip-finalizers",
                grip.held.name,
                grip.held.path,
                "finalizers",
                f"{grip.part} cannot do it any more: {grip.cause}",
                uid=grip.held.object["metadata"]["uid"],
                finalizers=grip.finalizers,
            )


def _about_held_objects(scene: Scene) -> Iterator[Finding]:
    for grip in _grips(scene):
        if grip.id:
            yield finding(grip.id, object=grip.held.name, cause=grip.cause, evidence=grip.evidence, fix=grip.fix)
    for held in _all_held(scene):
        strangers = foreign(held.finalizers)
        if strangers and scene.age(held.object) > FOREIGN_AFTER:
            yield finding(
                "remove.stuck-foreign-finalizer",
                object=held.name,
                cause=f"It is held by {', '.join(strangers)}, which is not KubeVirt's. Probably it belongs to "
                f"{', '.join(dict.fromkeys(map(owner_of, strangers)))}.",
                evidence=_evidence(held, scene),
                fix="See that its owner runs and takes it away. This collection never does. If its owner is gone for good and you know "
                f"what it guarded: kubectl edit {_argument(held)}, and take that line out of metadata.finalizers.",
            )


def _all_held(scene: Scene) -> list[Held]:
    """Objects of users first, then CRDs, the KubeVirt object last: that is the order in which they can go."""
    own, of_users = [], []
    for held in scene.held:
        (own if held.object.get("kind") == "KubeVirt" else of_users).append(held)
    crds = [Held(_crd_path(one), {**one, "kind": "CustomResourceDefinition"}) for one in scene.crds if _deleted_since(one)]
    return [*of_users, *crds, *own]


def _grips(scene: Scene) -> Iterator[_Grip]:
    for held in _all_held(scene):
        for part, finalizers in removers_of(held.finalizers).items():
            grip = _grip(scene, held, part, tuple(finalizers))
            if grip:
                yield grip


def _grip(scene: Scene, held: Held, part: str, finalizers: tuple[str, ...]) -> _Grip | None:
    """What is known of why a part does not take its finalizers from an object; None where it is only at work."""
    made = _Grip(held, finalizers, part, "", "", _evidence(held, scene), "", True)
    if part == OPERATOR:
        return _grip_of_the_operator(scene, made)
    if scene.is_lost(part):
        return replace(
            made,
            id="remove.stuck-controller-gone",
            cause=f"{part} does not run, and nobody brings it back"
            + (" while KubeVirt is being deleted." if scene.is_deleting else "."),
            fix=f"kubectl get deployment,pods -n {scene.home or 'NAMESPACE'} -l kubevirt.io={part} says why. If it cannot be brought "
            "back, run with repair: finalizers.",
        )
    node = _node_of(held)
    if node and node in scene.nodes and (words := _lost(scene.nodes[node])):
        return _grip_of_a_lost_node(scene, made, node, words)
    if node and _handler_is_lost(scene, node):
        return replace(
            made,
            part=HANDLER,
            id="remove.stuck-handler-gone",
            cause=f"No virt-handler runs on node {node}, nobody brings it back, and only it can say that the VM has ended.",
            fix=f"kubectl get daemonset,pods -n {scene.home} -o wide -l kubevirt.io=virt-handler says why. If it cannot be brought "
            "back, run with repair: finalizers; Kubernetes then ends the VM's pod.",
        )
    if scene.health(part) == "ready" and scene.age(held.object) > UNABLE_AFTER:
        return replace(
            made,
            id="remove.stuck-finalizer",
            cause=f"{part} runs and has not taken its finalizer away for more than {_minutes(UNABLE_AFTER)} minutes.",
            fix=f"Look at the VM's pods in namespace {held.object['metadata'].get('namespace', '')}, and at what {part} says: "
            f"kubectl logs -n {scene.home} -l kubevirt.io={part} --tail=200 | grep {held.object['metadata']['name']}.",
            is_proven=False,
        )
    return None


def _grip_of_the_operator(scene: Scene, made: _Grip) -> _Grip | None:
    """The finding about virt-operator itself says it for the KubeVirt object; without that object nobody else says it."""
    if scene.is_lost(OPERATOR) or not scene.kubevirts:
        is_said = made.held.object.get("kind") == "KubeVirt"
        return replace(
            made,
            id="" if is_said else "remove.stuck-controller-gone",
            cause="virt-operator does not run, and nobody brings it back."
            if scene.is_lost(OPERATOR)
            else "virt-operator takes it away while it deletes a KubeVirt object, and there is none.",
            fix="Run with repair: finalizers.",
        )
    return None


def _grip_of_a_lost_node(scene: Scene, made: _Grip, node: str, words: str) -> _Grip:
    is_gone = scene.nodes[node] is None
    return replace(
        made,
        part=HANDLER,
        id="remove.stuck-node-lost",
        cause=f"It is on node {node}, which is {'gone' if is_gone else 'not ready'}; nobody there can say that the VM has ended.",
        evidence=shortened(f"{made.evidence}; {words}"),
        fix="Run with repair: finalizers."
        if is_gone
        else f"Bring the node back. If it does not come back, first make sure that it is off, so that the VM does not run on there; then: "
        f"kubectl delete node {node}.",
        is_proven=is_gone,
    )


def _handler_is_lost(scene: Scene, node: str) -> bool:
    """Proven by the DaemonSet that is not there: a pod alone may be restarting."""
    return scene.health(HANDLER) == "gone" and not scene.is_made_anew(HANDLER)


# CRDs


def _about_crds(scene: Scene) -> Iterator[Finding]:
    ending = [one for one in scene.crds if _deleted_since(one)]
    if ending and not scene.is_deleting and scene.kubevirts:
        names = [one["metadata"]["name"] for one in ending]
        yield finding(
            "remove.crd-deleted-by-hand",
            object=f"CustomResourceDefinition {names[0]}",
            cause="It is being deleted although the KubeVirt object is not: somebody deleted it by hand. All objects of its kind go with "
            "it, and no uninstallStrategy is asked.",
            evidence=_waiting("in deletion", names),
            fix="This cannot be taken back. Find out who did it. The removal goes on and takes the rest away.",
        )
    if not scene.kubevirts and scene.crds and scene.parts.get(OPERATOR):
        names = [one["metadata"]["name"] for one in scene.crds]
        if KUBEVIRTS not in names:
            yield finding(
                "remove.crd-deleted-by-hand",
                object=f"CustomResourceDefinition {KUBEVIRTS}",
                cause="It is gone, and the KubeVirt object with it, while virt-operator and other CRDs are there: virt-operator has nothing "
                "to work on and removes nothing.",
                evidence=_waiting("there", names),
                fix="Let the run go on: it removes what is left by itself.",
            )
    for crd in ending:
        yield from _about_an_ending_crd(scene, crd)


def _about_an_ending_crd(scene: Scene, crd: Object) -> Iterator[Finding]:
    """Kubernetes says in the CRD's condition Terminating that objects are left; these are the ones that do not go."""
    name, words = crd["metadata"]["name"], _condition_of(crd, "Terminating")
    count = scene.remaining.get(name, 0)
    if not count or not words or scene.age(crd) <= FOREIGN_AFTER:
        return
    blocking = [one for one in scene.held if _crd_of(one) == name]
    oldest = min(blocking, key=lambda one: _deleted_since(one.object), default=None)
    yield finding(
        "remove.stuck-crd",
        object=f"CustomResourceDefinition {name}",
        cause=f"It cannot go, because {count} of its objects are still there, "
        + (
            f"first of all {oldest.name}, held by {', '.join(oldest.finalizers) or 'no finalizer'}."
            if oldest
            else "and none of them is being deleted."
        ),
        evidence=shortened(words),
        fix=f"Do what is said here about {oldest.name}."
        if oldest
        else f"See whether they are made anew: kubectl get {name} -A.",
    )


def _about_what_is_unread(scene: Scene) -> Iterator[Finding]:
    if scene.unread:
        yield finding(
            "remove.not-all-read",
            object="Cluster",
            cause=f"What blocks the deletion may be among what could not be read: {', '.join(scene.unread)}.",
            fix="Run as a user who may read these. What could not be read is never taken for gone.",
        )


# Words and parts of objects


def _crd_path(crd: Object) -> str:
    return f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd['metadata']['name']}"


def _crd_of(held: Held) -> str:
    """The name of its CRD: ``plural.group``, both of which its path has."""
    group = held.path.split("/")[2]
    return f"{held.path.split('/')[-2]}.{group}"


def _argument(held: Held) -> str:
    """What kubectl takes it by."""
    metadata = held.object["metadata"]
    within = f" -n {metadata['namespace']}" if metadata.get("namespace") else ""
    kind = "customresourcedefinition" if held.object.get("kind") == "CustomResourceDefinition" else _crd_of(held)
    return f"{kind} {metadata['name']}{within}"


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
    names += [_service_of(one) for one in api_services if one["spec"].get("group") in API_GROUPS]
    return sorted({*names})


def _node_of(held: Held) -> str:
    return str((held.object["metadata"].get("labels") or {}).get("kubevirt.io/nodeName") or "")


def nodes_of(held: Iterable[Held]) -> list[str]:
    """The nodes that these objects are on; virt-controller writes that on a VMI's label."""
    return sorted({node for one in held if (node := _node_of(one))})


def _lost(node: Object | None) -> str:
    if node is None:
        return "there is no such node"
    words = _condition_of(node, "Ready", "False") or _condition_of(node, "Ready", "Unknown")
    return f"node: {words}" if words else ""


def _trouble_of(pods: Sequence[Object]) -> str:
    """Why pods do not come up, in the words of Kubernetes."""
    found = [*troubles(pods)]
    causes = (image_pull_failure(found), not_created(found), crash_loop(crashes(found)), no_node(pods))
    return shortened("; ".join(f"{one.object}: {one.evidence}" for one in causes if one))


def _evidence(held: Held, scene: Scene) -> str:
    since = _deleted_since(held.object)
    return f"in deletion since {since} ({_minutes(scene.age(held.object))} min); finalizers: {', '.join(held.finalizers)}"


def _words_of(namespace: Object | None) -> list[str]:
    conditions = ((namespace or {}).get("status") or {}).get("conditions") or ()
    return [f"{one['type']}: {one.get('message', '')}" for one in conditions if one.get("status") == "True"]


def _condition_of(o: Object, kind: str, status: str = "True") -> str:
    """Reason and message of a condition; empty where it has another status."""
    for one in (o.get("status") or {}).get("conditions") or ():
        if one.get("type") == kind and one.get("status") == status:
            return shortened(f"{one.get('reason', '')}: {one.get('message', '')}")
    return ""


def _waiting(what: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{what}: {', '.join(names[:_SHOWN])}{more}"


def _finalizers(o: Object) -> list[str]:
    return list(o["metadata"].get("finalizers") or ())


def _deleted_since(o: Object) -> str:
    return str(o["metadata"].get("deletionTimestamp") or "")


def _not_ready_since(part: Object, now: datetime) -> datetime:
    """Since when it has had no ready pod, as far as it says; a DaemonSet says nothing, so its age counts."""
    for one in (part.get("status") or {}).get("conditions") or ():
        if one.get("type") == "Available":
            return now if one.get("status") == "True" else moment(str(one.get("lastTransitionTime") or ""), now)
    return moment(str(part["metadata"].get("creationTimestamp") or ""), now)


def _minutes(duration: timedelta) -> int:
    return int(duration.total_seconds() // 60)
