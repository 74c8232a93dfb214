"""
Text files row by row, by the standard library: which rows are broken, and where and why.

A CSV file is split by its dialect, and a row that does not follow it is named, with its line and its text. A copy of
the file is written in which an empty row stands in the place of each that is left out, so that every other row keeps
its number.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
import re
import zlib
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

from dualgauge.engines.errors import BrokenFile
from dualgauge.model import fold, plural

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from io import BufferedReader
    from pathlib import Path

LINES: Final = "newline_delimited"
"""What the engine calls JSON files with one object a line."""

LONGEST_ROW: Final = 1 << 24
"""Bytes that a row has not: the engine takes none that is longer."""

_LONGEST: Final = f"{LONGEST_ROW >> 20} MiB"
_SHORTER: Final = "a row may have less than that: keep such values elsewhere, or give the file as Parquet"

_BLOCK: Final = 1 << 20
_NO_PARTITION: Final = "__HIVE_DEFAULT_PARTITION__"

csv.field_size_limit(LONGEST_ROW)


@dataclass(frozen=True, slots=True)
class LineDialect:
    """
    How the rows of a file are written.

    Args:
        delimiter: between values; empty in JSONL.
        quote: around values; may be empty.
        escape: before a quote or another escape, and itself before anything else; the quote where that is doubled.
        header: whether the first row names the columns.
        skip: lines before it.
        columns: how many values a row has.
        null: what stands for no value.
        codec: what the file is written in, as Python calls it.
        comment: what a line begins with that is no row; empty where each line is one.
    """

    delimiter: str = ""
    quote: str = '"'
    escape: str = '"'
    header: bool = False
    skip: int = 0
    columns: int = 1
    null: str = ""
    codec: str = "utf-8"
    comment: str = ""

    @property
    def empty(self) -> str:
        """A row without a value."""
        return self.delimiter.join([self.null] * self.columns) if self.delimiter else "{}"

    def values(self, text: str) -> list[str]:
        """
        The values of a row's text.

        Raises:
            csv.Error: a quote is not closed, or closed in the middle of a value.
        """
        if self.quote and self.quote in text and self.escape not in ("", self.quote) and not self._closes_at_ends(text):
            # It says whether that is so because none closes.
            self.first_of([text])
            raise csv.Error
        return self.first_of([text])

    def first_of(self, lines: Iterable[str]) -> list[str]:
        """
        The values of the row that lines begin with; no line is taken behind it.

        Raises:
            csv.Error: as `values`.
        """
        escape = "" if self.escape == self.quote else self.escape
        reader = csv.reader(
            self._doubled(lines) if escape else lines, delimiter=self.delimiter, quotechar=self.quote or None,
            doublequote=self.escape == self.quote, escapechar=escape or None, strict=True,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
        )  # fmt: skip
        return next(reader, [])

    def _doubled(self, lines: Iterable[str]) -> Iterator[str]:
        """Lines in which an escape is doubled that is itself: the reader takes one away before any character."""
        pair = re.compile(f"{re.escape(self.escape)}([{re.escape(self.escape + self.quote)}]?)")
        return (pair.sub(lambda found: self.escape + (found[1] or self.escape), line) for line in lines)

    def marks(self, text: str) -> int:
        """How many quotes of a text stand behind no escape."""
        if not self.quote:
            return 0
        if self.escape and self.escape != self.quote:
            text = re.sub(f"{re.escape(self.escape)}[{re.escape(self.escape + self.quote)}]", "", text)
        return text.count(self.quote)

    def _closes_at_ends(self, text: str) -> bool:
        """Whether each quote closes before a delimiter or the end, which the reader does not ask beside an escape."""
        mark, escape, delimiter = map(re.escape, (self.quote, self.escape, self.delimiter))
        quoted = f"{mark}(?:{escape}[{escape}{mark}]|[^{mark}{escape}]|{escape}(?![{escape}{mark}]))*{mark}"
        value = f"(?:{quoted}|(?!{mark})[^{delimiter}]*)"
        return re.fullmatch(f"{value}(?:{delimiter}{value})*", text, re.DOTALL) is not None

    def written(self, values: Sequence[str]) -> str:
        """Values as a row's text, each in quotes, which are doubled in it."""
        mark = self.quote or '"'
        return self.delimiter.join(f"{mark}{one.replace(mark, mark * 2)}{mark}" for one in values)

    def kept(self) -> dict[str, str]:
        """What a row of the file has to be read with, as text."""
        if not self.delimiter:
            return {"format": "jsonl"}
        return {"format": "csv", "delimiter": self.delimiter, "quote": self.quote, "escape": self.escape}

    def fault(self, text: str, *, counted: bool = True) -> str:
        """Why a text is not one row, as a phrase; empty where it is one. `counted`: of as many values as columns."""
        try:
            text.encode()
        except UnicodeEncodeError:
            return f"it is not {'UTF-8' if self.codec == 'utf-8' else self.codec}"
        if not self.delimiter:
            return ""
        if not self.quote or self.quote not in text:
            if "\n" in text or "\r" in text:
                return "it is more than one line"
            return self._number(text.count(self.delimiter) + 1) if counted else ""
        try:
            found = len(self.values(text))
        except csv.Error as fault:
            return _broken(self.quote, fault)
        return self._number(found) if counted else ""

    def _number(self, found: int) -> str:
        return "" if found == self.columns else f"it has {plural(found, 'value')} for {plural(self.columns, 'column')}"


