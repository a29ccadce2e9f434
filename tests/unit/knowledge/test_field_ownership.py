# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The prediction of a server-side apply, against what a real API server made of the same objects."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import field_ownership

RECORDED = {
    path.stem: yaml.safe_load(path.read_text())
    for path in sorted((Path(__file__).parents[1] / "fixtures" / "server_side_apply").glob("*.yaml"))
}
COUNTED = {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"}


def recorded(name):
    return copy.deepcopy(RECORDED[name])


def without_counted(o):
    metadata = {key: value for key, value in o["metadata"].items() if key not in COUNTED}
    return {**{key: value for key, value in o.items() if key != "status"}, "metadata": metadata}


def entry(manager, fields, operation="Update", **more):
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        **more,
    }


def role(*entries, kind="ClusterRole", labels=None):
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": "kubevirt-operator", "labels": labels or {}, "managedFields": list(entries)},
    }


def labels_of(*names):
    return {"f:metadata": {"f:labels": {f"f:{name}": {} for name in names}}}


def deployment(**pod):
    container = {"name": "virt-operator", "image": "quay.io/kubevirt/virt-operator:v1.8.4", **pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "virt-operator", "namespace": "kubevirt"},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }


def test_who_keeps_a_field_that_we_do_not_apply() -> None:
    path = ["f:a", 'k:{"name":"x"}', "f:b"]
    fields = {"f:a": {'k:{"name":"x"}': {"f:b": {}}}}

    def keepers(manager: str, fields: dict, **more: str) -> list[str]:
        entry = {"manager": manager, "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": fields, **more}
        live = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"managedFields": [entry]}}
        return field_ownership.keepers(live, path)

    assert keepers("kubectl-set", fields) == ["kubectl-set"]
    assert keepers("kubectl-set", {"f:a": {"f:b": {}}}) == []
    assert keepers("kubectl-create", fields) == [], "its fields become ours"
    assert keepers(field_ownership.FIELD_MANAGER, fields, operation="Apply") == []


def test_there_are_recordings():
    assert len(RECORDED) >= 12


@pytest.mark.parametrize("name", RECORDED)
def test_the_prediction_is_what_the_server_did(name):
    case = recorded(name)
    assert field_ownership.after_apply(case["live"], case["desired"]) == without_counted(case["after"])


@pytest.mark.parametrize("name", RECORDED)
def test_a_change_is_foreseen_exactly_where_there_was_one(name):
    case = recorded(name)
    before, after = field_ownership.changes(case["live"], field_ownership.after_apply(case["live"], case["desired"]))
    assert bool(before or after) == (without_counted(case["live"]) != without_counted(case["after"]))


@pytest.mark.parametrize("name", RECORDED)
def test_a_second_run_changes_and_moves_nothing(name):
    case = recorded(name)
    assert field_ownership.migrated(case["after"]) is None
    predicted = field_ownership.after_apply(case["after"], case["desired"])
    assert field_ownership.changes(case["after"], predicted) == ({}, {})


@pytest.mark.parametrize("name", RECORDED)
def test_the_moved_managers_are_those_recorded(name):
    case = recorded(name)
    assert field_ownership.moved_managers(case["live"]) == case["moved"]


@pytest.mark.parametrize("name", RECORDED)
def test_nothing_handed_in_is_altered(name):
    case = recorded(name)
    field_ownership.migrated(case["live"])
    predicted = field_ownership.after_apply(case["live"], case["desired"])
    field_ownership.changes(case["live"], predicted)
    assert case == RECORDED[name]


def test_what_the_new_manifest_drops_goes_and_what_others_own_stays():
    case = recorded("deployment-edited-by-people")
    predicted = field_ownership.after_apply(case["live"], case["desired"])
    template = predicted["spec"]["template"]
    container = template["spec"]["containers"][0]
    assert "livenessProbe" not in container
    assert [variable["name"] for variable in container["env"]] == [
        "VIRT_OPERATOR_IMAGE",
        "NEW_VARIABLE",
        "KUBEVIRT_VERSION",
        "EXTRA",
    ]
    assert list(template["metadata"]["annotations"]) == ["kubectl.kubernetes.io/restartedAt"]
    assert predicted["metadata"]["labels"]["mine"] == "1"
    assert predicted["spec"]["replicas"] == 2


