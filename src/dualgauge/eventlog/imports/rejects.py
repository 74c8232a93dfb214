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

from dualgauge.engines.errors import BrokenFile, EngineError
from dualgauge.engines.files.column_types import NUMBER
from dualgauge.engines.files.csv_text import look_into
from dualgauge.engines.files.json_types import raw_of
from dualgauge.engines.files.text_rows import LINES, LineDialect, copy, newlines, partitions_of, rows
from dualgauge.eventlog.errors import BadMapping
from dualgauge.eventlog.imports.errors import TooManyBadRows
from dualgauge.eventlog.imports.read_as import ESCAPED, MAPPING, OWN, columns_of, plain, read_as_of
from dualgauge.eventlog.imports.row_types import kinds_by_row
from dualgauge.eventlog.sources.broken import refuse_cut
from dualgauge.eventlog.sources.copies import folder_for
from dualgauge.eventlog.sources.cursor import mapping_of
from dualgauge.eventlog.sources.kept_rows import makes_own_events, misfitting
from dualgauge.eventlog.sources.readers import json_form, raw_rows, spelling_of, text_columns, text_of
from dualgauge.eventlog.sources.source import CURSOR_ORDER, Part, by_cursor, ending_of, format_of, load
from dualgauge.eventlog.sources.text_columns import in_payload, with_texts
from dualgauge.ledger.misfit import Misfit
from dualgauge.model import fold, literal, quote

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.engines.files.json_types import JsonFiles
    from dualgauge.eventlog.sources.source import Source


Place = tuple[str, int]
"""A file as event ids call it, and the number of a row in it."""


class NotToldApart(Exception):
    """Which rows do not fit cannot be told. The strict way's error stands."""


@dataclass(frozen=True, slots=True)
class Text:
    """
    A part that is a text, its label, how it is written, and where its copy is.

    `names` are those of the columns of CSV, `before` counts the file's rows that lie before the part.
    """

    part: Part
    label: str
    dialect: LineDialect
    names: tuple[str, ...]
    copy: Path
    before: int

    def place(self, number: int) -> Place:
        """The place of a row of the text, by its number in it."""
        return self.label, self.part.numbers[number - 1] if self.part.numbers else number + self.before

    def local(self, numbers: Collection[int]) -> set[int]:
        """The numbers in the text of rows of these numbers."""
        if self.part.numbers:
            return {n for n, row in enumerate(self.part.numbers, 1) if row in numbers}
        return {row - self.before for row in numbers}


