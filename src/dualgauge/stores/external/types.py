"""
How a column of somebody else's table leaves its database: a DuckDB type that holds every value, and Arrow.

A catalogue (one a kind of database) chooses the type by what is declared and by what is stored; a database's
values that no narrower type holds leave as text.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa
    import sqlalchemy as sa

TIMESTAMPTZ = "TIMESTAMP WITH TIME ZONE"


@dataclass(frozen=True, slots=True)
class TablePlace:
    """Where a table or a view is: `schema` is None where the kind of database has one namespace."""

    schema: str | None
    name: str


@dataclass(frozen=True, slots=True)
class TableColumn:
    """
    One column: its DuckDB type, the expression over the alias `t` that is selected, and how values become Arrow.

    `mixed` says that it holds values of several types, as texts that tell them apart, `of_numbers` that its texts are
    numbers. `written` selects the value's text as the database has it, where the engine's text of the type may be
    another one.
    """

    name: str
    kind: str
    expression: str
    arrow: Callable[[Sequence[Any]], pa.Array]
    mixed: bool = False
    written: str | None = None
    of_numbers: bool = False


class Catalogue(Protocol):
    """What differs from one kind of database to the next."""

    def places(self, connection: sa.Connection) -> tuple[list[str], dict[str, TablePlace]]:
        """The names to show, and every name that is understood with its place."""

    def columns(self, connection: sa.Connection, place: TablePlace) -> list[TableColumn]:
        """The columns of a table or a view, in its order."""

    def fixed(self, connection: sa.Connection, source: str, place: TablePlace | None) -> list[TableColumn]:
        """
        The columns of what stands after FROM, of one type each whatever rows there are; reads no row.

        `place` is the table that it is, None for a query.
        """

    def cast(self, connection: sa.Connection, source: str, column: str) -> str | None:
        """The type to which a text is cast to be compared with a column; None where Python's values are bound."""

    def declared(self, connection: sa.Connection, place: TablePlace) -> dict[str, str]:
        """The columns with their types as the database writes them; reads no row."""

    def key(self, connection: sa.Connection, place: TablePlace) -> tuple[str, ...]:
        """The primary key's columns in its order, or ()."""

    def source(self, connection: sa.Connection, place: TablePlace) -> str:
        """The table as it stands after FROM."""

    def name(self, connection: sa.Connection, name: str) -> str:
        """A column's name, quoted."""

    def point(self, connection: sa.Connection, place: TablePlace, key: Mapping[str, str]) -> dict[str, Any] | None:
        """The row of a key; raises ValueError with the reason where a text is no value of its column."""


def arrow_of(kind: str) -> Callable[[Sequence[Any]], pa.Array]:
    """How Python values of a DuckDB type become Arrow; texts of dates and times are ISO."""
    if kind.endswith("[]"):
        return lambda values: _plain(values, kind)
    if kind.startswith("DECIMAL("):
        return lambda values: _decimals(values, kind)
    return {
        "BOOLEAN": lambda values: _plain([None if one is None else bool(one) for one in values], kind),
        "DOUBLE": lambda values: _plain([None if one is None else float(one) for one in values], kind),
        "TIME": lambda values: _plain([_time(one) for one in values], kind),
        **dict.fromkeys(("DATE", "TIMESTAMP", TIMESTAMPTZ), lambda values: _moments(values, kind)),
    }.get(kind, lambda values: _plain(values, kind))


MARKS: Final = (" (number)", " (blob)", " (text)")
"""What stands behind a value of a column of several types, where it is no text, or is one that ends so by itself."""


def as_told(values: Sequence[Any]) -> pa.Array:
    """
    Values of several types as texts of which no two are one, unless the values are equal.

    A text is itself, the number 1 is `1 (number)`, and so is 1.0; bytes are `00ff (blob)`. A text that ends like one of
    these has ` (text)` behind it.
    """
    return _plain([_told(one) for one in values], "VARCHAR")


def _told(value: object) -> str | None:
    match value:
        case None:
            return None
        case str():
            return f"{value} (text)" if value.endswith(MARKS) else value
        case bytes() | bytearray() | memoryview():
            return f"{bytes(value).hex()} (blob)"
        case float() if value.is_integer() and -(2**63) <= value < 2**63:
            return f"{int(value)} (number)"
        case _:
            return f"{value} (number)"


def as_text(values: Sequence[Any]) -> pa.Array:
    """Values of several types as texts that tell them apart as well as text can: bytes are `x'00ff'`."""
    return _plain([_text(one) for one in values], "VARCHAR")


def _text(value: object) -> str | None:
    match value:
        case None | str():
            return value
        case bytes() | bytearray() | memoryview():
            return f"x'{bytes(value).hex()}'"
        case _:
            return str(value)


def arrow_type(kind: str) -> pa.DataType:
    """The Arrow type that carries a DuckDB type; UUID, JSON and what has none of its own are strings."""
    import pyarrow as pa

    if kind.endswith("[]"):
        return pa.list_(arrow_type(kind.removesuffix("[]")))
    if kind.startswith("DECIMAL("):
        width, scale = kind[len("DECIMAL(") : -1].split(",")
        return pa.decimal128(int(width), int(scale))
    found: pa.DataType = {
        "BOOLEAN": pa.bool_(),
        "SMALLINT": pa.int16(),
        "INTEGER": pa.int32(),
        "BIGINT": pa.int64(),
        "UBIGINT": pa.uint64(),
        "FLOAT": pa.float32(),
        "DOUBLE": pa.float64(),
        "DATE": pa.date32(),
        "TIME": pa.time64("us"),
        "TIMESTAMP": pa.timestamp("us"),
        TIMESTAMPTZ: pa.timestamp("us", tz="UTC"),
        "BLOB": pa.binary(),
    }.get(kind, pa.string())
    return found


def _plain(values: Sequence[Any], kind: str) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, type=arrow_type(kind))


def _moments(values: Sequence[Any], kind: str) -> pa.Array:
    import pyarrow as pa

    # SQLite keeps texts; a driver of another database gives Python's own values.
    if any(isinstance(one, str) for one in values):
        return pa.array(values, type=pa.string()).cast(arrow_type(kind))
    return pa.array(values, type=arrow_type(kind))


def _time(value: object) -> object:
    match value:
        case str():
            return dt.time.fromisoformat(value)
        case dt.timedelta():  # what MySQL's drivers give
            return (dt.datetime(1, 1, 1, tzinfo=dt.UTC) + value).time()
        case _:
            return value


def _decimals(values: Sequence[Any], kind: str) -> pa.Array:
    import pyarrow as pa

    # Not float to decimal by Arrow: the digits that the number is written with are meant.
    exact = [one if one is None or isinstance(one, Decimal) else Decimal(str(one)) for one in values]
    return pa.array(exact, type=arrow_type(kind))
