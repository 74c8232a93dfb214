"""
Files that DuckDB reads, and reads wrongly or without a word: empty ones, broken quotes, cut columns of Parquet.

Where a quote is opened and never closed, DuckDB's guess of the dialect ends at "this file has no quotes": the row comes
through with the mark in its text. Such a file is looked at a second time, by Python's reader, which names the line.
"""

from __future__ import annotations

import csv
import gzip
from typing import TYPE_CHECKING

from dualgauge.engines.errors import EngineError
from dualgauge.engines.parquet_schema import INT96, cut, holds_nanoseconds, schema_columns, schemas
from dualgauge.eventlog.errors import BadFile, CutColumn, EmptyFile
from dualgauge.eventlog.sources.source import format_of
from dualgauge.model import literal

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.sources.source import Source

_FIRST = 1 << 20
"""Bytes that are looked through for a quote; DuckDB guesses the dialect from fewer."""

_LONGEST_FIELD = 1 << 27


def refuse_broken(engine: Engine, source: Source) -> None:
    """
    Look at the files of a source before they are read.

    Raises:
        EmptyFile: one has no byte, so it has no columns.
        BadFile: a CSV file has a quote that is not closed, or text behind a closed one.
        CutColumn: a Parquet file has a DECIMAL of more than 38 digits, or times of INT96 finer than a microsecond.
    """
    _refuse_cut(engine, source)
    for part in source.reading:
        file = part.path
        try:
            with _opened(file) as opened:
                first = opened.read(_FIRST)
        except (OSError, EOFError):
            # Damaged: DuckDB says how.
            continue
        if not first.strip() and format_of(source, file) != "read_parquet":
            raise EmptyFile(source.name, source.label(part.file))
        if format_of(source, file) == "read_csv" and b'"' in first and "quote" not in source.settings.read:
            _refuse_quote(engine, source, file, source.label(part.file))


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


def _refuse_quote(engine: Engine, source: Source, file: Path, label: str) -> None:
    try:
        delimiter, quote = engine.row(f"SELECT Delimiter, Quote FROM sniff_csv({literal(str(file))})")
    except EngineError:
        return
    if quote == '"' or len(delimiter) != 1:
        return
    line = 0
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        with _opened(file) as opened:
            rows = csv.reader(
                (text.decode("utf-8", "replace") for text in opened), delimiter=delimiter, quotechar='"', strict=True
            )
            for _ in rows:
                line = rows.line_num
    except csv.Error as fault:
        reason = "is opened and not closed" if "end of data" in str(fault) else "is closed in the middle of a value"
        raise BadFile(
            source.name, f"{label} line {line + 1}", f'a quote (") {reason}',
            'if quotes are text in this file, say read = {quote = ""}',
        ) from fault  # fmt: skip


def _opened(file: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(file, "rb") if file.suffix.lower() == ".gz" else file.open("rb")
