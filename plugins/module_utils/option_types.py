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
        given: The values. Lists and dictionaries are left to Ansible, which goes into them by the name of their type.
    """
    return {name: _typed(option, name in given, given.get(name)) for name, option in spec.items()}


def _typed(option: Spec, is_given: bool, value: t.Any) -> Spec:
    kind, is_secret = option.get("type", "str"), bool(option.get("no_log"))
    if kind not in _KINDS:
        return option
    typed = dict(option)
    if kind in ("dict", "list"):
        if option.get("elements") in _KINDS:
            typed["elements"] = _refusing(option["elements"], is_secret)
        if not is_given or _converted(kind, value) is not None:
            return typed
        for inside in ("elements", "options"):
            typed.pop(inside, None)
        if "options" in option:  # some of which may be secret
            is_secret = typed["no_log"] = bool(str(value).strip())
    typed["type"] = _refusing(kind, is_secret)
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
