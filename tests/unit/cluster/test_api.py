# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Talking to an API server: what is asked again, what is sent once, and what is made of each answer."""

from __future__ import annotations

import json
import typing as t
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
import urllib3
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.api import (
    CONNECT_TIMEOUT,
    HURRIED_TIMEOUT,
    PAGE,
    READ_TIMEOUT,
    WATCH_GRACE,
    Api,
    Login,
    WriteInCheckMode,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import (
    ApiError,
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
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.patience import (
    LAST_PATIENCE,
    LOGIN_PATIENCE,
    LONGEST_PAUSE,
    LONGEST_RETRY_AFTER,
    PATIENCE,
)

# tests/unit/cluster/conftest.py
Server = t.Any
QuickClock = t.Any

POD = {"metadata": {"name": "a", "namespace": "b"}}
METADATA_ONLY = "PartialObjectMetadataList"


def status(code: int, reason: str = "Reason", message: str = "so it is") -> dict[str, t.Any]:
    return {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": message}


def page(*names: str, following: str = "", version: str = "7", **metadata: t.Any) -> dict[str, t.Any]:
    more = {"continue": following} if following else {}
    items = [{"metadata": {"name": name}} for name in names]
    return {"items": items, "metadata": {"resourceVersion": version, **more, **metadata}}


class TestReading:
    def test_an_object(self, api: Api, server: Server) -> None:
        server.answer(POD)
        assert api.get("/api/v1/namespaces/b/pods/a") == POD
        [asked] = server.asked
        assert (asked.method, asked.path, asked.query) == ("GET", "/api/v1/namespaces/b/pods/a", {})
        assert asked.headers["Authorization"] == "Bearer t"
        assert asked.headers.get_all("X-A") == ["1", "2"], "a header may come twice, as Impersonate-Group does"
        assert api.requests == 1

    def test_an_address_with_a_path(self, checking: Api, server: Server) -> None:
        server.answer(POD)
        checking.get("/api/v1/x")
        assert server.asked[0].path == "/k8s/clusters/c-1/api/v1/x"

    def test_what_is_not_there(self, api: Api, server: Server) -> None:
        server.answer(status(404), 404)
        assert api.get_or_none("/x") is None
        assert api.list_or_empty("/x") == []
        assert api.count("/x") == 0
        assert api.first_metadata("/x", 5) == ([], 0)
        with pytest.raises(NotFound):
            api.get("/x")

    @pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
    def test_a_busy_server_is_asked_again(self, api: Api, server: Server, clock: QuickClock, code: int) -> None:
        server.answer(status(code), code).answer(b"<html>bad gateway</html>", code).answer(POD)
        assert api.get("/x") == POD
        assert len(server.asked) == 3
        first, second = clock.pauses
        assert 0.5 <= first <= 1 <= second <= 2

    def test_a_server_that_stays_busy_is_not_asked_for_ever(self, api: Api, server: Server, clock: QuickClock) -> None:
        server.answer(status(503, "ServiceUnavailable", "etcd is away"), 503)
        with pytest.raises(ApiError, match="GET /x was answered with 503 ServiceUnavailable: etcd is away"):
            api.get("/x")
        assert len(server.asked) == len(clock.pauses) + 1
        assert PATIENCE - LONGEST_PAUSE <= sum(clock.pauses) <= PATIENCE
        assert max(clock.pauses) <= LONGEST_PAUSE

    @pytest.mark.parametrize(
        ("header", "low", "high"),
        [
            ("3", 3, 3),
            ("0", 0.5, 1),
            ("600", LONGEST_RETRY_AFTER, LONGEST_RETRY_AFTER),
            ("Wed, 21 Oct 2026 07:28:00 GMT", 0.5, 1),
        ],
    )
    def test_the_server_says_when_to_ask_again(
        self, api: Api, server: Server, clock: QuickClock, header: str, low: float, high: float
    ) -> None:
        server.answer(status(429), 429, Retry_After=header).answer(POD)
        assert api.get("/x") == POD
        [pause] = clock.pauses
        assert low <= pause <= high

    @pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 410, 422])
    def test_other_errors_are_not_asked_again(self, api: Api, server: Server, code: int) -> None:
        server.answer(status(code), code)
        with pytest.raises(ApiError) as caught:
            api.get("/x")
        assert (len(server.asked), caught.value.status, caught.value.reason) == (1, code, "Reason")

    def test_a_connection_that_breaks_is_made_again_once_the_server_has_answered(
        self, api: Api, server: Server, clock: QuickClock
    ) -> None:
        server.answer(POD).reset().reset().answer(POD)
        api.get("/x")
        assert api.get("/x") == POD
        assert (len(server.asked), len(clock.pauses)) == (4, 2)

    def test_a_connection_that_keeps_breaking_ends_the_run(self, api: Api, server: Server) -> None:
        server.answer(POD).reset()
        api.get("/x")
        with pytest.raises(Unreachable, match=f"{server.endpoint} does not answer"):
            api.get("/x")
        assert 10 < len(server.asked) < 60

    def test_its_cause_is_not_an_earlier_error_that_was_just_looked_into(self, api: Api, server: Server) -> None:
        server.reset()
        with pytest.raises(Unreachable) as caught:
            try:
                raise Conflict("PUT", "/x", 409, "Conflict", "somebody was quicker")
            except Conflict:
                api.get("/x")
        assert "somebody was quicker" not in str(caught.value)

    def test_a_server_that_stays_away_is_not_waited_for_as_long_again(
        self, api: Api, server: Server, clock: QuickClock
    ) -> None:
        server.answer(POD).reset()
        api.get("/x")
        for least, most in ((LAST_PATIENCE, PATIENCE), (0, LAST_PATIENCE + LONGEST_PAUSE), (0, LAST_PATIENCE)):
            started = clock.now()
            with pytest.raises(Unreachable):
                api.get("/x")
            assert least < clock.now() - started <= most
        server.answers[:] = []
        server.answer(POD).reset()
        api.get("/x")
        started = clock.now()
        with pytest.raises(Unreachable):
            api.get("/x")
        assert clock.now() - started > LAST_PATIENCE, "it was back in between"

    def test_an_address_that_never_answered_is_told_at_once(self, api: Api, server: Server, clock: QuickClock) -> None:
        server.reset()
        with pytest.raises(Unreachable):
            api.get("/x")
        assert (len(server.asked), clock.pauses) == (1, [])

    def test_an_answer_that_trickles_is_given_up(self, server: Server) -> None:
        class Passing(Clock):
            seconds = 0.0

            def now(self) -> float:
                self.seconds += 20
                return self.seconds

        server.answer([b" "] * 100 + [b"{}"])
        with urllib3.PoolManager() as pool:
            api = Api(pool, server.endpoint, list, check_mode=False, clock=Passing())
            with pytest.raises(Unreachable, match="came too slowly"):
                api.get("/x")

    @pytest.mark.parametrize("body", [b"<html>Log in</html>", b"", b"ok \xff", b"null", b"[]"])
    def test_something_else_than_an_api_server(self, api: Api, server: Server, clock: QuickClock, body: bytes) -> None:
        server.answer(body)
        with pytest.raises(Unreachable, match=r"not JSON.*Kubernetes API server, or a proxy"):
            api.get("/x")
        assert clock.pauses == []


class TestErrors:
    def test_a_secret_in_it_is_not_told(self, server: Server, api: Api) -> None:
        server.answer({**status(403, "Forbidden"), "message": "https://me:pl4nted@registry.example says 401"}, 403)
        with pytest.raises(Forbidden, match=r"registry\.example says 401") as caught:
            api.get("/x")
        assert "pl4nted" not in str(caught.value)

    @pytest.mark.parametrize(
        ("code", "kind"), [(403, Forbidden), (404, NotFound), (409, Conflict), (410, Expired), (412, Conflict)]
    )
    def test_each_has_its_type(self, api: Api, server: Server, code: int, kind: type[ApiError]) -> None:
        server.answer(status(code), code)
        with pytest.raises(kind, match=f"GET /x was answered with {code} Reason: so it is"):
            api.get("/x")

    def test_a_permission_that_lacks_says_what_to_do(self, api: Api, server: Server) -> None:
        server.answer(status(403, "Forbidden"), 403)
        with pytest.raises(Forbidden, match="Grant this to the user"):
            api.get("/x")

    def test_a_login_that_has_expired_says_what_to_do(self, api: Api, server: Server) -> None:
        server.answer(status(401, "Unauthorized"), 401)
        with pytest.raises(ApiError, match=r"have expired; log in again\.$"):
            api.get("/x")

    @pytest.mark.parametrize("body", [b"<html>nope</html>", b'"text"', b"[]", b"null", b"", b"{}"])
    def test_an_error_that_is_not_a_status(self, api: Api, server: Server, body: bytes) -> None:
        server.answer(body, 401)
        with pytest.raises(ApiError, match="401 Error") as caught:
            api.get("/x")
        assert caught.value.status == 401

    def test_a_patch_test_that_does_not_hold_is_a_conflict(self, api: Api, server: Server) -> None:
        """So the API server of Kubernetes 1.34 answers it."""
        server.answer(status(422, "Invalid", "the server rejected our request due to an error in our request"), 422)
        with pytest.raises(Conflict):
            api.json_patch("/x", [])

    def test_an_object_that_is_not_valid_is_none(self, api: Api, server: Server) -> None:
        server.answer(status(422, "Invalid", "spec.replicas: Invalid value"), 422)
        with pytest.raises(ApiError) as caught:
            api.apply("/x", POD)
        assert not isinstance(caught.value, Conflict)


class TestWriting:
    @pytest.mark.parametrize("rehearse", [False, True])
    def test_apply(self, api: Api, server: Server, rehearse: bool) -> None:
        server.answer(POD)
        assert api.apply("/x", POD, rehearse=rehearse) == POD
        [asked] = server.asked
        assert (asked.method, asked.path, json.loads(asked.body)) == ("PATCH", "/x", POD)
        assert asked.headers["Content-Type"] == "application/apply-patch+yaml"
        options = {"fieldManager": "kubevirt.lifecycle", "force": "true"}
        assert asked.query == options | ({"dryRun": "All"} if rehearse else {})

    @pytest.mark.parametrize("rehearse", [False, True])
    def test_json_patch(self, api: Api, server: Server, rehearse: bool) -> None:
        server.answer(POD)
        operations = [{"op": "test", "path": "/a", "value": 1}]
        api.json_patch("/x", operations, rehearse=rehearse)
        [asked] = server.asked
        assert (asked.method, json.loads(asked.body)) == ("PATCH", operations)
        assert asked.headers["Content-Type"] == "application/json-patch+json"
        assert asked.query == {"fieldManager": "kubevirt.lifecycle"} | ({"dryRun": "All"} if rehearse else {})

    def test_create(self, api: Api, server: Server) -> None:
        server.answer(POD, 201)
        assert api.create("/x", POD) == POD
        [asked] = server.asked
        assert (asked.method, asked.path, json.loads(asked.body)) == ("POST", "/x", POD)
        assert asked.headers["Content-Type"] == "application/json"
        assert asked.query == {"fieldManager": "kubevirt.lifecycle"}

    def test_replace(self, api: Api, server: Server) -> None:
        server.answer(POD)
        api.replace("/x/a", POD)
        [asked] = server.asked
        assert (asked.method, asked.path, json.loads(asked.body)) == ("PUT", "/x/a", POD)

    @pytest.mark.parametrize(
        ("options", "more"),
        [
            ({}, {}),
            ({"resource_version": "7"}, {"preconditions": {"uid": "u", "resourceVersion": "7"}}),
            ({"rehearse": True}, {"dryRun": ["All"]}),
            ({"propagation": "Orphan"}, {"propagationPolicy": "Orphan"}),
        ],
    )
    def test_delete_says_which_object_it_means(
        self, api: Api, server: Server, options: dict[str, t.Any], more: dict[str, t.Any]
    ) -> None:
        server.answer({"kind": "Status"})
        api.delete("/x/a", uid="u", **options)
        [asked] = server.asked
        assert (asked.method, asked.path, asked.query) == ("DELETE", "/x/a", {})
        assert json.loads(asked.body) == {"preconditions": {"uid": "u"}} | more

    def test_the_guard_is_asked_before_every_attempt_but_not_before_a_rehearsal(
        self, api: Api, server: Server, clock: QuickClock
    ) -> None:
        server.answer(status(429), 429).answer(POD).answer(POD)
        asked: list[int] = []
        api.guard = lambda: asked.append(len(server.asked))
        api.apply("/x", POD)
        api.apply("/x", POD, rehearse=True)
        assert asked == [0, 1]

    def test_the_guard_refuses_every_write_but_a_rehearsal(self, api: Api, server: Server) -> None:
        def refuse() -> None:
            raise Unreachable("lost")

        api.guard = refuse
        server.answer(POD)
        writes: list[t.Callable[[], t.Any]] = [
            lambda: api.create("/x", POD),
            lambda: api.replace("/x", POD),
            lambda: api.delete("/x", uid="1", resource_version="5"),
            lambda: api.apply("/x", POD),
            lambda: api.json_patch("/x", []),
        ]
        for write in writes:
            with pytest.raises(Unreachable, match="lost"):
                write()
        assert server.asked == []
        api.apply("/x", POD, rehearse=True)
        api.json_patch("/x", [], rehearse=True)
        api.get("/x")
        assert len(server.asked) == 3

    @pytest.mark.parametrize(
        "error",
        [Conflict("PUT", "/lease", 409, "Conflict", "another run holds it"), Unreachable("another run holds it")],
    )
    def test_what_the_guard_says_ends_the_write(self, api: Api, server: Server, error: ClusterError) -> None:
        server.answer({})
        api.get("/known")

        def guard() -> None:
            raise error

        api.guard = guard
        with pytest.raises(type(error), match="another run holds it") as caught:
            PATCH_WITH_TEST(api)
        assert (len(server.asked), caught.value.in_doubt) == (1, False)

    @pytest.mark.parametrize("rehearse", [False, True])
    def test_in_check_mode_nothing_is_sent(self, checking: Api, server: Server, rehearse: bool) -> None:
        with pytest.raises(WriteInCheckMode):
            checking.apply("/x", POD, rehearse=rehearse)
        with pytest.raises(WriteInCheckMode):
            checking.json_patch("/x", [], rehearse=rehearse)
        with pytest.raises(WriteInCheckMode):
            checking.delete("/x", uid="u", rehearse=rehearse)
        for write in (checking.create, checking.replace):
            with pytest.raises(WriteInCheckMode):
                write("/x", POD)
        assert server.asked == []


WEBHOOK = (
    'Internal error occurred: failed calling webhook "kubevirt-update-validator.kubevirt.io": failed to call webhook: '
)
TESTING = [{"op": "test", "path": "/a", "value": 1}]
AT_VERSION = {"metadata": {"name": "a", "resourceVersion": "7"}}

Call = t.Callable[[Api], t.Any]
GET: Call = lambda api: api.get("/x")  # noqa: E731
REHEARSAL: Call = lambda api: api.apply("/x", POD, rehearse=True)  # noqa: E731
APPLY: Call = lambda api: api.apply("/x", POD)  # noqa: E731
APPLY_AT_VERSION: Call = lambda api: api.apply("/x", AT_VERSION)  # noqa: E731
PATCH: Call = lambda api: api.json_patch("/x", [{"op": "remove", "path": "/a"}])  # noqa: E731
PATCH_WITH_TEST: Call = lambda api: api.json_patch("/x", TESTING)  # noqa: E731
CREATE: Call = lambda api: api.create("/x", POD)  # noqa: E731
REPLACE: Call = lambda api: api.replace("/x", POD)  # noqa: E731
REPLACE_AT_VERSION: Call = lambda api: api.replace("/x", AT_VERSION)  # noqa: E731
DELETE: Call = lambda api: api.delete("/x", uid="u")  # noqa: E731

CALLS = {
    "get": GET,
    "rehearsal": REHEARSAL,
    "apply": APPLY,
    "apply at a version": APPLY_AT_VERSION,
    "patch": PATCH,
    "patch with a test": PATCH_WITH_TEST,
    "create": CREATE,
    "replace": REPLACE,
    "replace at a version": REPLACE_AT_VERSION,
    "delete": DELETE,
}
WITHOUT_PRECONDITION = ("apply", "patch", "replace")
# What ends an attempt: an answer, or None for a connection that breaks.
ENDS: dict[str, tuple[t.Any, int] | None] = {
    "429": (status(429), 429),
    "webhook": (status(500, "InternalError", WEBHOOK + "x509: certificate has expired"), 500),
    **{str(code): (status(code), code) for code in (500, 502, 503, 504)},
    "reset": None,
    "no JSON": (b'{"metadata": {"na', 200),
    **{str(code): (status(code), code) for code in (400, 403, 404, 409, 410, 412, 422, 501)},
}
NOTHING_DONE = ("429", "webhook")
UNCLEAR = ("500", "502", "503", "504", "reset", "no JSON")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("call", CALLS)
def test_what_is_sent_again_after_what(api: Api, server: Server, clock: QuickClock, call: str, end: str) -> None:
    """Whatever nobody stored; what may have been stored only where it cannot be done twice."""
    again = end in NOTHING_DONE or (end in UNCLEAR and call not in WITHOUT_PRECONDITION)
    server.answer({})
    api.get("/known")
    server.answers.clear()
    answer = ENDS[end]
    server.reset() if answer is None else server.answer(*answer)
    server.answer(POD)
    try:
        answered = CALLS[call](api)
    except ApiError as error:
        assert (again, str(error.status)) == (False, end)
        assert error.in_doubt == (
            (call in WITHOUT_PRECONDITION and error.status >= 500)
            or (end == "501" and call not in ("get", "rehearsal"))
        )
    except Unreachable as error:
        assert (again, end in UNCLEAR, error.in_doubt) == (False, True, True)
    else:
        assert (again, answered) == (True, POD)
    assert len(server.asked) == (3 if again else 2)
    assert len(clock.pauses) == again


class TestInDoubt:
    """Whether nobody knows if a write was carried out."""

    @pytest.fixture(autouse=True)
    def known(self, api: Api, server: Server) -> None:
        server.answer({})
        api.get("/known")
        server.answers.clear()

    def test_where_the_answers_stay_lost(self, api: Api, server: Server) -> None:
        server.reset()
        with pytest.raises(Unreachable) as caught:
            PATCH_WITH_TEST(api)
        assert caught.value.in_doubt

    @pytest.mark.parametrize("code", [401, 403, 404, 409, 422, 429])
    def test_what_comes_after_a_lost_answer_does_not_settle_it(self, api: Api, server: Server, code: int) -> None:
        server.reset().answer(status(code), code)
        with pytest.raises(ApiError) as caught:
            PATCH_WITH_TEST(api)
        assert (caught.value.status, caught.value.in_doubt) == (code, True)

    @pytest.mark.parametrize("code", [401, 403, 404, 409, 422, 429])
    def test_a_write_that_was_refused_is_not(self, api: Api, server: Server, code: int) -> None:
        server.answer(status(code), code)
        with pytest.raises(ApiError) as caught:
            PATCH_WITH_TEST(api)
        assert not caught.value.in_doubt

    def test_a_webhook_that_stays_away_stored_nothing(self, api: Api, server: Server) -> None:
        server.answer(status(500, "InternalError", WEBHOOK + "connection refused"), 500)
        with pytest.raises(ApiError, match="pods behind that webhook") as caught:
            PATCH_WITH_TEST(api)
        assert not caught.value.in_doubt
        assert len(server.asked) > 10

    def test_a_rehearsal_and_a_read_never_are(self, api: Api, server: Server) -> None:
        server.reset()
        for call in (REHEARSAL, GET):
            with pytest.raises(Unreachable) as caught:
                call(api)
            assert not caught.value.in_doubt

    def test_a_server_that_refuses_the_connection_got_nothing(
        self, api: Api, server: Server, clock: QuickClock
    ) -> None:
        server.answer({}, Connection="close")
        api.get("/known")
        server.close()
        with pytest.raises(NotSent, match="refused") as caught:
            APPLY(api)
        assert not caught.value.in_doubt
        assert PATIENCE - LONGEST_PAUSE <= sum(clock.pauses) <= PATIENCE


class TestLogin:
    """Tokens and certificates are renewed while a run waits."""

    @pytest.fixture
    def renewing(self, server: Server, clock: QuickClock) -> t.Iterator[Api]:
        tokens = iter(["second", "third"])

        def renewed() -> Login:
            headers = [("Authorization", next(tokens))]
            return Login(pool, lambda: headers)

        with urllib3.PoolManager() as pool:
            first = [("Authorization", "first")]
            yield Api(pool, server.endpoint, lambda: first, check_mode=False, clock=clock, log_in_again=renewed)

    @pytest.mark.parametrize("call", CALLS)
    def test_one_that_is_not_taken_any_more_is_renewed(self, renewing: Api, server: Server, call: str) -> None:
        server.answer({}).answer(status(401), 401).answer(status(401), 401).answer(POD)
        renewing.get("/known")
        assert CALLS[call](renewing) == POD
        assert [asked.headers["Authorization"] for asked in server.asked] == ["first", "first", "second", "third"]

    def test_for_a_bounded_time(self, api: Api, server: Server, clock: QuickClock) -> None:
        server.answer({}).answer(status(401), 401)
        api.get("/known")
        with pytest.raises(Unauthorized):
            api.get("/x")
        assert LOGIN_PATIENCE / 2 <= sum(clock.pauses) <= LOGIN_PATIENCE

    def test_one_that_was_never_taken_is_told_at_once(self, api: Api, server: Server, clock: QuickClock) -> None:
        server.answer(status(401), 401)
        with pytest.raises(Unauthorized):
            api.get("/x")
        assert (len(server.asked), clock.pauses) == (1, [])

    def test_a_watch_that_is_refused_so_is_opened_with_a_new_one(self, renewing: Api, server: Server) -> None:
        server.answer(status(401), 401).answer(b"")
        with pytest.raises(Unauthorized):
            renewing.watch("/x", resource_version="7", seconds=30)
        renewing.watch("/x", resource_version="7", seconds=30)
        assert [asked.headers["Authorization"] for asked in server.asked] == ["first", "second"]


class TestHurried:
    """After a signal there is a second for each request."""

    @pytest.mark.parametrize("end", ["429", "503", "reset"])
    @pytest.mark.parametrize("call", CALLS)
    def test_nothing_is_sent_again(self, api: Api, server: Server, clock: QuickClock, call: str, end: str) -> None:
        answer = ENDS[end]
        server.answer({})
        api.get("/known")
        server.answers.clear()
        server.reset() if answer is None else server.answer(*answer)
        api.hurried = HURRIED_TIMEOUT
        with pytest.raises((ApiError, Unreachable)):
            CALLS[call](api)
        assert (len(server.asked), clock.pauses) == (2, [])


class TestTimeouts:
    """A server that hangs is noticed, and no attempt goes on after the patience has ended."""

    class Hanging:
        """A pool whose server takes each request and does not answer within the timeout."""

        def __init__(self, clock: QuickClock, answers: int = 0) -> None:
            self.clock = clock
            self.answers = answers
            self.timeouts: list[tuple[float, float]] = []

        def request(self, _method: str, _url: str, *, timeout: t.Any, **_options: t.Any) -> t.Any:
            self.timeouts.append((timeout.connect_timeout, timeout._read))
            if len(self.timeouts) <= self.answers:
                return SimpleNamespace(status=200, headers={}, data=b"{}")
            self.clock.pauses.append(timeout._read)
            raise urllib3.exceptions.ReadTimeoutError(t.cast(t.Any, None), "/x", "Read timed out.")

    def hanging(self, clock: QuickClock) -> tuple[Api, Hanging]:
        pool = self.Hanging(clock, answers=1)
        api = Api(pool, "https://api.example", list, check_mode=False, clock=clock)
        api.get("/known")
        return api, pool

    @pytest.mark.parametrize("call", ["get", "patch with a test", "rehearsal"])
    def test_all_attempts_together_stay_within_the_patience(self, clock: QuickClock, call: str) -> None:
        api, pool = self.hanging(clock)
        with pytest.raises(Unreachable, match="timed out"):
            CALLS[call](api)
        assert pool.timeouts[:2] == [(CONNECT_TIMEOUT, READ_TIMEOUT)] * 2
        assert sum(clock.pauses) <= PATIENCE + 1
        assert len(pool.timeouts) > 3

    def test_a_write_without_a_precondition_is_sent_once(self, clock: QuickClock) -> None:
        api, pool = self.hanging(clock)
        with pytest.raises(Unreachable) as caught:
            APPLY(api)
        assert (len(pool.timeouts), caught.value.in_doubt) == (2, True)

    def test_a_watch_that_is_silent_for_longer_than_it_should_last(self, clock: QuickClock) -> None:
        api, pool = self.hanging(clock)
        with pytest.raises(Unreachable):
            api.watch("/x", resource_version="7", seconds=60)
        assert pool.timeouts[-1] == (CONNECT_TIMEOUT, 60 + WATCH_GRACE)

    def test_in_a_hurry(self, clock: QuickClock) -> None:
        api, pool = self.hanging(clock)
        api.hurried = HURRIED_TIMEOUT
        for call in CALLS.values():
            with pytest.raises(Unreachable):
                call(api)
        assert set(pool.timeouts[1:]) == {(HURRIED_TIMEOUT, HURRIED_TIMEOUT)}
        assert len(pool.timeouts) == 1 + len(CALLS)


class TestTime:
    """Of the day, on the server's clock; ours is a quarter of an hour ahead."""

    @pytest.fixture(autouse=True)
    def ours(self, clock: QuickClock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(clock, "utc", lambda: datetime(2000, 1, 1, 12, 15, tzinfo=timezone.utc))

    @pytest.mark.parametrize(
        ("said", "time"),
        [
            ("Sat, 01 Jan 2000 12:00:00 GMT", "12:00"),
            ("Sat, 01 Jan 2000 12:00:00", "12:15"),
            ("yesterday", "12:15"),
            ("", "12:15"),
        ],
    )
    def test_it_is_what_the_last_answer_said(self, api: Api, server: Server, said: str, time: str) -> None:
        server.date = said
        server.answer(POD)
        api.get("/api/v1/pods/a")
        assert f"{api.utc():%H:%M}" == time

    def test_before_any_answer_it_is_ours(self, api: Api) -> None:
        assert f"{api.utc():%H:%M}" == "12:15"


def versioned(version: str, uid: str = "u") -> dict[str, t.Any]:
    return {"metadata": {"name": "a", "uid": uid, "resourceVersion": version}}


class TestOldAnswers:
    """An object that we wrote is not believed to be as it was before."""

    @pytest.fixture(autouse=True)
    def written(self, api: Api, server: Server) -> None:
        server.answer(versioned("10"))
        api.apply("/x/a", POD)
        server.answers.clear()

    def test_it_is_read_again(self, api: Api, server: Server, clock: QuickClock) -> None:
        server.answer(versioned("9")).answer(versioned("10"))
        assert api.get("/x/a") == versioned("10")
        assert len(clock.pauses) == 1

    def test_in_a_list_too(self, api: Api, server: Server, clock: QuickClock) -> None:
        old, new = ({"items": [versioned("99", "other"), versioned(v)], "metadata": {}} for v in ("9", "11"))
        server.answer(old).answer(new)
        assert api.list_or_empty("/x") == new["items"]
        assert len(clock.pauses) == 1

    def test_one_that_stays_old_is_told(self, api: Api, server: Server, clock: QuickClock) -> None:
        server.answer(versioned("9"))
        with pytest.raises(OldAnswer, match="before our own change"):
            api.get("/x/a")
        assert PATIENCE - LONGEST_PAUSE <= sum(clock.pauses) <= PATIENCE

    @pytest.mark.parametrize(
        "one", [versioned("10"), versioned("11"), versioned("abc"), versioned("9", "another object"), POD, {}]
    )
    def test_others_are_not(self, api: Api, server: Server, clock: QuickClock, one: dict[str, t.Any]) -> None:
        server.answer(one)
        assert api.get("/x/a") == one
        assert clock.pauses == []

    def test_a_later_page_is_of_the_time_of_the_first(self, api: Api, server: Server, clock: QuickClock) -> None:
        server.answer(page("b", following="1")).answer({"items": [versioned("9")], "metadata": {}})
        assert len(api.list_or_empty("/x")) == 2
        assert clock.pauses == []

    def test_a_rehearsal_wrote_nothing(self, api: Api, server: Server, clock: QuickClock) -> None:
        server.answer(versioned("99")).answer(versioned("10"))
        api.apply("/x/a", POD, rehearse=True)
        assert api.get("/x/a") == versioned("10")
        assert clock.pauses == []


class TestCollections:
    def test_all_pages_are_read(self, api: Api, server: Server) -> None:
        server.answer(page("a", "b", following="1")).answer(page("c", following="2")).answer(page("d"))
        found = [one["metadata"]["name"] for one in api.objects("/x", label_selector="app=a,b")]
        assert found == ["a", "b", "c", "d"]
        first = {"labelSelector": "app=a,b", "limit": str(PAGE)}
        assert [asked.query for asked in server.asked] == [first, first | {"continue": "1"}, first | {"continue": "2"}]

    def test_a_busy_server_does_not_lose_a_page(self, api: Api, server: Server) -> None:
        server.answer(page("a", following="1")).answer(status(503), 503).answer(page("b"))
        assert len(api.list_or_empty("/x")) == 2

    def test_a_list_that_the_server_has_forgotten_meanwhile(self, api: Api, server: Server) -> None:
        server.answer(page("a", following="1")).answer(status(410), 410)
        with pytest.raises(Expired):
            api.list_or_empty("/x")

    @pytest.mark.parametrize("items", [None, []])
    def test_an_empty_collection(self, api: Api, server: Server, items: t.Any) -> None:
        server.answer({"items": items, "metadata": {"resourceVersion": "7"}})
        assert list(api.objects("/x", metadata_only=True)) == []
        assert api.count("/x") == 0
        assert api.snapshot("/x") == ([], "7")

    def test_a_snapshot_is_watched_from_its_first_page(self, api: Api, server: Server) -> None:
        server.answer(page("a", following="1")).answer(page("b", version="9"))
        items, version = api.snapshot("/x")
        assert (len(items), version) == (2, "7")

    @pytest.mark.parametrize(("remaining", "expected"), [({}, 1), ({"remainingItemCount": 41}, 42)])
    def test_counting_takes_one_request_of_one_object(
        self, api: Api, server: Server, remaining: dict[str, int], expected: int
    ) -> None:
        server.answer(page("a", **remaining))
        assert api.count("/x") == expected
        [asked] = server.asked
        assert asked.query == {"limit": "1"}
        assert METADATA_ONLY in asked.headers["Accept"]

    def test_counting_by_label_reads_the_metadata_of_all_pages(self, api: Api, server: Server) -> None:
        server.answer(page("a", "b", following="1")).answer(page("c"))
        assert api.count("/x", label_selector="old") == 3
        assert [METADATA_ONLY in asked.headers["Accept"] for asked in server.asked] == [True, True]

    def test_the_first_ones_and_how_many_are_behind_them(self, api: Api, server: Server) -> None:
        server.answer(page("a", "b", remainingItemCount=3))
        items, remaining = api.first_metadata("/x", 2)
        assert ([one["metadata"]["name"] for one in items], remaining) == (["a", "b"], 3)


def event(kind: str, name: str) -> bytes:
    item = {"metadata": {"name": name, "resourceVersion": "8"}}
    return json.dumps({"type": kind, "object": item}, ensure_ascii=False).encode() + b"\n"


def watched(api: Api) -> list[tuple[str, str]]:
    watching = api.watch("/x", resource_version="7", seconds=30, label_selector="app=a")
    return [(kind, item["metadata"]["name"]) for kind, item in watching]


class TestWatching:
    def test_what_is_asked(self, api: Api, server: Server) -> None:
        server.answer(b"")
        assert watched(api) == []
        assert server.asked[0].query == {
            "labelSelector": "app=a",
            "watch": "true",
            "resourceVersion": "7",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "30",
        }

    @pytest.mark.parametrize("size", [1, 7, 61, 10_000])
    def test_lines_are_put_together_from_the_pieces_that_come(self, api: Api, server: Server, size: int) -> None:
        whole = event("ADDED", "ä") + event("MODIFIED", "b") + b"\n" + event("DELETED", "c") + event("BOOKMARK", "d")
        server.answer([whole[i : i + size] for i in range(0, len(whole), size)])
        assert watched(api) == [("ADDED", "ä"), ("MODIFIED", "b"), ("DELETED", "c"), ("BOOKMARK", "d")]

    def test_a_line_that_was_cut_off_is_no_event(self, api: Api, server: Server) -> None:
        server.answer([event("ADDED", "a"), event("ADDED", "b")[:-5]])
        assert watched(api) == [("ADDED", "a")]

    def test_a_version_that_is_too_old(self, api: Api, server: Server) -> None:
        error = json.dumps({"type": "ERROR", "object": status(410, "Expired", "too old")}).encode() + b"\n"
        server.answer([event("ADDED", "a"), error])
        with pytest.raises(Expired, match="WATCH /x was answered with 410 Expired: too old"):
            watched(api)

    @pytest.mark.parametrize(("code", "kind"), [(403, Forbidden), (410, Expired), (500, ApiError)])
    def test_a_watch_that_is_refused(self, api: Api, server: Server, code: int, kind: type[ApiError]) -> None:
        server.answer(status(code), code)
        with pytest.raises(kind, match="so it is"):
            watched(api)

    def test_something_else_than_events(self, api: Api, server: Server) -> None:
        server.answer([b"<html>\n", b"</html>\n"])
        with pytest.raises(Unreachable, match="The watch of /x broke"):
            watched(api)

    def test_a_connection_that_breaks(self, api: Api, server: Server) -> None:
        server.answer(event("ADDED", "a"), Content_Length="99")
        with pytest.raises(Unreachable, match="The watch of /x broke"):
            watched(api)

    def test_closing_one_that_has_ended_does_no_harm(self, api: Api, server: Server) -> None:
        server.answer([event("ADDED", "a")])
        watching = api.watch("/x", resource_version="7", seconds=30)
        assert len(list(watching)) == 1
        watching.close()
        watching.close()


def test_an_address_of_plain_http_says_so(api: Api, server: Server) -> None:
    server.answer(b"Client sent an HTTP request to an HTTPS server.\n", 400)
    with pytest.raises(Unreachable, match="answers only to https"):
        api.get("/x")


class TestPeeking:
    def test_what_is_there_as_it_came(self, api: Api, server: Server) -> None:
        server.answer(b"a line\n")
        assert api.peek("/log", {"previous": "true"}) == b"a line\n"
        assert server.asked[0].query == {"previous": "true"}

    def test_metadata_only(self, api: Api, server: Server) -> None:
        server.answer(page("a"))
        assert json.loads(api.peek("/x", {}, metadata_only=True))["items"]
        assert METADATA_ONLY in server.asked[0].headers["Accept"]

    @pytest.mark.parametrize("code", [403, 429, 503])
    def test_an_error_is_not_asked_again(self, api: Api, server: Server, clock: QuickClock, code: int) -> None:
        server.answer(status(code), code)
        with pytest.raises(ApiError, match=str(code)):
            api.peek("/x", {})
        assert len(server.asked) == 1 and clock.pauses == []

    def test_a_broken_connection_is_not_asked_again(self, api: Api, server: Server) -> None:
        server.reset()
        with pytest.raises(Unreachable):
            api.peek("/x", {})
        assert len(server.asked) == 1
