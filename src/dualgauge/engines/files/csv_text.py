"""
CSV files as text: every value as it stands in its file, in one strict dialect that nobody guesses from values.

Seen in DuckDB 2.0: the third value of `1,2,` is dropped under a header of two; blanks outside of quotes are; a file
whose lines end in two ways is read as if it were empty where the end is named; a line that begins with # is taken for a
comment where the rest of a column is numbers. So the dialect is said in full, one column more is declared than there
are, and what pads a short row cannot stand in a file: every row that is too long or too short is seen in the one scan.
What DuckDB cannot be told to read as it stands is written anew first, row by row, by the standard library's reader.
"""

from __future__ import annotations

import codecs
import re
import secrets
from contextlib import closing
from dataclasses import dataclass, replace
from enum import Enum
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dualgauge.engines.errors import BadDialect, BrokenFile, NoColumnNames
from dualgauge.engines.files.csv_options import check_options
from dualgauge.engines.files.text_rows import (
    ENDS,
    LONGEST_ROW,
    LineDialect,
    Lines,
    TextRow,
    longer,
    newlines,
    no_row,
    opened,
    opened_bytes,
    partitions_of,
    rows,
)
from dualgauge.engines.parquet_schema import exact
from dualgauge.model import fold, literal, quote

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

DELIMITERS: Final = ",;\t|"
RAGGED: Final = "a row has too many values, or too few"
"""What a scan ends with at such a row; `first_fault` says which one."""

_MORE: Final = "dualgauge_more"
_NO_TEXT: Final = secrets.token_hex(24)
"""Stands for no value in a scan: a text that no file holds, for nobody knew it when the file was written."""

_BLOCK: Final = 1 << 20
_LF, _CR = b"\n\r"
_VALUE: Final = re.compile(
    r"[+-]?([0-9]+([.,][0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|(?i:true|false)|[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9:.]+.*)?"
)


class _Written(Enum):
    """How the rows of a file are written, and what the engine is told of it."""

    # Seen: left alone, the engine takes a line's end in a value for that of the file; named, `\\r\\n` parts no rows.
    BY_LINE = "new_line = '\\n'"
    BY_LINE_OF_WINDOWS = "parallel = true"
    OVER_LINES = "new_line = '\\n', parallel = false"
    ODD = "it is written anew, or is no text"


