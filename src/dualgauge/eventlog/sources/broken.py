"""Columns of Parquet files that DuckDB reads as other values without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.engines.errors import EngineError
from dualgauge.engines.parquet_schema import INT96, cut, holds_nanoseconds, schema_columns, schemas
from dualgauge.eventlog.errors import CutColumn
from dualgauge.eventlog.sources.source import format_of

if TYPE_CHECKING:
    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.sources.source import Source


def refuse_cut(engine: Engine, source: Source) -> None:
    """
    Look at the Parquet files of a source before they are read.

    Raises:
        CutColumn: one has a DECIMAL of more than 38 digits, or times of INT96 finer than a microsecond.
    """
    parts = {part.path: part for part in source.reading if format_of(source, part.path) == "read_parquet"}
    try:
        trees = schemas(engine, list(parts)) if parts else {}
    except EngineError:
        # Damaged: DuckDB says how.
        return
    for path, part in parts.items():
        for column in schema_columns(trees[str(path)]):
            name, what = column[0][0], cut(column)
            if what == INT96:
                if holds_nanoseconds(path, name):
                    what = "times of INT96 finer than a microsecond, which would be cut"
                    raise CutColumn(source.name, source.label(part.file), name, what, "in microseconds")
            elif what:
                what = f"{what}, which would lose digits as a DOUBLE"
                raise CutColumn(source.name, source.label(part.file), name, what, "with at most 38 digits")
