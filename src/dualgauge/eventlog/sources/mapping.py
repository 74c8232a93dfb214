"""
A source as one SELECT of events.

Every source, whatever it reads, becomes a query with the columns `event_id, type, occurred_at, payload`, the
declared ones, and two that only order the import: `_due` (the time by which sources are merged) and `_tie`
(the place in the files, where their order counts). Column names are compared as SQL does it, without case.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dualgauge.engines.errors import BadStatement, BadValue, EngineError
from dualgauge.engines.files.column_types import Spelling, is_number
from dualgauge.engines.files.json_types import raw_of
from dualgauge.engines.lexer import pieces
from dualgauge.eventlog.columns import CAUSED_BY, ENVELOPE, column_of
from dualgauge.eventlog.errors import (
    BadFile,
    BadMapping,
    NoSuchFile,
    NoSuchSource,
    WhichSource,
)
from dualgauge.eventlog.sources.advice import in_no_row, only_text, word_of_sql
from dualgauge.eventlog.sources.broken import refuse_cut
from dualgauge.eventlog.sources.comparisons import in_brackets, refuse_bent
from dualgauge.eventlog.sources.databases import load_rows
from dualgauge.eventlog.sources.json_values import as_json, as_valid, as_written, define_json, miswritten
from dualgauge.eventlog.sources.losses import NO_PAYLOAD, by_text, finer_than_kept, loses, outside
from dualgauge.eventlog.sources.ordering import due, order_of, refuse_unordered
from dualgauge.eventlog.sources.readers import raw_rows, reader, text_of, unbounded_rows
from dualgauge.eventlog.sources.source import (
    CURSOR_ORDER,
    FILE_ORDER,
    Source,
    by_cursor,
    format_of,
    load,
    matches,
    refuse_alike,
    refuse_several_formats,
    told,
)
from dualgauge.eventlog.sources.text_columns import with_texts
from dualgauge.eventlog.sources.untyped import refuse_untyped
from dualgauge.model import fold, listed, literal, quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.settings import SourceSettings

_UNTRIED = re.compile(r"\(\s*(SELECT|WITH|FROM)\b|\b(unnest|over)\b", re.IGNORECASE)
"""In expressions that the engine does not take within `TRY`: subqueries, and what is no value of one row."""

_AS_IT_STANDS = "JSON"
"""The type of what goes into the payload: JSON keeps its text there."""

_PLACE = (
    f"which source has: the place of a row in the order of the cursor; add {CURSOR_ORDER} to what it selects, or name "
    'another order, such as order_by = "occurred_at"'
)


def choose(
    sources: Sequence[SourceSettings], root: Path, config: Path, wanted: str | None, *, every: bool
) -> list[Source]:
    """
    The sources of a call: all of them, one by its name, one by a file that it reads, or the only one.

    Raises:
        NoSuchSource: nothing has that name.
        WhichSource: several sources and no choice.
        NoSuchFile: a chosen source's path matches nothing.
    """
    if every:
        return [_with_files(one, root) for one in sources]
    if wanted is None:
        if len(sources) > 1:
            raise WhichSource([one.name for one in sources])
        if not sources:
            raise NoSuchSource("", [], config)
        return [_with_files(sources[0], root)]
    for one in sources:
        if one.name == wanted:
            return [_with_files(one, root)]
    # What no file can be called, such as a name of ten thousand characters, is no file.
    with suppress(OSError, ValueError):
        file = Path(wanted).resolve()
        for one in sources:
            if one.path and file in matches(one, root):
                return [Source(settings=one, root=root, files=(file,))]
    raise NoSuchSource(wanted, [one.name for one in sources], config)


def select(engine: Engine, source: Source, columns: dict[str, str], number: int) -> str:
    """
    The source as a SELECT of events, checked against its columns.

    Args:
        engine: where a Python object is registered; files are only looked at, and of a database some rows are taken
            where none are there yet.
        source: the source.
        columns: declared columns and their types.
        number: the source's place in the call, which names its relation.

    Raises:
        BadMapping: an expression or the query does not fit, naming the columns that there are.
        BadFile, EmptyFile: a file cannot be read.
    """
    source = with_texts(engine, source, columns)
    if not source.again:
        refuse_cut(engine, source)
        if source.settings.url and source.state is None:
            load_rows(engine, source, number, sample=True)
        load(engine, source, number)
    mapped, names = events_of(engine, source, columns, number)
    for needed in ("event_id", "type", "occurred_at"):
        if needed not in lowered(names):
            raise BadMapping(source.name, f"its query gives no column {needed!r}", tuple(names))
    if by_cursor(source.settings) and CURSOR_ORDER not in lowered(names):
        # In the order of when they occurred, rows of one import and of several would have other positions.
        raise BadMapping(source.name, f"its query gives no column {CURSOR_ORDER!r}, {_PLACE}", tuple(names))
    events = _enveloped(engine, source, mapped, names, columns)

    def of(other: Source) -> str:
        return _enveloped(engine, other, *events_of(engine, other, columns, number), columns)

    refuse_untyped(engine, source, events, of, columns)
    return events


def events_of(engine: Engine, source: Source, columns: dict[str, str], number: int) -> tuple[str, dict[str, str]]:
    """A loaded source's events as its settings give them, and their columns with types. Raises BadMapping, BadFile."""
    define_json(engine)
    base = raw_rows(source, number)
    settings = source.expressions
    available = _available(engine, source, base)
    base = unbounded_rows(source, base, available)
    mapped = queried(base, settings) if settings.query else row_mapping(base, settings, columns, available)
    known = tuple(name for name in available if not name.startswith("_"))
    try:
        names = described(engine, source, mapped, known)
    except BadMapping:
        _refuse_setting(engine, source, base, available, columns)
        raise
    if settings.query:
        _refuse_renamed(engine, source, base, names)
        refuse_unordered(engine, source, known)
    refuse_bent(engine, source, available, columns, names if settings.query else ())
    return mapped, names


