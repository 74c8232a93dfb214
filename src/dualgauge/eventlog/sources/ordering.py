"""When a row is due: the time by which the rows of all sources are merged, and its place among those of that time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.engines.syntax import nodes, statements_of
from dualgauge.eventlog.errors import BadMapping
from dualgauge.eventlog.sources.cursor import beyond_a_row
from dualgauge.eventlog.sources.source import CURSOR_ORDER, FILE_ORDER, ROWS_IN_A_FILE, by_cursor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.settings import SourceSettings
    from dualgauge.eventlog.sources.source import Source

_TIMES = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP", "DATE", "TIMESTAMP_NS", "TIMESTAMP_S", "TIMESTAMP_MS", "VARCHAR")


def order_of(settings: SourceSettings, names: Mapping[str, str]) -> str:
    """What a source's rows are ordered by, over the columns of its events; empty: by when they occurred."""
    if by_cursor(settings):
        return CURSOR_ORDER
    return "_at" if settings.order_by == FILE_ORDER else "_order" if "_order" in names else settings.order_by


def refuse_unordered(engine: Engine, source: Source, names: Iterable[str]) -> None:
    """
    Look whether a query leaves the order of its rows to the engine, where that is to be kept.

    Seen: of `FROM source, unnest(items)` the engine gives the first items of all rows, and then the second ones.

    Raises:
        BadMapping: it does.
    """
    settings = source.settings
    if not settings.query or settings.order_by != FILE_ORDER:
        return
    statements = statements_of(engine, settings.query) or [{"node": {}}]
    ordered = any(one["type"] == "ORDER_MODIFIER" for one in statements[-1]["node"].get("modifiers", ()))
    joined = any(one.get("type") in ("JOIN", "SET_OPERATION_NODE") for one in nodes(statements))
    if (joined or beyond_a_row(settings)) and not ordered:
        reason = (
            'order_by = "file" keeps the order in which it gives its rows, which may be any beside a join, an unnest '
            "in FROM, a window or a group: end it with ORDER BY, or leave order_by out"
        )
        raise BadMapping(source.name, reason, tuple(names), "query")


def is_time(kind: str) -> bool:
    """Whether a DuckDB type is a time's; a text is taken for one."""
    return kind in _TIMES


def due(source: Source, order: str, kind: str) -> tuple[str, str]:
    """
    Expressions for the time a row is due, and for its place among rows of that time; `kind` is the order's type.

    Ordered by a time: that time. Ordered by anything else: rows keep that order, and each is due when the latest
    of the rows up to it occurred, so that the source can be merged with others and cut by time.
    """
    if not order:
        return "occurred_at", "0"
    if is_time(kind):
        return f"CAST({order} AS TIMESTAMPTZ)", "0"
    # Rows of one place take the order of their ids, here as in the log.
    running = "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
    latest = f"max(CAST(occurred_at AS TIMESTAMPTZ)) OVER (ORDER BY {order}, event_id {running})"
    floor = _floor(source)
    return (f"greatest({latest}, make_timestamptz({floor}))" if floor else latest), order


def _floor(source: Source) -> str:
    """
    The latest time of rows that lie before and are not read now: without them a row would be due too early.

    Microseconds since 1970 as an expression; empty where there are none.
    """
    floors = [part.floor for part in source.reading]
    if all(one is None for one in floors):
        return "" if source.floor is None else f"CAST({source.floor:d} AS BIGINT)"
    told = ", ".join("NULL" if one is None else f"{one:d}" for one in floors)
    return f"CAST([{told}] AS BIGINT[])[_at // {ROWS_IN_A_FILE:d} + 1]"
