# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Planted secrets do not come through, and what a person needs to understand a failure does."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.redaction import (
    REMOVED,
    is_secret_name,
    redacted,
    redacted_text,
)

PLANTED = "pl4nted-S3cret"
JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6IiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nplanted\n-----END RSA PRIVATE KEY-----"
KUBECONFIG = f"users:\n- name: me\n  user:\n    client-key-data: {PLANTED}\n    token: {PLANTED}\n"

TEXTS = [
    f"Authorization: Bearer {PLANTED}",
    f"curl -H 'authorization: bearer {PLANTED}'",
    f"Authorization: Basic {PLANTED}==",
    f"token={PLANTED}",
    f'"token":"{PLANTED}"',
    f'{{"auths":{{"r.example":{{"auth":"{PLANTED}"}}}}}}',
    json.dumps(json.dumps({"password": PLANTED})),
    f"password: {PLANTED}",
    f"DB_PASSWORD={PLANTED} started",
    f"--api-key {PLANTED} --verbose",
    f"--token={PLANTED}",
    f"pulling https://me:{PLANTED}@registry.example.com/v2/: 401",
    f"client_secret='{PLANTED} of two words'",
    f"level=info apiKey={PLANTED}",
    f"https://example.com/hook?access_token={PLANTED}&x=1",
    KUBECONFIG,
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_without_its_secret(text: str) -> None:
    result = redacted_text(text)
    print(result)
    assert PLANTED not in result and "of two words" not in result
    assert REMOVED in result


def test_a_private_key_and_a_web_token_are_known_by_their_looks() -> None:
    result = redacted_text(f"before {KEY} between {JWT} after")
    assert result == f"before {REMOVED} between {REMOVED} after"


def test_a_private_key_that_was_cut_off() -> None:
    assert redacted_text(KEY[:60]) == REMOVED


@pytest.mark.parametrize(
    "text",
    [
        'Back-off pulling image "quay.io/kubevirt/virt-operator:v1.8.4"',
        'secret "kubevirt-ca" not found',
        "no certificate population strategy found for secret kubevirt-operator-certs",
        'MountVolume.SetUp failed for volume "kube-api-access": token requests are forbidden',
        'failed calling webhook "kubevirt-validator.kubevirt.io": x509: certificate signed by unknown authority',
        "0/3 nodes are available: 3 Insufficient memory.",
        "https://github.com/kubevirt/kubevirt/issues/15018",
        "exit code 137",
        "kubectl create secret docker-registry mirror --docker-username=USER --docker-password=PASSWORD",
    ],
)
def test_what_says_why_is_kept(text: str) -> None:
    assert redacted_text(text) == text


def test_known_secrets_are_removed_wherever_they_stand() -> None:
    assert redacted_text("x abc123 y", ["abc123"]) == f"x {REMOVED} y"
    assert redacted({"a": ["it was abc123"]}, ["abc123"]) == {"a": [f"it was {REMOVED}"]}
    assert redacted_text("nothing", ["", " "]) == "nothing", "a blank would be everywhere"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DB_PASSWORD", True),
        ("apiKey", True),
        ("api_key", True),
        ("accessToken", True),
        ("example.com/token", True),
        ("client-key-data", True),
        (".dockerconfigjson", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("userData", True),
        ("secretName", False),
        ("secretKeyRef", False),
        ("imagePullSecrets", False),
        ("expirationSeconds", False),
        ("tokenExpirationSeconds", False),
        ("secret", False),
        ("VIRT_API_IMAGE", False),
        ("author", False),
        ("tokenizer", False),
        ("kubevirt.io/install-strategy-identifier", False),
    ],
)
def test_names_of_secrets(name: str, expected: bool) -> None:
    assert is_secret_name(name) is expected


OBJECTS: list[dict[str, t.Any]] = [
    {"kind": "Secret", "metadata": {"name": "s"}, "data": {"a": PLANTED}, "stringData": {"b": PLANTED}},
    {"spec": {"containers": [{"env": [{"name": "REGISTRY_PASSWORD", "value": PLANTED}]}]}},
    {"metadata": {"annotations": {"example.com/api-token": PLANTED}}},
    {"metadata": {"annotations": {"note": f"log in with password={PLANTED}"}}},
    {"metadata": {"annotations": {"last": json.dumps({"env": [{"name": "x", "token": PLANTED}]})}}},
    {"metadata": {"annotations": {"last": json.dumps({"env": [{"name": "DB_PASSWORD", "value": PLANTED}]})}}},
    {"spec": {"containers": [{"args": ["--token", PLANTED, "--v=2"], "command": [f"--password={PLANTED}"]}]}},
    {"users": [{"user": {"token": PLANTED, "client-key-data": PLANTED, "password": PLANTED}}]},
    {"spec": {"accessCredentials": {"userData": PLANTED}}},
    {"status": {"conditions": [{"message": f"401 from https://u:{PLANTED}@r.example"}]}},
    {"containers": {"virt-operator": {"env": {"REGISTRY_PASSWORD": {"value": PLANTED}}}}},
]


@pytest.mark.parametrize("value", OBJECTS)
def test_an_object_without_its_secrets(value: dict[str, t.Any]) -> None:
    before = json.dumps(value)
    result = json.dumps(redacted(value))
    print(result)
    assert PLANTED not in result
    assert json.dumps(value) == before, "what is handed in stays as it is"


def test_lines_of_a_page_are_no_flags() -> None:
    lines = ["- the Secret with the token of a robot", "- and what comes next"]
    assert redacted(lines) == lines


def test_what_says_which_secret_is_used_is_kept() -> None:
    value = {
        "spec": {
            "volumes": [{"name": "certs", "secret": {"secretName": "kubevirt-operator-certs", "optional": True}}],
            "containers": [
                {
                    "args": ["--port", "8443", "-v", "2"],
                    "env": [
                        {"name": "VIRT_API_IMAGE", "value": "quay.io/kubevirt/virt-api:v1.8.4"},
                        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                    ],
                }
            ],
            "automountServiceAccountToken": True,
            "imagePullSecrets": [{"name": "pull"}],
        }
    }
    assert redacted(value) == value
