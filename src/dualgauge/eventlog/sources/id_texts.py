"""
Where an expression takes the text of a column: that which stands in the file.

A value of a type is respelt when it becomes a text again: `'x' || amount` of 1.1 would be x1.10 beside 1.25, and x1.1
where the file with 1.25 is imported later.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from dualgauge.eventlog.sources.readers import text_of
from dualgauge.model import fold, quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dualgauge.engines.duck import Engine

_JOINING: Final = ("||", "concat", "concat_ws")
_TEXT: Final = re.compile("varchar|text|string", re.IGNORECASE)
_OF_LISTS: Final = re.compile("list_|array_|len$|unnest$")
"""Functions of which what is joined by `||` in them is a list."""

_BEFORE: Final = "SELECT "


def with_texts_for(engine: Engine, expression: str, names: Mapping[str, str]) -> tuple[str, frozenset[str]]:
    """
    An expression that names a column's text, by `text_of`, where it makes a text of the column; and of which ones.

    That is where the column is joined by `||`, `concat` or `concat_ws`, or cast to VARCHAR.

    Args:
        engine: parses it.
        expression: as it stands in the settings; one that is no SQL is given as it is.
        names: columns by their names in small letters.
    """
    parsed = json.loads(engine.row("SELECT json_serialize_sql(?)", [f"{_BEFORE}{expression}"])[0])
    written, found = f"{_BEFORE}{expression}".encode(), set()
    places = [] if parsed["error"] else list(_columns(parsed["statements"]))
    for place in sorted(places, key=lambda one: int(one["query_location"]), reverse=True):
        (name, *inside), start = place["column_names"], place["query_location"]
        if not inside and fold(name) in names:
            found.add(fold(name))
            text = quote(text_of(names[fold(name)])).encode()
            # The engine counts bytes.
            written = written[:start] + text + written[start + place["query_location_length"] :]
    return written.decode().removeprefix(_BEFORE), frozenset(found)


def _columns(node: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401  (a tree of JSON)
    """The columns below a node that become texts; within a lambda or a subquery a name may mean something else."""
    if isinstance(node, list):
        for one in node:
            yield from _columns(one)
    elif isinstance(node, dict) and node.get("class") not in ("LAMBDA", "SUBQUERY"):
        children: list[dict[str, Any]] = []
        if node.get("class") == "FUNCTION" and _OF_LISTS.match(node["function_name"].lower()):
            return
        if node.get("class") == "FUNCTION" and node["function_name"].lower() in _JOINING:
            children = [one["expression"] for one in node["arguments"]]
            if any(one.get("function_name") == "list_value" for one in children):
                return
        elif node.get("class") == "CAST" and _TEXT.fullmatch(node["type_expr"].get("type_name", "")):
            children = [node["child"]]
        yield from (one for one in children if one["class"] == "COLUMN_REF")
        for one in node.values():
            yield from _columns(one)
