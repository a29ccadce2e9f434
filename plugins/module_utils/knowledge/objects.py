# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. How objects are named for people, and where the API serves those of kubevirt-operator.yaml."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_PLURALS = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "CustomResourceDefinition": "customresourcedefinitions",
    "Deployment": "deployments",
    "Namespace": "namespaces",
    "PriorityClass": "priorityclasses",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ServiceAccount": "serviceaccounts",
}


def path_of(manifest_object: Mapping[str, t.Any]) -> str:
    """The API path of an object of kubevirt-operator.yaml."""
    api_version, metadata = manifest_object["apiVersion"], manifest_object["metadata"]
    prefix = "/api/v1" if api_version == "v1" else f"/apis/{api_version}"
    within = f"/namespaces/{metadata['namespace']}" if metadata.get("namespace") else ""
    return f"{prefix}{within}/{_PLURALS[manifest_object['kind']]}/{metadata['name']}"


def check_name(name: str) -> None:
    """A ValueError if no object can have this name."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"The name {name!r} is not one of an object; use at most 253 lower-case letters, digits, hyphens and dots."
        )


def object_name(live: Mapping[str, t.Any]) -> str:
    """``Kind namespace/name``, or ``Kind name``: how findings and actions name an object."""
    metadata = live["metadata"]
    namespace = metadata.get("namespace")
    return f"{live.get('kind', 'Object')} {namespace + '/' if namespace else ''}{metadata['name']}"
