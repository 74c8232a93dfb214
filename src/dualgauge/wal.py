"""Turning SQLite's write-ahead log on: the ledger and the serving store do it, and neither may import the other."""

from __future__ import annotations

import random
import sqlite3
import time
from typing import Final

_IN_THE_WAY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL}
"""Others have the locks, or were quicker to them again and again."""

_PAUSE: Final = (0.001, 0.02)
"""The shortest and the longest time between two tries, in seconds: those who race must not do so in step."""


def in_the_way(fault: BaseException | None) -> bool:
    """Whether SQLite failed because of another connection's locks."""
    return isinstance(fault, sqlite3.Error) and getattr(fault, "sqlite_errorcode", 0) & 0xFF in _IN_THE_WAY


def use_wal(raw: sqlite3.Connection, seconds: float, schema: str = "main") -> None:
    """
    Have a file keep a write-ahead log, so that readers never wait. The file remembers it.

    Args:
        raw: a connection without a transaction.
        seconds: how long to wait for others; also the connection's busy timeout afterwards.
        schema: under which name the file is attached.

    Raises:
        sqlite3.Error: the file cannot be used, or others were in the way all the time (`in_the_way`).
    """
    deadline = time.monotonic() + seconds
    try:
        while True:
            # The statement reads the mode, then asks for the write lock. For the first SQLite waits by itself; with a
            # read lock in hand it does not, since two that wait so would wait for each other: it fails at once.
            raw.execute(f"PRAGMA busy_timeout = {max(0, int((deadline - time.monotonic()) * 1000))}")
            try:
                raw.execute(f"PRAGMA {schema}.journal_mode = WAL").fetchall()
            except sqlite3.OperationalError as fault:
                if not in_the_way(fault) or time.monotonic() >= deadline:
                    raise
            else:
                return
            time.sleep(random.uniform(*_PAUSE))  # noqa: S311  (spreads out those who wait)
    finally:
        raw.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
