"""
What a source reads: its files, or a Python object, as raw rows in SQL.

Rows keep the order of their file, and can be numbered in it.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dualgauge.engines.data_frames import framed, table_of
from dualgauge.engines.endless import WHAT, endless
from dualgauge.engines.files.text_rows import partitions_of
from dualgauge.eventlog.errors import BadMapping, BadPython, UnknownFormat, UnlikeFiles
from dualgauge.eventlog.sources.arrow_data import check_whole
from dualgauge.model import fold, quote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.engines.errors import EngineError
    from dualgauge.engines.files.csv_text import CsvFile
    from dualgauge.engines.files.json_types import JsonFiles
    from dualgauge.eventlog.settings import SourceSettings

FILE_ORDER = "file"
"""Value of `order_by` that keeps the order of the file."""

_WHOLE = re.compile("0|-?[1-9][0-9]{0,17}")

_READERS = {
    ".csv": "read_csv", ".tsv": "read_csv", ".parquet": "read_parquet",
    ".jsonl": "read_json", ".ndjson": "read_json", ".json": "read_json",
}  # fmt: skip

_FORMATS = {"read_csv": "CSV", "read_json": "JSON", "read_parquet": "Parquet"}

CURSOR_ORDER = "_order"
"""The column with a row's place in the order of its database's cursor, where that is the order of the source."""

ROWS_IN_A_FILE = 1 << 40
"""More than any file has: the place among all files is the file's number times this, plus the row."""


ANY_TYPE = '"NULL"'
"""The type of NULL alone, which any other one takes the place of."""


@dataclass(frozen=True, slots=True)
class Part:
    """
    What is read of a file: all of it, or its end; from where it lies, or from a copy.

    `start` counts the bytes before an end, `before` the rows in them (None: nobody has counted).
    `floor` is the time, in microseconds since 1970, before which no row of it is due where files keep their order.
    `without` are the numbers of rows that are left out, and `nothing` says that these are all; `numbers` are those of
    its rows where they do not follow each other, `label` is its name where that is not the file's.
    """

    file: Path
    path: Path
    start: int = 0
    before: int | None = 0
    floor: int | None = None
    without: Collection[int] = ()
    nothing: bool = False
    numbers: Sequence[int] = ()
    label: str = ""

    @property
    def counted(self) -> int:
        """How many rows of the file lie before the end that is read."""
        return lines(self.file, self.start) if self.before is None else self.before

    @property
    def copied(self) -> bool:
        """Whether it is read from a copy."""
        return self.path != self.file

    def told(self, fault: EngineError) -> str:
        """An engine's reason in one line, with the file where it speaks of a copy."""
        return told(fault).replace(str(self.path), str(self.file))


