"""
Port: somebody else's database, read only. Its tables and views, in one transaction, as Arrow.

SQLite is opened `mode=ro` by Python's sqlite3 alone; a server gets a read-only transaction. Nothing is ever made,
and every URL that is shown has its password hidden.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import NullPool

from dualgauge.errors import keep_secret
from dualgauge.model import listed
from dualgauge.stores.errors import BadTablesUrl, NoTable, NoTableColumn, TablesUnreachable, UnfitValue
from dualgauge.stores.external.faults import first_line, told
from dualgauge.stores.external.other import OtherCatalogue
from dualgauge.stores.external.postgresql import PostgresqlCatalogue
from dualgauge.stores.external.sqlite import SqliteCatalogue
from dualgauge.stores.external.types import as_text
from dualgauge.stores.urls import existing, parsed_url, shown_url, sqlite_file
from dualgauge_router.sqlite_files import Watched, inherited, watched
from dualgauge_router.stores.errors import BadKey, StoreForked

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from dualgauge.stores.external.types import Catalogue, TableColumn, TablePlace

WAIT_SECONDS: Final = 10.0
"""How long to wait for a connection, or for a SQLite file that another process has locked."""

VALUE: Final = "\0"
"""Stands for one bound value in a statement, whatever the driver writes."""

_SESSION: Final = ("TIME ZONE 'UTC'", "datestyle = 'ISO'", "intervalstyle = 'postgres'", "extra_float_digits = 1")
"""PostgreSQL's texts of values are the same in every session, and exact."""

_MARKS: Final = {"qmark": "?", "format": "%s", "pyformat": "%s", "numeric": ":1", "named": ":1", "numeric_dollar": "$1"}


class Tables:
    """A database of tables. Holds no connection between calls."""

    def __init__(self, engine: sa.Engine, catalogue: Catalogue, shown: str, file: Path | None, wait: float) -> None:
        self._engine = engine
        self._catalogue = catalogue
        self._file = file
        self._wait = wait
        self.shown = shown
        self.kind = engine.dialect.name

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
                    for setting in _SESSION:
                        connection.exec_driver_sql(f"SET LOCAL {setting}")
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
            raise told(fault.orig, self.shown, self._file, self._wait) from fault
        except sqlite3.Error as fault:
            raise told(fault, self.shown, self._file, self._wait) from fault
        except sa.exc.SQLAlchemyError as fault:
            raise TablesUnreachable(self.shown, first_line(fault)) from fault


