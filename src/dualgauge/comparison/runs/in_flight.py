"""
Two looks at a table whose position nobody knows: a difference counts only when it stood still between them.

The application writes its table while v2 stands at a position. A key whose row changed on either side between the
looks is in flight: it is left out of the comparison, and counted. What is NULL or repeated in a key is no matter of
time, and stays a finding.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dualgauge.comparison.content.json_content import content_of
from dualgauge.comparison.engine.common_types import FLOATS
from dualgauge.comparison.engine.equality import CONTENT, form
from dualgauge.comparison.engine.relations import in_common, scratch
from dualgauge.comparison.engine.schema import read_layout
from dualgauge.comparison.errors import BadRelation
from dualgauge.engines.errors import BadStatement
from dualgauge.model import plural, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dualgauge.comparison.content.comparator import Comparator
    from dualgauge.comparison.engine.relations import Scratch
    from dualgauge.comparison.engine.schema import Layout
    from dualgauge.comparison.values import Comparison
    from dualgauge.engines.duck import Engine

SETTLE_SECONDS = 5.0
"""How long a diff waits between its two looks, unless told otherwise."""

_NOISE = "1e-12"
"""Two sums of the same DOUBLE values, added in two orders, are nearer than this part of them."""


@dataclass(frozen=True, slots=True)
class Still:
    """The queries of both sides without the keys in flight, and the number of those."""

    v1: str
    v2: str
    in_flight: int


@contextmanager
def still(
    engine: Engine, v1: str, v2: str, comparator: Comparator, *, exact: bool, again: Callable[[], None]
) -> Iterator[Still]:
    """
    Ask both sides twice; gives what may be compared. It can be asked until the context ends.

    Args:
        engine: both queries run in it.
        v1: v1's query.
        v2: v2's query.
        comparator: its key pairs the rows.
        exact: the queries only read; False where they may add DOUBLE values, in another order each time.
        again: waits, and has the queries see the second look, in columns of the same types.

    Raises:
        BadRelation: a query cannot be run.
        and what `again` raises.
    """
    queries = {"v1": v1, "v2": v2}
    with scratch(engine) as space:
        then = {side: _kept(space, side, f"then_{side}", sql) for side, sql in queries.items()}
        again()
        now = {side: _kept(space, side, f"now_{side}", sql) for side, sql in queries.items()}
        layout = read_layout(
            engine, f"SELECT * FROM {now['v1']}", f"SELECT * FROM {now['v2']}", comparator, context=not exact
        )
        if layout.reads_json:
            engine.define(CONTENT, content_of)
        changed = [_changed(space, layout, side, then[side], now[side], exact=exact) for side in queries]
        names = ", ".join(layout.key_names)
        known = " AND ".join(f"{name} IS NOT NULL" for name in layout.key_names)
        # Which of two rows with one key changed is an accident: such a key is a finding, whatever it does.
        repeated = [f"SELECT {_keys(layout, side)} FROM {now[side]} GROUP BY ALL HAVING count(*) > 1" for side in now]
        moving = space.table(
            "in_flight",
            f"(SELECT {names} FROM {changed[0]} WHERE {known} UNION SELECT {names} FROM {changed[1]} WHERE {known}) "
            f"EXCEPT ({' UNION '.join(repeated)})",
        )
        left = {side: _without(layout, side, now[side], moving) for side in queries}
        yield Still(left["v1"], left["v2"], int(engine.row(f"SELECT count(*) FROM {moving}")[0]))


@contextmanager
def without(engine: Engine, v1: str, v2: str, comparator: Comparator, touched: str, *, exact: bool) -> Iterator[Still]:
    """
    Both sides without some keys; what is given can be asked until the context ends.

    Args:
        engine: both queries run in it.
        v1: v1's query.
        v2: v2's query.
        comparator: its key pairs the rows.
        touched: a query of the keys, in columns called as the comparator calls them.
        exact: the queries only read their views.

    Raises:
        BadRelation: a query cannot be run.
    """
    queries = {"v1": v1, "v2": v2}
    with scratch(engine) as space:
        layout = read_layout(engine, v1, v2, comparator, context=not exact)
        if layout.reads_json:
            engine.define(CONTENT, content_of)
        keys = [quote(column) for column in comparator.key]
        names = zip(keys, layout.key_names, strict=True)
        chosen = ", ".join(f"{_key(layout, at, key)} AS {name}" for at, (key, name) in enumerate(names))
        known = " AND ".join(f"{key} IS NOT NULL" for key in keys)
        moving = space.table("in_flight", f"SELECT DISTINCT {chosen} FROM ({touched}) WHERE {known}")
        left = {
            side: _without(layout, side, f"({sql.strip().removesuffix(';')}\n)", moving)
            for side, sql in queries.items()
        }
        yield Still(left["v1"], left["v2"], int(engine.row(f"SELECT count(*) FROM {moving}")[0]))


def noted(comparison: Comparison, in_flight: int, seconds: float) -> Comparison:
    """The comparison of what stood still, with the keys that did not."""
    if not in_flight:
        return comparison
    line = (
        f"in_flight: {plural(in_flight, 'key')} changed within {seconds:g} seconds and {_were(in_flight)} left out, "
        "because v1 cannot tell its position"
    )
    return replace(comparison, in_flight=in_flight, why=(*comparison.why, line))


def lacking(comparison: Comparison, in_flight: int, events: int) -> Comparison:
    """The comparison without the keys that events touch which v1 does not have yet."""
    line = (
        f"in_flight: {plural(in_flight, 'key')} {_were(in_flight)} left out, touched by {plural(events, 'event')} that "
        "v1 does not have yet"
    )
    return replace(comparison, in_flight=in_flight, why=(*comparison.why, line))


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _kept(space: Scratch, side: str, name: str, sql: str) -> str:
    try:
        return space.table(name, f"SELECT * FROM ({sql.strip().removesuffix(';')}\n)")
    except BadStatement as fault:
        raise BadRelation(side, fault.reason) from fault


def _changed(space: Scratch, layout: Layout, side: str, then: str, now: str, *, exact: bool) -> str:
    """Name the table of the keys of a side whose rows are not what they were."""
    kinds = space.engine.columns(f"SELECT * FROM {now}")
    gone, come = (f"(SELECT * FROM {a} EXCEPT ALL SELECT * FROM {b})" for a, b in ((then, now), (now, then)))
    keys = _keys(layout, side)
    found = f"SELECT DISTINCT {keys} FROM (SELECT * FROM {gone} UNION ALL SELECT * FROM {come})"
    if not exact and FLOATS & set(kinds.values()):
        found += f" EXCEPT SELECT {keys} FROM ({_near(layout, side, kinds, then, now)})"
    return space.table(f"changed_{side}", found)


def _near(layout: Layout, side: str, kinds: Mapping[str, str], then: str, now: str) -> str:
    """The rows of the second look that are as at the first but for the noise of adding DOUBLE values."""
    keys = [quote(_own(layout, side, at)) for at in range(len(layout.keys))]
    on = " AND ".join(f"a.{key} IS NOT DISTINCT FROM b.{key}" for key in keys)
    same = []
    for column, kind in kinds.items():
        a, b = f"a.{quote(column)}", f"b.{quote(column)}"
        near = f" OR abs({a} - {b}) <= {_NOISE} * greatest(abs({a}), abs({b}))" if kind in FLOATS else ""
        same.append(f"({a} IS NOT DISTINCT FROM {b}{near})")
    return f"SELECT a.* FROM {now} AS a JOIN {then} AS b ON {on} WHERE {' AND '.join(same)}"


def _own(layout: Layout, side: str, at: int) -> str:
    """A key column's name as its side spells it."""
    return layout.keys[at].name if side == "v1" else layout.keys[at].v2_name


def _keys(layout: Layout, side: str) -> str:
    """The key of a side's row in the form and under the names by which the engine pairs rows."""
    return ", ".join(
        f"{_key(layout, at, quote(_own(layout, side, at)))} AS {name}" for at, name in enumerate(layout.key_names)
    )


def _key(layout: Layout, at: int, value: str) -> str:
    return form(in_common(layout.keys[at], value), layout.keys[at].kind)[0]


def _without(layout: Layout, side: str, now: str, moving: str) -> str:
    # Names that no column bears: a column called like one of these would be taken for it.
    kept, gone = layout.own("kept"), layout.own("moving")
    same = " AND ".join(
        f"{gone}.{name} = {_key(layout, at, f'{kept}.{quote(_own(layout, side, at))}')}"
        for at, name in enumerate(layout.key_names)
    )
    return f"SELECT * FROM {now} AS {kept} WHERE NOT EXISTS (SELECT 1 FROM {moving} AS {gone} WHERE {same})"