@dataclass(frozen=True, slots=True)
class Source:
    """
    One source with the files it reads now (none for a Python object, or for a database).

    `parts` are what is read of them, by default all; `beside` are the columns, with their types, of what is not read;
    `floor` is the time, as in a part, before which no row is due where the source's own order counts. `state` is where
    a database is read on next time, once its rows are in the engine; see `databases`. `again`: it was looked at and
    loaded before, and this is what fits; `relation` is what holds the rows in SQL, where no part and no number says it.

    What CSV and JSON files are read as are `texts`, by the paths of the parts, and `objects` (see `text_columns`): both
    are None before that was found out; `gathered` is a table of the rows of very many CSV files. `kinds` are the types
    of the columns that an expression needs, by their names in small letters, and `unsure` those of which a value may
    not be of its type. `alone` are, by the same names, the columns of CSV files that only the payload needs, as texts:
    what was kept or found of them is NUMBER, BOOLEAN or VARCHAR. `ids` are settings with expressions that name texts
    of columns, which are `texted`, by their names in small letters. `own` are the columns of each Parquet file, with
    their types there; `cast` those of them that are read as another type. `mixed` are those that others have in another
    type, with their types; of them `bare` are those, folded, that no expression needs as more than what stands in their
    own file. `untyped` are, folded, the columns that an expression needs, and that have no value in any row yet.
    """

    settings: SourceSettings
    root: Path
    files: tuple[Path, ...] = ()
    parts: tuple[Part, ...] | None = None
    beside: Mapping[str, str] = field(default_factory=dict)
    floor: int | None = None
    state: dict[str, Any] | None = None
    again: bool = False
    relation: str = ""
    texts: Mapping[Path, CsvFile] | None = None
    gathered: str = ""
    objects: JsonFiles | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    unsure: Collection[str] = ()
    alone: Mapping[str, str] = field(default_factory=dict)
    ids: Mapping[str, Any] = field(default_factory=dict)
    texted: Collection[str] = ()
    mixed: Mapping[Path, Mapping[str, str]] = field(default_factory=dict)
    bare: Collection[str] = ()
    own: Mapping[Path, Mapping[str, str]] = field(default_factory=dict)
    cast: Mapping[Path, Mapping[str, str]] = field(default_factory=dict)
    untyped: Collection[str] = ()
    needless: Collection[str] = ()
    _folders: list[Mapping[str, str]] = field(default_factory=list, repr=False, compare=False)

    @property
    def folders(self) -> Mapping[str, str]:
        """The types of the columns that the names of folders are: at most those that all files agree in."""
        if not self._folders:
            # Found once for all that is made of this one: there may be thousands of files, which stay the same.
            self._folders.append(_folder_types(self.files))
        return self._folders[0]

    @property
    def name(self) -> str:
        """The name in the settings."""
        return self.settings.name

    @property
    def expressions(self) -> SourceSettings:
        """The settings, with expressions that name the texts of columns where they make a text of one."""
        return self.settings.model_copy(update=dict(self.ids)) if self.ids else self.settings

    @property
    def reading(self) -> tuple[Part, ...]:
        """What is read, in the order of the files."""
        return tuple(Part(file, file) for file in self.files) if self.parts is None else self.parts

    @property
    def nothing(self) -> bool:
        """Whether no row of its files is read."""
        return bool(self.reading) and all(part.nothing for part in self.reading)

    @property
    def columnar(self) -> bool:
        """Whether one column can be read without the others."""
        return all(ending_of(file) == ".parquet" for file in self.files)

    @property
    def numbered(self) -> bool:
        """Whether events are named or ordered by the place of their row."""
        settings = self.settings
        return not settings.query and (not settings.event_id or settings.order_by == FILE_ORDER)

    def label(self, file: Path) -> str:
        """A file's name in event ids and messages: relative to the project where it lies in it."""
        # Not `relative_to`: there may be thousands, and this is asked of each several times.
        return str(file).removeprefix(os.path.join(self.root, ""))  # noqa: PTH118

    def label_of(self, part: Part) -> str:
        """The name of what a part is of; empty where that has none."""
        return part.label if self.relation else part.label or self.label(part.file)


def _folder_types(files: Iterable[Path]) -> dict[str, str]:
    """The types of the columns that the names of folders are, such that no file's says anything else: 007 is a text."""
    found: dict[str, str] = {}
    folders = {file.parent: file for file in files if "=" in str(file.parent)}
    for name, text in chain.from_iterable(partitions_of(file, ()).items() for file in folders.values()):
        if text is not None:
            kind = "BIGINT" if _WHOLE.fullmatch(text) else "DATE" if _is_day(text) else "VARCHAR"
            found[name] = kind if found.get(name, kind) == kind else "VARCHAR"
    return found


def _resolved(found: Iterable[Path]) -> Iterator[Path]:
    """The files among what is found, without symbolic links on their way; each folder is looked at once."""
    folders: dict[str, tuple[Path, dict[str, os.DirEntry[str]]]] = {}
    for file in found:
        head, name = os.path.split(str(file))
        if head not in folders:
            with os.scandir(head) as entries:
                folders[head] = Path(head).resolve(), {one.name: one for one in entries}
        folder, there = folders[head]
        entry = there.get(name)
        if entry is None or entry.is_symlink():
            if file.is_file():
                yield file.resolve()
        elif entry.is_file():
            yield folder / name


def _is_day(text: str) -> bool:
    with suppress(ValueError):
        return date.fromisoformat(text).isoformat() == text
    return False


def by_cursor(settings: SourceSettings) -> bool:
    """Whether a source's rows keep the order of the cursor of its database."""
    return bool(settings.url) and not settings.order_by


def matches(settings: SourceSettings, root: Path) -> list[Path]:
    """The files that a source's path matches now, by name."""
    exact = root / settings.path
    if exact.is_file():
        return [exact.resolve()]
    # The pattern is taken from the setting alone: the project's own folder may have brackets in its name.
    start, pattern = root, settings.path
    if Path(settings.path).is_absolute():
        start, pattern = Path(exact.anchor), str(exact.relative_to(exact.anchor))
    # In the order of paths; as such they are slow to compare.
    return sorted(set(_resolved(start.glob(pattern))), key=lambda one: one.parts)


