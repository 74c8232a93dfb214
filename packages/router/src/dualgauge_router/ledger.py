"""
A ledger that is read: the state of one migration, by plain SQL, from SQLite or PostgreSQL.

Nothing is made or upgraded, and nothing written but what reads came to. A ledger that a newer dualgauge upgraded is
read where its own revision says that this reader still can.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from dualgauge_router.errors import redact
from dualgauge_router.ledger_errors import (
    BadLedgerUrl,
    ChangedCanary,
    LedgerBusy,
    LedgerError,
    LedgerForked,
    NewerLedger,
    NoLedger,
    NotALedger,
    OlderLedger,
)
from dualgauge_router.ledger_writing import write
from dualgauge_router.model import PPM
from dualgauge_router.sqlite_files import Watched, in_the_way, inherited, watched
from dualgauge_router.state import MigrationState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import psycopg

    from dualgauge_router.evidence import Batch
    from dualgauge_router.ledger_url import LedgerUrl

    Ask = Callable[[str, Sequence[object]], Sequence[tuple[Any, ...]]]
    """Runs a statement with values for its question marks, and gives all rows."""

KNOWN: Final = ("0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011")
"""The revisions of a ledger that are read as they are; dualgauge holds its own equal to these."""

_CANARY: Final = "0008"
"""The first revision with kills and applied configurations."""

_READS: Final = "0009"
"""The first revision that has what reads came to; to one that is not known here nothing is written."""

OLDER: Final = ("0001", "0002", "0003")
"""Revisions from before the first that is read."""

TIMEOUT: Final = 2.0
"""Seconds to wait for a connection, or for a lock of SQLite's."""

_IN_THE_WAY: Final = 0.25
"""Seconds that a write waits for another one: it is tried again at the next look."""

_OWN: Final = ("evidence", "journal", "migration")
"""Tables that every ledger has."""


