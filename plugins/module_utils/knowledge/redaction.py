# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Objects and texts without what is secret in them, so that they can be sent to others.

What is secret is told by where it stands (the data of a Secret, a field or a variable with such a name) and by how it looks (a
private key, a bearer token, a password in an address). Too much is taken away rather than too little.
"""

from __future__ import annotations

import contextlib
import json
import re
import typing as t
from collections.abc import Collection, Iterable, Iterator, Mapping

REMOVED = "(removed)"

_WORDS = r"passw(?:or)?d|passphrase|secret|token|credentials?|api[_-]?key|access[_-]?key|private[_-]?key|client[_-]key|auth(?:orization)?"
_NAME = re.compile(
    rf"(?:^|[^a-z0-9])(?:{_WORDS}|dockerconfigjson|dockercfg|user[_-]data)(?:$|[^a-z0-9])", re.IGNORECASE
)
# Names of fields that hold the name of a secret, or a number: they say nothing, and a person needs them.
_HARMLESS = re.compile(
    r"(?:name|names|ref|path|file|seconds|type|mount|audience)$|^(?:secret|secrets|ca)$", re.IGNORECASE
)
_FLAG = re.compile(r"-\S+")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Each of the patterns below needs one of these; most texts have none, and there may be those of ten thousand VMs.
_SUSPICIOUS = re.compile(rf"PRIVATE KEY|eyJ|://|bearer|basic|key-data|{_WORDS}", re.IGNORECASE)

_TEXTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL),
        REMOVED,
    ),
    # a JSON Web Token, such as a service account's
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"), REMOVED),
    (re.compile(r"\b(bearer|basic)(\s+)(?!realm\b|token\b|auth)[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1\2{REMOVED}"),
    (re.compile(r"(://[^\s/:@\"']*):[^\s/@\"']+@"), rf"\1:{REMOVED}@"),
    # name: value, name=value, --name value, and the same in JSON, also where that stands as text in JSON. PASSWORD itself is what
    # commands have where a person is to write one.
    (
        re.compile(
            rf"([\w.-]*(?:{_WORDS}|(?:client|tls)-key-data)\\*[\"']?\s*[:=]\s*)(\\*[\"'])(?:(?!\2).)+(\2)",
            re.IGNORECASE,
        ),
        rf"\1\2{REMOVED}\3",
    ),
    (
        re.compile(
            rf"([\w.-]*(?:{_WORDS}|client-key-data)\\*[\"']?\s*[:=]\s*)(?![\"'\\{{\[(]|(?:bearer|basic)\s|PASSWORD\b)[^\s,;&\"'\\}}\])]+",
            re.IGNORECASE,
        ),
        rf"\1{REMOVED}",
    ),
    (re.compile(rf"(--?[\w-]*(?:{_WORDS})\s+)(?!-)[^\s\"']+", re.IGNORECASE), rf"\1{REMOVED}"),
)


def redacted(value: t.Any, known: Collection[str] = ()) -> t.Any:
    """A copy of an object, a list or a text without its secrets.

    Args:
        value: What JSON can hold.
        known: Secrets that are known by their value, such as the token that logs us in. They are removed wherever they stand.
    """
    if isinstance(value, str):
        return redacted_text(value, known)
    if isinstance(value, list):
        return _without_values_of_flags([redacted(one, known) for one in value])
    if not isinstance(value, Mapping):
        return value
    is_secret = value.get("kind") == "Secret"
    is_variable = isinstance(value.get("value"), str) and is_secret_name(str(value.get("name", "")))
    return {
        key: _emptied(child)
        if (is_secret and key in ("data", "stringData")) or (is_variable and key == "value")
        else _of_a_field(key, child, known)
        for key, child in value.items()
    }


def redacted_text(text: str, known: Collection[str] = ()) -> str:
    """A text without its secrets, such as a log or a message."""
    for secret in sorted(filter(str.strip, known), key=len, reverse=True):
        text = text.replace(secret, REMOVED)
    if text.startswith("{"):  # an annotation that holds an object
        with contextlib.suppress(ValueError):
            text = json.dumps(redacted(json.loads(text), known))
    if not _SUSPICIOUS.search(text):
        return text
    for pattern, instead in _TEXTS:
        text = pattern.sub(instead, text)
    return text


def is_secret_name(name: str) -> bool:
    """Whether a field, a variable or a flag of this name holds a secret: ``DB_PASSWORD``, ``apiKey``, ``example.com/token``."""
    words = _HUMPS.sub("_", name)
    return bool(_NAME.search(words.replace("_", "-"))) and not _HARMLESS.search(name)


def _of_a_field(name: str, value: t.Any, known: Collection[str]) -> t.Any:
    if is_secret_name(str(name)):
        if isinstance(value, str) and value:
            return REMOVED
        if isinstance(value, Mapping) and isinstance(value.get("value"), str):  # a variable, as diffs have it
            return {**redacted(value, known), "value": REMOVED}
    return redacted(value, known)


def _emptied(value: t.Any) -> t.Any:
    """The same names without their values."""
    return dict.fromkeys(value, REMOVED) if isinstance(value, Mapping) else REMOVED


def _without_values_of_flags(words: list[t.Any]) -> list[t.Any]:
    """A command line in which what follows a flag such as ``--token`` is removed."""
    return [
        REMOVED if isinstance(word, str) and flag and is_secret_name(flag.lstrip("-")) else word
        for word, flag in with_flags(words)
    ]


def with_flags(words: Iterable[t.Any]) -> Iterator[tuple[t.Any, str]]:
    """Each word of a command line, and the flag whose value it may be; empty where none stands in front of it."""
    before = ""
    for word in words:
        yield word, "" if str(word).startswith("-") else before
        before = word if isinstance(word, str) and _FLAG.fullmatch(word) else ""
