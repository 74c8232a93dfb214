"""Writes an oracle's table where dualgauge can read it: as a table of DuckDB, as an Arrow table, as Parquet files."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from support.table_kinds import ENUM, GEOMETRY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from support.oracle import Kind, Table


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# --- SQL --------------------------------------------------------------------------------------------------------


def expression(kind: Kind, value: Any) -> str:
    """SQL that gives the value in its type."""
    if value is None:
        return f"CAST(NULL AS {kind.sql})" if "COLLATE" not in kind.sql else "CAST(NULL AS VARCHAR)"
    if kind.family in _COMPOSED:
        return _COMPOSED[kind.family](kind, value)
    if kind.family in _SCALARS:
        return _SCALARS[kind.family](kind, value)
    return f"CAST({_text(str(value))} AS {kind.sql})"


def _text(value: str) -> str:
    # A literal cannot hold a zero byte.
    parts = ["'" + part.replace("'", "''") + "'" for part in value.split("\x00")]
    return "(" + " || chr(0) || ".join(parts) + ")" if len(parts) > 1 else parts[0]


def _number(kind: Kind, value: Any) -> str:
    written = format(value, "f") if isinstance(value, Decimal) else repr(value)
    return f"CAST('{written}' AS {kind.sql})"


def _instant(kind: Kind, value: Any) -> str:
    if isinstance(value, str):
        return f"CAST('{value}' AS {kind.sql})"
    if kind.sql == "DATE":
        return f"(CAST('1970-01-01' AS DATE) + CAST({value} AS INTEGER))"
    if kind.sql == "TIMESTAMP_NS":
        return f"make_timestamp_ns({value})"
    if kind.sql == "TIMESTAMPTZ_NS":
        return f"CAST(make_timestamp_ns({value}) AS TIMESTAMPTZ_NS)"
    return f"CAST(make_timestamp({value * kind.unit // 1000}) AS {kind.sql})"


def _time(kind: Kind, value: int) -> str:
    seconds, rest = divmod(value * kind.unit, 10**9)
    return f"CAST('{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:09}' AS {kind.sql})"


def _interval(_: Kind, value: tuple[int, int, int]) -> str:
    return "(to_months({}) + to_days({}) + to_microseconds({}))".format(*value)


def _opaque(kind: Kind, value: str) -> str:
    return f"CAST('{value}' AS GEOMETRY)" if kind == GEOMETRY else f"CAST({value} AS VARIANT)"


_SCALARS: dict[str, Callable[[Any, Any], str]] = {
    "number": _number,
    "instant": _instant,
    "zoned": _instant,
    "time": _time,
    "interval": _interval,
    "opaque": _opaque,
    "text": lambda kind, value: f"CAST({_text(value)} AS {kind.sql})" if kind.sql.startswith("ENUM") else _text(value),
    "blob": lambda _, value: f"unhex('{value.hex()}')",
    "bool": lambda _, value: str(value),
}


def _list(kind: Kind, value: Sequence[Any]) -> str:
    elements = ", ".join(expression(kind.parts[0][1], one) for one in value)
    return f"CAST([{elements}] AS {kind.sql})"


def _struct(kind: Kind, value: Sequence[Any]) -> str:
    pairs = zip(kind.parts, value, strict=True)
    return "struct_pack(" + ", ".join(f"{_quoted(name)} := {expression(of, one)}" for (name, of), one in pairs) + ")"


def _tuple(kind: Kind, value: Sequence[Any]) -> str:
    return "row(" + ", ".join(expression(of, one) for (_, of), one in zip(kind.parts, value, strict=True)) + ")"


def _map(kind: Kind, value: Sequence[tuple[Any, Any]]) -> str:
    (_, key), (_, held) = kind.parts
    keys, values = ", ".join(expression(key, k) for k, _ in value), ", ".join(expression(held, v) for _, v in value)
    return f"CAST(MAP([{keys}], [{values}]) AS {kind.sql})"


def _union(kind: Kind, value: tuple[str, Any]) -> str:
    tag, held = value
    return f"CAST(union_value({_quoted(tag)} := {expression(dict(kind.parts)[tag], held)}) AS {kind.sql})"


_COMPOSED: dict[str, Callable[[Any, Any], str]] = {
    "list": _list,
    "struct": _struct,
    "tuple": _tuple,
    "map": _map,
    "union": _union,
}


def statements(name: str, table: Table) -> list[str]:
    """What makes a table of DuckDB that holds these rows."""
    columns = ", ".join(f"{_quoted(column.name)} {column.kind.sql}" for column in table.columns)
    made = [f"CREATE OR REPLACE TABLE {name} ({columns})"]
    if table.rows:
        kinds = [column.kind for column in table.columns]
        rows = (", ".join(expression(kind, one) for kind, one in zip(kinds, row, strict=True)) for row in table.rows)
        made.append(f"INSERT INTO {name} VALUES " + ", ".join(f"({row})" for row in rows))
    return made


# --- Arrow ------------------------------------------------------------------------------------------------------

_ARROW: dict[str, pa.DataType] = {
    "TINYINT": pa.int8(), "SMALLINT": pa.int16(), "INTEGER": pa.int32(), "BIGINT": pa.int64(), "UTINYINT": pa.uint8(),
    "USMALLINT": pa.uint16(), "UINTEGER": pa.uint32(), "UBIGINT": pa.uint64(), "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "DATE": pa.date32(), "TIMESTAMP_S": pa.timestamp("s"), "TIMESTAMP_MS": pa.timestamp("ms"),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMP_NS": pa.timestamp("ns"), "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", "UTC"), "TIME": pa.time64("us"),
    "TIME_NS": pa.time64("ns"), "VARCHAR": pa.string(), "BLOB": pa.binary(), "BOOLEAN": pa.bool_(), '"NULL"': pa.null(),
    "INTERVAL": pa.month_day_nano_interval(), ENUM.sql: pa.dictionary(pa.int8(), pa.string()),
}  # fmt: skip


def arrow_type(kind: Kind) -> pa.DataType | None:
    """The Arrow type that DuckDB reads as this kind, if there is one."""
    if kind.sql.startswith("DECIMAL") and not kind.parts:
        return pa.decimal128(kind.digits, kind.scale)
    if not kind.parts:
        return None if kind.size else _ARROW.get(kind.sql)
    parts = [(name, arrow_type(of)) for name, of in kind.parts]
    if (
        kind.family in {"union", "tuple"}
        or any(of is None for _, of in parts)
        or any(of == ENUM for _, of in kind.parts)
    ):
        return None
    if kind.family == "struct":
        return pa.struct(parts)
    if kind.family == "map":
        return pa.map_(parts[0][1], parts[1][1])
    return pa.list_(parts[0][1], kind.size) if kind.size else pa.list_(parts[0][1])


def _for_arrow(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind.family == "list":
        return [_for_arrow(kind.parts[0][1], one) for one in value]
    if kind.family == "struct":
        return {name: _for_arrow(of, one) for (name, of), one in zip(kind.parts, value, strict=True)}
    if kind.family == "map":
        return [(_for_arrow(kind.parts[0][1], key), _for_arrow(kind.parts[1][1], held)) for key, held in value]
    if kind.family == "interval":
        return pa.MonthDayNano([value[0], value[1], value[2] * 1000])
    return value


def arrow(table: Table) -> pa.Table:
    """The same rows as an Arrow table; `arrow_type` is there for each column."""
    columns = []
    for at, column in enumerate(table.columns):
        kind = arrow_type(column.kind)
        columns.append(pa.array([_for_arrow(column.kind, row[at]) for row in table.rows], kind))
    return pa.table(columns, names=[column.name for column in table.columns])


# --- Parquet ----------------------------------------------------------------------------------------------------


def in_parquet(kind: Kind) -> bool:
    """Whether a Parquet file holds the kind as it is, written from Arrow."""
    if kind.sql in {"INTERVAL", '"NULL"'} or (kind.sql.startswith("ENUM")):
        return False
    return arrow_type(kind) is not None and all(in_parquet(of) for _, of in kind.parts)


def parquet(table: Table, folder: Path, name: str, files: int = 1) -> str:
    """Write the rows to one or more files; gives the pattern that names them all."""
    for old in folder.glob(f"{name}-*.parquet"):
        old.unlink()
    whole = arrow(table)
    step = max(1, -(-whole.num_rows // files))
    for at in range(files):
        pq.write_table(whole.slice(at * step, step), folder / f"{name}-{at}.parquet", row_group_size=max(1, step // 2))
    return str(folder / f"{name}-*.parquet")
