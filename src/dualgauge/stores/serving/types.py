"""
The one table of types: DuckDB type -> Alembic type -> what SQLite and PostgreSQL hold -> back.

Each row says how a DuckDB expression becomes what is bound into the store, refusing what would not come back
as it was, and how a stored value becomes the DuckDB type again. A test walks every row both ways.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from dualgauge.model import literal, quote
from dualgauge.stores.errors import NoStoreType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SQLITE_DIGITS = 15
"""Significant digits of a DECIMAL that SQLite's NUMERIC holds exactly."""

_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_FIELD_NAME = re.compile(r'("(?:[^"]|"")*"|\S+)\s+')
_FLOATS = re.compile(r"\b(DOUBLE|FLOAT)\b")
_STAMP = "'%Y-%m-%d %H:%M:%S.%f'"

Expression = str

_KEPT = {"int64": "BIGINT", "float64": "DOUBLE", "string": "VARCHAR", "binary": "BLOB"}


@dataclass(frozen=True, slots=True)
class StoreType:
    """
    One row of the table.

    `alembic` is the column's type in a shape. `to_sqlite` and `to_postgresql` turn a DuckDB expression into what is
    bound; `from_sqlite` turns the stored column, read into Arrow as `arrow`, back into the DuckDB type.
    """

    alembic: sa.types.TypeEngine[Any]
    arrow: str
    to_sqlite: Callable[[Expression, str], Expression]
    from_sqlite: Callable[[Expression], Expression]
    to_postgresql: Callable[[Expression, str], Expression]


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
                "a LIST or STRUCT holds no BLOB, and nothing that a store cannot hold by itself: cast what is inside"
            )
        raise NoStoreType(view, column, kind, advice)
    return row


def _find(kind: str) -> StoreType | None:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if match := _DECIMAL.fullmatch(kind):
        return _decimal(kind, int(match[1]), int(match[2]))
    if kind.endswith("]") or kind.startswith("STRUCT("):
        return _json(kind) if all(_nests(one) for one in _inner(kind)) else None
    if kind.startswith("ENUM("):
        return _text(kind, sa.Text())
    return None


def _inner(kind: str) -> list[str]:
    """The types right inside a LIST, an ARRAY or a STRUCT."""
    if kind.endswith("]"):
        return [kind[: kind.rindex("[")]]
    fields, depth, quoted, start = [], 0, "", len("STRUCT(")
    for place, character in enumerate(kind[start:-1] + ",", start=start):
        if quoted:
            quoted = "" if character == quoted else quoted
        elif character in "\"'":
            quoted = character
        elif character == "," and depth == 0:
            fields.append(kind[start:place].strip())
            start = place + 1
        depth += (character == "(") - (character == ")") if not quoted else 0
    return [_FIELD_NAME.sub("", field, count=1) for field in fields]


def _nests(kind: str) -> bool:
    """Whether JSON text keeps a type: a BLOB inside would come back as other bytes."""
    return kind != "BLOB" and _find(kind) is not None


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


def _integer(kind: str) -> StoreType:
    return StoreType(sa.BigInteger().with_variant(sa.Integer(), "sqlite"), "int64", _same, _back(kind), _same)


def _wide_integer(kind: str) -> StoreType:
    def checked(expression: str, column: str) -> str:
        outside = f"{expression} NOT BETWEEN -9223372036854775808 AND 9223372036854775807"
        return _refuse(
            outside,
            f"CAST({expression} AS BIGINT)",
            column,
            "holds a number beyond 64 bits; cast it to DOUBLE or VARCHAR",
        )

    return StoreType(sa.BigInteger().with_variant(sa.Integer(), "sqlite"), "int64", checked, _back(kind), checked)


def _double(kind: str) -> StoreType:
    def sqlite(expression: str, column: str) -> str:
        # Adding 0.0 turns -0.0 into 0.0: the two are equal, and must not differ in the store.
        value = f"CAST({expression} AS DOUBLE) + 0.0"
        return _refuse(
            f"isnan({expression})", value, column, "is NaN, which SQLite would keep as NULL; use nullif or a CASE"
        )

    return StoreType(sa.Double(), "float64", sqlite, _back(kind), lambda e, _c: f"CAST({e} AS DOUBLE) + 0.0")


