# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API server without a proxy, for the harness itself: plain requests, plain dicts."""

from __future__ import annotations

import base64
import json
import typing as t

import urllib3
import yaml

from tests.support.lab import Json, Lab

USER = "faults"
JSON, MERGE, JSON_PATCH = "application/json", "application/merge-patch+json", "application/json-patch+json"


class Refused(Exception):
    """The server answered with an error other than 404."""


class Server:
    """The lab's API server, as an administrator with a token."""

    def __init__(self, running: Lab) -> None:
        cluster = yaml.safe_load(running.kubeconfig.read_text())["clusters"][0]["cluster"]
        self.address: str = cluster["server"]
        self.token = _token(running)
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._pool = urllib3.PoolManager(ca_cert_data=authority, maxsize=4)

    def close(self) -> None:
        self._pool.clear()

    def get(self, path: str) -> Json | None:
        """An object or a list; None when it is not there."""
        return self.send("GET", path)

    def items(self, path: str) -> list[Json]:
        """The objects of a list; none when there is no such kind."""
        return t.cast("list[Json]", (self.get(path) or {}).get("items") or [])

    def send(self, method: str, path: str, body: t.Any = None, content_type: str = JSON) -> Json | None:
        """Any request; None when the object is not there."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type, "User-Agent": USER}
        data = None if body is None else json.dumps(body).encode()
        answer = self._pool.request(method, self.address + path, body=data, headers=headers, timeout=30.0, retries=3)
        if answer.status == 404:
            return None
        if answer.status >= 400:
            raise Refused(f"{method} {path}: {answer.status} {answer.data.decode()[:1000]}")
        return t.cast(Json, json.loads(answer.data))


def _token(running: Lab) -> str:
    running.kubectl("create", "serviceaccount", USER, "-n", "kube-system", check=False)
    admin = ("--clusterrole=cluster-admin", f"--serviceaccount=kube-system:{USER}")
    running.kubectl("create", "clusterrolebinding", USER, *admin, check=False)
    return running.kubectl("create", "token", USER, "-n", "kube-system", "--duration=24h").strip()
