"""
Builds: the physical tables behind a view, cloned from its shape, numbered, and swapped in one transaction.

Readers see the SQL view `NAME`, which holds the public columns of the build that is served. Hidden columns
(`_position`) stay in the build.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable

from dualgauge.model import POSITION, Side, quote
from dualgauge.stores.errors import MissingShape
from dualgauge.stores.long_decimals import as_kept
from dualgauge.stores.serving import checkpoints
from dualgauge.stores.serving.shapes import SUFFIX
from dualgauge.stores.serving.types import LongDecimal, kept_as

if TYPE_CHECKING:
    from collections.abc import Iterable


def build_name(view: str, build: int) -> str:
    """Name of a build's table: `orders__b7`."""
    return f"{view}__b{build}"


def clone(connection: sa.Connection, side: Side, view: str, build: int) -> sa.Table:
    """The table of a build, as its shape says it, with the hidden columns; not yet created."""
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


def create_table(connection: sa.Connection, table: sa.Table) -> None:
    """Create a build's table without its indexes: a load is quicker without them."""
    connection.execute(CreateTable(table))


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


def serve(connection: sa.Connection, side: Side, table: sa.Table, view: str, build: int) -> int | None:
    """Repoint the SQL view that readers use; gives the number of the build they had."""
    columns = ", ".join(quote(c.name) for c in table.columns if c.name != POSITION)
    name = f"{quote(side.schema)}.{quote(view)}"
    # Inside a SQLite view a table is found in the view's own file, and may not be named with a schema.
    source = quote(table.name) if connection.dialect.name == "sqlite" else f"{quote(side.schema)}.{quote(table.name)}"
    connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
    connection.exec_driver_sql(f"CREATE VIEW {name} AS SELECT {columns} FROM {source}")
    return checkpoints.set_served(connection, side, view, build)


def drop(connection: sa.Connection, side: Side, view: str, builds: Iterable[int]) -> None:
    """Drop the tables of builds that nobody is served from, and their checkpoints."""
    gone = list(builds)
    for build in gone:
        connection.execute(
            DropTable(sa.Table(build_name(view, build), sa.MetaData(), schema=side.schema), if_exists=True)
        )
    checkpoints.forget(connection, side, view, gone)


def retire(connection: sa.Connection, side: Side, view: str) -> None:
    """Drop the SQL view that readers use, and every build behind it."""
    connection.exec_driver_sql(f"DROP VIEW IF EXISTS {quote(side.schema)}.{quote(view)}")
    drop(connection, side, view, [one.build for one in checkpoints.checkpoints(connection, side) if one.view == view])
    checkpoints.forget_view(connection, side, view)


def _integer_key(shape: sa.Table) -> bool:
    columns = list(shape.primary_key.columns)
    return len(columns) == 1 and isinstance(columns[0].type, sa.Integer)
