"""
SQLite: declared types are loose, so a column's type is the declared one only where every stored value fits it.

The first pass over a table asks, for each column, how many values do not fit what is declared; a second one looks
closer at the columns where some do not. Names are qualified everywhere: SQLite would take a quoted name that is no
column for a text. Parts of a value are compared, never the value with a text: a column's affinity would make a number
of a text that looks like one.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dualgauge.model import fold, quote
from dualgauge.stores.external.types import TIMESTAMPTZ, TableColumn, TablePlace, arrow_of, as_text, as_told
from dualgauge_router.stores.long_decimals import as_kept, declared_as, written
from dualgauge_router.stores.uuids import UUID_GLOB, uuid_forms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa
    import sqlalchemy as sa

Candidate = tuple[str, str]
"""A DuckDB type, and the condition over `{0}` that every value but NULL must meet."""

_WIDEST = 38
_SAMPLE = 1_000
_AT_ONCE = 300
"""Aggregates in one statement: SQLite takes at most 2,000."""

_VIEW = "_dualgauge_described"

_DECIMAL = re.compile(r"\s*(?:DEC|DECIMAL|NUMERIC|NUMBER)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*")
_ZONED = "({0} LIKE '%Z' OR {0} GLOB '*[+-][0-9][0-9]:[0-9][0-9]')"
_BODY = "substr({0}, 1, length({0}) - CASE WHEN {0} LIKE '%Z' THEN 1 ELSE 6 END)"


def _fraction(text: str, after: int) -> str:
    """Nothing, or a point and one to six digits, behind a number of characters."""
    rest = f"substr({text}, {after + 1})"
    return (
        f"({rest} = '' OR ({rest} GLOB '.[0-9]*' AND substr({text}, {after + 2}) NOT GLOB '*[^0-9]*' "
        f"AND length({text}) <= {after + 7}))"
    )


def _moment(text: str) -> str:
    """A date and a time of day that exist, down to the second, with or without a fraction."""
    head = f"substr({text}, 1, 19)"
    there = f"strftime('%Y-%m-%d %H:%M:%S', {head}, '+0 days') = replace({head}, 'T', ' ')"
    return f"length({head}) = 19 AND {there} AND substr({text}, 1, 4) >= '0001' AND {_fraction(text, 19)}"


def _clock(text: str) -> str:
    """A time of day, down to the second, with or without a fraction."""
    head = f"substr({text}, 1, 8)"
    there = f"length({head}) = 8 AND strftime('%H:%M:%S', {head}) = {head} AND substr({text}, 1, 2) < '24'"
    return f"{there} AND {_fraction(text, 8)}"


_TEXT: Candidate = ("VARCHAR", "(typeof({0}) = 'text')")
_WHOLE: Candidate = ("BIGINT", "(typeof({0}) = 'integer')")
# Whole numbers beyond 2^53 would be rounded.
_REAL: Candidate = (
    "DOUBLE",
    "(typeof({0}) = 'real' OR (typeof({0}) = 'integer' AND {0} BETWEEN -9007199254740992 AND 9007199254740992))",
)
_BYTES: Candidate = ("BLOB", "(typeof({0}) = 'blob')")
_DATE: Candidate = (
    "DATE",
    "(typeof({0}) = 'text' AND length({0}) = 10 AND date({0}, '+0 days') = {0} AND substr({0}, 1, 4) >= '0001')",
)
_STAMP: Candidate = ("TIMESTAMP", f"(typeof({{0}}) = 'text' AND {_moment('{0}')})")
_STAMP_ZONED: Candidate = (TIMESTAMPTZ, f"(typeof({{0}}) = 'text' AND {_ZONED} AND {_moment(_BODY)})")
_CLOCK: Candidate = (
    "TIME",
    f"(typeof({{0}}) = 'text' AND {_clock('{0}')})",
)
_TRUTH: Candidate = ("BOOLEAN", "(typeof({0}) = 'integer' AND {0} IN (0, 1))")
_JSON: Candidate = ("JSON", "(typeof({0}) = 'text' AND json_valid({0}))")
_ID: Candidate = ("UUID", f"(typeof({{0}}) = 'text' AND {{0}} GLOB '{UUID_GLOB}')")

_LONG = "(typeof({0}) IN ('integer', 'real') OR (typeof({0}) = 'text' AND {0} NOT GLOB '*[^-0-9.]*'))"

_STRICT: dict[str, tuple[type, ...]] = {
    "BOOLEAN": (int,), "BIGINT": (int,), "DOUBLE": (int, float), "DECIMAL": (int, float), "BLOB": (bytes,),
}  # fmt: skip
"""Types that do not hang on the values, and what Python has for what SQLite stores of them."""

_WRITTEN_IN_WAYS = ("TIME", "TIMESTAMP", TIMESTAMPTZ)
"""Types of which a column may hold several texts for one value."""

STORED: tuple[Candidate, ...] = (_WHOLE, _REAL, _TEXT, _BYTES)
"""What a column may hold whatever is declared, the narrowest first."""


def _decimal(width: int, scale: int) -> Candidate:
    """
    A DECIMAL that holds what is stored as a whole number or as a REAL of that scale.

    Up to 15 digits, a REAL is the nearest one to exactly one decimal number.
    """
    bound = f"1e{width - scale}"
    inside = f"{{0}} < {bound} AND {{0}} > -{bound}"
    real = f"(round({{0}}, {scale}) = {{0}} AND abs({{0}}) < 1e{15 - scale})"
    return (
        f"DECIMAL({width},{scale})",
        f"(typeof({{0}}) IN ('integer', 'real') AND {inside} AND (typeof({{0}}) = 'integer' OR {real}))",
    )


def declared_types(declared: str) -> tuple[Candidate, ...]:
    """The DuckDB types that a declared type asks for, the best first; none where it says nothing."""
    text = declared.upper()
    if long := declared_as(text):
        # A build of dualgauge's own: numbers, and text where these have too many digits.
        return ((f"DECIMAL({long[0]:d},{long[1]:d})", _LONG),)
    if match := _DECIMAL.fullmatch(text):
        width, scale = int(match[1] or 0), int(match[2] or 0)
        if 0 < width <= _WIDEST and scale <= width:
            return (_decimal(width, scale),)
        return tuple(_decimal(18, one) for one in (0, 2, 4, 6, 9))
    families: tuple[tuple[str, tuple[Candidate, ...]], ...] = (
        (r"BOOL", (_TRUTH,)),
        (r"DATETIME|TIMESTAMP", (_STAMP, _STAMP_ZONED)),
        (r"\bDATE\b", (_DATE,)),
        (r"\bTIME\b", (_CLOCK,)),
        (r"JSON", (_JSON,)),
        (r"UUID|GUID|UNIQUEIDENTIFIER", (_ID,)),
        (r"INT", (_WHOLE,)),
        (r"CHAR|CLOB|TEXT", (_TEXT,)),
        (r"BLOB|BINARY", (_BYTES,)),
        (r"REAL|FLOA|DOUB", (_REAL,)),
    )
    return next((found for pattern, found in families if re.search(pattern, text)), ())


class SqliteCatalogue:
    """Tables and views of a SQLite file."""

    def places(self, connection: sa.Connection) -> tuple[list[str], dict[str, TablePlace]]:
        """Tables and views, without SQLite's own; `main.NAME` is understood too."""
        rows = connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
            "ORDER BY name"
        )
        names = [str(row[0]) for row in rows]
        places = {name: TablePlace(None, name) for name in names}
        return names, {**{f"main.{name}": place for name, place in places.items()}, **places}

    def columns(self, connection: sa.Connection, place: TablePlace) -> list[TableColumn]:
        """Every column with the type that holds all its values; reads the table once or twice."""
        wanted = {name: declared_types(kind) for name, kind, _ in _described(connection, place)}
        source = self.source(connection, place)
        kinds = _chosen(connection, source, wanted)
        open_ones = {name: STORED for name in wanted if name not in kinds}
        kinds |= _chosen(connection, source, open_ones, stored=True)
        return [
            _column(name, kinds[name])
            if name in kinds
            else TableColumn(name, "VARCHAR", self.name(connection, name), as_told, mixed=True)
            for name in wanted
        ]

    def fixed(self, connection: sa.Connection, source: str, place: TablePlace | None) -> list[TableColumn]:
        """
        By the declared types, which only a view tells of a query's columns; a temporary one, that nobody else sees.

        A value that is not of the declared type is no value of the column. SQLite has no type for times, and
        decimals without a scale are anything: those, and what an expression gives, leave as text.
        """
        # The file is opened for reading alone, whatever this says.
        connection.exec_driver_sql("PRAGMA query_only = OFF")
        try:
            connection.exec_driver_sql(f"CREATE TEMP VIEW {_VIEW} AS SELECT * FROM {source}")
            rows = connection.exec_driver_sql(f"SELECT name, type FROM pragma_table_xinfo('{_VIEW}', 'temp')").all()
            connection.exec_driver_sql(f"DROP VIEW temp.{_VIEW}")
        finally:
            connection.exec_driver_sql("PRAGMA query_only = ON")
        found = [_fixed(str(name), str(kind or "")) for name, kind in rows]
        if place is None and _renamed(one.name for one in found):
            # Only now: to say how it calls them itself, SQLite begins to run the query.
            named = connection.exec_driver_sql(source.removeprefix("(").removesuffix(") t"))
            found = [replace(one, name=str(name)) for one, name in zip(found, named.keys(), strict=True)]
            named.close()
        return found

    def cast(self, connection: sa.Connection, source: str, column: str) -> str | None:  # noqa: ARG002  (the port's signature)
        """None: values are bound as they are."""
        return None

    def declared(self, connection: sa.Connection, place: TablePlace) -> dict[str, str]:
        """The columns with their declared types; ANY where nothing is declared."""
        return {name: kind or "ANY" for name, kind, _ in _described(connection, place)}

    def key(self, connection: sa.Connection, place: TablePlace) -> tuple[str, ...]:
        """The declared primary key."""
        parts = [(at, name) for name, _, at in _described(connection, place) if at]
        return tuple(name for _, name in sorted(parts))

    def source(self, connection: sa.Connection, place: TablePlace) -> str:  # noqa: ARG002  (the port's signature)
        """In the file itself, whatever a temporary table may be called."""
        return f"main.{quote(place.name)} AS t"

    def name(self, connection: sa.Connection, name: str) -> str:  # noqa: ARG002  (the port's signature)
        """A column's name, qualified."""
        return f"t.{quote(name)}"

    def point(self, connection: sa.Connection, place: TablePlace, key: Mapping[str, str]) -> dict[str, Any] | None:
        """The row of a key, by its declared types: nothing else of the table is read."""
        declared = {name: kind for name, kind, _ in _described(connection, place)}
        conditions, values, order = [], list[object](), []
        for name, text in key.items():
            found = _bound(declared[name], text)
            marks = [f"?{at:d}" for at in range(len(values) + 1, len(values) + len(found) + 1)]
            if declared_as(declared[name]):
                marks = list(map(as_kept, marks))
            conditions.append(f"t.{quote(name)} IN ({', '.join(marks)})")
            # What is spelled as the key comes first: without a type of its own, 'A' beside 'a' may be two keys.
            order.append(f"t.{quote(name)} <> {marks[0]}")
            values += found
        statement = (
            f"SELECT * FROM {self.source(connection, place)} WHERE {' AND '.join(conditions)} "
            f"ORDER BY {', '.join(order)} LIMIT 1"
        )
        row = connection.exec_driver_sql(statement, tuple(values)).first()
        return None if row is None else dict(zip(declared, row, strict=True))


