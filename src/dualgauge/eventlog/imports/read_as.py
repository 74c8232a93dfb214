"""How a row of the quarantine was read: kept with it, so that its text can be read again in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualgauge.engines.files.column_types import Spelling
from dualgauge.engines.files.json_types import is_shape, raw_of
from dualgauge.engines.files.text_rows import LineDialect
from dualgauge.eventlog.sources.json_values import as_json
from dualgauge.eventlog.sources.readers import text_columns, text_of
from dualgauge.eventlog.sources.source import CURSOR_ORDER
from dualgauge.model import fold, literal, quote

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.sources.source import Source

ESCAPED = "escaped"
"""What is said of how a row is read where its text is kept with escapes for what no database keeps."""

MAPPING = "mapping"
"""What is said of how a row is read by a digest of the settings that it did not fit."""

OWN = "own"
"""What is said of how a row of values is read by the types that columns had in its file, where others had others."""

_OF_A_FILE = ("comment", "encoding", "header", "skip")
"""Options that say something of the file, and nothing of a row."""


def columns_of(again: Source) -> dict[str, str]:
    """The columns of all text files of a source, and of those that are not read, with their types."""
    return dict.fromkeys(text_columns(again), "VARCHAR") | dict(again.beside)


def read_as_of(
    again: Source,
    names: Sequence[str],
    dialect: LineDialect,
    folders: Collection[str],
    columns: Mapping[str, str],
) -> dict[str, Any]:
    """
    How a row's text is to be read again: like its file, with the types that its columns had.

    `beside` are those that an expression may name though they are not in the text: of `folders`, and of other files. A
    column to which no row gave a type has none.
    """
    own = {fold(name) for name in names}
    others = dict.fromkeys(folders, "VARCHAR") | dict(columns)
    kept = [[name, again.kinds.get(fold(name), kind)] for name, kind in others.items() if fold(name) not in own]
    kinds = {**again.kinds, **again.alone}
    said = {"columns": [[name, kinds.get(fold(name), "")] for name in names], **dialect.kept()}
    return said | ({"beside": kept} if kept else {})


def kinds_of(read_as: Mapping[str, Any]) -> dict[str, str]:
    """The columns of a row's file, in their order, and the types that they had; empty where no row gave them one."""
    # An older version kept an empty name in a header as it stands there.
    return {name or f"column{at}": kind for at, (name, kind) in enumerate(read_as.get("columns", ()))}


def kept_kinds(read_as: Mapping[str, Any]) -> dict[str, str]:
    """The types that columns of a row's text, and of other files beside it, had; by their names in small letters."""
    known = {fold(name): kind for name, kind in (kinds_of(read_as) | dict(read_as.get("beside", ()))).items()}
    # Rows of JSON that were set aside by an older version say types of DuckDB's.
    had = {name: kind for name, kind in known.items() if kind and not kind.startswith(("STRUCT", "MAP"))}
    return {name: kind for name, kind in had.items() if is_shape(kind) or not kind.endswith("]")}


def dialect_of(read_as: Mapping[str, Any], read: Mapping[str, Any]) -> LineDialect | None:
    """How a row's text is written, if it is one of CSV."""
    if read_as.get("format") != "csv":
        return None
    options = csv_options(read_as, read)
    return LineDialect(options["delim"], options["quote"], options["escape"], columns=len(options["names"]))


def csv_options(read_as: Mapping[str, Any], read: Mapping[str, Any]) -> dict[str, Any]:
    """The options that read a row's text: how its file was read, and over that what the settings say now."""
    given = _without(read, *_OF_A_FILE)
    kept = {name: read_as[key] for name, key in (("delim", "delimiter"), ("quote", "quote"), ("escape", "escape"))}
    kept["names"] = list(kinds_of(read_as))
    if "quote" in given and "escape" not in given:
        kept["escape"] = given["quote"]
    return kept | given | {"header": True}


def _without(read: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in read.items() if name.lower() not in names}


def table_of_values(relation: str, read_as: Mapping[str, Any], texts: Sequence[str], *, ordered: bool) -> str:
    """
    A table of rows that are kept as JSON: each value is the text that its type is made from.

    `ordered`: they have a place in the order of a cursor, which a query may name.
    """
    values = []
    for name, kind in kinds_of(read_as).items():
        text, own = f"json_extract_string(_.j, {literal(_pointer(name))})", read_as.get(OWN, {}).get(name)
        value = f"CAST({text} AS {own})" if own else text
        values.append(f"CAST({value} AS {kind}) AS {quote(name)}")
        if own:
            # As the rows of the file have them, whose columns other files have in other types.
            values.append(f"CAST({value} AS VARCHAR) AS {quote(text_of(name))}")
            values.append(f"CAST({as_json(value, own)} AS VARCHAR) AS {quote(raw_of(name))}")
    rows = ", ".join(f"({number:d}, {literal(text)})" for number, text in enumerate(texts))
    # Qualified: a column of the source may be called n or j, too.
    place = f", _.n AS {CURSOR_ORDER}" if ordered else ""
    body = f"SELECT {', '.join(values)}{place} FROM (VALUES {rows}) AS _(n, j) ORDER BY _.n"
    return f"CREATE OR REPLACE TEMP TABLE {quote(relation)} AS {body}"


def value_fault(engine: Engine, read_as: Mapping[str, Any], text: str) -> str:
    """Why a JSON text holds a value that the column's type does not hold to the letter; empty where there is none."""
    faults = []
    for name, kind in kinds_of(read_as).items():
        own = read_as.get(OWN, {}).get(name, kind)
        value = f"json_extract_string(_.j, {literal(_pointer(name))})"
        # As the engine writes it, or in another way that says no more.
        same = f"coalesce(CAST(TRY_CAST(t AS {own}) AS VARCHAR) = t, false)"
        known = "TIMESTAMPTZ" if own == "TIMESTAMP WITH TIME ZONE" else own
        if Spelling().pattern_of(known.partition("(")[0]) and not own.endswith("]"):
            same += f" OR {Spelling(said=frozenset('t')).fits('t', known)}"
        before, behind = literal(f"{name} = '"), literal(f"' is no {own}")
        told = f"{before} || t || {behind}"
        faults.append(f"(SELECT CASE WHEN t IS NOT NULL AND NOT ({same}) THEN {told} END FROM (SELECT {value} AS t))")
    (found,) = engine.row(f"SELECT coalesce({', '.join(faults)}, '') FROM (SELECT {literal(text)} AS j) AS _")
    return str(found)


def plain(text: str) -> str:
    """A text as a database can keep it: what is no UTF-8, and the character 0, as escapes."""
    said = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return said.replace("\x00", "\\x00")


def _pointer(name: str) -> str:
    """A name as a JSON pointer, which takes any."""
    return "/" + name.replace("~", "~0").replace("/", "~1")
