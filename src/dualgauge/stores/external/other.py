"""Other databases (MySQL, MariaDB, Oracle, SQL Server ...), as far as SQLAlchemy's reflection knows them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from dualgauge.stores.external.types import TIMESTAMPTZ, TableColumn, TablePlace, arrow_of, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

_WIDEST = 38
_FAMILIES: tuple[tuple[type[sa.types.TypeEngine[Any]], str], ...] = (
    (sa.Boolean, "BOOLEAN"),
    (sa.Integer, "BIGINT"),
    (sa.Float, "DOUBLE"),
    (sa.Date, "DATE"),
    (sa.DateTime, "TIMESTAMP"),
    (sa.Time, "TIME"),
    (sa.LargeBinary, "BLOB"),
    (sa.String, "VARCHAR"),
)
_OWN_SCHEMAS = frozenset(("information_schema", "mysql", "performance_schema", "sys"))


class OtherCatalogue:
    """Tables and views by SQLAlchemy's inspector."""

    def places(self, connection: sa.Connection) -> tuple[list[str], dict[str, TablePlace]]:
        """Those of the default schema by their bare name, the others as `schema.name`."""
        inspector = sa.inspect(connection)
        default = inspector.default_schema_name
        shown: list[str] = []
        places: dict[str, TablePlace] = {}
        for schema in inspector.get_schema_names():
            if schema.casefold() in _OWN_SCHEMAS and schema != default:
                continue
            for name in sorted([*inspector.get_table_names(schema), *inspector.get_view_names(schema)]):
                places[f"{schema}.{name}"] = TablePlace(schema, name)
                if schema == default:
                    places[name] = TablePlace(schema, name)
                shown.append(name if schema == default else f"{schema}.{name}")
        return shown, places

    def columns(self, connection: sa.Connection, place: TablePlace) -> list[TableColumn]:
        """Every column by its reflected type; what has no DuckDB type of its own leaves as text."""
        made = []
        for found in sa.inspect(connection).get_columns(place.name, place.schema):
            name, kind = str(found["name"]), _kind(found["type"])
            column = TableColumn(
                name, kind or "VARCHAR", self.name(connection, name), arrow_of(kind) if kind else as_text
            )
            if kind is None and _is_decimal(found["type"]):
                # What no DECIMAL holds is a number all the same, and no text.
                column = replace(column, arrow=_digits, of_numbers=True)
            made.append(column)
        return made

    def fixed(self, connection: sa.Connection, source: str, place: TablePlace | None) -> list[TableColumn]:
        """A table's by their reflected types; a query's all leave as text, for no driver says the same of them."""
        if place is not None:
            return self.columns(connection, place)
        names = connection.execute(sa.text(f"SELECT * FROM {source} WHERE 1 = 0".replace(":", "\\:"))).keys()
        return [TableColumn(name, "VARCHAR", self.name(connection, name), as_text) for name in names]

    def cast(self, connection: sa.Connection, source: str, column: str) -> str | None:  # noqa: ARG002  (the port's signature)
        """None: values are bound as they are."""
        return None

    def declared(self, connection: sa.Connection, place: TablePlace) -> dict[str, str]:
        """The columns with their reflected types in the database's own words."""
        found = sa.inspect(connection).get_columns(place.name, place.schema)
        return {str(one["name"]): one["type"].compile(dialect=connection.dialect) for one in found}

    def key(self, connection: sa.Connection, place: TablePlace) -> tuple[str, ...]:
        """The primary key."""
        return tuple(sa.inspect(connection).get_pk_constraint(place.name, place.schema)["constrained_columns"])

    def source(self, connection: sa.Connection, place: TablePlace) -> str:
        """With its schema, in the database's own quotes."""
        quoted = connection.dialect.identifier_preparer.quote_identifier
        return f"{quoted(place.schema)}.{quoted(place.name)} t" if place.schema else f"{quoted(place.name)} t"

    def name(self, connection: sa.Connection, name: str) -> str:
        """A column's name, qualified, in the database's own quotes."""
        return f"t.{connection.dialect.identifier_preparer.quote_identifier(name)}"

    def point(self, connection: sa.Connection, place: TablePlace, key: Mapping[str, str]) -> dict[str, Any] | None:
        """The row of a key; the database compares each text with its column."""
        table = sa.Table(place.name, sa.MetaData(), schema=place.schema, autoload_with=connection)
        conditions = [table.c[name] == sa.literal(text, sa.String()) for name, text in key.items()]
        row = connection.execute(sa.select(table).where(*conditions).limit(1)).mappings().first()
        return None if row is None else dict(row)


def _is_decimal(kind: sa.types.TypeEngine[Any]) -> bool:
    return isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float)


def _digits(values: Sequence[Any]) -> pa.Array:
    """Numbers as texts without an exponent."""
    return as_text([f"{one:f}" if isinstance(one, Decimal) else one for one in values])


def _kind(kind: sa.types.TypeEngine[Any]) -> str | None:
    if isinstance(kind, sa.BigInteger) and getattr(kind, "unsigned", False):
        return "DECIMAL(20,0)"
    if isinstance(kind, sa.DateTime) and kind.timezone:
        return TIMESTAMPTZ
    if isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float):
        width, scale = kind.precision, kind.scale or 0
        return f"DECIMAL({width},{scale})" if width and width <= _WIDEST and scale <= width else None
    return next((name for family, name in _FAMILIES if isinstance(kind, family)), None)