@dataclass(frozen=True, slots=True)
class Apart:
    """One source without the rows that do not fit, and the reasons of these. `texts` are those of its parts."""

    source: Source
    texts: tuple[Text, ...]
    reasons: Mapping[Place, str]


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
        CutColumn, BadFile: a file cannot be read as it stands, whatever its rows hold.
    """
    fitted, misfits = [], list[Misfit]()
    for number, source in enumerate(sources):
        if not makes_own_events(source):
            fitted.append(with_texts(engine, source, columns))
            continue
        try:
            apart = separate(engine, source, columns, number, folder / str(number), most=most - len(misfits))
            mapping = {MAPPING: mapping_of(source.settings)}
            misfits += [replace(one, read_as={**one.read_as, **mapping}) for one in _misfits(engine, apart, number)]
        except (BadMapping, BrokenFile, EngineError, OSError, EOFError) as fault:
            raise NotToldApart from fault
        fitted.append(apart.source)
    return fitted, misfits


def separate(engine: Engine, source: Source, columns: dict[str, str], number: int, folder: Path, *, most: int) -> Apart:
    """
    Tell the rows of one source that fit from those that do not. Each makes its own events; some may be read again.

    Raises:
        NotToldApart, TooManyBadRows: as `fit`.
        BadMapping, EngineError, OSError, EOFError: the source cannot be read.
    """
    texts = tuple(_texts(source, folder))
    _load(engine, source, number)
    reasons = _broken(engine, source, texts, folder, most + 1)
    _refuse_many(source, reasons, len(reasons), most)
    emptied = set(reasons)
    again, counts = _again(source, texts, emptied, reasons)
    for step in itertools.count():
        again = with_texts(engine, again, columns)
        if not step and not source.again and source.settings.path:
            refuse_cut(engine, again)
        if again.nothing:
            break
        try:
            count, found = misfitting(engine, again, columns, number, most + 1)
        except (BadMapping, EngineError):
            if not step:
                raise
            # Without them the columns have types that the expressions do not fit, so they stand in the copies.
            again, counts = _again(source, texts, emptied, reasons)
            again = with_texts(engine, again, columns)
            break
        new = {(one.file, one.row): one.reason for one in found if (one.file, one.row) not in reasons}
        if not new:
            break
        _refuse_many(source, reasons | new, len(reasons) + max(count, len(new)), most)
        emptied, reasons = set(reasons), reasons | new
        again, counts = _again(source, texts, set(reasons), reasons)
    rows_of = again.objects.rows if again.objects else {}
    for one, part in _read(again, texts):
        if part.nothing:
            continue
        file = (again.texts or {}).get(part.path)
        read = engine.row(f"SELECT count(*) FROM {file.relation()}")[0] if file else rows_of[part.path]
        if read != counts[one.copy]:
            raise NotToldApart
    return Apart(again, texts, reasons)


def kinds_anew(engine: Engine, source: Source, columns: Mapping[str, str], folder: Path) -> dict[Place, dict[str, str]]:
    """
    The types of a text source's columns for each of its rows, by the `kinds` that its file had and by the row's values.

    Rows that are broken have none, and so do columns without a type whose value is NULL.

    Raises:
        BadMapping, EngineError, OSError, EOFError: the source cannot be read.
    """
    texts = tuple(_texts(source, folder))
    broken = _broken(engine, source, texts, folder, sum(len(part.numbers) for part in source.reading))
    again = with_texts(engine, replace(_again(source, texts, broken, broken)[0], kinds={}), columns)
    if again.nothing:
        return {}
    # What is not needed, or said, is of no type that was not kept.
    none = {*map(fold, source.settings.read.get("types", ())), *(again.needless - source.kinds.keys())}
    kinds = {name: source.kinds.get(fold(name), "") for name in text_columns(again) if fold(name) not in none}
    typed = {*again.kinds, *again.untyped}
    beside = dict.fromkeys(again.beside, "VARCHAR")
    # As texts, of which none is to be of a type.
    rows_of = raw_rows(replace(again, kinds={}, alone={}, unsure=(), beside=beside), 0, placed=True)
    return {
        place: {
            # An expression takes what is a number of no type as a text.
            fold(name): "VARCHAR"
            if kind == NUMBER and fold(name) in typed
            else kind
            if fold(name) in typed or kind == source.kinds.get(fold(name))
            else in_payload(kind)
            for name, kind in found.items()
        }
        for place, found in kinds_by_row(engine, f"({rows_of})", kinds, spelling_of(again)).items()
    }


def _texts(source: Source, folder: Path) -> list[Text]:
    found = []
    for number, part in enumerate(source.reading if not source.relation else ()):
        if written := _written(source, part.path):
            inner = folder_for(part.path, folder / str(number))
            name = part.file.name.removesuffix(".gz").removesuffix(".GZ")
            target = inner / (name if ending_of(part.file) in name else "rows")
            found.append(Text(part, source.label_of(part), *written, target, part.counted))
    return found


def _written(source: Source, file: Path) -> tuple[LineDialect, tuple[str, ...]] | None:
    """
    How a text file is written, and the names of the columns of CSV.

    None where its rows cannot be told apart: it is Parquet, or no object a line.
    """
    match format_of(source, file):
        case "read_csv":
            return look_into(file, source.settings.read)
        case "read_json" if json_form(source, file) == LINES:
            return LineDialect(), ()
        case _:
            return None


def _read(again: Source, texts: Sequence[Text]) -> list[tuple[Text, Part]]:
    """The texts with the parts that read their copies."""
    parts = {part.path: part for part in again.reading}
    return [(one, parts[one.copy]) for one in texts]


def _load(engine: Engine, source: Source, number: int) -> None:
    """A Python object is read once: by the strict way, unless that failed before it came to this one."""
    if source.settings.python and not source.again:
        try:
            engine.columns(f"SELECT * FROM ({raw_rows(source, number)})")
        except EngineError:
            load(engine, source, number)


def _broken(engine: Engine, source: Source, texts: Sequence[Text], folder: Path, most: int) -> dict[Place, str]:
    """The rows of texts that are none of their kind, at most `most`."""
    files = [one.part.path for one in texts if not one.dialect.delimiter]
    bad = _no_objects(engine, files, folder / "json", source.beside)
    found: dict[Place, str] = {}
    for one in texts:
        for row in rows(one.part.path, one.dialect):
            reason = bad.get((one.part.path, row.line), "")
            fault = row.fault or (reason and (json_fault(row.text) or reason))
            if row.number and fault:
                found[one.place(row.number)] = fault
                if len(found) >= most:
                    return found
    return found


def _no_objects(
    engine: Engine, files: Sequence[Path], folder: Path, spelled: Collection[str]
) -> dict[tuple[Path, int], str]:
    """The lines of JSON files that hold no object, or one that names a field in two ways, with what is said of them."""
    if not files:
        return {}
    from dualgauge.engines.files.json_text import read_json_texts

    folder.mkdir(parents=True)
    forms = dict.fromkeys(files, LINES)
    faults = read_json_texts(engine, files, folder, forms=forms, spelled=spelled, tolerant=True).faults
    return {(one.file, one.line): one.reason for one in faults}


def json_fault(text: str) -> str:
    """Why a text is no JSON object, as a phrase; empty where it is one."""
    try:
        # Python makes no integer of more than 4,300 digits.
        found = json.loads(text, parse_int=str, parse_float=str)
    except RecursionError:
        # Its reader has no such bound, and tells what else may be wrong.
        return ""
    except ValueError as fault:
        place = f" at character {fault.pos + 1}" if isinstance(fault, json.JSONDecodeError) else ""
        return f"it is no JSON ({getattr(fault, 'msg', fault)}{place})"
    return "" if isinstance(found, dict) else "it is no JSON object"


def _again(
    source: Source, texts: Sequence[Text], emptied: Collection[Place], without: Mapping[Place, str]
) -> tuple[Source, dict[Path, int]]:
    """The source over copies of its texts in which some rows are empty; with the number of rows of each copy."""
    counts: dict[Path, int] = {}
    left_out: dict[str, list[int]] = {}
    for label, row in without:
        left_out.setdefault(label, []).append(row)
    copies: dict[Path, Path] = {}
    for one in texts:
        local = one.local({row for label, row in emptied if label == one.label})
        counts[one.copy] = copy(one.part.path, one.dialect, one.copy, local)
        copies[one.part.path] = one.copy
    parts = []
    for part in source.reading:
        mine, of = left_out.get(source.label_of(part), []), copies.get(part.path)
        # A file without a row that fits is not read: nobody could tell what its columns hold.
        nothing = of is not None and 0 < counts[of] == len(mine)
        parts.append(replace(part, path=of or part.path, without=mine, nothing=nothing))
    read = source.settings.read
    if texts:
        read = {name: value for name, value in read.items() if name != "encoding"}
    if not source.settings.path and not parts:
        parts = [Part(source.root, source.root, without=left_out.get("", []))]
    settings = source.settings.model_copy(update={"read": read})
    again = replace(source, settings=settings, parts=tuple(parts), again=True, texts=None, gathered="", objects=None)
    return again, counts


def _misfits(engine: Engine, apart: Apart, number: int) -> list[Misfit]:
    """The rows that do not fit, with their text, in the order of the files."""
    again, texts, reasons = apart.source, apart.texts, apart.reasons
    found: list[Misfit] = []
    fields, columns = again.objects.columns if again.objects else (), columns_of(again)
    for one, part in _read(again, texts):
        if not any(label == one.label for label, _ in reasons):
            continue
        read_as = read_as_of(again, one.names or fields, one.dialect, partitions_of(one.copy, ()), columns)
        before = newlines(part.file, part.start)
        for row in rows(one.part.path, one.dialect):
            if row.number and (reason := reasons.get(one.place(row.number))):
                line = row.line + before
                _, at = one.place(row.number)
                text = plain(row.text)
                marked = {**read_as, ESCAPED: True} if text != row.text else read_as
                found.append(Misfit(again.name, one.label, at, plain(reason), text, line, marked))
    in_text = {one.label for one in texts}
    others = {place: reason for place, reason in reasons.items() if place[0] not in in_text}
    if others:
        objects = again.objects
        found += (
            _object_misfits(engine, again, objects, others, number)
            if objects
            else _typed_misfits(engine, again, others, number)
        )
    return found


def _object_misfits(
    engine: Engine, again: Source, objects: JsonFiles, reasons: Mapping[Place, str], number: int
) -> list[Misfit]:
    """The same where rows are the objects of an array: their text is the object, the blanks between its parts aside."""
    parts = tuple(replace(part, without=()) for part in again.reading)
    base = raw_rows(replace(again, parts=parts), number, placed=True)
    members = ", ".join(
        f"{literal(f'{json.dumps(name, ensure_ascii=False)}:')} || {quote(raw_of(name))}"
        for name in objects.texts.columns
    )
    wanted = ", ".join(f"({literal(label)}, {row:d})" for label, row in reasons)
    read_as = read_as_of(again, objects.columns, LineDialect(), (), columns_of(again))
    rows_of = engine.rows(
        f"SELECT _file, _row, '{{' || concat_ws(', ', {members}) || '}}' FROM ({base}) "
        f"WHERE (_file, _row) IN ({wanted}) ORDER BY _at"
    )
    return [
        Misfit(again.name, file, row, plain(reasons[file, row]), plain(text), None, read_as)
        for file, row, text in rows_of
    ]


def _typed_misfits(engine: Engine, again: Source, reasons: Mapping[Place, str], number: int) -> list[Misfit]:
    """The same where rows are values: their text is JSON, each value as a text that gives it again."""
    parts = tuple(replace(part, without=()) for part in again.reading)
    base = raw_rows(replace(again, parts=parts), number, placed=True)
    # What a column is in its own file, where others have it in another type.
    own = {again.label_of(part): dict(again.mixed.get(part.path, {})) for part in parts}
    mixed = {name for one in own.values() for name in one}
    places = ("_file", "_row", "_at", *([CURSOR_ORDER] if by_cursor(again.settings) else []))
    beside = {of(name) for of in (raw_of, text_of) for name in mixed}
    kinds = {name: kind for name, kind in engine.columns(base).items() if name not in {*places, *beside}}
    pairs = ", ".join(
        f"{literal(name)}, CAST({quote(text_of(name) if name in mixed else name)} AS VARCHAR)" for name in kinds
    )
    wanted = ", ".join(f"({literal(label)}, {row:d})" for label, row in reasons)
    read_as = {"format": "values", "columns": list(map(list, kinds.items()))}
    # The number of a row among those that were read says nothing of its place in a database; its cursor does.
    cursor = again.settings.cursor if again.settings.url else ""
    place = f"CAST({quote(cursor)} AS VARCHAR)" if cursor else "''"
    return [
        Misfit(
            again.name, f"{cursor} {of}" if cursor else file, None if cursor else row,
            plain(reasons[file, row]), plain(text), None, read_as | ({OWN: own[file]} if own.get(file) else {}),
        )
        for file, row, of, text in engine.rows(
            f"SELECT _file, _row, {place}, CAST(json_object({pairs}) AS VARCHAR) FROM ({base}) "
            f"WHERE (_file, _row) IN ({wanted}) ORDER BY {places[-1]}"
        )
    ]  # fmt: skip


def _refuse_many(source: Source, reasons: Mapping[Place, str], count: int, most: int) -> None:
    if len(reasons) > most:
        first = [(f"{file} row {row}".strip(), reason) for (file, row), reason in list(reasons.items())[:3]]
        raise TooManyBadRows(source.name, max(count, len(reasons)), first, list(reasons.values()))
