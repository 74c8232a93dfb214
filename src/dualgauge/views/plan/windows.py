"""Which columns of a key are windows of time: events have one value of it that are in one hour, or one day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualgauge.engines.syntax import expressions, name_of
from dualgauge.model import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dualgauge.engines.syntax import Node
    from dualgauge.views.plan.parts import Column

_WINDOWS: Final = frozenset(("date_trunc", "datetrunc", "time_bucket", "strftime"))
_TIMES: Final = ("TIMESTAMP", "DATE")


def windows_of(key: Iterable[Column], event_columns: Mapping[str, str]) -> tuple[str, ...]:
    """
    The columns of a key that are made of a time of the event by date_trunc, time_bucket, strftime or a cast to DATE.

    Args:
        key: the columns.
        event_columns: the columns of `events`, with their types.
    """
    times = {fold(name) for name, kind in event_columns.items() if kind.startswith(_TIMES)}
    return tuple(
        column.name
        for column in key
        if any(_is_window(node) and _names(node) & times for node in expressions(column.node))
    )


def _is_window(node: Node) -> bool:
    if node["class"] == "CAST":
        return fold(node["type_expr"]["type_name"]) == "date"
    return name_of(node) in _WINDOWS


def _names(node: Node) -> set[str]:
    return {fold(one["column_names"][-1]) for one in expressions(node) if one["class"] == "COLUMN_REF"}
