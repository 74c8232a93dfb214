"""
How far a source was taken in, file by file, and what an import reads of its files because of that.

A cursor is `{"files": {path: {"size", "sha256", ...}}, "mapping", "until"}`. Of a file it says which bytes are in the
log: the first `size` ones, with that digest. Beside them may stand `rows` (how many these are, where rows are
numbered), `due` (the latest time in them, in microseconds since 1970, where files keep their order), and `again` (they
were taken in under another mapping, and are to be read again). `types` are those of the columns of CSV and JSON files
that an expression needs. An order that is neither by time nor by file has one
`due` for the whole source. Older logs have only a digest for a file: of all of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import Enum
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dualgauge.engines.files.csv_text import row_over
from dualgauge.engines.files.text_rows import LINES
from dualgauge.engines.lexer import pieces, unquoted
from dualgauge.eventlog.errors import BadFile, ChangedFile, EmptyFile, NoSuchFile
from dualgauge.eventlog.sources.fingerprints import fingerprint, state_of
from dualgauge.eventlog.sources.readers import json_form
from dualgauge.eventlog.sources.source import FILE_ORDER, Part, ending_of, format_of, refuse_several_formats
from dualgauge.model import canonical_json, fold, sha256

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from dualgauge.eventlog.imports.seen_files import SeenFiles
    from dualgauge.eventlog.settings import SourceSettings
    from dualgauge.eventlog.sources.fingerprints import Fingerprint
    from dualgauge.eventlog.sources.source import Source

_FIRST = (
    "name", "path", "python", "read", "event_id", "type", "occurred_at", "order_by", "where", "select", "query",
)  # fmt: skip
"""Settings that are in every mapping's hash; one that came later is in it where it is set, so that no log is reread."""

_WINDOW = re.compile(r"\bOVER\b", re.IGNORECASE)
_BEYOND_A_ROW = re.compile(
    r"\b(OVER|JOIN|DISTINCT|QUALIFY|LIMIT|OFFSET|INTERSECT|EXCEPT|GROUP\s+BY|UNION(?!\s+ALL))\b"
    r"|\(\s*(SELECT|WITH|FROM)\b"
    r"|\b(count|sum|avg|min|max|first|last|any_value|list|\w+_agg|arg_\w+|(min|max)_by|bool_\w+|bit_(and|or|xor)|median|mode"
    r"|quantile\w*|stddev\w*|var_\w+|variance|product|group_concat|listagg|histogram\w*|approx_\w+|corr|covar_\w+|regr_\w+"
    r"|kurtosis\w*|skewness|entropy|mad|fsum|kahan_sum|sumkahan|favg|geomean|geometric_mean|count_star|countif|count_if)\s*\("
    r"|\b(USING\s+SAMPLE|TABLESAMPLE|PIVOT|UNPIVOT)\b",
    re.IGNORECASE,
)
_SOURCE = re.compile(r"\bsource\b", re.IGNORECASE)
_BRANCH = re.compile(r"\bUNION\s+ALL\b", re.IGNORECASE)


class Growth(Enum):
    """What may become of a file that was taken in."""

    LINES = "rows are added at its end, and only they are read"
    ROWS = "rows are added at its end, and it is read whole again"
    NONE = "it stays as it is"


@dataclass(frozen=True, slots=True)
class Taken:
    """What a cursor says of a file. `size` is None in an older log: then the digest is of all of it."""

    sha256: str
    size: int | None = None
    rows: int | None = None
    due: int | None = None
    again: bool = False

    @classmethod
    def of(cls, said: object) -> Taken:
        """From a cursor."""
        if not isinstance(said, dict):
            return cls(str(said))
        return cls(said["sha256"], said["size"], said.get("rows"), said.get("due"), said.get("again", False))

    def to_json(self) -> object:
        """For a cursor."""
        if self.size is None:
            return self.sha256
        more = {"rows": self.rows, "due": self.due, "again": self.again or None}
        said = {"size": self.size, "sha256": self.sha256}
        return said | {name: one for name, one in more.items() if one is not None}


