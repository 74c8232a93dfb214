"""From a mismatch back to the events that touched its key."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from dualgauge.comparison.values import Touching
from dualgauge.model import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualgauge.comparison.values import Mismatch
    from dualgauge.engines.duck import Engine
    from dualgauge.views.plan.tracing import Tracing

MOST_EVENTS = 8
"""How many events a sampled mismatch shows: the latest ones; all are counted."""


def trace(
    engine: Engine, events: str, tracings: Sequence[Tracing], mismatches: Sequence[Mismatch]
) -> tuple[Mismatch, ...]:
    """
    The mismatches, each with the latest events that touched its key and their number.

    Args:
        engine: scans the log once for each tracing.
        events: the log up to the diff's position, as a SELECT.
        tracings: which events touch a key, of one side or both: an event counts that touches it by any of them. Where
            nobody can tell there is none, and the mismatches come back as they are.
        mismatches: the samples.

    Raises:
        EngineError: an expression of `affected_by` fails on an event.
    """
    if not tracings or not mismatches:
        return tuple(mismatches)
    names = list(tracings[0].key)
    if any(set(names) - set(one.key) for one in mismatches):
        return tuple(mismatches)
    made = {name: f"_key_{i}" for i, name in enumerate(names)}
    keys = pa.table(
        {"_n": pa.array(range(len(mismatches)), pa.int64())}
        | {column: _values([one.key[name] for one in mismatches]) for name, column in made.items()}
    )
    engine.register("_traced", keys)
    # Keys are made in queries of their own: the user's expressions must not see the columns of the join. UNION takes
    # an event once that touches a key on both sides.
    keyed = " UNION ".join(_keyed(events, one, made) for one in tracings)
    match = " AND ".join(f"e.{column} IS NOT DISTINCT FROM CAST(k.{column} AS VARCHAR)" for column in made.values())
    try:
        rows = engine.rows(
            "SELECT k._n, count(*) OVER (PARTITION BY k._n), e.position, e.event_id, e.type, "
            "strftime(e.occurred_at, '%Y-%m-%dT%H:%M:%SZ') "
            f"FROM ({keyed}) e JOIN _traced k ON {match} "
            f"QUALIFY row_number() OVER (PARTITION BY k._n ORDER BY e.position DESC) <= {MOST_EVENTS} "
            "ORDER BY k._n, e.position"
        )
    finally:
        engine.unregister("_traced")
    found: dict[int, list[Touching]] = {}
    total: dict[int, int] = {}
    for number, count, *event in rows:
        total[number] = count
        found.setdefault(number, []).append(Touching(*event))
    return tuple(
        replace(one, events=tuple(found.get(i, ())), events_total=total.get(i, 0)) for i, one in enumerate(mismatches)
    )


def touched(events: str, tracings: Sequence[Tracing]) -> str:
    """The keys that some events touch, as a query; of each tracing, of which there is one, what it lets through."""
    names = list(tracings[0].key)
    return " UNION ".join(
        f"SELECT {', '.join(f'({one.key[name]}) AS {quote(name)}' for name in names)} "
        f"FROM ({events}) AS {quote(one.alias)}{f' WHERE {one.condition}' if one.condition else ''}"
        for one in tracings
    )


def _keyed(events: str, tracing: Tracing, made: Mapping[str, str]) -> str:
    """Every event that a tracing lets through, with the key that it touches as text."""
    chosen = ", ".join(f"CAST(({tracing.key[name]}) AS VARCHAR) AS {column}" for name, column in made.items())
    where = f" WHERE {tracing.condition}" if tracing.condition else ""
    return f"SELECT position, event_id, type, occurred_at, {chosen} FROM ({events}) AS {quote(tracing.alias)}{where}"


def _values(keys: Sequence[object]) -> pa.Array:
    """Key values as Arrow holds them, so that the engine writes both them and the events' keys as text."""
    try:
        return pa.array(keys)
    except (pa.ArrowException, OverflowError):
        return pa.array([None if key is None else str(key) for key in keys], pa.string())
