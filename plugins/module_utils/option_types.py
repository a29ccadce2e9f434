# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The types of options, as Ansible converts them, with messages that name the value.

Some releases of ansible-core leave the value out, fail on an infinite number, or take a list as text and ``true`` as 1.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping

from ansible.module_utils.common.validation import (
    check_type_bool,
    check_type_dict,
    check_type_int,
    check_type_list,
    check_type_path,
    check_type_str,
)

Spec = dict[str, t.Any]


class _Kind(t.NamedTuple):
    """How Ansible converts a value, what it would convert although nobody can mean that, and what a value is called."""

    convert: Callable[[t.Any], t.Any]
    refused: tuple[type, ...]
    words: str


_KINDS = {
    "bool": _Kind(check_type_bool, (), "true or false"),
    "dict": _Kind(check_type_dict, (), "a dictionary"),
    "int": _Kind(check_type_int, (bool,), "a whole number"),
    "list": _Kind(check_type_list, (), "a list"),
    "path": _Kind(check_type_path, (list, dict), "a path"),
    "str": _Kind(check_type_str, (list, dict), "text"),
}


def with_our_types(spec: Mapping[str, Spec], given: Mapping[str, t.Any]) -> dict[str, Spec]:
    """The argument spec with types that say which value they refuse.

    Args:
        spec: As a module declares it.
        given: The values. A dictionary with options of its own is left to Ansible, which looks for secrets in it.
    """
    return {name: _typed(option, given.get(name)) for name, option in spec.items()}


def _typed(option: Spec, value: t.Any) -> Spec:
    kind = option.get("type", "str")
    if kind not in _KINDS or (kind == "dict" and _converted("dict", value) is not None):
        return option
    if kind == "dict":  # what was meant as its options may hold secrets
        option = {key: one for key, one in option.items() if key != "options"} | {"no_log": bool(str(value).strip())}
    typed = option | {"type": _refusing(kind, bool(option.get("no_log")))}
    if option.get("elements") in _KINDS:
        typed["elements"] = _refusing(option["elements"], bool(option.get("no_log")))
    return typed


def _refusing(kind: str, is_secret: bool) -> Callable[[t.Any], t.Any]:
    def convert(value: t.Any) -> t.Any:
        converted = _converted(kind, value)
        if converted is None:
            raise TypeError(f"{'the value' if is_secret else repr(value)} is not {_KINDS[kind].words}")
        return converted

    convert.__name__ = kind  # which is how ansible-core calls the type in its message
    return convert


def _converted(kind: str, value: t.Any) -> t.Any:
    """The value as Ansible converts it; None where it cannot be."""
    if isinstance(value, _KINDS[kind].refused):
        return None
    try:
        return _KINDS[kind].convert(value)
    except (TypeError, ValueError, ArithmeticError):  # the last one for an infinite number
        return None
