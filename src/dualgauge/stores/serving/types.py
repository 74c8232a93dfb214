"""
The one table of types: DuckDB type -> Alembic type -> what SQLite and PostgreSQL hold -> back.

Each row says for each database how a DuckDB expression becomes what is bound into the store, refusing what would not
come back as it was, how a stored value leaves it, and becomes the DuckDB type again. A test walks every row both ways.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.base import ischema_names
from sqlalchemy.ext.compiler import compiles

from dualgauge.model import literal, quote
from dualgauge.stores.errors import NoStoreType
from dualgauge_router.stores.long_decimals import DECLARED, SQLITE_DIGITS
from dualgauge_router.stores.values import inner_kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_POINT_FIRST = re.compile(r"DECIMAL\((\d+),\1\)")
_FLOATS = re.compile(r"\b(DOUBLE|FLOAT)\b")
_STAMP = "'%Y-%m-%d %H:%M:%S.%f'"
_SHOWN = "'YYYY-MM-DD HH24:MI:SS.US'"

Expression = str

_KEPT = {"int64": "BIGINT", "float64": "DOUBLE", "string": "VARCHAR", "binary": "BLOB"}


class LongDecimal(sa.Numeric[Any]):
    """A column of a SQLite build: decimals of up to 15 significant digits are numbers, longer ones exact text."""

    cache_ok = True


@compiles(LongDecimal, "sqlite")
def _written(kind: LongDecimal, _compiler: object, **_: object) -> str:
    return f"{DECLARED}({kind.precision}, {kind.scale})"


ischema_names[DECLARED] = LongDecimal
"""So that a build's table is reflected as what it is."""


def kept_as(kind: sa.types.TypeEngine[Any], dialect: str) -> sa.types.TypeEngine[Any]:
    """The type of a build's column, whose shape says `kind`."""
    if dialect != "sqlite" or not isinstance(kind, sa.Numeric) or isinstance(kind, sa.Float):
        return kind
    return LongDecimal(kind.precision, kind.scale) if (kind.precision or 0) > SQLITE_DIGITS else kind


@dataclass(frozen=True, slots=True)
class Codec:
    """
    How one database keeps a type.

    `bound` turns a DuckDB expression of a column of some name into what is bound. `leaves` is SQL of that database: how
    a stored value is selected. Read into Arrow as `arrow`, `back` turns it into the DuckDB type.
    """

    bound: Callable[[Expression, str], Expression]
    leaves: Callable[[Expression], Expression]
    arrow: str
    back: Callable[[Expression], Expression]


@dataclass(frozen=True, slots=True)
class StoreType:
    """One row of the table. `alembic` is the column's type in a shape."""

    alembic: sa.types.TypeEngine[Any]
    sqlite: Codec
    postgresql: Codec

    def of(self, dialect: str) -> Codec:
        """The codec of a database."""
        return self.sqlite if dialect == "sqlite" else self.postgresql


def store_type(view: str, column: str, kind: str) -> StoreType:
    """
    The table's row for a DuckDB type as DESCRIBE writes it.

    Raises:
        NoStoreType: no store can hold it; says what to cast it to.
    """
    row = _find(kind)
    if row is None:
        advice = _ADVICE.get(kind.partition("(")[0], "cast it to VARCHAR or another plain type")
        if kind.endswith("]") or kind.startswith("STRUCT("):
            advice = (
                "a LIST or STRUCT holds no BLOB, no DECIMAL(p,p), and nothing that a store cannot hold by itself: "
                "cast what is inside"
            )
        raise NoStoreType(view, column, kind, advice)
    return row


def _find(kind: str) -> StoreType | None:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if match := _DECIMAL.fullmatch(kind):
        return _decimal(kind, int(match[1]), int(match[2]))
    if kind.endswith("]") or kind.startswith("STRUCT("):
        return _json(kind) if all(_nests(one) for one in inner_kinds(kind).values()) else None
    if kind.startswith("ENUM("):
        return _text(kind, sa.Text())
    return None


def _nests(kind: str) -> bool:
    """Whether JSON text keeps a type: a BLOB would come back as other bytes, and some decimals are written as .5."""
    return kind != "BLOB" and not _POINT_FIRST.fullmatch(kind) and _find(kind) is not None


