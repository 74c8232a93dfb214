"""
The connection to the ledger's database, and the only place that knows which database it is.

SQLite: Python's sqlite3, WAL, a busy timeout, `synchronous=FULL` (a move that was reported must survive a
power cut), `BEGIN IMMEDIATE` for writes. PostgreSQL: one advisory lock for writes, because the journal is
one chain and so has one writer at a time there too.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import NullPool, create_engine, event, text
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from dualgauge.errors import keep_secret, redact
from dualgauge.ledger.errors import (
    UNREADABLE,
    BadLedgerUrl,
    LedgerBusy,
    LedgerError,
    LedgerForked,
    NoLedger,
    NotALedger,
)
from dualgauge_router.ledger_url import ledger_url
from dualgauge_router.sqlite_files import Watched, in_the_way, inherited, use_wal, watched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITE_LOCK: Final = 0x6475_616C_6761_7567
"""PostgreSQL's advisory lock of a ledger's writers: "dualgaug" in ASCII."""

_FOR_WRITING: Final = "dualgauge_for_writing"


class Database:
    """One ledger database. Holds no SQLite connection between calls, and uses none that a fork brought along."""

    def __init__(self, url: str, *, timeout: float) -> None:
        """
        Take a URL without connecting.

        Args:
            url: SQLAlchemy's form; a relative SQLite path counts from the working folder.
            timeout: how long to wait for a connection or for another writer, in seconds.

        Raises:
            BadLedgerUrl: no database URL, one of an unknown kind, or SQLite in memory.
        """
        self.timeout = timeout
        self._process = os.getpid()
        try:
            parsed = make_url(url)
            keep_secret(url)
            self.shown = redact(parsed.render_as_string(hide_password=True))
            self._path = _path(url, parsed)
            self._engine = _sqlite(self._path, self.shown, timeout) if self._path else self._server(parsed)
        except NoSuchModuleError as fault:
            raise BadLedgerUrl("its kind of database is unknown") from fault
        except (ArgumentError, ValueError):
            # From nothing: who forgets to escape an @ or a / finds a part of the password in the parser's message.
            raise BadLedgerUrl(UNREADABLE) from None
        except ModuleNotFoundError as fault:
            reason = f"its driver {fault.name} is not installed (the extra `dualgauge[postgresql]` brings psycopg)"
            raise BadLedgerUrl(reason) from fault

    def make(self) -> None:
        """Make an empty SQLite file, with its folder, where there is none; elsewhere do nothing."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(exist_ok=True)
        except OSError as fault:
            raise LedgerError(self.shown, fault.strerror or str(fault)) from fault

    def use_wal(self) -> None:
        """
        Have a SQLite file keep a write-ahead log, so that readers never wait. The file remembers it.

        Raises:
            LedgerBusy: another process was in the way longer than `timeout`.
        """
        if self._path is None:
            return
        with self._translated(), self._engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            use_wal(raw, self.timeout)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read in one snapshot."""
        engine = self._own_engine()
        if self._path is None:
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        with self._translated(), engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """
        Write in one transaction, the only one at a time; it commits at the end, and not at all if anything is raised.

        Raises:
            LedgerBusy: another process kept the write lock longer than `timeout`.
        """
        engine = self._own_engine().execution_options(**{_FOR_WRITING: True})
        if self._path is None:
            # Whatever the server's default is: a snapshot of the whole transaction would be taken by the statement that
            # waits for the lock, and so be from before what the writer wrote that it waited for.
            engine = engine.execution_options(isolation_level="READ COMMITTED")
        with self._translated(), engine.begin() as connection:
            if self._path is None:
                connection.execute(text(f"SET LOCAL lock_timeout = {int(self.timeout * 1000)}"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITE_LOCK})
            yield connection

    def close(self) -> None:
        """Close the connections of a server; a closed database may be used again."""
        self._own_engine().dispose()

    def _own_engine(self) -> Engine:
        if os.getpid() != self._process:
            # A connection to a server that came along in a fork is the parent's, who goes on using it.
            self._engine.dispose(close=False)
            self._process = os.getpid()
        return self._engine

    def _server(self, url: URL) -> Engine:
        if url.get_backend_name() != "postgresql":
            raise BadLedgerUrl(f"a ledger is kept in SQLite or PostgreSQL, not in {url.get_backend_name()}")
        seconds = max(2, int(self.timeout))
        # A server that is gone from the network would be waited for by the quarter hour, or for two hours.
        options: dict[str, Any] = {
            "connect_timeout": seconds, "tcp_user_timeout": seconds * 1000,
            "keepalives_idle": seconds, "keepalives_interval": seconds, "keepalives_count": 3,
        }  # fmt: skip
        return create_engine(url, pool_pre_ping=True, pool_size=1, connect_args=options)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Say a database's fault in the ledger's words."""
        try:
            yield
        except (DBAPIError, self._engine.dialect.loaded_dbapi.Error) as fault:
            # The driver's own where rows are taken from it as they are (`journal_rows.plain`).
            original = fault.orig if isinstance(fault, DBAPIError) else fault
            reason = str(original).strip().split("\n", maxsplit=1)[0]
            if in_the_way(original) or "lock timeout" in reason:
                raise LedgerBusy(self.shown, self.timeout) from fault
            if "not a database" in reason:
                raise NotALedger(self.shown, reason) from fault
            raise LedgerError(self.shown, reason) from fault
        except SQLAlchemyError as fault:
            raise LedgerError(self.shown, str(fault).split("\n", maxsplit=1)[0]) from fault


@lru_cache(maxsize=16)
def _sqlite(path: Path, shown: str, timeout: float) -> Engine:
    """
    The engine of a file, which holds nothing open.

    One for all who open the file, one after the other: each statement is compiled once, and not for every command.
    """

    def connect() -> sqlite3.Connection:
        if not path.exists():
            raise NoLedger(shown)
        if inherited([path]):
            raise LedgerForked(shown)
        # mode=rw: a reader whose file was taken away must not leave an empty one behind.
        # isolation_level=None: the begin hook below says how a transaction begins, not sqlite3.
        uri = f"{path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None, factory=Watched)
        watched(connection, path)
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    # A deferred transaction that writes after it read fails at once when another wrote between: take the lock first.
    for_writing = connection.get_execution_options().get(_FOR_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if for_writing else "BEGIN")


def _path(text: str, url: URL) -> Path | None:
    """Where a SQLite ledger is; None for a server. As a router reads it, whichever SQLAlchemy is installed."""
    return ledger_url(text).path if url.get_backend_name() == "sqlite" else None
