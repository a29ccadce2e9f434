# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The types of options: what Ansible converts stays so, and a message about the rest names the value unless it is secret."""

from __future__ import annotations

import typing as t

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.option_types import with_our_types

SECRET = "s3cret-value"
SPEC: dict[str, t.Any] = {
    "text": {},
    "count": {"type": "int"},
    "flag": {"type": "bool", "aliases": ["switch"]},
    "names": {"type": "list", "elements": "str"},
    "file": {"type": "path"},
    "anything": {"type": "raw"},
    "token": {"no_log": True},
    "headers": {"type": "dict", "options": {"login": {"no_log": True}, "agent": {}}},
}


def validated(**given: t.Any) -> t.Any:
    return ArgumentSpecValidator(with_our_types(SPEC, given)).validate(given)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("text", 1.8, "1.8"),
        ("count", "3600", 3600),
        ("switch", "yes", True),
        ("names", "a,b", ["a", "b"]),
        ("names", [1], ["1"]),
        ("file", "/a", "/a"),
        ("anything", {"a": 1}, {"a": 1}),
        ("headers", {"agent": "x"}, {"agent": "x", "login": None}),
        ("headers", "agent=x", {"agent": "x", "login": None}),
    ],
)
def test_what_ansible_converts(option: str, value: t.Any, expected: t.Any) -> None:
    result = validated(**{option: value})
    assert result.error_messages == []
    assert result.validated_parameters["flag" if option == "switch" else option] == expected


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("text", ["x"], "['x'] is not text"),
        ("text", {"a": 1}, "{'a': 1} is not text"),
        *(
            ("count", value, f"{value!r} is not a whole number")
            for value in ("long", "", 1.5, "inf", float("inf"), True)
        ),
        ("flag", "maybe", "'maybe' is not true or false"),
        ("names", {"a": 1}, "{'a': 1} is not a list"),
        ("names", [["a"]], "['a'] is not text"),
        ("file", ["/a"], "['/a'] is not a path"),
    ],
)
def test_a_value_that_is_refused_is_named(option: str, value: t.Any, words: str) -> None:
    (message,) = validated(**{option: value}).error_messages
    assert f"'{option}'" in message and message.endswith(words)


@pytest.mark.parametrize(("option", "value"), [("token", [SECRET]), ("headers", SECRET), ("headers", [SECRET])])
def test_a_secret_that_is_refused_is_not_shown(option: str, value: t.Any) -> None:
    result = validated(**{option: value})
    (message,) = result.error_messages
    assert f"'{option}'" in message and "the value is not" in message and SECRET not in message
    assert SECRET in result._no_log_values


def test_a_default_is_taken() -> None:
    spec = {"names": {"type": "list", "elements": "str", "default": []}, "count": {"type": "int", "default": 3}}
    result = ArgumentSpecValidator(with_our_types(spec, {})).validate({})
    assert (result.error_messages, result.validated_parameters) == ([], {"names": [], "count": 3})


def test_secrets_within_a_dictionary_are_still_found() -> None:
    assert SECRET in validated(headers={"login": SECRET})._no_log_values
