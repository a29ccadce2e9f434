# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Talking to one API server: fixed paths, plain dicts, timeouts on every call.

Reads are repeated while the server is busy or restarting, writes only where that cannot do anything twice: see ``patience.py``. In
check mode no write is sent at all.
"""

from __future__ import annotations

import contextlib
import json
import threading
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

from ..knowledge.field_ownership import FIELD_MANAGER
from ..knowledge.redaction import redacted_text
from .clock import Clock
from .errors import (
    ApiError,
    AuthError,
    ClusterError,
    Conflict,
    Expired,
    Forbidden,
    NotFound,
    NotSent,
    OldAnswer,
    Unauthorized,
    Unreachable,
)
from .patience import LAST_PATIENCE, PATIENCE, Patience, is_away

try:
    import urllib3
except ImportError:  # comes with kubernetes; connection.py reports what is missing
    urllib3 = None  # type: ignore[assignment]

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
PEEK_TIMEOUT = 10.0
# For cleaning up after a signal.
HURRIED_TIMEOUT = 1.0
# The server ends a watch by itself; one that is silent for longer than this afterwards is dead.
WATCH_GRACE = 5.0
PAGE = 500

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


class Login(t.NamedTuple):
    """How to reach a server as one user.

    Attributes:
        pool: urllib3's pool manager with the TLS settings, a client certificate too.
        headers: Gives the headers that log us in.
    """

    pool: t.Any
    headers: Callable[[], list[tuple[str, str]]]


class Api:
    """One API server, as one user.

    Args:
        pool: As in ``Login``.
        endpoint: ``https://host:port``.
        headers: As in ``Login``.
        check_mode: True makes every write a WriteInCheckMode error.
        clock: Measures the patience with a request, and makes its pauses.
        log_in_again: Gives a new login when the server does not take the old one any more: tokens and certificates are renewed.

    Attributes:
        requests: How many were sent so far.
        guard: Called before every attempt of a write that is no rehearsal; may raise a ClusterError.
        hurried: If not 0, the seconds for every later request, which is then sent only once: for cleaning up after a signal.
    """

    def __init__(
        self,
        pool: t.Any,
        endpoint: str,
        headers: Callable[[], list[tuple[str, str]]],
        *,
        check_mode: bool,
        clock: Clock,
        log_in_again: Callable[[], Login] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.requests = 0
        self.guard: Callable[[], None] = lambda: None
        self.hurried = 0.0
        self._login = Login(pool, headers)
        self._log_in_again = log_in_again
        self._login_is_old = False
        self._login_lock = threading.Lock()
        self._check_mode = check_mode
        self._clock = clock
        self._answered = False
        self._logged_in = False
        self._away_since: float | None = None
        self._ahead = timedelta()
        self._written_versions: dict[str, int] = {}

    def utc(self) -> datetime:
        """The time of day on the API server's clock, as its last answer said it: the ages of objects are measured with it."""
        return self._clock.utc() + self._ahead

    def get(self, path: str) -> Json:
        """The object at ``path``.

        Every read may raise, besides the error that the server answers with:

        Raises:
            Unreachable: There was no answer for ``PATIENCE`` seconds.
            OldAnswer: For as long the answer was from before our own last write.
        """
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
        ends = self._clock.now() + PEEK_TIMEOUT
        response = self._send("GET", path, query, accept=accept, timeout=(PEEK_TIMEOUT, PEEK_TIMEOUT))
        data = self._body(response, ends)
        if response.status >= 400:
            raise _error("GET", path, response.status, data)
        return data

    def peek_object(self, path: str, query: Mapping[str, t.Any], *, metadata_only: bool = False) -> Json:
        """The object at ``path``, asked for as by ``peek``; whoever answers may not be the API server itself."""
        return _answer("GET", path, 200, self.peek(path, query, metadata_only=metadata_only))

    def objects(self, path: str, *, label_selector: str = "", metadata_only: bool = False) -> Iterator[Json]:
        """All objects of the collection at ``path``, read in pages of ``PAGE``."""
        for page in self._pages(path, label_selector, metadata_only):
            yield from page["items"]

    def objects_if_served(self, path: str, *, label_selector: str = "", metadata_only: bool = False) -> Iterator[Json]:
        """As ``objects``; none where their kind does not exist, or no more where it goes meanwhile."""
        try:
            yield from self.objects(path, label_selector=label_selector, metadata_only=metadata_only)
        except NotFound:
            return

    def list_or_empty(self, path: str) -> list[Json]:
        """All objects of the collection at ``path``; none where its kind does not exist."""
        return [*self.objects_if_served(path)]

    def snapshot(self, path: str, *, label_selector: str = "", patience: float = PATIENCE) -> tuple[list[Json], str]:
        """All objects of the collection, and the resourceVersion to watch from. ``patience``: seconds for each page."""
        items: list[Json] = []
        version = ""
        for page in self._pages(path, label_selector, False, patience):
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
            body: The fields that we want. With a resourceVersion it is a Conflict when the object changed in between, and only then
                is it sent again after an answer that did not come.
            rehearse: The server checks permission, validation and admission, and stores nothing.
        """
        query: Json = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return self._write(
            "PATCH",
            path,
            body,
            "application/apply-patch+yaml",
            query=query | ({"dryRun": "All"} if rehearse else {}),
            repeatable=_has_version(body),
            rehearse=rehearse,
        )

    def json_patch(self, path: str, operations: Sequence[Mapping[str, t.Any]], *, rehearse: bool = False) -> Json:
        """A JSON patch.

        Begin it with a ``test`` that does not hold any more afterwards: then it is a Conflict when the object changed in between, and
        only then is it sent again after an answer that did not come.
        """
        query: Json = {"fieldManager": FIELD_MANAGER}
        return self._write(
            "PATCH",
            path,
            operations,
            "application/json-patch+json",
            query=query | ({"dryRun": "All"} if rehearse else {}),
            repeatable=bool(operations) and operations[0]["op"] == "test",
            rehearse=rehearse,
        )

    def create(self, path: str, body: Mapping[str, t.Any]) -> Json:
        """A new object in the collection at ``path``; a Conflict where one of that name is there."""
        return self._write("POST", path, body, query={"fieldManager": FIELD_MANAGER}, repeatable=True)

    def replace(self, path: str, body: Mapping[str, t.Any]) -> Json:
        """The object at ``path`` as a whole; with a resourceVersion it is a Conflict when it changed in between."""
        return self._write("PUT", path, body, query={"fieldManager": FIELD_MANAGER}, repeatable=_has_version(body))

    def delete(
        self, path: str, *, uid: str, resource_version: str = "", propagation: str = "", rehearse: bool = False
    ) -> Json:
        """Delete the object at ``path``; a Conflict when it is another one by now, or, if asked for, another version.

        Args:
            path: The object's path.
            uid: That of the object that is meant.
            resource_version: Only if it is still at this version.
            propagation: What becomes of the objects that it owns: Orphan, Background or Foreground; else what is usual for its kind.
            rehearse: The server checks all and deletes nothing.
        """
        preconditions = {"uid": uid} | ({"resourceVersion": resource_version} if resource_version else {})
        # A body hides what the query says, dryRun too.
        body: Json = (
            {"preconditions": preconditions}
            | ({"propagationPolicy": propagation} if propagation else {})
            | ({"dryRun": ["All"]} if rehearse else {})
        )
        return self._write("DELETE", path, body, repeatable=True, rehearse=rehearse)

    def watch(self, path: str, *, resource_version: str, seconds: int, label_selector: str = "") -> Watching:
        """The changes of the collection at ``path`` after ``resource_version``, for at most ``seconds``."""
        query = _selecting(label_selector) | {
            "watch": "true",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": seconds,
        }
        response = self._send("GET", path, query, timeout=(CONNECT_TIMEOUT, seconds + WATCH_GRACE))
        if response.status >= 400:
            raise _error("GET", path, response.status, response.read(decode_content=True))
        return Watching(response, path)

    def _pages(self, path: str, label_selector: str, metadata_only: bool, patience: float = PATIENCE) -> Iterator[Json]:
        query = _selecting(label_selector) | {"limit": PAGE}
        accept = _METADATA_ONLY if metadata_only else "application/json"
        page = _with_items(self._read(path, query, accept=accept, patience=patience))
        yield page
        while following := page["metadata"].get("continue"):
            page = _with_items(self._read(path, query | {"continue": following}, accept=accept, patience=patience))
            yield page

    def _read(
        self,
        path: str,
        query: Mapping[str, t.Any] | None = None,
        *,
        accept: str = "application/json",
        patience: float = PATIENCE,
    ) -> Json:
        asked = query or {}

        def once(left: float) -> Json:
            answer = self._once("GET", path, asked, left, accept=accept)
            if "continue" not in asked:  # the pages of a list are all of the time of its first one
                self._refuse_old(path, answer)
            return answer

        return self._repeated(once, self._patience(patience, repeatable=True))

    def _write(
        self,
        method: str,
        path: str,
        body: t.Any,
        content_type: str = "application/json",
        *,
        query: Mapping[str, t.Any] | None = None,
        repeatable: bool,
        rehearse: bool = False,
    ) -> Json:
        if self._check_mode:
            raise WriteInCheckMode(f"{method} {path}")
        data = json.dumps(body).encode()

        def once(left: float) -> Json:
            return self._once(method, path, query or {}, left, body=data, content_type=content_type)

        patience = self._patience(PATIENCE, repeatable=repeatable or rehearse)
        try:
            answer = self._repeated(once, patience, before=(lambda: None) if rehearse else self.guard)
        except ClusterError as error:
            error.in_doubt = patience.in_doubt and not rehearse
            raise
        if not rehearse:
            self._remember(answer)
        return answer

    def _patience(self, seconds: float, *, repeatable: bool) -> Patience:
        """With a server that has been away for long, every further request does not wait for as long again."""
        if self._away_since is not None:
            seconds = min(seconds, max(self._away_since + PATIENCE - self._clock.now(), LAST_PATIENCE))
        return Patience(self._clock, 0.0 if self.hurried else seconds, repeatable=repeatable)

    def _repeated(
        self, once: Callable[[float], Json], patience: Patience, *, before: Callable[[], None] = lambda: None
    ) -> Json:
        answer: Json | None = None
        while answer is None:  # bear() raises the error when the patience ends
            before()
            try:
                answer = once(patience.left)
            except ClusterError as error:
                if not is_away(error):
                    self._away_since = None
                elif self._away_since is None:
                    self._away_since = self._clock.now()
                patience.bear(error, may_pass=self._may_pass(error))
        self._away_since = None
        return answer

    def _may_pass(self, error: ClusterError) -> bool:
        """An address that never answered is a wrong one, and so is a login that was never taken: that is said at once."""
        if isinstance(error, (Unauthorized, AuthError)):
            return self._logged_in
        return self._answered or not isinstance(error, Unreachable)

    def _once(self, method: str, path: str, query: Mapping[str, t.Any], left: float, **how: t.Any) -> Json:
        left = max(left, self.hurried or HURRIED_TIMEOUT)
        timeout = (min(CONNECT_TIMEOUT, left), min(READ_TIMEOUT, left))
        ends = self._clock.now() + left
        response = self._send(method, path, query, timeout=timeout, **how)
        data = self._body(response, ends)
        if response.status == 400 and b"HTTP request to an HTTPS server" in data:
            raise Unreachable(
                f"The API server {self.endpoint} answers only to https. Write its address (host, or server in the kubeconfig) with "
                "https://."
            )
        try:
            answer = _answer(method, path, response.status, data)
        except ApiError as error:
            self._answered = True
            error.retry_after = response.headers.get("Retry-After")
            raise
        self._answered = self._logged_in = True
        with contextlib.suppress(TypeError, ValueError):  # it need not say the time
            self._ahead = parsedate_to_datetime(response.headers.get("Date")) - self._clock.utc()
        return answer

    def _body(self, response: t.Any, ends: float) -> bytes:
        """All of an answer. The read timeout starts anew with each byte, so it alone does not end one that trickles."""
        pieces = []
        try:
            if not hasattr(response, "read1"):  # urllib3 1
                return t.cast(bytes, response.data)
            while piece := response.read1(1 << 16):
                pieces.append(piece)
                if self._clock.now() > ends:
                    response.close()
                    raise Unreachable(self._why_unreachable(TimeoutError("its answer came too slowly")))
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(self._why_unreachable(error)) from error
        return b"".join(pieces)

    def _remember(self, written: Json) -> None:
        metadata = written.get("metadata", {})
        version = metadata.get("resourceVersion", "")
        if "uid" in metadata and version.isdigit():
            self._written_versions[metadata["uid"]] = int(version)

    def _refuse_old(self, path: str, answer: Json) -> None:
        """An API server that lags behind, or a cache before it, may answer as it was before our own write."""
        if not self._written_versions:
            return
        for one in answer.get("items") or [answer]:
            metadata = one.get("metadata", {})
            version = metadata.get("resourceVersion", "")
            ours = self._written_versions.get(metadata.get("uid", ""), 0)
            if version.isdigit() and int(version) < ours:
                raise OldAnswer(
                    f"GET {path} was answered with {metadata.get('name')} as it was before our own change (resourceVersion {version}, "
                    f"ours is {ours}). One of the API servers behind {self.endpoint}, or a cache in front of them, lags behind: look at "
                    "etcd and the API servers, then run again."
                )

    def _current_login(self) -> Login:
        with self._login_lock:
            if self._login_is_old and self._log_in_again is not None:
                self._login, self._login_is_old = self._log_in_again(), False
            return self._login

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, t.Any],
        *,
        timeout: tuple[float, float],
        accept: str = "application/json",
        body: bytes | None = None,
        content_type: str = "",
    ) -> t.Any:
        login = self._current_login()
        headers = urllib3.HTTPHeaderDict()
        for name, value in [*login.headers(), ("Accept", accept)]:
            headers.add(name, value)
        if content_type:
            headers["Content-Type"] = content_type
        url = f"{self.endpoint}{path}" + (f"?{urlencode(query)}" if query else "")
        connect, read = (self.hurried, self.hurried) if self.hurried else timeout
        self.requests += 1
        try:
            response = login.pool.request(
                method,
                url,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(connect=connect, read=read),
                preload_content=False,
                retries=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise (NotSent if _was_not_sent(error) else Unreachable)(self._why_unreachable(error)) from error
        if response.status == 401 and login is self._login:
            self._login_is_old = True
        return response

    def _why_unreachable(self, error: Exception) -> str:
        cause = _cause(error)
        proxy = getattr(self._login.pool, "proxy", None)
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


def _has_version(body: Mapping[str, t.Any]) -> bool:
    return bool(body.get("metadata", {}).get("resourceVersion"))


def _was_not_sent(error: Exception) -> bool:
    """Whether there was no connection yet to send the request over."""
    inner = getattr(error, "original_error", error)  # of a ProxyError
    # SSLError also when a connection breaks; the handshake is where a certificate is refused.
    return isinstance(inner, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)) or (
        isinstance(inner, urllib3.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(inner)
    )


def _answer(method: str, path: str, status: int, data: bytes) -> Json:
    if status >= 400:
        raise _error(method, path, status, data)
    with contextlib.suppress(ValueError):
        answer = json.loads(data)
        if isinstance(answer, dict):
            return answer
    raise Unreachable(
        f"{method} {path} was answered with something that is not JSON ({data[:80]!r}). "
        "Is this address a Kubernetes API server, or a proxy or login page in front of it?"
    )


def _error(method: str, path: str, status: int, data: bytes) -> ApiError:
    try:
        body = json.loads(data)
        body = body.get("object", body)
        reason, message = body.get("reason") or "Error", body.get("message") or ""
    except (ValueError, AttributeError):
        reason, message = "Error", " ".join(data[:200].decode(errors="replace").split())
    if status == 422 and "the server rejected our request" in message:
        status = 409  # how a JSON patch test that does not hold is answered
    return _ERRORS.get(status, ApiError)(method, path, status, reason, redacted_text(message))


def _cause(error: BaseException) -> str:
    """The innermost words of an error, without object addresses; not those of an earlier one of ours that was just looked into."""
    while (inner := error.__cause__ or error.__context__) is not None and not isinstance(inner, ClusterError):
        error = inner
    return str(error) or type(error).__name__
