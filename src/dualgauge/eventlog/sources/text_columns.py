"""
CSV and JSON files as a source reads them: text to the letter, and a type where an expression needs more than text.

A column that stands alone for an event's id, its type, a VARCHAR or a declared column reaches it from its text. In an
expression it has the type that all of its values have, over every row; later values that are not of that type are rows
that do not fit.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from dualgauge.engines.errors import BadDialect, BadValue, BrokenFile, EngineError
from dualgauge.engines.files.column_types import (
    CANDIDATES,
    NAN,
    NUMBER,
    NUMBERS,
    Spelling,
    is_number,
    misfitting,
    types_of,
)
from dualgauge.engines.files.csv_text import csv_file, first_fault, nulls_of
from dualgauge.engines.files.errors import BadJson
from dualgauge.engines.files.json_types import (
    JsonFiles,
    JsonSpelling,
    check_json_options,
    define_faults,
    is_nested,
    json_misfitting,
    json_types,
)
from dualgauge.engines.files.text_rows import newlines, opened_bytes, partitions_of
from dualgauge.eventlog.columns import CAUSED_BY, column_of
from dualgauge.eventlog.errors import BadFile, BadReading, EmptyFile
from dualgauge.eventlog.sources.id_texts import with_texts_for
from dualgauge.eventlog.sources.json_values import define_json
from dualgauge.eventlog.sources.needed import typed_columns, words_of
from dualgauge.eventlog.sources.parquet_types import each_in_its_own_type, with_one_type, with_own_types
from dualgauge.eventlog.sources.readers import json_form, refuse_places, spelling_of, text_columns, text_rows
from dualgauge.eventlog.sources.source import format_of
from dualgauge.eventlog.sources.whole_objects import closed
from dualgauge.model import fold, listed, nearest, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.engines.files.csv_text import CsvFile
    from dualgauge.eventlog.settings import SourceSettings
    from dualgauge.eventlog.sources.source import Part, Source

ASIDE = "or set it aside with --on-bad-row quarantine"

_IN_PAYLOAD = ("BOOLEAN", NUMBER)
"""The types that are tried of a column that only the payload needs: all else is a text there."""

_KINDS = {"JSON[]": '["JSON"]'}
"""Types that are said of fields of JSON, and the shapes that they are."""

_FIRST = 1 << 20
_MANY, _COMPRESSED = 100, 8
"""CSV files that are read by one query: in all, and of those that are compressed, of which each takes 32 MiB."""


def with_texts(engine: Engine, source: Source, columns: Mapping[str, str]) -> Source:
    """
    The source with its CSV and JSON files as they are to be read; any other one as it is.

    Args:
        engine: where what must be written anew lies, for as long as it is open.
        source: `kinds` are the types that its columns had before.
        columns: declared columns and their types.

    Raises:
        BadReading: what `read` says cannot be.
        EmptyFile, BadFile: a file has no byte, or is none of its format, with the line at fault.
    """
    define_json(engine)
    if source.texts is not None or source.relation or not source.settings.path:
        return source
    reading = [(format_of(source, one.path), one) for one in source.reading if not one.nothing]
    csv = [one for kind, one in reading if kind == "read_csv"]
    json = [one for kind, one in reading if kind == "read_json"]
    if csv or json:
        return _in_texts(engine, source, columns, csv, json)
    return _in_parquet(engine, source, columns, [one.path for _, one in reading])


def _in_parquet(engine: Engine, source: Source, columns: Mapping[str, str], files: Sequence[Path]) -> Source:
    numbers = {name: kind for name, kind in source.kinds.items() if kind in (NUMBER, NAN)}
    before = {name: kind for name, kind in source.kinds.items() if name not in numbers}
    source = replace(_with_parquet(engine, source, columns, files), texts={}, kinds=before, alone=numbers)
    source = _with_bare(_with_ids(engine, source, {}), columns)
    names = {fold(name): name for name in chain(*source.own.values())}
    _refuse_unknown(source, {fold(name): name for name in source.beside} | names)
    needed = frozenset(map(fold, typed_columns(source.expressions, columns, names, as_it_stands=True)))
    return with_one_type(source, needed)


def _in_texts(
    engine: Engine, source: Source, columns: Mapping[str, str], csv: Sequence[Part], json: Sequence[Part]
) -> Source:
    folder = engine.folder / f"texts-{uuid.uuid4().hex}"
    texts = _csv_files(source, csv, folder)
    also = source.settings.read.get("types", ())
    source = replace(source, texts=texts, objects=_json_files(engine, source, json, folder, also))
    names = _names(source)
    refuse_places(source, source.settings.path, names.values())
    _refuse_unknown(source, names)
    source = _with_ids(engine, source, names)
    needed = {fold(one): one for one in typed_columns(source.expressions, columns, names, as_it_stands=True)}
    wanted = {fold(one): one for one in typed_columns(source.expressions, columns, names, as_it_stands=not csv)}
    said = {
        fold(name): _KINDS.get(str(kind), str(kind)) for name, kind in source.settings.read.get("types", {}).items()
    }
    said = _by_format(source.settings, columns, names) | said
    alone = wanted.keys() - needed.keys() - said.keys()
    # What was kept of a column that only the payload needed says no type for an expression that needs it since.
    kept = {
        name: in_payload(kind) if name in alone else kind
        for name, kind in {**source.kinds, **said}.items()
        if kind != NAN and (name in alone or (kind != NUMBER and (name in needed or name in said)))
    }
    if not json:
        # The name of a folder is text, also where it is a number: `zip=007` may come.
        folders = {fold(name) for text in texts.values() for name in text.partitions}
        kept |= dict.fromkeys(alone & folders, "VARCHAR")
    source = _gathered(engine, source)
    relation, spelling = text_rows(source), spelling_of(source)
    there = set(map(fold, text_columns(source)))
    time = column_of(source.settings.occurred_at)
    try:
        if time in wanted and time in there and time not in kept and (spelling.date or spelling.timestamp):
            kept[time] = _time_kind(engine, relation, names[time], spelling)
        # Beside texts, any text is one.
        sure = {name for name in alone if kept.get(name) not in _IN_PAYLOAD}
        known = {names[name]: kind for name, kind in kept.items() if name in there - sure}
        if json:
            known = closed(engine, source.expressions, known, names)
            kept |= {fold(name): kind for name, kind in known.items()}
        asked = {
            one: tuple(
                kind
                for kind in (_IN_PAYLOAD if name in alone else CANDIDATES)
                # Beside nan, `true` and a day are texts.
                if kind in NUMBERS or source.kinds.get(name) != NAN
            )
            for name, one in wanted.items()
            if name not in kept and name in there
        }
        by_where = words_of([source.settings.where]) & set(map(fold, names))
        found = _types(engine, relation, {one: asked[one] for one in asked if fold(one) in by_where}, spelling)
        of_where = known | {name: kind for name, kind in found.items() if kind != NAN}
        met = _met(engine, source, relation, {names[one]: "VARCHAR" for one in by_where & there} | of_where)
        found |= _types(engine, met, {one: asked[one] for one in asked if one not in found}, spelling)
        # A row that is left out gives no column its type, and need not be of it; nor need all values be of a shape.
        mine = {name: kind for name, kind in found.items() if kind != NAN and (met != relation or is_nested(kind))}
        fitted = known | mine
        if isinstance(spelling, JsonSpelling):
            unsure = json_misfitting(engine, relation, fitted, spelling)
        else:
            unsure = misfitting(engine, relation, fitted, spelling)
    except BadValue as fault:
        raise broken_text(source) or _unreadable(engine, source) or fault from fault
    kinds = {fold(name): kind for name, kind in found.items()} | kept
    held = {name: kinds.pop(name) for name, kind in tuple(kinds.items()) if name in alone or kind == NAN}
    untyped = (needed.keys() & there) - kinds.keys() - held.keys()
    declared = set(map(fold, columns))
    payload = {column_of(one) for name, one in source.settings.select.items() if fold(name) not in declared}
    return replace(
        source, kinds=kinds, alone=held, unsure={fold(name) for name in unsure}, untyped=untyped,
        needless=names.keys() - needed.keys() - payload,
    )  # fmt: skip


def _types(engine: Engine, relation: str, asked: Mapping[str, Sequence[str]], spelling: Spelling) -> dict[str, str]:
    if isinstance(spelling, JsonSpelling):
        return json_types(engine, relation, asked, spelling)
    return types_of(engine, relation, asked, spelling)


def _met(engine: Engine, source: Source, relation: str, kinds: Mapping[str, str]) -> str:
    """The rows that the source's `where` does not leave out, which needs columns of these types; all in doubt."""
    where, spelling = source.settings.where, spelling_of(source)
    if not where:
        return relation
    if source.objects:
        define_faults(engine, kinds)
    texts = {name: quote(f"_of {name}") for name in engine.columns(f"FROM {relation}")}
    inner = [f"{quote(name)} AS {text}" for name, text in texts.items()]
    inner += [
        f"CASE WHEN {spelling.fits(name, kind)} THEN {spelling.value(name, kind)} END AS {quote(name)}"
        for name, kind in kinds.items()
        if fold(name) in words_of([where])
    ]
    columns = ", ".join(f"{text} AS {quote(name)}" for name, text in texts.items())
    met = f"(SELECT {columns} FROM (SELECT {', '.join(inner)} FROM {relation}) WHERE TRY({where}\n))"
    try:
        engine.columns(f"FROM {met}")
    except EngineError:
        # It looks at other rows, or at the place of its own.
        return relation
    return met