class TextRow(NamedTuple):
    """A row's number (0 is the header, None a line that is no row), the line it begins on, its text, and its fault."""

    number: int | None
    line: int
    text: str
    end: str
    fault: str = ""


def rows(file: Path, dialect: LineDialect) -> Iterator[TextRow]:
    """
    The rows of a file, in order, header and empty lines too. A broken one ends with its line, and the next begins.

    Raises:
        OSError, EOFError: the file cannot be read to its end.
    """
    number = -1 if dialect.header else 0
    # In JSON a carriage return is a blank.
    with opened(file, dialect.codec, "" if dialect.delimiter else "\n") as text:
        lines = _Lines(text)
        for _ in range(dialect.skip):
            yield TextRow(None, lines.number + 1, lines.take() or "", "")
        delimiter, mark, others = dialect.delimiter, dialect.quote, dialect.columns - 1
        while (line := lines.take()) is not None:
            at = lines.number
            body = line.rstrip("\r\n")
            if _no_row(body, dialect):
                yield TextRow(None, at, body, line[len(body) :])
                continue
            number += 1
            if delimiter and _is_long(body):
                raise BrokenFile(file, at, f"its row is longer than {_LONGEST}", _SHORTER)
            # Most rows are plain, and there are millions of them.
            if delimiter and body.isascii() and body.count(delimiter) == others and not (mark and mark in body):
                yield TextRow(number, at, body, line[len(body) :])
                continue
            fault = dialect.fault(body)
            if fault and delimiter and mark and mark in body:
                line, fault = _longer(lines, line, dialect, fault)
                body = line.rstrip("\r\n")
                if fault and lines.long and _marked_behind(file, dialect, lines.long):
                    # Whether its quote is closed, nobody could tell: what goes on behind it may be rows or not.
                    reason = f"a quote ({mark}) is opened, and not closed in the {_LONGEST} behind it"
                    hint = f'if quotes are text in this file, say read = {{quote = ""}}; {_SHORTER}'
                    raise BrokenFile(file, at, reason, hint)
            yield TextRow(number, at, body, line[len(body) :], fault)


def _no_row(body: str, dialect: LineDialect) -> bool:
    if dialect.delimiter:
        comment = bool(dialect.comment) and body.startswith(dialect.comment)
        return comment or (not body and dialect.columns > 1)
    return not body.strip(" \t\r")


def _longer(lines: _Lines, line: str, dialect: LineDialect, fault: str) -> tuple[str, str]:
    """
    A row whose quotes go on over its line's end, and its fault.

    Where its quote is closed nowhere, the line alone is the broken one, with its own fault: the rows behind it would be
    taken along.
    """
    if "not closed" not in fault and dialect.marks(line) % 2 == 0:
        return line, fault
    more: list[str] = []
    with suppress(csv.Error):
        dialect.first_of(_going_on(lines, line, more))
        whole = line + "".join(more)
        return whole, dialect.fault(whole.rstrip("\r\n"))
    lines.long = lines.number if sum(map(len, more), len(line)) >= LONGEST_ROW else 0
    lines.give_back(more)
    return line, fault


def _going_on(lines: _Lines, line: str, more: list[str]) -> Iterator[str]:
    """A line and those behind it, which are noted, up to the length of a row."""
    yield line
    length = len(line)
    while length < LONGEST_ROW and (following := lines.take()) is not None:
        more.append(following)
        length += len(following)
        yield following


def _is_long(text: str) -> bool:
    return len(text) > LONGEST_ROW // 4 and len(text.encode("utf-8", "surrogateescape")) >= LONGEST_ROW