def load(engine: Engine, source: Source, number: int) -> None:
    """
    Give a Python object its name in SQL. What can be read only once is kept by the engine, which may spill it.

    Raises:
        BadPython: there is none that can be read.
        BadMapping: two of its columns would be taken for one, or one holds what the engine would read as another value:
            mixed types, parts of a microsecond, more than 38 digits, the last time of a type, JSON that is none.
    """
    if not source.settings.python:
        return
    given: Any = _python_object(source)
    relation, names = relation_of(number), list[str]()

    def refuse(name: str, reason: str) -> BadMapping:
        column = f"its column {name!r} {reason}" if name else f"it {reason}"
        return BadMapping(source.name, column, names, "python")

    arrow = type(given).__module__.startswith("pyarrow")
    if pandas := type(given).__module__.partition(".")[0] == "pandas":
        given = framed(given, refuse)
    names += map(str, given.schema.names if arrow else getattr(given, "columns", ()))
    refuse_alike(source, "python", names)
    if pandas:
        given, arrow = table_of(given, refuse), True
    if arrow:
        check_whole(given.schema, given.to_batches() if hasattr(given, "to_batches") else None, refuse)
    if hasattr(given, "__len__"):
        engine.register(relation, given)
    else:
        engine.register(f"{relation}_once", given)
        engine.execute(f"CREATE OR REPLACE TEMP TABLE {quote(relation)} AS FROM {quote(f'{relation}_once')}")
        engine.unregister(f"{relation}_once")
    kinds = engine.columns(f"FROM {quote(relation)}")
    if name := endless(engine, quote(relation), kinds):
        raise refuse(name, f"holds {WHAT}: give NULL or a text in its place")
    for name in (one for one, kind in kinds.items() if kind == "JSON"):
        asked = f"SELECT count(*) FROM {quote(relation)} WHERE NOT json_valid(CAST({quote(name)} AS VARCHAR))"
        if engine.row(asked) != (0,):
            raise refuse(name, "holds what is no JSON, though its type says so: give it as text")


def refuse_alike(source: Source, setting: str, names: Iterable[object]) -> None:
    """Raise BadMapping where a setting gives two columns that the engine would take for one."""
    known: dict[str, str] = {}
    every = list(map(str, names))
    for name in every:
        if (other := known.setdefault(fold(name), name)) != name or every.count(name) > 1:
            alike = (
                f"columns {other!r} and {name!r}, which differ by case alone"
                if other != name
                else f"two columns {name!r}"
            )
            raise BadMapping(source.name, f"it gives {alike}: give one another name", every, setting)


def relation_of(number: int) -> str:
    """The name of a source's rows in SQL, where they are no files."""
    return f"_source_{number}"


def lines(file: Path, upto: int) -> int:
    """How many lines the first `upto` bytes of a JSONL file have, those without a value left out: its rows."""
    count, left = 0, upto
    with file.open("rb") as opened:
        for line in opened:
            if left <= 0:
                break
            count += bool(line[:left].strip())
            left -= len(line)
    return count


def format_of(source: Source, file: Path) -> str:
    """
    The name of DuckDB's reader of a file.

    Raises:
        UnknownFormat: the file's ending says nothing.
    """
    function = _READERS.get(ending_of(file))
    if function is None:
        raise UnknownFormat(source.name, file)
    return function


def refuse_several_formats(source: str, files: Iterable[str]) -> None:
    """
    Look at the files of a source by their names.

    A value is written otherwise in each format: `1.50` of CSV is a text in JSON, and a number without digits in
    Parquet. Read together, or one after the other, they would have no one type that all of them are written in.

    Raises:
        UnlikeFiles: they are of several formats.
    """
    first: tuple[str, str] | None = None
    for file in files:
        if kind := _READERS.get(ending_of(Path(file))):
            one = (_FORMATS[kind], file)
            if first is not None and one[0] != first[0]:
                raise UnlikeFiles(source, first, one)
            first = first or one


def ending_of(file: Path) -> str:
    """What a file's name says of its format: `.csv`, without `.gz`."""
    name = file.name.lower()
    while name.endswith(".gz"):
        name = name.removesuffix(".gz")
    stem, _, ending = name.rpartition(".")
    return f".{ending}" if stem else ""


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
