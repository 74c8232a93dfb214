"""
Expressions of a source whose value is another one than they say.

Where a text meets a number or a time, the engine makes one of the text, and rounds it. A row as a whole has columns of
the import's own in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualgauge.engines.casts import bending_casts
from dualgauge.engines.files.column_types import is_number, kept_whole
from dualgauge.engines.syntax import expressions, nodes, statements_of
from dualgauge.eventlog.errors import BadMapping
from dualgauge.model import fold, listed, literal, quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualgauge.engines.casts import Cast
    from dualgauge.engines.duck import Engine
    from dualgauge.engines.syntax import Node

_TIMES: Final = ("DATE", "TIME", "TIMETZ", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")


_LITERALS: Final = {"TIME": "[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,6}0*)?)?", "BOOLEAN": "(?i:true|false)"}
"""How a text that is written in an expression says all of a value."""

_EXAMPLES: Final = {
    "BOOLEAN": ("true", "BOOLEAN"), "UUID": ("6f9619ff-8b86-d011-b42d-00c04fc964ff", "UUID"),
    "INTERVAL": ("1 day", "INTERVAL"), **dict.fromkeys(("TIME", "TIMETZ"), ("10:00:00", "TIME")),
}  # fmt: skip
_LOST: Final = dict.fromkeys(("BOOLEAN", "UUID", "INTERVAL"), "take several spellings for one")


def refuse_bent(
    engine: Engine, source: str, given: Mapping[str, str], available: Mapping[str, str], *, files: bool
) -> None:
    """
    Look at the expressions of a source.

    Seen: to the engine `'7.4' = 7` holds, and so does `'007' = 7`; `v <> 7` dropped the rows of both.

    Args:
        engine: parses and binds them.
        source: the source's name.
        given: the expressions, by the settings that give them.
        available: the columns that they may name, with their types.
        files: the source reads files, whose rows have columns of the import's own.

    Raises:
        BadMapping: one compares a text with a number or a time, rounds a decimal, or makes a value of a whole row.
    """
    known = tuple(one for one in available if not one.startswith("_"))
    valueless = ", ".join(f"CAST(NULL AS {kind}) AS {quote(name)}" for name, kind in available.items())
    for setting, expression in given.items():
        query = setting == "query"
        what = setting if query else f"{setting} = {expression!r}"
        statements = statements_of(engine, expression if query else f"SELECT {expression}")
        if files and (row := _row_in(statements or [], set(map(fold, available)), query=query)):
            reason = f"it takes a row of {row} as a whole, with columns that an import has of its own: name the columns"
            raise BadMapping(source, reason, known, what)
        rows = f"WITH source AS (SELECT {valueless}) "
        selected = f"{rows} SELECT * FROM ({expression}\n)" if query else f"{rows} SELECT {expression} FROM source"
        for cast in bending_casts(engine, selected):
            if reason := _bent(engine, cast):
                raise BadMapping(source, reason, known, what)


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
