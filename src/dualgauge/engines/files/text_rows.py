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
    from collections.abc import Collection, Iterator, Sequence
    from io import BufferedReader
    from pathlib import Path

LINES: Final = "newline_delimited"
"""What the engine calls JSON files with one object a line."""

LONGEST_ROW: Final = 1 << 24
"""Bytes that a row has not: the engine takes none that is longer."""

ENDS: Final = "\r\n"
"""The characters that a line ends with."""

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
        escape = "" if self.escape == self.quote else self.escape
        # The reader takes an escape away before any character, so one that is itself is doubled.
        pair = f"{re.escape(escape)}([{re.escape(escape + self.quote)}]?)"
        doubled = re.sub(pair, lambda found: escape + (found[1] or escape), text) if escape else text
        reader = csv.reader(
            [doubled], delimiter=self.delimiter, quotechar=self.quote or None,
            doublequote=self.escape == self.quote, escapechar=escape or None, strict=True,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
        )  # fmt: skip
        found = next(reader, [])
        # Beside an escape the reader does not ask what a quote is closed before.
        if self.quote and escape and self.quote in text and not self._closes_at_ends(text):
            raise csv.Error
        return found

    def _closes_at_ends(self, text: str) -> bool:
        """Whether each quote closes before a delimiter or the end."""
        mark, delimiter = re.escape(self.quote), re.escape(self.delimiter)
        value = f"(?:{mark}{_to_mark(self)}|(?!{mark})[^{delimiter}]*)"
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
        lines = Lines(text) if dialect.delimiter else Lines(text, -1)
        for _ in range(dialect.skip):
            yield TextRow(None, lines.number + 1, lines.take() or "", "")
        delimiter, mark, others = dialect.delimiter, dialect.quote, dialect.columns - 1
        while (line := lines.take()) is not None:
            at = lines.number
            body = line.rstrip("\r\n")
            if no_row(body, dialect):
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
                line = longer(lines, line, dialect, delimiter)
                body = line.rstrip("\r\n")
                fault = dialect.fault(body)
                if fault and lines.long and _marked_behind(file, dialect, lines.long):
                    # Whether its quote is closed, nobody could tell: what goes on behind it may be rows or not.
                    reason = f"a quote ({mark}) is opened, and not closed in the {_LONGEST} behind it"
                    hint = f'if quotes are text in this file, say read = {{quote = ""}}; {_SHORTER}'
                    raise BrokenFile(file, at, reason, hint)
            yield TextRow(number, at, body, line[len(body) :], fault)


def no_row(body: str, dialect: LineDialect) -> bool:
    """Whether a line, without its end, is a comment or empty."""
    if dialect.delimiter:
        return (bool(dialect.comment) and body.startswith(dialect.comment)) or (not body and dialect.columns > 1)
    return not body.strip(" \t\r")


def longer(lines: Lines, line: str, dialect: LineDialect, delimiters: str) -> str:
    """
    A row that begins with a line: this, and those that its quoted values go on over.

    Such a value is closed by the first quote that can close it. Where there is none, or the quote that seems to open it
    is a lone one, the row ends with its line: the rows behind it would be taken along.

    Args:
        lines: those behind it; what is not the row's is given back.
        line: the first one.
        dialect: how it is written.
        delimiters: each one that may stand between its values.
    """
    row, at, length = [line], 0, len(line)
    mark, parts, end = re.escape(dialect.quote), f"[{re.escape(delimiters)}]", f"[^{re.escape(delimiters)}{ENDS}]*"
    # A value that is closed on its line is over before the next delimiter, whatever stands behind its quote.
    value = f"(?:{mark}{_to_mark(dialect, but=ENDS)}|(?!{mark})){end}"
    on_line, to_mark = re.compile(f"(?:^{value}|(?!^){end})?(?:{parts}{value})*"), re.compile(_to_mark(dialect))
    while (found := on_line.match(row[-1], at)) and row[-1][found.end() :].strip(ENDS):
        more, closed = list[str](), None
        while not closed and length < LONGEST_ROW and (following := lines.take()) is not None:
            more.append(following)
            length += len(following)
            closed = to_mark.match(following)
        if closed is None or _is_lone([row[-1], *more], closed.end(), dialect, delimiters):
            lines.long = lines.number if closed is None and length >= LONGEST_ROW else 0
            lines.give_back(more)
            break
        row += more
        at = closed.end()
    return "".join(row)


def _is_lone(lines: Sequence[str], at: int, dialect: LineDialect, delimiters: str) -> bool:
    """
    Whether the last quote of the first of these lines opens nothing, though one is closed at a place of the last line.

    What closes it opens a value itself; or it closes in the middle, and each line is a row if quotes are none.
    """
    before, behind = lines[-1][: at - 1][-1:], lines[-1][at : at + 1]
    if behind in delimiters + ENDS:
        return False
    return before in delimiters or all(sum(map(line.count, delimiters)) == dialect.columns - 1 for line in lines)


def _to_mark(dialect: LineDialect, *, but: str = "") -> str:
    """What in a quoted value goes to the quote that closes it, which it has in it; a character of `but` is not."""
    mark, escape = re.escape(dialect.quote), re.escape(dialect.escape)
    pair = mark * 2 if escape == mark else f"{escape}[{escape}{mark}]|{escape}(?![{escape}{mark}])"
    return f"(?:{pair}|[^{mark}{escape}{but}])*+{mark}" if escape else f"[^{mark}{but}]*{mark}"


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


class Lines:
    """
    The lines of a text with their ends, of at most so many characters; some may be given back.

    `number` is that of the last one taken, from 1; `long` that of the last one that a quote was followed over, where
    this ended for its length.
    """

    def __init__(self, text: IO[str], most: int = LONGEST_ROW) -> None:
        self._text, self._most, self._back, self.number, self.long = text, most, deque[str](), 0, 0

    def take(self) -> str | None:
        """The next line; None behind the last one."""
        line = self._back.popleft() if self._back else self._text.readline(self._most)
        if not line:
            return None
        self.number += 1
        return line.removeprefix("\ufeff") if self.number == 1 else line

    def give_back(self, lines: list[str]) -> None:
        """Let lines be taken anew: the last ones that were."""
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


def newlines(file: Path, upto: int, *, lone: bool = False, codec: str = "latin-1") -> int:
    """
    How many lines end in the first bytes of a file; `lone`: a carriage return by itself ends one too.

    The `codec` matters where a letter is of two bytes or more, of which one may be that of a line's end.
    """
    letters = codecs.getincrementaldecoder(codec)(errors="replace")
    count, decoder = 0, io.IncrementalNewlineDecoder(letters, translate=lone)
    # A row of the quarantine outlives its file.
    if not upto:
        return count
    with file.open("rb") as opened:
        while upto > 0 and (block := opened.read(min(upto, _BLOCK))):
            count, upto = count + decoder.decode(block).count("\n"), upto - len(block)
    return count + decoder.decode(b"", final=True).count("\n")


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