def in_payload(kind: str) -> str:
    """What is kept of a column that only the payload needs: an older version kept a type of SQL."""
    return NUMBER if is_number(kind) else kind if kind == "BOOLEAN" else "VARCHAR"


def _gathered(engine: Engine, source: Source) -> Source:
    """The source with the rows of its CSV files in one table, where they are many: each costs every query a reader."""
    texts, nulls = list((source.texts or {}).values()), nulls_of(source.settings.read)
    compressed = sum(one.file.suffix.lower() == ".gz" for one in texts)
    if len(texts) <= _MANY and compressed <= _COMPRESSED:
        return source
    table = quote(f"_csv_{uuid.uuid4().hex}")
    names = dict.fromkeys(chain.from_iterable(one.columns for one in texts))
    columns = ", ".join(f"{quote(name)} VARCHAR" for name in names)
    engine.execute(f"CREATE TEMP TABLE {table} (_part INTEGER, _row BIGINT, {columns})")
    try:
        for first in range(0, len(texts), _MANY):
            bodies = (
                f"(SELECT {at} AS _part, row_number() OVER () AS _row, * FROM {one.relation(nulls)})"
                for at, one in enumerate(texts[first : first + _MANY], first)
            )
            engine.execute(f"INSERT INTO {table} BY NAME {' UNION ALL BY NAME '.join(bodies)}")
    except BadValue as fault:
        raise broken_text(source) or fault from fault
    return replace(source, gathered=table)


