"""
Expressions of a source whose value is another one than they say.

Where a text meets a number or a time, the engine makes one of the text, and rounds it. A row as a whole has columns of
the import's own in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualgauge.engines.casts import bending_casts, bound, json_as_text
from dualgauge.engines.files.column_types import is_number, kept_whole
from dualgauge.engines.syntax import expressions, nodes, statements_of
from dualgauge.eventlog.columns import CAUSED_BY, column_of
from dualgauge.eventlog.errors import BadMapping
from dualgauge.eventlog.sources.advice import type_said
from dualgauge.eventlog.sources.readers import text_of
from dualgauge.model import fold, listed, literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dualgauge.engines.casts import Cast
    from dualgauge.engines.duck import Engine
    from dualgauge.engines.syntax import Node
    from dualgauge.eventlog.sources.source import Source

_TEXTS: Final = ("event_id", "type", CAUSED_BY, "order_by")
"""Settings whose values are texts, or times."""

_TIMES: Final = ("DATE", "TIME", "TIMETZ", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")


_LITERALS: Final = {"TIME": "[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,6}0*)?)?", "BOOLEAN": "(?i:true|false)"}
"""How a text that is written in an expression says all of a value."""

_EXAMPLES: Final = {
    "BOOLEAN": ("true", "BOOLEAN"), "UUID": ("6f9619ff-8b86-d011-b42d-00c04fc964ff", "UUID"),
    "INTERVAL": ("1 day", "INTERVAL"), **dict.fromkeys(("TIME", "TIMETZ"), ("10:00:00", "TIME")),
}  # fmt: skip
_LOST: Final = dict.fromkeys(("BOOLEAN", "UUID", "INTERVAL"), "take several spellings for one")


def refuse_bent(
    engine: Engine, source: Source, available: Mapping[str, str], columns: Mapping[str, str], given: Iterable[str] = ()
) -> None:
    """
    Look at the expressions of a source.

    Seen: to the engine `'7.4' = 7` holds, and so does `'007' = 7`; `v <> 7` dropped the rows of both.

    Args:
        engine: parses and binds them.
        source: the source.
        available: the columns that they may name, with their types.
        columns: declared columns and their types.
        given: the columns that its query gives.

    Raises:
        BadMapping: one compares a text with a number or a time, rounds a decimal, takes JSON as a text that is in some
            rows another value, or makes a value of a whole row.
    """
    known = tuple(one for one in available if not one.startswith("_"))
    folded = set(map(fold, available))
    texts = {*_TEXTS, *(f"select.{fold(name)}" for name, kind in columns.items() if kind == "VARCHAR")}
    written = source.settings.sql()
    for setting, expression in source.expressions.sql().items():
        query = setting == "query"
        # A column by itself is what it is, and most are.
        if not query and column_of(expression) in folded:
            continue
        what = setting if query else f"{setting} = {written[setting]!r}"
        statements = statements_of(engine, written[setting] if query else f"SELECT {written[setting]}")
        if source.settings.path and (row := _row_in(statements or [], folded, query=query)):
            reason = f"it takes a row of {row} as a whole, with columns that an import has of its own: name the columns"
            raise BadMapping(source.name, reason, known, what)
        if query:
            as_text = [one for one in given if {fold(one), f"select.{fold(one)}"} & texts]
            wanted = ["*", *(f"CAST({quote(one)} AS VARCHAR)" for one in as_text)]
            made = f"SELECT {', '.join(wanted)} FROM {in_brackets(expression)}"
        else:
            text = fold(setting) in texts
            one = f"CAST(({expression}\n) AS VARCHAR)" if text else expression
            made = f"SELECT {one}\n FROM source"
        if reason := bent(engine, source, made, available):
            raise BadMapping(source.name, reason, known, what)


def in_brackets(query: str) -> str:
    """A user's query as a part of another one."""
    # The line break ends a comment on the query's last line.
    return f"({query.rstrip().rstrip(';')}\n)"


