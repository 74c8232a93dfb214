"""
Times that the engine takes for infinite though they are times like any: the last and the first of their type.

Only the engine keeps infinity as such a number. Others mean what they write: `pandas.Timestamp.max` is an instant of
2262, and a program's "for ever" may be the last microsecond of 294247.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

import duckdb

from dualgauge.engines.parquet_files import scan
from dualgauge.engines.parquet_schema import exact
from dualgauge.model import literal, quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from duckdb.sqltypes import DuckDBPyType

    from dualgauge.engines.duck import Engine

WHAT: Final = "the first or the last time of its type, which would be read as infinity"
"""What messages say of such a value."""

TIMES: Final = re.compile(r"DATE|TIMESTAMP")
"""What the name of a type has that holds such times."""

_ZONED: Final = ("timestamp with time zone", "timestamptz_ns")


def endless(engine: Engine, relation: str, kinds: Mapping[str, str]) -> str | None:
    """
    A column of a relation in which some time, be it nested, is taken for infinite; None where none is.

    Args:
        engine: the engine.
        relation: what stands behind FROM.
        kinds: its columns with their DuckDB types.

    Raises:
        EngineError: the relation cannot be read.
    """
    timed = {name: duckdb.sqltype(kind) for name, kind in kinds.items() if TIMES.search(kind)}
    asked = {name: found for name, kind in timed.items() if (found := _endless(quote(name), kind))}
    if not asked:
        return None
    row = engine.row(f"SELECT {', '.join(f'bool_or({condition})' for condition in asked.values())} FROM {relation}")
    return next((name for name, found in zip(asked, row, strict=True) if found), None)


def _endless(value: str, kind: DuckDBPyType, depth: int = 0) -> str:
    """A condition that a time in a value is infinite; empty where the type holds no time."""
    if kind.id in _ZONED:
        return f"isinf(CAST({value} AS TIMESTAMPTZ))"
    if kind.id == "date" or kind.id.startswith("timestamp"):
        return f"isinf({value})"
    if kind.id == "struct":
        fields = [(name, cast("DuckDBPyType", part)) for name, part in kind.children]
        parts = (_endless(f"struct_extract({value}, {literal(name)})", part, depth) for name, part in fields)
        return " OR ".join(filter(None, parts))
    if kind.id in ("list", "array", "map"):
        lists = (f"map_keys({value})", f"map_values({value})") if kind.id == "map" else (value,)
        one = f"_one{depth}"
        # Of an array the second child is its size.
        parts = (_endless(one, cast("DuckDBPyType", part), depth + 1) for _, part in kind.children[: len(lists)])
        return " OR ".join(
            f"len(list_filter({of}, lambda {one}: {part})) > 0" for of, part in zip(lists, parts, strict=True) if part
        )
    return ""


def endless_file(engine: Engine, files: Sequence[Path], kinds: Mapping[str, str]) -> tuple[Path, str] | None:
    """
    A Parquet file that the engine did not write, and a column of it in which it would take a time for infinite.

    Args:
        engine: the engine.
        files: files of one schema.
        kinds: its columns with their DuckDB types.

    Raises:
        EngineError: one cannot be read.
    """
    others = _of_others(engine, files) if any(map(TIMES.search, kinds.values())) else []
    if not others or endless(engine, scan(others), kinds) is None:
        return None
    found = ((file, endless(engine, scan([file]), kinds)) for file in others)
    return next(((file, name) for file, name in found if name), None)


def _of_others(engine: Engine, files: Sequence[Path]) -> list[Path]:
    """Those Parquet files that the engine did not write. Raises EngineError."""
    asked = f"parquet_file_metadata([{', '.join(literal(exact(file)) for file in files)}])"
    own = {str(name) for (name,) in engine.rows(f"SELECT file_name FROM {asked} WHERE created_by LIKE 'DuckDB %'")}
    return [file for file in files if str(file) not in own]
