"""Columns of Parquet files that DuckDB reads as other values without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.engines.errors import BadStatement, EngineError
from dualgauge.engines.parquet_schema import INT96, cut, holds_nanoseconds, schema_columns, schemas
from dualgauge.eventlog.errors import CutColumn
from dualgauge.eventlog.sources.readers import reader
from dualgauge.eventlog.sources.source import format_of
from dualgauge.model import fold, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.engines.duck import Engine, Row
    from dualgauge.eventlog.sources.source import Part, Source


def refuse_cut(engine: Engine, source: Source) -> None:
    """
    Look at the Parquet files of a source before they are read.

    Raises:
        CutColumn: one has a DECIMAL of more than 38 digits, times of INT96 finer than a microsecond, two columns whose
            names differ by case alone, or values that the type does not hold which the column has with other files.
    """
    parts = {part.path: part for part in source.reading if format_of(source, part.path) == "read_parquet"}
    try:
        trees = schemas(engine, list(parts)) if parts else {}
    except EngineError:
        # Damaged: DuckDB says how.
        return
    for path, part in parts.items():
        columns = schema_columns(trees[str(path)])
        _refuse_alike(source, source.label(part.file), columns)
        for column in columns:
            name, what = column[0][0], cut(column)
            if what == INT96:
                if holds_nanoseconds(path, name):
                    what = "times of INT96 finer than a microsecond, which would be cut"
                    raise CutColumn(source.name, source.label(part.file), name, what, "in microseconds")
            elif what:
                what = f"{what}, which would lose digits as a DOUBLE"
                raise CutColumn(source.name, source.label(part.file), name, what, "with at most 38 digits")
    if len({tuple(map(tuple, tree[1:])) for tree in trees.values()}) > 1:
        _refuse_bent(engine, source, list(parts.values()))


def _refuse_alike(source: Source, label: str, columns: Sequence[Sequence[Row]]) -> None:
    """Raise where the engine would fold two names into one, or give one of them another."""
    known: dict[str, str] = {}
    for column in columns:
        name = column[0][0]
        if (other := known.setdefault(fold(name), name)) != name:
            what = f"what {other!r} holds too: the two names differ by case alone"
            raise CutColumn(source.name, label, name, what, "under another name")


def _refuse_bent(engine: Engine, source: Source, parts: Sequence[Part]) -> None:
    """Raise where a value of a file is another one in the type that its column has over all files."""
    readers = {part: reader(source, part.path) for part in parts}
    together = engine.columns(" UNION ALL BY NAME ".join(f"(SELECT * FROM {one})" for one in readers.values()))
    kinds = {name.lower(): kind for name, kind in together.items()}
    for part, read in readers.items():
        for name, kind in engine.columns(f"SELECT * FROM {read}").items():
            common, column = kinds.get(name.lower(), kind), quote(name)
            if common == kind:
                continue
            back = f"TRY_CAST(TRY_CAST({column} AS {common}) AS {kind})"
            try:
                (bent,) = engine.row(f"SELECT count(*) FROM {read} WHERE {back} IS DISTINCT FROM {column}")
            except BadStatement:
                # What is nested has fields that the other files' values lack.
                continue
            if bent:
                what = f"values that {common} does not hold, which it is beside the source's other files"
                raise CutColumn(source.name, source.label(part.file), name, what, f"as {common} there too")
