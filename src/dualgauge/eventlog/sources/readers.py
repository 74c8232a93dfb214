"""The raw rows of a source in SQL: its files, each in its order, with the types that its expressions need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dualgauge.engines.files.column_types import Spelling
from dualgauge.engines.files.csv_text import nulls_of
from dualgauge.engines.files.json_types import JsonSpelling, from_json, is_shape, raw_of
from dualgauge.engines.files.text_rows import LINES, partitions_of
from dualgauge.engines.parquet_files import unbounded
from dualgauge.engines.parquet_schema import exact
from dualgauge.eventlog.errors import BadFile
from dualgauge.eventlog.sources.json_values import as_json, as_written
from dualgauge.eventlog.sources.source import (
    ANY_TYPE,
    CURSOR_ORDER,
    ROWS_IN_A_FILE,
    Part,
    by_cursor,
    ending_of,
    format_of,
    relation_of,
)
from dualgauge.model import fold, literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.sources.source import Source

_PLACE = ("_file", "_row", "_at")


def raw_rows(source: Source, number: int, *, placed: bool = False) -> str:
    """
    The raw rows; `placed`, or where their place may be asked for, with `_file`, `_row` (from 1) and `_at`.

    `placed`, a text that is no value of its column's type is NULL, and told by `_unfit`; else the scan ends there.
    """
    settings = source.settings
    if settings.url and not source.again:
        # A row is found again by its cursor, not by its number in what was read.
        place = f"{literal(f'{settings.cursor} ')} || CAST({quote(settings.cursor)} AS VARCHAR) AS _file"
        order = CURSOR_ORDER if by_cursor(settings) else "0"
        return (
            f"(SELECT *{f', {place}, 0 AS _row, {order} AS _at' if placed else ''} FROM {quote(relation_of(number))})"
        )
    # Only where it is asked for: numbering costs a pass over the file in one thread.
    numbered = placed or source.numbered or source.again
    if not settings.path or source.relation:
        (whole,) = source.parts or (Part(Path(), Path()),)
        body = f"FROM {quote(source.relation or relation_of(number))}"
        return f"({_numbered(body, whole.label, 0, whole) if numbered else f'SELECT * {body}'})"
    bodies = list(_text_rows(source, numbered=numbered, placed=placed))
    for at, part in enumerate(source.reading):
        if not part.nothing and format_of(source, part.path) == "read_parquet":
            body = _parquet(source, part)
            bodies.append(_numbered(body, source.label_of(part), at, part) if numbered else f"SELECT * {body}")
    if source.beside:
        # Without a row: a column that only other files have is there, and of the type it has in all of them.
        typed = {**source.kinds, **dict.fromkeys(source.alone, "VARCHAR")}
        kinds = {
            name: ANY_TYPE if kind == ANY_TYPE or fold(name) in source.bare else typed.get(fold(name), kind)
            for name, kind in source.beside.items()
        }
        kinds |= {text_of(name): "VARCHAR" for name in source.beside if fold(name) in source.texted}
        nulls = ", ".join(f"{_null(kind)} AS {quote(name)}" for name, kind in kinds.items())
        bodies.append(f"SELECT {nulls} WHERE false")
    return _together(bodies)


def text_columns(source: Source) -> list[str]:
    """The columns that the text files have."""
    found = (*(source.texts or {}).values(), *([source.objects] if source.objects else ()))
    return list(dict.fromkeys(name for one in found for name in one.columns))


def _together(bodies: Sequence[str]) -> str:
    return " UNION ALL BY NAME ".join(f"({body})" for body in bodies)


def _null(kind: str) -> str:
    # Seen: of NULL itself `from_json` is a NULL of no type.
    return from_json("'null'", kind) if is_shape(kind) else f"CAST(NULL AS {kind})"


def unbounded_rows(source: Source, base: str, columns: Mapping[str, str]) -> str:
    """Raw rows that have such columns, whatever the bounds of columns say in the files that they are in."""
    parquet = any(ending_of(file) == ".parquet" for file in source.files)
    return unbounded(f"({base})", columns) if parquet else base


def text_rows(source: Source) -> str:
    """The rows of all CSV and JSON files as what stands behind FROM: each value the text that stands there."""
    nulls = nulls_of(source.settings.read)
    if source.objects:
        return source.objects.relation()
    if source.gathered:
        return source.gathered
    return f"({_together([f'FROM {one.relation(nulls)}' for one in (source.texts or {}).values()])})"


def _text_rows(source: Source, *, numbered: bool, placed: bool) -> Iterator[str]:
    """The same in their order, with their places, each column in its type: said once, and not for each file."""
    texts, objects, nulls = source.texts or {}, source.objects, nulls_of(source.settings.read)
    bodies = []
    for at, part in enumerate(source.reading):
        if part.path in texts and not source.gathered:
            body = f"FROM {texts[part.path].relation(nulls)}"
            bodies.append(_numbered(body, source.label_of(part), at, part) if numbered else f"SELECT * {body}")
    of_many = [(objects.paths, objects.relation())] if objects else []
    if source.gathered:
        of_many.insert(0, (tuple(texts), source.gathered))
    bodies += [_of_many(source, *one) if numbered else f"FROM {one[1]}" for one in of_many]
    if bodies:
        columns = list(_typed(source, text_columns(source), placed=placed)) + (list(_PLACE) if numbered else [])
        yield f"SELECT {', '.join(columns)} FROM ({_together(bodies)})"


def _of_many(source: Source, files: Sequence[Path], relation: str) -> str:
    """The rows of a relation of many files with their places."""
    # In their order, which is that of `files`, and there may be thousands.
    paths = frozenset(files)
    parts = [(at, one) for at, one in enumerate(source.reading) if one.path in paths]
    labels = ", ".join(literal(source.label_of(one)) for _, one in parts)
    row = f"_row + {[one.counted for _, one in parts]}[_part + 1]" if any(one.start for _, one in parts) else "_row"
    if any(one.numbers for _, one in parts):
        row = f"{[list(one.numbers) for _, one in parts]}[_part + 1][_row]"
    left_out = [
        f"(_file = {literal(source.label_of(one))} AND _row IN ({', '.join(map(str, one.without))}))"
        for _, one in parts
        if one.without
    ]
    where = f" WHERE NOT ({' OR '.join(left_out)})" if left_out else ""
    at = f"{[at for at, _ in parts]}[_part + 1] * {ROWS_IN_A_FILE:d} + _row AS _at"
    inner = f"SELECT * REPLACE ({row} AS _row), [{labels}][_part + 1] AS _file FROM {relation}"
    return f"SELECT *, {at} FROM ({inner}){where}"


def _numbered(body: str, label: str, number: int, part: Part) -> str:
    """DuckDB keeps a file's order under `row_number() OVER ()`, because insertion order is preserved."""
    before = part.counted
    skipped = f" WHERE _row NOT IN ({', '.join(map(str, part.without))})" if part.without else ""
    row = f"row_number() OVER () + {before:d}" if before else "row_number() OVER ()"
    if part.numbers:
        row = f"{list(part.numbers)}[{row}]"
    return (
        f"SELECT *, {number * ROWS_IN_A_FILE:d} + _row AS _at "
        f"FROM (SELECT *, {literal(label)} AS _file, {row} AS _row {body}){skipped}"
    )


