# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Live migrations that run when an upgrade begins, and the workload update methods."""

from __future__ import annotations

from tests.contract.conftest import HEALTHY, World
from tests.support.kubevirt import KUBEVIRT
from tests.support.lab import mutating


def test_an_upgrade_waits_for_them_and_refuses_when_they_do_not_end(migrating: World) -> None:
    before, position = migrating.fingerprint(), migrating.lab.audit_position()
    predicted = migrating.upgrade(check=True)
    assert predicted.data["actions"][0]["action"] == "drain-migrations"
    assert predicted.data["actions"][0]["object"] == "default/running"
    assert mutating(migrating.lab.audited(position)) == []

    refused = migrating.upgrade(migration_drain_timeout=2)
    assert refused.code != 0
    assert refused.finding_ids[0] == "workloads.migrations-in-flight"
    assert "default/running" in refused.message and "Nothing was changed" in refused.message
    assert migrating.fingerprint() == before


def test_the_methods_come_back_when_it_stops_because_of_them(migrating: World) -> None:
    migrating.patch(KUBEVIRT, {"spec": {"workloadUpdateStrategy": {"workloadUpdateMethods": ["LiveMigrate"]}}})
    migrating.status(HEALTHY)
    try:
        refused = migrating.upgrade(migration_drain_timeout=2)
        kubevirt = migrating.lab.get(*KUBEVIRT)
        assert refused.finding_ids[0] == "workloads.migrations-in-flight"
        assert kubevirt["spec"]["workloadUpdateStrategy"]["workloadUpdateMethods"] == ["LiveMigrate"]
        assert "held-workload-update-methods" not in str(kubevirt["metadata"].get("annotations"))
        assert "Nothing was changed" in refused.message
    finally:
        migrating.patch(KUBEVIRT, {"spec": {"workloadUpdateStrategy": None}})
        migrating.status(HEALTHY)
