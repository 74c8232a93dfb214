"""
Port: somebody else's database, read only. Its tables and views, in one transaction, as Arrow.

SQLite is opened `mode=ro` by Python's sqlite3 alone; a server gets a read-only transaction. Nothing is ever made,
and every URL that is shown has its password hidden.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import NullPool

from dualgauge.errors import keep_secret
from dualgauge.model import listed
from dualgauge.stores.database import holders
from dualgauge.stores.errors import (
    BadKey,
    BadTablesUrl,
    NoTable,
    NoTableColumn,
    StoreHeld,
    TablesRefused,
    TablesUnreachable,
    UnreadableValue,
)
from dualgauge.stores.table_other import OtherCatalogue
from dualgauge.stores.table_postgresql import PostgresqlCatalogue
from dualgauge.stores.table_sqlite import SqliteCatalogue
from dualgauge.stores.table_urls import existing, parsed_url, shown_url, sqlite_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from dualgauge.errors import DualgaugeError
    from dualgauge.stores.table_types import Catalogue, Place, TableColumn

WAIT_SECONDS: Final = 10.0
"""How long to wait for a connection, or for a SQLite file that another process has locked."""


class Tables:
    """A database of tables. Holds no connection between calls."""

    def __init__(self, engine: sa.Engine, catalogue: Catalogue, shown: str, file: Path | None, wait: float) -> None:
        self._engine = engine
        self._catalogue = catalogue
        self._file = file
        self._wait = wait
        self.shown = shown

    def names(self) -> list[str]:
        """
        Tables and views, sorted; outside the default schema as `schema.name`.

        Raises:
            TablesUnreachable, StoreHeld: the database cannot be read.
        """
        with self.snapshot() as snapshot:
            return snapshot.names

    @contextmanager
    def snapshot(self) -> Iterator[TableSnapshot]:
        """
        One transaction that only reads: everything in it is one state of the database.

        Raises:
            TablesUnreachable, StoreHeld: the database cannot be read.
        """
        with self.translated():
            options: dict[str, Any] = {}
            if self._engine.dialect.name == "postgresql":
                options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            elif self._file is None:
                options = {"isolation_level": "REPEATABLE READ"}
            with self._engine.connect() as plain, plain.execution_options(**options) as connection:
                if self._engine.dialect.name == "postgresql":
                    connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")
                try:
                    yield TableSnapshot(self, connection, self._catalogue)
                finally:
                    connection.rollback()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Say a database's fault in our words, without the URL's password."""
        try:
            yield
        except sa.exc.DBAPIError as fault:
            raise self._error(fault.orig) from fault
        except sqlite3.Error as fault:
            raise self._error(fault) from fault
        except sa.exc.SQLAlchemyError as fault:
            raise TablesUnreachable(self.shown, _first_line(fault)) from fault

    def _error(self, fault: BaseException | None) -> DualgaugeError:
        reason = _first_line(fault)
        if isinstance(fault, sqlite3.Error):
            code = getattr(fault, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                return StoreHeld(self.shown, self._wait, holders(self._file) if self._file else ())
            if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                return TablesUnreachable(self.shown, f"as a SQLite database: {reason}")
            if "Could not decode" in reason:
                return UnreadableValue(self.shown, reason)
            if code == sqlite3.SQLITE_ERROR or (code == sqlite3.SQLITE_READONLY and "attempt to write" in reason):
                return TablesRefused(self.shown, reason)
        # SQLSTATE: 25006 a read-only transaction; 42 a statement that does not fit; 22 a value that does not.
        state = str(getattr(fault, "sqlstate", None) or "")
        if state == "25006" or state[:2] in ("42", "22"):
            return TablesRefused(self.shown, reason)
        return TablesUnreachable(self.shown, reason)


class TableSnapshot:
    """One state of a database: every read in it sees the same rows."""

    def __init__(self, tables: Tables, connection: sa.Connection, catalogue: Catalogue) -> None:
        self._tables = tables
        self._connection = connection
        self._catalogue = catalogue
        # The first read is what fixes the state that the transaction sees.
        self.names, self._places = catalogue.places(connection)
        self._columns: dict[Place, list[TableColumn]] = {}

    def columns(self, table: str) -> dict[str, str]:
        """
        The columns of a table with DuckDB types that hold every value in it.

        Args:
            table: a name, or `schema.name`.

        Raises:
            NoTable: no table or view is called so.
        """
        return {one.name: one.kind for one in self._described(self._place(table))}

    def declared(self, table: str) -> dict[str, str]:
        """
        The columns of a table with their types as its database writes them, in order; reads no row.

        What a table is by its declaration stays the same whatever rows come in, unlike the types of `columns`.

        Raises:
            NoTable: no table or view is called so.
        """
        place = self._place(table)
        with self._tables.translated():
            return self._catalogue.declared(self._connection, place)

    def key(self, table: str) -> tuple[str, ...]:
        """The primary key, or (). Raises NoTable."""
        place = self._place(table)
        with self._tables.translated():
            return self._catalogue.key(self._connection, place)

    def batches(self, table: str, columns: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
        """
        The rows of a table in Arrow batches of at most `size`, in the order in which the database gives them.

        The Arrow types carry the DuckDB types of `columns()`: UUID and JSON are strings. An empty table gives none.

        Raises:
            NoTable, NoTableColumn: the table or a column is not there.
            UnreadableValue: a text that is no UTF-8.
        """
        import pyarrow as pa

        place = self._place(table)
        known = {one.name: one for one in self._described(place)}
        for name in columns:
            if name not in known:
                raise NoTableColumn(table, name, known)
        chosen = [known[name] for name in columns]
        source = self._catalogue.source(self._connection, place)
        statement = f"SELECT {', '.join(one.expression for one in chosen)} FROM {source}"
        with self._tables.translated():
            for rows in self._run(statement, size).partitions(size):
                arrays = [one.arrow(values) for one, values in zip(chosen, zip(*rows, strict=True), strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, names=list(columns))

    def scalar(self, sql: str) -> object:
        """
        The first column of the first row of a query, None where there is no row.

        Raises:
            TablesRefused: the database refuses the query; one that writes always.
        """
        with self._tables.translated():
            return self._run(sql).scalar()

    def point(self, table: str, key: Mapping[str, str]) -> dict[str, Any] | None:
        """
        The row whose columns have these values, given as text; None where there is none.

        Raises:
            NoTable, NoTableColumn: the table or a column is not there.
            BadKey: a text is no value of its column.
        """
        place = self._place(table)
        with self._tables.translated():
            names = self._names(place)
            for name in key:
                if name not in names:
                    raise NoTableColumn(table, name, names)
            try:
                return self._catalogue.point(self._connection, place, key)
            except ValueError as fault:
                given = listed(repr(text) for text in key.values())
                raise BadKey(table, list(key), f"{given} is no value of it ({fault})") from fault

    def _names(self, place: Place) -> list[str]:
        source = self._catalogue.source(self._connection, place)
        return list(self._run(f"SELECT t.* FROM {source} WHERE 1 = 0").keys())

    def _place(self, table: str) -> Place:
        if table in self._places:
            return self._places[table]
        alike = {place for name, place in self._places.items() if name.casefold() == table.casefold()}
        if len(alike) == 1:
            return alike.pop()
        raise NoTable(self._tables.shown, table, self.names)

    def _described(self, place: Place) -> list[TableColumn]:
        if place not in self._columns:
            with self._tables.translated():
                self._columns[place] = self._catalogue.columns(self._connection, place)
        return self._columns[place]

    def _run(self, sql: str, size: int | None = None) -> sa.CursorResult[Any]:
        """Run a query without values; with a size, its rows stay in the database until they are taken."""
        if self._connection.dialect.paramstyle in ("format", "pyformat"):
            sql = sql.replace("%", "%%")
        options = {} if size is None else {"stream_results": True, "max_row_buffer": size}
        return self._connection.exec_driver_sql(sql, execution_options=options)


def open_tables(
    url: str | Path, *, root: Path | None = None, wait: float = WAIT_SECONDS
) -> AbstractContextManager[Tables]:
    """
    Open somebody else's database; nothing is connected to before the first read.

    Args:
        url: SQLAlchemy's form, `sqlite:///shop.db` or `postgresql://user@host/db`; or a SQLite file's path.
        root: what a relative SQLite path is relative to; the working folder by default.
        wait: seconds to wait for a connection, or for a SQLite file that another process has locked.

    Raises:
        BadTablesUrl: no URL of a database, or one whose driver is not installed.
        NoTablesFile: there is no such SQLite file.
    """
    return _opened(url, root or Path(), wait)


@contextmanager
def _opened(url: str | Path, root: Path, wait: float) -> Iterator[Tables]:
    if isinstance(url, Path):
        # Not by way of a URL: a name may hold a ? or a #.
        file = existing(root / url)
        engine = _sqlite(file, wait)
        try:
            yield Tables(engine, SqliteCatalogue(), str(url), file, wait)
        finally:
            engine.dispose()
        return
    keep_secret(url)
    parsed = parsed_url(url)
    shown = shown_url(url)
    try:
        kind = parsed.get_backend_name()
        if kind == "sqlite":
            file = sqlite_file(parsed, root, shown)
            engine, catalogue = _sqlite(file, wait), SqliteCatalogue()
            tables = Tables(engine, catalogue, str(file), file, wait)
        else:
            options = {"connect_timeout": max(2, int(wait))} if kind in ("postgresql", "mysql", "mariadb") else {}
            engine = sa.create_engine(parsed, poolclass=NullPool, connect_args=options)
            tables = Tables(
                engine, PostgresqlCatalogue() if kind == "postgresql" else OtherCatalogue(), shown, None, wait
            )
    except sa.exc.NoSuchModuleError as fault:
        raise BadTablesUrl(shown, f"no kind of database is called {parsed.drivername!r}") from fault
    except ModuleNotFoundError as fault:
        brings = "pip install 'dualgauge[postgresql]'" if parsed.get_backend_name() == "postgresql" else "install it"
        raise BadTablesUrl(shown, f"its driver, the Python package {fault.name}, is missing: {brings}") from fault
    except sa.exc.ArgumentError as fault:
        raise BadTablesUrl(shown, _first_line(fault)) from fault
    try:
        yield tables
    finally:
        engine.dispose()


def _sqlite(file: Path, wait: float) -> sa.Engine:
    def connect() -> sqlite3.Connection:
        # isolation_level=None: the hook below says how a transaction begins, not sqlite3.
        uri = f"{file.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, timeout=wait, isolation_level=None)
        connection.execute("PRAGMA query_only = ON")
        return connection

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _first_line(fault: BaseException | None) -> str:
    return str(fault).strip().split("\n", maxsplit=1)[0].strip()
