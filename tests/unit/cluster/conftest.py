# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server on this machine that answers as a test tells it, and a clock on which waiting takes no time."""

from __future__ import annotations

import contextlib
import json
import threading
import typing as t
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest
import urllib3
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.api import Api
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock


class Answer(t.NamedTuple):
    """One answer: bytes as they are, or a list of bytes piece by piece. None is no answer at all."""

    body: bytes | list[bytes] | None
    status: int
    headers: dict[str, str]


class Asked(t.NamedTuple):
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: t.Any
    body: bytes


class Server:
    """Gives its answers in their order, the last one again and again, and remembers what was asked.

    Attributes:
        date: The time of day that it says.
    """

    def __init__(self) -> None:
        self.date = "Sat, 01 Jan 2000 12:00:00 GMT"
        self.answers: list[Answer] = []
        self.asked: list[Asked] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or each answer waits for the client's acknowledgement of its head

            def do_GET(self) -> None:
                with contextlib.suppress(ConnectionError):  # the client has gone
                    server._serve(self)

            do_PATCH = do_POST = do_PUT = do_DELETE = do_GET

            def date_time_string(self, timestamp: float | None = None) -> str:
                return server.date

            def log_message(self, *_args: t.Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self.endpoint = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, body: t.Any = None, status: int = 200, **headers: str) -> Server:
        """One more answer: bytes, a list of bytes, or anything else as JSON."""
        raw = body if isinstance(body, bytes) or (body and isinstance(body, list)) else json.dumps(body or {}).encode()
        self.answers.append(Answer(raw, status, {name.replace("_", "-"): value for name, value in headers.items()}))
        return self

    def reset(self) -> Server:
        """One more request that gets no answer: the connection breaks."""
        self.answers.append(Answer(None, 0, {}))
        return self

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.asked.append(Asked(handler.command, url.path, dict(parse_qsl(url.query)), handler.headers, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer.body is None:
            handler.close_connection = True
            return
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if isinstance(answer.body, bytes):
            if "Content-Length" in answer.headers:  # a lie: the connection ends before
                handler.close_connection = True
            else:
                handler.send_header("Content-Length", str(len(answer.body)))
            handler.end_headers()
            handler.wfile.write(answer.body)
            return
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in [*answer.body, b""]:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            handler.wfile.flush()


class QuickClock(Clock):
    """Remembers the pauses instead of making them; no other time passes."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def now(self) -> float:
        return 1000.0 + sum(self.pauses)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def clock() -> QuickClock:
    return QuickClock()


@pytest.fixture
def api(server: Server, clock: QuickClock) -> Iterator[Api]:
    headers = [("Authorization", "Bearer t"), ("X-A", "1"), ("X-A", "2")]
    with urllib3.PoolManager() as pool:
        yield Api(pool, server.endpoint, lambda: headers, check_mode=False, clock=clock)


@pytest.fixture
def checking(server: Server, clock: QuickClock) -> Iterator[Api]:
    """The same in check mode, at an address with a path."""
    with urllib3.PoolManager() as pool:
        yield Api(pool, f"{server.endpoint}/k8s/clusters/c-1", list, check_mode=True, clock=clock)
