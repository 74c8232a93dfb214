"""
The rows of sources that fit, apart from those that do not: the tolerant way to read what the strict way refused.

A text file is copied with empty rows in the places of the broken ones, and read again, until nothing else is found; so
its other rows have the numbers and the types that they would have had without them. Rows of other sources are left out
by their numbers.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dualgauge.engines.errors import EngineError
from dualgauge.eventlog.errors import BadMapping, TooManyBadRows
from dualgauge.eventlog.lines import copy, dialect_of, named, plain, rows
from dualgauge.eventlog.looking import Look, NotToldApart, Place, Text, numbers_of
from dualgauge.eventlog.reading import Again, ending, load, options_of, raw_rows, reader, with_options
from dualgauge.ledger.misfit import Misfit
from dualgauge.model import literal, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.reading import Source


@dataclass(frozen=True, slots=True)
class Tolerance:
    """
    Rows that do not fit are set aside.

    Args:
        most: how many.
        keep: keeps them, before what fits is appended; gives how many of them wait. None in a dry run.
    """

    most: int
    keep: Callable[[Sequence[Misfit]], int] | None = None


def fit(
    engine: Engine, sources: Sequence[Source], columns: dict[str, str], folder: Path, *, most: int
) -> tuple[list[Source], list[Misfit]]:
    """
    The sources without the rows that do not fit, and these rows.

    Args:
        engine: the engine on which the strict way failed.
        sources: what it read.
        columns: declared columns and their types.
        folder: for copies of files; the sources that are given read them.
        most: how many rows may not fit, in all sources together.

    Raises:
        NotToldApart: which rows do not fit cannot be told.
        TooManyBadRows: there are more than `most`.
    """
    fitted, misfits = [], list[Misfit]()
    for number, source in enumerate(sources):
        if source.settings.query:
            fitted.append(source)
            continue
        (inner := folder / str(number)).mkdir()
        try:
            apart = separate(engine, source, columns, number, inner, most=most - len(misfits))
            misfits += _misfits(engine, apart, number)
        except (BadMapping, EngineError, OSError, EOFError) as fault:
            raise NotToldApart from fault
        if apart.fits:
            fitted.append(apart.source)
    return fitted, misfits


@dataclass(frozen=True, slots=True)
class Apart:
    """
    One source without the rows that do not fit, and the reasons of these.

    `source` reads copies of its `texts`; where `fits` is false, no file of it has a row that fits.
    """

    source: Source
    texts: tuple[Text, ...]
    reasons: Mapping[Place, str]
    fits: bool


def separate(engine: Engine, source: Source, columns: dict[str, str], number: int, folder: Path, *, most: int) -> Apart:
    """
    Tell the rows of one source that fit from those that do not. It has no query, and may be read again already.

    Raises:
        NotToldApart, TooManyBadRows: as `fit`.
        BadMapping, EngineError, OSError, EOFError: the source cannot be read.
    """
    texts = _texts(engine, source, folder)
    _load(engine, source, number)
    reasons: dict[Place, str] = {}
    for one in texts:
        reasons |= _broken(engine, source, one, most + 1 - len(reasons))
    _refuse_many(source, reasons, len(reasons), most)
    look, emptied = Look(engine, number, texts, columns, most + 1), dict(reasons)
    again, counts = _again(source, texts, emptied, reasons)
    for step in itertools.count() if again.files or not source.files else ():
        try:
            count, found = look.at(again, step)
        except (BadMapping, EngineError):
            if not step:
                raise
            # Without them the columns have types that the expressions do not fit, so they stand in the copies.
            again, counts = _again(source, texts, emptied, reasons)
            break
        new = {place: reason for place, reason in found.items() if place not in reasons}
        if not new:
            break
        _refuse_many(source, reasons | new, len(reasons) + max(count, len(new)), most)
        emptied, reasons = reasons, reasons | new
        again, counts = _again(source, texts, reasons, reasons)
        if source.files and not again.files:
            break
    for one in texts:
        if one.copy in again.files and engine.row(f"SELECT count(*) FROM {reader(again, one.copy)}") != (
            counts[one.copy],
        ):
            raise NotToldApart
    return Apart(again, tuple(texts), reasons, bool(again.files) or not source.files)


def _texts(engine: Engine, source: Source, folder: Path) -> list[Text]:
    found = []
    for number, file in enumerate(source.files):
        if dialect := dialect_of(engine, source, file):
            found.append(Text(file, source.label(file), dialect, folder / f"{number}{ending(file)}"))
    return found


def _load(engine: Engine, source: Source, number: int) -> None:
    """A Python object is read once: by the strict way, unless that failed before it came to this one."""
    if source.again is None and not source.files:
        try:
            engine.columns(f"SELECT * FROM ({raw_rows(source, number)})")
        except EngineError:
            load(engine, source, number)


def _broken(engine: Engine, source: Source, one: Text, most: int) -> dict[Place, str]:
    """The rows of a text that are none of its kind, at most `most`."""
    bad: set[int] = set()
    if not one.dialect.delimiter:
        lines = with_options("read_json_objects", one.file, {"format": "newline_delimited", "ignore_errors": True})
        numbered = f"SELECT row_number() OVER () AS n, json FROM {lines}"
        wrong = "json IS NULL OR json_type(json) <> 'OBJECT'"
        bad = {n for (n,) in engine.rows(f"SELECT n FROM ({numbered}) WHERE {wrong} ORDER BY n LIMIT {most:d}")}
    numbers, found = numbers_of(source, one.label), dict[Place, str]()
    for row in rows(one.file, one.dialect):
        fault = row.fault or ((json_fault(row.text) or "it is no JSON") if row.number in bad else "")
        if row.number and fault:
            found[one.label, numbers[row.number - 1] if numbers else row.number] = fault
            if len(found) >= most:
                break
    return found


def json_fault(text: str) -> str:
    """Why a text is no JSON object, as a phrase; empty where it is one."""
    try:
        found = json.loads(text)
    except ValueError as fault:
        place = f" at character {fault.pos + 1}" if isinstance(fault, json.JSONDecodeError) else ""
        return f"it is no JSON ({getattr(fault, 'msg', fault)}{place})"
    return "" if isinstance(found, dict) else "it is no JSON object"


def _again(
    source: Source, texts: Sequence[Text], emptied: Mapping[Place, str], without: Mapping[Place, str]
) -> tuple[Source, dict[Path, int]]:
    """The source over copies of its texts in which some rows are empty; with the number of rows of each copy."""
    counts, copies = {}, {one.file: one.copy for one in texts}
    for one in texts:
        numbers, label = numbers_of(source, one.label), one.label
        mine = {row for place, row in emptied if place == label}
        local = {n for n, row in enumerate(numbers, 1) if row in mine} if numbers else mine
        counts[one.copy] = copy(one.file, one.dialect, one.copy, local)
    left_out: dict[str, list[int]] = {}
    for label, row in without:
        left_out.setdefault(label, []).append(row)
    # A file without a row that fits is not read: nobody could tell what its columns hold.
    empty = {one.copy for one in texts if 0 < counts[one.copy] == len(left_out.get(one.label, ()))}
    labels = {copies.get(file, file): source.label(file) for file in source.files if copies.get(file) not in empty}
    before = source.again or Again()
    read = source.settings.read
    if texts:
        read = {name: value for name, value in read.items() if name.lower() not in ("encoding", "compression")}
    again = replace(
        source,
        settings=source.settings.model_copy(update={"read": read}),
        files=tuple(labels),
        again=replace(before, labels=labels, without=left_out),
    )
    return again, counts


def _misfits(engine: Engine, apart: Apart, number: int) -> list[Misfit]:
    """The rows that do not fit, with their text, in the order of the files."""
    again, texts, reasons = apart.source, apart.texts, apart.reasons
    found: list[Misfit] = []
    for one in texts:
        if not any(label == one.label for label, _ in reasons):
            continue
        if one.copy in again.files:
            columns = engine.columns(f"SELECT * FROM {reader(again, one.copy)}")
        else:
            columns = dict.fromkeys(named(one.file, one.dialect), "VARCHAR")
        read_as = {"columns": list(map(list, columns.items())), **one.dialect.kept()}
        if one.dialect.delimiter and one.copy in again.files:
            read_as |= _formats(engine, again, one.copy)
        numbers = numbers_of(again, one.label)
        for row in rows(one.file, one.dialect):
            at = numbers[row.number - 1] if numbers and row.number else row.number
            if at and (reason := reasons.get((one.label, at))):
                found.append(Misfit(again.name, one.label, at, plain(reason), plain(row.text), row.line, read_as))
    in_text = {one.label for one in texts}
    others = [place for place in reasons if place[0] not in in_text]
    if others:
        found += _typed_misfits(engine, again, {place: reasons[place] for place in others}, number)
    return found


def _formats(engine: Engine, again: Source, file: Path) -> dict[str, str]:
    """How days and times are written in a file: of one row by itself that may not be told."""
    try:
        sniffed = with_options("sniff_csv", file, options_of(again, file))
        day, time = engine.row(f"SELECT DateFormat, TimestampFormat FROM {sniffed}")
    except EngineError:
        return {}
    return {name: text for name, text in (("dateformat", day), ("timestampformat", time)) if text}


def _typed_misfits(engine: Engine, again: Source, reasons: Mapping[Place, str], number: int) -> list[Misfit]:
    """The same where rows are values: their text is JSON, each value as a text that gives it again."""
    assert again.again is not None  # noqa: S101  (of our own making)
    base = raw_rows(replace(again, again=replace(again.again, without={})), number, placed=True)
    kinds = {name: kind for name, kind in engine.columns(base).items() if name not in ("_file", "_row", "_at")}
    pairs = ", ".join(f"{literal(name)}, CAST({quote(name)} AS VARCHAR)" for name in kinds)
    wanted = ", ".join(f"({literal(label)}, {row:d})" for label, row in reasons)
    read_as = {"format": "values", "columns": list(map(list, kinds.items()))}
    # The number of a row among those that were read says nothing of its place in a database; its cursor does.
    cursor = again.settings.cursor if again.settings.url else ""
    place = f"CAST({quote(cursor)} AS VARCHAR)" if cursor else "''"
    return [
        Misfit(
            again.name, f"{cursor} {of}" if cursor else file, None if cursor else row,
            plain(reasons[file, row]), plain(text), None, read_as,
        )
        for file, row, of, text in engine.rows(
            f"SELECT _file, _row, {place}, CAST(json_object({pairs}) AS VARCHAR) FROM ({base}) "
            f"WHERE (_file, _row) IN ({wanted}) ORDER BY _at"
        )
    ]  # fmt: skip


def _refuse_many(source: Source, reasons: Mapping[Place, str], count: int, most: int) -> None:
    if len(reasons) > most:
        first = [(f"{file} row {row}".strip(), reason) for (file, row), reason in list(reasons.items())[:3]]
        raise TooManyBadRows(source.name, max(count, len(reasons)), first, list(reasons.values()))