class LedgerReader:
    """
    Reads one ledger. Not shared between threads; each look is one transaction.

    A SQLite file is opened for each look, so that none is open when the process forks; a connection to a server stays.
    """

    def __init__(self, at: LedgerUrl, *, timeout: float = TIMEOUT) -> None:
        """
        Take a place without connecting.

        Args:
            at: where the ledger is.
            timeout: seconds to wait for a connection, or for a lock.
        """
        self._at, self._timeout = at, timeout
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._process = os.getpid()

    def state(self, migration: str) -> MigrationState:
        """
        One migration as it is; one never seen is in stage `off`.

        Raises:
            NoLedger, NotALedger, OlderLedger, NewerLedger: there is no ledger that can be read.
            LedgerBusy, LedgerForked, LedgerError: the database could not be used.
            BadLedgerUrl: its driver is not installed.
        """
        with self._asking() as ask:
            return _state(ask, self._at.shown, migration)

    def write(self, migration: str, batch: Batch) -> None:
        """
        Add what reads came to, in one transaction; a batch that is there already changes nothing.

        Raises:
            what `state` raises; LedgerBusy where another writer is in the way, and NewerLedger where these tables may
            be others by now.
        """
        with self._asking(writing=True) as ask:
            found = str(ask("SELECT version_num FROM dualgauge_version", ())[0][0])
            if found not in KNOWN or found < _READS:
                raise NewerLedger(self._at.shown, found, KNOWN[-1])
            write(ask, migration, batch)

    def close(self) -> None:
        """Let go of the connection; it is made anew when it is asked for."""
        connection, self._connection = self._connection, None
        if connection is not None and os.getpid() == self._process:
            connection.close()

    def _asking(self, *, writing: bool = False) -> AbstractContextManager[Ask]:
        return self._file(writing=writing) if self._at.path else self._server(writing=writing)

    @contextmanager
    def _file(self, *, writing: bool) -> Iterator[Ask]:
        path, shown = self._at.path, self._at.shown
        assert path is not None  # noqa: S101  (asked by `_asking`)
        if not path.exists():
            raise NoLedger(shown)
        if inherited([path]):
            raise LedgerForked(shown)
        try:
            # mode=rw: a reader of a write-ahead log writes beside it; and a file that is gone must not come back empty.
            uri, timeout = f"{path.as_uri()}?mode=rw", _IN_THE_WAY if writing else self._timeout
            connection = sqlite3.connect(
                uri, uri=True, timeout=timeout, isolation_level=None, factory=Watched, check_same_thread=False
            )
            with closing(connection):
                watched(connection, path)
                if not writing:
                    connection.execute("PRAGMA query_only = ON")
                connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
                yield lambda sql, values: connection.execute(sql, tuple(values)).fetchall()
                connection.execute("COMMIT")
        except sqlite3.Error as fault:
            reason = str(fault).strip().split("\n", maxsplit=1)[0]
            if in_the_way(fault):
                raise LedgerBusy(shown, _IN_THE_WAY if writing else self._timeout) from fault
            if "not a database" in reason:
                raise NotALedger(shown, reason) from fault
            raise LedgerError(shown, reason) from fault

    @contextmanager
    def _server(self, *, writing: bool) -> Iterator[Ask]:
        try:
            import psycopg
        except ModuleNotFoundError as fault:
            reason = "its driver psycopg is not installed (the extra `dualgauge-router[postgresql]` brings it)"
            raise BadLedgerUrl(reason) from fault
        try:
            connection = self._connected(psycopg)
            with connection.transaction():
                if writing:
                    connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED READ WRITE")
                    connection.execute(f"SET LOCAL lock_timeout = {int(_IN_THE_WAY * 1000)}")
                    connection.execute(f"SET LOCAL statement_timeout = {int(self._timeout * 1000)}")
                else:
                    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

                def ask(sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
                    done = connection.execute(sql.replace("?", "%s").encode(), values)
                    return done.fetchall() if done.description else []

                yield ask
        except psycopg.Error as fault:
            self.close()
            reason = str(fault).strip().split("\n", maxsplit=1)[0]
            # The driver's own words may hold a part of a password.
            raise LedgerError(self._at.shown, redact(reason)) from None

    def _connected(self, psycopg: Any) -> psycopg.Connection[tuple[Any, ...]]:  # noqa: ANN401  (a module)
        if os.getpid() != self._process:
            # One that came along in a fork is the parent's, who goes on using it.
            self._connection, self._process = None, os.getpid()
        if self._connection is not None:
            try:
                self._connection.execute("SELECT 1")
            except psycopg.Error:
                # The server was started anew, say.
                self.close()
        if self._connection is None:
            seconds = max(2, int(self._timeout))
            # A server that is gone from the network would be waited for by the quarter hour.
            patience = {
                "connect_timeout": seconds, "tcp_user_timeout": seconds * 1000,
                "keepalives_idle": seconds, "keepalives_interval": seconds, "keepalives_count": 3,
            }  # fmt: skip
            self._connection = psycopg.connect(**{**patience, **self._at.server}, autocommit=True)
        return self._connection


def _state(ask: Ask, shown: str, name: str) -> MigrationState:
    tables = _tables(ask, sqlite=shown.startswith("sqlite"))
    versions = ask("SELECT version_num FROM dualgauge_version", ()) if "dualgauge_version" in tables else []
    if not versions:
        if taken := tables & set(_OWN):
            raise NotALedger(shown, f"it has a table {min(taken)!r} and no revision in 'dualgauge_version'")
        raise NoLedger(shown)
    found = str(versions[0][0])
    _refuse_unknown(ask, shown, found, tables)
    rows = ask("SELECT stage, share_ppm, rollout, revision, changed_at FROM migration WHERE name = ?", (name,))
    if not rows:
        return MigrationState(name)
    stage, share_ppm, rollout, revision, changed_at = rows[0]
    if not 0 <= int(share_ppm) <= PPM:
        raise LedgerError(shown, f"the share of {name!r} is {share_ppm} parts per million")
    at = datetime.fromisoformat(changed_at)
    # What a newer dualgauge upgraded has these too.
    killed, canary = (False, "") if found in KNOWN and found < _CANARY else _canary(ask, name)
    state = MigrationState(name, stage, int(share_ppm), rollout, int(revision), at, killed, canary or "")
    if canary is None:
        raise ChangedCanary(shown, state)
    if found in KNOWN and found >= _READS:
        bases = ask("SELECT view, evidence_key FROM read_basis WHERE migration = ? ORDER BY view", (name,))
        state = replace(state, bases=tuple((str(view), str(key)) for view, key in bases))
    return state


def _canary(ask: Ask, name: str) -> tuple[bool, str | None]:
    """Whether a migration was killed, and the configuration in force; None where that is not what was applied."""
    rows = ask(
        "SELECT r.killed, r.canary, c.text FROM routing r LEFT JOIN canary c ON c.digest = r.canary "
        "WHERE r.migration = ?",
        (name,),
    )
    if not rows:
        return False, ""
    killed, digest, text = rows[0]
    if digest and (not isinstance(text, str) or sha256(text.encode()).hexdigest() != digest):
        return bool(killed), None
    return bool(killed), text or ""


def _tables(ask: Ask, *, sqlite: bool) -> set[str]:
    wanted = ("dualgauge_version", "readable_from", *_OWN)
    if not sqlite:
        return {name for name in wanted if ask("SELECT to_regclass(?)", (name,))[0][0] is not None}
    marks = ", ".join("?" * len(wanted))
    return {name for (name,) in ask(f"SELECT name FROM sqlite_master WHERE name IN ({marks})", wanted)}


def _refuse_unknown(ask: Ask, shown: str, found: str, tables: set[str]) -> None:
    if found in KNOWN:
        return
    if found in OLDER:
        raise OlderLedger(shown, found, KNOWN[0], KNOWN[-1])
    said = ask("SELECT reader FROM readable_from WHERE revision = ?", (found,)) if "readable_from" in tables else []
    if not said or said[0][0] not in KNOWN:
        raise NewerLedger(shown, found, KNOWN[-1])