@dataclass(frozen=True, slots=True)
class FileReading:
    """A file that an import reads: `print` says of which bytes, and `tail` whether only of what is new."""

    file: Path
    label: str
    growth: Growth
    print: Fingerprint
    taken: Taken | None
    tail: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """What was found out about a file by reading it: its rows up to now, and the latest time in them."""

    rows: int | None = None
    due: int | None = None


@dataclass(frozen=True, slots=True)
class SourceReading:
    """
    What an import reads of a source.

    `before` is the cursor that it goes by; `kept` are the files that stay in it as they are; `torn` are files whose
    last line is left for the next import, `empty` those that have nothing yet; `kinds` are the types that columns of
    its CSV files had.
    """

    source: Source
    before: Mapping[str, Any] | None
    files: tuple[FileReading, ...] = ()
    kept: Mapping[str, Taken] = field(default_factory=dict)
    torn: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    until: str | None = None
    whole: bool = True
    kinds: Mapping[str, str] = field(default_factory=dict)

    @property
    def reads(self) -> bool:
        """Whether there is anything to read. A Python object tells nothing before it was read."""
        return bool(self.files) or not self.source.settings.path or self.source.again

    def cursor(self, counted: Mapping[str, Counted], due: int | None) -> dict[str, Any]:
        """The cursor after all of it was taken in; `due` is the latest time of a source with an order of its own."""
        files = dict(self.kept)
        for one in self.files:
            found = counted.get(one.label, Counted())
            files[one.label] = Taken(one.print.sha256, one.print.size, found.rows, found.due)
        said: dict[str, Any] = {
            "files": {label: taken.to_json() for label, taken in files.items()},
            "mapping": mapping_of(self.source.settings),
            "until": self.until,
        }
        if own_order(self.source.settings):
            latest = [one for one in (due, None if self.whole else (self.before or {}).get("due")) if one is not None]
            said["due"] = max(latest, default=None)
        return said


def mapping_of(settings: SourceSettings) -> str:
    """Fingerprint of how rows become events."""
    unset = {key: one.get_default(call_default_factory=True) for key, one in type(settings).model_fields.items()}
    said = settings.model_dump()
    return sha256(canonical_json({key: one for key, one in said.items() if key in _FIRST or one != unset[key]}))


def by_file(settings: SourceSettings) -> bool:
    """Whether rows keep the order of their files, so that each file has its own latest time."""
    return bool(settings.path) and settings.order_by == FILE_ORDER and not settings.query


def own_order(settings: SourceSettings) -> bool:
    """Whether rows may have an order that is neither by time nor by file."""
    return bool(settings.url) or (bool(settings.path) and bool(settings.order_by) and not by_file(settings))


def beyond_a_row(settings: SourceSettings) -> bool:
    """
    Whether an event may be made of several rows: a window, a join, a group or a subquery looks beyond its own.

    Then some of the rows give other events than all of them. In doubt it is so: the files are then read whole.
    """
    query = _code(settings.query)
    if len(_SOURCE.findall(query)) > 1 + len(_BRANCH.findall(query)):
        return True
    said = [settings.event_id, settings.type, settings.occurred_at, settings.where, settings.query]
    said += [settings.order_by, settings.caused_by, *settings.select.values()]
    return any(_BEYOND_A_ROW.search(_code(one)) for one in said)


def has_window(settings: SourceSettings) -> bool:
    """Whether an expression of a source without a query looks at other rows; its subqueries see none but their own."""
    said = [one for setting, one in settings.sql().items() if setting != "query"]
    return any(_WINDOW.search(_code(one)) for one in said)


def _code(text: str) -> str:
    """The words and signs of SQL; of names in quotes that of the rows alone."""
    names = (unquoted(one) for one in pieces(text) if one[:1] != '"' or fold(unquoted(one)) == "source")
    return " ".join(names)


def growth(source: Source, file: Path) -> Growth:
    """
    What may become of a file.

    Raises:
        UnknownFormat: its ending says nothing.
    """
    function = format_of(source, file)
    if file.suffix.lower() == ".gz" or function == "read_parquet" or ending_of(file) == ".json":
        return Growth.NONE
    return Growth.LINES if function == "read_json" and json_form(source, file) == LINES else Growth.ROWS


