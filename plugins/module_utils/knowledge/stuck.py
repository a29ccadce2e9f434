# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What keeps a deletion of KubeVirt from ending: its causes, and their cures.

This is the front: ``blockage_scene`` is what was read, ``stuck_services`` has webhooks and APIServices, ``stuck_objects`` what
finalizers hold, and here is virt-operator.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from .blockage_scene import API, UNABLE_AFTER, Cure, Object, Scene, condition_of, minutes, trouble_of
from .finalizers import OPERATOR
from .findings import Finding, finding
from .objects import object_name
from .standstill import failed_job
from .stuck_objects import about_crds, about_held_objects, finalizer_cures
from .stuck_services import (
    about_a_webhook,
    about_an_api_service,
    about_other_api_services,
    api_service_cure,
    dead_api_services,
    dead_webhooks,
    part_behind,
    webhook_cure,
)
from .symptoms import app_of, is_of_strategy_job, shortened

_STAYS_A_BLOCKER = ("remove.stuck-foreign-finalizer",)
"""What no cure of the same object mends."""
_KEEPS_VMS = ("remove.stuck-install-job", "remove.stuck-operator-gone", "remove.stuck-operator-not-ready")
"""What keeps virt-operator from going on with a deletion, and so from deleting VMs with their disks."""
_VMS_FIRST = (
    "virt-operator goes on with the deletion as soon as this is mended, and deletes VMs with their disks; so first run this with "
    "disks: keep until no VM is left. Then: "
)


def allowed(those: Iterable[Cure], repair: str) -> list[Cure]:
    """The cures that the option repair (report, safe or finalizers) lets a run carry out, in their order."""
    levels = {"report": (), "safe": ("safe",), "finalizers": ("safe", "finalizers")}[repair]
    return [one for one in those if one.level in levels]


def lets_it_go_on(cure: Cure) -> bool:
    """Whether virt-operator goes on afterwards with a deletion that has begun: then VMs are deleted with their disks."""
    return cure.action in ("restore-operator", "delete-job")


def cures(scene: Scene) -> list[Cure]:
    """What lets the deletion go on, in the order in which it must be done.

    Webhooks first: while nobody answers them, no finalizer can be taken away (kubevirt/kubevirt#9735, #13098). Finalizers last, those
    of the KubeVirt object behind all others.
    """
    return [
        *map(webhook_cure, dead_webhooks(scene)),
        *map(api_service_cure, dead_api_services(scene)),
        *_job_cures(scene),
        *_operator_cures(scene),
        *finalizer_cures(scene),
    ]


def blockage_findings(scene: Scene, repair: str = "report", *, takes_vms_first: bool = False) -> list[Finding]:
    """What keeps the deletion from ending, the most fundamental first.

    Args:
        scene: What was read.
        repair: The option. What a cure of this level mends is a warning and no blocker.
        takes_vms_first: VMs are taken away before the deletion goes on. What holds it until then is a warning too.
    """
    mended = {one.object for one in allowed(cures(scene), repair)}
    if scene.kubevirt and repair == "finalizers" and scene.is_lost(OPERATOR):  # as soon as it is being deleted
        mended.add(object_name(scene.kubevirt))
    found = [
        *_about_the_operator(scene),
        *_about_the_install_strategy(scene),
        *map(about_a_webhook, dead_webhooks(scene)),
        *(about_an_api_service(scene, one) for one in dead_api_services(scene)),
        *about_other_api_services(scene),
        *_about_virt_api(scene),
        *about_held_objects(scene),
        *about_crds(scene),
        *_about_what_is_unread(scene),
    ]
    if scene.is_deleting:
        found = [replace(one, fix=_VMS_FIRST + one.fix) if one.id in _KEEPS_VMS else one for one in found]
    return [
        replace(one, level="warning")
        if (one.object in mended and one.id not in _STAYS_A_BLOCKER) or (takes_vms_first and one.id in _KEEPS_VMS)
        else one
        for one in found
    ]


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
            evidence=f"finalizers of {name}: {', '.join(scene.kubevirt['metadata'].get('finalizers') or ()) or 'none'}",
            fix=f"Run with repair: safe, which brings back virt-operator {scene.version} and lets it finish."
            if scene.version
            else f"Nobody says of which version KubeVirt is. Apply the kubevirt-operator.yaml of the installed version in namespace "
            f"{scene.home}, then run again.",
        )
    elif scene.health(OPERATOR) == "unable":
        yield operator_not_ready(scene.home, scene.pods, minutes(UNABLE_AFTER))


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
        cause=f"No pod of it has been ready for {minutes} minutes, so nobody removes KubeVirt.",
        evidence=trouble_of([one for one in pods if app_of(one) == OPERATOR]),
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
            evidence=condition_of(job, "Failed"),
            fix=f"Mend what made it fail, then: kubectl delete job -n {job['metadata']['namespace']} {job['metadata']['name']}. With "
            "repair: safe the run does the second.",
        )
    words = trouble_of(pods)
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
            cause="Its installation has not come to its end. virt-operator deletes such a KubeVirt too, from 0.27 on.",
            evidence="status.phase: Deploying",
            fix="Nothing. With an older version the run waits until it is Deployed, or until a condition names an error.",
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


def _about_virt_api(scene: Scene) -> Iterator[Finding]:
    is_asked = any(part_behind(one) == API for one in scene.webhooks)
    is_needed = is_asked or any(one.object["kind"] != "KubeVirt" for one in scene.held)
    is_missing = scene.namespace is not None and scene.health(API) in ("gone", "unable")
    if not is_missing or not is_needed or scene.operator_is_clearing:
        return
    yield finding(
        "remove.virt-api-gone",
        object=f"Deployment {scene.home}/{API}",
        cause="virt-api does not run, so no VM can be changed as long as its webhooks are there.",
        evidence=trouble_of([one for one in scene.pods if app_of(one) == API]),
        fix="virt-operator makes it anew; wait for that."
        if scene.is_made_anew(API)
        else "While KubeVirt is being deleted nobody makes it anew. The webhooks that ask it are named here and have to go.",
    )


def _about_what_is_unread(scene: Scene) -> Iterator[Finding]:
    if scene.unread:
        yield finding(
            "remove.not-all-read",
            object="Cluster",
            cause=f"What blocks the deletion may be among what could not be read: {', '.join(scene.unread)}.",
            fix="Run as a user who may read these. What could not be read is never taken for gone.",
        )


def _words_of(namespace: Object | None) -> list[str]:
    conditions = ((namespace or {}).get("status") or {}).get("conditions") or ()
    return [f"{one['type']}: {one.get('message', '')}" for one in conditions if one.get("status") == "True"]
