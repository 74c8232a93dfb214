"""
What a source reads: its files, or a Python object, as raw rows in SQL.

Rows keep the order of their file, and can be numbered in it.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dualgauge.eventlog.chain import file_digest
from dualgauge.eventlog.errors import BadPython, UnknownFormat
from dualgauge.model import literal, quote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.engines.errors import EngineError
    from dualgauge.eventlog.settings import SourceSettings

FILE_ORDER = "file"
"""Value of `order_by` that keeps the order of the file."""

_READERS = {
    ".csv": "read_csv", ".tsv": "read_csv", ".parquet": "read_parquet",
    ".jsonl": "read_json", ".ndjson": "read_json", ".json": "read_json",
}  # fmt: skip

_ROWS_IN_A_FILE = 1 << 40
"""More than any file has: the place among all files is the file's number times this, plus the row."""


@dataclass(frozen=True, slots=True)
class Again:
    """
    How a source is read a second time, from copies of its files, without the rows that do not fit.

    Args:
        labels: what each copy is a copy of, as event ids call it.
        without: the numbers of the rows that are left out, by label.
        numbers: the number of each row of a copy, by label, where they are not 1, 2, 3.
        relation: what holds the rows in SQL, where no file does.
    """

    labels: Mapping[Path, str] = field(default_factory=dict)
    without: Mapping[str, Collection[int]] = field(default_factory=dict)
    numbers: Mapping[str, Sequence[int]] = field(default_factory=dict)
    relation: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """
    One source with the files it reads now (none for a Python object, or for a database).

    `state` is where a database is read on next time, once its rows are in the engine; see `databases`.
    """

    settings: SourceSettings
    root: Path
    files: tuple[Path, ...] = ()
    again: Again | None = None
    state: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The name in the settings."""
        return self.settings.name

    def label(self, file: Path) -> str:
        """A file's name in event ids and messages: relative to the project where it lies in it."""
        if self.again and file in self.again.labels:
            return self.again.labels[file]
        return file.relative_to(self.root).as_posix() if file.is_relative_to(self.root) else file.as_posix()

    def fingerprint(self) -> dict[str, Any]:
        """What the files are now: `{path: sha256}`; empty for a Python object, which has none."""
        return {self.label(file): file_digest(file) for file in self.files}


def matches(settings: SourceSettings, root: Path) -> list[Path]:
    """The files that a source's path matches now, by name."""
    exact = root / settings.path
    if exact.is_file():
        return [exact.resolve()]
    # The pattern is taken from the setting alone: the project's own folder may have brackets in its name.
    start, pattern = root, settings.path
    if Path(settings.path).is_absolute():
        start, pattern = Path(exact.anchor), str(exact.relative_to(exact.anchor))
    return sorted({file.resolve() for file in start.glob(pattern) if file.is_file()})


def load(engine: Engine, source: Source, number: int) -> None:
    """Give a Python object its name in SQL. What can be read only once is kept by the engine, which may spill it."""
    if not source.settings.python:
        return
    given, relation = _python_object(source), relation_of(number)
    if hasattr(given, "__len__"):
        engine.register(relation, given)
        return
    engine.register(f"{relation}_once", given)
    engine.execute(f"CREATE OR REPLACE TEMP TABLE {quote(relation)} AS FROM {quote(f'{relation}_once')}")
    engine.unregister(f"{relation}_once")


def relation_of(number: int) -> str:
    """The name of a source's rows in SQL, where they are no files."""
    return f"_source_{number}"


def raw_rows(source: Source, number: int, *, placed: bool = False) -> str:
    """The raw rows; `placed`, or where their place may be asked for, with `_file`, `_row` (from 1) and `_at`."""
    settings = source.settings
    if settings.url and source.again is None:
        # A row is found again by its cursor, not by its number in what was read.
        place = f"{literal(f'{settings.cursor} ')} || CAST({quote(settings.cursor)} AS VARCHAR) AS _file"
        return f"(SELECT *{f', {place}, 0 AS _row, 0 AS _at' if placed else ''} FROM {quote(relation_of(number))})"
    # Only where it is asked for: numbering costs a pass over the file in one thread.
    again = source.again
    placed = placed or again is not None
    numbered = placed or (not settings.query and (not settings.event_id or settings.order_by == FILE_ORDER))
    bodies = [(f"FROM {reader(source, file)}", source.label(file)) for file in source.files]
    if again and again.relation:
        bodies = [(f"FROM {quote(again.relation)}", next(iter(again.numbers)))]
    elif not source.files:
        bodies = [(f"FROM {quote(relation_of(number))}", "")]
    return " UNION ALL BY NAME ".join(
        f"({_numbered(body, label, i, again) if numbered else f'SELECT * {body}'})"
        for i, (body, label) in enumerate(bodies)
    )