def _refuse_unknown(source: Source, names: Mapping[str, str]) -> None:
    """Raise where a type is said of a column that no file has; a field of JSON may come."""
    unknown = [one for one in source.settings.read.get("types", {}) if fold(one) not in names]
    if any(one.nothing for one in source.reading):
        # What is not read, since no row of it fits, has columns too.
        return
    if unknown and source.objects is None:
        what = f"names {unknown[0]!r}, which no file has{nearest(unknown[0], names.values())}"
        columns = f"the columns are {listed(list(names.values()), len(names))}"
        raise BadReading(source.name, BadDialect("types", what, f"mend the name, or take it out: {columns}"))


def _with_parquet(engine: Engine, source: Source, columns: Mapping[str, str], files: Sequence[Path]) -> Source:
    """
    The source with what is known of its Parquet files.

    The names of folders are text where no expression needs more: `zip=007` may come.
    """
    names = {fold(name): name for name in source.folders}
    # What an expression takes the text of, it needs as no more than that.
    needed = set(typed_columns(_with_ids(engine, source, names).expressions, columns, names, as_it_stands=True))
    kinds = {name: kind if name in needed else "VARCHAR" for name, kind in source.folders.items()}
    return with_own_types(engine, replace(source, _folders=[kinds]), files)


def _with_bare(source: Source, columns: Mapping[str, str]) -> Source:
    names = {fold(name): name for one in source.mixed.values() for name in one}
    needed = set(map(fold, typed_columns(source.expressions, columns, names, as_it_stands=True)))
    return replace(source, bare=names.keys() - needed)


def _with_ids(engine: Engine, source: Source, names: Mapping[str, str]) -> Source:
    settings, changed = source.settings, dict[str, Any]()
    texted = frozenset(fold(name) for one in source.mixed.values() for name in one)
    names = {fold(name): name for one in source.own.values() for name in one} | dict(names)

    def with_texts_of(expression: str) -> str:
        nonlocal texted
        if not expression or column_of(expression) in names:
            return expression
        written, found = with_texts_for(engine, expression, names)
        texted |= found
        return written

    for key in ("event_id", "type", CAUSED_BY):
        changed[key] = with_texts_of(getattr(settings, key))
    changed["select"] = {name: with_texts_of(one) for name, one in settings.select.items()}
    ids = {key: one for key, one in changed.items() if one != getattr(settings, key)}
    return replace(source, ids=ids, texted=texted, mixed=each_in_its_own_type(source, texted))


def _unreadable(engine: Engine, source: Source) -> BadFile | None:
    """The first CSV file that the engine cannot read at all, such as one of gzip with more behind it."""
    for part in source.reading:
        if text := (source.texts or {}).get(part.path):
            try:
                engine.rows(f"SELECT count(*) FROM {text.relation(nulls_of(source.settings.read))}")
            except EngineError as fault:
                return BadFile(source.name, source.label_of(part), f"it cannot be read ({part.told(fault)})")
    return None


