# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What risks and gates have in common: a finding that an expression over a document raises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .expressions import Document, ExpressionError, names, truth
from .findings import Finding, Level

# So many objects are named in a finding's object, and in its evidence.
FEW = 3
MANY = 20


@dataclass(frozen=True)
class Rule:
    """When something is said, and what.

    Attributes:
        id: The finding's id.
        level: The finding's level.
        acceptable: Whether a person may go on all the same.
        message: What may happen.
        fix: What to do.
        url: Where more is said about it; may be empty.
        condition: A JMESPath expression that is true or false.
        raised_when: Which of both raises the finding.
        affected: A JMESPath expression that gives the names of the objects that it is about; may be empty.
        place: Where it is written down, as ``file, line 3``; empty for those of the collection.
    """

    id: str
    level: Level
    acceptable: bool
    message: str
    fix: str
    condition: str
    url: str = ""
    raised_when: bool = True
    affected: str = ""
    place: str = ""

    def finding(self, document: Document, about: str) -> Finding | None:
        """The finding, if the document raises it.

        Args:
            document: What the expressions are about.
            about: The finding's object where no affected ones are named.

        Raises:
            JmespathMissing: No expression can be read.
        """
        try:
            if truth(self.condition, document) is not self.raised_when:
                return None
            affected = names(self.affected, document) if self.affected else []
        except ExpressionError as error:
            return self.undecided(about, str(error))
        return Finding(
            id=self.id,
            level=self.level,
            object=_first(affected, FEW) or about,
            cause=self.message,
            evidence=_first(affected, MANY) if len(affected) > FEW else "",
            fix=self.fix,
            url=self.url,
            acceptable=self.acceptable,
        )

    def undecided(self, about: str, reason: str) -> Finding:
        """The finding that nobody can tell whether the rule applies here. A blocker blocks then too, and can be accepted."""
        return Finding(
            id=self.id,
            level="blocker" if self.level == "blocker" else "warning",
            object=about,
            cause=f"It cannot be told whether this applies here: {self.message}",
            evidence=reason,
            fix=f"Mend that, or correct the entry ({self.place}). Accept {self.id} only if it does not matter here."
            if self.place
            else f"Look yourself; {self.url} says how. Then accept {self.id}, if it does not apply.",
            url=self.url,
            acceptable=True,
        )


def _first(affected: Sequence[str], most: int) -> str:
    """The first names, and how many more there are."""
    more = len(affected) - most
    return ", ".join(affected[:most]) + (f" and {more} more" if more > 0 else "")
