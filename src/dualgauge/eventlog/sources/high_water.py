"""What is to be known of a source beside its events: the columns of what is not read, how far goes what was read."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dualgauge.engines.errors import BrokenFile, EngineError
from dualgauge.engines.files.csv_text import look_into
from dualgauge.engines.files.json_types import field_names
from dualgauge.engines.files.text_rows import partitions_of
from dualgauge.eventlog.sources.cursor import Counted, Growth, by_file, mapping_of, own_order
from dualgauge.eventlog.sources.mapping import events_of
from dualgauge.eventlog.sources.ordering import is_time, order_of
from dualgauge.eventlog.sources.readers import json_form, parquet_columns, reader
from dualgauge.eventlog.sources.source import ANY_TYPE, ROWS_IN_A_FILE, format_of
from dualgauge.model import fold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.sources.cursor import SourceReading
    from dualgauge.eventlog.sources.source import Source

BEFORE_ALL_TIME = -62_135_596_800_000_000
"""Year 1 in microseconds since 1970: the latest time of a file without an event."""


def with_columns_beside(engine: Engine, source: Source, before: Mapping[str, Any] | None) -> Source:
    """
    The source with the columns of what is not read: of other files, and of those of which an end is read.

    An expression may name a column that a new file lacks. The cursor `before` keeps those of text files, as they are
    under the same settings; other files are looked into only for that: the first rows of each.
    """
    whole = {part.file for part in source.reading if not part.start}
    others = [file for file in source.files if file not in whole]
    if not others or not source.reading:
        return source
    if (known := _kept(source, before or {})) is not None:
        return replace(source, beside=_in_own_types(engine, source, known))
    try:
        return replace(source, beside=_in_own_types(engine, source, _columns(engine, source, others)))
    except (EngineError, BrokenFile, OSError):
        # One has a torn line, say, or grows just now: then those that can be looked into.
        readable = [file for file in others if _opens(engine, source, file)]
    with suppress(EngineError, BrokenFile, OSError):
        beside = _in_own_types(engine, source, _columns(engine, source, readable))
        return replace(source, beside=beside) if readable else source
    return source


def _kept(source: Source, before: Mapping[str, Any]) -> dict[str, str] | None:
    """The columns that a cursor keeps of a source's files, where it does, and all are text files."""
    if "columns" not in before or before.get("mapping") != mapping_of(source.settings):
        return None
    of_text = all(format_of(source, one) != "read_parquet" for one in source.files)
    return dict.fromkeys(before["columns"], "VARCHAR") if of_text else None


def _columns(engine: Engine, source: Source, files: Sequence[Path]) -> dict[str, str]:
    # What an expression needs of text files as more than text, `text_columns` finds.
    kinds = [(format_of(source, one), one) for one in files]
    csv = [one for kind, one in kinds if kind == "read_csv"]
    json = {one: json_form(source, one) for kind, one in kinds if kind == "read_json"}
    parquet = [reader(source, one) for kind, one in kinds if kind == "read_parquet"]
    found = {name: "VARCHAR" for one in csv for name in look_into(one, source.settings.read)[1]}
    found |= dict.fromkeys(field_names(engine, json) if json else (), "VARCHAR")
    for one in (*csv, *json):
        found |= dict.fromkeys(partitions_of(one, list(found)), "VARCHAR")
    if parquet:
        found |= engine.columns(" UNION ALL BY NAME ".join(f"(SELECT * FROM {one})" for one in parquet))
    return found


def _in_own_types(engine: Engine, source: Source, beside: dict[str, str]) -> dict[str, str]:
    """Columns beside, those of the Parquet files that are read without a type: what others have is not theirs."""
    own = set(map(fold, parquet_columns(engine, source)))
    return {name: ANY_TYPE if fold(name) in own else kind for name, kind in beside.items()}


def _opens(engine: Engine, source: Source, file: Path) -> bool:
    try:
        _columns(engine, source, [file])
    except (EngineError, BrokenFile, OSError):
        return False
    return True


def measured(
    engine: Engine, reading: SourceReading, source: Source, columns: dict[str, str], number: int
) -> tuple[Mapping[str, Counted], int | None]:
    """
    What a cursor keeps of the files that were read, by their labels, and the latest time of a source's own order.

    `source` was read by `select` on this engine before, as the relation of this number. Nothing is kept of rows that
    were cut off by time: they are read again.
    """
    counts = source.objects.rows if source.objects else {}
    rows = {
        # Of a file without a row that fits nothing was read.
        one.label: counts.get(part.path, len(part.without) if part.nothing else 0) + (part.before or 0)
        for one, part in zip(reading.files, source.reading if source.settings.path else (), strict=True)
        if source.numbered and one.growth is Growth.LINES
    }
    read = reading.until is None and (reading.files or source.settings.url)
    dues, latest = _latest(engine, source, columns, number) if read else ({}, None)
    counted = {}
    for i, one in enumerate(reading.files):
        due = None
        if reading.until is None and by_file(source.settings):
            before = one.taken.due if one.tail and one.taken else None
            due = max(dues.get(i, BEFORE_ALL_TIME), BEFORE_ALL_TIME if before is None else before)
        counted[one.label] = Counted(rows.get(one.label), due)
    return counted, latest


def _latest(engine: Engine, source: Source, columns: dict[str, str], number: int) -> tuple[dict[int, int], int | None]:
    """The latest time in each part, where rows keep the order of files; or of all, where they have one of their own."""
    settings = source.settings
    if source.nothing or (not by_file(settings) and not own_order(settings)):
        return {}, None
    mapped, names = events_of(engine, source, columns, number)
    time = "epoch_us(max(CAST(occurred_at AS TIMESTAMPTZ)))"
    if by_file(settings):
        found = engine.rows(f"SELECT _at // {ROWS_IN_A_FILE:d}, {time} FROM ({mapped}) GROUP BY 1")
        return {part: due for part, due in found if due is not None}, None
    (kind,) = engine.columns(f"SELECT {order_of(settings, names)} FROM ({mapped})").values()
    if is_time(kind):
        return {}, None
    (latest,) = engine.row(f"SELECT {time} FROM ({mapped})")
    return {}, latest
