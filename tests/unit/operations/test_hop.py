# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a picture of KubeVirt's parts says about a hop, and what one of live migrations says about a drain."""

from __future__ import annotations

import copy
import itertools
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.tolerance import NO_OTHER_OPERATOR, PATIENCE
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.hop import HopJudge, migrations_finished
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.telling import line_of
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.waiting import Verdict

from tests.support.recording import Recording

Object = dict[str, t.Any]

STATUSES = Path(__file__).parents[1] / "fixtures" / "kubevirt_status"
ID = "b47613791cfbedf33dd5fa347953f2e2d72037f5"  # the targetDeploymentID of the statuses at v1.8.4
OTHER_ID = "5ca8726af38942e6e95154951d3d051eb1a8e607"
STRATEGY_JOB = "virt-operator-strategy-dumper"
MANAGED = {"app.kubernetes.io/managed-by": "virt-operator"}


def recorded(name: str) -> Object:
    kubevirt: Object = yaml.safe_load((STATUSES / f"{name}.yaml").read_text())["kubevirt"]
    return kubevirt


def workload(name: str, **status: int) -> Object:
    return {
        "metadata": {
            "namespace": "kubevirt",
            "name": name,
            "generation": 2,
            "labels": {"kubevirt.io": name, **(MANAGED if name != "virt-operator" else {})},
            "annotations": {"kubevirt.io/install-strategy-identifier": ID} if name != "virt-operator" else {},
        },
        "spec": {} if name == "virt-handler" else {"replicas": 2},
        "status": {"observedGeneration": 2, **status},
    }


def operator(version: str = "v1.8.4", **status: int) -> Object:
    deployment = workload("virt-operator", **status)
    container = {"name": "virt-operator", "image": f"quay.io/kubevirt/virt-operator:{version}"}
    deployment["spec"]["template"] = {"spec": {"containers": [container]}}
    return deployment


def pod(name: str, app: str, identifier: str | None = ID, waiting: str = "") -> Object:
    state: Object = {"waiting": {"reason": waiting, "message": "no such tag"}} if waiting else {"running": {}}
    return {
        "metadata": {
            "namespace": "kubevirt",
            "name": name,
            "labels": {"kubevirt.io": app, **(MANAGED if app not in ("virt-operator",) else {})},
            "annotations": {"kubevirt.io/install-strategy-identifier": identifier} if identifier else {},
        },
        "spec": {"containers": [{"name": app}]},
        "status": {
            "phase": "Pending" if waiting else "Running",
            "containerStatuses": [
                {"name": app, "image": "quay.io/kubevirt/x:v1.8.4", "ready": not waiting, "state": state}
            ],
        },
    }


class View:
    """The part of a Picture that judges read: objects by source, and what ails it. All at v1.8.4 and ready."""

    def __init__(self, kubevirt: str = "1.8-healthy") -> None:
        ready = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2}
        self.trouble = ""
        self.editions: t.Iterator[int] = itertools.count()
        self.shown: dict[str, list[Object]] = {
            "kubevirt": [recorded(kubevirt)],
            "deployments": [operator(**ready), *(workload(f"virt-{name}", **ready) for name in ("api", "controller"))],
            "daemonsets": [workload("virt-handler", desiredNumberScheduled=3, updatedNumberScheduled=3, numberReady=3)],
            "pods": [pod("virt-api-1", "virt-api"), pod("virt-handler-1", "virt-handler")],
            "migrations": [],
        }

    @property
    def edition(self) -> int:
        """It may have been changed since the last look."""
        return next(self.editions)

    def objects(self, name: str) -> list[Object]:
        return self.shown[name]

    def judged(self, version: str = "v1.8.4") -> Verdict:
        return HopJudge("kubevirt", version)(t.cast(t.Any, self))


def test_done() -> None:
    verdict = View().judged()
    assert (verdict.missing, verdict.failures) == ([], [])


@pytest.mark.parametrize(
    ("kubevirt", "version", "words"),
    [
        ("1.8-healthy", "v1.9.0", "virt-operator reports target v1.8.4, not yet v1.9.0"),
        ("1.8-updating", "v1.8.4", "virt-operator reports v1.7.0 as deployed, not yet v1.8.4"),
        ("1.8-updating-all-applied", "v1.8.4", "reason is UpdateInProgress"),
        ("1.8-degraded-node", "v1.8.4", "reason is DeploymentInProgress"),
    ],
)
def test_not_done_and_nothing_failing(kubevirt: str, version: str, words: str) -> None:
    verdict = View(kubevirt).judged(version)
    assert words in verdict.missing[0]
    assert verdict.failures == []


def test_an_operand_that_rolls_is_missing_though_the_kubevirt_object_says_ready() -> None:
    view = View()
    view.shown["daemonsets"][0]["status"]["numberReady"] = 2
    assert view.judged().missing == ["DaemonSet kubevirt/virt-handler: 2 of 3 pods ready"]