def _parquet(source: Source, part: Part) -> str:
    """What a part is read from; where the reader tells a file's name, a copy has that of its file."""
    body = f"FROM {reader(source, part.path)}"
    if mixed := source.mixed.get(part.path):
        # What stands alone is what it is in its own file.
        own = [f"{as_json(quote(name), kind)} AS {quote(raw_of(name))}" for name, kind in mixed.items()]
        own += [f"CAST({quote(name)} AS VARCHAR) AS {quote(text_of(name))}" for name in mixed]
        texts = [f"CAST({quote(name)} AS VARCHAR) AS {quote(name)}" for name in mixed if fold(name) in source.bare]
        every = f"* REPLACE ({', '.join(texts)})" if texts else "*"
        body = f"FROM (SELECT {every}, {', '.join(own)} {body})"
    told = source.settings.read.get("filename", False)
    if not told or not part.copied:
        return body
    name = told if isinstance(told, str) else "filename"
    return f"FROM (SELECT * REPLACE ({literal(str(part.file))} AS {quote(name)}) {body})"


def refuse_places(source: Source, where: str, names: Iterable[str]) -> None:
    """Raise where a column is called as the place of a row is here."""
    for name in names:
        if fold(name) in (*_PLACE, "_part", "_unfit"):
            reason = f"its column {name!r} has the name of something that an import keeps of every row"
            raise BadFile(source.name, where, reason, "write it under another name")