def _decimal(kind: str, precision: int, scale: int) -> StoreType:
    def sqlite(expression: str, column: str) -> str:
        text = f"CAST({expression} AS VARCHAR)"
        if precision <= SQLITE_DIGITS:
            return text
        # |x| * 10^scale must stay below 10^15; the bound is written as a DECIMAL, never as a DOUBLE.
        digits = SQLITE_DIGITS - scale
        bound = "1" + "0" * digits if digits >= 0 else "0." + "0" * (-digits - 1) + "1"
        return _refuse(
            f"abs({expression}) >= {bound}", text, column,
            f"holds a {kind} of more than {SQLITE_DIGITS} significant digits, which SQLite would round; "
            "serve from PostgreSQL, or cast it to VARCHAR",
        )  # fmt: skip

    def postgresql(expression: str, _column: str) -> str:
        return f"CAST({expression} AS VARCHAR)"

    return StoreType(sa.Numeric(precision, scale), "float64", sqlite, _back(kind), postgresql)


def _text(kind: str, alembic: sa.types.TypeEngine[Any]) -> StoreType:
    def text(expression: str, _column: str) -> str:
        return f"CAST({expression} AS VARCHAR)"

    def postgresql(expression: str, column: str) -> str:
        value = text(expression, column)
        return _refuse(
            f"contains({value}, chr(0))", value, column, "holds a NUL character, which PostgreSQL cannot; use replace"
        )

    return StoreType(alembic, "string", text, _back(kind), postgresql)


def _time(kind: str, alembic: sa.types.TypeEngine[Any], text: str, back: str, zone: str = "") -> StoreType:
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

    return StoreType(alembic, "string", checked, back.format, postgresql)


def _json(kind: str) -> StoreType:
    def text(expression: str, column: str) -> str:
        value = f"CAST(to_json({expression}) AS VARCHAR)"
        if not _FLOATS.search(kind):
            return value
        bare = f"""regexp_replace({value}, '"(\\\\.|[^"\\\\])*"', '', 'g')"""
        beyond = f"regexp_matches({bare}, 'NaN|Infinity')"
        return _refuse(beyond, value, column, "holds NaN or an infinity inside, which JSON cannot; use a CASE")

    alembic = sa.Text().with_variant(sa.JSON(), "postgresql")
    return StoreType(alembic, "string", text, lambda e: f"CAST(CAST({e} AS JSON) AS {kind})", text)


_PLAIN: dict[str, StoreType] = {
    "BOOLEAN": StoreType(sa.Boolean(), "int64", _same, _back("BOOLEAN"), _same),
    **{kind: _integer(kind) for kind in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")},
    **{kind: _integer(kind) for kind in ("UTINYINT", "USMALLINT", "UINTEGER")},
    **{kind: _wide_integer(kind) for kind in ("UBIGINT", "HUGEINT", "UHUGEINT")},
    "FLOAT": _double("FLOAT"),
    "DOUBLE": _double("DOUBLE"),
    "VARCHAR": _text("VARCHAR", sa.Text()),
    "UUID": _text("UUID", sa.Uuid().with_variant(sa.Text(), "sqlite")),
    "JSON": StoreType(
        sa.Text().with_variant(sa.JSON(), "postgresql"), "string",
        lambda e, _c: f"CAST(json({e}) AS VARCHAR)", _back("JSON"), lambda e, _c: f"CAST(json({e}) AS VARCHAR)",
    ),
    "BLOB": StoreType(sa.LargeBinary(), "binary", _same, _back("BLOB"), _same),
    "DATE": _time("DATE", sa.Date(), "CAST({} AS VARCHAR)", "CAST({} AS DATE)"),
    "TIME": _time("TIME", sa.Time(), "strftime(DATE '2000-01-01' + {}, '%H:%M:%S.%f')", "CAST({} AS TIME)"),
    **{
        kind: _time(kind, sa.DateTime(), f"strftime({{}}, {_STAMP})", f"CAST({{}} AS {kind})")
        for kind in ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS")
    },
    # The engine's session zone is UTC, so strftime writes UTC and a text without zone is read as UTC.
    "TIMESTAMP WITH TIME ZONE": _time(
        "TIMESTAMP WITH TIME ZONE", sa.DateTime(timezone=True), f"strftime({{}}, {_STAMP})", "CAST({} AS TIMESTAMPTZ)",
        zone="+00",
    ),
}  # fmt: skip


def bound_columns(view: str, columns: dict[str, str], dialect: str) -> list[str]:
    """For each column, the DuckDB expression of what is bound into the store."""
    rows = {name: store_type(view, name, kind) for name, kind in columns.items()}
    return [
        row.to_sqlite(quote(name), name) if dialect == "sqlite" else row.to_postgresql(quote(name), name)
        for name, row in rows.items()
    ]


def restored(view: str, columns: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The DuckDB types of columns as SQLite keeps them, in Arrow, and what a SELECT of these makes the columns of."""
    rows = {name: store_type(view, name, kind) for name, kind in columns.items()}
    typed = ", ".join(f"{row.from_sqlite(quote(name))} AS {quote(name)}" for name, row in rows.items())
    return {name: _KEPT[row.arrow] for name, row in rows.items()}, typed
