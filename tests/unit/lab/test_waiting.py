# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A wait names what it waits for, and ends."""

from __future__ import annotations

import pytest
from kvlab.waiting import NotYet, TimedOut, wait_for


def test_gives_what_the_condition_returned(capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter([None, "", "there"])
    assert wait_for("the answer", lambda: next(answers), 5, poll=0) == "there"
    assert "waiting for the answer (at most 5 s)" in capsys.readouterr().err


def test_is_silent_when_there_is_nothing_to_wait_for(capsys: pytest.CaptureFixture[str]) -> None:
    wait_for("the answer", lambda: True, 5)
    assert capsys.readouterr().err == ""


def test_names_the_wait_and_the_last_reason_when_the_deadline_is_over() -> None:
    def never() -> bool:
        raise NotYet("the port is closed")

    with pytest.raises(TimedOut, match="the answer: not after 0 s: the port is closed"):
        wait_for("the answer", never, 0, poll=0)


def test_an_error_of_the_condition_ends_the_wait() -> None:
    def broken() -> bool:
        raise RuntimeError("etcd ended")

    with pytest.raises(RuntimeError, match="etcd ended"):
        wait_for("etcd", broken, 60)
