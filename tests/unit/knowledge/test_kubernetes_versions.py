# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kubernetes' minor versions and their ranges."""

from __future__ import annotations

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.kubernetes_versions import (
    KubernetesRange,
    KubernetesVersion,
    KubernetesVersionError,
)


def between(low: str, high: str, promised: bool = True) -> KubernetesRange:
    return KubernetesRange(KubernetesVersion.parse(low), KubernetesVersion.parse(high), promised)


@pytest.mark.parametrize("text", ["1.34", "v1.34.4", "v1.34.4+k3s1", "v1.34.5-gke.100", "1.34+", "1.34.0-alpha.1"])
def test_parse(text: str) -> None:
    assert KubernetesVersion.parse(text) == KubernetesVersion(1, 34)


@pytest.mark.parametrize("text", ["", "1", "latest", "1.x", "1.34beta", " 1.34"])
def test_parse_refuses_what_is_no_version(text: str) -> None:
    with pytest.raises(KubernetesVersionError, match=r"write it as 1\.34") as raised:
        KubernetesVersion.parse(text)
    assert repr(text) in str(raised.value)


def test_order_is_that_of_numbers() -> None:
    assert KubernetesVersion(1, 9) < KubernetesVersion(1, 10) < KubernetesVersion(2, 0)


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (("1.32", "1.34"), ("1.33", "1.35"), "1.33 to 1.34"),
        (("1.22", "1.24"), ("1.24", "1.26"), "1.24"),
        (("1.22", "1.24"), ("1.25", "1.26"), "None"),
        (("1.10", "1.13"), ("1.9", "1.15"), "1.10 to 1.13"),
    ],
)
def test_what_two_ranges_share(one: tuple[str, str], other: tuple[str, str], shared: str) -> None:
    assert str(between(*one).shared_with(between(*other))) == shared
    assert str(between(*other).shared_with(between(*one))) == shared


def test_what_is_shared_is_promised_where_both_are() -> None:
    promised, tested = between("1.21", "1.24"), between("1.21", "1.23", promised=False)
    assert promised.shared_with(tested) == tested
    assert promised.shared_with(promised) == promised
