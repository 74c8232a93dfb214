"""
Expressions of a source whose value is another one than they say.

Where one compares a text with a number, the engine makes a number of the text, and rounds it. A row as a whole has
columns of the import's own in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualgauge.engines.syntax import expressions, nodes, statements_of
from dualgauge.eventlog.errors import BadMapping
from dualgauge.eventlog.sources.advice import type_said
from dualgauge.model import fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dualgauge.engines.duck import Engine
    from dualgauge.engines.syntax import Node

_ALIKE: Final = (
    "COMPARE_EQUAL", "COMPARE_NOTEQUAL", "COMPARE_DISTINCT_FROM", "COMPARE_NOT_DISTINCT_FROM", "COMPARE_IN",
)  # fmt: skip
"""Comparisons that the engine makes of a text and a number; the others it refuses by itself."""

_NUMBERS: Final = ("INTEGER", "NUMERIC")


def refuse_bent(
    engine: Engine, source: str, given: Mapping[str, str], available: Mapping[str, str], *, files: bool
) -> None:
    """
    Look at the expressions of a source.

    Seen: to the engine `'7.4' = 7` holds, and so does `'007' = 7`; `v <> 7` dropped the rows of both.

    Args:
        engine: parses them.
        source: the source's name.
        given: the expressions, by the settings that give them.
        available: the columns that they may name, with their types.
        files: the source reads files, whose rows have columns of the import's own.

    Raises:
        BadMapping: one compares a column of texts with a number that is written there, or makes a value of a whole row.
    """
    texts = {fold(name) for name, kind in available.items() if kind == "VARCHAR" and not name.startswith("_")}
    known = tuple(one for one in available if not one.startswith("_"))
    for setting, expression in given.items():
        statements = statements_of(engine, expression if setting == "query" else f"SELECT {expression}")
        if files and (row := _row_in(statements or [], set(map(fold, available)), query=setting == "query")):
            reason = f"it takes a row of {row} as a whole, with columns that an import has of its own: name the columns"
            raise BadMapping(source, reason, known, setting if setting == "query" else f"{setting} = {expression!r}")
        for node in _comparisons(statements or [], whole=setting != "query"):
            parts = node["children"] if "children" in node else [node["left"], node["right"]]
            names = [one["column_names"][-1] for one in parts if one["class"] == "COLUMN_REF"]
            columns = [name for name in names if fold(name) in texts]
            numbers = [one["literal"]["text"] for one in parts if one.get("literal", {}).get("kind") in _NUMBERS]
            if columns and numbers:
                name, number = columns[0], numbers[0]
                reason = (
                    f"it compares {name}, which is text, with the number {number}: the engine would make a number of "
                    f"each text, and round it; write the number as a text, '{number}', or say that the column is one, "
                    f"{type_said(name, 'DOUBLE')}"
                )
                what = setting if setting == "query" else f"{setting} = {expression!r}"
                raise BadMapping(source, reason, known, what)


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


def _comparisons(statements: list[Node], *, whole: bool) -> Iterator[Node]:
    """Of an expression all; of a query those of SELECTs over `source` itself, where a name is that of its column."""
    for select in (one for one in nodes(statements) if "select_list" in one):
        table = select.get("from_table") or {}
        if whole or (table.get("type") == "BASE_TABLE" and fold(table.get("table_name", "")) == "source"):
            asked = [select["select_list"], select.get("where_clause")]
            yield from (one for one in expressions(asked) if one["type"] in _ALIKE)