_ADVICE = {
    "INTERVAL": "cast it to BIGINT with epoch_us(), or to VARCHAR",
    "MAP": "turn it into a LIST or a STRUCT, whose order is fixed",
    "TIMESTAMP_NS": "cast it to TIMESTAMP: stores keep microseconds",
    "TIME WITH TIME ZONE": "cast it to TIME or VARCHAR",
    '"NULL"': "write CAST(NULL AS a type)",
    "BIT": "cast it to VARCHAR",
    "UNION": "turn it into a STRUCT",
}


def _refuse(condition: str, expression: str, column: str, reason: str) -> str:
    """The expression, or an error that names the column where the condition holds."""
    message = literal(f"column {column!r} {reason}")
    return f"CASE WHEN {condition} THEN error({message}) ELSE {expression} END"


def _same(expression: str, _column: str = "") -> str:
    return expression


def _back(kind: str) -> Callable[[Expression], Expression]:
    return lambda expression: f"CAST({expression} AS {kind})"


def _as_text(expression: str, _column: str = "") -> str:
    return f"CAST({expression} AS VARCHAR)"


def _text_of(expression: str) -> str:
    return f"CAST({expression} AS text)"


def _integer(kind: str) -> StoreType:
    codec = Codec(_same, _same, "int64", _back(kind))
    return StoreType(sa.BigInteger().with_variant(sa.Integer(), "sqlite"), codec, codec)


def _wide_integer(kind: str) -> StoreType:
    def checked(expression: str, column: str) -> str:
        outside = f"{expression} NOT BETWEEN -9223372036854775808 AND 9223372036854775807"
        return _refuse(
            outside,
            f"CAST({expression} AS BIGINT)",
            column,
            "holds a number beyond 64 bits; cast it to DOUBLE or VARCHAR",
        )

    codec = Codec(checked, _same, "int64", _back(kind))
    return StoreType(sa.BigInteger().with_variant(sa.Integer(), "sqlite"), codec, codec)


def _double(kind: str) -> StoreType:
    def value(expression: str, _column: str = "") -> str:
        # Adding 0.0 turns -0.0 into 0.0: the two are equal, and must not differ in the store.
        return f"CAST({expression} AS DOUBLE) + 0.0"

    def checked(expression: str, column: str) -> str:
        reason = "is NaN, which SQLite would keep as NULL; use nullif or a CASE"
        return _refuse(f"isnan({expression})", value(expression), column, reason)

    return StoreType(
        sa.Double(), Codec(checked, _real, "float64", _back(kind)), Codec(value, _same, "float64", _back(kind))
    )


def _real(value: str) -> str:
    """A number as REAL: NUMERIC gives 2 for 2.00. A text there is no number, and refused as one."""
    return f"CASE typeof({value}) WHEN 'integer' THEN CAST({value} AS REAL) ELSE {value} END"


def _digits(value: str) -> str:
    """The digits of a number, or a text as it is: of a REAL as many as a decimal has that it was made of."""
    real = f"printf('%!.{SQLITE_DIGITS:d}g', {value})"
    return f"CASE typeof({value}) WHEN 'real' THEN {real} ELSE {_text_of(value)} END"


def _plain(text: str) -> str:
    """The digits of a number without an exponent, which the engine takes into no DECIMAL of many places."""
    sign, digits = f"CASE WHEN {text} LIKE '-%' THEN '-' ELSE '' END", f"regexp_replace({text}, 'e.*|[-.]', '', 'g')"
    power = f"CAST(split_part({text}, 'e', 2) AS INTEGER)"
    large = f"{digits} || repeat('0', {power} + 1 - length({digits}))"
    small = f"'0.' || repeat('0', -1 - {power}) || {digits}"
    return (
        f"CASE WHEN contains({text}, 'e') THEN {sign} || CASE WHEN {power} > 0 THEN {large} ELSE {small} END "
        f"ELSE {text} END"
    )


def _decimal(kind: str, precision: int, scale: int) -> StoreType:
    def bound(expression: str, _column: str = "") -> str:
        # Seen: of a type without a whole digit the engine writes .5 where it is a long one.
        text = _as_text(expression)
        return rf"regexp_replace({text}, '^(-?)\.', '\10.')" if precision == scale else text

    sqlite = Codec(bound, _real, "float64", _back(kind))
    if precision > SQLITE_DIGITS:
        sqlite = Codec(bound, _digits, "string", lambda text: f"CAST({_plain(text)} AS {kind})")
    return StoreType(sa.Numeric(precision, scale), sqlite, Codec(_as_text, _text_of, "string", _back(kind)))