def test_other_workloads_in_the_namespace_do_not_matter() -> None:
    view = View()
    stranger = workload("my-exporter", replicas=0)
    stranger["metadata"]["labels"] = {}
    view.shown["deployments"].append(stranger)
    assert view.judged().missing == []


def test_a_kubevirt_object_that_goes_away() -> None:
    view = View()
    view.shown["kubevirt"] = []
    verdict = view.judged()
    assert verdict.missing == ["KubeVirt kubevirt is gone"]
    assert [one.finding.id for one in verdict.failures] == ["kubevirt.absent"]


def test_the_pods_of_the_job_do_not_matter_once_its_work_is_done() -> None:
    view = View()
    view.shown["pods"].append(pod(f"kubevirt-{ID}-jobx7k2p-9wq5d", STRATEGY_JOB, None, "ImagePullBackOff"))
    assert view.judged().failures == []


def test_jobs_that_complete_again_and_again_are_a_loop() -> None:
    view = View("1.8-updating")
    for operand in (*view.shown["deployments"][1:], *view.shown["daemonsets"]):
        operand["metadata"]["annotations"]["kubevirt.io/install-strategy-identifier"] = OTHER_ID
    judge = HopJudge("kubevirt", "v1.8.4")
    found = []
    for name in ("a", "a", "b", "c"):
        job = pod(f"kubevirt-{ID}-job{name}-9wq5d", STRATEGY_JOB, None)
        job["status"]["phase"] = "Succeeded"
        view.shown["pods"] = [job]
        found.append([one.finding.id for one in judge(t.cast(t.Any, view)).failures])
    assert found == [[], [], [], ["upgrade.install-job-loop"]]


def test_an_old_picture_of_a_done_hop_is_not_done() -> None:
    view = View()
    view.trouble = "The API server does not answer."
    assert view.judged().missing == ["The API server does not answer."]


def test_virt_operator_cannot_deploy() -> None:
    verdict = View("1.9-failed-stored-versions").judged("v1.9.0")
    assert [(one.finding.id, one.patience) for one in verdict.failures] == [("upgrade.stored-version-dropped", 60.0)]


@pytest.mark.parametrize(
    ("version", "patience"), [("v1.7.0", NO_OTHER_OPERATOR), ("v1.8.4", PATIENCE["upgrade.rbac-escalation"])]
)
def test_the_old_operator_may_lack_permissions_for_a_moment_only_while_a_new_one_is_to_come(
    version: str, patience: float
) -> None:
    view = View("1.7-failed-rbac")
    view.shown["deployments"][0] = operator(version, replicas=2, updatedReplicas=2, readyReplicas=2)
    verdict = view.judged()
    assert [(one.finding.id, one.patience) for one in verdict.failures] == [("upgrade.rbac-escalation", patience)]


@pytest.mark.parametrize(
    ("kubevirt", "updated", "words"),
    [
        ("1.8-healthy", 1, "Deployment kubevirt/virt-operator: 1 of 2 pods updated"),
        ("1.7-failed-rbac", 2, "the status is that of virt-operator v1.7.0, not yet of v1.8.4"),
        ("1.8-updating", 2, ""),
    ],
)
def test_the_operator_alone(kubevirt: str, updated: int, words: str) -> None:
    view = View(kubevirt)
    view.shown["deployments"][0] = operator(replicas=2, updatedReplicas=updated, readyReplicas=2)
    verdict = HopJudge("kubevirt", "v1.8.4", only_operator=True)(t.cast(t.Any, view))
    assert verdict.missing == ([words] if words else [])


def test_what_the_old_operator_says_of_the_new_manifests_may_last_for_a_while() -> None:
    verdict = View("1.7-failed-transient").judged()
    assert [(one.finding.id, one.patience) for one in verdict.failures] == [("upgrade.deployment-failed", 300.0)]
    assert "no certificate population strategy found" in verdict.missing[0]


@pytest.mark.parametrize(
    ("failing", "counts"),
    [
        (pod("virt-operator-2", "virt-operator", None, "ImagePullBackOff"), True),
        (pod("virt-api-2", "virt-api", ID, "ErrImagePull"), True),
        (pod(f"kubevirt-{ID}-jobx7k2p-9wq5d", STRATEGY_JOB, None, "ImagePullBackOff"), True),
        (pod("virt-api-2", "virt-api", OTHER_ID, "ImagePullBackOff"), False),
        (pod(f"kubevirt-{OTHER_ID}-jobx7k2p-9wq5d", STRATEGY_JOB, None, "ImagePullBackOff"), False),
    ],
    ids=[
        "of the operator",
        "of the target",
        "of the target's install strategy",
        "of what is being replaced",
        "of an earlier attempt's Job, which nobody deletes",
    ],
)
def test_an_image_that_cannot_be_pulled(failing: Object, counts: bool) -> None:
    view = View("1.8-updating")
    for operand in (*view.shown["deployments"][1:], *view.shown["daemonsets"]):
        operand["metadata"]["annotations"]["kubevirt.io/install-strategy-identifier"] = OTHER_ID
    view.shown["pods"].append(failing)
    verdict = view.judged()
    found = [(one.finding.id, one.finding.object) for one in verdict.failures]
    assert found == ([("upgrade.image-pull", f"Pod kubevirt/{failing['metadata']['name']}")] if counts else [])


