"""The Delta library and forks: its threads do not go along into a forked process, where it panics at the first call."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dualgauge.eventlog.errors import LogForked

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORKED = "forked process"
"""What the library's panic says of it."""

_users: list[int] = []
"""The process that used the library first: the one that has its threads."""


@contextmanager
def using_delta(shown: str) -> Iterator[None]:
    """
    Call the Delta library, where this process can.

    Args:
        shown: where the log is, as messages say it.

    Raises:
        LogForked: the process from which this one was forked has used the library before.
    """
    if _users and _users[0] != os.getpid():
        raise LogForked(shown, _users[0])
    _users[:] = [os.getpid()]
    try:
        yield
    except BaseException as fault:
        # The application itself may have used the library before the fork. Its panic is no Exception.
        if isinstance(fault, Exception) or _FORKED not in str(fault).lower():
            raise
        raise LogForked(shown, os.getppid()) from fault