def _text(kind: str, alembic: sa.types.TypeEngine[Any]) -> StoreType:
    def checked(expression: str, column: str) -> str:
        value = _as_text(expression)
        return _refuse(
            f"contains({value}, chr(0))", value, column, "holds a NUL character, which PostgreSQL cannot; use replace"
        )

    sqlite = Codec(_as_text, _same, "string", _back(kind))
    return StoreType(alembic, sqlite, Codec(checked, _text_of, "string", _back(kind)))


def _time(kind: str, alembic: sa.types.TypeEngine[Any], text: str, shown: str, zone: str = "") -> StoreType:
    """`text` writes it in DuckDB; `shown` is how PostgreSQL writes the same, whatever the session's settings are."""

    def checked(expression: str, column: str) -> str:
        value = text.format(expression)
        if kind == "TIME":
            return _refuse(
                f"{expression} = TIME '24:00:00'",
                value,
                column,
                "holds 24:00:00, which is no time of a day; use a CASE",
            )
        year = f"(NOT isfinite({expression}) OR year({expression}) NOT BETWEEN 1 AND 9999)"
        return _refuse(year, value, column, "holds a time outside the years 1 to 9999; use nullif or a CASE")

    def postgresql(expression: str, column: str) -> str:
        # Without its zone, the text would be read in the zone of the server's session.
        return f"{checked(expression, column)} || '{zone}'" if zone else checked(expression, column)

    return StoreType(
        alembic,
        Codec(checked, _same, "string", _back(kind)),
        Codec(postgresql, shown.format, "string", _back(kind)),
    )


def _json(kind: str) -> StoreType:
    def text(expression: str, column: str) -> str:
        value = f"CAST(to_json({expression}) AS VARCHAR)"
        if respelt := _respelt(expression, kind):
            reason = "holds JSON inside, of which a number would be written otherwise; cast it to VARCHAR"
            value = _refuse(respelt, value, column, reason)
        if not _FLOATS.search(kind):
            return value
        bare = f"""regexp_replace(CAST(to_json({expression}) AS VARCHAR), '"(\\\\.|[^"\\\\])*"', '', 'g')"""
        beyond = f"regexp_matches({bare}, 'NaN|Infinity')"
        return _refuse(beyond, value, column, "holds NaN or an infinity inside, which JSON cannot; use a CASE")

    def back(expression: str) -> str:
        return f"CAST(CAST({expression} AS JSON) AS {kind})"

    return _of_json(text, back)


def _respelt(expression: str, kind: str, depth: int = 0) -> str:
    """Whether a number of JSON inside of a value is written otherwise within it; empty where none can be."""
    if kind == "JSON":
        # Seen: what stands in a list or a struct goes through DOUBLE there.
        texts = (f"CAST({expression} AS VARCHAR)", f"CAST(to_json([{expression}]) AS VARCHAR)[2:-2]")
        own, within = (
            rf"""regexp_replace(regexp_replace({one}, '"(?:[^"\\]|\\.)*"', '""', 'g'), '\s', '', 'g')"""
            for one in texts
        )
        return f"coalesce({own} <> {within}, false)"
    if kind.endswith("]"):
        inner = _respelt(f"e{depth}", inner_kinds(kind)[""], depth + 1)
        return inner and f"coalesce(list_bool_or(list_transform({expression}, lambda e{depth}: {inner})), false)"
    if not kind.startswith("STRUCT("):
        return ""
    fields = (_respelt(f"({expression}).{quote(name)}", one, depth) for name, one in inner_kinds(kind).items())
    return " OR ".join(filter(None, fields))


def _of_json(bound: Callable[[Expression, str], Expression], back: Callable[[Expression], Expression]) -> StoreType:
    alembic = sa.Text().with_variant(sa.JSON(), "postgresql")
    return StoreType(alembic, Codec(bound, _same, "string", back), Codec(bound, _text_of, "string", back))


