"""
Builds: the physical tables behind a view, cloned from its shape, numbered, and swapped in one transaction.

Readers see the SQL view `NAME`, which holds the public columns of the build that is served. Hidden columns stay in the
build: `_position`, and where groups are merged their states and `_present`, which is 0 for a group no reader sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable

from dualgauge.model import POSITION, PRESENT, Side, quote
from dualgauge.stores.errors import MissingShape, NameTaken
from dualgauge.stores.serving import checkpoints
from dualgauge.stores.serving.shapes import SUFFIX, Shape
from dualgauge.stores.serving.types import LongDecimal, kept_as, store_type
from dualgauge_router.stores.long_decimals import as_kept

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence


def build_name(view: str, build: int) -> str:
    """Name of a build's table: `orders__b7`."""
    return f"{view}__b{build}"


def clone(
    connection: sa.Connection, side: Side, view: str, build: int, hidden: Mapping[str, str] | None = None
) -> sa.Table:
    """The table of a build, as its shape says it, with the hidden columns and `_position`; not yet created."""
    try:
        shape = sa.Table(view + SUFFIX, sa.MetaData(), autoload_with=connection, schema=side.schema)
    except sa.exc.NoSuchTableError as fault:
        raise MissingShape([f"{side.value}.{view}"]) from fault
    name = build_name(view, build)
    table = sa.Table(
        name,
        sa.MetaData(),
        *(
            sa.Column(c.name, kept_as(c.type, connection.dialect.name), nullable=c.nullable, autoincrement=False)
            for c in shape.columns
        ),
        *(sa.Column(name, store_type(view, name, kind).alembic) for name, kind in (hidden or {}).items()),
        sa.Column(POSITION, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        schema=side.schema,
        # One tree instead of two: rows lie in key order, and a point read is one look-up. A single integer
        # key is SQLite's own row number already.
        sqlite_with_rowid=_integer_key(shape),
    )
    table.append_constraint(sa.PrimaryKeyConstraint(*(table.c[c.name] for c in shape.primary_key.columns)))
    for index in shape.indexes:
        renamed = str(index.name).replace(f"{view}{SUFFIX}", name)
        sa.Index(renamed, *(table.c[c.name] for c in index.columns))
    return table


def create_table(connection: sa.Connection, table: sa.Table, lookups: sa.Table | None = None) -> None:
    """Create a build's table without its indexes, for a load is quicker without them; and what stands beside it."""
    connection.execute(CreateTable(table))
    if lookups is not None:
        connection.execute(CreateTable(lookups))


def lookups_table(side: Side, view: str, build: int) -> sa.Table:
    """The table beside a build of what its view looks up: the last row of each key, as text."""
    return sa.Table(
        f"{build_name(view, build)}__lookups", sa.MetaData(),
        sa.Column("lookup", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("row", sa.Text, nullable=False),
        schema=side.schema, sqlite_with_rowid=False,
    )  # fmt: skip


def lookups_of(shape: Shape, build: int) -> sa.Table | None:
    """The same, where the view looks anything up."""
    return lookups_table(shape.side, shape.view, build) if shape.looks_up else None


def has_lookups(connection: sa.Connection, shape: Shape, build: int) -> bool:
    """Whether that table is there, if one is due."""
    table = lookups_of(shape, build)
    return table is None or bool(sa.inspect(connection).has_table(table.name, schema=shape.side.schema))


def keep_lookups(
    connection: sa.Connection, side: Side, view: str, build: int, rows: Sequence[tuple[int, str, str]]
) -> None:  # fmt: skip
    """Keep rows in that table, each in the place of the one with its key."""
    if rows:
        table = lookups_table(side, view, build)
        statement = f"INSERT OR REPLACE INTO {quote(side.schema)}.{quote(table.name)} VALUES (?1, ?2, ?3)"
        connection.exec_driver_sql(statement, list(rows))


def create_indexes(connection: sa.Connection, table: sa.Table) -> None:
    """Create the indexes that the shape has."""
    for index in sorted(table.indexes, key=lambda one: str(one.name)):
        connection.execute(CreateIndex(index, if_not_exists=True))


def insert_statement(table: sa.Table) -> str:
    """The INSERT that a load binds its rows to, in the order of the table's columns."""
    columns = ", ".join(quote(c.name) for c in table.columns)
    marks = ", ".join(mark_of(c.type, at) for at, c in enumerate(table.columns, 1))
    return f"INSERT INTO {quote(str(table.schema))}.{quote(table.name)} ({columns}) VALUES ({marks})"


def mark_of(kind: sa.types.TypeEngine[Any], at: int) -> str:
    """What the value that is bound in a place becomes in a column of a SQLite build."""
    return as_kept(f"?{at:d}") if isinstance(kind, LongDecimal) else f"?{at:d}"


def is_as(connection: sa.Connection, table: sa.Table) -> bool:
    """Whether a build's table has the columns that a load of this version writes."""
    found = sa.Table(table.name, sa.MetaData(), autoload_with=connection, schema=table.schema)
    return [_column(c) for c in found.columns] == [_column(c) for c in table.columns]


def _column(column: sa.Column[Any]) -> tuple[str, type[Any]]:
    return column.name, LongDecimal if isinstance(column.type, LongDecimal) else object


def serve(  # noqa: PLR0917  (called with all of them, in this order)
    connection: sa.Connection, side: Side, table: sa.Table, view: str, build: int, now: dt.datetime
) -> int | None:
    """Repoint the SQL view that readers use; gives the number of the build they had. Raises NameTaken."""
    name = f"{quote(side.schema)}.{quote(view)}"
    # Inside a SQLite view a table is found in the view's own file, and may not be named with a schema.
    source = quote(table.name) if connection.dialect.name == "sqlite" else f"{quote(side.schema)}.{quote(table.name)}"
    if view.lower() in map(str.lower, sa.inspect(connection).get_table_names(schema=side.schema)):
        raise NameTaken(f"{side.value}.{view}")
    connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
    connection.exec_driver_sql(f"CREATE VIEW {name} AS {_shown(source, table.columns.keys())}")
    return checkpoints.set_served(connection, side, view, build, now)


def _shown(source: str, columns: Sequence[str]) -> str:
    """What readers see of a table with such columns."""
    public = ", ".join(quote(name) for name in columns if not name.startswith("_"))
    return f"SELECT {public} FROM {source}{seen(columns)}"


def not_as_served(connection: sa.Connection, side: Side) -> list[str]:
    """The views of a SQLite side whose SQL view is gone, or is not the one that `serve` made: readers get no build."""
    kept = connection.exec_driver_sql(f"SELECT name, sql FROM {side.schema}.sqlite_master WHERE type = 'view'")
    texts = {row[0]: row[1] for row in kept}
    found = []
    for view, build in checkpoints.served(connection, side).items():
        name = quote(build_name(view, build))
        columns = [row[1] for row in connection.exec_driver_sql(f"PRAGMA {side.schema}.table_info({name})")]
        # SQLite keeps a view's text as it was given, but for the schema.
        if texts.get(view) != f"CREATE VIEW {quote(view)} AS {_shown(name, columns)}":
            found.append(view)
    return found


def reflected(connection: sa.Connection, side: Side, view: str, build: int) -> sa.Table:
    """The table of a build, as it is in the store."""
    return sa.Table(build_name(view, build), sa.MetaData(), autoload_with=connection, schema=side.schema)


def serve_only(connection: sa.Connection, side: Side, view: str, build: int, now: dt.datetime) -> None:
    """Let readers have a whole build, and drop older ones, see `drop_older`."""
    before = serve(connection, side, reflected(connection, side, view, build), view, build, now)
    drop_older(connection, side, view, build, before, now)


def drop_older(  # noqa: PLR0917  (called with all of them, in this order)
    connection: sa.Connection, side: Side, view: str, build: int, before: int | None, now: dt.datetime
) -> None:
    """Drop the builds of a view that are older than one, but for the one before and those whose time is not over."""
    older = [one for one in checkpoints.checkpoints(connection, side) if one.view == view and one.build < build]
    kept = now.isoformat()
    drop(connection, side, view, [one.build for one in older if one.build != before and (one.kept or "") <= kept])


def seen(columns: Iterable[str]) -> str:
    """The WHERE of a build with such columns, by which readers see its rows; empty where they see all."""
    return f" WHERE {quote(PRESENT)} = 1" if PRESENT in columns else ""


def upsert_statement(table: sa.Table) -> str:
    """
    The INSERT that puts a row in the place of the one with its key; see `insert_statement`.

    A build has no other unique index: no row goes for another reason. An upsert reads what it puts away first.
    """
    return insert_statement(table).replace("INSERT", "INSERT OR REPLACE", 1)


def drop(connection: sa.Connection, side: Side, view: str, builds: Iterable[int]) -> None:
    """Drop the tables of builds that nobody is served from, and their checkpoints."""
    gone = list(builds)
    for build in gone:
        connection.execute(
            DropTable(sa.Table(build_name(view, build), sa.MetaData(), schema=side.schema), if_exists=True)
        )
        connection.execute(DropTable(lookups_table(side, view, build), if_exists=True))
    checkpoints.forget(connection, side, view, gone)


def retire(connection: sa.Connection, side: Side, view: str) -> None:
    """Drop the SQL view that readers use, and every build behind it."""
    connection.exec_driver_sql(f"DROP VIEW IF EXISTS {quote(side.schema)}.{quote(view)}")
    drop(connection, side, view, [one.build for one in checkpoints.checkpoints(connection, side) if one.view == view])
    checkpoints.forget_view(connection, side, view)


def _integer_key(shape: sa.Table) -> bool:
    columns = list(shape.primary_key.columns)
    return len(columns) == 1 and isinstance(columns[0].type, sa.Integer)
