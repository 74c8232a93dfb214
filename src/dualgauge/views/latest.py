"""
What a view means by the latest value of a key: the last that is not NULL, or that of the last event, NULL or not.

DuckDB's `arg_max(x, position)` passes over the events whose `x` is NULL, without a word: of a ticket that was taken
back it gives the ticket before. `arg_max_null(x, position)` gives NULL.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dualgauge.model import fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dualgauge.engines.duck import Engine

_SKIP: Final = {"arg_max": True, "argmax": True, "max_by": True, "arg_min": False, "argmin": False, "min_by": False}
_KEEP: Final = {
    "arg_max_null": True, "arg_max_nulls_last": True, "arg_min_null": False, "arg_min_nulls_last": False,
}  # fmt: skip
_ORDERED: Final = {"last": True, "first": False, "arbitrary": False, "any_value": False}
"""Functions that give one value of a group, and whether it is the one of the last event; of those with ORDER BY."""

_MADE: Final = frozenset(("struct_pack", "row", "list_value"))
"""Functions that are never NULL, whatever their arguments are."""

KEEPING: Final = frozenset(_KEEP)
"""Aggregates that not every parser of SQL knows for such."""


@dataclass(frozen=True, slots=True)
class Latest:
    """
    One value that a view takes from one event of a group.

    `column` is the view's column that it goes into, empty where it goes into none by itself (a CTE); `sql` is how the
    view says it, `value` what it takes. `last` is false for the first event; `skips` says that an event whose value is
    NULL is passed over.
    """

    column: str
    sql: str
    value: str
    last: bool
    skips: bool

    @property
    def shown(self) -> str:
        """What it is, as a sentence."""
        place = "last" if self.last else "first"
        if self.skips:
            return f"{self.sql} skips NULLs: the {place} {self.value} that is not NULL"
        return f"{self.sql} keeps NULLs: the {self.value} of the {place} event, NULL or not"


def latest(engine: Engine, sql: str, columns: Sequence[str]) -> tuple[Latest, ...]:
    """
    Where a SELECT takes a value from the last or the first event of a group, by the engine's own parser.

    Args:
        engine: parses it.
        sql: a view's SELECT.
        columns: the columns that it gives.
    """
    parsed = json.loads(engine.row("SELECT json_serialize_sql(?)", [sql])[0])
    if parsed["error"]:
        return ()
    node = parsed["statements"][0]["node"]
    chosen = node.get("select_list", ())
    # A star stands for several columns, so nobody knows which one the others are.
    names = columns if len(columns) == len(chosen) else [one["alias"] for one in chosen]
    found = [(name, *call) for name, one in zip(names, chosen, strict=True) for call in _calls(one)]
    found += [("", *call) for call in _calls({**node, "select_list": None})]
    text = sql.encode()
    return tuple(
        Latest(name, _written(engine, call, text), _written(engine, value, text), last, skips)
        for name, call, value, last, skips in found
    )


_Call = tuple[dict[str, Any], dict[str, Any], bool, bool]
"""A call in the parsed tree, what it takes, and the fields `last` and `skips`."""


def _calls(node: Any) -> Iterator[_Call]:  # noqa: ANN401  (a tree of JSON)
    """Each call below a node that takes a value from one event."""
    if isinstance(node, list):
        for one in node:
            yield from _calls(one)
    elif isinstance(node, dict):
        if node.get("class") in ("FUNCTION", "WINDOW") and (call := _call(node)):
            yield call
        for one in node.values():
            yield from _calls(one)


def _call(node: dict[str, Any]) -> _Call | None:
    name, arguments = fold(node["function_name"]), [one["expression"] for one in node["arguments"]]
    if not arguments:
        return None
    value = arguments[0]
    made = fold(value.get("function_name", "")) in _MADE
    if made and len(value["arguments"]) == 1:
        value = value["arguments"][0]["expression"]
    if name in _ORDERED:
        orders = (node.get("order_bys") or {}).get("orders") or node.get("arg_orders") or []
        if not orders:
            return None
        last, skips = _ORDERED[name] != (orders[0]["type"] == "DESCENDING"), name == "any_value" and not made
    elif name in _SKIP or name in _KEEP:
        last, skips = (_SKIP | _KEEP)[name], name in _SKIP and not made
    else:
        return None
    return node, value, last, skips


def _written(engine: Engine, node: dict[str, Any], text: bytes) -> str:
    """A part of a parsed SELECT as it was written, if in one line; else as the engine writes it."""
    # Seen: the engine says of an operator where its sign stands, and counts bytes.
    if node["class"] in ("FUNCTION", "WINDOW", "COLUMN_REF") and not node.get("is_operator"):
        start = node["query_location"]
        found = text[start : start + node["query_location_length"]].decode()
        if found and "\n" not in found:
            return found
    whole = json.loads(engine.row("SELECT json_serialize_sql('SELECT 1')")[0])
    whole["statements"][0]["node"]["select_list"] = [{**node, "alias": ""}]
    (sql,) = engine.row("SELECT json_deserialize_sql(?)", [json.dumps(whole)])
    return str(sql).removeprefix("SELECT ")