def test_a_volume_that_another_manager_applies_too_stays():
    case = recorded("deployment-shared-with-another-applier")
    predicted = field_ownership.after_apply(case["live"], case["desired"])
    names = [volume["name"] for volume in predicted["spec"]["template"]["spec"]["volumes"]]
    assert names == ["kubevirt-operator-certs", "profile-data"]


@pytest.mark.parametrize(
    "manager",
    [
        "kubectl-create",
        "kubectl-client-side-apply",
        "kubectl",
        "kubectl-replace",
        "OpenAPI-Generator",
        "ansible",
        "curl",
    ],
)
@pytest.mark.parametrize("operation", ["Update", "Apply"])
def test_the_fields_of_an_installer_move(manager, operation):
    live = role(entry(manager, labels_of("a"), operation, time="2025-01-01T00:00:00Z"))
    assert field_ownership.moved_managers(live) == [manager]
    assert field_ownership.migrated(live) == [
        entry("kubevirt.lifecycle", labels_of("a"), "Apply", time="2025-01-01T00:00:00Z")
    ]


@pytest.mark.parametrize(
    "manager",
    [
        *(
            "kubevirt.lifecycle",
            "kube-controller-manager",
            "kube-apiserver",
            "kubelet",
            "virt-operator",
            "virt-controller",
        ),
        *("kubectl-edit", "kubectl-patch", "kubectl-label", "kubectl-annotate", "kubectl-scale", "kubectl-set"),
        *("kubectl-rollout", "kubectl-taint", "kubectl-autoscale", "kubectl-expose"),
        *(
            "argocd-controller",
            "kustomize-controller",
            "helm",
            "Helm",
            "helm-controller",
            "work",
            "work-agent",
            "work-agent-5d41402a",
            "kapp-server",
            "fleetagent",
            "olm",
            "catalog",
        ),
        "before-first-apply",
    ],
)
def test_the_fields_of_controllers_people_and_owners_stay(manager):
    assert field_ownership.migrated(role(entry(manager, labels_of("a")))) is None


@pytest.mark.parametrize(
    "live",
    [
        role(),
        role(entry("kubectl-create", labels_of("a"), subresource="status")),
        role(entry("kubectl-create", labels_of("a"), apiVersion="rbac.authorization.k8s.io/v1beta1")),
        role(entry("kubectl-create", labels_of("a")), kind="Namespace"),
        {"kind": "ClusterRole", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "x"}},
    ],
    ids=["no-entries", "subresource", "other-version", "namespace", "no-managed-fields"],
)
def test_nothing_to_move(live):
    assert field_ownership.migrated(live) is None
    assert field_ownership.moved_managers(live) == []


def test_moved_fields_are_united_with_ours_and_other_entries_stay_in_place():
    people = entry("kubectl-label", labels_of("theirs"))
    status = entry("kubectl-create", {"f:status": {}}, subresource="status")
    live = role(
        entry(
            "kubectl-create",
            {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:rules": {}},
            time="2024-01-01T00:00:00Z",
        ),
        people,
        entry("kubevirt.lifecycle", labels_of("b"), "Apply", time="2025-01-01T00:00:00Z"),
        status,
    )
    united = {"f:metadata": {"f:labels": {".": {}, "f:a": {}, "f:b": {}}}, "f:rules": {}}
    assert field_ownership.migrated(live) == [
        entry("kubevirt.lifecycle", united, "Apply", time="2025-01-01T00:00:00Z"),
        people,
        status,
    ]


def test_uniting_a_leaf_with_its_children_keeps_both():
    live = role(entry("one", {"f:metadata": {"f:labels": {}}}), entry("two", labels_of("a")))
    moved = field_ownership.migrated(live)
    assert moved is not None
    assert moved[0]["fieldsV1"] == {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}}