def reading_of(
    source: Source, before: Mapping[str, Any] | None, until: datetime | None, seen: SeenFiles
) -> SourceReading:
    """
    What is to be read of a source, by its cursor and its files as they are now.

    Args:
        source: the source with the files that it has now.
        before: its cursor; None where nothing was taken in.
        until: rows that are due later are left out.
        seen: which files were found as they were taken in, and have not changed since.

    Raises:
        ChangedFile: a file that was taken in is another one now.
        NoSuchFile: there is no file, and there never was one.
        BadFile, EmptyFile: all there is to read is a line that is not whole, or a file without anything.
    """
    cut = until.isoformat() if until else None
    settings = source.settings
    if not settings.path or source.again:
        return SourceReading(source, before, until=cut)
    said = before or {}
    taken = {label: Taken.of(one) for label, one in said.get("files", {}).items()}
    if not source.files and not taken:
        raise NoSuchFile(source.name, settings.path)
    alike = said.get("mapping") == mapping_of(settings)
    held = alike and said.get("until") is None
    if alike:
        refuse_several_formats(source.name, (*taken, *map(source.label, source.files)))
    lacking = by_file(settings) and any(one.due is None for one in taken.values())
    lacking = lacking or (own_order(settings) and "due" not in said)
    whole = not held or beyond_a_row(settings) or lacking
    looked = [_look(source, file, taken, seen) for file in source.files]
    found = [one for one in looked if isinstance(one, FileReading)]
    empty = tuple(one.label for one in found if _has_nothing(one) and not one.print.torn)
    torn = tuple(one.label for one in found if one.print.torn)
    unread = [one for one in found if _has_more(one) or (one.taken is not None and one.taken.again)]
    if not unread and (held or (alike and said.get("until") == cut)):
        return SourceReading(source, before, torn=torn, empty=empty)
    if whole:
        again = [_look(source, one, taken, None) if isinstance(one, Path) else one for one in looked]
        found = [one for one in again if isinstance(one, FileReading)]
    files = tuple(
        replace(one, tail=not whole and _by_tail(source, one))
        for one in (found if whole else unread)
        if not _has_nothing(one)
    )
    read = {one.label for one in files}
    kept = {label: one for label, one in taken.items() if label not in read}
    if not held:
        # What was taken in otherwise, and is not read now, is to be read when it is there again.
        kept = {label: replace(one, again=True) for label, one in kept.items() if one.size is not None}
    if torn and not files and not kept:
        raise BadFile(source.name, torn[0], "its only line is not whole JSON", "or wait until it is written")
    if empty and not files and not kept:
        raise EmptyFile(source.name, empty[0])
    return SourceReading(source, before, files, kept, torn, empty, cut, whole, said.get("types", {}) if alike else {})


def _look(source: Source, file: Path, taken: Mapping[str, Taken], seen: SeenFiles | None) -> FileReading | Path | None:
    """
    A file as it is now; itself where it is as it was taken in, and need not be read to see that; None where it is gone.

    Raises:
        ChangedFile: it was taken in, and is another one now.
    """
    label = source.label(file)
    known = taken.get(label)
    try:
        if seen and known and known.size and not known.again:
            state = state_of(file)
            if seen.same(source.name, label, state, known.sha256):
                return file
        kind = growth(source, file)
        begin = (known.size if known else None) or 0
        found = fingerprint(file, begin, by_line=kind is Growth.LINES)
    except FileNotFoundError:
        return None
    if known is not None and known.size is not None:
        if reason := _changed(source, file, kind, found, known):
            raise ChangedFile(source.name, label, reason, may_grow=kind is not Growth.NONE)
        if seen and not known.again and not found.torn and found.state[0] == begin:
            seen.note(source.name, label, found.state, known.sha256)
    return FileReading(file, label, kind, found, known, tail=False)


