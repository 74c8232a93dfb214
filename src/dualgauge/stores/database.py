"""
SQLite as a serving store: one file a side, attached to an in-memory main database under the side's name.

In one process a file is opened by one library, Python's sqlite3, through SQLAlchemy. A writer attaches only the
side that it writes, because BEGIN IMMEDIATE locks every attached file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import StaticPool

from dualgauge.model import Side, literal
from dualgauge.stores.errors import NotADatabase, StoreHeld

WAIT_SECONDS = 30.0
"""How long a statement waits for another process's transaction."""

MAGIC = b"SQLite format 3\x00"


@dataclass(frozen=True, slots=True)
class Databases:
    """The two files of a SQLite store."""

    v1: Path
    v2: Path
    wait: float = WAIT_SECONDS

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
            NotADatabase: a file holds something else, or cannot be opened.
        """
        chosen = sides or tuple(Side)
        for side in chosen:
            check_file(self.file(side), create=create)
        engine = sa.create_engine("sqlite://", poolclass=StaticPool)
        event.listen(engine, "connect", lambda raw, _record: self._attach(raw, chosen, create=create))
        event.listen(engine, "begin", _begin)
        try:
            yield engine
        finally:
            engine.dispose()

    def _attach(self, raw: sqlite3.Connection, sides: tuple[Side, ...], *, create: bool) -> None:
        raw.isolation_level = None
        raw.execute(f"PRAGMA busy_timeout = {int(self.wait * 1000)}")
        for side in sides:
            file = self.file(side)
            target = str(file) if create or file.exists() else ":memory:"
            try:
                raw.execute(f"ATTACH DATABASE {literal(target)} AS {side.schema}")
                if target != ":memory:":
                    # A reader never waits for a writer, nor a writer for readers.
                    raw.execute(f"PRAGMA {side.schema}.journal_mode = WAL")
                    raw.execute(f"PRAGMA {side.schema}.synchronous = NORMAL")
            except sqlite3.DatabaseError as fault:
                raise NotADatabase(file, str(fault)) from fault


def check_file(file: Path, *, create: bool) -> None:
    """Refuse a file that is no SQLite database before any library touches it."""
    if create:
        file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists() or file.stat().st_size == 0:
        return
    with file.open("rb") as opened:
        if opened.read(len(MAGIC)) != MAGIC:
            raise NotADatabase(file, "it holds something else")


@contextmanager
def writing(engine: sa.Engine, name: str) -> Iterator[sa.Connection]:
    """
    One write transaction: it begins at once, and waits its turn.

    Raises:
        StoreHeld: another process's transaction did not end in time; nothing was written.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except sa.exc.OperationalError as fault:
        if "locked" in str(fault.orig) or "busy" in str(fault.orig):
            raise StoreHeld(name, WAIT_SECONDS) from fault
        raise


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One read transaction: everything read in it is one snapshot of each file."""
    with engine.connect().execution_options(dualgauge_begin="BEGIN") as connection, connection.begin():
        yield connection


def _begin(connection: sa.Connection) -> None:
    options: Any = connection.get_execution_options()
    connection.exec_driver_sql(options.get("dualgauge_begin", "BEGIN IMMEDIATE"))
