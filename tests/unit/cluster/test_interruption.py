# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a run by a signal."""

from __future__ import annotations

import contextlib
import signal
import typing as t

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.interruption import Interrupted, interruptible


@pytest.fixture
def handlers() -> t.Iterator[None]:
    """Whatever a test makes of the signals, and the old handlers afterwards."""
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_raised_once_and_the_clean_up_is_not_cut_off(number: signal.Signals, handlers: None) -> None:
    cleaned_up = False
    with pytest.raises(Interrupted, match=number.name), interruptible():
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            cleaned_up = True
    assert cleaned_up
    signal.raise_signal(signal.SIGTERM)


def test_after_it_nothing_begins_in_this_process_any_more(handlers: None) -> None:
    """Ansible goes on with the next item of a loop there, although everybody was told to end."""
    with contextlib.suppress(Interrupted), interruptible():
        signal.raise_signal(signal.SIGINT)
    begun = False
    with pytest.raises(Interrupted, match="stopped this task"), interruptible():
        begun = True
    assert not begun


def test_without_a_signal_the_handlers_are_put_back(handlers: None) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with interruptible():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
