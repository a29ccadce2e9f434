# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Gates: what users want to be true of objects in their cluster before anything is changed."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .findings import Finding
from .rules import Rule

Object = Mapping[str, t.Any]


@dataclass(frozen=True)
class Selection:
    """Which objects are read: all of one kind, of one namespace or of all, with these labels or any.

    Attributes:
        api_version: Such as ``v1`` or ``apps/v1``.
        kind: Such as ``Deployment``.
        namespace: Empty for all, and for kinds without namespaces.
        label_selector: As kubectl takes it; empty for any labels.
    """

    api_version: str
    kind: str
    namespace: str = ""
    label_selector: str = ""

    def __str__(self) -> str:
        within = f" in namespace {self.namespace}" if self.namespace else ""
        labels = f" with labels {self.label_selector}" if self.label_selector else ""
        return f"{self.kind}{within}{labels}"


@dataclass(frozen=True)
class Gate:
    """A condition of a user.

    Attributes:
        rule: When a document ``{"items": [...]}`` raises it, and what it says.
        objects: The items.
    """

    rule: Rule
    objects: Selection

    def finding(self, items: Sequence[Object]) -> Finding | None:
        """The finding, if these objects raise it.

        Raises:
            JmespathMissing: The library that reads the expressions is not installed.
        """
        return self.rule.finding({"items": list(items)}, str(self.objects))

    def unread(self, reason: str) -> Finding:
        """The finding that its objects could not be read."""
        return self.rule.undecided(str(self.objects), reason)