def _refuse_renamed(engine: Engine, source: Source, base: str, names: Mapping[str, str]) -> None:
    """Raise BadMapping where a query gives two columns of one name, of which the engine calls the second `a_1`."""
    if not any(fold(re.sub("_[0-9]+$", "", name)) in lowered(dict(names)) for name in names if name[-1:].isdigit()):
        return
    with engine.bound("source", base):
        # By itself: as a part of another one its columns have other names already.
        given = [name for name, *_ in engine.rows(f"DESCRIBE {source.expressions.query}")]
    refuse_alike(source, "query", given)


def _refuse_setting(
    engine: Engine, source: Source, base: str, available: dict[str, str], columns: Mapping[str, str]
) -> None:
    """Raise BadMapping for the first of a source's expressions that fails on its own; else do nothing."""
    settings = columns_quoted(source.settings, available, columns)
    known = tuple(name for name in available if not name.startswith("_"))
    for name, expression in settings.sql().items():
        try:
            engine.columns(queried(base, settings) if name == "query" else f"SELECT {expression} FROM ({base})")
        except EngineError as fault:
            advice = f"{fault.unknown_column(known)}{word_of_sql(engine, fault, expression, known)}"
            advice += only_text(source, fault, expression, known) or in_no_row(source, fault, known)
            reason = f"{fault.reason.splitlines()[0].rstrip('!')}{advice}"
            what = name if name == "query" else f"{name} = {expression!r}"
            raise BadMapping(source.name, reason, known, what) from fault


def places(engine: Engine, source: Source, columns: dict[str, str], number: int, event_id: str) -> list[str]:
    """Where the rows of an event id stand in the files of a source read before; none where that cannot be told."""
    if source.settings.query or not source.files:
        return []
    base = raw_rows(source, number, placed=True)
    try:
        available = described(engine, source, base, ())
        base = unbounded_rows(source, base, available)
        mapped = row_mapping(base, source.expressions, columns, available, placed=True)
        rows = engine.rows(f"SELECT _file, _row FROM ({mapped}) WHERE event_id = ? ORDER BY _file, _row", [event_id])
    except (BadMapping, EngineError):
        return []
    return [place_of(file, row) for file, row in rows]


def columns_quoted(
    settings: SourceSettings, available: Mapping[str, str], columns: Mapping[str, str]
) -> SourceSettings:
    """
    The settings with every expression that is just a column's name in quotes; its text, where that is what is needed.

    So a column may be called `at`, `order` or `Unit Price`, without its user knowing the words of SQL.
    """
    names = {fold(name): name for name in available}

    def quoted(expression: str, kind: str = "") -> str:
        name = names.get(column_of(expression))
        return expression if name is None or expression == FILE_ORDER else _alone(settings, name, available, kind)

    texts = {key: quoted(getattr(settings, key), "VARCHAR") for key in ("event_id", "type", CAUSED_BY)}
    # A time is a time in whichever form, unless one is said.
    formats = Spelling.of(settings.read if settings.path else {})
    values = {
        "occurred_at": quoted(settings.occurred_at, "" if formats.date or formats.timestamp else "TIMESTAMPTZ"),
        "order_by": quoted(settings.order_by),
    }
    kinds = {fold(name): kind for name, kind in columns.items()}
    select = {
        name: quoted(expression, kinds.get(fold(name), _AS_IT_STANDS)) for name, expression in settings.select.items()
    }
    return settings.model_copy(update={**texts, **values, "select": select})


