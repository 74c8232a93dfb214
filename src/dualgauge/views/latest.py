"""
What a view means by the latest value of a key: the last that is not NULL, or that of the last event, NULL or not.

DuckDB's `arg_max(x, position)` passes over the events whose `x` is NULL, without a word: of a ticket that was taken
back it gives the ticket before. `arg_max_null(x, position)` gives NULL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dualgauge.engines.aggregates import BY_KEY, OF_ONE, PACKED, named
from dualgauge.engines.syntax import Node, arguments_of, expressions, name_of, shown, statements_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.engines.duck import Engine

_MADE: Final = PACKED | {"list_value"}
"""Functions that are never NULL, whatever their arguments are."""


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
    statements = statements_of(engine, sql)
    if not statements:
        return ()
    node = statements[0]["node"]
    chosen = node.get("select_list", ())
    # A star stands for several columns, so nobody knows which one the others are.
    names = columns if len(columns) == len(chosen) else [one["alias"] for one in chosen]
    places = [*zip(names, chosen, strict=True), ("", {**node, "select_list": None})]
    return tuple(
        Latest(name, shown(engine, call, sql), shown(engine, value, sql), last, skips)
        for name, part in places
        for call in expressions(part)
        for value, last, skips in _taken(call)
    )


def _taken(node: Node) -> list[tuple[Node, bool, bool]]:
    """What a call takes from one event, and the fields `last` and `skips`; nothing where it takes none from one."""
    name = named(name_of(node))
    if (name not in BY_KEY and name not in OF_ONE) or not (arguments := arguments_of(node)):
        return []
    value = arguments[0]
    made = name_of(value) in _MADE
    if made and len(value["arguments"]) == 1:
        (value,) = arguments_of(value)
    if name in BY_KEY:
        return [(value, name.startswith("arg_max"), not name.endswith("_null") and not made)]
    orders = (node.get("order_bys") or {}).get("orders") or node.get("arg_orders") or []
    if not orders:
        return []
    return [(value, OF_ONE[name] != (orders[0]["type"] == "DESCENDING"), name == "any_value" and not made)]