def broken_text(source: Source) -> BadFile | None:
    """The first row of the CSV files that is none, as what stops an import; None where all are."""
    for part in source.reading:
        text = (source.texts or {}).get(part.path)
        if text and (broken := first_fault(text.file, text.dialect)):
            place = f"{source.label_of(part)} line {broken.line}"
            return BadFile(source.name, place, broken.reason, broken.hint or ASIDE)
    return None


def _csv_files(source: Source, parts: Sequence[Part], folder: Path) -> dict[Path, CsvFile]:
    found: dict[Path, CsvFile] = {}
    for number, part in enumerate(parts):
        label = source.label_of(part)
        try:
            if not part.path.stat().st_size:
                raise EmptyFile(source.name, label)
            found[part.path] = csv_file(part.path, source.settings.read, folder / str(number))
        except BadDialect as fault:
            raise BadReading(source.name, fault) from fault
        except BrokenFile as fault:
            # What is wrong before the first row is of no row that could be set aside.
            raise BadFile(source.name, f"{label} line {fault.line}", fault.reason, fault.hint) from fault
        except (OSError, EOFError) as fault:
            raise BadFile(source.name, label, f"it cannot be read ({fault})") from fault
    return found


def _json_files(
    engine: Engine, source: Source, parts: Sequence[Part], folder: Path, also: Iterable[str]
) -> JsonFiles | None:
    """`also` are fields that may be in no row yet, or that only other files have."""
    if not parts:
        return None
    from dualgauge.engines.files.json_text import read_json_texts

    by_path = {one.path: one for one in parts}
    try:
        check_json_options(source.settings.read)
    except BadDialect as fault:
        raise BadReading(source.name, fault) from fault
    _refuse_empty(source, parts)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        found = read_json_texts(
            engine, list(by_path), folder, spelled=source.beside,
            forms={path: json_form(source, path) for path in by_path},
        )  # fmt: skip
    except BadJson as fault:
        part = by_path[fault.file]
        place, advice = source.label_of(part), fault.advice
        if fault.line is not None:
            place, advice = f"{place} line {fault.line + newlines(part.file, part.start)}", ASIDE
        raise BadFile(source.name, place, fault.reason, advice) from fault
    if not sum(found.rows):
        raise EmptyFile(source.name, source.label_of(parts[0]))
    constants = []
    for part in parts:
        constants.append(dict.fromkeys(also) | partitions_of(part.path, ()))
        if told := source.settings.read.get("filename", False):
            constants[-1][told if isinstance(told, str) else "filename"] = str(part.file)
    return JsonFiles(found, tuple(by_path), tuple(constants))


def _refuse_empty(source: Source, parts: Sequence[Part]) -> None:
    for part in parts:
        label = source.label_of(part)
        try:
            with opened_bytes(part.path) as opened:
                if not opened.read(_FIRST).strip():
                    raise EmptyFile(source.name, label)
        except (OSError, EOFError) as fault:
            raise BadFile(source.name, label, f"it cannot be read ({fault})") from fault


def _names(source: Source) -> dict[str, str]:
    """The names of all columns by themselves in small letters. Raises BadFile where two files spell one differently."""
    names: dict[str, str] = {fold(name): name for name in source.beside}
    for name in source.objects.columns if source.objects else ():
        if (other := names.setdefault(fold(name), name)) != name:
            reason = f"its field {name!r} is called {other!r} in another file of the source"
            raise BadFile(source.name, source.settings.path, reason)
    for part in source.reading:
        file = (source.texts or {}).get(part.path)
        for name in file.columns if file else ():
            if file and (other := names.setdefault(fold(name), name)) != name:
                place = f"{source.label_of(part)} line {file.dialect.skip + 1}"
                reason = f"its column {name!r} is called {other!r} in another file of the source"
                raise BadFile(source.name, place, reason, "or say the names by `names`")
    return names


def _by_format(settings: SourceSettings, columns: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """The columns that stand alone for a declared time whose format is said, with its type: every value is one."""
    spelling, found = Spelling.of(settings.read), {}
    select = {fold(name): expression for name, expression in settings.select.items()}
    for name, kind in columns.items():
        column = column_of(select.get(fold(name), name))
        if spelling.format_of(kind) and column in names:
            found[column] = kind
    return found


def _time_kind(engine: Engine, relation: str, name: str, spelling: Spelling) -> str:
    """The type of a column of times where formats are said: the one that most of its values are written in, if any."""
    kinds = [kind for kind in ("TIMESTAMPTZ", "TIMESTAMP", "DATE") if spelling.format_of(kind)]
    asked = [f"count(*) FILTER ({quote(name)} IS NOT NULL AND {spelling.fits(name, kind)})" for kind in kinds]
    counts = dict(zip(engine.row(f"SELECT {', '.join(asked)} FROM {relation}"), kinds, strict=True))
    return counts[max(counts)] if max(counts) else "VARCHAR"
