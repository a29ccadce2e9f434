# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulated clusters of ``make bench-fleet``, and what it makes of its figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ansible.utils.helpers import pct_to_int
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.conditions import observed_version, state_of

from tests.bench.fleet.__main__ import Upgraded, figures_of
from tests.bench.fleet.budget import SERIAL, begun_too_late, budget, failing, waves
from tests.bench.fleet.cluster import APPLY, Cluster, Refused, cluster_uid, place_of, selects
from tests.bench.fleet.story import FOLDERS, OPERATOR, Story, story_of
from tests.bench.fleet.waiting import Batch, Look, largest_batch, pss_in
from tests.bench.measured import Usage
from tests.bench.page import PAGE, with_part
from tests.bench.runs import Line
from tests.support.kubevirt import FROM, TO
from tests.support.lab import Json

MANIFEST = Path(__file__).parent / "fixtures" / "kubevirt-operator-v1.7.0-trimmed.yaml"
KUBEVIRT = f"{FOLDERS['kubevirt']}/kubevirt"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kubevirt/leases"
LEASE = {"metadata": {"name": "one", "namespace": "kubevirt"}}


@pytest.fixture(scope="module")
def story() -> Story:
    return story_of(MANIFEST.read_text(), MANIFEST.read_text().replace(FROM, TO))


class Simulated(Cluster):
    """One cluster with a clock that the test sets."""

    def __init__(self, story: Story, *, fails: bool = False) -> None:
        self.now = 0.0
        super().__init__("c0", story, fails=fails, clock=lambda: self.now)

    def apply(self, path: str, **query: str) -> Json:
        """Server-side apply."""
        return self.write("PATCH", place_of(path), query, APPLY, {})

    def kubevirt(self) -> Json:
        """The KubeVirt object as it is now."""
        return self.get(place_of(KUBEVIRT))


def test_the_write_of_virt_operator_begins_the_recorded_roll_out(story: Story) -> None:
    cluster = Simulated(story)
    cluster.now = 1000.0
    assert (state_of(cluster.kubevirt()).value, observed_version(cluster.kubevirt())) == ("healthy", FROM)
    cluster.apply(OPERATOR)
    cluster.now += 60
    assert (state_of(cluster.kubevirt()).value, observed_version(cluster.kubevirt())) == ("updating", FROM)
    cluster.now += 120
    assert (state_of(cluster.kubevirt()).value, observed_version(cluster.kubevirt())) == ("healthy", TO)
    pods, _version = cluster.listed(place_of(FOLDERS["pods"]), "kubevirt.io=virt-operator")
    assert [pod["metadata"]["name"].rpartition("-")[0] for pod in pods] == ["virt-operator-576b8d796c"] * 2


def test_a_rehearsal_begins_nothing(story: Story) -> None:
    cluster = Simulated(story)
    before = cluster.get(place_of(OPERATOR))
    assert cluster.apply(OPERATOR, dryRun="All")["metadata"]["generation"] == before["metadata"]["generation"] + 1
    cluster.now = 1000.0
    assert (cluster.get(place_of(OPERATOR)), cluster.writes) == (before, [])
    assert observed_version(cluster.kubevirt()) == FROM


def test_where_it_fails_the_image_of_virt_operator_cannot_be_pulled(story: Story) -> None:
    cluster = Simulated(story, fails=True)
    cluster.apply(OPERATOR)
    cluster.now = 1000.0
    assert observed_version(cluster.kubevirt()) == FROM
    pods, _version = cluster.listed(place_of(FOLDERS["pods"]), "kubevirt.io=virt-operator")
    reasons = [
        one["state"].get("waiting", {}).get("reason") for pod in pods for one in pod["status"]["containerStatuses"]
    ]
    assert reasons == [None, None, "ImagePullBackOff"]


def test_a_watch_goes_on_where_the_list_ended(story: Story) -> None:
    cluster = Simulated(story)
    place = place_of(FOLDERS["pods"])
    pods, version = cluster.listed(place, "kubevirt.io")
    cluster.apply(OPERATOR)
    seen = {pod["metadata"]["name"]: pod for pod in pods}
    position = cluster.position_after(int(version))
    for now in range(0, 200, 7):
        cluster.now = float(now)
        events, position = cluster.events(place, "kubevirt.io", position)
        for event in events:
            assert (event.type == "ADDED") == (event.object["metadata"]["name"] not in seen)
            if event.type == "DELETED":
                del seen[event.object["metadata"]["name"]]
            else:
                seen[event.object["metadata"]["name"]] = event.object
    after, _version = cluster.listed(place, "kubevirt.io")
    assert seen == {pod["metadata"]["name"]: pod for pod in after}


def test_preconditions_and_names_hold(story: Story) -> None:
    cluster, place = Simulated(story), place_of(f"{LEASES}/one")
    made = cluster.write("POST", place_of(LEASES), {}, "", LEASE)
    renewed = cluster.write("PUT", place, {}, "", made)
    assert renewed["metadata"]["uid"] == made["metadata"]["uid"]
    for method, body, status in (
        ("PUT", made, 409),
        ("DELETE", {"preconditions": {"uid": "another"}}, 409),
        ("PATCH", {}, 501),
    ):
        with pytest.raises(Refused) as refused:
            cluster.write(method, place, {}, "application/json-patch+json", body)
        assert refused.value.status == status, method
    with pytest.raises(Refused, match="already exists"):
        cluster.write("POST", place_of(LEASES), {}, "", LEASE)
    cluster.write("DELETE", place, {}, "", {"preconditions": {"uid": made["metadata"]["uid"]}})
    with pytest.raises(Refused, match="not found"):
        cluster.get(place)