def test_an_image_that_cannot_be_pulled_is_told_before_what_follows_from_it() -> None:
    view = View("1.7-failed-rbac")
    view.shown["pods"].append(pod("virt-operator-2", "virt-operator", None, "ImagePullBackOff"))
    assert [one.finding.id for one in view.judged().failures] == ["upgrade.image-pull", "upgrade.rbac-escalation"]


def test_a_hop_that_went_well_shows_no_failure_at_any_moment() -> None:
    recording, judge = Recording("1.7.0-to-1.8.4"), HopJudge("kubevirt", "v1.8.4")
    seen = set()
    while not recording.is_over:
        seen |= {one.finding.id for one in judge(t.cast(t.Any, recording)).failures}
        recording.changed(1.0)
    assert seen == set()


def _ready(view: View) -> None:
    view.shown["deployments"][1]["status"]["readyReplicas"] = 1


def _updated(view: View) -> None:
    view.shown["daemonsets"][0]["status"]["updatedNumberScheduled"] = 1


def _reason(view: View) -> None:
    view.shown["kubevirt"][0]["status"]["conditions"][0]["reason"] = "UpdateInProgress"


def _target(view: View) -> None:
    view.shown["kubevirt"][0]["status"]["targetKubeVirtVersion"] = "v1.9.0"


def _pulled(view: View) -> None:
    view.shown["pods"][0]["status"]["containerStatuses"][0]["imageID"] = "sha256:1"


def _new_pod(view: View) -> None:
    view.shown["pods"].append(pod("virt-handler-2", "virt-handler"))


def _probe_time(view: View) -> None:
    view.shown["kubevirt"][0]["status"]["conditions"][0]["lastProbeTime"] = "2026-11-20T11:00:00Z"


def _resource_version(view: View) -> None:
    view.shown["pods"][0]["metadata"]["resourceVersion"] = "2"


@pytest.mark.parametrize(
    ("change", "moves"),
    [
        (_ready, True),
        (_updated, True),
        (_reason, True),
        (_target, True),
        (_pulled, True),
        (_new_pod, True),
        (_probe_time, False),
        (_resource_version, False),
    ],
)
def test_what_counts_as_movement(change: t.Callable[[View], None], moves: bool) -> None:
    before, after = View(), View()
    change(after)
    assert (before.judged().movement != after.judged().movement) is moves


def test_judging_changes_nothing() -> None:
    view = View("1.8-updating")
    before = copy.deepcopy(view.shown)
    view.judged()
    assert view.shown == before


def migration(name: str, **status: str) -> Object:
    return {"metadata": {"namespace": "prod", "name": name}, "status": status}


@pytest.mark.parametrize(
    ("migrations", "trouble", "missing"),
    [
        ([], "", []),
        ([migration("a", phase="Succeeded"), migration("b", phase="Failed")], "", []),
        (
            [migration("a", phase="Running"), migration("b")],
            "",
            ["live migration prod/a runs", "live migration prod/b runs"],
        ),
        ([], "The watch broke.", ["The watch broke."]),
        ([migration("a", phase="Running")], "The watch broke.", ["live migration prod/a runs"]),
    ],
)
def test_migrations_finished(migrations: list[Object], trouble: str, missing: list[str]) -> None:
    view = View()
    view.shown["migrations"], view.trouble = migrations, trouble
    assert migrations_finished(t.cast(t.Any, view)).missing == missing


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ([], None),
        (["a"], "live migration prod/a runs"),
        (["a", "b", "c"], "live migration prod/a runs, and 2 more"),
    ],
)
def test_what_is_told_of_migrations(names: list[str], line: str | None) -> None:
    view = View()
    view.shown["migrations"] = [migration(name, phase="Running") for name in names]
    stage = migrations_finished(t.cast(t.Any, view)).stage
    assert (line_of(stage, None) if stage else None) == line


def test_what_is_told_of_a_hop() -> None:
    view = View("1.8-updating-all-applied")
    view.shown["daemonsets"][0]["status"]["numberReady"] = 2
    stage = view.judged().stage
    assert stage is not None and (stage.component, stage.pods) == ("virt-handler", 3)
    assert View().judged().stage is None


def test_an_old_picture_is_told_as_such() -> None:
    view = View("1.8-updating")
    view.trouble = "The API server does not answer."
    stage = view.judged().stage
    assert stage is not None and (stage.reason, stage.sort) == ("The API server does not answer.", "trouble")


def test_the_same_picture_is_judged_once() -> None:
    view, judge = View(), HopJudge("kubevirt", "v1.8.4")
    view.editions = itertools.repeat(7)
    first = judge(t.cast(t.Any, view))
    view.shown["pods"] = []
    assert judge(t.cast(t.Any, view)) is first
    view.editions = itertools.repeat(8)
    assert judge(t.cast(t.Any, view)) is not first
