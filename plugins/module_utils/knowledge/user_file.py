# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Files that users write, read with the line of every part for the messages about it.

The YAML nodes are read, not the values that YAML makes of them: 1.10 stays 1.10 there, where its value is the number 1.1.
"""

from __future__ import annotations

import difflib
import typing as t
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

try:
    import yaml
except ImportError:  # said when a file is to be read
    yaml = None  # type: ignore[assignment]

_NULL = "tag:yaml.org,2002:null"

_Key = t.TypeVar("_Key", bound=t.Hashable)


class UserFileError(ValueError):
    """What is wrong with a user's file: the file, the line, what is expected there and what was found."""


class Wrong(Exception):
    """A node is not what is expected; ``found`` where that is not its own text."""

    def __init__(self, node: yaml.Node | None, expected: str, found: str | None = None) -> None:
        self.sentence = f"expected {expected}; found {found or described(node)}."
        self._line = f", line {line_of(node)}" if node else ""
        super().__init__(self.sentence)

    def place(self, name: str) -> str:
        """Where the node is in the file of this name."""
        return f"{name}{self._line}"


@dataclass(frozen=True)
class Fields:
    """The values of a mapping by their keys, and its own node."""

    node: yaml.Node
    values: Mapping[str, yaml.Node]

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def text(self, key: str) -> str:
        """The text of the value, which must be there."""
        return text_of(self.required(key))

    def required(self, key: str) -> yaml.Node:
        """The value, which must be there and be a text.

        Raises:
            Wrong: There is none, or it is empty, a list or a mapping.
        """
        if key not in self.values:
            raise Wrong(self.node, key, "none")
        if not text_of(self.values[key]).strip():
            raise Wrong(self.values[key], f"a text for {key}")
        return self.values[key]


def composed(text: str, name: str) -> yaml.Node | None:
    """The root node of one YAML or JSON document; None where it is empty.

    Args:
        text: The file's content.
        name: What to call the file in an error message, such as its path.

    Raises:
        UserFileError: It is neither.
    """
    if yaml is None:
        raise UserFileError(f"{name}: the Python library PyYAML is missing, so it cannot be read; install it.")
    # JSON allows tabs between its parts, and only there; the loader does not.
    spaced = text.replace("\t", " ") if text.lstrip()[:1] in ("{", "[") else text
    try:
        # The loader in C would be quicker, and crashes the process on deeply nested text.
        return yaml.compose(spaced, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or " ".join(str(error).split())
        raise UserFileError(f"{name}{line}: expected YAML or JSON; found an error: {reason}.") from None


def line_of(node: yaml.Node) -> int:
    """The line that the node begins on, counted from 1."""
    return int(node.start_mark.line) + 1


def items_of(node: yaml.Node | None, expected: str) -> list[yaml.Node]:
    """The items of a list with at least one.

    Raises:
        Wrong: It is none.
    """
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        raise Wrong(node, expected)
    return list(node.value)


def fields_of(node: yaml.Node | None, expected: str, keys: Sequence[str]) -> Fields:
    """The values of a mapping with these ``keys``, each of which may be left out; errors as for ``mapping_of``."""
    values = mapping_of(node, expected, lambda key: one_of(key, keys))
    return Fields(t.cast(yaml.Node, node), values)


def mapping_of(node: yaml.Node | None, expected: str, key_of: Callable[[yaml.Node], _Key]) -> dict[_Key, yaml.Node]:
    """The values of a mapping by what ``key_of`` makes of their keys.

    Raises:
        Wrong: It is none, ``key_of`` refuses a key, or two are the same, of which YAML itself would take the last.
    """
    if not isinstance(node, yaml.MappingNode):
        raise Wrong(node, expected)
    found: dict[_Key, yaml.Node] = {}
    for key_node, value in node.value:
        key = key_of(key_node)
        if key in found:
            raise Wrong(key_node, "each key once", f"{described(key_node)} a second time")
        found[key] = value
    return found


def one_of(node: yaml.Node, names: Collection[str]) -> str:
    """The node's text, if it is one of ``names``.

    Raises:
        Wrong: It is another one; a name that is much like it is suggested.
    """
    text = text_of(node)
    if text not in names:
        alike = difflib.get_close_matches(text, list(names), n=1)
        hint = f" (did you mean {alike[0]}?)" if alike else ""
        raise Wrong(node, alternatives(list(names)), f"{described(node)}{hint}")
    return text


def text_of(node: yaml.Node | None) -> str:
    """The text of a value as it was written; empty for null, a list, a mapping, or no node."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) and node.tag != _NULL else ""


def described(node: yaml.Node | None) -> str:
    """What a node is, for a message."""
    if isinstance(node, yaml.SequenceNode):
        return "a list" if node.value else "an empty list"
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return repr(text_of(node)) if text_of(node) else "nothing"


def alternatives(names: Sequence[str]) -> str:
    """``a, b or c``."""
    return f"{', '.join(names[:-1])} or {names[-1]}"
