# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values that no cluster could take, told before one is asked."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.options import LONGEST, check_options
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.outcome import InvalidOption


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"name": None, "namespace": "", "image_registry": None, "manifest_checksum": "", "accept": []},
        {"name": "kubevirt.prod-1", "namespace": "kubevirt", "image_registry": "r.example:5000/a/b"},
        {"manifest_checksum": f"sha256:{'0' * 64}", "manifest_namespace": "a" * 63},
        {"wait_timeout": 1, "stall_timeout": LONGEST, "accept": ["owner.helm"]},
    ],
)
def test_what_can_be_used(params: dict[str, t.Any]) -> None:
    check_options(params)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("name", "Kube Virt", "The name 'Kube Virt'"),
        ("namespace", "../../nodes", "The namespace '../../nodes'"),
        ("manifest_namespace", "a" * 64, "at most 63"),
        ("image_registry", "quay.io/kubevirt:v1", "without a scheme, a tag"),
        ("manifest_checksum", "sha256:0", "64"),
        ("wait_timeout", 0, "0 is not a number of seconds from 1 to 604800"),
        ("stall_timeout", LONGEST + 1, "604801"),
        ("accept", ["owner.helm", "Owner.ArgoCD "], "'Owner.ArgoCD ' is no finding id. Did you mean owner.argo-cd?"),
        ("accept", ["all"], "'all' is no finding id. Nothing was done."),
    ],
)
def test_what_cannot_be_used_is_named(option: str, value: t.Any, words: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        check_options({option: value})
    message = str(caught.value)
    assert message.startswith(f"{option}: ") and words in message and "Nothing was done." in message
