"""
A file that no source reads yet: how it is to be read, and what each of its columns holds, measured over every row.

Text files are read as text, in one fixed dialect: what DuckDB would guess from the first rows may not hold for the
later ones, loses leading zeros, and skips broken lines without a word.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dualgauge.engines.errors import EngineError
from dualgauge.eventlog.propose.errors import NoHeader, NothingToRead, UnreadableSource
from dualgauge.eventlog.propose.numbers import NUMBER, WHOLE, number_type
from dualgauge.eventlog.propose.time_formats import ISO, iso_cast, iso_time, odd_times
from dualgauge.eventlog.sources.source import Source, raw_rows, reader, told
from dualgauge.model import literal, plural, quote

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from dualgauge.engines.duck import Engine

DELIMITERS = (",", ";", "\t", "|")
NULL_TOKENS = ("NA", "N/A", "#N/A", "NULL", "null", "None", "nan", "NaN", "\\N", "-", "?")
"""Texts that stand for "nothing" where everything else in a column is a number or a time."""

_START = 1 << 20
"""Bytes in which a header and the row below it end."""

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
        source = _reading(source, _dialect(source))
        found = _measure(engine, source)
        tokens = _tokens(engine, found)
        if tokens:
            found = _measure(engine, _reading(source, source.settings.read | {"nullstr": ["", *tokens]}))
        return found
    if kind == "read_json":
        fields = _fields(engine, source)
        options = {"columns": {name: "JSON" if _nested(one) else "VARCHAR" for name, one in fields.items()}}
        return _measure(engine, _reading(source, options), said={n for n, one in fields.items() if one == "VARCHAR"})
    return _measure(engine, source, said=None)


def _reading(source: Source, options: dict[str, Any]) -> Source:
    return replace(source, settings=source.settings.model_copy(update={"read": options}))


def _dialect(source: Source) -> dict[str, Any]:
    """One dialect for all files, taken from the first one's header: strict, and everything text."""
    delimiter = ""
    for file in source.files:
        delimiter = delimiter or max(DELIMITERS, key=lambda one: len(_first_rows(source, file, one)[0]))
        header, below = _first_rows(source, file, delimiter)
        if any(_is_value(cell) and (i >= len(below) or _is_value(below[i])) for i, cell in enumerate(header)):
            raise NoHeader(source.label(file), delimiter.join(header))
    return {"delim": delimiter, "quote": '"', "escape": '"', "header": True, "skip": 0, "all_varchar": True}


def _first_rows(source: Source, file: Path, delimiter: str) -> tuple[list[str], list[str]]:
    """The header and the row below it, which may be empty; enough of the file is read for both."""
    name = source.label(file)
    try:
        with gzip.open(file) if file.suffix.lower() == ".gz" else file.open("rb") as raw:
            start = raw.read(_START)
    except (OSError, EOFError, zlib.error) as fault:
        raise UnreadableSource(name, str(fault)) from fault
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableSource(name, "it is UTF-16", encoding="utf-16")
    # A broken byte further down is told by the reader, with its line.
    rows = csv.reader(io.StringIO(start.decode("utf-8-sig", errors="replace"), newline=""), delimiter=delimiter)
    try:
        header, below = next(rows, []), next(rows, [])
    except csv.Error as fault:
        raise UnreadableSource(name, f"its first lines: {fault}") from fault
    if not any(cell.strip() for cell in header):
        raise NothingToRead(name, "its first line is empty" if start.strip() else "it is empty")
    if any("\ufffd" in cell for cell in header):
        raise UnreadableSource(name, "line 1: it is not UTF-8", encoding="latin-1")
    return header, below


def _is_value(cell: str) -> bool:
    """Whether a cell of the first line is a value, so no name of a column."""
    return bool(cell) and any(
        re.fullmatch(_LIKE[one], cell.lstrip("+")) for one in ("number", "boolean", "date", "timestamp")
    )


def _fields(engine: Engine, source: Source) -> dict[str, str]:
    """All fields of JSON files, with the types that their values have."""
    found: dict[str, str] = {}
    for file in source.files:
        if not file.stat().st_size:
            raise NothingToRead(source.label(file), "it is empty")
        try:
            fields = engine.columns(f"SELECT * FROM {reader(_reading(source, {'sample_size': -1}), file)}")
        except EngineError as fault:
            raise _unreadable(engine, source, file, fault) from fault
        for name, kind in fields.items():
            if found.setdefault(name, kind) != kind:
                found[name] = "JSON" if _nested(kind) or _nested(found[name]) else "VARCHAR"
    return found


def _nested(kind: str) -> bool:
    return kind.endswith("]") or kind.startswith(NESTED)