def _numbered(body: str, label: str, number: int, again: Again | None) -> str:
    """DuckDB keeps a file's order under `row_number() OVER ()`, because insertion order is preserved."""
    row, where = "row_number() OVER ()", ""
    if again and label in again.numbers:
        row = f"{list(again.numbers[label])}[{row}]"
    if again and again.without.get(label):
        where = f" WHERE _row NOT IN ({', '.join(map(str, again.without[label]))})"
    return (
        f"SELECT *, {number * _ROWS_IN_A_FILE:d} + _row AS _at "
        f"FROM (SELECT *, {literal(label)} AS _file, {row} AS _row {body}){where}"
    )


def reader(source: Source, file: Path) -> str:
    """
    A file as DuckDB's reader of its format, with the source's options.

    Raises:
        UnknownFormat: the file's ending says nothing.
    """
    return with_options(format_of(source, file), file, options_of(source, file))


def options_of(source: Source, file: Path) -> dict[str, Any]:
    """The options of a file's reader: the source's, and what the file's ending says."""
    options = dict(source.settings.read)
    if format_of(source, file) == "read_json":
        options.setdefault("format", "newline_delimited" if ending(file) != ".json" else "auto")
    if ending(file) == ".tsv":
        options.setdefault("delim", "\t")
    return options


def with_options(function: str, file: Path, options: Mapping[str, Any]) -> str:
    """A call of one of DuckDB's functions of a file."""
    arguments = "".join(f", {name} = {_value(value)}" for name, value in options.items())
    return f"{function}({literal(str(file))}{arguments})"


def format_of(source: Source, file: Path) -> str:
    """
    The name of DuckDB's reader of a file.

    Raises:
        UnknownFormat: the file's ending says nothing.
    """
    function = _READERS.get(ending(file))
    if function is None:
        raise UnknownFormat(source.name, file)
    return function


def ending(file: Path) -> str:
    """A file's ending without that of its compression, in small letters."""
    suffixes = [suffix.lower() for suffix in file.suffixes if suffix.lower() != ".gz"]
    return suffixes[-1] if suffixes else ""


def _value(value: object) -> str:
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
    with _importable(source.root):
        try:
            found: Any = importlib.import_module(module_name)
            for part in name.split("."):
                found = getattr(found, part)
        except Exception as fault:
            reason = f"cannot be imported ({type(fault).__name__}: {fault})"
            raise BadPython(source.name, reference, reason, source.root) from fault
        if callable(found):
            try:
                found = found()
            except Exception as fault:
                reason = f"raised {type(fault).__name__}: {fault}"
                raise BadPython(source.name, reference, reason, source.root) from fault
    library = type(found).__module__.partition(".")[0]
    if not hasattr(found, "__arrow_c_stream__") and library not in {"pandas", "pyarrow"}:
        raise BadPython(source.name, reference, f"gives a {type(found).__name__}", source.root)
    return found


@contextmanager
def _importable(root: Path) -> Iterator[None]:
    """
    Let the project's own modules be imported, behind everything that is installed.

    They are forgotten afterwards: another project of this process may have a module of the same name.
    """
    before = set(sys.modules)
    sys.path.append(str(root))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(root))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(root):
                del sys.modules[name]


def told(fault: EngineError) -> str:
    """An engine's reason in one line, without its advice on options of its reader."""
    lines = [line.strip() for line in fault.reason.splitlines()]
    end = next((i for i, line in enumerate(lines) if line.lower().startswith("possible")), len(lines))
    return ", ".join(line.rstrip(",.") for line in lines[:end] if line)


def keywords(engine: Engine) -> set[str]:
    """Words that DuckDB takes for a column only in quotes."""
    return {
        word
        for (word,) in engine.rows(
            "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category IN ('reserved', 'type_function')"
        )
    }
