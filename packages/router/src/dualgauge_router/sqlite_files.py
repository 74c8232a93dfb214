"""
SQLite files, for the rooms that open them: the write-ahead log that all of them keep, and what a fork does to them.

SQLite keeps a process's locks on a file in its memory, for all connections together, and the system does not hand them
on to a forked process. There a connection of the parent, and every new one beside it, believes to have locks that it
has not: it answers with old rows for ever (seen), or writes over others. So whoever holds a connection lets go of it
before a fork, and where that did not happen the file is not opened in the forked process.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

T = TypeVar("T")

_IN_THE_WAY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL}
"""Others have the locks, or were quicker to them again and again."""

_PAUSE: Final = (0.001, 0.02)
"""The shortest and the longest time between two tries, in seconds: those who race must not do so in step."""


class Watched(sqlite3.Connection):
    """A connection that can be noted by `watched`: the `factory` of `sqlite3.connect`."""

    def close(self) -> None:
        """Let go of the files."""
        super().close()
        _OPEN.pop(self, None)


_OPEN: Final[weakref.WeakKeyDictionary[sqlite3.Connection, set[Path]]] = weakref.WeakKeyDictionary()
"""The connections of this process, and what each has open, as absolute paths without links."""

_INHERITED: Final[set[Path]] = set()
"""The files that the parent had open when this process was forked from it."""


def watched(raw: sqlite3.Connection, file: Path) -> None:
    """Note that a connection has a file open; `raw` was made with the factory `Watched`."""
    _OPEN.setdefault(raw, set()).add(file.resolve())


def inherited(files: Iterable[Path]) -> Path | None:
    """One of the files that must not be opened in this process: its parent had it open when it forked."""
    return next((file for file in files if file.resolve() in _INHERITED), None) if _INHERITED else None


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


def over_forks(
    of: weakref.WeakSet[T], hold: Callable[[T], bool], go_on: Callable[[T], None], inherit: Callable[[T], None]
) -> None:
    """
    Have objects let go of their files before each fork of this process.

    Args:
        of: the objects; more may come.
        hold: called before a fork, in any thread; true where `go_on` is to be called after it.
        go_on: called after it, in the process that forked.
        inherit: called after it in the new process, for every object.
    """
    # By thread, and within one in a row: a signal may come in a fork and fork as well.
    held: dict[int, list[list[T]]] = {}

    def before() -> None:
        mine: list[T] = []
        held.setdefault(threading.get_ident(), []).append(mine)
        for one in _alive(of):
            if hold(one):
                mine.append(one)  # noqa: PERF401  (what is held is known also where the next one is interrupted)

    def here() -> None:
        mine = held.get(threading.get_ident())
        for one in mine.pop() if mine else ():
            go_on(one)

    def there() -> None:
        held.clear()
        for one in _alive(of):
            inherit(one)

    os.register_at_fork(before=before, after_in_parent=here, after_in_child=there)


def _alive(of: weakref.WeakSet[T]) -> list[T]:
    while True:
        try:
            return list(of)
        except RuntimeError:  # another thread added one meanwhile
            continue


def _forking() -> None:
    if _OPEN:
        # Loaded here, since it is 5 ms and hardly ever needed, and a forked process better imports nothing.
        import ctypes  # noqa: F401


def _forked() -> None:
    """In a forked process: remember what must not be opened, and never close the parent's connections."""
    for raw, files in list(_OPEN.items()):
        import ctypes

        _INHERITED.update(files)
        # Closing one may write to its file, and take away the write-ahead log of whoever has it now.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(raw))
    _OPEN.clear()


os.register_at_fork(before=_forking, after_in_child=_forked)
