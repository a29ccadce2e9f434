# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read from the record of a guest's clients, and the clients themselves against a server on this machine."""

from __future__ import annotations

import json
import socketserver
import threading
import time
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

import pytest

from tests.guests import prober
from tests.guests.record import Phase, Row, Said, as_json, from_json, parsed, row_of, table

NODES = ("real-1", "real-2")
PHASE = Phase("canary", begin=100.0, end=110.0)


def answers(begin: float, end: float, *, channel: str = "http", boot_id: str = "a", **more: t.Any) -> list[Said]:
    """One every 100 ms."""
    count = round((end - begin) * 10)
    numbers = range(round(begin * 10), round(begin * 10) + count)
    given = {"connection": 1, "boot_id": boot_id if channel == "http" else "", **more}
    return [Said(number / 10, "g", channel, counter=number, **given) for number in numbers]


def row(record: list[Said], phase: Phase = PHASE) -> Row:
    return row_of(sorted(record, key=lambda one: one.at), phase, "g", NODES)


UNDISTURBED = [*answers(90, 120), *answers(90, 120, channel="echo")]


def test_nothing_noticed() -> None:
    seen = row([*UNDISTURBED, Said(105.0, "other", "http", 1, "broken")])
    assert (seen.boots, seen.answers, seen.broken, seen.refused, seen.back, seen.gap) == (1, 202, 0, 0, 0, 100)
    assert seen.wrong == []


def test_a_gap_on_one_channel_is_no_fault_by_itself_but_told() -> None:
    seen = row([*answers(90, 103), *answers(105.2, 120), *answers(90, 120, channel="echo")])
    assert seen.gap == 2300
    assert seen.wrong == []


@pytest.mark.parametrize(("begin", "end"), [(98, 101), (109, 113), (95, 115)])
def test_a_gap_that_reaches_into_a_phase_counts_whole(begin: float, end: float) -> None:
    seen = row([*answers(90, begin), *answers(end, 120), *answers(90, 120, channel="echo")])
    assert seen.gap == round(1000 * (end - begin) + 100)


def test_a_gap_that_does_not_end() -> None:
    assert row([*answers(90, 103), *answers(90, 120, channel="echo")]).gap == 7100


def test_a_broken_connection() -> None:
    seen = row([*UNDISTURBED, Said(105.0, "g", "echo", 1, "ConnectionResetError"), Said(106.0, "g", "http", None, "x")])
    assert (seen.broken, seen.refused) == (1, 1)
    assert seen.wrong == ["1 connections broken", "1 connections refused"]


def test_a_reboot_is_wrong_unless_it_is_asked_for() -> None:
    echo = answers(90, 120, channel="echo")
    record = [*answers(90, 103), *answers(106, 120, boot_id="b"), Said(103.5, "g", "http", 1, "closed"), *echo]
    assert "2 boot ids and not 1" in row(record).wrong
    asked_for = replace(PHASE, reboots=True)
    assert row(record, asked_for).wrong == []
    assert row(UNDISTURBED, asked_for).wrong == ["1 boot ids and not 2"]


def test_memory_that_was_lost() -> None:
    again = [replace(one, counter=one.counter - 50) for one in answers(105, 120)]
    seen = row([*answers(90, 105), *again, *answers(90, 120, channel="echo")])
    assert seen.wrong == ["1 times the counter went back"]


def test_a_phase_of_which_nothing_is_known_shows_nothing() -> None:
    assert row([]).wrong == ["no answers on any channel", "0 boot ids and not 1"]
    assert row([*answers(90, 120), *answers(90, 100, channel="echo")]).wrong == ["no answers on echo"]


def test_rows_are_kept_and_told() -> None:
    rows = [row(UNDISTURBED), row([*answers(90, 103), *answers(106, 120, boot_id="b")])]
    assert from_json(as_json(rows)) == rows
    lines = table(rows).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == [
        *("canary", "g", "real-1 → real-2", "unchanged", "0", "100 ms", "202", "10 s")
    ]
    assert "1 new" in lines[3]


class Guest(BaseHTTPRequestHandler):
    """A guest's HTTP server; the fifth answer is its last one if it is told to break."""

    protocol_version = "HTTP/1.1"
    counter = 0
    breaks = False

    def do_GET(self) -> None:
        type(self).counter += 1
        if self.breaks and self.counter == 5:
            self.close_connection = True
            return
        body = json.dumps({"boot_id": "a", "uptime": 1, "counter": self.counter}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


class Lines(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line)


@contextmanager
def served(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """The port of a server in a thread."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def probed(monkeypatch: pytest.MonkeyPatch, channel: str, port: int, amount: int) -> list[Said]:
    """The first lines of a probe's record."""
    monkeypatch.setattr(prober, "INTERVAL", 0.001)
    monkeypatch.setattr(prober, "HTTP_PORT", port)
    monkeypatch.setattr(prober, "ECHO_PORT", port)
    lines: list[str] = []
    deadline = time.monotonic() + 10

    def ended() -> bool:
        return len(lines) >= amount or time.monotonic() > deadline

    prober.probe("g", "127.0.0.1", channel, lambda said: lines.append(json.dumps(said) + "\n"), ended)
    return parsed(lines)


def test_requests_on_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guest, "counter", 0)
    with served(Guest) as port:
        record = probed(monkeypatch, "http", port, 20)
    assert [one.counter for one in record] == [*range(1, 21)]
    assert {(one.connection, one.error, one.boot_id) for one in record} == {(1, "", "a")}
    with served(Lines) as port:
        record = probed(monkeypatch, "echo", port, 20)
    assert [(one.connection, one.error) for one in record] == [(1, "")] * 20


def test_a_connection_that_the_guest_closes_is_broken_and_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guest, "counter", 0)
    monkeypatch.setattr(Guest, "breaks", True)
    with served(Guest) as port:
        record = probed(monkeypatch, "http", port, 10)
    assert [one.connection for one in record] == [1] * 5 + [2] * 5
    assert [bool(one.error) for one in record] == [False] * 4 + [True] + [False] * 5


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(Lines) as port:
        pass
    record = probed(monkeypatch, "echo", port, 3)
    assert [(one.connection, one.error[:22]) for one in record] == [(None, "ConnectionRefusedError")] * 3


def test_an_answer_that_is_cut_off_in_the_record_is_not_read() -> None:
    whole = '{"at": 1.0, "guest": "g", "channel": "echo", "connection": 1, "ms": 2.5}\n'
    assert parsed([whole, whole[:20]]) == [Said(1.0, "g", "echo", 1, ms=2.5)]
