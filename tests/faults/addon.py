# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mitmproxy addon: does to the requests of one client what the rule says, and writes down what it saw.

Runs in mitmproxy's own Python, so it imports nothing of ours but what needs the standard library only.
The folder FAULTS_FOLDER holds rule.json (read again when it changes) and log.jsonl.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import typing as t
from pathlib import Path

from mitmproxy import http

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.faults.phases import Request, Story, phase_of

FOLDER = Path(os.environ["FAULTS_FOLDER"])
SLOW = 6.0  # seconds

STATUSES: dict[str, tuple[int, str, str]] = {
    "429": (429, "TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    "500": (500, "InternalError", "Internal error occurred: etcdserver: leader changed"),
    "503": (503, "ServiceUnavailable", "the server is currently unable to handle the request"),
    "401": (401, "Unauthorized", "Unauthorized"),
    "403": (403, "Forbidden", "the user is not allowed to do this"),
    "409": (
        409,
        "Conflict",
        "the object has been modified; please apply your changes to the latest version and try again",
    ),
    "webhook": (
        500,
        "InternalError",
        'Internal error occurred: failed calling webhook "kubevirt-update-validator.kubevirt.io": failed to call webhook: Post '
        '"https://kubevirt-operator-webhook.kubevirt.svc:443/kubevirt-validate-update?timeout=10s": tls: failed to verify '
        "certificate: x509: certificate signed by unknown authority",
    ),
}


class Rule:
    """What to do to whom, and how often; and the story of the run that it is for."""

    def __init__(self, text: str) -> None:
        rule = json.loads(text)
        self.text = text
        self.phase: str = rule.get("phase", "")
        self.fault: str = rule.get("fault", "")
        self.times: int | None = rule.get("times")
        self.everything: bool = rule.get("everything", False)
        self.story = Story()
        self.hits = 0

    def hits_it(self, phase: str, request: Request) -> bool:
        """Whether this request gets the fault."""
        if not self.fault:
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        return phase == self.phase or (self.everything and self.hits > 0)


class Faults:
    """The proxy's work on each request and answer."""

    def __init__(self) -> None:
        self._rule = Rule("{}")
        self._older: dict[tuple[str, str], bytes] = {}
        self._log = (FOLDER / "log.jsonl").open("a", buffering=1)

    async def request(self, flow: http.HTTPFlow) -> None:
        self._read_rule()
        rule = self._rule
        accept = flow.request.headers.get("Accept", "")
        request = Request(flow.request.method, flow.request.path, flow.request.get_text() or "", accept)
        phase = phase_of(request, rule.story)
        hit = rule.hits_it(phase, request)
        if hit:
            rule.hits += 1
        flow.metadata |= {
            "rule": rule,
            "request": request,
            "phase": phase,
            "fault": rule.fault if hit else "",
        }
        self._note(flow, "request")
        if hit:
            await self._instead(flow, rule.fault, request)

    async def _instead(self, flow: http.HTTPFlow, fault: str, request: Request) -> None:
        """The faults that come before the server is asked, or instead."""
        if fault in STATUSES:
            flow.response = _refusal(*STATUSES[fault])
        elif fault == "reset before":
            flow.kill()
        elif fault == "slow":
            await asyncio.sleep(SLOW)
        elif fault in ("hang", "held before"):
            await asyncio.Event().wait()
        elif fault == "watch closed":
            flow.response = http.Response.make(200, b"", {"Content-Type": "application/json"})
        elif fault == "410":
            gone = {
                "kind": "Status",
                "status": "Failure",
                "reason": "Expired",
                "code": 410,
                "message": "too old resource version",
            }
            event = json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n"
            flow.response = http.Response.make(200, event, {"Content-Type": "application/json"})
        elif fault == "stale" and request.question in self._older:
            flow.response = http.Response.make(200, self._older[request.question], {"Content-Type": "application/json"})

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        request: Request = flow.metadata["request"]
        if not request.is_watch or flow.response is None:
            return
        if flow.metadata["fault"] == "reset after":
            flow.kill()
        else:
            flow.response.stream = True

    async def response(self, flow: http.HTTPFlow) -> None:
        request: Request = flow.metadata["request"]
        fault: str = flow.metadata["fault"]
        assert flow.response
        flow.metadata["status"] = flow.response.status_code
        by_server = fault not in STATUSES and flow.response.status_code < 300
        if by_server:
            flow.metadata["rule"].story.took(flow.metadata["phase"], request)
            if request.method == "GET" and not request.is_watch and fault != "stale":
                self._older.setdefault(request.question, flow.response.raw_content or b"")
        self._note(flow, "response")
        if fault == "held after":
            await asyncio.Event().wait()
        elif fault == "reset after":
            flow.kill()
        elif fault == "truncated" and flow.response.raw_content:
            content = flow.response.raw_content
            flow.response.headers["Content-Length"] = str(len(content))
            flow.response.headers["Connection"] = "close"
            flow.response.data.content = content[: len(content) // 2]

    def _read_rule(self) -> None:
        text = (FOLDER / "rule.json").read_text()
        if text != self._rule.text:
            self._rule = Rule(text)

    def _note(self, flow: http.HTTPFlow, event: str) -> None:
        request: Request = flow.metadata["request"]
        line: dict[str, t.Any] = {
            "at": round(time.time(), 3),
            "event": event,
            "method": request.method,
            "url": request.url,
            "phase": flow.metadata["phase"],
            "fault": flow.metadata["fault"],
            "write": request.is_write,
            "status": flow.metadata.get("status", 0),
        }
        self._log.write(json.dumps(line) + "\n")


def _refusal(status: int, reason: str, message: str) -> http.Response:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": status,
    }
    headers = {"Content-Type": "application/json"}
    if status == 429:
        headers["Retry-After"] = "1"
    return http.Response.make(status, json.dumps(body).encode(), headers)


addons = [Faults()]