def test_uniting_what_both_own_keeps_one():
    one, two = ({"f:metadata": {"f:labels": {".": {}, f"f:{name}": {}}}} for name in "ab")
    moved = field_ownership.migrated(role(entry("one", one), entry("two", two)))
    assert moved is not None
    assert moved[0]["fieldsV1"] == {"f:metadata": {"f:labels": {".": {}, "f:a": {}, "f:b": {}}}}


def test_an_entry_of_a_version_that_is_no_longer_served_keeps_nothing():
    old = entry("somebody", labels_of("gone"), apiVersion="rbac.authorization.k8s.io/v1beta1")
    ours = entry("kubevirt.lifecycle", labels_of("gone", "stays"), "Apply")
    live = role(ours, old, labels={"gone": "1", "stays": "1"})
    desired = role(labels={"stays": "1"})
    assert field_ownership.after_apply(live, desired)["metadata"]["labels"] == {"stays": "1"}


def test_of_a_set_only_the_items_go_that_are_ours_alone():
    finalizers = {"f:metadata": {"f:finalizers": {".": {}, 'v:"a/ours"': {}, 'v:"b/both"': {}}}}
    ours = entry("kubevirt.lifecycle", finalizers, "Apply")
    theirs = entry("kubectl-edit", {"f:metadata": {"f:finalizers": {'v:"b/both"': {}, 'v:"c/theirs"': {}}}})
    live = role(ours, theirs)
    live["metadata"]["finalizers"] = ["a/ours", "b/both", "c/theirs"]
    assert field_ownership.after_apply(live, role())["metadata"]["finalizers"] == ["b/both", "c/theirs"]


def test_what_is_empty_afterwards_goes_although_somebody_owns_it():
    people = entry("kubectl-edit", {"f:metadata": {"f:labels": {".": {}}}})
    live = role(people, entry("kubevirt.lifecycle", labels_of("a"), "Apply"), labels={"a": "1"})
    assert "labels" not in field_ownership.after_apply(live, role())["metadata"]


def test_without_managed_fields_nothing_is_removed():
    live = role(labels={"unknown": "1"})
    assert field_ownership.after_apply(live, role(labels={"a": "1"}))["metadata"]["labels"] == {
        "unknown": "1",
        "a": "1",
    }


