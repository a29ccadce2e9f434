# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. KubeVirt as a removal sees it: also where parts of it are gone already, its object first of all."""

from __future__ import annotations

from dataclasses import replace

from ..cluster.api import Api
from ..knowledge.releases import NAMESPACE
from .observe import Cluster, Facts, crd_of_kubevirts, observe


def facts_of_the_rest(api: Api, cluster: Cluster, namespace: str) -> Facts:
    """As ``observe``; where there is no KubeVirt object, with the namespace that its parts are in, or were.

    Args:
        api: The cluster.
        cluster: From ``cluster_of``.
        namespace: The one to look into then; empty for where virt-operator is.
    """
    facts = observe(api, cluster)
    if facts.kubevirts:
        return facts
    home = namespace or _home_of_the_operator(api) or NAMESPACE
    return replace(
        facts,
        home=home,
        namespace=api.get_or_none(f"/api/v1/namespaces/{home}"),
        operator=api.get_or_none(f"/apis/apps/v1/namespaces/{home}/deployments/virt-operator"),
        crd=crd_of_kubevirts(api),
    )


def _home_of_the_operator(api: Api) -> str:
    """Where a Deployment virt-operator is, or a namespace that kubevirt-operator.yaml made; empty where there is neither."""
    for path, selector in (
        ("/apis/apps/v1/deployments", "kubevirt.io=virt-operator"),
        ("/api/v1/namespaces", "kubevirt.io"),
    ):
        for one in api.objects(path, label_selector=selector, metadata_only=True):
            return str(one["metadata"].get("namespace") or one["metadata"]["name"])
    return ""