def bent(engine: Engine, source: Source, selected: str, available: Mapping[str, str]) -> str:
    """Why a SELECT from the rows of a source gives other values than it says; empty where it does not."""
    valueless = ", ".join(f"CAST(NULL AS {kind}) AS {quote(name)}" for name, kind in available.items())
    parts = bound(engine, f"WITH source AS (SELECT {valueless}) {selected}")
    # What is said to be JSON is taken as such.
    unsaid = set(map(fold, available)) - set(map(fold, source.settings.read.get("types", ())))
    if source.objects and (name := json_as_text(parts, unsaid)):
        advice = f"{type_said(name, 'JSON')}, and take what is meant as text by ->>, as in {name}->>'FIELD'"
        if {fold(one): kind for one, kind in available.items()}[fold(name)] == "JSON":
            advice = f"{type_said(name, 'VARCHAR')} for its text, or JSON"
        return (
            f"it takes a value of {name} as text that is not text in each row, such as a number in one and a string in "
            f"another: the string would have its quotes; say {advice}"
        )
    own = {fold(text_of(name)): name for name in available}
    for cast in bending_casts(parts):
        named = cast._replace(columns=tuple(own.get(fold(one), one) for one in cast.columns))
        if reason := _bent(engine, named):
            return reason
    return ""


def _bent(engine: Engine, cast: Cast) -> str:
    """Why what a cast gives may be another value than the text; empty where it cannot be."""
    if cast.before != "VARCHAR":
        what = f"{listed(cast.columns)}, which is {cast.before}," if cast.columns else f"a value of {cast.before}"
        return (
            f"it takes {what} and a value of {cast.kind} for one: the engine would round it; cast both to one type "
            "that holds their digits, or say which, as in CAST(... AS DECIMAL(38,10))"
        )
    kind, number = cast.kind.replace(" WITH TIME ZONE", "TZ"), is_number(cast.kind)
    family = kind.partition("(")[0]
    if not number and family not in (*_TIMES, "BOOLEAN", "UUID", "INTERVAL"):
        return ""
    if cast.literal is not None:
        text = literal(cast.literal)
        whole = kept_whole(text, kind if not number or family in ("DECIMAL", "DOUBLE") else "BIGINT")
        if pattern := _LITERALS.get(family):
            whole = f"regexp_full_match({text}, {literal(pattern)})"
        if engine.row(f"SELECT coalesce({whole}, true)")[0]:
            return ""
        return f"it has the text {cast.literal!r} in the place of a value of {kind}, which does not hold all of it"
    name, said, example = "a text", "...", ("7", "DOUBLE") if number else _EXAMPLES.get(family, ("2026-01-31", "DATE"))
    if cast.columns:
        name = f"{listed(cast.columns)}, which is text," if cast.alone else f"a text made of {listed(cast.columns)}"
        said = cast.columns[0] if cast.alone else said
    lost = "round it" if number else _LOST.get(family, "leave out what that does not hold")
    return (
        f"it compares {name} with a value of {kind}: the engine would make one of each text, and {lost}; make a text "
        f"of the other, such as '{example[0]}', or a value of the text if that is meant, CAST({said} AS {example[1]})"
    )


def _row_in(statements: list[Node], columns: set[str], *, query: bool) -> str:
    """The table of all columns whose rows an expression takes as values, by its name; empty where none is."""
    star = any(one.get("class") == "STAR" for one in nodes(statements))
    # What lists its columns has none of the import's.
    listed = set() if star else {fold(each["key"]) for one in nodes(statements) for each in one.get("map") or ()}
    tables = {
        fold(one["alias"] or one["table_name"])
        for one in nodes(statements)
        if one.get("type") == "BASE_TABLE" and fold(one["table_name"]) not in listed
    }
    if star:
        # What a subquery gives of all columns, it gives of those too.
        tables |= {
            fold(one["alias"]) for one in nodes(statements) if one.get("type") == "SUBQUERY" and one.get("alias")
        }
    for one in expressions(statements):
        name = fold(one["column_names"][0]) if one["class"] == "COLUMN_REF" and len(one["column_names"]) == 1 else ""
        if name not in columns and (name in tables or (name.startswith("unnamed_") and (star or not query))):
            return name
    return ""
