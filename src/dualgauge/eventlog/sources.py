"""
A source as one SELECT of events.

Every source, whatever it reads, becomes a query with the columns `event_id, type, occurred_at, payload`, the
declared ones, and two that only order the import: `_due` (the time by which sources are merged) and `_tie`
(the place in the file, where the file's order counts).
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dualgauge.engines.errors import BadStatement, EngineError
from dualgauge.eventlog.chain import file_digest
from dualgauge.eventlog.errors import BadMapping, BadPython, NoSuchFile, NoSuchSource, UnknownFormat, WhichSource
from dualgauge.eventlog.settings import ENVELOPE
from dualgauge.model import literal, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.settings import SourceSettings

FILE_ORDER = "file"
"""Value of `order_by` that keeps the order of the file."""

_READERS = {
    ".csv": "read_csv", ".tsv": "read_csv", ".parquet": "read_parquet",
    ".jsonl": "read_json", ".ndjson": "read_json", ".json": "read_json",
}  # fmt: skip

_TIMES = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP", "DATE", "TIMESTAMP_NS", "TIMESTAMP_S", "TIMESTAMP_MS")


@dataclass(frozen=True, slots=True)
class Source:
    """One source with the files it reads now (none for a Python object)."""

    settings: SourceSettings
    root: Path
    files: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """The name in the settings."""
        return self.settings.name

    def label(self, file: Path) -> str:
        """A file's name in event ids and messages: relative to the project where it lies in it."""
        return file.relative_to(self.root).as_posix() if file.is_relative_to(self.root) else file.as_posix()

    def fingerprint(self) -> dict[str, Any]:
        """What the files are now: `{path: sha256}`; empty for a Python object, which has none."""
        return {self.label(file): file_digest(file) for file in self.files}


def choose(sources: Sequence[SourceSettings], root: Path, config: Path, wanted: str | None, *, every: bool) -> list[Source]:
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
    file = Path(wanted).resolve()
    for one in sources:
        if one.path and file in _matches(one, root):
            return [Source(settings=one, root=root, files=(file,))]
    raise NoSuchSource(wanted, [one.name for one in sources], config)


def select(engine: Engine, source: Source, columns: dict[str, str], number: int) -> str:
    """
    The source as a SELECT of events, checked against its columns.

    Args:
        engine: where a Python object is registered; files are only looked at.
        source: the source.
        columns: declared columns and their types.
        number: the source's place in the call, which names its relation.

    Raises:
        BadMapping: an expression or the query does not fit, naming the columns that there are.
    """
    base = _base(engine, source, number)
    settings = source.settings
    available = _described(engine, source, base, ())
    mapped = _query(base, settings) if settings.query else _row_mapping(base, settings, columns, available)
    names = _described(engine, source, mapped, tuple(name for name in available if not name.startswith("_")))
    for needed in ("event_id", "type", "occurred_at"):
        if needed not in names:
            raise BadMapping(source.name, f"its query gives no column {needed!r}", tuple(names))
    return _enveloped(engine, source, mapped, names, columns)


def diagnose(engine: Engine, source: Source, columns: dict[str, str], number: int) -> tuple[str, str] | None:
    """The first row of a source that does not fit: its place in the file, and why. None where all rows fit."""
    base = _base(engine, source, number)
    settings = source.settings
    if settings.query:
        mapped, place = _query(base, settings), "''"
    else:
        available = _described(engine, source, base, ())
        mapped, place = _row_mapping(base, settings, columns, available, keep_place=True), "_file || ' row ' || _row"
    names = _described(engine, source, mapped, ())
    for name in ("event_id", "type", "occurred_at"):
        found = engine.rows(f"SELECT {place} FROM ({mapped}) WHERE {quote(name)} IS NULL LIMIT 1")
        if found:
            return found[0][0], f"its {name} is NULL"
    kinds = {"occurred_at": "TIMESTAMPTZ"} | {name: kind for name, kind in columns.items() if name in names}
    for name, kind in kinds.items():
        column = quote(name)
        found = engine.rows(
            f"SELECT {place}, {column}::VARCHAR FROM ({mapped}) "
            f"WHERE {column} IS NOT NULL AND TRY_CAST({column} AS {kind}) IS NULL LIMIT 1"
        )
        if found:
            return found[0][0], f"{name} = {found[0][1]!r} is no {kind}"
    return None


def _with_files(settings: SourceSettings, root: Path) -> Source:
    if settings.python:
        return Source(settings=settings, root=root)
    files = _matches(settings, root)
    if not files:
        raise NoSuchFile(settings.name, settings.path)
    return Source(settings=settings, root=root, files=tuple(files))


def _matches(settings: SourceSettings, root: Path) -> list[Path]:
    pattern = root / settings.path
    if not any(mark in settings.path for mark in "*?["):
        return [pattern.resolve()] if pattern.is_file() else []
    anchor = Path(pattern.anchor)
    return sorted(file.resolve() for file in anchor.glob(str(pattern.relative_to(anchor))) if file.is_file())


def _base(engine: Engine, source: Source, number: int) -> str:
    """The raw rows, with `_file` and `_row` (from 1) where a file's order or place may be asked for."""
    settings = source.settings
    if settings.python:
        relation = f"_source_{number}"
        engine.register(relation, _python_object(source))
        return _numbered(f"FROM {quote(relation)}", source.name, settings)
    return " UNION ALL BY NAME ".join(
        f"({_numbered(f'FROM {_reader(source, file)}', source.label(file), settings)})" for file in source.files
    )


def _numbered(body: str, label: str, settings: SourceSettings) -> str:
    """
    Number rows only where it is asked for: numbering costs a pass over the file in one thread.

    DuckDB keeps a file's order under `row_number() OVER ()`, because insertion order is preserved.
    """
    if settings.event_id and settings.order_by != FILE_ORDER and not settings.query:
        return f"SELECT * {body}"
    if settings.query and settings.order_by != FILE_ORDER:
        return f"SELECT * {body}"
    return f"SELECT *, {literal(label)} AS _file, row_number() OVER () AS _row {body}"


def _reader(source: Source, file: Path) -> str:
    suffixes = [suffix for suffix in file.suffixes if suffix.lower() != ".gz"]
    function = _READERS.get(suffixes[-1].lower() if suffixes else "")
    if function is None:
        raise UnknownFormat(source.name, file)
    options = dict(source.settings.read)
    if function == "read_json":
        options.setdefault("format", "newline_delimited" if suffixes[-1].lower() != ".json" else "auto")
    if suffixes[-1].lower() == ".tsv":
        options.setdefault("delim", "\t")
    arguments = "".join(f", {name} = {_value(value)}" for name, value in options.items())
    return f"{function}({literal(str(file))}{arguments})"


def _value(value: Any) -> str:
    """A setting of the reader as SQL."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case list():
            return "[" + ", ".join(_value(one) for one in value) + "]"
        case dict():
            return "{" + ", ".join(f"{literal(str(key))}: {_value(one)}" for key, one in value.items()) + "}"
        case _:
            return literal(str(value))


def _python_object(source: Source) -> object:
    reference = source.settings.python
    module_name, _, name = reference.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as fault:
        raise BadPython(source.name, reference, f"cannot be imported ({fault})") from fault
    if callable(found):
        found = found()
    if not hasattr(found, "__arrow_c_stream__") and type(found).__module__.partition(".")[0] not in {"pandas", "pyarrow"}:
        raise BadPython(source.name, reference, f"gives a {type(found).__name__}")
    return found


def _query(base: str, settings: SourceSettings) -> str:
    return f"SELECT * FROM (WITH source AS ({base}) SELECT * FROM ({settings.query.rstrip().rstrip(';')}))"


def _row_mapping(
    base: str, settings: SourceSettings, columns: dict[str, str], available: dict[str, str], *, keep_place: bool = False
) -> str:
    event_id = settings.event_id or "_file || '#' || _row"
    chosen = {
        "event_id": f"CAST({event_id} AS VARCHAR)", "type": settings.type, "occurred_at": settings.occurred_at,
        **{name: quote(name) for name in columns if name in available}, **settings.select,
    }  # fmt: skip
    if settings.order_by == FILE_ORDER:
        chosen["_row"] = "_row"
    elif settings.order_by:
        chosen["_order"] = settings.order_by
    if keep_place and {"_file", "_row"} <= set(available):
        chosen |= {"_file": "_file", "_row": "_row"}
    elif keep_place:
        base = f"SELECT *, {literal(settings.name)} AS _file, row_number() OVER () AS _row FROM ({base})"
        chosen |= {"_file": "_file", "_row": "_row"}
    body = ", ".join(f"{expression} AS {quote(name)}" for name, expression in chosen.items())
    where = f" WHERE {settings.where}" if settings.where else ""
    return f"SELECT {body} FROM ({base}){where}"


def _enveloped(engine: Engine, source: Source, mapped: str, names: dict[str, str], columns: dict[str, str]) -> str:
    settings = source.settings
    rest = [name for name in names if name not in columns and name not in ENVELOPE and not name.startswith("_")]
    payload = "payload" if "payload" in names else "NULL"
    if rest:
        pairs = ", ".join(f"{literal(name)}, {quote(name)}" for name in rest)
        payload = f"json_object({pairs})"
    order = "_row" if settings.order_by == FILE_ORDER else "_order" if "_order" in names else settings.order_by
    order = order if settings.query or order.startswith("_") else ""
    due, tie = _due(engine, source, mapped, order)
    refuse = "error('a row without ' || {})"
    fields = [
        *(f"CASE WHEN {name} IS NULL THEN {refuse.format(literal(name))} ELSE CAST({name} AS {ENVELOPE[name]}) END AS {name}"
          for name in ("event_id", "type", "occurred_at")),
        f"CAST({payload} AS VARCHAR) AS payload",
        *(f"CAST({quote(name) if name in names else 'NULL'} AS {kind}) AS {quote(name)}" for name, kind in columns.items()),
        f"{due} AS _due",
        f"{tie} AS _tie",
    ]  # fmt: skip
    return f"SELECT {', '.join(fields)} FROM ({mapped})"


def _due(engine: Engine, source: Source, mapped: str, order: str) -> tuple[str, str]:
    """
    The time a row is due, and its place among rows of that time.

    Ordered by a time: that time. Ordered by anything else: rows keep that order, and each is due when the latest
    of the rows up to it occurred, so that the source can be merged with others and cut by time.
    """
    if not order:
        return "CAST(occurred_at AS TIMESTAMPTZ)", "0"
    kind = _described(engine, source, f"SELECT {order} AS _order FROM ({mapped})", ())["_order"]
    if kind in _TIMES or kind == "VARCHAR":
        return f"CAST({order} AS TIMESTAMPTZ)", "0"
    running = "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
    return f"max(CAST(occurred_at AS TIMESTAMPTZ)) OVER (ORDER BY {order} {running})", f"{order}"


def _described(engine: Engine, source: Source, sql: str, known: tuple[str, ...]) -> dict[str, str]:
    try:
        return engine.columns(sql)
    except BadStatement as fault:
        raise BadMapping(source.name, fault.reason.splitlines()[0], known) from fault
    except EngineError as fault:
        raise BadMapping(source.name, fault.reason, known) from fault