def _renamed(names: Iterable[str]) -> bool:
    """Whether SQLite may have given a column of a query another name, for one has it already: of two `a`, `a:1`."""
    known = list(map(fold, names))
    return any(re.sub(r":[0-9]+$", "", name) in known for name in known if re.search(r":[0-9]+$", name))


def _described(connection: sa.Connection, place: TablePlace) -> list[tuple[str, str, int]]:
    """Name, declared type, and place in the primary key from 1; generated columns too."""
    rows = connection.exec_driver_sql(
        "SELECT name, type, pk FROM pragma_table_xinfo(?, 'main') WHERE hidden <> 1 ORDER BY cid", (place.name,)
    )
    return [(str(row[0]), str(row[1] or ""), int(row[2])) for row in rows]


def _chosen(
    connection: sa.Connection, source: str, wanted: Mapping[str, Sequence[Candidate]], *, stored: bool = False
) -> dict[str, str]:
    """
    The first type of each column that no value contradicts; a column that holds nothing has no stored type.

    Some rows rule out most types; what is left is asked of the whole table, the best type first.
    """
    some = f"(SELECT * FROM {source} LIMIT {_SAMPLE}) AS t"
    left = {name: list(candidates) for name, candidates in wanted.items() if candidates}
    ruled_out = _contradicted(connection, some, [(name, one) for name, found in left.items() for one in found])
    left = {name: [one for one in found if (name, one) not in ruled_out] for name, found in left.items()}
    chosen: dict[str, str] = {}
    while left := {name: found for name, found in left.items() if found}:
        ruled_out = _contradicted(connection, source, [(name, found[0]) for name, found in left.items()])
        for name in list(left):
            first, *rest = left[name]
            if (name, first) in ruled_out:
                left[name] = rest
            else:
                chosen[name] = first[0]
                del left[name]
    if stored and chosen:
        held = _row(connection, source, [f"count(t.{quote(name)})" for name in chosen])
        chosen = {name: kind for (name, kind), count in zip(chosen.items(), held, strict=True) if count}
    return chosen