def test_a_new_object_is_the_desired_one():
    desired = deployment()
    predicted = field_ownership.after_apply(None, desired)
    assert predicted == desired
    assert field_ownership.changes(None, predicted)[0] == {}


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("0.01", "10m"),
        (0.5, "500m"),
        (1, "1"),
        ("1000m", "1"),
        ("100u", "1m"),
        ("2000", "2k"),
        ("0.5Gi", "512Mi"),
        ("1000Mi", "1000Mi"),
        ("460800Ki", "450Mi"),
        ("512Ki", "512Ki"),
        ("0.5Ki", "512"),
        ("0", "0"),
        ("soon", "soon"),
    ],
)
def test_quantities_are_spelt_as_the_server_does(written, stored):
    # Each stored form is what kube-apiserver 1.34.4 returned, but for the last, which it refuses.
    live = deployment(resources={"limits": {"cpu": "7"}})
    predicted = field_ownership.after_apply(live, deployment(resources={"limits": {"cpu": written}}))
    assert predicted["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] == {"cpu": stored}


def test_claims_of_resources_and_sizes_of_volumes_are_stored_too():
    desired = deployment(resources={"claims": [{"name": "gpu"}]})
    desired["spec"]["template"]["spec"]["volumes"] = [{"name": "cache", "emptyDir": {"sizeLimit": "0.5Gi"}}]
    pod = field_ownership.after_apply(deployment(), desired)["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"] == {"claims": [{"name": "gpu"}]}
    assert pod["volumes"] == [{"name": "cache", "emptyDir": {"sizeLimit": "512Mi"}}]


@pytest.mark.parametrize(("strategy", "has_more"), [("RollingUpdate", True), ("Recreate", False)])
def test_only_a_rolling_update_has_defaults(strategy, has_more):
    desired = deployment()
    desired["spec"]["strategy"] = {"type": strategy}
    assert ("rollingUpdate" in field_ownership.after_apply(deployment(), desired)["spec"]["strategy"]) is has_more


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("quay.io/kubevirt/virt-operator:v1.8.4", "IfNotPresent"),
        ("quay.io/kubevirt/virt-operator:latest", "Always"),
        ("registry.example:5000/virt-operator", "Always"),
        ("quay.io/kubevirt/virt-operator@sha256:" + "a" * 64, "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_image(image, policy):
    predicted = field_ownership.after_apply(deployment(), deployment(image=image))
    assert predicted["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == policy


@pytest.mark.parametrize(
    ("live", "desired", "merged"),
    [
        ("abc", "abc", "abc"),
        ("ab", "axb", "axb"),
        ("axb", "ab", "axb"),
        ("abc", "cba", "cba"),
        ("xaby", "ba", "xbya"),
        ("aa", "b", "aab"),
        ("aab", "a", "ab"),
    ],
)
def test_the_order_of_merged_variables(live, desired, merged):
    def variables(letters):
        return deployment(env=[{"name": letter, "value": "1"} for letter in letters])

    predicted = field_ownership.after_apply(variables(live), variables(desired))
    names = [variable["name"] for variable in predicted["spec"]["template"]["spec"]["containers"][0]["env"]]
    assert "".join(names) == merged


def test_the_diff_shows_keyed_items_by_key():
    live = deployment(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "1"}])
    predicted = field_ownership.after_apply(
        live, deployment(env=[{"name": "A", "value": "2"}, {"name": "B", "value": "1"}])
    )
    before, after = field_ownership.changes(live, predicted)
    assert before["spec"]["template"]["spec"] == {"containers": {"virt-operator": {"env": {"A": {"value": "1"}}}}}
    assert after["spec"]["template"]["spec"] == {"containers": {"virt-operator": {"env": {"A": {"value": "2"}}}}}


def test_the_diff_shows_a_new_order():
    case = recorded("deployment-reordered")
    _before, after = field_ownership.changes(case["live"], field_ownership.after_apply(case["live"], case["desired"]))
    environment = after["spec"]["template"]["spec"]["containers"]["virt-operator"]["env"]
    assert environment == {"(order)": ["KUBEVIRT_VERSION", "WATCH_NAMESPACE", "VIRT_OPERATOR_IMAGE"]}


def test_the_diff_shows_only_the_rules_that_differ():
    case = recorded("clusterrole-created")
    before, after = field_ownership.changes(case["live"], field_ownership.after_apply(case["live"], case["desired"]))
    assert after == {"rules": [case["desired"]["rules"][1]]}
    assert before["metadata"] == {"labels": {"dropped-by-the-next-release": "x"}}
    assert len(before["rules"]) == 1


@pytest.mark.parametrize("new", [True, False])
def test_the_diff_shows_a_schema_by_its_size(new):
    case = recorded("crd-created")
    live = None if new else case["live"]
    before, after = field_ownership.changes(live, field_ownership.after_apply(live, case["desired"]))
    schema = after["spec"]["versions"]["v1"]["schema"]["openAPIV3Schema"]
    assert schema.startswith("(schema: 303 bytes, sha256 ")
    assert "imageRegistry" not in json.dumps([before, after])


def test_the_diff_shows_the_last_applied_manifest_by_its_size():
    case = recorded("clusterrolebinding-client-side-applied")
    before, after = field_ownership.changes(case["live"], field_ownership.after_apply(case["live"], case["desired"]))
    [value] = before["metadata"]["annotations"].values()
    assert value.startswith("(manifest: ")
    assert after == {}


@pytest.mark.parametrize("zero", [{"priority": 0}, {"description": ""}])
def test_a_printer_column_is_stored_without_its_zero_values(zero):
    case = recorded("crd-created")
    column = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
    live, desired = case["after"], case["desired"]
    live["spec"]["versions"][0]["additionalPrinterColumns"] = [column]
    desired["spec"]["versions"][0]["additionalPrinterColumns"] = [{**column, **zero}]
    assert field_ownership.changes(live, field_ownership.after_apply(live, desired)) == ({}, {})
