# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JMESPath expressions: what is said about one that cannot be read, or gives no answer."""

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import expressions
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.expressions import (
    ExpressionError,
    JmespathMissing,
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("items[", "it ends too early, at position 7"),
        ("a &&", "it ends too early, at position 5"),
        ("items ]", "']' does not fit, at position 7"),
        ("a = 'b'", "'=' does not fit, at position 3"),
        ("a == 'b", '"\'b" does not fit, at position 6'),
        ("a.b\n.#", "'#' does not fit, at position 6"),
        ("length(items) > len(crds)", "JMESPath has no function len(), at position 17"),
        ("mylen.b || sort_by(a, &len (b)) == a", "JMESPath has no function len(), at position 24"),
        ("(" * 5000, "it is nested too deeply"),
    ],
)
def test_what_cannot_be_read_and_where(text: str, said: str) -> None:
    with pytest.raises(ExpressionError, match=re.escape(said)):
        expressions.check(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`true`", True),
        ("counts.vms > `1`", True),
        ("counts.vms > `2`", False),
        ("counts.none == `null`", True),
        ("length(nodes[?ready]) == `1` && counts.vms == `2`", True),
        ("nodes[0].labels.\"a.b/c\" == 'd'", True),
        ("length(nodes[:1]) == `1`", True),
    ],
)
def test_truth(text: str, expected: bool) -> None:
    expressions.check(text)
    assert expressions.truth(text, DOCUMENT) is expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("counts.none", "it gives null, so something in it is not there, not true or false"),
        ("counts.none > `0`", "it gives null"),
        ("counts.vms", "it gives 2, not true or false"),
        ("nodes", "it gives a list"),
        ("counts", "it gives a mapping"),
        ("nodes[0].name", "it gives a text"),
        ("length(crds)", "length() expects string or array or object; it is given null"),
        ("length(crds, crds)", "Expected 1 argument for function length(), received 2"),
    ],
)
def test_what_is_neither_true_nor_false(text: str, said: str) -> None:
    expressions.check(text)
    with pytest.raises(ExpressionError, match=re.escape(said)):
        expressions.truth(text, DOCUMENT)


def test_names() -> None:
    assert expressions.names("nodes[].name", DOCUMENT) == ["a", "b"]


@pytest.mark.parametrize("text", ["nodes[0].name", "nodes[].ready", "nothing", "nodes"])
def test_what_are_no_names(text: str) -> None:
    with pytest.raises(ExpressionError, match="not a list of names"):
        expressions.names(text, DOCUMENT)


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expressions, "jmespath", None)
    with pytest.raises(JmespathMissing, match=r"jmespath is missing.*; install it"):
        expressions.check("an_expression_that_nobody_read_before")


DOCUMENT: dict[str, t.Any] = {
    "counts": {"vms": 2},
    "nodes": [{"name": "a", "ready": True, "labels": {"a.b/c": "d"}}, {"name": "b", "ready": False}],
}
