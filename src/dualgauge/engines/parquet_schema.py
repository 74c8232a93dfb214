"""
What of a Parquet file the engine would read as other values than were written, by the file's own schema.

Seen: a DECIMAL of more than 38 digits is read as DOUBLE, and of an INT96 the nanoseconds are cut off; nothing is told.
"""

from __future__ import annotations

import base64
import os
import re
import struct
from typing import TYPE_CHECKING, Final

from dualgauge.model import fold, literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from dualgauge.engines.duck import Engine, Row

_SCHEMA: Final = (
    "SELECT file_name, name, type, num_children, converted_type, scale, precision, logical_type, duckdb_type "
    "FROM parquet_schema([{files}])"
)
_WIDEST: Final = 38
_BATCH: Final = 50_000

_MARK: Final = b"PAR1"
_ENCRYPTED: Final = b"PARE"
_END: Final = struct.Struct("<I4s")
"""How long the schema is that a file ends with, and the mark behind it."""

ALIKE: Final = ", of which the engine would call one otherwise"
"""What messages say of fields of a struct whose names differ by case alone."""

UNNAMED: Final = "it has a column without a name"

INT96: Final = "an INT96 time"
"""What `cut` says of a time of 96 bits, whose nanoseconds may be nought."""


def schemas(engine: Engine, files: Sequence[Path]) -> dict[str, list[Row]]:
    """
    The schema of each file, by its path: its tree in preorder.

    A row is (name, type, num_children, converted_type, scale, precision, logical_type, duckdb_type).

    Raises:
        EngineError: one is no Parquet file.
    """
    found: dict[str, list[Row]] = {}
    for name, *row in engine.rows(_SCHEMA.format(files=", ".join(literal(exact(file)) for file in files))):
        found.setdefault(name, []).append(tuple(row))
    return found


def damage(file: Path) -> str:
    """Why a file is no Parquet file, by its first bytes and its last ones; empty where these say that it is one."""
    with file.open("rb") as opened:
        begin = opened.read(len(_MARK))
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(0, size - _END.size))
        end = opened.read()
    if not size:
        return "it is empty"
    if begin not in (_MARK, _ENCRYPTED):
        return "it is no Parquet file, whatever it is called"
    footer, mark = _END.unpack(end) if len(end) == _END.size else (0, b"")
    whole = mark in (_MARK, _ENCRYPTED) and footer + 2 * len(_MARK) < size
    return "" if whole else "it is cut off, or was not written to its end"


def schema_columns(rows: Sequence[Row]) -> list[list[Row]]:
    """The columns of a file's schema, each with what is nested in it."""
    found, at = [], 1
    while at < len(rows):
        end = _end(rows, at)
        found.append(list(rows[at:end]))
        at = end
    return found


def _end(rows: Sequence[Row], at: int) -> int:
    end = at + 1
    for _ in range(rows[at][2] or 0):
        end = _end(rows, end)
    return end


def twice_inside(tree: Sequence[Row]) -> tuple[str, str] | None:
    """Two fields of one struct in a column whose names differ by case alone, or not at all."""
    known: dict[str, str] = {}
    fields = schema_columns(tree)
    for (name, *_), *_ in fields:
        if fold(name) in known:
            return known[fold(name)], name
        known[fold(name)] = name
    return next(filter(None, map(twice_inside, fields)), None)


def cut(tree: Sequence[Row]) -> str:
    """What of a column the engine would cut; empty where nothing."""
    for _, kind, _, converted, _, precision, *_ in tree:
        if kind == "INT96":
            return INT96
        if converted == "DECIMAL" and precision > _WIDEST:
            return f"a DECIMAL of {precision} digits"
    return ""


def of_old_calendar(engine: Engine, files: Sequence[Path]) -> list[str]:
    """Those files whose days before 1582-10-15 are of the calendar of that time. Raises EngineError."""
    names = ", ".join(literal(exact(file)) for file in files)
    key = "decode(key) IN ('org.apache.spark.legacyDateTime', 'org.apache.spark.legacyINT96')"
    return [
        name for (name,) in engine.rows(f"SELECT DISTINCT file_name FROM parquet_kv_metadata([{names}]) WHERE {key}")
    ]


def arrow_schemas(engine: Engine, files: Sequence[Path]) -> Iterator[tuple[str, pa.Schema]]:
    """
    The Arrow schemas that files keep beside their own, by the files' paths.

    Raises:
        EngineError: one cannot be read.
    """
    import pyarrow as pa

    names = ", ".join(literal(exact(file)) for file in files)
    key = "key = 'ARROW:schema'::BLOB"
    for name, written in engine.rows(f"SELECT file_name, value FROM parquet_kv_metadata([{names}]) WHERE {key}"):
        try:
            yield name, pa.ipc.read_schema(pa.BufferReader(base64.b64decode(written)))
        except (pa.ArrowException, ValueError, OSError):
            # Somebody else's: the file's own schema says what the engine reads.
            continue


def exact(file: Path | str) -> str:
    """A path that the engine does not take for a pattern."""
    return re.sub(r"([*?\[])", r"[\1]", str(file))


def holds_nanoseconds(file: Path, column: str) -> bool:
    """Whether a time in a column of INT96, be it nested, is finer than a microsecond."""
    import pyarrow.parquet as pq

    opened = [pq.ParquetFile(file, coerce_int96_timestamp_unit=unit) for unit in ("us", "ns")]
    try:
        for pair in zip(*(one.iter_batches(_BATCH, columns=[column]) for one in opened), strict=True):
            # Asked for x, a column that is called x.y comes too.
            micros, nanos = (
                [times for name, array in zip(one.schema.names, one.columns, strict=True) if name == column
                 for times in _times(array)] for one in pair
            )  # fmt: skip
            for coarse, fine in zip(micros, nanos, strict=True):
                # Out of the years that nanoseconds of 64 bits reach, both go round alike.
                if (fine != coarse * 1000).any():
                    return True
    finally:
        for one in opened:
            one.close()
    return False


def _times(array: pa.Array) -> Iterator[NDArray[np.int64]]:
    """The times that stand in an array, as numbers."""
    import pyarrow as pa

    kind = array.type
    if pa.types.is_timestamp(kind):
        yield array.cast(pa.int64()).fill_null(0).to_numpy()
    elif pa.types.is_map(kind):
        yield from _times(array.keys)
        yield from _times(array.items)
    elif pa.types.is_struct(kind):
        for part in array.flatten():
            yield from _times(part)
    elif pa.types.is_nested(kind):
        yield from _times(array.flatten())
