"""
SQLite as a serving store: one file a side, attached to an in-memory main database under the side's name.

In one process a file is opened by one library, Python's sqlite3, through SQLAlchemy. A writer attaches only the
side that it writes, because BEGIN IMMEDIATE locks every attached file.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import LRUCache

from dualgauge.model import Side, listed, literal
from dualgauge.stores.errors import NotADatabase, StoreDamaged, StoreHeld, StoreRefused
from dualgauge.stores.holders import holders
from dualgauge_router.sqlite_files import Watched, in_the_way, inherited, use_wal, watched
from dualgauge_router.stores.errors import StoreForked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sqlalchemy.engine.interfaces import DBAPIConnection

    from dualgauge.errors import DualgaugeError

WAIT_SECONDS = 30.0
"""How long a statement waits for another process's transaction."""

_WAL_PAGES: Final = range(4096, 65536)
"""
How far the log of a file that is written may grow before it is brought into it: three times the file, 16 to 256 MB.

Batches touch the same pages again and again. By SQLite's own 1000, one of 10,000 rows would bring each of them into the
file, and all over again for the next.
"""

_CACHED_KIB: Final = 65536
"""How much of a file that is written is kept in memory: what a batch has looked up is what it writes."""

_OPENED = "dualgauge_opened"

_COMPILED: Final[LRUCache[Any, Any]] = LRUCache(500)
"""The statements of all engines, compiled. A store is opened several times a command, and each would begin anew."""


@dataclass(frozen=True, slots=True)
class Databases:
    """The two files of a SQLite store. `wait` says how long they are waited for, `waits` of which one otherwise."""

    v1: Path
    v2: Path
    wait: float = WAIT_SECONDS
    waits: Mapping[Side, float] = field(default_factory=dict)

    def file(self, side: Side) -> Path:
        """A side's file."""
        return self.v1 if side is Side.V1 else self.v2

    @contextmanager
    def open(self, *sides: Side, create: bool = False) -> Iterator[sa.Engine]:
        """
        An SQLAlchemy engine with the files of some sides attached as `views_v1`, `views_v2`.

        Args:
            sides: which files; both where none is named.
            create: make files that are not there; without it they read as empty.

        Raises:
            NotADatabase: a file holds something else.
            StoreRefused: a file cannot be made, read or written.
            StoreForked: a file was open in the process from which this one was forked.
        """
        chosen = sides or tuple(Side)
        wait = min(self.waits.get(side, self.wait) for side in chosen)
        opened = Opened({side.schema: self.file(side) for side in chosen}, wait)
        if (file := inherited(opened.files.values())) is not None:
            raise StoreForked(file)
        process = os.getpid()

        def connect() -> DBAPIConnection:
            raw = sqlite3.connect(":memory:", uri=True, factory=Watched)
            _attach(raw, opened, create=create)
            return cast("DBAPIConnection", raw)

        like = _pattern()
        engine = sa.Engine(
            StaticPool(connect, dialect=like.dialect), like.dialect, like.url,
            execution_options={_OPENED: opened, "compiled_cache": _COMPILED},
        )  # fmt: skip
        event.listen(engine, "begin", _begin)
        try:
            yield engine
        finally:
            # In a process that was forked meanwhile the connection is its parent's.
            if os.getpid() == process:
                engine.dispose()


@cache
def _pattern() -> sa.Engine:
    """The engine that the others are like: statements are compiled for a dialect, so all have this one's."""
    engine = sa.create_engine("sqlite://")
    # The dialect learns from its first connection what this SQLite can do.
    engine.connect().close()
    engine.dispose()
    return engine