def _measure(engine: Engine, source: Source, said: Collection[str] | None = ()) -> FileProfile:
    """
    Every column over every row. The rows are kept by the engine, which may spill them.

    `said`: columns that are text because the file says so, so that `00123` or `5` in them is no number; None: all.
    """
    try:
        engine.execute(f"CREATE OR REPLACE TEMP TABLE {quote(LOOKED)} AS {raw_rows(source, 0, placed=True)}")
    except EngineError as fault:
        for file in source.files:
            try:
                engine.rows(f"SELECT count(COLUMNS(*)) FROM {reader(source, file)}")
            except EngineError as why:
                raise _unreadable(engine, source, file, why) from why
        raise _unreadable(engine, source, source.files[0], fault) from fault
    found = profiled(engine, source, source.settings.path, said)
    if "delim" in source.settings.read:
        _whole_header(source, len(found.columns))
    return found


def profiled(engine: Engine, source: Source, label: str, said: Collection[str] | None) -> FileProfile:
    """
    The columns of the rows that the engine has, over all of them. `said` as in `_measure`.

    Raises:
        NothingToRead: there is no row.
    """
    base = f"FROM {quote(LOOKED)}"
    given = engine.columns(f"SELECT * EXCLUDE (_file, _row, _at) {base}")
    (rows,) = engine.row(f"SELECT count(*) {base}")
    if not rows:
        raise NothingToRead(source.label(source.files[0]) if source.files else label, "it holds no row")
    # In JSON a number is one by the way it is written, and a database has types.
    coded = "delim" in source.settings.read
    columns = tuple(
        _column(engine, base, name, kind, rows, said=said is None or name in said, coded=coded)
        for name, kind in given.items()
    )
    return FileProfile(source=source, rows=rows, columns=columns, label=label, base=base)


def _whole_header(source: Source, columns: int) -> None:
    """A first line of one name above rows of several is no header (a title, a comment)."""
    for file in source.files:
        header, _ = _first_rows(source, file, source.settings.read["delim"])
        if len(header) > columns or (len(source.files) == 1 and len(header) < columns):
            raise NoHeader(source.label(file), source.settings.read["delim"].join(header))


def _unreadable(engine: Engine, source: Source, file: Path, fault: EngineError) -> UnreadableSource:
    """What is wrong, by reading the file once more with its columns given: guessing a dialect names no line."""
    options = source.settings.read
    if "delim" in options:
        header, _ = _first_rows(source, file, options["delim"])
        fixed = options | {
            "auto_detect": False,
            "columns": {f"column{i}": "VARCHAR" for i in range(len(header))},
        }
        del fixed["all_varchar"]
        try:
            engine.rows(f"SELECT count(COLUMNS(*)) FROM {reader(_reading(source, fixed), file)}")
        except EngineError as exact:
            fault = exact
    whole = str(fault.__cause__ or fault.reason)
    line = f"line {int(found[1]):,}: " if (found := re.search(r"CSV Error on Line: (\d+)", whole)) else ""
    if "utf-8" in whole.lower():
        return UnreadableSource(source.label(file), f"{line}it is not UTF-8", encoding="latin-1")
    if "unterminated quote" in whole:
        return UnreadableSource(source.label(file), f'{line}a quote (") is opened there and never closed')
    if widths := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", whole):
        reason = f"{line}{plural(int(widths[2]), 'field')}, where the header has {widths[1]}"
        return UnreadableSource(source.label(file), reason)
    return UnreadableSource(source.label(file), told(fault))


def _tokens(engine: Engine, found: FileProfile) -> tuple[str, ...]:
    """Texts that mean NULL: a column would be numbers or times but for them, and no column of text holds them."""
    wanted: set[str] = set()
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
            wanted |= there
        else:
            texts |= there
    return tuple(one for one in NULL_TOKENS if one in wanted - texts)


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
    if made.type in ("VARCHAR", "BIGINT"):
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
        return replace(column, type=kind.replace(" ", ""), why=f"declared as {kind}")
    if kind == "TIMESTAMP_NS":
        (finer,) = engine.row(f"SELECT count(*) FILTER (WHERE epoch_ns({name}) % 1000 <> 0) FROM ({base})")
        if finer:
            why = f"declared as {kind}, of which the log keeps microseconds; the column keeps its text"
            return replace(column, type="VARCHAR", why=why, time=f"CAST({name} AS TIMESTAMP)", cut=True)
    made = _TYPED.get(kind, "VARCHAR")
    if kind.startswith("TIMESTAMP"):
        made = "TIMESTAMPTZ" if kind.endswith("TIME ZONE") else "TIMESTAMP"
    time = name if made in ("DATE", "TIMESTAMP", "TIMESTAMPTZ") else ""
    inexact = ": sums depend on their order; declare a DECIMAL where the digits are exact" if made == "DOUBLE" else ""
    return replace(column, type=made, why=f"declared as {kind}{inexact}", time=time)