def _contradicted(
    connection: sa.Connection, source: str, asked: Sequence[tuple[str, Candidate]]
) -> set[tuple[str, Candidate]]:
    """The types, by column, that some value does not fit."""
    counts = _row(connection, source, [_misfits(f"t.{quote(name)}", fits) for name, (_, fits) in asked])
    return {one for one, count in zip(asked, counts, strict=True) if count}


def _row(connection: sa.Connection, source: str, expressions: Sequence[str]) -> list[int]:
    """The answers to aggregates over a table, a part of them at a time."""
    found: list[int] = []
    for at in range(0, len(expressions), _AT_ONCE):
        part = ", ".join(expressions[at : at + _AT_ONCE])
        found += connection.exec_driver_sql(f"SELECT {part} FROM {source}").one()
    return found


def _misfits(column: str, fits: str) -> str:
    # A condition on what is no date at all is NULL, which is no yes.
    return f"count(CASE WHEN {column} IS NOT NULL AND {fits.format(column)} IS NOT TRUE THEN 1 END)"


def _column(name: str, kind: str) -> TableColumn:
    expression = f"t.{quote(name)}"
    return TableColumn(name, kind, expression, arrow_of(kind), written=expression if kind in _WRITTEN_IN_WAYS else None)


def _fixed(name: str, declared: str) -> TableColumn:
    """A column of its declared type, where that is one that SQLite has."""
    kinds = [kind for kind, _ in declared_types(declared)]
    kind = kinds[0] if len(kinds) == 1 else ""
    if kind.partition("(")[0] not in _STRICT:
        return TableColumn(name, "VARCHAR", f"t.{quote(name)}", _texts)
    if declared_as(declared):
        return _column(name, kind)
    return TableColumn(name, kind, f"t.{quote(name)}", lambda values: _strictly(kind, values))


