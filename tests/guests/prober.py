# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client of guests: one HTTP connection and one echo connection to each, kept open, a request every 100 ms.

Runs as a process of its own in the lab's network namespace: ``prober.py NAME=ADDRESS…``. Each answer, and each error, is
a line of JSON in stdout:

    {"at": 1700000000.0, "guest": "guest-1", "channel": "http", "connection": 1, "ms": 1.9, "boot_id": "…", "counter": 7}
    {"at": 1700000060.2, "guest": "guest-1", "channel": "echo", "connection": 1, "broken": "ConnectionResetError: …"}

A connection is given up only when it is reset or closed, or when an answer is missing for as long as ``PATIENCE``: a
client that does not know of migrations does not know better either. ``connection`` counts the connections of a channel;
a connection that could not be made has none.
"""

from __future__ import annotations

import itertools
import json
import socket
import sys
import threading
import time
import typing as t
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException

INTERVAL = 0.1
"""Seconds from one request to the next."""
PATIENCE = 15.0
"""Seconds without an answer after which a connection counts as broken."""
HTTP_PORT, ECHO_PORT = 8080, 7777

Said = dict[str, t.Any]


class Http:
    """A connection on which the same question is asked again and again.

    Raises:
        OSError: The connection cannot be made, or is broken.
        HTTPException: It was closed, or what came is no answer.
    """

    def __init__(self, address: str) -> None:
        self._connection = HTTPConnection(address, HTTP_PORT, timeout=PATIENCE)
        self._connection.connect()
        self._socket = self._connection.sock

    def ask(self) -> Said:
        """The guest's answer: its boot id and its counter."""
        self._connection.request("GET", "/")
        answer = json.loads(self._connection.getresponse().read())
        if self._connection.sock is not self._socket:
            raise ConnectionAbortedError("the guest has closed the connection after its answer")
        return {"boot_id": answer["boot_id"], "counter": answer["counter"]}

    def close(self) -> None:
        self._connection.close()


class Echo:
    """A connection on which each line comes back.

    Raises:
        OSError: The connection cannot be made, is broken, or something else came back.
    """

    def __init__(self, address: str) -> None:
        self._connection = socket.create_connection((address, ECHO_PORT), timeout=PATIENCE)
        self._lines = self._connection.makefile("rb")
        self._numbers = itertools.count(1)

    def ask(self) -> Said:
        """Nothing but that it came back."""
        sent = f"line {next(self._numbers)}\n".encode()
        self._connection.sendall(sent)
        back = self._lines.readline()
        if not back:
            raise ConnectionAbortedError("the guest has closed the connection")
        if back != sent:
            raise ConnectionError(f"{back!r} came back and not {sent!r}")
        return {}

    def close(self) -> None:
        self._lines.close()
        self._connection.close()


CHANNELS: dict[str, Callable[[str], Http | Echo]] = {"http": Http, "echo": Echo}


def probe(guest: str, address: str, channel: str, tell: Callable[[Said], None], ended: Callable[[], bool]) -> None:
    """Ask a guest on one channel until it has ended, with a new connection whenever the old one is broken."""
    made = 0
    while not ended():
        about: Said = {"guest": guest, "channel": channel}
        connection: Http | Echo | None = None
        try:
            connection = CHANNELS[channel](address)
            made += 1
            about["connection"] = made
            _ask(connection, about, tell, ended)
        except (OSError, HTTPException, ValueError, KeyError) as error:
            what = "broken" if connection else "refused"
            tell({**about, "at": time.time(), what: f"{type(error).__name__}: {error}"})
            time.sleep(INTERVAL)
        finally:
            if connection:
                connection.close()


def _ask(connection: Http | Echo, about: Said, tell: Callable[[Said], None], ended: Callable[[], bool]) -> None:
    due = time.monotonic()
    while not ended():
        asked = time.monotonic()
        said = connection.ask()
        now = time.monotonic()
        tell({**about, "at": time.time(), "ms": round(1000 * (now - asked), 1), **said})
        due = max(due + INTERVAL, now)  # what was missed in a gap is not asked for later
        time.sleep(due - now)


def main() -> None:
    """Ask all guests on all channels until stdin is closed."""
    lock, over = threading.Lock(), threading.Event()

    def tell(said: Said) -> None:
        with lock:
            print(json.dumps(said), flush=True)

    guests = [argument.split("=", 1) for argument in sys.argv[1:]]
    for guest, address in guests:
        for channel in CHANNELS:
            threading.Thread(target=probe, args=(guest, address, channel, tell, over.is_set), daemon=True).start()
    sys.stdin.read()
    over.set()
    with lock:  # not in the middle of a line
        sys.stdout.flush()


if __name__ == "__main__":
    main()
