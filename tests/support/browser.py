# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A headless Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import typing as t
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import websocket

from tests.support.lab import Json

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60
"""Seconds for one answer: a busy machine starts a browser slowly."""


class Page:
    """One tab, with all that it reported: errors, and what it asked for since it was opened."""

    def __init__(self, connection: websocket.WebSocket) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self.events: list[Json] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: t.Any) -> Json:
        """The result of a command of the protocol."""
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": params}))
        while (said := self._receive()).get("id") != number:
            pass
        assert "error" not in said, f"{method}: {said['error']}"
        result: Json = said["result"]
        return result

    def open(self, file: Path, *, width: int, height: int, dark: bool = False) -> None:
        """Show a file at a size in CSS pixels, and wait until it is loaded."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.call("Page.navigate", url=file.resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._receive()

    def evaluate(self, expression: str) -> t.Any:
        """The value of a JavaScript expression in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def screenshot(self, file: Path, *, whole: bool = False) -> None:
        """Save what the window shows, or the whole page, as PNG."""
        file.parent.mkdir(parents=True, exist_ok=True)
        image = self.call("Page.captureScreenshot", captureBeyondViewport=whole, **self._clip(whole))["data"]
        file.write_bytes(base64.b64decode(image))

    def _clip(self, whole: bool) -> Json:
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {**size, "scale": 1}} if whole else {}

    @property
    def complaints(self) -> list[Json]:
        """Errors and warnings of the page, and all that it wrote to the console."""
        names = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        return [event for event in self.events if event["method"] in names]

    @property
    def requests(self) -> list[str]:
        """The addresses that the page asked for, its own among them."""
        sent = [event for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    def _receive(self) -> Json:
        said: Json = json.loads(self._connection.recv())
        if "method" in said:
            self.events.append(said)
        return said


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """A page of a new Chromium, whose profile goes into an empty folder."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    options += ["--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen([_program(), *options], stderr=subprocess.PIPE, text=True)
    try:
        tab = _tab(_address(process))
        connection = websocket.create_connection(tab["webSocketDebuggerUrl"], timeout=PATIENCE, suppress_origin=True)
        try:
            yield Page(connection)
        finally:
            connection.close()
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def _program() -> str:
    return next(filter(None, map(shutil.which, NAMES)))


def _address(process: subprocess.Popen[str]) -> str:
    """Where its debugger listens, as host:port."""
    assert process.stderr
    said = next(line for line in process.stderr if "DevTools listening on ws://" in line)
    return said.split("ws://")[1].split("/")[0]


def _tab(address: str) -> Json:
    with urllib.request.urlopen(f"http://{address}/json/list", timeout=PATIENCE) as answer:
        return next(one for one in json.load(answer) if one["type"] == "page")