class TableSnapshot:
    """One state of a database: every read in it sees the same rows."""

    def __init__(self, tables: Tables, connection: sa.Connection, catalogue: Catalogue) -> None:
        self._tables = tables
        self.kind = tables.kind
        self._connection = connection
        self._catalogue = catalogue
        # The first read is what fixes the state that the transaction sees.
        self.names, self._places = catalogue.places(connection)
        self._columns: dict[TablePlace, list[TableColumn]] = {}

    def columns(self, table: str) -> dict[str, str]:
        """
        The columns of a table with DuckDB types that hold every value in it.

        Args:
            table: a name, or `schema.name`.

        Raises:
            NoTable: no table or view is called so.
        """
        return {one.name: one.kind for one in self._described(self._place(table))}

    def mixed(self, table: str) -> set[str]:
        """The columns of a table that hold values of several types, and leave as texts that tell them apart."""
        return {one.name for one in self._described(self._place(table)) if one.mixed}

    def numbers(self, table: str) -> set[str]:
        """The columns of a table that hold numbers, and leave as texts, since no type holds them all."""
        return {one.name for one in self._described(self._place(table)) if one.of_numbers}

    def written(self, table: str) -> list[str]:
        """The columns of a table whose texts in the database may be other ones than the engine's."""
        return [one.name for one in self._described(self._place(table)) if one.written is not None]

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

    def batches(
        self, table: str, columns: Sequence[str], size: int, written: Sequence[str] = ()
    ) -> Iterator[pa.RecordBatch]:
        """
        The rows of a table in Arrow batches of at most `size`, in the order in which the database gives them.

        Those that are `written` come once more behind the others, as the texts that the database has.

        The Arrow types carry the DuckDB types of `columns()`: UUID and JSON are strings. An empty table gives none.

        Raises:
            NoTable, NoTableColumn: the table or a column is not there.
            UnreadableValue: a text that is no UTF-8.
        """
        place = self._place(table)
        known = {one.name: one for one in self._described(place)}
        for name in columns:
            if name not in known:
                raise NoTableColumn(table, name, known)
        source = self._catalogue.source(self._connection, place)
        texts = [
            replace(one, kind="VARCHAR", expression=one.written or one.expression, arrow=as_text)
            for one in (known[name] for name in written)
        ]
        yield from self.taken([*(known[name] for name in columns), *texts], source, size)

    def relation(self, table: str, statement: str = "") -> tuple[str, list[TableColumn]]:
        """
        A table, or a query in the database's own SQL, as it stands after FROM; reads no row.

        Its columns are of one type each whatever rows there are, unlike those of `columns`.

        Raises:
            NoTable: no table or view is called so.
            TablesRefused: the database refuses the query; one that writes always.
        """
        place = self._place(table) if table else None
        with self._tables.translated():
            if place is not None:
                source = self._catalogue.source(self._connection, place)
            else:
                # The line break ends a comment on the last line.
                source = f"({statement.strip().rstrip(';')}\n) t"
            return source, self._catalogue.fixed(self._connection, source, place)

    def cursor(self, source: str, column: str) -> tuple[str, str | None]:
        """
        A column of what `relation` gives, as it stands in a statement, and the type to compare a text with it.

        The type is None where the driver takes Python's values.
        """
        with self._tables.translated():
            return (
                self._catalogue.name(self._connection, column),
                self._catalogue.cast(self._connection, source, column),
            )

    def taken(
        self, columns: Sequence[TableColumn], source: str, size: int, values: Sequence[object] = ()
    ) -> Generator[pa.RecordBatch]:
        """
        Some columns of what stands after FROM, in Arrow batches of at most `size`.

        Args:
            columns: what `relation` gives.
            source: what `relation` gives, and a WHERE behind it; VALUE stands for one that is bound.
            size: rows.
            values: what is bound, at most one.

        Raises:
            UnfitValue: a value is none of its column's type.
        """
        import pyarrow as pa

        statement = f"SELECT {', '.join(one.expression for one in columns)} FROM {source}"
        with self._tables.translated(), self._run(statement, size, values) as result:
            for rows in result.partitions(size):
                arrays = [self._array(one, given) for one, given in zip(columns, zip(*rows, strict=True), strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, names=[one.name for one in columns])

    def _array(self, column: TableColumn, values: Sequence[Any]) -> pa.Array:
        import pyarrow as pa

        faults = (pa.ArrowException, ArithmeticError, TypeError, ValueError)
        try:
            return column.arrow(values)
        except faults:
            for one in values:
                try:
                    column.arrow([one])
                except faults as fault:
                    raise UnfitValue(self._tables.shown, column.name, one, column.kind) from fault
            raise

    def scalar(self, sql: str, values: Sequence[object] = ()) -> object:
        """
        The first column of the first row of a query, None where there is no row; VALUE stands for one that is bound.

        Raises:
            TablesRefused: the database refuses the query; one that writes always.
        """
        return next(iter(self.row(sql, values)), None)

    def scalars(self, sql: str, most: int) -> list[object]:
        """The first column of the first rows of a query, at most so many. Raises TablesRefused."""
        with self._tables.translated(), self._run(sql) as result:
            return [row[0] for row in result.fetchmany(most)]

    def row(self, sql: str, values: Sequence[object] = ()) -> tuple[Any, ...]:
        """The first row of a query, () where there is none. Raises TablesRefused."""
        with self._tables.translated():
            return tuple(self._run(sql, None, values).first() or ())

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

    def _names(self, place: TablePlace) -> list[str]:
        source = self._catalogue.source(self._connection, place)
        return list(self._run(f"SELECT t.* FROM {source} WHERE 1 = 0").keys())

    def _place(self, table: str) -> TablePlace:
        if table in self._places:
            return self._places[table]
        alike = {place for name, place in self._places.items() if name.casefold() == table.casefold()}
        if len(alike) == 1:
            return alike.pop()
        raise NoTable(self._tables.shown, table, self.names)

    def _described(self, place: TablePlace) -> list[TableColumn]:
        if place not in self._columns:
            with self._tables.translated():
                self._columns[place] = self._catalogue.columns(self._connection, place)
        return self._columns[place]

    def _run(self, sql: str, size: int | None = None, values: Sequence[object] = ()) -> sa.CursorResult[Any]:
        """Run a query; with a size, its rows stay in the database until they are taken."""
        style = self._connection.dialect.paramstyle
        if style in ("format", "pyformat"):
            sql = sql.replace("%", "%%")
        sql = sql.replace(VALUE, _MARKS[style])
        options = {} if size is None else {"stream_results": True, "max_row_buffer": size}
        return self._connection.exec_driver_sql(sql, tuple(values) or None, execution_options=options)


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
        raise BadTablesUrl(shown, first_line(fault)) from fault
    try:
        yield tables
    finally:
        engine.dispose()


def _sqlite(file: Path, wait: float) -> sa.Engine:
    def connect() -> sqlite3.Connection:
        # isolation_level=None: the hook below says how a transaction begins, not sqlite3.
        if inherited([file]):
            raise StoreForked(file)
        uri = f"{file.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, timeout=wait, isolation_level=None, factory=Watched)
        watched(connection, file)
        connection.execute("PRAGMA query_only = ON")
        return connection

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine
