"""
PostgreSQL: the catalogue says each column's type; the values are looked at only where the type says too little.

numeric without a scale, NaN, dates beyond the years 1 to 9999 and arrays of several dimensions are such places.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from dualgauge.model import quote
from dualgauge.stores.external.types import TIMESTAMPTZ, TableColumn, TablePlace, arrow_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_WIDEST = 38

_RELATIONS = """
SELECT n.nspname, c.relname, pg_table_is_visible(c.oid), c.relispartition
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND left(n.nspname, 3) <> 'pg_' AND n.nspname <> 'information_schema'
ORDER BY n.nspname, c.relname
"""

# A domain is its base type, as deep as domains go.
_COLUMNS = """
WITH RECURSIVE typed AS (
  SELECT a.attnum, a.attname, a.atttypid AS oid, a.atttypmod AS modifier
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = :schema AND c.relname = :name AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT typed.attnum, typed.attname, t.typbasetype, t.typtypmod
  FROM typed JOIN pg_catalog.pg_type t ON t.oid = typed.oid
  WHERE t.typtype = 'd'
)
SELECT typed.attname, {known}, format_type(typed.oid, typed.modifier), {plain}
FROM typed JOIN pg_catalog.pg_type t ON t.oid = typed.oid
WHERE t.typtype <> 'd'
ORDER BY typed.attnum
"""

# A cast to what format_type calls `character` would keep one character.
_PLAIN = "CASE t.typname WHEN 'bpchar' THEN 'bpchar' ELSE format_type(t.oid, NULL) END"

# A type of somebody's own may be called text, or _int4 without being an array.
_KNOWN = "CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN t.typname ELSE '' END"

# As COPY writes it: a cast would make 10.0.0.1/32 of an inet. Not IS NOT NULL, which is false for a row of which one
# field is NULL.
_WRITTEN = "CASE WHEN {0} IS DISTINCT FROM NULL THEN format('%s', {0}) END"

_TYPES = """
SELECT CAST(t.oid AS int8), {known}, {plain}
FROM pg_catalog.pg_type t
WHERE CAST(t.oid AS int8) IN :types
"""

_KEY = """
SELECT a.attname
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, at)
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
WHERE i.indisprimary AND n.nspname = :schema AND c.relname = :name
ORDER BY k.at
"""

_NUMERIC = re.compile(r"numeric(?:\((\d+),(-?\d+)\))?")

_SAME = {
    "bool": "BOOLEAN",
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "oid": "BIGINT",
    "float4": "FLOAT",
    "float8": "DOUBLE",
    "text": "VARCHAR",
    "varchar": "VARCHAR",
    "bpchar": "VARCHAR",
    "name": "VARCHAR",
    "bytea": "BLOB",
    "time": "TIME",
}
_TEXT_OF = {"uuid": "UUID", "json": "JSON", "jsonb": "JSON"}
_PYTHON = {*_SAME, "numeric", "uuid", "date", "timestamp", "timestamptz"}
"""Types, and their arrays, for which the driver has values of Python that say the same."""

_BEYOND_PYTHON = {"date", "time", "timestamp", "timestamptz"}
"""Those of them that have values for which Python has none."""

_SPECIAL = "{0}::text IN ('NaN', 'Infinity', '-Infinity')"

# Of the array's text, whatever its dimensions: a point stands in numbers alone.
_TRIMMED = r"regexp_replace({0}, '(\.[0-9]*[1-9])0+(?=[,}}])|\.0+(?=[,}}])', '\1', 'g')"

_MOMENTS = {"date": "DATE", "timestamp": "TIMESTAMP", "timestamptz": TIMESTAMPTZ}


@dataclass(frozen=True, slots=True)
class _Described:
    """A column: the name of its type in the catalogue (`_int4` for an array), and as one writes it."""

    name: str
    type_name: str
    written: str
    plain: str

    @property
    def is_array(self) -> bool:
        """Whether it is an array of a type of PostgreSQL's own."""
        return self.type_name.startswith("_")

    @property
    def element(self) -> str:
        """The name of its type, or of that of its elements."""
        return self.type_name.removeprefix("_")

    @property
    def is_plain_array(self) -> bool:
        """Whether it is an array of elements that leave as values of a type."""
        return self.is_array and (self.element in _PYTHON or self.element in _TEXT_OF)


class PostgresqlCatalogue:
    """Tables, views, materialised views and foreign tables of a PostgreSQL database."""

    def places(self, connection: sa.Connection) -> tuple[list[str], dict[str, TablePlace]]:
        """Those on the search path by their bare name, the others as `schema.name`; partitions are not listed."""
        shown: list[str] = []
        bare: dict[str, TablePlace] = {}
        full: dict[str, TablePlace] = {}
        for schema, name, visible, partition in connection.exec_driver_sql(_RELATIONS):
            place = TablePlace(schema, name)
            full[f"{schema}.{name}"] = place
            if visible:
                bare[name] = place
            if not partition:
                shown.append(name if visible else f"{schema}.{name}")
        return shown, {**full, **bare}

    def columns(self, connection: sa.Connection, place: TablePlace) -> list[TableColumn]:
        """Every column; reads the table once where its types alone do not say what fits."""
        described = _described(connection, place)
        looked = {one.name: expressions for one in described if (expressions := _looks(one))}
        found: dict[str, tuple[Any, ...]] = {}
        if looked:
            asked = [expression for expressions in looked.values() for expression in expressions]
            statement = f"SELECT {', '.join(asked)} FROM {self.source(connection, place)}"
            row = iter(connection.exec_driver_sql(statement.replace("%", "%%")).one())
            found = {name: tuple(next(row) for _ in expressions) for name, expressions in looked.items()}
        return [_column(one, found.get(one.name, ())) for one in described]

    def fixed(self, connection: sa.Connection, source: str, place: TablePlace | None) -> list[TableColumn]:  # noqa: ARG002  (the port's signature)
        """By what the server says of a result's columns. A number without a scale leaves as text."""
        return [_column(one, _unlooked(one), text="CAST({0} AS text)") for one in _result(connection, source)]

    def cast(self, connection: sa.Connection, source: str, column: str) -> str | None:
        """The column's type."""
        return next(one.plain for one in _result(connection, source) if one.name == column)

    def declared(self, connection: sa.Connection, place: TablePlace) -> dict[str, str]:
        """The columns with their types as PostgreSQL writes them, a domain as its base type."""
        return {one.name: one.written for one in _described(connection, place)}

    def key(self, connection: sa.Connection, place: TablePlace) -> tuple[str, ...]:
        """The primary key."""
        rows = connection.execute(sa.text(_KEY), {"schema": place.schema, "name": place.name})
        return tuple(str(row[0]) for row in rows)

    def source(self, connection: sa.Connection, place: TablePlace) -> str:  # noqa: ARG002  (the port's signature)
        """With its schema, whatever the search path says."""
        return f"{quote(str(place.schema))}.{quote(place.name)} AS t"

    def name(self, connection: sa.Connection, name: str) -> str:  # noqa: ARG002  (the port's signature)
        """A column's name, qualified."""
        return f"t.{quote(name)}"

    def point(self, connection: sa.Connection, place: TablePlace, key: Mapping[str, str]) -> dict[str, Any] | None:
        """The row of a key; the database reads each text as its column's type."""
        described = _described(connection, place)
        types = {one.name: one.plain for one in described}
        conditions = " AND ".join(f"t.{quote(name)} = CAST(\0 AS {types[name]})" for name in key)
        row = None
        for python in (_PYTHON, _PYTHON - _BEYOND_PYTHON):
            # Else as its text: of JSON large numbers would lose digits, and of an interval a month would be 30 days.
            chosen = [
                column if one.type_name.removeprefix("_") in python else _WRITTEN.format(column)
                for one in described
                for column in (f"t.{quote(one.name)}",)
            ]
            statement = f"SELECT {', '.join(chosen)} FROM {self.source(connection, place)} WHERE {conditions} LIMIT 1"
            statement = statement.replace("%", "%%").replace("\0", "%s")
            try:
                with connection.begin_nested():
                    row = connection.exec_driver_sql(statement, tuple(key.values())).first()
            except sa.exc.DataError as fault:
                if getattr(fault.orig, "sqlstate", None) is None and python is _PYTHON:
                    # The driver's own: Python has no infinite date.
                    continue
                raise ValueError(str(fault.orig).strip().split("\n", maxsplit=1)[0]) from fault
            break
        return None if row is None else dict(zip(types, row, strict=True))


def _described(connection: sa.Connection, place: TablePlace) -> list[_Described]:
    statement = sa.text(_COLUMNS.format(plain=_PLAIN, known=_KNOWN))
    rows = connection.execute(statement, {"schema": place.schema, "name": place.name})
    return [_Described(*(str(value) for value in row)) for row in rows]


def _result(connection: sa.Connection, source: str) -> list[_Described]:
    """The columns of a result, a domain as its base type; what drivers agree on is the description of PEP 249."""
    result: sa.CursorResult[Any] = connection.exec_driver_sql(f"SELECT * FROM {source} WHERE false".replace("%", "%%"))
    description: Any = result.cursor.description
    found = [(str(one[0]), int(one[1]), one[4], one[5]) for one in description]
    result.close()
    asked = sa.text(_TYPES.format(plain=_PLAIN, known=_KNOWN)).bindparams(sa.bindparam("types", expanding=True))
    types = {int(oid): (str(name), str(plain)) for oid, name, plain in
             connection.execute(asked, {"types": sorted({oid for _, oid, _, _ in found})})}  # fmt: skip
    described = []
    for column, oid, precision, scale in found:
        name, plain = types[oid]
        written = f"numeric({precision},{scale or 0})" if name == "numeric" and precision else plain
        described.append(_Described(column, name, written, plain))
    return described


def _unlooked(one: _Described) -> tuple[int, ...]:
    """What stands for a look at the values where the type must not hang on them."""
    if one.type_name != "numeric":
        return ()
    return (0,) if _has_scale(one.written) else (1, 0, 0)


def _looks(one: _Described) -> tuple[str, ...]:
    """What must be known of the values before a type can be chosen."""
    column = f"t.{quote(one.name)}"
    if not one.is_array:
        odd = _odd(one.element, column)
        # FILTER keeps trunc() from infinities; scale() of one is NULL.
        digits = [f"max({digits}) FILTER (WHERE NOT {odd})" for digits in _digits(one, column)]
        return () if odd is None else (f"count(*) FILTER (WHERE {odd})", *digits)
    if not one.is_plain_array:
        return ()
    odd = _odd(one.element, "e")
    inside = f" OR EXISTS (SELECT FROM unnest({column}) AS e WHERE {odd})" if odd else ""
    shape = f"array_ndims({column}) > 1 OR array_lower({column}, 1) <> 1"
    return (
        f"count(*) FILTER (WHERE {shape}{inside})",
        *(f"max((SELECT max({part}) FROM unnest({column}) AS e WHERE NOT {odd}))" for part in _digits(one, "e")),
    )


def _odd(kind: str, value: str) -> str | None:
    """The condition that a value of a type is none of the type that it leaves as; None where there is no such value."""
    if kind == "numeric":
        return _SPECIAL.format(value)
    if kind in _MOMENTS:
        zone = "+00" if kind == "timestamptz" else ""
        clock = "" if kind == "date" else " 23:59:59.999999"
        return f"{value} NOT BETWEEN '0001-01-01{zone}' AND '9999-12-31{clock}{zone}'"
    return f"{value} = '24:00'" if kind == "time" else None


def _digits(one: _Described, value: str) -> tuple[str, ...]:
    """How many digits a number has before and behind the point, where its type does not say it."""
    if one.element != "numeric" or _has_scale(one.written):
        return ()
    return f"length(trunc(abs({value}))::text)", f"scale(trim_scale({value}))"


def _has_scale(written: str) -> bool:
    match = _NUMERIC.fullmatch(written.removesuffix("[]"))
    return match is not None and match[1] is not None and _fits(int(match[1]), int(match[2]))


def _fits(width: int, scale: int) -> bool:
    return 0 < width <= _WIDEST and 0 <= scale <= width


def _column(one: _Described, found: tuple[Any, ...], text: str = _WRITTEN) -> TableColumn:
    column = f"t.{quote(one.name)}"
    as_text = TableColumn(one.name, "VARCHAR", text.format(column), arrow_of("VARCHAR"))
    if one.type_name == "numeric":
        return _numeric(one, column, found)
    if one.is_array:
        listed = None if found and found[0] else _array(one, column, found)
        return listed or (_numerics(as_text) if found and one.element == "numeric" else as_text)
    if found and found[0]:
        return as_text
    kind = _SAME.get(one.type_name) or _MOMENTS.get(one.type_name)
    if kind is not None:
        return TableColumn(one.name, kind, column, arrow_of(kind))
    if kind := _TEXT_OF.get(one.type_name):
        return TableColumn(one.name, kind, f"CAST({column} AS text)", arrow_of(kind))
    return as_text


def _array(one: _Described, column: str, found: tuple[Any, ...]) -> TableColumn | None:
    """An array of values of one dimension as a list; None where they have no type, or were not looked at."""
    element = _SAME.get(one.element)
    if element is not None and element != "TIME":
        return TableColumn(one.name, f"{element}[]", column, arrow_of(f"{element}[]"))
    if not found or not one.is_plain_array:
        return None
    if one.element in _TEXT_OF:
        element, column = _TEXT_OF[one.element], f"CAST({column} AS text[])"
    elif one.element == "numeric":
        element = _decimal(one, found)
    else:
        element = element or _MOMENTS[one.element]
    if element is None:
        return None
    # Of numbers, COPY writes each with a scale of its own.
    written = _WRITTEN.format(f"t.{quote(one.name)}")
    return TableColumn(one.name, f"{element}[]", column, arrow_of(f"{element}[]"), written=written)


def _decimal(one: _Described, found: tuple[Any, ...]) -> str | None:
    """The DECIMAL that holds all numbers of a column, by its type or by what was found; None where there is none."""
    match = _NUMERIC.fullmatch(one.written.removesuffix("[]"))
    if match is not None and match[1] is not None and _has_scale(one.written):
        width, scale = int(match[1]), int(match[2])
    else:
        scale = int(found[2] or 0)
        width = max(18, int(found[1] or 1) + scale)
    return None if found[0] or not _fits(width, scale) else f"DECIMAL({width},{scale})"


def _numerics(whole: TableColumn) -> TableColumn:
    """Arrays of numeric as texts, their numbers without trailing zeros."""
    return replace(whole, expression=_TRIMMED.format(whole.expression), written=whole.expression)


def _numeric(one: _Described, column: str, found: tuple[Any, ...]) -> TableColumn:
    """A numeric as DECIMAL; as text without trailing zeros where no DECIMAL holds every value."""
    kind = _decimal(one, found)
    if kind is None:
        text = f"CASE WHEN {_SPECIAL.format(column)} THEN {column}::text ELSE trim_scale({column})::text END"
        return TableColumn(one.name, "VARCHAR", text, arrow_of("VARCHAR"), of_numbers=True)
    return TableColumn(one.name, kind, column, arrow_of(kind))