def _alone(settings: SourceSettings, name: str, available: Mapping[str, str], kind: str) -> str:
    """A column that stands by itself, for a value of a declared type: its text, but for times that have a format."""
    spelling = Spelling.of(settings.read if settings.path else {})
    if kind == _AS_IT_STANDS:
        # A JSON field has its own text; what stands in CSV is written as it stands there.
        raws = [quote(raw_of(name))] if raw_of(name) in available else []
        said = fold(name) in map(fold, settings.read.get("types", ())) or text_of(name) not in available
        if text_of(name) in available and (is_number(available[name]) or not said):
            raws.append(as_written(spelling.number(quote(text_of(name))), available[name]))
        name = name if said else text_of(name)
        values = [*(f"CAST({one} AS JSON)" for one in raws if one), as_json(quote(name), available[name])]
        return f"coalesce({', '.join(values)})" if values[1:] else quote(name)
    if text_of(name) in available and kind and not spelling.format_of(kind):
        name = text_of(name)
    return spelling.number(quote(name)) if is_number(kind) and available[name] == "VARCHAR" else quote(name)


def place_of(file: str, row: int) -> str:
    """A row's place for a sentence: `data/a.csv row 7`; that of a row of a database is its cursor."""
    return f"{file} row {row}".strip() if row else file


def lowered(names: dict[str, str]) -> dict[str, str]:
    """Column names in small letters, with their types."""
    return {fold(name): kind for name, kind in names.items()}


def _with_files(settings: SourceSettings, root: Path) -> Source:
    if not settings.path:
        return Source(settings=settings, root=root)
    files = matches(settings, root)
    # A pattern may match nothing any more: files are archived when they were taken in. An import knows.
    if not files and not set(settings.path) & set("*?["):
        raise NoSuchFile(settings.name, settings.path)
    source = Source(settings=settings, root=root, files=tuple(files))
    refuse_several_formats(source.name, map(source.label, files))
    return source


def queried(base: str, settings: SourceSettings) -> str:
    """The user's query; with `order_by = "file"` its rows keep the order in which it gives them."""
    place = ", row_number() OVER () AS _at" if settings.order_by == FILE_ORDER else ""
    return f"SELECT *{place} FROM (WITH source AS ({base}) SELECT * FROM {in_brackets(settings.query)})"


def row_mapping(
    base: str, settings: SourceSettings, columns: dict[str, str], available: dict[str, str], *, placed: bool = False
) -> str:
    """One event a row; `placed`, an expression that fails gives NULL, and the row's place comes along."""
    settings = columns_quoted(settings, available, columns)
    chosen = mapping(settings, columns, available)
    if placed:
        chosen = {name: tried(expression) for name, expression in chosen.items()}
    if settings.order_by == FILE_ORDER:
        chosen["_at"] = "_at"
    if placed:
        chosen |= {"_file": "_file", "_row": "_row"}
    body = ", ".join(f"{expression} AS {quote(name)}" for name, expression in chosen.items())
    where = f" WHERE {settings.where}" if settings.where else ""
    return f"SELECT {body} FROM ({base}){where}"


def tried(expression: str, wrapped: str = "{}") -> str:
    """An expression that gives NULL where it fails; one of which the engine tries none, as it is."""
    tries = _UNTRIED.search(" ".join(pieces(expression))) is None
    return f"TRY({wrapped.format(expression)})" if tries else wrapped.format(expression)


def mapping(settings: SourceSettings, columns: dict[str, str], available: dict[str, str]) -> dict[str, str]:
    """The expression of each column of an event, of settings whose columns are in quotes; `_order` that of the time."""
    event_id = settings.event_id or f"{'_file' if settings.path else literal(settings.name)} || '#' || _row"
    select = settings.select | ({CAUSED_BY: settings.caused_by} if settings.caused_by else {})
    by_name = {fold(name): name for name in available}
    wanted = by_name.keys() - lowered(select).keys()
    chosen = {
        "event_id": f"CAST({event_id} AS VARCHAR)",
        "type": settings.type, "occurred_at": settings.occurred_at,
        **{name: _alone(settings, by_name[fold(name)], available, kind) for name, kind in columns.items()
           if fold(name) in wanted}, **select,
    }  # fmt: skip
    if by_cursor(settings):
        # A row that waited in the quarantine has lost its place, and keeps that among those that are retried.
        chosen[CURSOR_ORDER] = CURSOR_ORDER if CURSOR_ORDER in available else "_at"
    elif settings.order_by not in ("", FILE_ORDER):
        chosen["_order"] = settings.order_by
    return chosen


