# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API servers of many simulated clusters in one process: python -m tests.bench.fleet.server FOLDER

FOLDER has fleet.json, and key.pem and cert.pem. Each cluster has a path of its own, ``/NAME``. When it listens, ``port`` is in the
folder; ``/NAME/writes`` gives what that cluster was asked to write.
"""

from __future__ import annotations

import json
import ssl
import sys
import time
import typing as t
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from tests.bench.fleet.cluster import Cluster, Event, Place, Refused, place_of
from tests.bench.fleet.story import Story, plural_of, story_of
from tests.support.lab import Json

LOOK_EVERY = 0.2
"""Seconds between two looks of a watch."""
RESOURCES = {
    "v1": ("Namespace", "Node", "Pod", "ServiceAccount"),
    "apps/v1": ("DaemonSet", "Deployment"),
    "apiextensions.k8s.io/v1": ("CustomResourceDefinition",),
    "kubevirt.io/v1": ("KubeVirt",),
    "rbac.authorization.k8s.io/v1": ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
    "scheduling.k8s.io/v1": ("PriorityClass",),
}
"""The kinds that kubernetes.core looks up, by API version."""
CLUSTER_WIDE = {"Namespace", "Node", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "PriorityClass"}


class Servers(ThreadingHTTPServer):
    """All API servers, on one port."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        fleet = json.loads((folder / "fleet.json").read_text())
        self.story = story_of(*(Path(manifest).read_text() for manifest in fleet["manifests"]))
        self.clusters = {
            name: Cluster(name, self.story, fails=fails, clock=time.monotonic)
            for name, fails in fleet["clusters"].items()
        }
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    def get_request(self) -> tuple[t.Any, t.Any]:
        """A connection; its handshake is left to its thread."""
        connection, address = super().get_request()
        return self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """Clients go away as they like; anything else is a mistake of ours."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Servers

    def do_GET(self) -> None:
        """Any request; so are the others."""
        address = urlsplit(self.path)
        _slash, name, path = address.path.split("/", 2)
        query = dict(parse_qsl(address.query))
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        try:
            cluster = self.server.clusters[name]
            if "watch" in query:
                self._watch(cluster, place_of(f"/{path}"), query)
                return
            self._answer(200 if self.command != "POST" else 201, self._result(cluster, f"/{path}", query, body))
        except Refused as error:
            self._answer(error.status, status_of(error))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def log_message(self, format: str, *args: t.Any) -> None:
        """Nothing is told of each request."""

    def _result(self, cluster: Cluster, path: str, query: Mapping[str, str], body: Json) -> Json:
        if path == "/writes":
            return {"writes": cluster.writes}
        known = discovery(self.server.story, path)
        if known is not None:
            return known
        try:
            place = place_of(path)
        except ValueError as error:
            raise Refused(404, "NotFound", str(error)) from error
        if self.command != "GET":
            content_type = self.headers.get("Content-Type", "")
            return cluster.write(self.command, place, query, content_type, body)
        if place.name is not None:
            return cluster.get(place)
        items, version = cluster.listed(place, query.get("labelSelector", ""))
        return {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items}

    def _answer(self, status: int, answer: Json) -> None:
        data = json.dumps(answer, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _watch(self, cluster: Cluster, place: Place, query: Mapping[str, str]) -> None:
        """What happens, until the client's time is over; a bookmark at the end, as the real server sends."""
        ends = time.monotonic() + float(query.get("timeoutSeconds", 60))
        position = cluster.position_after(int(query["resourceVersion"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while time.monotonic() < ends:
            events, position = cluster.events(place, query.get("labelSelector", ""), position)
            for event in events:
                self._chunk(line_of(event))
            time.sleep(LOOK_EVERY)
        _items, version = cluster.listed(place, "")
        bookmark = {"kind": "Bookmark", "metadata": {"resourceVersion": version}}
        self._chunk(line_of(Event("BOOKMARK", place, bookmark)))
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


def discovery(story: Story, path: str) -> Json | None:
    """What the server says of itself; None where something else is asked for."""
    if path == "/version":
        return story.version
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group_of(*one) for one in story.groups.items()]}
    version = path.removeprefix("/apis/").removeprefix("/api/")
    if version not in RESOURCES:
        return None
    return {"kind": "APIResourceList", "groupVersion": version, "resources": [*map(resource_of, RESOURCES[version])]}


def group_of(name: str, versions: list[str]) -> Json:
    """An API group."""
    served = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": served, "preferredVersion": served[0]}


def resource_of(kind: str) -> Json:
    """A kind, as an API version lists it."""
    return {
        "name": plural_of(kind),
        "singularName": kind.lower(),
        "namespaced": kind not in CLUSTER_WIDE,
        "kind": kind,
        "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
    }


def status_of(error: Refused) -> Json:
    """How the server says that it refuses."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": str(error),
        "reason": error.reason,
        "code": error.status,
    }


def line_of(event: Event) -> bytes:
    """An event as a watch tells it."""
    return json.dumps({"type": event.type, "object": event.object}, separators=(",", ":")).encode() + b"\n"


def main(folder: str) -> None:
    servers = Servers(Path(folder))
    new = Path(folder, "port.new")
    new.write_text(str(servers.server_port))
    new.replace(Path(folder, "port"))
    with suppress(KeyboardInterrupt):
        servers.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
