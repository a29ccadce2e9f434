# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Talking to one API server: fixed paths, plain dicts, timeouts on every call.

Reads are repeated when the server is busy or restarting; writes are sent once, and in check mode not at all.
"""

from __future__ import annotations

import contextlib
import json
import random
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from urllib.parse import urlencode

from ..knowledge.field_ownership import FIELD_MANAGER
from .clock import Clock
from .errors import ApiError, Conflict, Expired, Forbidden, NotFound, Unauthorized, Unreachable

try:
    import urllib3
except ImportError:  # comes with kubernetes; connection.py reports what is missing
    urllib3 = None  # type: ignore[assignment]

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
PEEK_TIMEOUT = 10.0
# The server ends a watch by itself; one that is silent for longer than this afterwards is dead.
WATCH_GRACE = 15.0
PAGE = 500
# A read is tried again on these; they pass while an API server or an aggregated one restarts.
BUSY = frozenset({429, 500, 502, 503, 504})
ATTEMPTS = 6
LONGEST_PAUSE = 10.0

_ERRORS: Mapping[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    412: Conflict,
}
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"

Json = dict[str, t.Any]


class WriteInCheckMode(AssertionError):
    """Our own mistake: a write was about to be sent although this is check mode."""


class Api:
    """One API server, as one user.

    Args:
        pool: urllib3's pool manager with the TLS settings of this server.
        endpoint: ``https://host:port``.
        headers: Gives the headers that log us in.
        check_mode: True makes every write a WriteInCheckMode error.
        clock: Measures pauses between attempts.
    """

    def __init__(
        self,
        pool: t.Any,
        endpoint: str,
        headers: Callable[[], list[tuple[str, str]]],
        *,
        check_mode: bool,
        clock: Clock,
    ) -> None:
        self.endpoint = endpoint
        self.requests = 0
        self._pool = pool
        self._headers = headers
        self._check_mode = check_mode
        self._clock = clock
        self._answered = False

    def get(self, path: str) -> Json:
        """The object at ``path``."""
        return self._read(path)

    def get_or_none(self, path: str) -> Json | None:
        """The object at ``path``, or None where it, or its kind, does not exist."""
        try:
            return self._read(path)
        except NotFound:
            return None

    def peek(self, path: str, query: Mapping[str, t.Any], *, metadata_only: bool = False) -> bytes:
        """What is at ``path``, asked for once and for at most ``PEEK_TIMEOUT``: for what a run can do without."""
        accept = _METADATA_ONLY if metadata_only else "*/*"
        response = self._send("GET", path, query, accept=accept, read_timeout=PEEK_TIMEOUT)
        if response.status >= 400:
            raise _error("GET", path, response.status, response.data)
        return t.cast(bytes, response.data)

    def objects(self, path: str, *, label_selector: str = "", metadata_only: bool = False) -> Iterator[Json]:
        """All objects of the collection at ``path``, read in pages of ``PAGE``."""
        for page in self._pages(path, label_selector, metadata_only):
            yield from page["items"]

    def list_or_empty(self, path: str) -> list[Json]:
        """All objects of the collection at ``path``; none where its kind does not exist."""
        try:
            return [*self.objects(path)]
        except NotFound:
            return []

    def snapshot(self, path: str, *, label_selector: str = "") -> tuple[list[Json], str]:
        """All objects of the collection, and the resourceVersion to watch from."""
        items: list[Json] = []
        version = ""
        for page in self._pages(path, label_selector, False):
            items += page["items"]
            version = version or page["metadata"].get("resourceVersion", "")
        return items, version

    def count(self, path: str, *, label_selector: str = "") -> int:
        """How many objects the collection at ``path`` has; 0 where its kind does not exist."""
        if label_selector:
            return sum(1 for _item in self.objects(path, label_selector=label_selector, metadata_only=True))
        items, remaining = self.first_metadata(path, 1)
        return len(items) + remaining

    def first_metadata(self, path: str, limit: int) -> tuple[list[Json], int]:
        """The metadata of the first objects of a collection, and how many there are behind them.

        Without a selector the server says how many remain, so one request is enough. Nothing where the kind does not exist.
        """
        try:
            page = _with_items(self._read(path, {"limit": limit}, accept=_METADATA_ONLY))
        except NotFound:
            return [], 0
        return page["items"], int(page["metadata"].get("remainingItemCount") or 0)

    def apply(self, path: str, body: Mapping[str, t.Any], *, rehearse: bool = False) -> Json:
        """Server-side apply of ``body``, taking its fields over from whoever holds them.

        Args:
            path: The object's path.
            body: The fields that we want.
            rehearse: The server checks permission, validation and admission, and stores nothing.
        """
        query: Json = {"fieldManager": FIELD_MANAGER, "force": "true"}
        if rehearse:
            query["dryRun"] = "All"
        return self._write("PATCH", path, body, "application/apply-patch+yaml", query)

    def json_patch(self, path: str, operations: Sequence[Mapping[str, t.Any]], *, rehearse: bool = False) -> Json:
        """A JSON patch. Begin it with a ``test``, so that it is a Conflict when the object changed in between."""
        query: Json = {"fieldManager": FIELD_MANAGER}
        if rehearse:
            query["dryRun"] = "All"
        return self._write("PATCH", path, operations, "application/json-patch+json", query)

    def watch(self, path: str, *, resource_version: str, seconds: int, label_selector: str = "") -> Watching:
        """The changes of the collection at ``path`` after ``resource_version``, for at most ``seconds``."""
        query = _selecting(label_selector) | {
            "watch": "true",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": seconds,
        }
        response = self._send("GET", path, query, read_timeout=seconds + WATCH_GRACE, stream=True)
        if response.status >= 400:
            raise _error("GET", path, response.status, response.read(decode_content=True))
        return Watching(response, path)

    def _pages(self, path: str, label_selector: str, metadata_only: bool) -> Iterator[Json]:
        query = _selecting(label_selector) | {"limit": PAGE}
        accept = _METADATA_ONLY if metadata_only else "application/json"
        page = _with_items(self._read(path, query, accept=accept))
        yield page
        while following := page["metadata"].get("continue"):
            page = _with_items(self._read(path, query | {"continue": following}, accept=accept))
            yield page

    def _read(self, path: str, query: Mapping[str, t.Any] | None = None, *, accept: str = "application/json") -> Json:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = self._send("GET", path, query or {}, accept=accept)
            except Unreachable:
                if attempt == ATTEMPTS or not self._answered:  # a wrong address: say so at once
                    raise
                self._clock.pause(_pause(attempt, None))
                continue
            if response.status in BUSY and attempt < ATTEMPTS:
                self._clock.pause(_pause(attempt, response.headers.get("Retry-After")))
                continue
            return _answer("GET", path, response.status, response.data)
        raise AssertionError("the last attempt returns or raises")

    def _write(self, method: str, path: str, body: t.Any, content_type: str, query: Mapping[str, t.Any]) -> Json:
        if self._check_mode:
            raise WriteInCheckMode(f"{method} {path}")
        response = self._send(method, path, query, body=json.dumps(body).encode(), content_type=content_type)
        return _answer(method, path, response.status, response.data)

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, t.Any],
        *,
        accept: str = "application/json",
        body: bytes | None = None,
        content_type: str = "",
        read_timeout: float = READ_TIMEOUT,
        stream: bool = False,
    ) -> t.Any:
        headers = urllib3.HTTPHeaderDict()
        for name, value in [*self._headers(), ("Accept", accept)]:
            headers.add(name, value)
        if content_type:
            headers["Content-Type"] = content_type
        url = f"{self.endpoint}{path}" + (f"?{urlencode(query)}" if query else "")
        self.requests += 1
        try:
            response = self._pool.request(
                method,
                url,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=read_timeout),
                preload_content=not stream,
                retries=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(self._why_unreachable(error)) from error
        if response.status == 400 and not stream and b"HTTP request to an HTTPS server" in response.data:
            raise Unreachable(
                f"The API server {self.endpoint} answers only to https. Write its address (host, or server in the kubeconfig) with "
                "https://."
            )
        self._answered = True
        return response

    def _why_unreachable(self, error: Exception) -> str:
        cause = _cause(error)
        proxy = getattr(self._pool, "proxy", None)
        through = f" through the proxy {proxy._replace(auth=None).url}" if proxy else ""
        advice = (
            "Set ca_cert (or certificate-authority in the kubeconfig) to the certificate of the CA that signed this server's."
            if "CERTIFICATE_VERIFY_FAILED" in cause
            else "Check the address (host, or server in the kubeconfig), the network, the certificate, and that the control plane "
            "is up."
        )
        return f"The API server {self.endpoint} does not answer{through}: {cause}. {advice}"


class Watching:
    """An open watch: iterate over ``(type, object)``, close it from any thread."""

    def __init__(self, response: t.Any, path: str) -> None:
        self._response = response
        self._path = path

    def __iter__(self) -> Iterator[tuple[str, Json]]:
        """Events until the server ends the watch.

        Raises:
            Expired: List again.
            Unreachable: The connection broke.
        """
        try:
            for line in _lines(self._response.stream(65536, decode_content=True)):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise _error("WATCH", self._path, int(event["object"].get("code", 500)), line)
                yield event["type"], event["object"]
        except (urllib3.exceptions.HTTPError, ValueError, OSError) as error:
            raise Unreachable(f"The watch of {self._path} broke: {_cause(error)}.") from error

    def close(self) -> None:
        """End the watch; the thread that iterates over it is woken where urllib3 (2.3 and later) can do that."""
        shutdown = getattr(self._response, "shutdown", None)  # close() would wait for the reading thread's lock
        if shutdown is not None:
            with contextlib.suppress(OSError, RuntimeError, ValueError):  # it has ended already
                shutdown()


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line)


def _selecting(label_selector: str) -> Json:
    return {"labelSelector": label_selector} if label_selector else {}


def _with_items(page: Json) -> Json:
    """An empty list of metadata comes as null."""
    return {**page, "items": page.get("items") or []}


def _pause(attempt: int, retry_after: str | None) -> float:
    if retry_after and retry_after.isdigit():
        return min(float(retry_after), LONGEST_PAUSE)
    return min(0.5 * 2.0**attempt, LONGEST_PAUSE) * random.uniform(0.5, 1.0)


def _answer(method: str, path: str, status: int, data: bytes) -> Json:
    if status >= 400:
        raise _error(method, path, status, data)
    try:
        answer = json.loads(data)
    except ValueError as error:
        raise Unreachable(
            f"{method} {path} was answered with something that is not JSON ({data[:80]!r}). "
            "Is this address a Kubernetes API server, or a proxy or login page in front of it?"
        ) from error
    return t.cast(Json, answer)


def _error(method: str, path: str, status: int, data: bytes) -> ApiError:
    try:
        body = json.loads(data)
        body = body.get("object", body)
        reason, message = body.get("reason") or "Error", body.get("message") or ""
    except (ValueError, AttributeError):
        reason, message = "Error", " ".join(data[:200].decode(errors="replace").split())
    if status == 422 and "the server rejected our request" in message:
        status = 409  # how a JSON patch test that does not hold is answered
    return _ERRORS.get(status, ApiError)(method, path, status, reason, message)


def _cause(error: BaseException) -> str:
    """The innermost words of an error, without object addresses."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = t.cast(BaseException, error.__cause__ or error.__context__)
    return str(error) or type(error).__name__