def _enveloped(engine: Engine, source: Source, mapped: str, names: dict[str, str], columns: dict[str, str]) -> str:
    settings = source.settings
    given = lowered(names)
    own = {*lowered(columns), *ENVELOPE}
    rest = [name for name in names if fold(name) not in own and not name.startswith("_")]
    payload = "NULL"
    if rest and "payload" in given:
        reason = f"it gives payload, and {listed(rest)} beside it, which would stand in the payload: declare them"
        raise BadMapping(source.name, reason, tuple(names))
    if rest:
        payload = _payload({name: names[name] for name in rest})
    order = order_of(settings, names)
    kind = described(engine, source, f"SELECT {order} AS _order FROM ({mapped})", ())["_order"] if order else ""
    when, tie = due(source, order, kind)
    untimely = f"occurred_at IS NULL OR {outside('occurred_at', 'TIMESTAMPTZ')}"
    if (finer := finer_than_kept("occurred_at", given["occurred_at"])) != "false":
        untimely += f" OR {finer}"
    if order:
        untimely += f" OR ({order}) IS NULL"
    if order and kind == "VARCHAR":
        untimely += f" OR {loses(f'({order})', kind, 'TIMESTAMPTZ')}"
    fields = [
        *(_checked(name, f"{name} IS NULL", f"a row without {name}", ENVELOPE[name]) for name in ("event_id", "type")),
        _checked("occurred_at", untimely, "a row without occurred_at (years 1 to 9999) or order_by", "TIMESTAMPTZ"),
        _checked("payload", NO_PAYLOAD, "a payload that is no JSON", "VARCHAR")
        if "payload" in given else f"CAST({payload} AS VARCHAR) AS payload",
        *(_declared(name, given[fold(name)], kind)
          if fold(name) in given else f"CAST(NULL AS {kind}) AS {quote(name)}" for name, kind in columns.items()),
    ]  # fmt: skip
    place = f"{when} AS _due, {tie} AS _tie"
    if not order:
        # Of the event's own time, which is not made of its text again.
        return f"SELECT *, {place} FROM (SELECT {', '.join(fields)} FROM ({mapped}))"
    return f"SELECT {', '.join(fields)}, {place} FROM ({mapped})"


def _payload(kinds: Mapping[str, str]) -> str:
    """An object of columns; what is JSON stands in it as it is, while `json_object` takes numbers through DOUBLE."""
    if not any(kind == _AS_IT_STANDS or miswritten(kind) for kind in kinds.values()):
        return f"json_object({', '.join(f'{literal(name)}, {quote(name)}' for name in kinds)})"
    members = []
    for name, kind in kinds.items():
        value = as_valid(quote(name)) if kind == _AS_IT_STANDS else as_json(quote(name), kind)
        name_of = literal(f"{json.dumps(name, ensure_ascii=False)}:")
        members.append(f"{name_of}, coalesce(CAST({value} AS VARCHAR), 'null')")
    between = ", ',', "
    return f"concat('{{', {between.join(members)}, '}}')"


def _declared(name: str, given: str, kind: str) -> str:
    column = quote(name)
    words = f"{name} does not fit into {kind}"
    return _checked(name, loses(column, given, kind), words, kind, by_text(column, given, kind))


def _checked(name: str, fault: str, words: str, kind: str, value: str = "") -> str:
    column = quote(name)
    cast = f"CAST({value or column} AS {kind})"
    return (
        f"{cast if fault == 'false' else f'CASE WHEN {fault} THEN error({literal(words)}) ELSE {cast} END'} AS {column}"
    )


def _available(engine: Engine, source: Source, base: str) -> dict[str, str]:
    """The raw columns and their types; where the files cannot be read, BadFile names the one at fault."""
    try:
        return described(engine, source, base, ())
    except BadMapping as fault:
        for part in source.reading:
            if format_of(source, part.path) != "read_parquet":
                continue
            try:
                engine.columns(f"SELECT * FROM {reader(source, part.path)}")
            except BadValue as why:
                raise BadFile(source.name, source.label(part.file), part.told(why)) from why
            except EngineError:
                break
        raise fault from None


def described(engine: Engine, source: Source, sql: str, known: tuple[str, ...]) -> dict[str, str]:
    """
    The columns of a query over a source, with their types.

    Raises:
        BadMapping: it does not fit; `known` are the columns that there are.
    """
    try:
        return engine.columns(sql)
    except BadStatement as fault:
        raise BadMapping(source.name, fault.reason.splitlines()[0], known) from fault
    except EngineError as fault:
        raise BadMapping(source.name, told(fault), known) from fault