def _changed(source: Source, file: Path, kind: Growth, found: Fingerprint, known: Taken) -> str:
    """What became of a file that was taken in, and may not be; empty where it is as it was, or has grown as it may."""
    size = known.size or 0
    if not found.begin:
        return f"is shorter now than the {size:,} bytes it had"
    if found.begin != known.sha256:
        return f"is another one now: its first {size:,} bytes have changed"
    if found.more and kind is Growth.NONE:
        return f"is longer now than the {size:,} bytes it had, which a file of its kind cannot be"
    if found.more and size and kind is Growth.LINES and _goes_on(file, size):
        return "its last line goes on now behind the object that was taken in"
    if found.more and size and (over := _row_over(source, file, size)):
        first, last = over
        return f"its row of line {first} goes on over line {last} now: what stood between was taken in by itself"
    return ""


def _goes_on(file: Path, size: int) -> bool:
    """Whether the line that the first bytes of a file end in has more than blanks behind them."""
    with file.open("rb") as opened:
        opened.seek(size - 1)
        return opened.read(1) != b"\n" and bool(opened.readline().strip())


def _row_over(source: Source, file: Path, size: int) -> tuple[int, int] | None:
    """The lines of a CSV row that goes on over the end that the file had: a quote there was closed nowhere then."""
    if format_of(source, file) != "read_csv":
        return None
    with file.open("rb") as raw:
        raw.seek(max(size - 4, 0))
        # Of two bytes a letter, the second one of the line's end is 0.
        ended = raw.read(min(size, 4)).rstrip(b"\0").endswith((b"\r", b"\n"))
        raw.seek(0)
        quote = str(source.settings.read.get("quote", '"')).encode()
        # Of an odd number of quotes one was open at the end: what goes on over that line was no row then.
        ended = ended or (bool(quote) and raw.read(size).count(quote) % 2 == 1)
    return row_over(file, source.settings.read, size, ended=ended)


def _has_more(one: FileReading) -> bool:
    """Whether a file is new, or has rows that were not taken in."""
    if one.taken is None:
        return not _has_nothing(one)
    if one.taken.size is None:
        return one.print.whole != one.taken.sha256
    # The end of a last line comes by itself where its writer is slow.
    return one.print.size > one.taken.size and not (one.growth is Growth.LINES and one.print.blank)


def _has_nothing(one: FileReading) -> bool:
    """Whether a file that may grow has no whole line yet: who writes it has only opened it. It is as if not there."""
    if one.growth is Growth.NONE or (one.taken is not None and one.taken.size):
        return False
    return not one.print.size or (one.growth is Growth.LINES and one.print.blank)


def _by_tail(source: Source, one: FileReading) -> bool:
    """Whether reading what is new is enough: how many rows are before it is known, or does not matter."""
    taken = one.taken
    if one.growth is not Growth.LINES or taken is None or not taken.size or taken.again:
        return False
    return taken.rows is not None or not source.numbered


def source_of(reading: SourceReading, copies: Mapping[Path, Part]) -> Source:
    """The source as it is to be read now: `copies` are the parts that do not lie in their files."""
    if reading.source.again:
        return reading.source
    floors = _floors(reading)
    parts = tuple(
        replace(copies.get(one.file) or Part(one.file, one.file), floor=floors.get(one.file)) for one in reading.files
    )
    floor = None
    if own_order(reading.source.settings) and not reading.whole:
        floor = (reading.before or {}).get("due")
    if not reading.source.settings.path:
        return reading.source
    return replace(reading.source, parts=parts, floor=floor, kinds=reading.kinds)


def _floors(reading: SourceReading) -> dict[Path, int | None]:
    """Of each file, the latest time of the rows that lie before its part in their order, and are not read now."""
    if not by_file(reading.source.settings):
        return {}
    root = reading.source.root
    tails = [(one.file, 0, one.taken.due) for one in reading.files if one.tail and one.taken is not None]
    asked = [(one.file, 1, None) for one in reading.files]
    kept = [(root / label, 2, one.due) for label, one in reading.kept.items() if not one.again]
    floors: dict[Path, int | None] = {}
    latest: int | None = None
    # A file's own earlier rows lie before its part.
    for file, step, due in sorted([*tails, *asked, *kept], key=itemgetter(0, 1)):
        if step == 1:
            floors[file] = latest
        elif due is not None:
            latest = due if latest is None else max(latest, due)
    return floors
