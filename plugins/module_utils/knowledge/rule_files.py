# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Users' files of risks and of gates, described in docs/risks.md."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Iterable, Sequence

from . import expressions
from .expressions import ExpressionError
from .findings import Level
from .gates import Gate, Selection
from .risks import Risk
from .rules import Rule
from .user_file import Fields, UserFileError, Wrong, composed, fields_of, items_of, line_of, one_of, text_of
from .version_ranges import ANY_VERSION, VersionRange, VersionRangeError

# The ids of users are apart from those of the catalogue, whatever it will have one day.
_ID = re.compile(r"user\.[a-z0-9]+(-[a-z0-9]+)*")
_URL = re.compile(r"https?://\S+")
_API_VERSION = re.compile(r"([a-z0-9.-]+/)?v[0-9]+((alpha|beta)[0-9]+)?")
_KIND = re.compile(r"[A-Z][A-Za-z0-9]*")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

# A risk without a condition is one of everybody on the hop.
_ALWAYS = "`true`"

LEVELS: tuple[Level, ...] = ("info", "warning", "blocker")
_OF_BOTH = ("id", "level", "message", "fix", "url", "when", "affected")
RISK_KEYS = (*_OF_BOTH, "from", "to")
GATE_KEYS = (*_OF_BOTH, "require", "objects")
OBJECTS_KEYS = ("api_version", "kind", "namespace", "label_selector")

_Entry = t.TypeVar("_Entry", Risk, Gate)


def parse_risks(text: str, name: str) -> tuple[Risk, ...]:
    """The risks of a user's file.

    Args:
        text: YAML or JSON.
        name: What to call the file in an error message, such as its path.

    Raises:
        UserFileError: ``text`` is no file of risks.
        JmespathMissing: The library that reads the expressions is not installed.
    """
    return _parsed(text, name, "risk", RISK_KEYS, _risk)


def parse_gates(text: str, name: str) -> tuple[Gate, ...]:
    """The gates of a user's file; arguments and errors as for ``parse_risks``."""
    return _parsed(text, name, "gate", GATE_KEYS, _gate)


def check_ids(rules: Iterable[Rule]) -> None:
    """Refuses two rules with the same id, of one file or of several: nobody could accept one of them only.

    Raises:
        UserFileError: There are two.
    """
    places: dict[str, str] = {}
    for rule in rules:
        if rule.id in places:
            raise UserFileError(f"{rule.place}: expected each id once; found {rule.id} that {places[rule.id]} has too.")
        places[rule.id] = rule.place


def _parsed(
    text: str, name: str, what: str, keys: Sequence[str], entry_of: Callable[[Fields, str], _Entry]
) -> tuple[_Entry, ...]:
    try:
        nodes = items_of(composed(text, name), f"a list of {what}s")
    except Wrong as wrong:
        raise UserFileError(f"{wrong.place(name)}: {wrong.sentence}") from None
    entries = []
    for index, node in enumerate(nodes, 1):
        entry = f"{what} {index}"
        try:
            fields = fields_of(node, f"a mapping with {', '.join(keys)}", keys)
            entry = text_of(fields.values.get("id")) or entry
            entries.append(entry_of(fields, f"{name}, line {line_of(node)}"))
        except Wrong as wrong:
            raise UserFileError(f"{wrong.place(name)}, {entry}: {wrong.sentence}") from None
    check_ids(entry.rule for entry in entries)
    return tuple(entries)


def _risk(fields: Fields, place: str) -> Risk:
    return Risk(_rule(fields, place, "when"), _range(fields, "from"), _range(fields, "to"))


def _gate(fields: Fields, place: str) -> Gate:
    if ("when" in fields) == ("require" in fields):
        found = "both" if "when" in fields else "neither"
        raise Wrong(fields.node, "either when (what must not be) or require (what must be)", found)
    rule = _rule(fields, place, "require" if "require" in fields else "when")
    return Gate(rule, _selection(fields))


def _rule(fields: Fields, place: str, condition: str) -> Rule:
    return Rule(
        id=_matching(fields, "id", _ID, "an id that begins with user. such as user.backup-is-old"),
        level=t.cast(Level, one_of(fields.required("level"), LEVELS)),
        acceptable=True,
        message=" ".join(fields.text("message").split()),
        fix=" ".join(fields.text("fix").split()),
        url=_matching(fields, "url", _URL, "an address such as https://example.com/why") if "url" in fields else "",
        condition=_expression(fields, condition) if condition in fields else _ALWAYS,
        raised_when=condition == "when",
        affected=_expression(fields, "affected") if "affected" in fields else "",
        place=place,
    )


def _expression(fields: Fields, key: str) -> str:
    text = fields.text(key).strip()
    try:
        expressions.check(text)
    except ExpressionError as error:
        raise Wrong(fields.values[key], f"a JMESPath expression for {key}", f"{text!r}: {error}") from None
    return text


def _range(fields: Fields, key: str) -> VersionRange:
    if key not in fields:
        return ANY_VERSION
    try:
        return VersionRange.parse(fields.text(key))
    except VersionRangeError as error:
        raise Wrong(fields.values[key], f"versions for {key} such as 1.6 or >=1.6, <v1.7.2", str(error)) from None


def _selection(entry: Fields) -> Selection:
    expected = "objects such as {api_version: apps/v1, kind: Deployment, namespace: backup}"
    if "objects" not in entry:
        raise Wrong(entry.node, expected, "none")
    fields = fields_of(entry.values["objects"], expected, OBJECTS_KEYS)
    return Selection(
        api_version=_matching(fields, "api_version", _API_VERSION, "an API version such as v1 or apps/v1"),
        kind=_matching(fields, "kind", _KIND, "a kind such as Deployment"),
        namespace=_matching(fields, "namespace", _NAMESPACE, "a namespace") if "namespace" in fields else "",
        label_selector=fields.text("label_selector") if "label_selector" in fields else "",
    )


def _matching(fields: Fields, key: str, pattern: re.Pattern[str], expected: str) -> str:
    text = fields.text(key)
    if not pattern.fullmatch(text):
        raise Wrong(fields.values[key], expected)
    return text
