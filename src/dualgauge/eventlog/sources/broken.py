"""Columns of Parquet files that DuckDB reads as other values without a word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dualgauge.engines.endless import TIMES, WHAT, endless_file
from dualgauge.engines.errors import EngineError
from dualgauge.engines.files.text_rows import partitions_of
from dualgauge.engines.parquet_files import scan
from dualgauge.engines.parquet_schema import (
    ALIKE,
    INT96,
    UNNAMED,
    arrow_schemas,
    cut,
    damage,
    holds_nanoseconds,
    of_old_calendar,
    schema_columns,
    schemas,
    twice_inside,
)
from dualgauge.engines.plain_arrow import held, means_more
from dualgauge.engines.type_trees import usual
from dualgauge.eventlog.errors import BadFile, CutColumn, UnlikeColumn
from dualgauge.eventlog.sources.advice import type_said
from dualgauge.eventlog.sources.parquet_types import said_types
from dualgauge.eventlog.sources.readers import reader, refuse_places
from dualgauge.eventlog.sources.source import ANY_TYPE, format_of
from dualgauge.model import fold, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dualgauge.engines.duck import Engine, Row
    from dualgauge.eventlog.sources.source import Part, Source

_WHOLE = "write it whole under another name and rename it, or take it out of the source's path"


def refuse_cut(engine: Engine, source: Source) -> None:
    """
    Look at the Parquet files of a source before they are read.

    Raises:
        CutColumn: one has a DECIMAL of more than 38 digits, times of INT96 finer than a microsecond, times that would
            be read as infinite, or two columns whose names differ by case alone; or a name is spelt otherwise in
            another file.
        UnlikeColumn: one has a column of another type than it has in the expressions of the source.
        BadFile: a file is none of Parquet, or is cut off, or has a column without a name; a folder is called as a
            column is.
    """
    parts = {part.path: part for part in source.reading if format_of(source, part.path) == "read_parquet"}
    if not parts:
        return
    try:
        trees = schemas(engine, list(parts))
    except EngineError as fault:
        for path, part in parts.items():
            if reason := damage(path):
                raise BadFile(source.name, source.label_of(part), reason, _WHOLE) from fault
        # Damaged inside: DuckDB says how.
        return
    others = {fold(name): name for name in source.beside}
    for path, part in parts.items():
        columns = schema_columns(trees[str(path)])
        if any(not column[0][0] for column in columns):
            raise BadFile(source.name, source.label(part.file), UNNAMED, "give it one")
        _refuse_alike(source, source.label(part.file), columns, others)
        refuse_places(source, source.label(part.file), [column[0][0] for column in columns])
        _refuse_folder(source, part, {fold(column[0][0]): column[0][0] for column in columns})
        for column in columns:
            if found := _cut(path, column):
                raise CutColumn(source.name, source.label(part.file), column[0][0], *found)
    _refuse_meant(engine, source, parts)
    _refuse_julian(engine, source, parts)
    _refuse_endless(engine, source, parts, trees)
    _refuse_unlike(engine, source, parts.values())


def _cut(path: Path, column: Sequence[Row]) -> tuple[str, str] | None:
    """What of a column the engine would read as something else, and how it is to be written; None where nothing."""
    if names := twice_inside(column):
        return f"fields {names[0]!r} and {names[1]!r}{ALIKE}", "under other names"
    what = cut(column)
    if what == INT96:
        fine = holds_nanoseconds(path, column[0][0])
        return ("times of INT96 finer than a microsecond, which would be cut", "in microseconds") if fine else None
    return (f"{what}, which would lose digits as a DOUBLE", "with at most 38 digits") if what else None


def _refuse_alike(source: Source, label: str, columns: Sequence[Sequence[Row]], others: dict[str, str]) -> None:
    """Raise where the engine would fold two names into one, of this file or of `others`, which gets this file's."""
    known: dict[str, str] = {}
    for column in columns:
        name = column[0][0]
        if (other := known.get(fold(name))) is not None:
            how = "its name is there twice" if other == name else "the two names differ by case alone"
            raise CutColumn(source.name, label, name, f"what {other!r} holds too: {how}", "under another name")
        known[fold(name)] = name
        if (other := others.setdefault(fold(name), name)) != name:
            what = f"what is called {other!r} in another file of the source"
            raise CutColumn(source.name, label, name, what, f"as {other!r}")


