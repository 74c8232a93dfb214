"""Files that DuckDB reads without a word, and that hold no events, or others: empty ones, cut columns of Parquet."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from dualgauge.engines.errors import EngineError
from dualgauge.engines.files.text_rows import opened
from dualgauge.engines.parquet_schema import INT96, cut, holds_nanoseconds, schema_columns, schemas
from dualgauge.eventlog.errors import CutColumn, EmptyFile
from dualgauge.eventlog.sources.source import format_of

if TYPE_CHECKING:
    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.sources.source import Source

_FIRST: Final = 1 << 20


def refuse_broken(engine: Engine, source: Source) -> None:
    """
    Look at the JSON and Parquet files of a source before they are read.

    Raises:
        EmptyFile: one of JSON has no byte, so it has no columns.
        CutColumn: a Parquet file has a DECIMAL of more than 38 digits, or times of INT96 finer than a microsecond.
    """
    for part in source.reading:
        if format_of(source, part.path) != "read_json":
            continue
        # Damaged: DuckDB says how.
        with suppress(OSError, EOFError), opened(part.path, "latin-1") as text:
            if not text.read(_FIRST).strip():
                raise EmptyFile(source.name, source.label(part.file))
    _refuse_cut(engine, source)


def _refuse_cut(engine: Engine, source: Source) -> None:
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