@dataclass(frozen=True, slots=True)
class CsvFile:
    """
    A CSV file as it is to be read.

    Args:
        file: the file.
        dialect: how it is written.
        names: those of its columns, in their order; each is another one, also without case.
        path: what the engine reads: the file, or what was written anew of it.
        lines: how many lines of `path` stand before its first row.
        plain: how `path` is written.
        written: how its rows are written there.
        partitions: columns that the names of its folders are (`year=2026/`), with their values.
    """

    file: Path
    dialect: LineDialect
    names: tuple[str, ...]
    path: Path
    lines: int
    plain: LineDialect
    written: _Written
    partitions: Mapping[str, str | None]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of its own, and those that the names of its folders are."""
        return (*self.names, *self.partitions)

    def relation(self, nulls: Sequence[str] = ("",), names: Sequence[str] | None = None) -> str:
        """
        Its rows in SQL, in their order, each value the text that stands there; a value that is one of `nulls` is NULL.

        A scan ends with an error at a row that is too long or too short, whichever columns it asks for. Of a file that
        is compressed, a reader takes sixteen times the longest row unless it is told how much. With `names`
        the columns are called so, and those of the folders' names are left out.
        """
        parting = (self.plain.delimiter, self.plain.quote, self.plain.escape)
        no_text = "".join("_" if one in parting else one for one in _NO_TEXT)
        places = [f"c{at}" for at in range(len(self.names))]
        spec = ", ".join(f"{literal(one)}: 'VARCHAR'" for one in (*places, _MORE))
        read = (
            f"read_csv({literal(exact(self.path))}, auto_detect = false, header = false, skip = {self.lines:d}, "
            f"delim = {literal(self.plain.delimiter)}, quote = {literal(self.plain.quote)}, "
            f"escape = {literal(self.plain.escape)}, comment = '', strict_mode = true, null_padding = true, "
            f"ignore_errors = false, nullstr = {literal(no_text)}, max_line_size = {LONGEST_ROW:d}, "
            f"buffer_size = {2 * LONGEST_ROW:d}, {self.written.value}, hive_partitioning = false, columns = {{{spec}}})"
        )
        texts = [_null(one, nulls) for one in places]
        columns = [f"{text} AS {quote(name)}" for text, name in zip(texts, names or self.names, strict=True)]
        columns += [
            f"CAST({'NULL' if value is None else literal(value)} AS VARCHAR) AS {quote(name)}"
            for name, value in ({} if names else self.partitions).items()
        ]
        short = f" OR {places[-1]} IS NULL" if len(places) > 1 else ""
        whole = f"CASE WHEN {_MORE} IS NOT NULL{short} THEN error({literal(RAGGED)}) ELSE true END"
        return f"(SELECT {', '.join(columns)} FROM {read} WHERE {whole})"


def _null(text: str, nulls: Sequence[str]) -> str:
    if len(nulls) == 1:
        return f"nullif({text}, {literal(nulls[0])})"
    return f"CASE WHEN {text} NOT IN ({', '.join(map(literal, nulls))}) THEN {text} END" if nulls else text


def nulls_of(options: Mapping[str, Any]) -> tuple[str, ...]:
    """The texts that stand for no value."""
    said = options.get("nullstr", "")
    return tuple(map(str, said)) if isinstance(said, list) else (str(said),)


def look_into(file: Path, options: Mapping[str, Any], *, alike: bool = False) -> tuple[LineDialect, tuple[str, ...]]:
    """
    How a CSV file is written, and the names of its columns: what is said of it, and what its first line shows.

    Unless names may be `alike`, two that differ by case alone are refused.

    Raises:
        BadDialect: what is said of it cannot be.
        BrokenFile: its first line names no columns.
        OSError, EOFError: it cannot be read.
    """
    check_options(options)
    mark = options.get("quote", '"')
    tabs = file.name.lower().removesuffix(".gz").endswith(".tsv") and "\t" not in (mark, options.get("escape"))
    delimiter = options.get("delim", "\t" if tabs else "")
    nulls = nulls_of(options)
    codec = codecs.lookup(str(options.get("encoding", "utf-8"))).name
    dialect = LineDialect(
        delimiter or ",", mark, options.get("escape", mark), options.get("header", "names" not in options),
        options.get("skip", 0), null=nulls[0] if nulls else "", codec=codec, comment=options.get("comment", ""),
    )  # fmt: skip
    with closing(_first_rows(file, dialect, delimiter or DELIMITERS)) as found:
        line, first = next(found, (dialect.skip + 1, ""))
        dialect = replace(dialect, skip=line - 1)
        # Without a line of names the first line is a row, which may be none, or not be there yet.
        by_names = len(options["names"]) if "names" in options and not dialect.header else 0
        if not delimiter:
            # The line of names is parted by what parts it into most, else the first row that is by any is by what parts
            # it into as many as there are names.
            ways = [replace(dialect, delimiter=one) for one in DELIMITERS if one not in (mark, dialect.escape)]
            told = chain([first], (row for _, row in islice(found, 1000))) if by_names else ()
            row = next((one for one in told if any(_fits(way, one, by_names)[0] for way in ways)), first)
            dialect = max(ways, key=lambda way: _fits(way, row, by_names))
    if not by_names and (fault := dialect.fault(first, counted=False)):
        raise BrokenFile(file, line, fault, _encoding(first) if "UTF-8" in fault else "")
    values = [] if by_names else dialect.values(first)
    if not values and not by_names:
        raise NoColumnNames(file, line, "it is empty, where a line of column names is due", "", "")
    if "names" in options:
        names = [str(one) for one in options["names"]]
        if dialect.header and len(names) != len(values):
            raise BrokenFile(file, line, f"it has {len(values):,} values, and {len(names):,} names are said")
    elif dialect.header:
        if "header" not in options and any(map(_VALUE.fullmatch, values)):
            hint = "say read = {header = false} (the columns are column0, ...), or header = true if these are names"
            raise NoColumnNames(file, line, f"it holds values, no names of columns: {first[:80]!r}", hint, first)
        names = [name or f"column{at}" for at, name in enumerate(values)]
    else:
        names = [f"column{at}" for at in range(len(values))]
    _refuse_alike(file, line, names, alike=alike)
    return replace(dialect, columns=len(names)), tuple(names)


def _refuse_alike(file: Path, line: int, names: Sequence[str], *, alike: bool) -> None:
    known: dict[str, str] = {}
    for name in names:
        if (other := known.get(name if alike else fold(name))) is not None:
            how = f"{name!r} twice" if other == name else f"{other!r} and {name!r}, which differ by case alone"
            advice = "give each column a name of its own, or say them all by `names`"
            raise BrokenFile(file, line, f"it names the column {how}", advice)
        known[name if alike else fold(name)] = name


def _first_rows(file: Path, dialect: LineDialect, delimiters: str) -> Generator[tuple[int, str]]:
    """The line and the text of each row that is not empty, parted by any of the delimiters; the first may be names."""
    with opened(file, dialect.codec) as text:
        lines = Lines(text)
        for _ in range(dialect.skip):
            lines.take()
        while (line := lines.take()) is not None:
            if not no_row(line.rstrip(ENDS), replace(dialect, columns=2)):
                yield lines.number, (longer(lines, line, dialect, delimiters) if dialect.quote else line).rstrip(ENDS)


def _fits(dialect: LineDialect, row: str, names: int) -> tuple[bool, int]:
    """Whether a row has as many values as there are names, its quotes aside or not; how many it has, 0 if broken."""
    count = 0 if dialect.fault(row, counted=False) else len(dialect.values(row))
    return names > 0 and names in (count, row.partition("\n")[0].count(dialect.delimiter) + 1), count


def _quoted_before(file: Path, dialect: LineDialect) -> bool:
    """Whether a quote stands before the names: the engine counts what it goes on over as one line."""
    if not dialect.quote or not dialect.skip:
        return False
    with opened(file, dialect.codec) as text:
        return any(dialect.quote in text.readline() for _ in range(dialect.skip))


def csv_file(file: Path, options: Mapping[str, Any], folder: Path, *, alike: bool = False) -> CsvFile:
    """
    A CSV file as the engine can read it to the letter; what of it must be written anew is written into `folder`.

    `alike` as `look_into` has it.

    Raises:
        BadDialect, BrokenFile: it cannot be read as one, with the line that is at fault.
        OSError, EOFError: it cannot be read.
    """
    dialect, names = look_into(file, options, alike=alike)
    partitions = partitions_of(file, names)
    # Seen: of one column, the engine loses an empty last line, and a value whose quote is not closed.
    told = dialect.codec == "utf-8" and not dialect.comment and dialect.columns > 1
    told = told and not _quoted_before(file, dialect)
    written = _written(file, dialect) if told else _Written.ODD
    if written is not _Written.ODD:
        lines = dialect.skip + dialect.header
        return CsvFile(file, dialect, names, file, lines, dialect, written, partitions)
    path, plain = folder / "plain.csv", LineDialect(columns=dialect.columns, delimiter=",")
    folder.mkdir(parents=True, exist_ok=True)
    written = _write_plain(file, dialect, plain, path)
    return CsvFile(file, dialect, names, path, 0, plain, written, partitions)


def first_fault(file: Path, dialect: LineDialect) -> BrokenFile | None:
    """The first row of a file that is none of its dialect; None where all are."""
    try:
        return next((_at_fault(file, row) for row in rows(file, dialect) if row.fault), None)
    except BrokenFile as fault:
        return fault


def row_over(file: Path, options: Mapping[str, Any], size: int, *, ended: bool) -> tuple[int, int] | None:
    """
    The first and the last line of a row that begins in the first bytes of a file and goes on behind their last line.

    None where there is none, or nobody can tell. `ended`: these bytes end with the end of a line.
    """
    try:
        dialect, _ = look_into(file, options)
        if not dialect.quote or _even(file, dialect, size):
            return None
        lines = newlines(file, size, lone=True, codec=dialect.codec) + (not ended)
        ends = ((row.line, row.line + len(re.findall(r"\r\n?|\n", row.text))) for row in rows(file, dialect))
        return next(((first, last) for first, last in ends if first <= lines < last), None)
    except (BadDialect, BrokenFile, OSError, EOFError):
        return None


def _even(file: Path, dialect: LineDialect, size: int) -> bool:
    """Whether each line in the first bytes of a file has an even number of quotes: none goes on over its end."""
    if dialect.codec != "utf-8" or dialect.escape != dialect.quote:
        return False
    with file.open("rb") as raw:
        return not any(line.count(dialect.quote.encode()) % 2 for line in islice(raw, newlines(file, size)))


def _at_fault(file: Path, row: TextRow) -> BrokenFile:
    hint = _encoding(row.text) if "UTF-8" in row.fault else ""
    if "a quote" in row.fault:
        hint = 'if quotes are text in this file, say read = {quote = ""}'
        if "\\" in row.text:
            hint = 'where a backslash stands before quotes in values, say escape = "\\\\"'
    return BrokenFile(file, row.line, row.fault, hint)


def _encoding(text: str) -> str:
    """What may help where a text is no UTF-8."""
    name = "utf-16" if text.startswith(("\udcff\udcfe", "\udcfe\udcff")) else "cp1252"
    return f'save it as UTF-8, or say what it is written in: read = {{encoding = "{name}"}}'


def _write_plain(file: Path, dialect: LineDialect, plain: LineDialect, to: Path) -> _Written:
    """Write the rows of a file anew, each value in quotes."""
    by_line = True
    with to.open("w", encoding="utf-8", newline="") as out:
        for row in rows(file, dialect):
            if row.fault:
                raise _at_fault(file, row)
            if not row.number:
                continue
            by_line = by_line and "\n" not in row.text and "\r" not in row.text
            out.write(plain.written(dialect.values(row.text) or [""]) + "\n")
    return _Written.BY_LINE if by_line else _Written.OVER_LINES


def _written(file: Path, dialect: LineDialect) -> _Written:
    """Look at the bytes of a file, which costs a tenth of reading it."""
    seen = _Seen(dialect)
    with opened_bytes(file) as raw:
        while block := raw.read(_BLOCK):
            if block.endswith(b"\r"):
                block += raw.read(1)
            if not seen.take(block):
                return _Written.ODD
    # Seen: where the quote of a first value is not closed, the engine gives no row and no error. A mark that another
    # character escapes is counted as a quote, so that nothing is known then.
    unclear = seen.marked and (seen.inside or dialect.escape != dialect.quote)
    if unclear or (seen.over and seen.windows):
        return _Written.ODD
    if seen.over:
        return _Written.OVER_LINES
    return _Written.BY_LINE_OF_WINDOWS if seen.windows else _Written.BY_LINE


class _Seen:
    """What was seen in the blocks of a file: marks, values that go over a line's end, and how lines end."""

    def __init__(self, dialect: LineDialect) -> None:
        mark, delimiter = dialect.quote.encode(), dialect.delimiter.encode()
        self._escape = dialect.escape.encode() if dialect.escape != dialect.quote else b""
        self._mark, self._blanks = mark, b" " if delimiter == b"\t" else b" \t"
        self._around = re.compile(
            b"(?:^|[%b\r\n])[%b]+%b|%b[%b]+(?:[%b\r\n]|$)" % _classes(delimiter, self._blanks, mark)
        )
        self._text = codecs.getincrementaldecoder("utf-8")()
        self._left = b""
        self._unix = False
        self.marked = self.inside = self.over = self.windows = False

    def take(self, block: bytes) -> bool:
        """Look at the next block; false where the engine does not read it as it stands."""
        if self._is_odd(block):
            return False
        if not self._mark:
            return True
        # What the next block begins with may follow blanks that end this one.
        whole = self._left + block
        self._left = whole[max(len(whole.rstrip(self._blanks)) - 1, 0) :]
        if self._mark not in whole and not self.inside:
            return True
        self.marked = True
        if self._around.search(whole):
            return False
        characters = np.frombuffer(block, np.uint8)
        quoted = np.bitwise_xor.accumulate(characters == self._mark[0]) ^ self.inside
        self.over = self.over or bool((quoted & ((characters == _LF) | (characters == _CR))).any())
        self.inside = bool(quoted[-1])
        return True

    def _is_odd(self, block: bytes) -> bool:
        """Whether what stands in a block, its quotes aside, is read otherwise."""
        try:
            # Seen: the engine looks at no text that it is not asked for.
            self._text.decode(block)
        except UnicodeDecodeError:
            return True
        both = block.count(b"\r\n")
        self.windows = self.windows or both > 0
        self._unix = self._unix or block.count(b"\n") > both
        # Seen: outside of quotes an escape is itself to the engine, and in quotes it goes before any character.
        escapes = self._escape and self._escape in block
        return bool(escapes) or block.count(b"\r") > both or (self.windows and self._unix)


def _classes(delimiter: bytes, blanks: bytes, mark: bytes) -> tuple[bytes, ...]:
    delimiter, mark = re.escape(delimiter), re.escape(mark)
    return delimiter, blanks, mark, mark, blanks, delimiter