def _refuse_folder(source: Source, part: Part, names: Mapping[str, str]) -> None:
    """Raise where the name of a folder would take the place of a column's values."""
    for folder in partitions_of(part.path, ()) if source.settings.read.get("hive_partitioning", True) else ():
        if name := names.get(fold(folder)):
            raise BadFile(
                source.name, source.label(part.file),
                f"the name of its folder, {folder}=..., would take the place of its column {name!r}",
                "say `hive_partitioning = false` in its `read`, and the column is read",
            )  # fmt: skip


def _refuse_meant(engine: Engine, source: Source, parts: Mapping[Path, Part]) -> None:
    """Raise where a column means more than it is kept as, by the Arrow schema that is written beside the file's own."""
    import pyarrow as pa

    for path, schema in arrow_schemas(engine, list(parts)):
        for one in schema:
            kind = means_more(one) or next((str(part) for part in held(one.type) if pa.types.is_duration(part)), "")
            if kind:
                what = f"values of {kind}, of which only the numbers that they are kept as would be read"
                raise CutColumn(source.name, source.label(parts[Path(path)].file), one.name, what, "as days or numbers")


def _refuse_julian(engine: Engine, source: Source, parts: Mapping[Path, Part]) -> None:
    """Raise where Spark wrote days of the calendar before 1582, which the engine takes for those of today's."""
    for path in map(Path, of_old_calendar(engine, list(parts))):
        read = reader(source, path)
        kinds = engine.columns(f"SELECT * FROM {read}")
        days = [name for name, kind in kinds.items() if kind == "DATE" or kind.startswith("TIMESTAMP")]
        old = [f"coalesce(bool_or({quote(name)} < DATE '1582-10-15'), false)" for name in days]
        for name, found in zip(days, engine.row(f"SELECT {', '.join(old)} FROM {read}") if old else (), strict=True):
            if found:
                what = (
                    "days before 1582-10-15 of the calendar that was used then, as Spark writes them in its mode LEGACY"
                )
                raise CutColumn(source.name, source.label(parts[path].file), name, what, "in the mode CORRECTED")


def _refuse_endless(
    engine: Engine, source: Source, parts: Mapping[Path, Part], trees: Mapping[str, Sequence[Row]]
) -> None:
    """Raise where the engine would take a time for infinite that it did not write."""
    alike: dict[object, list[Path]] = {}
    for path in parts:
        if any(TIMES.search(row[-1] or "") for row in trees[str(path)]):
            alike.setdefault(tuple(trees[str(path)][1:]), []).append(path)
    for paths in alike.values():
        if found := endless_file(engine, paths, engine.columns(f"SELECT * FROM {scan(paths)}")):
            path, name = found
            raise CutColumn(source.name, source.label(parts[path].file), name, WHAT, "as NULL")


def _refuse_unlike(engine: Engine, source: Source, parts: Iterable[Part]) -> None:
    """
    Look at the columns that are read as another type than their file's.

    Raises:
        UnlikeColumn: values of the two types give other ones in expressions.
        CutColumn: `types` says one that does not hold all values.
    """
    said, plain = said_types(source), replace(source, cast={})
    for part in parts:
        for name, kind in source.cast.get(part.path, {}).items():
            own, label = source.own[part.path][name], source.label(part.file)
            if fold(name) not in said:
                if own != ANY_TYPE and usual(own) != kind:
                    advice = type_said(name, _holding_both(engine, own, kind))
                    raise UnlikeColumn(source.name, label, name, own=own, kind=kind, advice=advice)
                continue
            column = quote(name)
            back = f"TRY_CAST(TRY_CAST({column} AS {kind}) AS {own})"
            asked = f"SELECT count(*) FROM {reader(plain, part.path)} WHERE {back} IS DISTINCT FROM {column}"
            try:
                lost = engine.row(asked) != (0,)
            except EngineError:
                # The engine makes nothing of the one type from the other.
                lost = True
            if lost:
                what = f"values of {own} that are none of {kind}, which `types` says"
                raise CutColumn(source.name, label, name, what, f"as {kind}")


def _holding_both(engine: Engine, one: str, other: str) -> str:
    """The type that the engine gives values of two types together; a text where there is none."""
    try:
        (kind,) = engine.columns(f"SELECT CAST(NULL AS {one}) AS x UNION ALL SELECT CAST(NULL AS {other})").values()
    except EngineError:
        return "VARCHAR"
    return kind