def test_clusters_differ_by_their_uid_and_share_no_change(story: Story) -> None:
    one, other = (Cluster(name, story, fails=False, clock=lambda: 0.0) for name in ("c0", "c1"))
    place = place_of("/api/v1/namespaces/kube-system")
    assert [cluster.get(place)["metadata"]["uid"] for cluster in (one, other)] == [*map(cluster_uid, ("c0", "c1"))]
    before = other.get(place_of(OPERATOR))
    one.write("PATCH", place_of(OPERATOR), {}, APPLY, {})
    assert other.get(place_of(OPERATOR)) == before != one.get(place_of(OPERATOR))


@pytest.mark.parametrize(
    ("selector", "labels", "is_selected"),
    [
        ("", {}, True),
        ("a", {"a": ""}, True),
        ("a", {"b": ""}, False),
        ("a=1", {"a": "1"}, True),
        ("a=1", {"a": "2"}, False),
        ("a,a!=1", {"a": "2"}, True),
        ("a,a!=1", {"a": "1"}, False),
        ("a in (1,2)", {"a": "2"}, True),
        ("a in (1,2)", {"a": "3"}, False),
        ("a in (1,2)", {}, False),
    ],
)
def test_label_selectors(selector: str, labels: dict[str, str], is_selected: bool) -> None:
    assert selects(selector, {"metadata": {"labels": labels}}) is is_selected


@pytest.mark.parametrize("count", [20, 33, 100, 200])
def test_waves_are_cut_as_ansible_cuts_them(count: int) -> None:
    sizes = [pct_to_int(size, count) for size in SERIAL]
    cut = waves(count)
    assert [number for wave in cut for number in wave] == [*range(count)]
    assert [len(wave) for wave in cut[:3]] == sizes
    assert {len(wave) for wave in cut[3:-1]} <= {sizes[-1]} and len(cut[-1]) <= sizes[-1]


@pytest.mark.parametrize("count", [20, 33, 100, 200])
def test_five_percent_fail_and_the_budget_is_spent_before_the_last_wave(count: int) -> None:
    assert len(failing(count)) == round(count * 0.05)
    before_the_last = [number for number in failing(count) if number not in waves(count)[-1]]
    assert 0 not in failing(count) and len(before_the_last) == budget(count) + 1


def test_a_write_after_the_budget_was_spent_is_found() -> None:
    begun = [*range(161)]
    assert budget(200) == 7
    assert begun_too_late(200, failing(161), begun) == []
    assert begun_too_late(200, failing(161), [*begun, 161, 199]) == [161, 199]
    # Had one more been there to fail early, the wave before would have been too late as well.
    assert begun_too_late(200, [*failing(111), 5, 6], [*range(161)]) == [*range(111, 161)]
    assert begun_too_late(200, [], [*range(200)]) == []


def ran(**different: object) -> Upgraded:
    """A run of 20 clusters in which everything holds."""
    states = ["done"] * 10 + ["failed"] + ["done"] + ["not-begun"] * 8
    run = Upgraded(Usage(60.0, 22.0, 80.0), Batch(5, 75.0), states, [*range(12)])
    return replace(run, **different)


def test_figures_hold_or_do_not() -> None:
    theirs = Usage(60.0, 110.0, 80.0)
    assert [figure.name for figure in figures_of(20, ran(), theirs) if not figure.is_met] == []
    for different, missed in (
        ({"usage": Usage(60.0, 25.0, 80.0)}, "CPU for each cluster, ours ÷ kubernetes.core"),
        ({"batch": Batch(5, 101.0)}, "PSS for each of them, ansible-playbook itself included"),
        ({"written": [*range(13)]}, "written to in waves after the budget was spent"),
        ({"states": [*ran().states[:11], "failed", *ran().states[12:]]}, "failed without being made to"),
    ):
        assert missed in [figure.name for figure in figures_of(20, ran(**different), theirs) if not figure.is_met]
    with pytest.raises(AssertionError, match="not spent"):
        figures_of(20, ran(states=["done"] * 20), theirs)


def test_memory_is_that_of_the_largest_batch() -> None:
    lines = [
        Line(at, f"[{host}]    0:05  4/4 wait     virt-operator     0 of 2 pods new and ready")
        for host, ats in {"c0": (1, 50), "c1": (2, 30, 40), "c2": (20, 25)}.items()
        for at in ats
    ]
    lines += [Line(3, "[c3]    0:05  3/4 apply    Role kubevirt/kubevirt-operator"), Line(60, "[c3] ok"), Line(61, "")]
    looks = [Look(0, 90.0), Look(5, 400.0), Look(20, 80.0), Look(24, 85.0), Look(35, 300.0)]
    assert largest_batch(looks, lines) == Batch(3, 85.0)
    assert largest_batch(looks[:2], lines) == Batch(2, 400.0)


def test_pss_of_a_process() -> None:
    text = "55d0-7ffd ---p 00000000 00:00 0    [rollup]\nRss:   4096 kB\nPss:   2048 kB\nPss_Dirty:  1024 kB\n"
    assert pss_in(text) == 2.0


def test_a_part_of_the_page_is_replaced_between_its_markers() -> None:
    page = "a\n<!-- tables -->\nb\n<!-- end of tables -->\n<!-- fleet -->\nc\n<!-- end of fleet -->\nd\n"
    assert with_part(page, "fleet", "new") == page.replace("c\n", "\nnew\n")
    for name in ("tables", "fleet"):
        assert with_part(PAGE.read_text(), name, "new") != PAGE.read_text()