_PLAIN: dict[str, StoreType] = {
    "BOOLEAN": StoreType(
        sa.Boolean(), Codec(_same, _same, "int64", _back("BOOLEAN")),
        Codec(_same, "CAST({} AS integer)".format, "int64", _back("BOOLEAN")),
    ),
    **{kind: _integer(kind) for kind in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")},
    **{kind: _integer(kind) for kind in ("UTINYINT", "USMALLINT", "UINTEGER")},
    **{kind: _wide_integer(kind) for kind in ("UBIGINT", "HUGEINT", "UHUGEINT")},
    "FLOAT": _double("FLOAT"),
    "DOUBLE": _double("DOUBLE"),
    "VARCHAR": _text("VARCHAR", sa.Text()),
    "UUID": _text("UUID", sa.Uuid().with_variant(sa.Text(), "sqlite")),
    # Not `json()`, which takes every number with a fraction through DOUBLE: blanks between strings go, and no digit.
    "JSON": _of_json(
        lambda e, _c: rf"""regexp_replace(CAST({e} AS VARCHAR), '("(?:[^"\\]|\\.)*")|\s+', '\1', 'g')""", _back("JSON")
    ),
    "BLOB": StoreType(
        sa.LargeBinary(), Codec(_same, _same, "binary", _back("BLOB")), Codec(_same, _same, "binary", _back("BLOB"))
    ),
    "DATE": _time("DATE", sa.Date(), "CAST({} AS VARCHAR)", "to_char({}, 'YYYY-MM-DD')"),
    "TIME": _time(
        "TIME", sa.Time(), "strftime(DATE '2000-01-01' + {}, '%H:%M:%S.%f')", "to_char({}, 'HH24:MI:SS.US')"
    ),
    **{
        kind: _time(kind, sa.DateTime(), f"strftime({{}}, {_STAMP})", f"to_char({{}}, {_SHOWN})")
        for kind in ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS")
    },
    # The engine's session zone is UTC, so strftime writes UTC and a text without zone is read as UTC.
    "TIMESTAMP WITH TIME ZONE": _time(
        "TIMESTAMP WITH TIME ZONE", sa.DateTime(timezone=True), f"strftime({{}}, {_STAMP})",
        f"to_char({{}} AT TIME ZONE 'UTC', {_SHOWN})", zone="+00",
    ),
}  # fmt: skip


def bound_columns(view: str, columns: Mapping[str, str], dialect: str) -> list[str]:
    """For each column, the DuckDB expression of what is bound into the store."""
    return [store_type(view, name, kind).of(dialect).bound(quote(name), name) for name, kind in columns.items()]


def restored(view: str, columns: Mapping[str, str], dialect: str) -> tuple[dict[str, str], str]:
    """The DuckDB types of columns as they leave a store, in Arrow, and what a SELECT of these makes the columns of."""
    codecs = {name: store_type(view, name, kind).of(dialect) for name, kind in columns.items()}
    typed = ", ".join(f"{one.back(quote(name))} AS {quote(name)}" for name, one in codecs.items())
    return {name: _KEPT[one.arrow] for name, one in codecs.items()}, typed


def long_decimals(columns: Mapping[str, str]) -> tuple[str, ...]:
    """The columns of which SQLite keeps values of more than 15 significant digits as text."""
    wide = {name: _DECIMAL.fullmatch(kind) for name, kind in columns.items()}
    return tuple(name for name, match in wide.items() if match and int(match[1]) > SQLITE_DIGITS)


def texts_of_numbers(
    connection: sa.Connection, table: str, wanted: Callable[[str], bool] = lambda _: True
) -> tuple[str, ...]:
    """The `LongDecimal` columns of a table or a view of SQLite, of those `wanted`, of which a value is a text."""
    declared = f"SELECT name FROM pragma_table_info({literal(table)}) WHERE type LIKE '{DECLARED}%'"
    # To see that a column has none, all of it is read.
    names = list(filter(wanted, connection.exec_driver_sql(declared).scalars()))
    some = (f"EXISTS (SELECT 1 FROM {quote(table)} AS t WHERE typeof(t.{quote(name)}) = 'text')" for name in names)
    found = connection.exec_driver_sql(f"SELECT {', '.join(some)}").one() if names else ()
    return tuple(name for name, text in zip(names, found, strict=True) if text)
