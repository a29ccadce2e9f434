#!/usr/bin/python
# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report on a fleet. This is its documentation; all of it happens in the action of the same name, on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_report
short_description: Write a report on what became of a fleet of clusters
version_added: 0.1.0
description:
  - Writes what became of each cluster, from what is handed in, into three files of the same content. These are C(report.json),
    C(report.md) for a ticket or a mail, and C(report.html), one page that needs no network and no script, and is readable on a phone.
  - Asks no cluster. Runs on the controller, whatever the host of the task is; once for all hosts is enough.
  - Secrets are removed from everything that is written, as far as they can be told by their names or their looks.
author:
  - The kubevirt.lifecycle maintainers (@kubevirt)
attributes:
  check_mode:
    description: Says what would be written, and writes nothing.
    support: full
  diff_mode:
    description: Shows what differs, before and after.
    support: none
  idempotent:
    description: A second run changes nothing.
    support: full
    details: The time of a report is that of its latest change.
options:
  hosts:
    description:
      - What became of each cluster, by the name of its host. Any key may be missing.
      - "C(state) is V(done), V(failed), V(deferred), V(not-begun) or V(unchanged); a cluster without it, or with another one, is shown as
        V(unknown)."
      - C(cluster) has C(endpoint) and C(uid). C(from_version) and C(to_version) are versions.
      - C(phases) is a list of parts of the run, each with C(name) and C(seconds); C(elapsed) is the whole time in seconds.
      - C(findings) is a list of findings as the other modules return them. The blockers of a failed cluster are shown as its causes; where
        it has none, its message is.
      - C(vms) has the numbers C(moved) and C(left).
      - C(wave) is the name or number of its wave, C(owner) who to ask, and C(message) what was said last.
    type: dict
    required: true
  dest:
    description:
      - The directory for the files, on the controller. It is made with mode 0755 if it does not exist, and those above it too. A relative
        path begins at the working directory.
    type: path
    required: true
  title:
    description: What stands above it all.
    type: str
    default: KubeVirt fleet report
seealso:
  - module: kubevirt.lifecycle.kubevirt_upgrade
  - module: kubevirt.lifecycle.kubevirt_workload_update
"""

EXAMPLES = r"""
- name: Write the report on what the clusters' own tasks have put into the fact fleet_outcome
  kubevirt.lifecycle.fleet_report:
    hosts: "{{ dict(groups['kubevirt_clusters'] | zip(groups['kubevirt_clusters'] | map('extract', hostvars, 'fleet_outcome'))) }}"
    dest: reports/2026-01
    title: KubeVirt v1.8.4 on all clusters
  run_once: true

- name: Write the report on two clusters
  kubevirt.lifecycle.fleet_report:
    dest: reports/two
    hosts:
      berlin:
        cluster:
          endpoint: https://api.berlin.example.com:6443
          uid: 6b6e7f9e-2f0f-4f59-9f0a-0f4b8f4a1c7e
        from_version: v1.7.0
        to_version: v1.8.4
        state: done
        phases:
          - name: drain
            seconds: 12
          - name: apply
            seconds: 8
          - name: wait
            seconds: 129
        vms:
          moved: 42
          left: 0
        elapsed: 149
        wave: 1
      paris:
        state: deferred
        wave: 2
        message: Outside its window, Sunday 02:00 to 05:00.
"""

RETURN = r"""
files:
  description: The files of the report.
  returned: success
  type: list
  elements: str
  sample: [/srv/reports/2026-01/report.json, /srv/reports/2026-01/report.md, /srv/reports/2026-01/report.html]
written:
  description: Those of them that were written, or in check mode would be.
  returned: success
  type: list
  elements: str
totals:
  description: The numbers of all clusters.
  returned: success
  type: dict
  contains:
    clusters:
      description: How many there are.
      type: int
    states:
      description: How many are in each state.
      type: dict
      sample: {"failed": 1, "unknown": 0, "not-begun": 1, "deferred": 1, "done": 2, "unchanged": 1}
    vms:
      description: How many VMs were C(moved), and how many are C(left).
      type: dict
      sample: {"moved": 61, "left": 18}
"""
