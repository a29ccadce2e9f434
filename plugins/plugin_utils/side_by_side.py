# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. The same work for many hosts at once, in threads of one worker of Ansible.

A worker of its own for each host is not small: in a run of 200 hosts it has written to 15 MB before its task begins.
"""

from __future__ import annotations

import resource
import sys
import typing as t
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from contextvars import copy_context

from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.interruption import (
    Ending,
    Interrupted,
    interruptible,
)

T = t.TypeVar("T")

FILES_EACH = 12
"""How many files the work for a host has open: a connection for each watch, for the lock and for what is asked, and some room."""


def side_by_side(work: Callable[[str, Ending], T], hosts: Collection[str], *, at_once: int) -> dict[str, T]:
    """What the work gives for each host. A signal goes on to all of it, also to what has not begun.

    Args:
        work: Takes a host, and what says that it is to end, which it is to heed.
        hosts: Their names.
        at_once: How many are worked on at the same time, as far as the system lets one process open files for them.
    """
    ending = Ending()
    works: dict[str, Future[T]] = {}
    with ThreadPoolExecutor(max_workers=max(min(at_once, _room()), 1)) as pool:

        def begin_all() -> None:
            for host in hosts:
                if host not in works:
                    works[host] = pool.submit(copy_context().run, work, host, ending)

        try:
            with interruptible():
                begin_all()
                wait(works.values())
        except BaseException as error:
            is_signal = isinstance(error, Interrupted)
            ending.ask_for(str(error) if is_signal else "the end of the task's time")
            begin_all()  # who has not begun says so
            if not is_signal:
                raise
    return {host: one.result() for host, one in works.items()}


def _room() -> int:
    """For how many hosts this process may open files, once it has asked for all that it may get."""
    _now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS gives less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    now, _most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if now == resource.RLIM_INFINITY else now // FILES_EACH
