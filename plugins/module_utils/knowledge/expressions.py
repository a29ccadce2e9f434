# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. JMESPath expressions: whether one can be read, and what it gives for a document."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator, Mapping
from functools import lru_cache

try:
    import jmespath
    from jmespath import exceptions as jmespath_exceptions
    from jmespath.functions import Functions
except ImportError:  # said when an expression is to be read
    jmespath = None

Document = Mapping[str, t.Any]


class ExpressionError(ValueError):
    """Why an expression cannot be read, and where in it; or why it gives no answer for a document."""


class JmespathMissing(RuntimeError):
    """The Python library jmespath, which the collection needs, is not installed."""

    def __init__(self) -> None:
        super().__init__("The Python library jmespath is missing, so no risk or gate can be judged; install it.")


def check(text: str) -> None:
    """Raises what speaks against this expression whatever the document is.

    Raises:
        ExpressionError: It is no JMESPath, or it calls a function that JMESPath does not have.
        JmespathMissing: No expression can be read.
    """
    for name in _functions(_compiled(text).parsed):
        if name not in Functions.FUNCTION_TABLE:
            call = re.search(rf"\b{name}\s*\(", text)
            raise ExpressionError(f"JMESPath has no function {name}(), at position {call.start() + 1 if call else 1}")


def truth(text: str, document: Document) -> bool:
    """Whether the expression is true for the document.

    Raises:
        ExpressionError: It fails, or gives something else than true or false.
        JmespathMissing: No expression can be read.
    """
    value = _value(text, document)
    if not isinstance(value, bool):
        raise ExpressionError(f"it gives {_described(value)}, not true or false")
    return value


def names(text: str, document: Document) -> list[str]:
    """The list of names that the expression gives for the document.

    Raises:
        ExpressionError: It fails, or gives something else than a list of texts.
        JmespathMissing: No expression can be read.
    """
    value = _value(text, document)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ExpressionError(f"it gives {_described(value)}, not a list of names")
    return value


def _value(text: str, document: Document) -> t.Any:
    compiled = _compiled(text)
    try:
        return compiled.search(document)
    except jmespath_exceptions.JMESPathTypeError as error:
        given, expected = _described(error.current_value), " or ".join(error.expected_types)
        raise ExpressionError(f"{error.function_name}() expects {expected}; it is given {given}") from None
    except (jmespath_exceptions.JMESPathError, ArithmeticError, LookupError, RecursionError, TypeError) as error:
        raise ExpressionError(" ".join(str(error).split())) from None


@lru_cache(maxsize=256)
def _compiled(text: str) -> t.Any:
    if jmespath is None:
        raise JmespathMissing
    try:
        return jmespath.compile(text)
    except jmespath_exceptions.EmptyExpressionError:
        raise ExpressionError("it is empty") from None
    except jmespath_exceptions.IncompleteExpressionError:
        raise ExpressionError(f"it ends too early, at position {len(text) + 1}") from None
    except jmespath_exceptions.ParseError as error:
        raise ExpressionError(f"{error.token_value!r} does not fit, at position {error.lex_position + 1}") from None
    except RecursionError:
        raise ExpressionError("it is nested too deeply") from None


def _functions(node: Mapping[str, t.Any]) -> Iterator[str]:
    """The names of the functions that an expression calls."""
    if node["type"] == "function_expression":
        yield node["value"]
    for child in node["children"]:
        if isinstance(child, dict):
            yield from _functions(child)


def _described(value: t.Any) -> str:
    if value is None:
        return "null, so something in it is not there"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, list):
        return "a list"
    return "a mapping" if isinstance(value, dict) else str(value)
