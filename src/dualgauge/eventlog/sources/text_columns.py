"""
CSV files as a source reads them: text to the letter, and a type where an expression needs more than text.

A column that stands alone for an event's id, its type, a VARCHAR or a declared column reaches it from its text. In an
expression it has the type that all of its values have, over every row; later values that are not of that type are rows
that do not fit.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from dualgauge.engines.errors import BadDialect, BadValue, BrokenFile
from dualgauge.engines.files.column_types import misfitting, types_of
from dualgauge.engines.files.csv_text import CsvFile, csv_file, first_fault, nulls_of
from dualgauge.eventlog.errors import BadFile, BadReading, EmptyFile
from dualgauge.eventlog.sources.source import FILE_ORDER, format_of, spelling_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.settings import SourceSettings
    from dualgauge.eventlog.sources.source import Part, Source

ASIDE = "or set it aside with --on-bad-row quarantine"

_LITERAL = re.compile(r"'(?:[^']|'')*'")
_WORD = re.compile(r'"(?:[^"]|"")*"|\w+')


def with_texts(engine: Engine, source: Source, columns: Mapping[str, str]) -> Source:
    """
    The source with its CSV files as they are to be read; any other one as it is.

    Args:
        engine: where what must be written anew lies, for as long as it is open.
        source: `kinds` are the types that its columns had before.
        columns: declared columns and their types.

    Raises:
        BadReading: what `read` says cannot be.
        EmptyFile, BadFile: a file has no byte, or is no CSV, with the line at fault.
    """
    if source.texts is not None or source.relation or not source.settings.path:
        return source
    parts = [one for one in source.reading if not one.nothing and format_of(source, one.path) == "read_csv"]
    if not parts:
        return replace(source, texts={})
    folder = engine.folder / f"texts-{uuid.uuid4().hex}"
    texts = {one.path: _opened(source, one, folder / str(number)) for number, one in enumerate(parts)}
    names = _names(source, parts, texts)
    wanted = {one.lower(): one for one in _typed(source.settings, columns, names)}
    said = {name.lower(): str(kind) for name, kind in source.settings.read.get("types", {}).items()}
    kept = {name: kind for name, kind in {**source.kinds, **said}.items() if name in wanted or name in said}
    relation, spelling = _together(source, texts), spelling_of(source.settings.read)
    known = {names[name]: kind for name, kind in kept.items() if name in names}
    try:
        found = types_of(engine, relation, [one for name, one in wanted.items() if name not in kept], spelling)
        unsure = misfitting(engine, relation, known, spelling)
    except BadValue as fault:
        raise broken_text(source, texts) or fault from fault
    kinds = {name.lower(): kind for name, kind in found.items()} | kept
    return replace(
        source,
        texts=texts,
        kinds={name: kind for name, kind in kinds.items() if kind != "VARCHAR"},
        unsure={name.lower() for name in unsure},
    )


def broken_text(source: Source, texts: Mapping[Path, CsvFile]) -> BadFile | None:
    """The first row of the CSV files that is none, as what stops an import; None where all are."""
    for part in source.reading:
        text = texts.get(part.path)
        if text and (broken := first_fault(text.file, text.dialect)):
            place = f"{source.label_of(part)} line {broken.line}"
            return BadFile(source.name, place, broken.reason, broken.hint or ASIDE)
    return None


def _opened(source: Source, part: Part, folder: Path) -> CsvFile:
    label = source.label_of(part)
    try:
        if not part.path.stat().st_size:
            raise EmptyFile(source.name, label)
        return csv_file(part.path, source.settings.read, folder)
    except BadDialect as fault:
        raise BadReading(source.name, fault) from fault
    except BrokenFile as fault:
        raise BadFile(source.name, f"{label} line {fault.line}", fault.reason, fault.hint or ASIDE) from fault
    except (OSError, EOFError) as fault:
        raise BadFile(source.name, label, f"it cannot be read ({fault})") from fault


def _names(source: Source, parts: list[Part], texts: Mapping[Path, CsvFile]) -> dict[str, str]:
    """The names of all columns by themselves in small letters. Raises BadFile where two files spell one differently."""
    names: dict[str, str] = {}
    for part in parts:
        file = texts[part.path]
        for name in (*file.names, *file.partitions):
            if (other := names.setdefault(name.lower(), name)) != name:
                place = f"{source.label_of(part)} line {file.dialect.skip + 1}"
                reason = f"its column {name!r} is called {other!r} in another file of the source"
                raise BadFile(source.name, place, reason, "or say the names by `names`")
    return names


def _together(source: Source, texts: Mapping[Path, CsvFile]) -> str:
    nulls = nulls_of(source.settings.read)
    return f"({' UNION ALL BY NAME '.join(f'(FROM {one.relation(nulls)})' for one in texts.values())})"


def _typed(settings: SourceSettings, columns: Mapping[str, str], names: Mapping[str, str]) -> Iterator[str]:
    """The columns that something needs as more than their text."""
    declared = {name.lower(): kind for name, kind in columns.items()}
    spelling = spelling_of(settings.read)
    # A time is made by the file's formats; what a row is due by has an order that its text may not have.
    said = ["" if settings.order_by == FILE_ORDER else settings.order_by, settings.occurred_at]
    for name, expression in settings.select.items():
        kind = declared.get(name.lower(), "")
        if not kind or spelling.format_of(kind):
            said.append(expression)
    by_format = {name for name, kind in declared.items() if spelling.format_of(kind)}
    texts = (settings.event_id, settings.type, settings.caused_by, *settings.select.values())
    words = words_of([*said, settings.where, settings.query]) | named_in(texts, names) | by_format
    # A star means every column, here or there.
    every = "*" in " ".join([settings.where, settings.query, *said])
    yield from (one for name, one in names.items() if every or name in words)


def named_in(expressions: Iterable[str], names: Container[str]) -> set[str]:
    """The words, in small letters, of the expressions that are more than a column of `names` by itself."""
    return words_of(one for one in expressions if column_of(one) not in names)


def column_of(expression: str) -> str:
    """The column that an expression may be by itself, in small letters."""
    text = expression.strip()
    return (text[1:-1] if re.fullmatch('"[^"]+"', text) else text).lower()


def words_of(expressions: Iterable[str]) -> set[str]:
    """The words and quoted names of expressions, in small letters; what is a text in them says nothing."""
    text = " ".join(_LITERAL.sub(" ", one) for one in expressions)
    return {one.strip('"').replace('""', '"').lower() for one in _WORD.findall(text)}