def _marked_behind(file: Path, dialect: LineDialect, number: int) -> bool:
    """Whether a quote stands behind a line of a file."""
    with opened(file, dialect.codec) as text:
        return any(dialect.quote in line for line in itertools.islice(text, number, None))


def _broken(mark: str, fault: csv.Error) -> str:
    if "new-line" in str(fault):
        return "it is more than one line"
    return f"a quote ({mark}) {'is opened and not closed' if 'end of data' in str(fault) else 'is closed in a value'}"


class _Lines:
    """
    The lines of a text with their ends; some may be given back. `number` is that of the last one taken, from 1.

    `long` is that of the last one that a quote was followed over, where this ended for its length.
    """

    def __init__(self, text: IO[str]) -> None:
        self._text, self._back, self.number, self.long = text, deque[str](), 0, 0

    def take(self) -> str | None:
        line = self._back.popleft() if self._back else self._text.readline()
        if not line:
            return None
        self.number += 1
        return line.removeprefix("\ufeff") if self.number == 1 else line

    def give_back(self, lines: list[str]) -> None:
        self._back.extendleft(reversed(lines))
        self.number -= len(lines)


def copy(file: Path, dialect: LineDialect, to: Path, left_out: Collection[int]) -> int:
    """Write the copy in which empty rows stand for those left out; gives how many rows the file has."""
    count = 0
    with to.open("w", encoding="utf-8", errors="surrogateescape", newline="") as out:
        for row in rows(file, dialect):
            count = max(count, row.number or 0)
            text = dialect.empty if row.number and row.number in left_out else row.text
            out.write(text + (row.end or ("" if row.number is None else "\n")))
    return count


@contextmanager
def opened(file: Path, codec: str, newline: str = "") -> Iterator[IO[str]]:
    """
    A text file, also a compressed one; what is no UTF-8 comes as lone surrogates, line ends as they are.

    Raises:
        BrokenFile: its bytes are none of the codec's, and those cannot come as surrogates.
        OSError, EOFError: as `opened_bytes`.
    """
    try:
        with opened_bytes(file) as raw, io.TextIOWrapper(raw, codec, "surrogateescape", newline) as text:
            yield text
    except UnicodeError as fault:
        reason, hint = f"it is not {codec}", "say what it is written in: read = {encoding = ...}"
        raise BrokenFile(file, _line_at_fault(file, codec), reason, hint) from fault


def _line_at_fault(file: Path, codec: str) -> int:
    """The number of the line, from 1, whose bytes a codec does not take: the last one where only its end lacks."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(codec)("surrogateescape"), translate=True)
    line = 1
    with opened_bytes(file) as raw:
        while block := raw.read(_BLOCK):
            state = decoder.getstate()
            try:
                line += decoder.decode(block).count("\n")
            except UnicodeError:
                decoder.setstate(state)
                return line + _lines_before(decoder, block)
    return line


def _lines_before(decoder: io.IncrementalNewlineDecoder, block: bytes) -> int:
    """How many lines of a block end before what its decoder does not take."""
    count = 0
    with suppress(UnicodeError):
        for at in range(len(block)):
            count += decoder.decode(block[at : at + 1]).count("\n")
    return count


@contextmanager
def opened_bytes(file: Path) -> Iterator[gzip.GzipFile | BufferedReader]:
    """
    A file's bytes, unpacked where its name says that it is packed.

    Raises:
        OSError, EOFError: it cannot be read to its end; or it is not packed, damaged or cut off.
    """
    try:
        with gzip.open(file) if file.suffix.lower() == ".gz" else file.open("rb") as raw:
            yield raw
    except zlib.error as fault:
        raise gzip.BadGzipFile(str(fault)) from fault


def newlines(file: Path, upto: int) -> int:
    """How many lines end in the first bytes of a file."""
    count = 0
    # A row of the quarantine outlives its file.
    if not upto:
        return count
    with file.open("rb") as opened:
        while upto > 0 and (block := opened.read(min(upto, _BLOCK))):
            count, upto = count + block.count(b"\n"), upto - len(block)
    return count


def partitions_of(file: Path, names: Sequence[str]) -> dict[str, str | None]:
    """The columns that the names of a file's folders are, but for those that it has itself."""
    found: dict[str, str | None] = {}
    own = set(map(fold, names))
    for folder in file.parts[:-1]:
        name, equals, value = folder.partition("=")
        # A sign of equality in a value is written otherwise there.
        if equals and name and "=" not in value and fold(unquote(name)) not in own:
            found[unquote(name)] = None if value == _NO_PARTITION else unquote(value)
    return found
