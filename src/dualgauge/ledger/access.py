"""
The ledger's tables, each time by what its revision allows: another dualgauge may have upgraded it since it was opened.

A router holds a ledger open for weeks. What it reads must not depend on the version that it was started with.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import StaticPool, create_engine

from dualgauge.ledger.tables import HEAD, METADATA
from dualgauge.ledger.upgrade import readable, writable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Connection

    from dualgauge.ledger.database import Database


class Access:
    """Transactions on one ledger database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """
        Read in one snapshot.

        Raises:
            OlderLedger, NewerLedger: its revision is not one that can be read.
        """
        with self._database.reading() as connection:
            readable(connection, self._database.shown)
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """
        Write in one transaction; see `Database.writing`.

        Raises:
            OlderLedger, NewerLedger, ReadOnlyLedger: its revision is not the one that is written.
        """
        with self._database.writing() as connection:
            writable(connection, self._database.shown)
            yield connection

    def revision(self, connection: Connection) -> str:
        """The revision in the snapshot of a connection."""
        return readable(connection, self._database.shown)

    def close(self) -> None:
        """Let go of every connection; they are made anew when they are asked for."""
        self._database.close()


class EmptyTables(Access):
    """The tables of a ledger that is not there: in memory, with nothing in them."""

    def __init__(self) -> None:
        self._engine = create_engine("sqlite://", poolclass=StaticPool)
        METADATA.create_all(self._engine)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read nothing."""
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Write what is forgotten at the end."""
        with self._engine.begin() as connection:
            yield connection

    def revision(self, connection: Connection) -> str:  # noqa: ARG002  (as any access)
        """The revision that would be made."""
        return HEAD

    def close(self) -> None:
        """Forget it."""
        self._engine.dispose()


def prepared(database: Database, prepare: Callable[[Database], object]) -> Access:
    """A database that was prepared; where that fails no connection is left: a router asks again every second."""
    with ExitStack() as stack:
        stack.callback(database.close)
        prepare(database)
        stack.pop_all()
    return Access(database)