def text_of(name: str) -> str:
    """The name of a column that has the text of another one, which has a type."""
    return f"_text {name}"


def spelling_of(source: Source) -> Spelling:
    """How values are written in the text files of a source."""
    return (JsonSpelling if source.objects is not None else Spelling).of(source.settings.read)


def _typed(source: Source, names: Sequence[str], *, placed: bool) -> Iterator[str]:
    spelling = spelling_of(source)
    for name in names:
        kind, text, raw = source.kinds.get(fold(name), "VARCHAR"), quote(name), quote(raw_of(name))
        if source.objects is not None:
            yield raw
        elif held := as_written(spelling.number(text), source.alone.get(fold(name), "")):
            yield f"{_checked(source, name, held, placed=placed)} AS {raw}"
        if kind == "VARCHAR":
            yield f"{_checked(source, name, text, placed=placed)} AS {text}"
            if fold(name) in source.texted:
                yield f"{text} AS {quote(text_of(name))}"
            continue
        value = spelling.value(name, kind)
        yield f"{_checked(source, name, value, placed=placed)} AS {text}"
        yield f"{text} AS {quote(text_of(name))}"
    if placed:
        asked = [name for name in names if fold(name) not in source.needless]
        unfit = [f"WHEN NOT {fits} THEN {words}" for fits, words in (_fit(source, name) for name in asked) if words]
        yield f"{f'CASE {chr(32).join(unfit)} END' if unfit else 'CAST(NULL AS VARCHAR)'} AS _unfit"


def _checked(source: Source, name: str, value: str, *, placed: bool) -> str:
    """What a column gives where its text is of its kind: else NULL, or, unless `placed`, an error that says so."""
    fits, words = _fit(source, name)
    return f"CASE WHEN {fits} THEN {value}{'' if placed else f' ELSE error({words})'} END" if words else value


def _fit(source: Source, name: str) -> tuple[str, str]:
    """Whether a row's text is of its column's kind, and why it is not; both empty where all are known to be."""
    if fold(name) not in source.unsure:
        return "", ""
    spelling, kind = spelling_of(source), {**source.kinds, **source.alone}[fold(name)]
    return f"({quote(name)} IS NULL OR {spelling.fits(name, kind)})", spelling.fault(name, kind)


def reader(source: Source, file: Path) -> str:
    """
    A file as DuckDB's reader of its format, with the source's options, each column of the type that it is read as.

    Raises:
        UnknownFormat: the file's ending says nothing.
    """
    function, options = format_of(source, file), dict(source.settings.read)
    options.pop("types", None)
    if function == "read_parquet" and not options.keys() & {"hive_partitioning", "hive_types"}:
        kinds = source.folders if "=" in str(file.parent) else {}
        types = {name: kinds[name] for name in partitions_of(file, ()) if name in kinds}
        options |= {"hive_types": types, "hive_partitioning": True} if types else {"hive_partitioning": False}
    arguments = "".join(f", {name} = {_value(value)}" for name, value in options.items())
    body = f"{function}({literal(exact(file))}{arguments})"
    if not (cast := source.cast.get(file)):
        return body
    casts = ", ".join(f"CAST({quote(name)} AS {kind}) AS {quote(name)}" for name, kind in cast.items())
    return f"(SELECT * REPLACE ({casts}) FROM {body})"


def parquet_columns(engine: Engine, source: Source) -> dict[str, str]:
    """The columns of the Parquet files that are read, with their types."""
    bodies = [
        f"(SELECT * FROM {reader(source, part.path)})"
        for part in source.reading
        if not part.nothing and format_of(source, part.path) == "read_parquet"
    ]
    return engine.columns(" UNION ALL BY NAME ".join(bodies)) if bodies else {}


def json_form(source: Source, file: Path) -> str:
    """How the objects of a JSON file stand in it: `newline_delimited`, or as its options say."""
    return str(source.settings.read.get("format", LINES if ending_of(file) != ".json" else "auto"))


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
