"""
A file that no source reads yet: how it is to be read, and what each of its columns holds, measured over every row.

Text files are read as text, in one fixed dialect: what DuckDB would guess from the first rows may not hold for the
later ones, loses leading zeros, and skips broken lines without a word.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dualgauge.engines.errors import BrokenFile, EngineError, NoColumnNames
from dualgauge.engines.files.csv_text import first_fault, look_into
from dualgauge.engines.files.json_types import Held, kinds_of, raw_of
from dualgauge.eventlog.errors import BadFile, EmptyFile
from dualgauge.eventlog.propose.errors import NoHeader, NothingToRead, UnreadableSource
from dualgauge.eventlog.propose.numbers import NUMBER, WHOLE, number_type
from dualgauge.eventlog.propose.time_formats import ISO, iso_cast, iso_time, odd_times
from dualgauge.eventlog.sources.readers import raw_rows, reader
from dualgauge.eventlog.sources.source import Source, told
from dualgauge.eventlog.sources.text_columns import with_texts
from dualgauge.model import literal, quote

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.errors import DualgaugeError

NULL_TOKENS = ("NA", "N/A", "#N/A", "NULL", "null", "None", "nan", "NaN", "\\N", "-", "?")
"""Texts that stand for "nothing" where everything else in a column is a number or a time."""

_NONE = Held(0)

LOOKED = "_looked"
"""The engine's table of the files' rows."""

NESTED = ("STRUCT", "MAP", "JSON", "UNION", "VARIANT")

_LIKE = {
    "whole": WHOLE,
    "number": NUMBER,
    "boolean": r"(?i:true|false)",
    **ISO,
}

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
_WIDE_INTEGERS = {"UBIGINT", "HUGEINT", "UHUGEINT"}
_TYPED = {
    "FLOAT": "DOUBLE", "DOUBLE": "DOUBLE", "BOOLEAN": "BOOLEAN", "DATE": "DATE", "BLOB": "BLOB",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProfiledColumn:
    """One column of the file. `type`: what it is in the log, empty where it holds no value or is nested."""

    name: str
    given: str
    rows: int
    filled: int
    distinct: int
    type: str
    why: str
    least: str = ""
    most: str = ""
    longest: int = 0
    time: str = ""
    """An expression that gives a time, where the column holds one."""

    expression: str = ""
    """What the declared column is made of, where it is not the column as it is."""

    cut: bool = False
    """Whether the time says less than the column, which is declared beside it then."""

    @property
    def nulls(self) -> int:
        """Rows without a value."""
        return self.rows - self.filled

    @property
    def nested(self) -> bool:
        """Whether it holds lists or structures, which stay in the payload."""
        return self.given.endswith("]") or self.given.startswith(NESTED)


@dataclass(frozen=True, slots=True)
class FileProfile:
    """The files as they are to be read, and their columns."""

    source: Source
    rows: int
    columns: tuple[ProfiledColumn, ...]
    label: str
    """What the file, or the table, is called in a message."""

    base: str
    """The raw rows with their place (`_file`, `_row`, `_at`), as SQL, for as long as the engine is open."""

    key: tuple[str, ...] = ()
    """The primary key of a table."""


def look(engine: Engine, source: Source) -> FileProfile:
    """
    Measure the files of a source whose settings name only a path.

    Raises:
        NothingToRead: a file is empty, or holds a header alone.
        NoHeader: the first line of a CSV file names no columns.
        UnreadableSource: a file is broken or not UTF-8, with the line where that can be told.
        UnknownFormat: the files' names say nothing of their format.
    """
    kind = reader(source, source.files[0]).partition("(")[0]
    if kind == "read_csv":
        source = _reading(source, _said(source))
        found = _measure(engine, source)
        tokens = _tokens(engine, found)
        if tokens:
            found = _measure(engine, _reading(source, source.settings.read | {"nullstr": ["", *tokens]}))
        return found
    return _measure(engine, source, said=() if kind == "read_json" else None)


def _reading(source: Source, options: dict[str, Any]) -> Source:
    return replace(source, settings=source.settings.model_copy(update={"read": options}))


def _said(source: Source) -> dict[str, Any]:
    """What must be said of CSV files: what parts the values, if that is one for all and no comma."""
    found = set()
    for file in source.files:
        try:
            dialect, _ = look_into(file, {})
        except (BrokenFile, OSError, EOFError, zlib.error) as fault:
            raise _unreadable_text(source, file, fault) from fault
        by_name = "\t" if file.name.lower().endswith((".tsv", ".tsv.gz")) else ","
        found.add("," if dialect.delimiter == by_name else dialect.delimiter)
    # Where they are parted in several ways, each is by what parts its own line of names.
    return {"delim": found.pop()} if len(found) == 1 and found != {","} else {}


def _unreadable_text(source: Source, file: Path, fault: BaseException) -> DualgaugeError:
    """What is wrong with a CSV file."""
    label = source.label(file)
    match fault:
        case NoColumnNames():
            return NoHeader(label, fault.first) if fault.first else NothingToRead(label, "it is empty")
        case BrokenFile():
            encoding = "utf-16" if "utf-16" in fault.hint else "cp1252" if "UTF-8" in fault.reason else ""
            reason = "it is UTF-16" if encoding == "utf-16" else f"line {fault.line:,}: {fault.reason}"
            return UnreadableSource(label, reason, encoding=encoding)
        case _:
            return UnreadableSource(label, str(fault))


def _nested(kind: str) -> bool:
    return kind.endswith("]") or kind.startswith(NESTED)


def _measure(engine: Engine, source: Source, said: Collection[str] | None = ()) -> FileProfile:
    """
    Every column over every row. The rows are kept by the engine, which may spill them.

    `said`: columns that are text because the file says so, so that `00123` or `5` in them is no number; None: all.
    """
    try:
        source = with_texts(engine, source, {})
        engine.execute(f"CREATE OR REPLACE TEMP TABLE {quote(LOOKED)} AS {raw_rows(source, 0, placed=True)}")
    except EmptyFile as fault:
        raise NothingToRead(fault.file, "it is empty") from fault
    except BadFile as fault:
        (file,) = (one for one in source.files if fault.file.startswith(source.label(one)))
        raise _unreadable_text(source, file, fault.__cause__ or fault) from fault
    except EngineError as fault:
        for file, text in (source.texts or {}).items():
            if broken := first_fault(file, text.dialect):
                raise _unreadable_text(source, file, broken) from fault
        for file in source.files:
            try:
                engine.rows(f"SELECT count(COLUMNS(*)) FROM {reader(source, file)}")
            except EngineError as why:
                raise _unreadable(source, file, why) from why
        raise _unreadable(source, source.files[0], fault) from fault
    return profiled(engine, source, source.settings.path, said)


def profiled(engine: Engine, source: Source, label: str, said: Collection[str] | None) -> FileProfile:
    """
    The columns of the rows that the engine has, over all of them. `said` as in `_measure`.

    Raises:
        NothingToRead: there is no row.
    """
    base = f"FROM {quote(LOOKED)}"
    given = engine.columns(f"SELECT COLUMNS(lambda c: c NOT IN ('_file', '_row', '_at', '_unfit')) {base}")
    held = kinds_of(engine, f"({base})", [name for name in given if raw_of(name) in given])
    given = {name: "JSON" if held.get(name, _NONE) & Held.NESTED else kind for name, kind in given.items()}
    given = {name: kind for name, kind in given.items() if name not in map(raw_of, held)}
    # What has stood in quotes once is a text, whatever is in it.
    said = said if said is None else {*said, *(name for name, kinds in held.items() if kinds & Held.TEXT)}
    (rows,) = engine.row(f"SELECT count(*) {base}")
    if not rows:
        raise NothingToRead(source.label(source.files[0]) if source.files else label, "it holds no row")
    # In JSON a number is one by the way it is written, and a database has types.
    coded = bool(source.texts)
    columns = tuple(
        _column(engine, base, name, kind, rows, said=said is None or name in said, coded=coded)
        for name, kind in given.items()
    )
    return FileProfile(source=source, rows=rows, columns=columns, label=label, base=base)


def _unreadable(source: Source, file: Path, fault: EngineError) -> UnreadableSource:
    """What is wrong with a file of JSON or Parquet."""
    whole = str(fault.__cause__ or fault.reason)
    encoding = "cp1252" if "utf-8" in whole.lower() else ""
    return UnreadableSource(source.label(file), "it is not UTF-8" if encoding else told(fault), encoding=encoding)


def _tokens(engine: Engine, found: FileProfile) -> tuple[str, ...]:
    """Texts that mean NULL: a column would be numbers or times but for them, and no column of text holds them."""
    wanted: list[set[str]] = []
    texts: set[str] = set()
    for column in found.columns:
        if column.given != "VARCHAR" or column.type != "VARCHAR" or column.time:
            continue
        listed = ", ".join(literal(one) for one in NULL_TOKENS)
        name = quote(column.name)
        there = {
            one for (one,) in engine.rows(f"SELECT DISTINCT {name} FROM ({found.base}) WHERE {name} IN ({listed})")
        }
        if not there:
            continue
        without = f"SELECT CASE WHEN {name} NOT IN ({listed}) THEN {name} END AS {name} FROM ({found.base})"
        would = _column(engine, without, column.name, "VARCHAR", found.rows)
        if would.filled and (would.type != "VARCHAR" or would.time):
            wanted.append(there)
        else:
            texts |= there
    # All that a column has but for its values, or none of them: with some it would stay text.
    chosen = set[str]().union(*(there for there in wanted if not there & texts))
    return tuple(one for one in NULL_TOKENS if one in chosen)


def _column(
    engine: Engine, base: str, name: str, given: str, rows: int, *, said: bool = False, coded: bool = True
) -> ProfiledColumn:
    column = quote(name)
    if _nested(given):
        (filled,) = engine.row(f"SELECT count({column}) FROM ({base})")
        return ProfiledColumn(
            name, given, rows, filled, 0, "", f"{given.partition('(')[0]}: nested, kept in the payload"
        )
    text = f"CAST({column} AS VARCHAR)"
    filled, distinct, least, most, longest = engine.row(
        f"SELECT count({column}), count(DISTINCT {column}), CAST(min({column}) AS VARCHAR), "
        f"CAST(max({column}) AS VARCHAR), coalesce(max(length({text})), 0) FROM ({base})"
    )
    measured = ProfiledColumn(name, given, rows, filled, distinct, "", "holds no value", str(least), str(most), longest)
    if not filled:
        return measured
    if given != "VARCHAR":
        return _typed(engine, base, measured)
    return _text(engine, base, measured, said=said, coded=coded)


def _text(engine: Engine, base: str, column: ProfiledColumn, *, said: bool, coded: bool) -> ProfiledColumn:
    name = quote(column.name)
    like = dict.fromkeys(_LIKE, 0)
    # Where the least or the greatest value is of no kind of a group, not every value is: most columns need few counts.
    likely = [
        kind
        for group in (*(() if said else (("whole",), ("number",), ("boolean",))), tuple(ISO))
        if all(any(re.fullmatch(_LIKE[kind], end) for kind in group) for end in (column.least, column.most))
        for kind in group
    ]
    if likely:
        counts = ", ".join(f"count(*) FILTER (WHERE {_is_like(kind, name)})" for kind in likely)
        found = engine.row(f"SELECT {counts} FROM ({base}) WHERE {name} IS NOT NULL")
        like |= dict(zip(likely, found, strict=True))
    made = _plain(engine, base, column, like, coded=coded)
    if made.type in ("VARCHAR", "BIGINT", "DOUBLE") or made.type.startswith("DECIMAL"):
        return odd_times(engine, base, made)
    return made


def _is_like(kind: str, name: str) -> str:
    """A condition: a text is written as a value of a kind, and is one."""
    written = f"regexp_full_match({name}, {literal(_LIKE[kind])})"
    if kind == "whole":
        return f"{written} AND TRY_CAST({name} AS BIGINT) IS NOT NULL"
    return f"{written} AND {iso_cast(kind, name)} IS NOT NULL" if kind in ISO else written


def _plain(
    engine: Engine, base: str, column: ProfiledColumn, like: Mapping[str, int], *, coded: bool
) -> ProfiledColumn:
    name, n = quote(column.name), column.filled
    if like["whole"] == n:
        return replace(column, type="BIGINT", why="whole numbers")
    if like["number"] == n:
        kind, why = number_type(engine, base, name, coded=coded)
        return replace(column, type=kind, why=why)
    if like["boolean"] == n:
        return replace(column, type="BOOLEAN", why="true or false")
    if time := iso_time(engine, base, column, like):
        return time
    return replace(column, type="VARCHAR", why="text")


def _typed(engine: Engine, base: str, column: ProfiledColumn) -> ProfiledColumn:
    """A column of a Parquet file, which says its type itself."""
    kind, name = column.given, quote(column.name)
    if kind in _INTEGERS:
        return odd_times(engine, base, replace(column, type="BIGINT", why=f"declared as {kind}"))
    if kind in _WIDE_INTEGERS:
        (fits,) = engine.row(f"SELECT count({name}) = count(TRY_CAST({name} AS BIGINT)) FROM ({base})")
        wide = "BIGINT" if fits else "VARCHAR"
        return replace(column, type=wide, why=f"declared as {kind}{'' if fits else ', past what a BIGINT holds'}")
    if kind.startswith("DECIMAL"):
        return odd_times(engine, base, replace(column, type=kind.replace(" ", ""), why=f"declared as {kind}"))
    if kind in ("TIMESTAMP_NS", "TIMESTAMPTZ_NS"):
        since = f"epoch_ns(CAST({name} AS TIMESTAMP_NS))"
        (finer,) = engine.row(f"SELECT count(*) FILTER (WHERE {since} % 1000 <> 0) FROM ({base})")
        if finer:
            why = f"declared as {kind}, of which the log keeps microseconds; the column keeps its text"
            make = "make_timestamp" if kind == "TIMESTAMP_NS" else "make_timestamptz"
            return replace(column, type="VARCHAR", why=why, time=f"{make}({since} // 1000)", cut=True)
    made = _TYPED.get(kind, "VARCHAR")
    if kind.startswith("TIMESTAMP"):
        made = "TIMESTAMPTZ" if kind.endswith("TIME ZONE") else "TIMESTAMP"
    time = name if made in ("DATE", "TIMESTAMP", "TIMESTAMPTZ") else ""
    inexact = ": sums depend on their order; declare a DECIMAL where the digits are exact" if made == "DOUBLE" else ""
    typed = replace(column, type=made, why=f"declared as {kind}{inexact}", time=time)
    return odd_times(engine, base, typed) if made == "DOUBLE" else typed