@dataclass(frozen=True, slots=True)
class Opened:
    """The files of an engine by schema, and how long its statements wait."""

    files: Mapping[str, Path]
    wait: float

    def error(self, fault: BaseException | None, name: str = "") -> DualgaugeError | None:
        """What SQLite's error means to a user; None where it is no matter of the file."""
        if not isinstance(fault, sqlite3.Error):
            return None
        path = name or listed(self.files.values())
        if in_the_way(fault):
            known = {file: found for file in self.files.values() if (found := holders(file))}
            # Of two files one may be free.
            path = name or listed(known or self.files.values())
            return StoreHeld(path, self.wait, [pid for found in known.values() for pid in found])
        match getattr(fault, "sqlite_errorcode", 0) & 0xFF:
            case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
                return NotADatabase(path, str(fault))
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
                return StoreRefused(path, str(fault).partition(": file:")[0])
            case sqlite3.SQLITE_ERROR if str(fault).startswith(("no such table", "no such column")):
                return StoreDamaged(path, str(fault))
        return None


def _attach(raw: sqlite3.Connection, opened: Opened, *, create: bool) -> None:
    raw.isolation_level, wal = None, _WAL_PAGES.start
    raw.execute(f"PRAGMA busy_timeout = {int(opened.wait * 1000)}")
    # SQLite commits attached files in the order in which they were attached. The version table is in v1's: when a
    # crash comes between the two, it does not yet tell of the revision, which is run again.
    for schema, file in sorted(opened.files.items(), reverse=True):
        try:
            if create:
                file.parent.mkdir(parents=True, exist_ok=True)
            # Nothing but SQLite may open these files: closing one lets go of all locks this process has on it.
            there = create or file.exists()
            target = f"{file.absolute().as_uri()}?mode={'rwc' if create else 'rw'}" if there else ":memory:"
            raw.execute(f"ATTACH DATABASE {literal(target)} AS {schema}")
            if there:
                watched(raw, file)
            if create:
                # A reader never waits for a writer, nor a writer for readers.
                use_wal(raw, opened.wait, schema)
            if there:
                # What a crash of the machine takes away is a batch with its checkpoint: it is made again.
                raw.execute(f"PRAGMA {schema}.synchronous = NORMAL")
                raw.execute(f"PRAGMA {schema}.cache_size = -{_CACHED_KIB}")
                (pages,) = raw.execute(f"PRAGMA {schema}.page_count").fetchone()
                kept = max(_WAL_PAGES.start, min(3 * pages, _WAL_PAGES.stop))
                wal = max(wal, kept)
                raw.execute(f"PRAGMA wal_autocheckpoint = {wal}")
                (size,) = raw.execute(f"PRAGMA {schema}.page_size").fetchone()
                # One that grew behind a long reader is cut back once that has gone.
                raw.execute(f"PRAGMA {schema}.journal_size_limit = {kept * size}")
        except (sqlite3.Error, OSError) as fault:
            raw.close()
            if isinstance(fault, OSError):
                raise StoreRefused(str(file), fault.strerror or str(fault)) from fault
            raise opened.error(fault, str(file)) or NotADatabase(file, str(fault)) from fault


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """
    One write transaction on an engine of `Databases.open`: it begins at once, and waits its turn.

    Raises:
        StoreHeld: another process's transaction did not end in time; nothing was written.
    """
    with _translated(engine), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One read transaction: everything read in it is one snapshot of each file."""
    with (
        _translated(engine),
        engine.connect().execution_options(dualgauge_begin="BEGIN") as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def _translated(engine: sa.Engine) -> Iterator[None]:
    try:
        yield
    except sa.exc.NoSuchTableError as fault:
        raise StoreDamaged(listed(opened(engine).files.values()), f"no such table: {fault}") from fault
    except (sa.exc.DBAPIError, sqlite3.Error) as fault:
        error = opened(engine).error(fault.orig if isinstance(fault, sa.exc.DBAPIError) else fault)
        if error is None:
            raise
        raise error from fault


def opened(engine: sa.Engine) -> Opened:
    """Which files an engine has, for messages."""
    found: Opened = engine.get_execution_options()[_OPENED]
    return found


def _begin(connection: sa.Connection) -> None:
    options: Any = connection.get_execution_options()
    if statement := options.get("dualgauge_begin", "BEGIN IMMEDIATE"):
        connection.exec_driver_sql(statement)
