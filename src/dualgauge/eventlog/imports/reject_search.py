"""
Which rows of a source do not fit, found in one look.

Some its mapping refuses; others, of JSON, DuckDB's reader cannot convert, and it ends the scan there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualgauge.engines.errors import BadValue
from dualgauge.eventlog.errors import BadMapping
from dualgauge.eventlog.sources.diagnose import misfits_of
from dualgauge.eventlog.sources.source import part_reader, raw_rows, with_options
from dualgauge.model import literal, quote

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.engines.files.text_rows import LineDialect
    from dualgauge.eventlog.sources.source import Part, Source

Place = tuple[str, int]
"""A file as event ids call it, and the number of a row in it."""


class NotToldApart(Exception):
    """Which rows do not fit cannot be told. The strict way's error stands."""


@dataclass(frozen=True, slots=True)
class Text:
    """A part that is a text, its label, how it is written, and where its copy is."""

    part: Part
    label: str
    dialect: LineDialect
    copy: Path

    def place(self, number: int) -> Place:
        """The place of a row of the text, by its number in it."""
        if self.part.numbers:
            return self.label, self.part.numbers[number - 1]
        return self.label, number + (self.part.counted if self.part.skip else 0) - self.part.skip

    def local(self, numbers: Collection[int]) -> set[int]:
        """The numbers in the text of rows of these numbers."""
        if self.part.numbers:
            return {n for n, row in enumerate(self.part.numbers, 1) if row in numbers}
        more = (self.part.counted if self.part.skip else 0) - self.part.skip
        return {row - more for row in numbers}

    def beside(self, place: Place) -> bool:
        """Whether a row only stands before those that are to be taken in."""
        label, row = place
        return label == self.label and bool(self.part.skip) and row <= self.part.counted


@dataclass(frozen=True, slots=True)
class RejectSearch:
    """A look at the source of a number: its texts, the declared columns, and how many rows are told at most."""

    engine: Engine
    number: int
    texts: Sequence[Text]
    columns: dict[str, str]
    most: int

    def at(self, again: Source) -> tuple[int, dict[Place, str]]:
        """
        How many rows do not fit, and the first of them, each with its reason.

        Raises:
            BadMapping, EngineError: the rows cannot be looked at.
        """
        base = raw_rows(again, self.number, placed=True)
        try:
            count, found = misfits_of(self.engine, again, self.columns, base).find(self.engine, self.most)
        except BadValue:
            unread = _unread_json(self, again)
            if not unread:
                raise
            return len(unread), unread
        return count, {(one.file, one.row): one.reason for one in found}


def _unread_json(look: RejectSearch, again: Source) -> dict[Place, str]:
    """The rows of JSON whose values are not of the types that their columns have, where these are used."""
    engine, most = look.engine, look.most
    base, found = raw_rows(again, look.number, placed=True), dict[Place, str]()
    for one in look.texts:
        (part,) = (part for part in again.reading if part.path == one.copy)
        kinds = engine.columns(f"SELECT * FROM {part_reader(again, part)}")
        used = {name: kind for name, kind in kinds.items() if _used(engine, again, look.columns, base, name)}
        if one.dialect.delimiter or not used:
            continue
        values = {name: f"json_extract(json, {literal(pointer(name))})" for name in used}
        cases = [
            f"WHEN TRY({{'v': CAST({values[name]} AS {kind})}}) IS NULL THEN {i}"
            for i, (name, kind) in enumerate(used.items())
        ]
        shown = " ".join(f"WHEN {i} THEN CAST({value} AS VARCHAR)" for i, value in enumerate(values.values()))
        lines = with_options("read_json_objects", one.copy, {"format": "newline_delimited"})
        lines = f"SELECT row_number() OVER () AS n, json FROM {lines}"
        asked = f"SELECT n, json, CASE {' '.join(cases)} END AS c FROM ({lines})"
        names = list(used)
        for row, which, value in engine.rows(
            f"SELECT n, c, CASE c {shown} END FROM ({asked}) WHERE c IS NOT NULL ORDER BY n LIMIT {most:d}"
        ):
            found[one.place(row)] = f"{names[which]} = {value} is no {used[names[which]]}"
    return found


def _used(engine: Engine, source: Source, columns: Mapping[str, str], base: str, name: str) -> bool:
    """Whether an event of the source needs a raw column."""
    if name.lower() in {one.lower() for one in columns} - {one.lower() for one in source.settings.select}:
        return True
    try:
        misfits_of(engine, source, columns, f"SELECT * EXCLUDE ({quote(name)}) FROM ({base})")
    except BadMapping:
        return True
    return False


def pointer(name: str) -> str:
    """A name as a JSON pointer, which takes any."""
    return "/" + name.replace("~", "~0").replace("/", "~1")
