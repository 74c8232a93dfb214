"""Columns of Parquet files that DuckDB reads as other values without a word."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dualgauge.engines.endless import TIMES, WHAT, endless_file
from dualgauge.engines.errors import EngineError
from dualgauge.engines.files.json_types import is_shape
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
from dualgauge.engines.type_trees import is_nested, stays
from dualgauge.eventlog.errors import BadFile, CutColumn
from dualgauge.eventlog.sources.readers import reader, refuse_places, text_columns
from dualgauge.eventlog.sources.source import format_of
from dualgauge.model import fold, quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualgauge.engines.duck import Engine, Row
    from dualgauge.eventlog.sources.source import Part, Source

_WHOLE = "write it whole under another name and rename it, or take it out of the source's path"


def refuse_cut(engine: Engine, source: Source) -> None:
    """
    Look at the Parquet files of a source before they are read.

    Raises:
        CutColumn: one has a DECIMAL of more than 38 digits, times of INT96 finer than a microsecond, times that would
            be read as infinite, two columns whose names differ by case alone, or values that the type does not hold
            which the column has with other files; or a name is spelt otherwise in another file.
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
    if (source.kinds and text_columns(source)) or len({tuple(map(tuple, tree[1:])) for tree in trees.values()}) > 1:
        _refuse_bent(engine, source, list(parts.values()))


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


def _refuse_bent(engine: Engine, source: Source, parts: Sequence[Part]) -> None:
    """Raise where a value of a file is another one in the type that its column has over all files."""
    readers = [(part, reader(source, part.path)) for part in parts]
    # The types that columns of the source's text files have in its expressions.
    types = source.kinds if text_columns(source) else {}
    typed = {name: kind for name, kind in types.items() if kind not in ("JSON", "VARCHAR") and not is_shape(kind)}
    others = [f"(SELECT {', '.join(f'CAST(NULL AS {kind}) AS {quote(name)}' for name, kind in typed.items())})"]
    bodies = [f"(SELECT * FROM {one})" for _, one in readers] + (others if typed else [])
    together = engine.columns(" UNION ALL BY NAME ".join(bodies))
    kinds = {fold(name): kind for name, kind in together.items()}
    for part, read in readers:
        for name, kind in engine.columns(f"SELECT * FROM {read}").items():
            common = kinds[fold(name)]
            if fold(name) in source.bare:
                continue
            if common == "DOUBLE" and typed.get(fold(name), common) != common:
                other = f"values of {typed[fold(name)]} in the text files"
                what = f"values of {kind} beside {other}, of which some would be others in one type"
                raise CutColumn(source.name, source.label(part.file), name, what, f"as {typed[fold(name)]} there too")
            if common == kind:
                continue
            column = quote(name)
            back = f"TRY_CAST(TRY_CAST({column} AS {common}) AS {kind})"
            asked = f"SELECT count(*) FROM {read} WHERE {back} IS DISTINCT FROM {column}"
            if not stays(kind, common) or (not is_nested(kind) and engine.row(asked) != (0,)):
                what = f"values that {common} does not hold, which it is beside the source's other files"
                raise CutColumn(source.name, source.label(part.file), name, what, f"as {common} there too")