def _texts(values: Sequence[Any]) -> pa.Array:
    """Texts and numbers as texts in Arrow. Raises ValueError where one is bytes: a text may be spelt as these are."""
    if any(isinstance(one, bytes) for one in values):
        raise ValueError("VARCHAR")
    return as_text(values)


def _strictly(kind: str, values: Sequence[Any]) -> pa.Array:
    """Values of a type in Arrow. Raises ValueError where one is of another."""
    allowed = _STRICT[kind.partition("(")[0]]
    for one in values:
        if one is not None and (not isinstance(one, allowed) or (kind == "BOOLEAN" and one not in (0, 1))):
            raise ValueError(kind)
    return arrow_of(kind)(values)


def _bound(declared: str, text: str) -> list[object]:
    """What a key's text may be stored as, in a column of a declared type."""
    kinds = {kind.partition("(")[0] for kind, _ in declared_types(declared)}
    if long := declared_as(declared):
        return [written(text, long[1])]
    if kinds == {"BIGINT"}:
        number = int(text)
        if not -(2**63) <= number < 2**63:
            raise ValueError("it is beyond 64 bits")
        return [number]
    if kinds == {"BOOLEAN"} and text.lower() in ("true", "false"):
        return [int(text.lower() == "true")]
    if kinds == {"BLOB"}:
        return [bytes.fromhex(text)]  # as JSON output writes it
    # SQLite keeps a UUID as the application wrote it; the affinity of a column of numbers makes one of the text.
    return [text, *(uuid_forms(text) if kinds == {"UUID"} else () if kinds else _numbers(text))]


def _numbers(text: str) -> list[object]:
    """The number that a text may be, in a column without a type of its own."""
    numbers: list[object] = []
    try:
        numbers = [int(text)] if -(2**63) <= int(text) < 2**63 else []
    except ValueError:
        try:
            numbers = [float(text)]
        except ValueError:
            numbers = []
    return numbers
